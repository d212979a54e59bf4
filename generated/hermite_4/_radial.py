# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The whole network as one power series in rho, with coefficients that depend on the two norms.

    K(x, y) = g(|x|) g(|y|) sum_k C_k(|x|, |y|) rho^k,       C_k positive semidefinite, all C_k(s, s) >= 0

for the NNGP or NTK of any depth (w_std = 1, b_std = 0). A homogeneous activation has constant C_k and
g(s) = (s / s_0)^(p^depth); without tables over the norms C_k is known at the compiled norm alone. Otherwise g(s)^2
is the kernel at rho = 1 and two norms s, and C_k is held at Chebyshev nodes in log s of the declared range, as log g
is: however fast the kernel grows, the C_k add up to 1 at equal norms. Part of every generated package, copied
verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._composition import NetworkKernel, network_at_one, network_coefficients
from ._dual import is_constant, require_compiled_variance
from ._evaluation import KernelTables, derivative, full_coefficients
from ._inputs import DoubleArray
from ._normseries import NormTables, hermite_rows, moments

#: What the rest of a declared norm range may be missed by, relatively: rounding of a row scaled to its end.
_RANGE_SLACK = 1e-6
#: Nodes over a range of norms, the first number of them that resolves it, and the last degree held there.
_NODES, _LAST_DEGREE = (16, 24, 36), 64
#: What the coefficients may be missed by between the nodes, in all, of a kernel of size 1; with the last number of
#: nodes; and log g.
_WELL_RESOLVED, _UNRESOLVED, _GROWTH_ERROR = 1e-4, 1e-2, 1e-6


