"""Rows as a compiled kernel takes them: any norm for a homogeneous activation, else the compiled one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.utils.extmath import row_norms
from sklearn.utils.sparsefuncs import inplace_csr_row_scale

from kernelc.errors import InputError
from kernelc.kernel import Kernel
from kernelc.loading import Source, source_of

NORMALIZE = ("auto", True, False)
#: Rows that are all scaled to norm 1 need no tables for other norms, unless deeper layers meet them.
_ONE_NORM = "9/10,11/10"


def source_for(
    activation: str | Kernel | ModuleType, parameters: Mapping[str, Any] | None, depth: int, normalize: str | bool
) -> Source:
    """The compiled package; a formula is compiled for the norms that can be met."""
    if isinstance(activation, str) and depth == 1 and normalize is not False:
        return source_of(activation, parameters, norms=_ONE_NORM)
    return source_of(activation, parameters)


def scales_rows(module: ModuleType, normalize: str | bool) -> bool:
    """Whether rows are brought to the compiled norm.

    "auto": where the activation is not homogeneous, so that the kernel is one of the rows' directions.

    Raises:
        InputError: `normalize` is not one of "auto", True, False.
    """
    if not any(normalize is value or (isinstance(normalize, str) and normalize == value) for value in NORMALIZE):
        raise InputError(f"normalize: expected 'auto', True or False, got {normalize!r}")
    if normalize == "auto":
        return module.CERTIFICATE["homogeneous_degree"] is None
    return bool(normalize)


def scaled(module: ModuleType, rows: Any, w_std: float = 1.0, b_std: float = 0.0) -> Any:
    """A copy of `rows` (n, d), dense or CSR, with w_std^2 |x|^2 + b_std^2 at the compiled variance; zero rows stay.

    Raises:
        InputError: no norm does that.
    """
    room = float(Fraction(module.CERTIFICATE["variance"])) - b_std**2
    if room <= 0.0:
        raise InputError(
            f"b_std: {b_std!r} leaves nothing of the compiled variance {module.CERTIFICATE['variance']} for the rows; "
            "take a smaller one, or compile at a larger variance"
        )
    norms = row_norms(rows)
    factors = np.divide(math.sqrt(room) / w_std, norms, out=np.zeros_like(norms), where=norms > 0)
    if isinstance(rows, np.ndarray):
        return rows * factors[:, None].astype(rows.dtype)
    copy = rows.copy()
    inplace_csr_row_scale(copy, factors.astype(rows.dtype))
    return copy


def is_zero(rows: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows have no direction, (n,)."""
    return np.asarray(row_norms(rows, squared=True) == 0)
