# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""One tile of a kernel matrix: from unit rows through every layer, in one thread's scratch memory.

A tile is small enough to stay in its core's caches, and its matrix product is a stack of products
small enough that no BLAS starts threads of its own inside ours.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ._bulk import SIDE, Box, Bulk, boxes
from ._evaluation import Scratch
from ._gaps import gaps
from ._inputs import DoubleArray, FloatArray, Indices
from ._lowrank import MixedRoad
from ._neartable import probed_share
from ._roads import Job, Pairs
from ._tileplan import Layer, MatrixPlan, NearPairs, TilePlan

#: A megabyte a tile. Operations on less than half of that leave threads waiting for the interpreter's lock, and
#: a power of two of columns would put a tile's columns into the same places of the cache.
TILE_ROWS = 256
TILE_COLUMNS = {np.dtype(np.float64): 480, np.dtype(np.float32): 992}

#: Depth of the small products: 32 * 32 * 256 multiplications are below the size from which OpenBLAS starts
#: threads, and large enough to run at the speed of one large product.
_INNER = 256

#: Pairs with 1 - |rho| below this are recomputed from x - y (or x + y): there arccos(rho) has lost
#: more digits than the dtype's goal allows. Its error is eps / sqrt(2 (1 - |rho|)).
_CLOSE = {np.dtype(np.float64): 1e-4, np.dtype(np.float32): 1e-2}

#: Numbers gathered at a time when close pairs are recomputed, and multiplications a product at most.
_GATHER = 2**18

#: With more than one pair in this many outside the range of the polynomial, all of a tile's go layer by layer.
_MANY = 8

#: Entries of the bundles' small products.
_SPAN = 1024

#: With more than one close pair in this many, all of a tile's are recomputed at once about its centre.
_CROWDED = 32