@dataclass(frozen=True, slots=True)
class RadialSeries:
    """The series of one kernel at `norms` (J,): coefficients (J, J, degree + 1), exact values at rho = 1 (J,).

    `power`: g(s) = (s / norms[0])^power for a homogeneous activation, None otherwise. `low`, `high`: the norms it
    holds for, (0, inf) for a homogeneous one; equal where only the compiled norm is known.
    """

    name: str
    kernel: NetworkKernel
    depth: int
    norms: DoubleArray
    power: float | None
    low: float
    high: float
    coefficients: DoubleArray
    at_one: DoubleArray
    zero_rows: bool
    #: nodes are Chebyshev points in log(s + shift)
    shift: float = 0.0
    #: the norm at which a single radial factor is exact; None where a range was asked for: factors then fit all of it
    landmark: float | None = None
    #: nodes are Chebyshev points in s itself
    linear: bool = False
    #: how much each node counts when factors are fitted; None: all the same
    measure: DoubleArray | None = None
    #: over a range g(s) = s^order exp(the interpolant of `logs` (J,)); None: g = 1
    order: float = 0.0
    logs: DoubleArray | None = None
    #: what each coefficient at equal norms is wrong by between the nodes, in the root of the mean square
    missed: DoubleArray | None = None

    @property
    def degree(self) -> int:
        """The last degree held."""
        return int(self.coefficients.shape[-1]) - 1

    def tail(self) -> DoubleArray:
        """What the held degrees lack of the kernel at rho = 1 and equal norms: (J,), from the exact moments."""
        sums = np.einsum("jjk->j", self.coefficients)
        rest: DoubleArray = np.maximum(self.at_one - sums, 0.0)
        return rest

    def weights(self, norms: DoubleArray) -> DoubleArray:
        """(n, J): the value at each norm of what is known at the nodes (Chebyshev interpolation in log s)."""
        count = len(self.norms)
        if count == 1:
            return np.ones((len(norms), 1))
        # barycentric formula at Chebyshev points of the first kind (Berrut, Trefethen 2004, eq. 4.2, 5.3)
        position, nodes = np.clip(norms, self.low, self.high), self.norms
        if not self.linear:
            position, nodes = np.log(position + self.shift), np.log(nodes + self.shift)
        angle = (2.0 * np.arange(count) + 1.0) * math.pi / (2.0 * count)
        signs = np.where(np.arange(count) % 2, -1.0, 1.0) * np.sin(angle)
        gap = position[:, None] - nodes[None, :]
        hit = np.abs(gap) < 1e-14
        rows = signs / np.where(hit, 1.0, gap)
        rows = np.where(np.any(hit, axis=1, keepdims=True), hit.astype(np.float64), rows)
        weights: DoubleArray = rows / rows.sum(axis=1, keepdims=True)
        return weights

    def scales(self, name: str, norms: DoubleArray, dtype: np.dtype[Any], first: int = 0) -> DoubleArray:
        """g of each row's norm; `first`: the number of the first row.

        Raises:
            ValueError: naming `name`, for a norm that the series does not hold for, or a zero row where the kernel
                depends on sigma(0).
        """
        self.require(name, norms, first)
        return self._require_finite(name, self.growth(norms), dtype, first)

    def require(self, name: str, norms: DoubleArray, first: int = 0) -> None:
        """Refuse norms that the series does not hold for.

        Raises:
            ValueError: as `scales`, which also refuses what overflows.
        """
        if self.power is None:
            self._require_range(name, norms, first)
        elif not self.zero_rows and not bool(norms.all()):
            raise ValueError(
                f"{name}: row {first + int(norms.argmin())} is zero, where {self.name} depends on sigma(0), which was "
                "not compiled; drop zero rows"
            )

    def overflows(self, dtype: np.dtype[Any]) -> bool:
        """Whether some norm of the range may make the kernel overflow: g at many norms, with a factor to spare."""
        points = np.linspace(math.log(self.low + self.shift), math.log(self.high + self.shift), 512)
        largest = 4.0 * float(self.growth(np.exp(points) - self.shift).max())
        return not largest * math.sqrt(float(self.at_one.max())) < math.sqrt(float(np.finfo(dtype).max))

    def growth(self, norms: DoubleArray) -> DoubleArray:
        """g of each norm (n,), in the range."""
        with np.errstate(all="ignore"):
            if self.power is not None:
                scales: DoubleArray = (norms / self.norms[0]) ** self.power
            elif self.logs is None:
                scales = np.ones_like(norms)
            else:
                scales = np.exp(self.weights(norms) @ self.logs)
                if self.order:
                    scales *= np.clip(norms, self.low, self.high) ** self.order
        return scales

    def _require_finite(self, name: str, scales: DoubleArray, dtype: np.dtype[Any], first: int) -> DoubleArray:
        if not float(scales.max()) * math.sqrt(float(self.at_one.max())) < math.sqrt(float(np.finfo(dtype).max)):
            advice = "pass float64 or scale the rows down" if dtype == np.float32 else "scale the rows down"
            raise ValueError(f"{name}: row {first + int(scales.argmax())} makes the kernel overflow {dtype}; {advice}")
        return scales

    def _require_range(self, name: str, norms: DoubleArray, first: int) -> None:
        low, high = self.low * (1.0 - _RANGE_SLACK), self.high * (1.0 + _RANGE_SLACK)
        outside = (norms < low) | (norms > high)
        if not bool(outside.any()):
            return
        row = int(np.flatnonzero(outside)[0])
        held = f"norm {self.low!r} alone" if self.low == self.high else f"norms from {self.low!r} to {self.high!r}"
        raise ValueError(
            f"{name}: row {first + row} has norm {float(norms[row])!r}, but these features of {self.name} hold at "
            f"{held}; scale the rows, or recompile with a range that has it, such as --norms "
            f"{min(self.low, float(norms[row])) or 1e-3:.4g},{max(self.high, float(norms[row])):.4g}"
        )


