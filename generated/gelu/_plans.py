# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""From the arguments of a kernel matrix to what its tiles share: the source, the rows' paths, a road a layer.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._bulk import Bulk
from ._bulkfit import make_bulk
from ._closed import ClosedDual
from ._evaluation import KernelTables, ThetaTable, derivative
from ._inputs import DoubleArray, FloatArray
from ._knotted import NOISE, PAIRS_A_SAMPLE, knotted_duals, one_norm_duals
from ._layers import (
    Network,
    Reach,
    RowState,
    closed_range,
    compiled_variance_serves,
    diagonal,
    refuse_other_variances,
    row_norms,
    row_path,
    row_state,
)
from ._normseries import NormTables, serves
from ._pairs import ClosedPairs
from ._roads import Road
from ._sources import ClosedSource, CompiledSource, NormSource, Side, Source, common_scale, wants_central
from ._tileplan import Layered, MatrixPlan, NearPairs, TilePlan, Weights, bind_layers, pad_rows, weights

#: Rows of each side whose pairs show where most angles lie (for one polynomial more of them, as long as that takes no
#: more multiplications than the last number), and by how much that range is widened.
_SAMPLED, _MANY_SAMPLED, _WIDEN, _SAMPLE_WORK = 24, 64, 0.3, 2**20
#: How much farther than normal variables would one polynomial reaches.
_MARGIN = 1.15
#: Entries from which one polynomial for most pairs is worth making.
_MANY_ENTRIES = 2**18
#: Angles below this are nearly parallel rows, which are evaluated apart.
_PARALLEL = 0.05

