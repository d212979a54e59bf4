# Part of the runtime that kernelc copies, unchanged, into every module it generates with the cupy backend.
"""Feature maps on a device: drawn on the host from the seed, their tables moved once, applied by matrix products and
kernels of `_sketch.cu`.

The same draws as for NumPy arrays, so the same features up to rounding. Everything is launched on the current stream;
what the host waits for are the norms that come with the rows. A row's coefficients, all that depends on its norm, are
one product of interpolation weights with one table. Part of generated packages with the cupy backend, copied verbatim;
it needs NumPy and CuPy.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import cupy
import numpy as np

from ._device import SINGLE, THREADS
from ._device_rows import DeviceRows, Hashed, row_norms, sketch_kernel
from ._features import Drawing
from ._harmonics import HarmonicBlock
from ._inputs import DoubleArray
from ._polysketch import PolySketchMap, children
from ._powers import PowerMap
from ._radial import RadialSeries
from ._tensorsketch import TensorSketchMap
from ._transforms import hadamard_order
from ._zonal import ZonalMap, clip_limit

#: Rows' numbers on the device, and how far apart they are: 0 where all rows share one.
Facts = tuple[Any, np.int32]

#: Entries of the widest work array.
_WORK = 2**26
#: Rows whose own kernel values are taken together.
_OWN_ROWS = 128


def device_map(drawing: Drawing) -> DeviceMap:
    """What takes rows on the current device to features."""
    if drawing.landmarks is not None:
        return _Nystrom(drawing)
    if isinstance(drawing.drawn, ZonalMap):
        return _Zonal(drawing, drawing.drawn)
    if isinstance(drawing.drawn, PolySketchMap):
        return _PolySketch(drawing, drawing.drawn)
    assert isinstance(drawing.drawn, TensorSketchMap)
    return _TensorSketch(drawing, drawing.drawn)


class _Facts:
    """The columns of one table over the nodes of the norms, by which every row has its numbers."""

    def __init__(self, series: RadialSeries, columns: list[DoubleArray]) -> None:
        self._series = series
        # last, log g where that depends on the norm
        columns = [*columns, np.zeros(len(series.norms)) if series.logs is None else series.logs]
        self._table = cupy.asarray(np.ascontiguousarray(np.array(columns).T.reshape(len(series.norms), -1)))
        count = len(series.norms)
        angle = (2.0 * np.arange(count) + 1.0) * math.pi / (2.0 * count)
        nodes = series.norms if series.linear else np.log(series.norms + series.shift)
        signs = np.where(np.arange(count) % 2, -1.0, 1.0) * np.sin(angle)
        self._nodes, self._signs = cupy.asarray(nodes), cupy.asarray(signs)

    def at(self, norms: Any) -> Facts:
        """(facts, stride) as the kernels read them, of rows of these norms (n,) on the device."""
        series, count, rows = self._series, len(self._series.norms), len(norms)
        if count == 1:
            return self._table, np.int32(0)
        weights = cupy.empty((rows, count), np.float64)
        numbers = (np.float64(series.low), np.float64(series.high), np.float64(series.shift), np.int32(series.linear))
        arguments = (norms, np.int32(rows), self._nodes, self._signs, np.int32(count), *numbers, weights)
        grid = (-(-rows // THREADS),)
        sketch_kernel("radial_weights", np.dtype(np.float64))(grid, (THREADS,), arguments)
        return cupy.matmul(weights, self._table), np.int32(self._table.shape[1])

    def scale(self, norms: Any, facts: Facts) -> Any:
        """g of each norm (n,), where it is known by its logarithm."""
        series, rows, scale = self._series, len(norms), cupy.empty(len(norms), np.float64)
        place = np.int32(self._table.shape[1] - 1)
        numbers = (np.float64(series.low), np.float64(series.high), np.float64(series.order))
        arguments = (norms, np.int32(rows), *facts, place, *numbers, scale)
        sketch_kernel("growths", np.dtype(np.float64))((-(-rows // THREADS),), (THREADS,), arguments)
        return scale


class DeviceMap(ABC):
    """A map with its tables on a device."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing, self._dtype = drawing, drawing.dtype
        self._features, self._series = drawing.planned.features, drawing.series
        # interpolation at every norm is work for the device, unless a result may have to be refused
        self._grown = self._series.logs is not None and not self._series.overflows(self._dtype)

    def transform(self, rows: DeviceRows, start: int, stop: int) -> Any:
        """The features (stop - start, features) of rows start..stop - 1.

        Raises:
            ValueError: naming x, for norms out of the plan's range.
        """
        known, scale = rows.known[start:stop], None
        if self._grown:
            self._series.require("x", known, start)
        else:
            scale = cupy.asarray(self._series.scales("x", known, self._dtype, start))
        make = cupy.empty if self._full() else cupy.zeros
        out = make((stop - start, self._features), self._dtype)
        for first, last in self._pieces(stop - start):
            part = None if scale is None else scale[first:last]
            self._fill(rows, (start + first, start + last), part, out[first:last])
        return out

    def nugget(self, rows: DeviceRows) -> Any:
        """What features lack of the kernel of each row with itself, (n,) float64."""
        planned, count = self._drawing.planned, rows.shape[0]
        scale = self._series.scales("x", rows.known, np.dtype(np.float64))
        positions = rows.known
        if planned.centre is not None:
            pieces = [self._located(rows, place)[1].get() for place in self._pieces(count)]
            positions = np.concatenate(pieces)
        return cupy.asarray(planned.source.nugget(planned.series.weights(positions)) * scale**2)

    def _pieces(self, count: int) -> Iterator[tuple[int, int]]:
        step = max(1, _WORK // max(1, self._width()))
        return ((first, min(first + step, count)) for first in range(0, count, step))

    def _located(self, rows: DeviceRows, place: tuple[int, int]) -> tuple[Any, Any]:
        """(directions, what the facts depend on) of rows."""
        return rows.unit(*place), rows.norms[place[0] : place[1]]

    @abstractmethod
    def _width(self) -> int:
        """Columns of the widest work array."""

    @abstractmethod
    def _full(self) -> bool:
        """Whether every column of the result is written."""

    @abstractmethod
    def _fill(self, rows: DeviceRows, place: tuple[int, int], scale: Any, out: Any) -> None:
        """The features of rows place[0]..place[1] - 1 into out, zero where it is not written.

        scale: g of each row; None where the map is to find it.
        """


class _Nystrom(DeviceMap):
    """The exact kernel against landmarks."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__(drawing)
        assert drawing.landmarks is not None
        self._landmarks = cupy.asarray(drawing.landmarks.landmarks.astype(self._dtype))
        self._root = cupy.asarray(drawing.landmarks.root.astype(self._dtype))

    def nugget(self, rows: DeviceRows) -> Any:
        """As for the other maps, from the exact kernel."""
        fitted, result = self._drawing.landmarks, np.empty(rows.shape[0])
        assert fitted is not None
        landmarks, root = cupy.asarray(fitted.landmarks), cupy.asarray(fitted.root)
        for start in range(0, rows.shape[0], _OWN_ROWS):
            part = slice(start, min(start + _OWN_ROWS, rows.shape[0]))
            block = rows.plain(part.start, part.stop).astype(np.float64)
            own = np.diagonal(self._drawing.matrix(block, None).get())
            mapped = cupy.matmul(self._drawing.matrix(block, landmarks), root).get()
            result[part] = np.maximum(own - np.einsum("ij,ij->i", mapped, mapped), 0.0)
        return cupy.asarray(result)

    def _width(self) -> int:
        return len(self._landmarks)

    def _full(self) -> bool:
        full: bool = len(self._landmarks) == self._features
        return full

    def _fill(self, rows: DeviceRows, place: tuple[int, int], scale: Any, out: Any) -> None:
        matrix = self._drawing.matrix(rows.plain(*place), self._landmarks)
        cupy.copyto(out[:, : len(self._landmarks)], cupy.matmul(matrix, self._root))


class _Explicit:
    """The exact block of a map: monomials less their traces, each times a factor of the row's norm."""

    def __init__(self, exact: list[tuple[HarmonicBlock, DoubleArray]]) -> None:
        terms, numbers = [], []
        self.columns: list[DoubleArray] = []
        for block, factors in exact:
            made = block.terms()
            count = len(made.index)
            for factor in factors:
                place = np.full((count, 4), -1)
                place[:, : block.degree] = made.index
                place[:, 3] = len(self.columns)
                terms.append(place)
                numbers.append(np.column_stack([made.weight, made.constant, made.traces]))
                self.columns.append(factor)
        self.count = sum(map(len, terms))
        self.dense = any(block.degree for block, _ in exact)
        self._terms = cupy.asarray(np.concatenate(terms).astype(np.int32))
        self._numbers = cupy.asarray(np.concatenate(numbers))

    def fill(self, unit: Any, facts: Facts, scale: Any, out: Any) -> None:
        """Into the first columns of out."""
        columns = np.int32(unit.shape[1])
        tables = (self._terms, self._numbers, np.int32(self.count))
        arguments = (unit, columns, *tables, *facts, scale, out, np.int32(out.shape[1]))
        sketch_kernel("harmonics", out.dtype)((len(out),), (THREADS,), arguments)


def _longest(dtype: np.dtype[Any]) -> int:
    """As in `_sketch.cu`: the entries of a transform that a block holds."""
    return 8192 if dtype == SINGLE else 4096


def _padded(rows: Any, signs: Any, blocks: int, length: int) -> Any:
    """(n, blocks * length): each row once a block, times the block's signs, with zeros behind it."""
    count, columns = rows.shape
    out = cupy.empty((count, blocks * length), rows.dtype)
    arguments = (rows, np.int32(columns), signs, np.int32(blocks), np.int32(length), out)
    sketch_kernel("padded", rows.dtype)((count,), (THREADS,), arguments)
    return out


def _transformed(rows: Any, length: int, signs: Any = None) -> None:
    """Hadamard's transform in natural order of every `length` entries, in place; times a row's `signs` first."""
    piece = min(length, _longest(rows.dtype))
    given = (rows, np.int32(0)) if signs is None else (signs, np.int32(rows.shape[1]))
    grid = (rows.size // piece,)
    sketch_kernel("hadamard", rows.dtype)(grid, (THREADS,), (rows, np.int32(piece), *given))
    while piece < length:
        arguments = (rows, np.uint64(rows.size // 2), np.uint64(piece))
        grid = (-(-rows.size // (2 * THREADS)),)
        sketch_kernel("hadamard_step", rows.dtype)(grid, (THREADS,), arguments)
        piece *= 2


class _Zonal(DeviceMap):
    """A zonal sketch: one product, or two transforms in the kernel that evaluates the polynomials."""

    def __init__(self, drawing: Drawing, drawn: ZonalMap) -> None:
        super().__init__(drawing)
        self._explicit = _Explicit(drawn.exact)
        self._hashed = None if drawing.hashed is None else Hashed.of(drawing.hashed)
        centre = drawing.planned.centre
        self._reflector = None if centre is None else cupy.asarray(centre.reflector)
        columns = list(self._explicit.columns)
        kept = (len(columns), len(drawn.leading))
        columns += list(drawn.leading)
        places = []
        for channel in drawn.channels:
            terms = channel.coefficients.shape[1]
            places += [int(channel.odd), int(channel.powers), terms, len(columns)]
            columns += list(channel.coefficients.T)
        self._facts = _Facts(drawing.planned.series, columns)
        self._count = drawn.directions * len(drawn.channels)
        self._directions = drawn.directions
        if self._count:
            self._move(drawn, kept, places)

    def _move(self, drawn: ZonalMap, kept: tuple[int, int], places: list[int]) -> None:
        """The tables of the sketched block."""
        dimension, count = drawn.design.dimension, drawn.directions
        self._length = 0 if drawn.flips is None else dimension
        self._fast = drawn.flips is not None and dimension <= _longest(self._dtype)
        nothing = cupy.zeros(1, self._dtype)
        self._first = self._second = nothing
        order = np.zeros(1, np.intp)
        width = count
        if drawn.flips is None:
            self._weights = cupy.asarray(np.concatenate(drawn.weights, axis=1))
        else:
            natural = hadamard_order(dimension)
            second = np.empty_like(drawn.flips[:, 0])
            second[:, natural] = drawn.flips[:, 0]
            # moved entries before a transform are moved after it: twice in all
            order = natural[natural]
            self._first = cupy.asarray(np.ascontiguousarray(drawn.flips[:, 1]))
            self._second = cupy.asarray(second)
            self._blocks = len(second)
            width = self._blocks * dimension
        if self._fast:
            width = self._drawing.planned.source.columns
        self._order = cupy.asarray(order.astype(np.int32))
        numbers = [4.0 / clip_limit(dimension) ** 2, 1.0 / math.sqrt(count)]
        self._numbers = cupy.asarray(np.array(numbers))
        header = [count, len(places) // 4, width, self._length, self._features, int(drawn.normalise), *kept]
        self._design = cupy.asarray(np.array([*header, self._explicit.count, *places], np.int32))

    def _width(self) -> int:
        width: int = max(self._drawing.planned.source.columns, self._features, 2 * self._directions)
        return width

    def _full(self) -> bool:
        full: bool = self._explicit.count + self._count == self._features
        return full

    def _located(self, rows: DeviceRows, place: tuple[int, int]) -> tuple[Any, Any]:
        norms, count = rows.norms[place[0] : place[1]], place[1] - place[0]
        if self._hashed is not None:
            unit = rows.counted(*place, self._hashed)
            arguments = (unit, row_norms(unit), np.int32(unit.shape[1]), unit)
            sketch_kernel("directions", rows.dtype)((count,), (THREADS,), arguments)
            return unit, norms
        unit = rows.unit(*place)
        if self._reflector is None:
            return unit, norms
        columns = rows.shape[1]
        rest, angles = cupy.empty((count, columns - 1), rows.dtype), cupy.empty(count, np.float64)
        tables = (unit, self._reflector, np.int32(columns), rest, angles)
        sketch_kernel("split", rows.dtype)((count,), (THREADS,), tables)
        return rest, angles

    def _fill(self, rows: DeviceRows, place: tuple[int, int], scale: Any, out: Any) -> None:
        unit, positions = self._located(rows, place)
        facts = self._facts.at(positions)
        scale = self._facts.scale(positions, facts) if scale is None else scale
        self._explicit.fill(unit, facts, scale, out)
        if not self._count:
            return
        if not self._length:
            unit = cupy.matmul(unit, self._weights)
        elif not self._fast:
            unit = _padded(unit, self._first, self._blocks, self._length)
            _transformed(unit, self._length)
            _transformed(unit, self._length, self._second)
        tables = (self._first, self._second, self._order, self._design, self._numbers)
        arguments = (unit, *tables, *facts, scale, out)
        options = ("-DFAST=1",) if self._fast else ()
        sketch_kernel("zonal", self._dtype, *options)((len(out),), (THREADS,), arguments)


class _Powers(DeviceMap):
    """What the sketches of powers share: the exact block, and a factor of each degree."""

    def __init__(self, drawing: Drawing, drawn: PowerMap) -> None:
        super().__init__(drawing)
        self._explicit = _Explicit(drawn.exact)
        self._place, self._exact, self._top = len(self._explicit.columns), drawn.design.exact, drawn.design.top
        self._facts = _Facts(drawing.planned.series, [*self._explicit.columns, *drawn.leading])

    def _full(self) -> bool:
        return False

    def _fill(self, rows: DeviceRows, place: tuple[int, int], scale: Any, out: Any) -> None:
        norms = rows.norms[place[0] : place[1]]
        facts = self._facts.at(norms)
        scale = self._facts.scale(norms, facts) if scale is None else scale
        # without a degree above 0 nothing of the rows is read, and sparse ones stay sparse
        self._explicit.fill(rows.unit(*place) if self._explicit.dense else out, facts, scale, out)
        if self._top > self._exact:
            self._sketch(rows, place, facts, scale, out)

    @abstractmethod
    def _sketch(self, rows: DeviceRows, place: tuple[int, int], facts: Facts, scale: Any, out: Any) -> None:
        """The sketched degrees into the columns of out behind the exact block."""


class _PolySketch(_Powers):
    """The tree of `PolySketchMap`: each node's two transforms and their product."""

    def __init__(self, drawing: Drawing, drawn: PolySketchMap) -> None:
        super().__init__(drawing, drawn)
        self._drawn = drawn
        self._nodes: dict[tuple[int, int], list[tuple[Any, Any]]] = {}
        for place, node in drawn.nodes.items():
            order = hadamard_order(node.signs.shape[1])
            rows = order[node.rows].astype(np.int32)
            self._nodes[place] = [(cupy.asarray(node.signs[side]), cupy.asarray(rows[side])) for side in (0, 1)]
        self._signs = cupy.asarray(drawn.signs)
        self._sampled = cupy.asarray(hadamard_order(drawn.length)[drawn.sampled].astype(np.int32))

    def _width(self) -> int:
        width: int = max(self._features, self._drawn.length, self._drawn.leaf)
        return width

    def _sketch(self, rows: DeviceRows, place: tuple[int, int], facts: Facts, scale: Any, out: Any) -> None:
        drawn, unit = self._drawn, rows.unit(*place)
        known: dict[tuple[int, int, int], Any] = {}
        joined = cupy.zeros((len(out), drawn.length), self._dtype)
        for index, power in enumerate(drawn.powers):
            root = self._value(drawn.height, 0, power, unit, known)
            start = np.int32(index * drawn.inner)
            numbers = (*facts, np.int32(self._place + power), scale, self._signs)
            arguments = (root, np.int32(drawn.inner), *numbers, joined, np.int32(drawn.length), start)
            sketch_kernel("joined", self._dtype)((len(out),), (THREADS,), arguments)
        _transformed(joined, drawn.length)
        _sample(joined, self._sampled, 1.0, None, out, self._explicit.count)

    def _value(self, level: int, number: int, count: int, unit: Any, known: dict[tuple[int, int, int], Any]) -> Any:
        """The vector of a node with `count` > 0 x-leaves, (rows, inner)."""
        left, right = children(level, count)
        if level > 1 and not right:
            return self._value(level - 1, 2 * number, left, unit, known)
        key = (level, number, count)
        if key not in known:
            drawn, product = self._drawn, None
            length = drawn.leaf if level == 1 else drawn.inner
            for side, inside in enumerate((left, right)):
                if inside:
                    vector = unit if level == 1 else self._value(level - 1, 2 * number + side, inside, unit, known)
                    signs, rows = self._nodes[level, number][side]
                    turned = _padded(vector, signs, 1, length)
                    _transformed(turned, length)
                    factor = math.sqrt(1.0 / drawn.inner) if product is None else 1.0
                    made = cupy.empty((len(unit), drawn.inner), self._dtype)
                    _sample(turned, rows, factor, product, made, 0)
                    product = made
            known[key] = product
        return known[key]


def _sample(vectors: Any, rows: Any, factor: float, previous: Any, out: Any, start: int) -> None:
    """factor * previous * vectors[:, rows] into the columns of out from `start`."""
    before = (vectors, np.int32(1)) if previous is None else (previous, np.int32(0))
    given = (vectors, np.int32(vectors.shape[1]), rows, np.int32(len(rows)), np.float64(factor), *before)
    arguments = (*given, out, np.int32(out.shape[1]), np.int32(start))
    sketch_kernel("sampled", out.dtype)((len(out),), (THREADS,), arguments)


class _TensorSketch(_Powers):
    """The chain of `TensorSketchMap`: a CountSketch and a Fourier transform a degree, one transform back."""

    def __init__(self, drawing: Drawing, drawn: TensorSketchMap) -> None:
        super().__init__(drawing, drawn)
        self._length = drawn.length
        self._leaves = [Hashed.of(leaf) for leaf in drawn.leaves]
        self._every = cupy.asarray(np.arange(drawn.length, dtype=np.int32))

    def _width(self) -> int:
        width: int = max(self._features, 2 * self._length)
        return width

    def _sketch(self, rows: DeviceRows, place: tuple[int, int], facts: Facts, scale: Any, out: Any) -> None:
        product = None
        for leaf in range(len(self._leaves) - 1, -1, -1):
            transform = cupy.fft.rfft(rows.counted(*place, self._leaves[leaf]), axis=1)
            last = self._place + self._top if product is None else -1
            next_one = self._place + leaf if leaf > self._exact else -1
            product = cupy.empty_like(transform) if product is None else product
            numbers = (np.int32(last), np.int32(next_one), scale)
            arguments = (transform, np.int32(transform.shape[1]), *facts, *numbers, product)
            sketch_kernel("spectrum", self._dtype)((len(out),), (THREADS,), arguments)
        values = cupy.ascontiguousarray(cupy.fft.irfft(product, n=self._length, axis=1))
        _sample(values, self._every, 1.0, None, out, self._explicit.count)
