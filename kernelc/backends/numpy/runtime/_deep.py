# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The composed kernels of a deep network, for modules compiled with a depth; it needs NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._evaluation import DualTables, full_coefficients
from ._inputs import RefusedError


@dataclass(frozen=True, slots=True)
class NetworkTables:
    """NNGP and NTK of `depth` hidden layers as functions of rho; `ntk` is None exactly where `refused` tells why."""

    name: str
    depth: int
    length: int
    nngp: DualTables
    ntk: DualTables | None
    refused: str | None


def network_dual(tables: NetworkTables, kernel: str) -> DualTables:
    """The tables of one kernel.

    Raises:
        RefusedError: (a ValueError) for an NTK that is infinite at rho = 1, with the reason.
        ValueError: naming kernel, where it is neither "nngp" nor "ntk".
    """
    if kernel == "nngp":
        return tables.nngp
    if kernel != "ntk":
        raise ValueError(f"kernel: expected 'nngp' or 'ntk', got {kernel!r}")
    if tables.ntk is None:
        raise RefusedError(f"{tables.name}: the NTK of {tables.depth} hidden layers is refused: {tables.refused}")
    return tables.ntk


def network_series_coefficients(tables: NetworkTables) -> dict[str, npt.NDArray[np.float64] | None]:
    """Coefficients of both power series, degree 0 first, read-only; None for an NTK that is refused."""
    return {
        "nngp": full_coefficients(tables.nngp.series, tables.length),
        "ntk": None if tables.ntk is None else full_coefficients(tables.ntk.series, tables.length),
    }
