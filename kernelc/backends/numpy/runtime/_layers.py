# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What each layer of a network does to the rows, in float64, before any pair is looked at.

Every covariance is carried as s_i s_j rho_ij with rho_ii = 1 and one scale s_i a row, so that norms from
1e-8 to 1e8 neither overflow nor underflow, and the diagonal never goes through a series. With
alpha_i = w (s_i^2 / q)^(p/2) sqrt(kappa(1)), one layer maps (alpha_i, b) = s'_i (cos phi_i, sin phi_i) and

    rho' = cos phi_i cos phi_j kappa(rho) / kappa(1) + sin phi_i sin phi_j
    1 - rho' = cos phi_i cos phi_j (kappa(1) - kappa(rho)) / kappa(1) + 2 sin((phi_i - phi_j) / 2)^2.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._dual import is_constant, require_compiled_variance
from ._evaluation import KernelTables
from ._inputs import DoubleArray, FloatArray

#: Beyond these the square of an entry leaves the range of float64.
_SAFE_LOW, _SAFE_HIGH = 1e-140, 1e140


@dataclass(frozen=True, slots=True)
class Source:
    """The inputs (n, d) as they came, read again where the angle of a pair is recomputed from their difference.

    Row i stands for 2^-e_i (x_i, b / w), `scale` = 2^-e_i: no digit of x is touched, and the length is
    near 1.
    """

    rows: FloatArray
    scale: DoubleArray
    bias: float

    def gather(self, chosen: npt.NDArray[np.intp]) -> DoubleArray:
        """The chosen rows in float64, (k, d), or (k, d + 1) with a bias."""
        scale = self.scale[chosen, None]
        rows: DoubleArray = self.rows[chosen] * scale
        return np.concatenate([rows, self.bias * scale], axis=1) if self.bias else rows


@dataclass(frozen=True, slots=True)
class RowState:
    """The path of one set of rows through the layers, all of float64.

    `unit` (n, d or d + 1): the inputs with their bias as unit vectors, and `source` the inputs
    themselves. `angles[l]` (n,): phi of hidden layer l + 1 for all but the last; `last` (n,):
    w (s^2 / q)^(p/2) of the last hidden layer.
    """

    unit: FloatArray
    source: Source
    angles: tuple[DoubleArray, ...]
    last: DoubleArray


def row_norms(rows: FloatArray) -> DoubleArray:
    """Euclidean norm of each row in float64, without overflow or underflow."""
    wide = rows.astype(np.float64, copy=False)
    peak = np.abs(wide).max(axis=1)
    inside = (peak == 0.0) | ((peak > _SAFE_LOW) & (peak < _SAFE_HIGH))
    norms: DoubleArray = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    if not bool(inside.all()):
        extreme = np.flatnonzero(~inside)
        scaled = wide[extreme] / peak[extreme, None]
        norms[extreme] = peak[extreme] * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return norms