def radial_factors(series: RadialSeries, blocks: DoubleArray, most: int, tolerance: float) -> list[DoubleArray]:
    """For each degree of `blocks` (degrees, J, J) factors (r, J), r <= most: block ~ sum_r f_r(s_i) f_r(s_j).

    With a landmark s_0 the first is B(s, s_0) / sqrt(B(s_0, s_0)), exact wherever one of the two norms is s_0; the
    others are the leading eigenvectors of what it leaves. What is left over is positive semidefinite.
    """
    root = np.ones(len(series.norms)) if series.measure is None else np.sqrt(series.measure)
    total = float(np.einsum("lii,i->", blocks, root**2))
    factors = []
    for block in blocks:
        first = np.zeros((0, len(block)))
        if series.landmark is not None:
            place = series.weights(np.array([series.landmark]))[0]
            own = float(place @ block @ place)
            if own > tolerance * total / len(place):
                first = (block @ place / math.sqrt(own))[None, :]
        rest = block - first.T @ first
        rest = (rest + rest.T) / 2
        values, vectors = np.linalg.eigh(root[:, None] * rest * root[None, :])
        keep = [i for i in range(len(values) - 1, -1, -1) if values[i] > tolerance * total][: most - len(first)]
        if not keep and not len(first):
            first = np.zeros((1, len(block)))
        parts = (vectors[:, keep].T * root) @ rest / np.sqrt(values[keep])[:, None]
        # an eigenvector's sign is arbitrary: fix it, so that features do not depend on the linear algebra library
        lead = parts[np.arange(len(parts)), np.abs(parts).argmax(axis=1)] if len(parts) else np.ones(0)
        factors.append(np.concatenate([first, parts * np.where(lead < 0.0, -1.0, 1.0)[:, None]]))
    return factors


def radial_series(
    tables: KernelTables,
    norms: NormTables | None,
    kernel: NetworkKernel,
    depth: int,
    reach: tuple[float, float] | None = None,
) -> RadialSeries:
    """The series of the NNGP or NTK of `depth` hidden layers, over a range of norms where there are tables for one.

    `reach`: the norms of the inputs, within that range (None: all of it); the narrower, the smaller the error.

    Raises:
        RefusedError: for the NTK where sigma' is not square integrable.
        ValueError: naming the argument: an unknown kernel, or a depth at which a layer's variance is not compiled.
    """
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel: expected 'ntk' or 'nngp', got {kernel!r}")
    slope = derivative(tables).at_one if kernel == "ntk" else 0.0
    if norms is not None and tables.homogeneous_degree is None:
        return _over_norms(tables, norms, kernel, depth, _reach(norms, reach))
    return _at_one_norm(tables, kernel, depth, slope)


def _reach(norms: NormTables, reach: tuple[float, float] | None) -> tuple[float, float]:
    low, high = norms.norms
    if reach is None:
        return low, high
    if not low <= reach[0] < reach[1] <= high:
        raise ValueError(f"norms: expected a range within [{low!r}, {high!r}], that of --norms, got {reach!r}")
    return reach


def _over_norms(
    tables: KernelTables, norms: NormTables, kernel: NetworkKernel, depth: int, reach: tuple[float, float]
) -> RadialSeries:
    """The series at Chebyshev nodes over the norms of the inputs, as many as it takes.

    Raises:
        ValueError: naming norms, where the kernel varies too fast for the most nodes there are.
    """
    for count in _NODES:
        series = _at_nodes(tables, norms, kernel, depth, reach, count)
        place, worst, missed = _missed(series, norms)
        if worst <= _WELL_RESOLVED:
            return replace(series, missed=missed)
    if worst <= _UNRESOLVED:
        return replace(series, missed=missed)
    compiled = math.sqrt(tables.variance)
    raise ValueError(
        f"norms: {series.name} varies too fast from norm {series.low!r} to {series.high!r} for features that serve "
        f"them all (wrong at norm {place:.3g}); give Sketch the range of the rows, such as "
        f"norms=({compiled / 2:.3g}, {compiled * 2:.3g}), or recompile with a narrower one by --norms"
    )