Closed = tuple[ClosedDual, ClosedDual | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows (n, d) of one argument, and its name."""

    name: str
    values: FloatArray


@dataclass(frozen=True, slots=True)
class RowNorms:
    """The rows' norms (n,) of one argument, and its name."""

    name: str
    norms: DoubleArray


def make_plan(
    tables: KernelTables,
    closed: Closed | None,
    norms: NormTables | None,
    network: Network,
    first: Rows,
    second: Rows,
    dtype: np.dtype[Any],
) -> tuple[MatrixPlan, DoubleArray]:
    """The plan of the tiles, and the diagonal of `first` with itself; `second` is `first` for a Gram matrix.

    Raises:
        RefusedError: for the NTK of an activation whose derivative is not square integrable.
        ValueError: naming the argument, for norms that nothing compiled serves, and for results that overflow.
    """
    if network.tangent:
        derivative(tables)
    sides = (first,) if second is first else (first, second)
    lengths = [RowNorms(side.name, row_norms(side.values)) for side in sides]
    source, reach = choose_source(tables, closed, norms, network, lengths, dtype)
    paths = [row_path(tables, source, reach, network, side.name, side.norms) for side in lengths]
    moments = [
        diagonal(tables, source, side.name, path, network.bias, dtype) for side, path in zip(sides, paths, strict=True)
    ]
    states = [
        row_state(path, network, side.norms, rows.values, dtype)
        for path, side, rows in zip(paths, lengths, sides, strict=True)
    ]
    return _plan(tables, source, network, states[0], states[-1], dtype), moments[0]


def choose_source(
    tables: KernelTables,
    closed: Closed | None,
    norms: NormTables | None,
    network: Network,
    sides: list[RowNorms],
    dtype: np.dtype[Any],
) -> tuple[Source, Reach | None]:
    """The compiled tables where they serve every row and layer, else the closed form, else tables of norms.

    Raises:
        ValueError: naming the argument, for norms that none of them serves.
    """
    entries = sides[0].norms.size * sides[-1].norms.size
    compiled = CompiledSource(tables, wants_central(tables, network.tangent, entries))
    if tables.homogeneous_degree is not None:
        return compiled, None
    weight, bias = network.weight, network.bias
    scales = [np.hypot(weight * side.norms, bias) for side in sides]
    if all(compiled_variance_serves(tables, s, network.depth, weight, bias, dtype) for s in scales):
        return compiled, None
    if closed is not None and (closed[1] is not None or not network.tangent):
        low, high = closed_range(closed[0], closed[1] if network.tangent else None)
        reach = Reach(
            math.sqrt(low), math.sqrt(high), closed[0].at_origin, "its closed form is not known to hold beyond"
        )
        return ClosedSource(ClosedPairs(*closed, tables.breakpoints)), reach
    if norms is not None and serves(norms) and (norms.dual_dot is not None or not network.tangent):
        reach = Reach(*norms.norms, norms.origin is not None, "recompile with --norms LOW,HIGH to widen this")
        if norms.knots is not None:
            return _knotted_source(tables, norms, scales, dtype), reach
        return NormSource(tables, norms), reach
    for side in sides:
        refuse_other_variances(tables, side.name, side.norms, network.depth, weight, bias, dtype)
    return compiled, None


def _knotted_source(
    tables: KernelTables, norms: NormTables, scales: list[DoubleArray], dtype: np.dtype[Any]
) -> ClosedSource:
    """Tables beside closed forms of truncated powers, taken for a closed form.

    Rows of one norm stay so from layer to layer, and have tables of their own. Norms that differ by float32's roundings
    count as one where 1 - T / (R R') goes like the square of that, not at jumps.
    """
    rounding = dtype if norms.dual_dot is not None else np.dtype(np.float64)
    same = common_scale(scales[0], scales[-1], rounding) is not None
    equal = one_norm_duals(norms) if same else None
    if equal is None or norms.one_norm is None:
        return ClosedSource(ClosedPairs(*knotted_duals(norms), tables.breakpoints), NOISE, PAIRS_A_SAMPLE)
    return ClosedSource(ClosedPairs(*equal, tables.breakpoints), norms.one_norm.error, PAIRS_A_SAMPLE)


def _plan(
    tables: KernelTables, source: Source, network: Network, left: RowState, right: RowState, dtype: np.dtype[Any]
) -> MatrixPlan:
    """One polynomial for most pairs of a large matrix; the layers for all others."""
    bulk: Bulk | None = None
    if len(left.last) * len(right.last) >= _MANY_ENTRIES:
        homogeneous = tables.homogeneous_degree is not None and not network.bias
        count = min(max(_SAMPLED, math.isqrt(_SAMPLE_WORK // left.unit.shape[1])), _MANY_SAMPLED)
        sample = _Sample.of(left, right, count, False)
        # the extremes of normal variables grow like the root of the logarithm of their number
        pairs = len(left.last) * len(right.last)
        reach = _MARGIN * math.sqrt(math.log(pairs) / math.log(sample.theta.size / 2.0))
        angles = sample.bulk(max(_WIDEN, 0.5 * (reach - 1.0)))
        with np.errstate(all="ignore"):
            bulk = make_bulk(source, network, left, right, angles, homogeneous, dtype)
    one = pad_rows(left.unit)
    other = one if right is left else pad_rows(right.unit)
    last = weights(left.last, right.last, dtype)

    def layered() -> TilePlan:
        return _layered(tables, source, network, (left, right), (one, other), last)

    return MatrixPlan(one, other, last, network.bias**2, bulk, Layered(layered))


def _layered(
    tables: KernelTables,
    source: Source,
    network: Network,
    states: tuple[RowState, RowState],
    padded: tuple[FloatArray, FloatArray],
    last: Weights,
) -> TilePlan:
    """Roads are chosen layer by layer, along a sample of pairs that shows where most angles lie."""
    left, right = states
    dtype = padded[0].dtype
    used = (
        tables.kappa.direct,
        *(() if tables.kappa_dot is None or not network.tangent else (tables.kappa_dot.direct,)),
    )
    tabled = any(isinstance(table, ThetaTable) for table in used)
    angular = not source.exact or tabled
    # power series are read at rho itself: they know its sign
    folds = tabled or not isinstance(source, CompiledSource)
    parity = tables.parity if angular and folds and network.depth > 1 else "none"
    sample = _Sample.of(left, right, _SAMPLED, parity != "none")
    roads: list[Road] = []
    for index in range(network.depth):
        one, other = left.layers[index], right.layers[index]
        side = Side(one.scales, one.powers)
        across = side if right is left else Side(other.scales, other.powers)
        roads.append(source.road(side, across, sample.bulk(), network.tangent, dtype))
        if index + 1 < network.depth:
            sample = sample.after(source, left, right, index, network.bias)
    return TilePlan(
        tangent=network.tangent,
        angular=angular,
        parity=parity,
        left=padded[0],
        right=padded[1],
        left_inputs=left.inputs,
        right_inputs=right.inputs,
        layers=bind_layers(left, right, tuple(roads[:-1]), dtype),
        final=roads[-1],
        last=last,
        offset=network.bias**2,
        near=_near_pairs(source, network, left, right),
    )


def _near_pairs(source: Source, network: Network, left: RowState, right: RowState) -> NearPairs | None:
    if network.depth == 1 or not isinstance(source, ClosedSource) or not source.pairs.jumps:
        return None
    return NearPairs(source.pairs, left.layers[0].scales, right.layers[0].scales)


@dataclass(frozen=True, slots=True)
class _Sample:
    """Angles between a few rows of either side, evenly spaced."""

    rows: np.ndarray[tuple[int], np.dtype[np.intp]]
    columns: np.ndarray[tuple[int], np.dtype[np.intp]]
    theta: DoubleArray
    folded: bool

    @classmethod
    def of(cls, left: RowState, right: RowState, count: int, folded: bool) -> _Sample:
        rows, columns = _spaced(len(left.last), count), _spaced(len(right.last), count)
        # not a matrix product: BLAS would start threads for it, which keep a core busy for a while when they are done
        rho = np.einsum("ik,jk->ij", left.unit[rows], right.unit[columns], dtype=np.float64)
        return cls(rows, columns, np.arccos(np.clip(rho, -1.0, 1.0)), folded)

    def bulk(self, widen: float = _WIDEN) -> tuple[float, float]:
        """The range of most angles, widened on either side by this share of it."""
        theta = np.minimum(self.theta, np.pi - self.theta) if self.folded else self.theta
        apart = theta[theta > _PARALLEL]
        if not apart.size:
            return 0.0, np.pi
        low, high = float(apart.min()), float(apart.max())
        more = max(widen * (high - low), 0.02)
        return max(low - more, 0.0), min(high + more, 0.5 * np.pi if self.folded else np.pi)

    def after(self, source: Source, left: RowState, right: RowState, index: int, bias: float) -> _Sample:
        """The angles after hidden layer `index`."""
        one, other = left.layers[index], right.layers[index]
        phi, psi = one.angles[self.rows, None], other.angles[self.columns]
        with np.errstate(all="ignore"):
            tau = source.sample(one.scales[self.rows], other.scales[self.columns], self.theta)
        rho = np.cos(phi) * np.cos(psi) * tau + np.sin(phi) * np.sin(psi)
        theta = np.arccos(np.clip(np.nan_to_num(rho), -1.0, 1.0))
        return _Sample(self.rows, self.columns, theta, self.folded)


def _spaced(count: int, most: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    spaced: np.ndarray[tuple[int], np.dtype[np.intp]] = np.unique(
        np.linspace(0, count - 1, min(count, most)).astype(np.intp)
    )
    return spaced