def _unit_rows(rows: FloatArray, norms: DoubleArray, scales: DoubleArray, w_std: float, b_std: float) -> FloatArray:
    """(w x, b) / |(w x, b)| for each row, in the dtype of `rows`; zero rows without a bias stay zero."""
    n, d = rows.shape
    unit = np.zeros((n, d + (b_std > 0.0)), dtype=rows.dtype)
    factor = np.divide(w_std * norms, scales, out=np.zeros(n), where=scales > 0.0)
    safe = np.where(norms > 0.0, norms, 1.0)
    peak = np.ones(n) if float(safe.min()) > _SAFE_LOW else np.where(safe < _SAFE_LOW, safe, 1.0)
    block = max(1, 2**18 // d)
    for start in range(0, n, block):
        part = slice(start, start + block)
        wide = rows[part] / peak[part, None]
        unit[part, :d] = wide * (factor[part] / (safe[part] / peak[part]))[:, None]
    if b_std > 0.0:
        unit[:, d] = b_std / scales
    return unit


def _refuse_other_norms(
    tables: KernelTables, name: str, norms: DoubleArray, w_std: float, b_std: float, dtype: np.dtype[Any]
) -> None:
    """Refuse rows whose variance in the first layer is not the compiled one, saying which and what to do."""
    with np.errstate(over="ignore", under="ignore"):
        variances = (w_std * norms) ** 2 + b_std**2
    try:
        require_compiled_variance(tables, name, variances, dtype)
    except ValueError:
        row = int(np.abs(variances - tables.variance).argmax())
        room = tables.variance - b_std**2
        advice = f"recompile with --variance {float(variances[row])!r}"
        if room > 0.0 and w_std**2 > 0.0:
            advice = f"rescale the rows to squared norm {room / w_std**2!r}, or {advice}"
        # a product: a power of a Python float raises where it overflows
        square = float(norms[row]) * float(norms[row])
        raise ValueError(
            f"{name}: row {row} has squared norm {square!r}, so w_std^2 |x|^2 + b_std^2 = "
            f"{float(variances[row])!r}, but {tables.name} holds at variance {tables.variance!r} alone; {advice}"
        ) from None


def _refuse_other_depths(tables: KernelTables, w_std: float, b_std: float, dtype: np.dtype[Any]) -> None:
    """Refuse a second hidden layer whose variance is not the compiled one, with the numbers that mend it."""
    reached = w_std**2 * tables.kappa.at_one + b_std**2
    try:
        require_compiled_variance(tables, "depth", np.array([reached]), dtype)
    except ValueError:
        room = tables.variance - b_std**2
        fit = f"w_std = {math.sqrt(room / tables.kappa.at_one)!r} with this b_std keeps it; " if room > 0.0 else ""
        raise ValueError(
            f"depth: from the second hidden layer on the variance is w_std^2 kappa(1) + b_std^2 = {reached!r}, but "
            f"{tables.name} holds at variance {tables.variance!r} alone; {fit}depth=1 needs no such condition"
        ) from None


def row_state(
    tables: KernelTables, name: str, rows: FloatArray, depth: int, w_std: float, b_std: float, dtype: np.dtype[Any]
) -> RowState:
    """Carry each row's variance exactly through `depth` hidden layers.

    Raises:
        ValueError: naming `name` or `depth`, where the tables do not hold at a variance that is met.
    """
    norms = row_norms(rows)
    degree = tables.homogeneous_degree
    if degree is None:
        _refuse_other_norms(tables, name, norms, w_std, b_std, dtype)
        if depth > 1:
            _refuse_other_depths(tables, w_std, b_std, dtype)
    power = 0.0 if degree is None else degree
    scales = np.hypot(w_std * norms, b_std)
    if degree == 0.0 and not bool(scales.all()) and not is_constant(tables):
        raise ValueError(
            f"{name}: row {int(scales.argmin())} is zero, where {tables.name} depends on sigma(0), which was not "
            "compiled; drop zero rows or give b_std > 0"
        )
    unit = _unit_rows(rows.astype(dtype, copy=False), norms, scales, w_std, b_std)
    angles: list[DoubleArray] = []
    with np.errstate(over="ignore", under="ignore"):
        last = w_std * (scales / math.sqrt(tables.variance)) ** power
        for _ in range(depth - 1):
            alpha = last * math.sqrt(tables.kappa.at_one)
            angles.append(np.arctan2(b_std, alpha) if b_std > 0.0 else np.zeros_like(alpha))
            last = w_std * (np.hypot(alpha, b_std) / math.sqrt(tables.variance)) ** power
    exponents = np.frexp(np.where(scales > 0.0, scales / w_std, 1.0))[1]
    # subnormal rows are scaled as far as a double can: their lengths are then below 1, and no less exact
    source = Source(rows, np.ldexp(1.0, np.minimum(-exponents, 1023)), b_std / w_std)
    return RowState(unit, source, tuple(angles), last)


def diagonal(
    tables: KernelTables, name: str, state: RowState, b_std: float, slope_at_one: float | None, dtype: np.dtype[Any]
) -> DoubleArray:
    """K_L(x, x), or Theta_L(x, x) where kappa_dot(1) is given, of each row, from the moments alone.

    Raises:
        ValueError: naming `name`, where one leaves the range of `dtype` (no other entry is larger).
    """
    at_one = tables.kappa.at_one
    gain = 0.0 if slope_at_one is None else tables.variance * slope_at_one
    ratio = np.ones_like(state.last)
    with np.errstate(all="ignore"):
        for angle in state.angles:
            ratio = 1.0 + np.cos(angle) ** 2 * (gain / at_one) * ratio
        values: DoubleArray = state.last**2 * (at_one + gain * ratio) + b_std**2
    largest = float(np.finfo(dtype).max)
    if not bool((values <= largest).all()):
        row = int(np.flatnonzero(~(values <= largest))[0])
        advice = "pass float64" if dtype == np.float32 else "scale the rows down"
        raise ValueError(f"{name}: row {row} makes the kernel overflow {dtype} at this depth; {advice}")
    return values


def common_value(*arrays: DoubleArray) -> float | None:
    """The one value that all entries of all arrays have, None where they differ."""
    first = float(arrays[0].flat[0])
    return first if all(bool((array == first).all()) for array in arrays) else None