def _at_nodes(
    tables: KernelTables,
    norms: NormTables,
    kernel: NetworkKernel,
    depth: int,
    reach: tuple[float, float],
    count: int,
) -> RadialSeries:
    (low, high), compiled = reach, math.sqrt(tables.variance)
    nodes = _nodes(low, high, norms.shift, count)
    rows, size, logs = _layers(tables.name, norms, kernel, depth, nodes)
    unit = network_coefficients([part[:, None, :] * part[None, :, :] for part in rows], kernel, rows[0].shape[-1] - 1)
    held, ones = unit / (size[:, None] * size[None, :])[:, :, None], np.ones(count)
    order = float(norms.moment.power**depth)
    return RadialSeries(
        name=tables.name,
        kernel=kernel,
        depth=depth,
        norms=nodes,
        power=None,
        low=low,
        high=high,
        coefficients=completed(held, ones, _odd_share(tables)),
        at_one=ones,
        zero_rows=True,
        shift=norms.shift,
        landmark=compiled if reach == norms.norms and low <= compiled <= high else None,
        order=order,
        logs=logs - order * np.log(nodes),
    )


def _layers(
    name: str, norms: NormTables, kernel: NetworkKernel, depth: int, scale: DoubleArray
) -> tuple[list[DoubleArray], DoubleArray, DoubleArray]:
    """At norms (J,): each layer's a_k / R (J, degree + 1), the root of the normalised kernel at rho = 1, and log g."""
    degree = min(len(norms.hermite) - 1, _LAST_DEGREE)
    rows, slopes = [], []
    for layer in range(depth):
        if layer:
            _require_layer(name, norms, scale)
        squared, slope = moments(norms, scale)
        reached = np.sqrt(squared)
        rows.append(hermite_rows(norms, scale, degree) / np.where(reached > 0.0, reached, 1.0)[:, None])
        if slope is not None:
            slopes.append(slope * scale**2 / np.where(squared > 0.0, squared, 1.0))
        scale = reached
    size = np.sqrt(network_at_one(slopes if kernel == "ntk" else [np.zeros_like(scale)], kernel))
    return rows, size, np.log(np.maximum(scale * size, 1e-300))


def _missed(series: RadialSeries, norms: NormTables) -> tuple[float, float, DoubleArray]:
    """Between the nodes: the worst norm, by how much coefficients or log g are wrong there, and `missed`."""
    middle = np.sqrt((series.norms[1:] + series.shift) * (series.norms[:-1] + series.shift)) - series.shift
    rows, size, logs = _layers(series.name, norms, series.kernel, series.depth, middle)
    exact = network_coefficients([part**2 for part in rows], series.kernel, rows[0].shape[-1] - 1) / size[:, None] ** 2
    weights = series.weights(middle)
    found = np.einsum("ni,nj,ijk->nk", weights, weights, series.coefficients, optimize=True)
    wrong = np.abs(found[:, : exact.shape[-1]] - exact)
    grown = np.abs(np.log(series.growth(middle)) - logs)
    worst = np.maximum(wrong.sum(axis=1), grown * (_WELL_RESOLVED / _GROWTH_ERROR))
    place = int(worst.argmax())
    both = wrong + 2.0 * grown[:, None] * np.abs(exact)
    return float(middle[place]), float(worst[place]), np.sqrt(np.mean(both * both, axis=0))


def _nodes(low: float, high: float, shift: float, count: int) -> DoubleArray:
    """Chebyshev points of the first kind in log(s + shift), ascending."""
    angle = (2.0 * np.arange(count) + 1.0) * math.pi / (2.0 * count)
    left, right = math.log(low + shift), math.log(high + shift)
    points: DoubleArray = np.exp((left + right) / 2 - (right - left) / 2 * np.cos(angle)) - shift
    return np.clip(points, low, high)


