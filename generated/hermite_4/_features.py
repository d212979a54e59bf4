# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""`features` and `Sketch`: a planned feature map, applied to rows in blocks by several threads.

Same seed, same features: across runs, whatever blocks the rows come in, for dense and sparse rows. Part of every
generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._dispatch import device_module
from ._evaluation import KernelTables
from ._inputs import DoubleArray, FloatArray, as_depth
from ._judged import sample_pairs
from ._normseries import NormTables
from ._nystrom import NystromMap
from ._plan import Plan, Planned, Request, describe_norms, make_plan, make_request
from ._powers import PowerMap
from ._radial import RadialSeries, radial_series
from ._recentre import Centre, recentred
from ._ridge import RidgeModel, fit_ridge
from ._rows import AnyRows, CountSketch, DenseRows, DeviceSource, RowSource, as_row_source, unit_rows
from ._zonal import ZonalMap
from ._zonal_plan import FRONT_COLUMNS

#: Rows a tile: with the columns of a tile they stay in a second-level cache. Every tile is filled up to this many
#: rows, so that a row's features do not depend on the rows it comes with.
TILE_ROWS = 128
#: Rows of the data that a plan looks at, and rows at a time for the exact kernel.
_SAMPLE_ROWS, _NYSTROM_ROWS = 4096, 2048
#: Below this many entries of the result threads cost more than they bring.
_THREAD_ENTRIES = 2**18


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that takes rows of one dtype to features: the random map, or the landmarks, and how rows reach it."""

    planned: Planned
    series: RadialSeries
    drawn: ZonalMap | PowerMap | None
    hashed: CountSketch | None
    landmarks: NystromMap | None
    matrix: Callable[[Any, Any], Any]
    dtype: np.dtype[Any]


class FeatureSketch:
    """A feature map of the NNGP or NTK of `depth` hidden layers: `transform(x) @ transform(y).T` ~ the kernel.

    Args:
        kernel: "ntk" or "nngp". depth: hidden layers. features: columns of the result (default 4096), or
        epsilon: the relative error that chooses them. seed: of all randomness.
        sketch: "auto", "zonal", "polysketch" or "tensorsketch".
        pairs: what the plan is made for: "unknown" data (default), "isotropic" data (fewer degrees: better where
            the rows really point everywhere, wrong where they do not), or the "sample" that `fit` is given.
        draws: "auto", or "independent" directions (for which the variance formula is exact).
        normalise: scale each row of the sketched block to its exact length (less error; a bias of the size of the
            variance, far below the error itself).
        norms: (low, high), the norms of the inputs where the module has tables over norms; None: their whole range.
        recentre: expand about the mean direction of the rows that `fit` is given (homogeneous activations).
        nystrom: the exact kernel against rows that `fit` is given, in place of random features.
        threads: at most this many; None for the cores there are.

    Raises:
        ValueError: naming the argument. RefusedError: for an NTK that is infinite.
    """

    _tables: ClassVar[KernelTables]
    _norm_tables: ClassVar[NormTables | None] = None
    _matrices: ClassVar[Mapping[str, Callable[..., Any]]]

    def __init__(
        self,
        *,
        kernel: str = "ntk",
        depth: SupportsIndex = 1,
        features: SupportsIndex | None = None,
        epsilon: SupportsFloat | None = None,
        seed: SupportsIndex = 0,
        sketch: str = "auto",
        pairs: str = "unknown",
        draws: str = "auto",
        normalise: bool = True,
        norms: tuple[float, float] | None = None,
        recentre: bool = False,
        nystrom: bool = False,
        threads: int | None = None,
    ) -> None:
        self.kernel, self.depth, self.features, self.epsilon = kernel, depth, features, epsilon
        self.seed, self.sketch, self.pairs, self.draws = seed, sketch, pairs, draws
        self.normalise, self.norms, self.threads = normalise, norms, threads
        self.recentre, self.nystrom = recentre, nystrom
        if recentre and nystrom:
            raise ValueError("recentre, nystrom: take one of the two")
        self._series: RadialSeries = radial_series(
            self._tables, self._norm_tables, _kernel_name(kernel), as_depth("depth", depth), norms
        )
        self._request(1)
        self._planned: Planned | None = None
        self._landmarks: NystromMap | None = None
        self._maps: dict[str, Any] = {}

    def _request(self, columns: int) -> Request:
        return make_request(
            columns, self.features, self.epsilon, self.seed, self.sketch, self.draws, self.pairs, self.normalise
        )

    @property
    def plan(self) -> Plan:
        """The plan: data that is JSON-ready, and reads as text.

        Raises:
            ValueError: before `fit`.
        """
        return self._fitted().plan

    def _fitted(self) -> Planned:
        if self._planned is None:
            raise ValueError("this sketch is not fitted: call fit(x) with rows of the data it is for")
        return self._planned

    def fit(self, x: Any, y: object = None) -> Self:
        """Make the plan for rows such as those of x (n, d).

        It looks at their values with pairs="sample", recentre or nystrom alone; else only at the number of columns.

        Raises:
            ValueError: naming x, or the argument that cannot be met.
        """
        rows = as_row_source("x", x)
        request = self._request(rows.shape[1])
        self._maps = {}
        if self.nystrom:
            self._planned, self._landmarks = self._fit_nystrom(rows, request)
            return self
        self._landmarks = None
        if self.recentre:
            self._planned = self._fit_recentred(rows, request)
        elif request.pairs == "sample":
            unit, norms = self._sample(rows)
            self._planned = make_plan(self._series, request, sample_pairs(self._series, unit, norms, request.seed))
        else:
            self._planned = make_plan(self._series, request, None)
        return self

    def _sample(self, rows: AnyRows) -> tuple[DoubleArray, DoubleArray]:
        """At most 4096 unit rows spread over the data, and their norms."""
        unit, norms = unit_rows(rows.take(_spread(rows.shape[0], _SAMPLE_ROWS)))
        self._series.scales("x", norms, np.dtype(np.float64))
        return unit.astype(np.float64), norms

    def _fit_recentred(self, rows: AnyRows, request: Request) -> Planned:
        columns = rows.shape[1]
        if not 2 <= columns <= FRONT_COLUMNS or request.sketch not in ("auto", "zonal"):
            raise ValueError(f"recentre: it needs 2 to {FRONT_COLUMNS} columns and sketch='auto' or 'zonal'")
        unit, _ = self._sample(rows)
        centre = Centre.of(unit)
        directions, angles = centre.split(unit)
        series = recentred(self._series, angles)
        pairs = sample_pairs(series, directions.astype(np.float64), angles, request.seed)
        planned = make_plan(series, replace(request, columns=columns - 1, pairs="sample"), pairs)
        planned.plan.update(dim=columns, recentred=True, norms=describe_norms(self._series))
        return replace(planned, columns=columns, centre=centre)

    def _fit_nystrom(self, rows: AnyRows, request: Request) -> tuple[Planned, NystromMap]:
        if request.features is None:
            raise ValueError("nystrom: give the number of features; it is not chosen by epsilon")
        count = request.features
        sample = rows.take(_spread(rows.shape[0], count + _SAMPLE_ROWS // 8))
        landmarks = NystromMap.fitted(self._matrix, sample, count, request.seed)
        oblivious = make_plan(self._series, replace(request, sketch="auto", pairs="unknown"), None)
        plan = Plan(
            name=self._series.name,
            kernel=self._series.kernel,
            depth=self._series.depth,
            dim=rows.shape[1],
            features=count,
            sketch="nystrom",
            predicted_relative_error=landmarks.error,
            predicted_for="rows of the sample that are no landmarks (0 where there are none)",
            landmarks=len(landmarks.landmarks),
            norms=describe_norms(self._series),
            guarantee="never more than the kernel, in the order of semidefinite matrices; exact on the landmarks",
            bytes_per_point=4 * (rows.shape[1] + count),
            seed=request.seed,
        )
        return replace(oblivious, plan=plan), landmarks

    def _matrix(self, first: FloatArray, second: FloatArray | None) -> Any:
        """The exact kernel matrix."""
        return self._matrices[self._series.kernel](first, second, depth=self._series.depth)

    def transform(self, x: Any) -> Any:
        """The features of each row of x (n, d): (n, features), float32 for float32, else float64.

        Raises:
            ValueError: naming x: not fitted, other columns than fitted, norms out of the plan's range.
        """
        rows = self._checked(x)
        if isinstance(rows, DeviceSource):
            return self._on_device(rows).transform(rows, 0, rows.shape[0])
        out = np.empty((rows.shape[0], self._fitted().features), rows.dtype)
        self._fill(rows, out)
        return out

    def fit_transform(self, x: Any, y: object = None) -> Any:
        """`fit` and `transform` on the same rows."""
        return self.fit(x).transform(x)

    def blocks(self, x: Any, rows: int = 8192) -> Iterator[Any]:
        """The features of x in blocks of `rows` rows, in order: for what does not fit into memory."""
        source = self._checked(x)
        for start in range(0, source.shape[0], rows):
            stop = min(start + rows, source.shape[0])
            if isinstance(source, DeviceSource):
                yield self._on_device(source).transform(source, start, stop)
                continue
            out = np.empty((stop - start, self._fitted().features), source.dtype)
            self._fill(source, out, start)
            yield out

    def nugget(self, x: Any) -> DoubleArray:
        """For each row of x what `features` lack of the kernel of the row with itself, (n,) float64, >= 0.

        It belongs in the ridge: add it to the noise variance, as `plan["nugget"]` says for rows of unit norm.
        """
        rows = self._checked(x)
        if isinstance(rows, DeviceSource):
            return self._on_device(rows).nugget(rows)  # type: ignore[no-any-return]
        planned, result = self._fitted(), np.empty(rows.shape[0])
        for start in range(0, rows.shape[0], TILE_ROWS):
            stop = min(start + TILE_ROWS, rows.shape[0])
            if self._landmarks is not None:
                mapped = np.empty((stop - start, planned.features))
                block = rows.block(start, stop).astype(np.float64)
                self._landmarks.transform(self._matrix, block, mapped)
                own = np.array([self._matrix(row[None, :], None)[0, 0] for row in block])
                result[start:stop] = np.maximum(own - np.einsum("ij,ij->i", mapped, mapped), 0.0)
                continue
            unit, norms = unit_rows(rows.block(start, stop))
            scale = self._series.scales("x", norms, np.dtype(np.float64), start)
            result[start:stop] = planned.nugget(unit, norms) * scale**2
        return result

    def ridge(self, x: Any, y: Any, *, ridge: SupportsFloat) -> RidgeModel:
        """Kernel ridge regression of y (n,) or (n, outputs) on the rows of x with noise variance `ridge`.

        One pass over the rows, memory for one matrix of features x features; the nugget is part of the noise.

        Raises:
            ValueError: naming the argument.
        """
        return fit_ridge(self, x, y, ridge)

    def _checked(self, x: Any) -> AnyRows:
        columns = self._fitted().columns
        rows = as_row_source("x", x)
        if rows.shape[1] != columns:
            raise ValueError(f"x: expected {columns} columns as in fit, got {rows.shape[1]}")
        return rows

    def _map(self, dtype: np.dtype[Any]) -> ZonalMap | PowerMap:
        """The drawn map of one dtype, made once."""
        if dtype.char not in self._maps:
            self._maps[dtype.char] = self._fitted().draw(dtype)
        drawn: ZonalMap | PowerMap = self._maps[dtype.char]
        return drawn

    def _on_device(self, rows: DeviceSource) -> Any:
        """The same draws on the device of the rows, moved there once."""
        key = f"device {rows.device} {rows.dtype.char}"
        if key not in self._maps:
            planned = self._fitted()
            drawn = None if self._landmarks is not None else self._map(rows.dtype)
            hashed = None if planned.front is None else self._count_sketch(rows.dtype, planned.front)
            drawing = Drawing(planned, self._series, drawn, hashed, self._landmarks, self._matrix, rows.dtype)
            self._maps[key] = device_module(__package__, "_device_sketch").device_map(drawing)
        return self._maps[key]

    def _fill(self, rows: RowSource, out: FloatArray, offset: int = 0) -> None:
        """The features of rows offset.. into out, tile by tile."""
        if self._landmarks is not None:
            for start in range(0, len(out), _NYSTROM_ROWS):
                part = out[start : start + _NYSTROM_ROWS]
                block = rows.block(offset + start, offset + start + len(part))
                self._landmarks.transform(self._matrix, block, part)
            return
        drawn, tiles = self._map(out.dtype), range(0, len(out), TILE_ROWS)

        def work(start: int) -> None:
            stop = min(start + TILE_ROWS, len(out))
            with np.errstate(under="ignore"):
                self._tile(drawn, rows, offset, start, stop, out)

        _in_threads(work, tiles, out.size, self.threads)

    def _tile(
        self, drawn: ZonalMap | PowerMap, rows: RowSource, offset: int, start: int, stop: int, out: FloatArray
    ) -> None:
        if isinstance(drawn, PowerMap):
            place = (offset + start, offset + stop)
            norms = rows.norms(*place)
            scale = self._series.scales("x", norms, out.dtype, place[0])
            drawn.transform(rows, place, norms, self._series.weights(norms), scale, out[start:stop])
            return
        unit, norms = self._unit(rows, offset + start, offset + stop)
        scale = self._series.scales("x", norms, out.dtype, offset + start)
        unit, radial = self._fitted().split(unit, norms)
        missing = TILE_ROWS - len(unit)
        if not missing:
            drawn.transform(unit, radial, scale, out[start:stop])
            return
        full = np.empty((TILE_ROWS, out.shape[1]), out.dtype)
        more = ((0, missing), (0, 0))
        drawn.transform(np.pad(unit, more), np.pad(radial, more), np.pad(scale, (0, missing)), full)
        out[start:stop] = full[: stop - start]

    def _unit(self, rows: RowSource, start: int, stop: int) -> tuple[FloatArray, DoubleArray]:
        """Unit rows as the map takes them, by a CountSketch where the plan has one, and the norms of the rows."""
        buckets = self._fitted().front
        if buckets is None:
            return unit_rows(rows.block(start, stop))
        hashed = self._count_sketch(rows.dtype, buckets)
        unit = unit_rows(rows.counted(start, stop, hashed))[0]
        return unit, rows.norms(start, stop)

    def _count_sketch(self, dtype: np.dtype[Any], buckets: int) -> CountSketch:
        key = f"count {dtype.char}"
        if key not in self._maps:
            planned = self._fitted()
            self._maps[key] = CountSketch.drawn(planned.seed, 0, planned.columns, buckets, dtype)
        return self._maps[key]  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        # drawn maps are made again from the seed
        return {**self.__dict__, "_maps": {}}


def _kernel_name(kernel: str) -> Literal["nngp", "ntk"]:
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel: expected 'ntk' or 'nngp', got {kernel!r}")
    return "ntk" if kernel == "ntk" else "nngp"


def _spread(count: int, most: int) -> npt.NDArray[np.intp]:
    """At most `most` row numbers spread evenly."""
    if count <= most:
        return np.arange(count)
    return (np.arange(most) * (count / most)).astype(np.intp)


def _in_threads(work: Callable[[int], None], tiles: range, entries: int, threads: int | None) -> None:
    """Run work(start) for every tile, in as many threads as pay."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
    count = min(cores if threads is None else max(1, threads), len(tiles), max(1, entries // _THREAD_ENTRIES))
    if count <= 1:
        for start in tiles:
            work(start)
        return
    with ThreadPoolExecutor(count) as pool:
        pending = [pool.submit(work, start) for start in tiles]
        try:
            for future in pending:
                future.result()
        except BaseException:
            for future in pending:
                future.cancel()
            raise


def compute_features(
    sketch: type[FeatureSketch],
    x: Any,
    kernel: str,
    depth: SupportsIndex,
    features: SupportsIndex,
    seed: SupportsIndex,
    name: str,
) -> Any:
    """`features` of the generated package: a plan that knows the number of columns alone, applied to x."""
    rows = as_row_source("x", x)
    fitted = sketch(kernel=kernel, depth=depth, features=features, seed=seed, sketch=name)
    if isinstance(rows, DenseRows):
        return fitted.fit(rows.array).transform(rows.array)
    return fitted.fit(x).transform(x)


def compute_plan(
    tables: KernelTables,
    norms: NormTables | None,
    dim: SupportsIndex,
    *,
    features: SupportsIndex | None = None,
    epsilon: SupportsFloat | None = None,
    kernel: str = "ntk",
    depth: SupportsIndex = 1,
    sketch: str = "auto",
    seed: SupportsIndex = 0,
    pairs: str = "unknown",
    norm_range: tuple[float, float] | None = None,
) -> Plan:
    """The plan for rows of `dim` columns: what `Sketch(...).fit(x).plan` would say.

    Raises:
        ValueError: naming the argument. RefusedError: for an NTK that is infinite.
    """
    if pairs == "sample":
        raise ValueError("pairs: a sample is given to Sketch(pairs='sample').fit(x); here take unknown or isotropic")
    series = radial_series(tables, norms, _kernel_name(kernel), as_depth("depth", depth), norm_range)
    return make_plan(series, make_request(dim, features, epsilon, seed, sketch, "auto", pairs, True), None).plan