def _product(plan: MatrixPlan | TilePlan, job: Job, scratch: Scratch) -> FloatArray:
    """rho of the tile's pairs: a stack of small matrix products, zero rows included."""
    top, bottom, left, right = job
    rows, columns = -(-(bottom - top) // SIDE) * SIDE, -(-(right - left) // SIDE) * SIDE
    d = plan.left.shape[1]
    one = plan.left[top : top + rows].reshape(rows // SIDE, 1, SIDE, d)
    other = plan.right[left : left + columns].reshape(1, columns // SIDE, SIDE, d)
    rho = scratch.get("rho", (rows, columns))
    stacked = rho.reshape(rows // SIDE, SIDE, columns // SIDE, SIDE).swapaxes(1, 2)
    pieces = -(-d // _INNER)
    for index in range(pieces):
        part = slice(index * d // pieces, (index + 1) * d // pieces)
        target = stacked
        if index:
            target = scratch.get("value", rho.shape).reshape(rho.shape[0] // SIDE, SIDE, -1, SIDE).swapaxes(1, 2)
        np.matmul(one[..., part], other[..., part].swapaxes(2, 3), out=target)
        if index:
            np.add(rho, scratch.get("value", rho.shape), out=rho)
    return rho


def _angles(
    plan: TilePlan, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], sign: DoubleArray
) -> DoubleArray:
    """The angle between x and sign * y of chosen pairs, all small, with a small relative error; 0 for zero rows.

    With d = x - y and s = x + y the parallelogram's area is |x| |y| sin(theta) = |s| |d - s <d, s> / <s, s>| / 2,
    where d of nearly equal rows is exact.
    """
    result = np.zeros(sign.shape)
    step = max(1, _GATHER // plan.left.shape[1])
    for start in range(0, sign.size, step):
        part = slice(start, start + step)
        x, y = plan.left_inputs.gather(rows[part]), plan.right_inputs.gather(columns[part])
        y *= sign[part, None]
        lengths = np.sqrt(np.einsum("ij,ij->i", x, x) * np.einsum("ij,ij->i", y, y))
        total = x + y
        np.subtract(x, y, out=x)
        square = np.einsum("ij,ij->i", total, total)
        x -= total * (np.einsum("ij,ij->i", x, total) / square)[:, None]
        sine = np.sqrt(square * np.einsum("ij,ij->i", x, x)) / (2.0 * lengths)
        result[part] = np.arcsin(np.minimum(sine, 1.0))
    return result


def _log_ratios(
    plan: TilePlan, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], rounded: DoubleArray
) -> DoubleArray:
    """log(s_i / s_j) before the first layer, from <x - y, x + y> = |x|^2 - |y|^2; `rounded` where it is not small."""
    result = np.empty(rows.shape)
    step = max(1, _GATHER // plan.left.shape[1])
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        x = plan.left_inputs.gather(rows[part])
        # one scale for both, so that the difference is exact
        y = plan.right_inputs.gather(columns[part], plan.left_inputs.scale[rows[part]])
        with np.errstate(all="ignore"):
            change = np.einsum("ij,ij->i", x - y, x + y) / np.einsum("ij,ij->i", y, y)
            result[part] = np.where(np.abs(change) < 0.5, 0.5 * np.log1p(change), rounded[part])
    return result


def _centred_gaps(plan: TilePlan, job: Job) -> tuple[DoubleArray, float]:
    """1 - rho of a tile in float64 by products about the mean of its rows, and the size down to which it is good.

    With unit rows u = c + v, 1 - <u, u'> = |v|^2 / 2 + |v'|^2 / 2 - <v, v'>, whose rounding error is of
    the size of |v|^2: inputs that share a large part (a bias, a mean) lose nothing to it.
    """
    x = plan.left_inputs.gather(np.arange(job[0], job[1]))
    y = plan.right_inputs.gather(np.arange(job[2], job[3]))
    for rows in (x, y):
        rows /= np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), np.finfo(np.float64).tiny)[:, None]
    centre = x.mean(axis=0)
    x -= centre
    y -= centre
    x_half, y_half = 0.5 * np.einsum("ij,ij->i", x, x), 0.5 * np.einsum("ij,ij->i", y, y)
    gaps: DoubleArray = np.add.outer(x_half, y_half)
    step = max(1, _GATHER // x.size)
    for start in range(0, len(y), step):
        gaps[:, start : start + step] -= x @ y[start : start + step].T
    spread = float(x_half.max()) + float(y_half.max())
    resolution = 1e-4 if plan.left.dtype == np.float64 else 1e-12
    return gaps, resolution * spread * spread


def _close_angles(
    plan: TilePlan, job: Job, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], sign: DoubleArray, entries: int
) -> DoubleArray:
    """The angles of a tile's close pairs: one by one where they are few."""
    if rows.size * _CROWDED < entries:
        return _angles(plan, rows + job[0], columns + job[2], sign)
    gaps, floor = _centred_gaps(plan, job)
    gap = gaps[rows, columns]
    angles: DoubleArray = 2.0 * np.arcsin(np.sqrt(0.5 * np.clip(gap, 0.0, 2.0)))
    rest = np.flatnonzero((sign < 0.0) | (gap <= floor))
    angles[rest] = _angles(plan, rows[rest] + job[0], columns[rest] + job[2], sign[rest])
    return angles


def _first_pairs(
    plan: TilePlan, rho: FloatArray, angles: Callable[[Indices, DoubleArray], DoubleArray], scratch: Scratch
) -> Pairs:
    """The pairs at the inputs; nearly parallel and antiparallel ones from their differences.

    `angles` of the pairs at these places of `rho`, to x or, where the sign is -1, to -x.
    """
    if not plan.angular:
        return Pairs(rho, rho, rho, None, rho)
    theta, gap = scratch.get("theta", rho.shape), scratch.get("gap", rho.shape)
    folded = plan.parity != "none"
    magnitude = np.abs(rho, out=gap)
    close = np.flatnonzero(magnitude > 1.0 - _CLOSE[rho.dtype])
    np.arccos(magnitude if folded else rho, out=theta)
    if plan.layers:
        np.subtract(1.0, magnitude if folded else rho, out=gap)
    if close.size:
        flat = rho.reshape(-1)
        sign = np.copysign(1.0, flat[close]).astype(np.float64)
        angle = angles(close, sign)
        small = 2.0 * np.sin(0.5 * angle) ** 2
        flat[close] = sign * (1.0 - small)
        far = (sign < 0.0) & (not folded)
        theta.reshape(-1)[close] = np.where(far, np.pi - angle, angle)
        if plan.layers:
            gap.reshape(-1)[close] = np.where(far, 2.0 - small, small)
    if not plan.layers:
        return Pairs(rho, theta, gap, None, rho)
    pairs = _start_ratio(plan, rho, theta, gap, scratch)
    pairs.close = close if close.size and plan.near is not None else None
    return pairs


def _start_ratio(plan: TilePlan, rho: FloatArray, theta: FloatArray, gap: FloatArray, scratch: Scratch) -> Pairs:
    """The state before a hidden layer that is not the last: Theta_0 / (s_i s_j) = rho."""
    ratio = scratch.get("ratio", rho.shape)
    if plan.parity == "even":
        # an even kappa, an odd kappa_dot: the two signs of kappa_dot(rho) * rho cancel
        np.abs(rho, out=rho)
    np.copyto(ratio, rho)
    sign = None
    if plan.parity == "odd":
        sign = scratch.get("sign", rho.shape)
        np.copysign(1.0, rho, out=sign)
    return Pairs(rho, theta, gap, sign, ratio)


def _outputs(plan: TilePlan, pairs: Pairs, scratch: Scratch) -> tuple[FloatArray, FloatArray | None]:
    """Where a road writes its value, and its slope for the NTK."""
    value = scratch.get("value", pairs.rho.shape)
    return value, scratch.get("slope", pairs.rho.shape) if plan.tangent else None


def _ratio_step(layer: Layer, pairs: Pairs, slope: FloatArray, job: Job) -> None:
    """ratio = cos phi_i cos phi_j (slope of the pair) ratio, before rho' is added."""
    layer.cosines.apply(slope, job, layer.road.gain / layer.road.unit)
    np.multiply(pairs.ratio, slope, out=pairs.ratio)


def _power_layer(plan: TilePlan, layer: Layer, pairs: Pairs, job: Job, scratch: Scratch) -> Pairs:
    """One hidden layer where kappa and kappa_dot are analytic in rho on [-1, 1]."""
    rho = pairs.rho
    ratio = scratch.get("ratio", rho.shape)
    if pairs.ratio is rho:
        np.copyto(ratio, rho)
    after = Pairs(rho, rho, rho, None, ratio)
    value, slope = _outputs(plan, pairs, scratch)
    layer.road.read(after, job, value, slope, scratch)
    if slope is not None:
        _ratio_step(layer, after, slope, job)
    layer.cosines.apply(value, job, 1.0 / layer.road.unit)
    np.copyto(rho, value)
    if layer.half_left is not None and layer.half_right is not None:
        columns = layer.half_right[job[2] : job[3]]
        rows = layer.half_left[job[0] : job[1]]
        part = rho[: rows.size, : columns.size]
        np.add(part, np.multiply.outer(np.sin(2.0 * rows), np.sin(2.0 * columns)), out=part)
    elif layer.half:
        np.add(rho, np.sin(2.0 * layer.half) ** 2, out=rho)
    if plan.tangent:
        np.add(ratio, rho, out=ratio)
    return after


def _turn(layer: Layer, tile: FloatArray, job: Job, opposite: bool) -> None:
    """tile += 2 sin((phi_i - phi_j) / 2)^2, or with phi_i + phi_j where `opposite`."""
    if layer.half_left is None or layer.half_right is None:
        if opposite and layer.half:
            np.add(tile, 2.0 * np.sin(2.0 * layer.half) ** 2, out=tile)
        return
    rows, columns = layer.half_left[job[0] : job[1]], layer.half_right[job[2] : job[3]]
    part = tile[: rows.size, : columns.size]
    angle = np.add.outer(rows, columns) if opposite else np.subtract.outer(rows, columns)
    np.sin(angle, out=angle)
    np.multiply(angle, angle, out=angle)
    np.multiply(angle, 2.0, out=angle)
    np.add(part, angle, out=part)


def _angular_layer(plan: TilePlan, layer: Layer, pairs: Pairs, job: Job, scratch: Scratch) -> Pairs:
    """One hidden layer where theta matters: 1 - |rho'| from kappa(1) - kappa(rho), theta' from it."""
    gap, slope = _outputs(plan, pairs, scratch)
    layer.road.read_drop(pairs, job, gap, slope, scratch)
    if pairs.close is not None and plan.near is not None:
        _mend_gaps(plan, plan.near, pairs, pairs.close, gap, job)
        pairs.close = None
    if slope is not None:
        _ratio_step(layer, pairs, slope, job)
    sign, biased = pairs.sign, layer.half_left is not None or layer.half != 0.0
    if sign is not None and biased:
        gap = _signed_gap(layer, gap, sign, job, scratch)
    else:
        layer.cosines.apply(gap, job, 1.0 / layer.road.unit)
        _turn(layer, gap, job, opposite=False)
    np.copyto(pairs.gap, gap)
    np.subtract(1.0, gap, out=pairs.rho)
    if sign is not None:
        np.multiply(pairs.rho, sign, out=pairs.rho)
    np.multiply(gap, 0.5, out=pairs.theta)
    np.maximum(pairs.theta, 0.0, out=pairs.theta)
    np.sqrt(pairs.theta, out=pairs.theta)
    np.arcsin(pairs.theta, out=pairs.theta)
    np.multiply(pairs.theta, 2.0, out=pairs.theta)
    if plan.tangent:
        np.add(pairs.ratio, pairs.rho, out=pairs.ratio)
    return pairs


def _mend_gaps(plan: TilePlan, near: NearPairs, pairs: Pairs, close: Indices, gap: FloatArray, job: Job) -> None:
    """gap of the rows that are nearly parallel at the inputs, from their differences."""
    rows, columns = np.divmod(close, gap.shape[1])
    first, second = rows + job[0], columns + job[2]
    one, other = near.left[first], near.right[second]
    apart = _log_ratios(plan, first, second, np.log(one / other))
    theta, tau = pairs.theta[rows, columns].astype(np.float64), 1.0 - gap[rows, columns].astype(np.float64)
    gap[rows, columns] = gaps(near.pairs, one, other, theta, tau, apart)


def _signed_gap(layer: Layer, drop: FloatArray, sign: FloatArray, job: Job, scratch: Scratch) -> FloatArray:
    """1 - |rho'| and the new sign, for an odd kappa with a bias: both 1 - rho' and 1 + rho' are formed."""
    below, above = scratch.get("slope", drop.shape), drop
    np.subtract(2.0 * layer.road.unit, drop, out=below)
    negative = sign < 0.0
    upper = np.where(negative, below, above)
    lower = np.where(negative, above, below)
    for tile, opposite in ((upper, False), (lower, True)):
        layer.cosines.apply(tile, job, 1.0 / layer.road.unit)
        _turn(layer, tile, job, opposite)
    np.copysign(1.0, lower - upper, out=sign)
    np.minimum(upper, lower, out=drop)
    return drop


def evaluate_tile(plan: MatrixPlan, job: Job, scratch: Scratch) -> FloatArray:
    """K_L or Theta_L on rows job[0]:job[1] and columns job[2]:job[3] (padding beyond them is undefined).

    On the diagonal of rows with themselves, which has moments of its own, it is undefined too.
    """
    if plan.bulk is None:
        layered = plan.layered(_prepare)
        return _by_layers(layered, job, _product(layered, job, scratch), scratch)
    rho = _product(plan, job, scratch)
    rows, columns = plan.bulk.outside(rho, job)
    if not rows.size:
        return _most_pairs(plan, plan.bulk, job, rho, scratch)
    layered = plan.layered(_prepare)
    if layered.uniform:
        if rows.size * _MANY > rho.size:
            return _by_layers(layered, job, rho, scratch)
        single = _single_pairs(layered, rows + job[0], columns + job[2], rho[rows, columns])
        value = _most_pairs(plan, plan.bulk, job, rho, scratch)
        value[rows, columns] = single
        return value
    parts = boxes(rows, columns, rho.shape[1], rho.size)
    if parts is None:
        return _by_layers(layered, job, rho, scratch)
    value = _most_pairs(plan, plan.bulk, job, rho, scratch)
    for part in parts:
        _again(layered, job, part, value, scratch)
    return value


def _prepare(plan: TilePlan) -> None:
    """Let the layers make their tables of parts that are spread over the matrix.

    Threads take tiles in no order, on which no result may depend.
    """
    roads = [road for road in (*(layer.road for layer in plan.layers), plan.final) if isinstance(road, MixedRoad)]
    if not any(road.unsettled for road in roads):
        return
    rows, columns = roads[0].left.size, roads[0].right.size
    width = min(columns, TILE_COLUMNS[plan.left.dtype])
    count = max(1, int(probed_share(rows * columns) * rows * columns) // (SIDE * width))
    scratch = Scratch(SIDE * (width + SIDE), plan.left.dtype)
    for index in range(count):
        # multiples of an irrational number fill the matrix evenly
        across = math.fmod((index + 0.5) * math.sqrt(2.0), 1.0)
        top, left = int((index + 0.5) / count * max(0, rows - SIDE)), int(across * (columns - width))
        job = (top, min(top + SIDE, rows), left, left + width)
        _by_layers(plan, job, _product(plan, job, scratch), scratch)
    for road in roads:
        road.settle()


def _most_pairs(plan: MatrixPlan, bulk: Bulk, job: Job, rho: FloatArray, scratch: Scratch) -> FloatArray:
    """The whole network as one polynomial."""
    value = bulk.evaluate(rho, job, scratch)
    weighted = plan.last.left is not None
    if weighted and bulk.left is None:
        plan.last.apply(value, job)
    # where one weight serves all rows, it and the offset are in the coefficients
    if plan.offset and (weighted or bulk.left is not None):
        np.add(value, plan.offset, out=value)
    return value


def _single_pairs(plan: TilePlan, rows: Indices, columns: Indices, rho: FloatArray) -> FloatArray:
    """Single pairs layer by layer, where no layer depends on the rows: (k,)."""
    count = rows.size
    # a whole number of the small products' spans; what is beyond is not used, and 0 is not evaluated apart
    padded = np.zeros((1, -(-count // _SPAN) * _SPAN), rho.dtype)
    padded[0, :count] = rho

    def angles(close: Indices, sign: DoubleArray) -> DoubleArray:
        return _angles(plan, rows[close], columns[close], sign)

    scratch = Scratch(padded.size, padded.dtype)
    pairs = _first_pairs(plan, padded, angles, scratch)
    value = _through(plan, pairs, (0, 1, 0, count), scratch)[0, :count]
    if plan.last.left is not None and plan.last.right is not None:
        value = value * plan.last.left[rows] * plan.last.right[columns]
    return value * plan.last.factor + plan.offset


def _again(plan: TilePlan, job: Job, box: Box, value: FloatArray, scratch: Scratch) -> None:
    """Part of a tile layer by layer."""
    # a small product needs SIDE whole rows of either side
    top = min(job[0] + box[0], len(plan.left) - SIDE)
    left = min(job[2] + box[2], len(plan.right) - SIDE)
    part = (top, job[0] + box[1], left, job[2] + box[3])
    rho = _product(plan, part, scratch)
    # what is around the box is not asked for; 0 is near nothing that is evaluated apart
    rho[part[1] - top :] = 0.0
    rho[:, part[3] - left :] = 0.0
    again = _by_layers(plan, part, rho, scratch)
    inner = again[job[0] + box[0] - top : part[1] - top, job[2] + box[2] - left : part[3] - left]
    value[box[0] : box[1], box[2] : box[3]] = inner


def _by_layers(plan: TilePlan, job: Job, rho: FloatArray, scratch: Scratch) -> FloatArray:
    """The network layer by layer."""

    def angles(close: Indices, sign: DoubleArray) -> DoubleArray:
        rows, columns = np.divmod(close, rho.shape[1])
        return _close_angles(plan, job, rows, columns, sign, rho.size)

    value = _through(plan, _first_pairs(plan, rho, angles, scratch), job, scratch)
    plan.last.apply(value, job)
    if plan.offset:
        np.add(value, plan.offset, out=value)
    return value


def _through(plan: TilePlan, pairs: Pairs, job: Job, scratch: Scratch) -> FloatArray:
    """K_L or Theta_L without the rows' weights and b^2."""
    step = _angular_layer if plan.angular else _power_layer
    for layer in plan.layers:
        pairs = step(plan, layer, pairs, job, scratch)
    value, slope = _outputs(plan, pairs, scratch)
    plan.final.read(pairs, job, value, slope, scratch)
    if pairs.sign is not None and plan.final.folded:
        np.multiply(value, pairs.sign, out=value)
    if slope is not None:
        np.multiply(slope, pairs.ratio, out=slope)
        if plan.final.gain != 1.0:
            np.multiply(slope, plan.final.gain, out=slope)
        np.add(value, slope, out=value)
    return value