def _require_layer(name: str, norms: NormTables, scale: DoubleArray) -> None:
    low, high = norms.norms
    if float(scale.min()) < low or float(scale.max()) > high:
        raise ValueError(
            f"depth: layers beyond the first meet standard deviations from {float(scale.min()):.4g} to "
            f"{float(scale.max()):.4g}, but {name} was compiled for {low!r} to {high!r}; recompile with "
            f"--norms {min(low, float(scale.min()) * 0.99):.4g},{max(high, float(scale.max()) * 1.01):.4g}"
        )


def _at_one_norm(tables: KernelTables, kernel: NetworkKernel, depth: int, slope: float) -> RadialSeries:
    """The series at the compiled norm, and at all norms for a homogeneous activation."""
    series, moment = tables.kappa.series, tables.kappa.at_one
    step = 1 if series.parity == "none" else 2
    row = full_coefficients(series, len(series.coefficients) * step) / moment
    degree = tables.homogeneous_degree
    if degree is None and depth > 1:
        _require_kept_variance(tables)
    variance = tables.variance
    for _ in range(depth):
        variance = moment * (variance / tables.variance) ** (degree or 0.0)
    unit = network_coefficients([row] * depth, kernel, len(row) - 1)
    total = float(network_at_one([tables.variance * slope / moment] * depth, kernel))
    norm, odd = math.sqrt(tables.variance), _odd_share(tables)
    if depth == 1:
        odd = _odd_share_at_minus_one(tables, kernel, variance * unit, variance * total)
    return RadialSeries(
        name=tables.name,
        kernel=kernel,
        depth=depth,
        norms=np.array([norm]),
        power=None if degree is None else degree**depth,
        low=norm if degree is None else 0.0,
        high=norm if degree is None else math.inf,
        coefficients=completed((variance * unit)[None, None, :], np.array([variance * total]), odd),
        at_one=np.array([variance * total]),
        zero_rows=degree is None or degree > 0.0 or is_constant(tables),
    )


def completed(coefficients: DoubleArray, at_one: DoubleArray, odd: float) -> DoubleArray:
    """(J, J, K + 1) coefficients and, in two more degrees, what they lack at rho = 1: the share `odd` in the odd one.

    The kernel is then right at rho = 1 and, where the share is, at rho = -1; in between the terms left out are at
    most what stands for them, c rho^(K + 1), and at least 0.
    """
    degree = coefficients.shape[-1] - 1
    tail = np.sqrt(np.maximum(at_one - np.einsum("jjk->jk", coefficients).sum(axis=1), 0.0))
    lacking = tail[:, None] * tail[None, :]
    shares = (odd, 1.0 - odd) if (degree + 1) % 2 else (1.0 - odd, odd)
    rest = np.stack([lacking * share for share in shares], axis=-1)
    return np.concatenate([coefficients, rest], axis=-1)


def _odd_share(tables: KernelTables) -> float:
    """The odd degrees' part of what a cut series lacks: all or nothing by parity, else a half."""
    return {"even": 0.0, "odd": 1.0, "none": 0.5}[tables.parity]


def _odd_share_at_minus_one(
    tables: KernelTables, kernel: NetworkKernel, coefficients: DoubleArray, at_one: float
) -> float:
    """The same of one hidden layer, from the exact value at rho = -1."""
    value = tables.kappa.at_minus_one
    if kernel == "ntk":
        value -= tables.variance * derivative(tables).at_minus_one
    alternating = float(coefficients[::2].sum() - coefficients[1::2].sum())
    lacking = at_one - float(coefficients.sum())
    if not lacking > 1e-14 * at_one:
        return 0.5
    return min(1.0, max(0.0, (1.0 - (value - alternating) / lacking) / 2.0))


def _require_kept_variance(tables: KernelTables) -> None:
    try:
        require_compiled_variance(tables, "depth", np.array([tables.kappa.at_one]), np.dtype(np.float64))
    except ValueError:
        raise ValueError(
            f"depth: from the second hidden layer on the variance is kappa(1) = {tables.kappa.at_one!r}, but "
            f"{tables.name} holds at variance {tables.variance!r} alone; recompile with --norms, or take depth=1"
        ) from None
