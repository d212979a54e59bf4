# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What each layer of a network does to the rows, in float64, before any pair is looked at.

Every covariance is carried as s_i s_j rho_ij with rho_ii = 1 and one scale s_i a row, so that norms from
1e-8 to 1e8 neither overflow nor underflow, and the diagonal never goes through a series. With
R_i^2 = E[sigma(s_i Z)^2] and alpha_i = w R_i, one layer maps (alpha_i, b) = s'_i (cos phi_i, sin phi_i) and

    rho' = cos phi_i cos phi_j T / (R_i R_j) + sin phi_i sin phi_j
    1 - rho' = cos phi_i cos phi_j (1 - T / (R_i R_j)) + 2 sin((phi_i - phi_j) / 2)^2.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._closed import ClosedDual
from ._dual import is_constant, require_compiled_variance
from ._evaluation import KernelTables
from ._inputs import DoubleArray, FloatArray
from ._sources import LayerRows, Source

#: Beyond these the square of an entry leaves the range of float64.
_SAFE_LOW, _SAFE_HIGH = 1e-140, 1e140

#: Numbers in work at a time, so that no second copy of the inputs is made.
_BLOCK = 2**18


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs (n, d) as they came, read again where the angle of a pair is recomputed from their difference.

    Row i stands for 2^-e_i (x_i, b / w), `scale` = 2^-e_i: no digit of x is touched, and the length is
    near 1.
    """

    rows: FloatArray
    scale: DoubleArray
    bias: float

    def gather(self, chosen: npt.NDArray[np.intp], scale: DoubleArray | None = None) -> DoubleArray:
        """The chosen rows in float64, (k, d), or (k, d + 1) with a bias; `scale` (k,): in place of their own."""
        scale = (self.scale[chosen] if scale is None else scale)[:, None]
        rows: DoubleArray = self.rows[chosen] * scale
        return np.concatenate([rows, self.bias * scale], axis=1) if self.bias else rows


@dataclass(frozen=True, slots=True)
class Network:
    """What is asked for: `tangent` the NTK; `weight`, `bias`: w_std, b_std."""

    tangent: bool
    depth: int
    weight: float
    bias: float


@dataclass(frozen=True, slots=True)
class RowPath:
    """What the norms of one set of rows decide, all of float64 and (n,).

    `layers`: the path through the hidden layers; `last`: w R / sqrt(unit) of the last of them; `shrink`: the
    powers of two that bring (x, b / w) near length 1.
    """

    layers: tuple[LayerRows, ...]
    last: DoubleArray
    shrink: DoubleArray


@dataclass(frozen=True, slots=True)
class RowState:
    """One set of rows: `unit` (n, d or d + 1), the inputs with their bias as unit vectors; the inputs; their path."""

    unit: FloatArray
    inputs: Inputs
    path: RowPath

    @property
    def layers(self) -> tuple[LayerRows, ...]:
        """The path through the hidden layers."""
        return self.path.layers

    @property
    def last(self) -> DoubleArray:
        """w R / sqrt(unit) of the last hidden layer, (n,)."""
        return self.path.last


def row_norms(rows: FloatArray) -> DoubleArray:
    """Euclidean norm of each row in float64, without overflow or underflow."""
    norms = np.empty(len(rows))
    block = max(1, _BLOCK // rows.shape[1])
    for start in range(0, len(rows), block):
        wide = rows[start : start + block].astype(np.float64, copy=False)
        peak = np.abs(wide).max(axis=1)
        inside = (peak == 0.0) | ((peak > _SAFE_LOW) & (peak < _SAFE_HIGH))
        part = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        if not bool(inside.all()):
            extreme = np.flatnonzero(~inside)
            scaled = wide[extreme] / peak[extreme, None]
            part[extreme] = peak[extreme] * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
        norms[start : start + block] = part
    return norms


def unit_factors(norms: DoubleArray, scales: DoubleArray, w_std: float) -> tuple[DoubleArray, DoubleArray]:
    """peak and factor (n,) with w x / |(w x, b)| = x / peak * factor, no step of which overflows."""
    share = np.divide(w_std * norms, scales, out=np.zeros_like(norms), where=scales > 0.0)
    safe = np.where(norms > 0.0, norms, 1.0)
    peak = np.where(safe < _SAFE_LOW, safe, 1.0)
    return peak, share / (safe / peak)


def _unit_rows(rows: FloatArray, norms: DoubleArray, scales: DoubleArray, w_std: float, b_std: float) -> FloatArray:
    """(w x, b) / |(w x, b)| for each row, in the dtype of `rows`; zero rows without a bias stay zero."""
    n, d = rows.shape
    unit = np.zeros((n, d + (b_std > 0.0)), dtype=rows.dtype)
    peak, factor = unit_factors(norms, scales, w_std)
    block = max(1, _BLOCK // d)
    for start in range(0, n, block):
        part = slice(start, start + block)
        wide = rows[part] / peak[part, None]
        unit[part, :d] = wide * factor[part, None]
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


def closed_range(closed: ClosedDual, dot: ClosedDual | None) -> tuple[float, float]:
    """The variances at which T, and Tdot where it is given, hold in float64."""
    low, high = closed.variances
    if dot is not None:
        low, high = max(low, dot.variances[0]), min(high, dot.variances[1])
    return low, high


def _refuse_beyond(tables: KernelTables, name: str, what: str, scales: DoubleArray, reach: Reach) -> None:
    """Refuse rows whose s lies outside what the evaluation serves, naming the row, the range and what widens it."""
    outside = (scales < reach.low) | (scales > reach.high)
    if reach.zero:
        outside &= scales != 0.0
    if not bool(outside.any()):
        return
    row = int(outside.argmax())
    raise ValueError(
        f"{name}: row {row} has {what} {float(scales[row])!r}, but {tables.name} holds for norms from {reach.low!r} "
        f"to {reach.high!r}; {reach.advice}"
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """The scales s = sqrt(variance) that an evaluation serves; `zero`: also s = 0."""

    low: float
    high: float
    zero: bool
    advice: str


def compiled_variance_serves(
    tables: KernelTables, scales: DoubleArray, depth: int, w_std: float, b_std: float, dtype: np.dtype[Any]
) -> bool:
    """Whether every variance that is met is the compiled one."""
    try:
        with np.errstate(over="ignore"):
            variances = scales * scales
        require_compiled_variance(tables, "x1", variances, dtype)
        if depth > 1:
            _refuse_other_depths(tables, w_std, b_std, dtype)
    except ValueError:
        return False
    return True


def refuse_other_variances(
    tables: KernelTables, name: str, norms: DoubleArray, depth: int, w_std: float, b_std: float, dtype: np.dtype[Any]
) -> None:
    """Refuse what the compiled tables do not serve.

    Raises:
        ValueError: naming `name` or depth, with the numbers that would do.
    """
    _refuse_other_norms(tables, name, norms, w_std, b_std, dtype)
    if depth > 1:
        _refuse_other_depths(tables, w_std, b_std, dtype)


def hidden_layers(
    source: Source, network: Network, scales: DoubleArray, check: Callable[[int, DoubleArray], None] | None = None
) -> tuple[LayerRows, ...]:
    """The path of rows that have `scales` (n,) before the first hidden layer; `check` sees those before each."""
    layers: list[LayerRows] = []
    with np.errstate(over="ignore", under="ignore"):
        for index in range(network.depth):
            if check is not None:
                check(index, scales)
            powers = source.powers(scales)
            alpha = network.weight * powers * math.sqrt(source.unit)
            angles = np.arctan2(network.bias, alpha) if network.bias > 0.0 else np.zeros_like(alpha)
            slopes = source.slopes(scales, powers) if network.tangent else np.zeros_like(scales)
            layers.append(LayerRows(scales, powers, slopes, angles))
            scales = np.hypot(alpha, network.bias)
    return tuple(layers)


def row_path(
    tables: KernelTables, source: Source, reach: Reach | None, network: Network, name: str, norms: DoubleArray
) -> RowPath:
    """Carry each row's variance exactly through the hidden layers.

    Raises:
        ValueError: naming `name` or `depth`, where a variance is met that `source` does not serve.
    """
    w_std, b_std = network.weight, network.bias
    scales = np.hypot(w_std * norms, b_std)
    if tables.homogeneous_degree == 0.0 and not bool(scales.all()) and not is_constant(tables):
        raise ValueError(
            f"{name}: row {int(scales.argmin())} is zero, where {tables.name} depends on sigma(0), which was not "
            "compiled; drop zero rows or give b_std > 0"
        )
    exponents = np.frexp(np.where(scales > 0.0, scales / w_std, 1.0))[1]

    def check(index: int, met: DoubleArray) -> None:
        if reach is not None:
            what = "norm sqrt(w_std^2 |x|^2 + b_std^2) =" if index == 0 else f"norm (before hidden layer {index + 1})"
            _refuse_beyond(tables, name if index == 0 else "depth", what, met, reach)

    layers = hidden_layers(source, network, scales, check)
    # subnormal rows are scaled as far as a double can: their lengths are then below 1, and no less exact
    shrink = np.ldexp(1.0, np.minimum(-exponents, 1023))
    return RowPath(layers, w_std * layers[-1].powers, shrink)


def row_state(path: RowPath, network: Network, norms: DoubleArray, rows: FloatArray, dtype: np.dtype[Any]) -> RowState:
    """The rows as unit vectors beside their path."""
    unit = _unit_rows(rows.astype(dtype, copy=False), norms, path.layers[0].scales, network.weight, network.bias)
    return RowState(unit, Inputs(rows, path.shrink, network.bias / network.weight), path)


def diagonal(
    tables: KernelTables, source: Source, name: str, path: RowPath, b_std: float, dtype: np.dtype[Any]
) -> DoubleArray:
    """K_L(x, x), or Theta_L(x, x) where the slopes are carried, of each row, from the moments alone.

    Raises:
        ValueError: naming `name`, where one leaves the range of `dtype` (no other entry is larger).
    """
    ratio = np.ones_like(path.last)
    with np.errstate(all="ignore"):
        for layer in path.layers[:-1]:
            ratio = 1.0 + np.cos(layer.angles) ** 2 * (layer.slopes / source.unit) * ratio
        values: DoubleArray = path.last**2 * (source.unit + path.layers[-1].slopes * ratio) + b_std**2
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
