# Part of the runtime that kernelc copies, unchanged, into every module it generates with the cupy backend.
"""The functions of the package for CuPy arrays: a matrix product by cuBLAS, then one kernel that passes over it once.

Everything is launched on the current stream. The host waits once in a call: `nngp` and `ntk` for the rows'
norms, on which every refusal depends, before the product and the kernel are launched; the elementwise
functions for one flag, after their only kernel. What is refused is refused by the code that refuses it for
NumPy arrays. Rows of any norms that only tables with knots serve are computed on the host and moved. `features` and
`Sketch` are in `_device_sketch.py`.
`_kernels.cu`, which CuPy compiles at first use and keeps, holds the kernels.

Part of generated packages with the cupy backend, copied verbatim; it needs NumPy and CuPy.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, SupportsFloat, SupportsIndex

import cupy
import numpy as np

from ._device import SINGLE, THREADS, TILE, as_floats, blocks, contiguous, kernel
from ._device_norms import norm_arguments, serves_on_device
from ._device_rows import as_device_rows
from ._dispatch import on_device
from ._evaluation import DualTables, ThetaTable, derivative, fits
from ._forms import CLOSED, NETWORK, NORMS
from ._inputs import DoubleArray, as_depth, as_scale, require_rows, require_values
from ._layers import Network, RowPath, diagonal, row_path, unit_factors
from ._plans import RowNorms, choose_source
from ._sources import ClosedSource, CompiledSource, NormSource, Source
from ._tables import TABLES

#: As in `_kernels.cu`: threads that share a row, and those that share a tile.
_LANES, _TILE_THREADS = 64, 256


def _kernel_of(name: str, dtype: np.dtype[Any]) -> Any:
    """One that may hold a closed form, whose rounding a contraction of a * b + c would change."""
    return kernel("_kernels.cu", name, "--fmad=false", f"-DSINGLE={int(dtype == SINGLE)}")


def _host(name: str, *arguments: Any, **options: Any) -> Any:
    """The package's own function on NumPy arrays: it says what is wrong with them, or has what the kernels lack."""
    function = getattr(importlib.import_module(__package__), name)
    return function(*(cupy.asnumpy(value) if on_device(value) else value for value in arguments), **options)


def _values(name: str, which: int, dual: DualTables, rho: Any, **options: Any) -> Any:
    """One of the functions of rho by its tables; `which` as in `_kernels.cu`."""
    checked = as_floats("rho", rho)
    require_values("rho", checked.shape)
    if not fits(dual, checked.dtype):
        return cupy.asarray(_host(name, rho, **options))
    out, bad = cupy.empty_like(checked), cupy.zeros(1, np.int32)
    arguments = (checked, out, np.uint64(checked.size), np.int32(which), bad)
    _kernel_of("values", checked.dtype)((blocks(checked.size),), (THREADS,), arguments)
    if int(bad.get()[0]):
        return cupy.asarray(_host(name, rho, **options))
    return out


def kappa(rho: Any) -> Any:
    """`kappa` of the package for a CuPy array."""
    return _values("kappa", 0, TABLES.kappa, rho)


def kappa_dot(rho: Any) -> Any:
    """`kappa_dot` of the package for a CuPy array."""
    return _values("kappa_dot", 1, derivative(TABLES), rho)


def kappa_series(rho: Any) -> Any:
    """`kappa_series` of the package for a CuPy array."""
    return _values("kappa_series", 2, TABLES.kappa, rho)


def kappa_dot_series(rho: Any) -> Any:
    """`kappa_dot_series` of the package for a CuPy array."""
    return _values("kappa_dot_series", 3, derivative(TABLES), rho)


def _duals(name: str, slope: bool, q11: Any, q12: Any, q22: Any) -> Any:
    """T or Tdot, computed in float64 and returned in the dtype of the arguments."""
    named = {"q11": q11, "q12": q12, "q22": q22}
    arrays = [as_floats(*pair) for pair in named.items()]
    for argument, array in zip(named, arrays, strict=True):
        require_values(argument, array.shape)
    dtype = np.result_type(*(array.dtype for array in arrays))
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        return _host(name, q11, q12, q22)
    wide = [contiguous(cupy.broadcast_to(array.astype(np.float64), shape)) for array in arrays]
    out, bad = cupy.empty(shape, np.float64), cupy.zeros(1, np.int32)
    limits = np.finfo(dtype)
    numbers = (np.uint64(out.size), np.int32(slope), np.float64(limits.eps), np.float64(limits.max))
    _kernel_of("duals", np.dtype(np.float64))((blocks(out.size),), (THREADS,), (*wide, out, *numbers, bad))
    if int(bad.get()[0]):
        return cupy.asarray(_host(name, q11, q12, q22))
    return out.astype(dtype, copy=False)


def dual(q11: Any, q12: Any, q22: Any) -> Any:
    """`dual` of the package for CuPy arrays."""
    return _duals("dual", False, q11, q12, q22)


def dual_dot(q11: Any, q12: Any, q22: Any) -> Any:
    """`dual_dot` of the package for CuPy arrays."""
    derivative(TABLES)
    return _duals("dual_dot", True, q11, q12, q22)


def nngp(
    x1: Any,
    x2: Any = None,
    *,
    depth: SupportsIndex = 1,
    w_std: SupportsFloat = 1.0,
    b_std: SupportsFloat = 0.0,
    out: Any = None,
    progress: Any = None,
) -> Any:
    """`nngp` of the package for CuPy arrays; one launch has no progress to tell but its end."""
    return _kernel_matrix("nngp", x1, x2, (depth, w_std, b_std), out, progress)


def ntk(
    x1: Any,
    x2: Any = None,
    *,
    depth: SupportsIndex = 1,
    w_std: SupportsFloat = 1.0,
    b_std: SupportsFloat = 0.0,
    out: Any = None,
    progress: Any = None,
) -> Any:
    """`ntk` of the package for CuPy arrays; one launch has no progress to tell but its end."""
    return _kernel_matrix("ntk", x1, x2, (depth, w_std, b_std), out, progress)


def _as_rows(name: str, value: Any) -> Any:
    rows = as_floats(name, value)
    require_rows(name, rows.shape)
    return rows


def _norms(names: tuple[str, ...], matrices: list[Any]) -> list[RowNorms]:
    """Each row's norm, on the host: the one point at which a kernel matrix waits for the device.

    Raises:
        ValueError: naming the matrix that holds NaN or infinity.
    """
    counts = [len(rows) for rows in matrices]
    norms = cupy.empty(sum(counts), np.float64)
    start = 0
    for rows, count in zip(matrices, counts, strict=True):
        arguments = (rows, np.int32(count), np.int32(rows.shape[1]), norms[start : start + count])
        _kernel_of("row_norms", rows.dtype)((count,), (_LANES,), arguments)
        start += count
    parts = np.split(norms.get(), np.cumsum(counts)[:-1])
    for name, part in zip(names, parts, strict=True):
        if bool(np.isnan(part).any()):
            raise ValueError(f"{name}: contains NaN or infinity")
    return [RowNorms(name, part) for name, part in zip(names, parts, strict=True)]


@dataclass(frozen=True, slots=True)
class _Side:
    """One set of rows on the device, in the dtype of the result, and what the kernel reads of its path.

    `rows` (n, d) as they came, `shrink` (n,) with them; `unit` (n, d or d + 1): as unit vectors with their
    bias; `paths` (2 depth - 1, n): the last layer's weight, then cos phi and the turn of each before it.
    """

    rows: Any
    shrink: Any
    unit: Any
    paths: Any


def _side(rows: Any, norms: DoubleArray, path: RowPath, network: Network, form: _Form, dtype: np.dtype[Any]) -> _Side:
    """Two transfers to the device and one kernel."""
    n, d = rows.shape
    scales = path.layers[0].scales
    tails = network.bias / scales if network.bias > 0.0 else np.zeros(n)
    numbers = cupy.asarray(np.stack([*unit_factors(norms, scales, network.weight), tails, path.shrink]))
    angles = [layer.angles for layer in path.layers[:-1]]
    turns = [angle / 2 if form.angular else np.sin(angle) for angle in angles]
    lines = [path.last, *(part for angle, turn in zip(angles, turns, strict=True) for part in (np.cos(angle), turn))]
    if form.closed:
        lines += [part for layer in path.layers for part in (layer.scales, layer.powers)]
    paths = cupy.asarray(np.stack(lines).astype(np.float64 if form.closed else dtype))
    rows, biased = rows.astype(dtype, copy=False), int(network.bias > 0.0)
    unit = cupy.empty((n, d + biased), dtype)
    arguments = (rows, np.int32(n), np.int32(d), np.int32(biased), numbers, unit)
    _kernel_of("unit_rows", dtype)((n,), (_LANES,), arguments)
    return _Side(rows, numbers[3], unit, paths)


@dataclass(frozen=True, slots=True)
class _Form:
    """How a pair is evaluated: `angular` at theta, else at rho.

    `closed`: by the closed form; `norms`: by the tables for a range of norms; else by those for one norm.
    """

    angular: bool
    closed: bool = False
    norms: bool = False


def _form(source: Source, network: Network) -> _Form | None:
    """The kernels' names for a source; None for one that they do not have."""
    if isinstance(source, ClosedSource):
        # truncated powers with tables are no closed form that the kernels have
        return _Form(True, closed=True) if CLOSED is not None else None
    if isinstance(source, NormSource):
        smooth = not source.tables.breakpoints
        return _Form(True, norms=True) if serves_on_device(source.norms, smooth, network.depth > 1) else None
    if isinstance(source, CompiledSource):
        used = (TABLES.kappa, TABLES.kappa_dot) if network.tangent else (TABLES.kappa,)
        return _Form(any(dual is not None and isinstance(dual.direct, ThetaTable) for dual in used))
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """A kernel matrix that only needs its product and its one pass: nothing here waits for the device."""

    network: Network
    form: _Form
    left: _Side
    right: _Side
    moments: Any
    symmetric: bool
    factors: tuple[Any, ...]

    def product(self, out: Any = None) -> Any:
        """The (n1, n2) correlations of the inputs."""
        return cupy.matmul(self.left.unit, self.right.unit.T, out=out)

    def finish(self, matrix: Any) -> None:
        """From the correlations to the kernel, in place."""
        rows, columns = matrix.shape
        down, across = -(-rows // TILE), -(-columns // TILE)
        tiles = across * (across + 1) // 2 if self.symmetric else down * across
        bias = self.network.bias
        arguments = (
            matrix,
            np.int32(self.symmetric),
            self.moments,
            self.left.rows,
            self.right.rows,
            self.left.shrink,
            self.right.shrink,
            np.int32(self.left.rows.shape[1]),
            np.float64(bias / self.network.weight),
            self.left.paths,
            self.right.paths,
            np.int32(rows),
            np.int32(columns),
            np.int32(self.network.depth - 1),
            (np.dtype(np.float64) if self.form.closed else matrix.dtype).type(bias**2),
            *self.factors,
        )
        switches = {
            "SINGLE": matrix.dtype == SINGLE,
            "TANGENT": self.network.tangent,
            "DEEP": self.network.depth > 1,
        }
        options = [f"-D{name}={int(value)}" for name, value in switches.items()]
        if self.form.closed:
            options = ["--fmad=false", *options, "-DCLOSED=1"]
        elif matrix.dtype == SINGLE:
            # a root to its last digit or next to it, without the branch for the last one
            options = ["--prec-sqrt=false", *options]
        if self.form.norms:
            options.append("-DNORMS=1")
        kernel("_kernels.cu", "pairs", *options)((tiles,), (_TILE_THREADS,), arguments)


def plan(kernel: Literal["nngp", "ntk"], x1: Any, x2: Any, settings: tuple[Any, Any, Any]) -> Plan | None:
    """All that has to be known of the rows; `settings`: depth, w_std, b_std. None: the host has to do it.

    Raises:
        RefusedError: for the NTK of an activation whose derivative is not square integrable.
        ValueError: as for NumPy arrays.
    """
    symmetric = x2 is None or x2 is x1
    first = _as_rows("x1", x1)
    second = first if symmetric else _as_rows("x2", x2)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"x2: expected {first.shape[1]} columns as in x1, got {second.shape[1]}")
    network = Network(
        kernel == "ntk",
        as_depth("depth", settings[0]),
        as_scale("w_std", settings[1], zero=False),
        as_scale("b_std", settings[2], zero=True),
    )
    dtype = np.result_type(first.dtype, second.dtype)
    names, matrices = (("x1",), [first]) if symmetric else (("x1", "x2"), [first, second])
    norms = _norms(names, matrices)
    if network.tangent:
        derivative(TABLES)
    source, reach = choose_source(TABLES, CLOSED, NORMS, network, norms, dtype)
    form = _form(source, network)
    held = fits(TABLES.kappa, dtype) and not (network.tangent and not fits(derivative(TABLES), dtype))
    if form is None or not held:
        return None
    sides, moments, paths = [], [], []
    for rows, side in zip(matrices, norms, strict=True):
        path = row_path(TABLES, source, reach, network, side.name, side.norms)
        moments.append(diagonal(TABLES, source, side.name, path, network.bias, dtype))
        sides.append(_side(rows, side.norms, path, network, form, dtype))
        paths.append(path)
    factors: tuple[Any, ...] = ()
    if isinstance(source, NormSource):
        with_dot = network.tangent or bool(network.depth > 1 and TABLES.breakpoints)
        factors = norm_arguments(source.norms, paths[0], paths[-1], with_dot, dtype)
    return Plan(network, form, sides[0], sides[-1], cupy.asarray(moments[0]), symmetric, factors)


def _kernel_matrix(
    kernel: Literal["nngp", "ntk"], x1: Any, x2: Any, settings: tuple[Any, Any, Any], out: Any, progress: Any
) -> Any:
    """`kernel_matrix` of the package for CuPy arrays.

    Raises:
        RefusedError, ValueError: as there.
    """
    if progress is not None and not callable(progress):
        raise ValueError(f"progress: expected a function of the fraction done, got {progress!r}")
    if out is not None:
        _require_output(out, (x1, x2))
    made = plan(kernel, x1, x2, settings)
    if made is None:
        names = ("depth", "w_std", "b_std")
        second = None if x2 is None or x2 is x1 else cupy.asnumpy(x2)
        network = dict(zip(names, settings, strict=True))
        result = cupy.asarray(_host(kernel, x1, second, **network))
        if out is None:
            return result
        _require_result(out, result.shape, result.dtype)
        cupy.copyto(out, result)
        return out
    if out is not None:
        _require_result(out, (len(made.left.rows), len(made.right.rows)), made.left.rows.dtype)
    matrix = made.product(out)
    made.finish(matrix)
    if progress is not None:
        progress(1.0)
    return matrix


def _require_output(out: Any, inputs: tuple[Any, ...]) -> None:
    """Refuse what is no array to write into, or holds an input.

    Raises:
        ValueError: naming out.
    """
    if not on_device(out) or not out.flags.c_contiguous:
        raise ValueError(f"out: expected a C-contiguous CuPy array, got {type(out).__name__}")
    if any(on_device(value) and cupy.may_share_memory(out, value) for value in inputs):
        raise ValueError("out: shares memory with an input")


def _require_result(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an array of another shape or dtype.

    Raises:
        ValueError: naming out.
    """
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out: expected an array of {dtype} of shape {shape}, got {out.dtype} of shape {out.shape}")


def features(
    x: Any,
    *,
    kernel: str = "ntk",
    depth: SupportsIndex = 1,
    features: SupportsIndex = 4096,
    seed: SupportsIndex = 0,
    sketch: str = "auto",
) -> Any:
    """`features` of the package for a CuPy array or a CSR matrix of CuPy's: the same draws, applied on the device."""
    rows = as_device_rows("x", x)
    settings: tuple[Any, ...] = (rows.shape[1], kernel, depth, features, seed, sketch)
    try:
        fitted = _fitted(*settings)
    except TypeError:  # an argument without a hash, which is refused by its name
        fitted = _fitted.__wrapped__(*settings)
    return fitted.transform(rows)


@lru_cache(maxsize=8, typed=True)
def _fitted(
    columns: int, kernel: str, depth: SupportsIndex, features: SupportsIndex, seed: SupportsIndex, sketch: str
) -> Any:
    """The sketches of the last few settings: a plan takes far longer than the device does, and their tables stay."""
    made = importlib.import_module(__package__).Sketch
    # the plan looks at the number of columns alone
    return made(kernel=kernel, depth=depth, features=features, seed=seed, sketch=sketch).fit(np.ones((1, columns)))


def network_kappa(rho: Any, *, kernel: str = "ntk") -> Any:
    """`network_kappa` of a package compiled with a depth, for a CuPy array."""
    assert NETWORK is not None
    return _values("network_kappa", 4 + (kernel == "ntk"), NETWORK(kernel), rho, kernel=kernel)


def network_series(rho: Any, *, kernel: str = "ntk") -> Any:
    """`network_series` of a package compiled with a depth, for a CuPy array."""
    assert NETWORK is not None
    return _values("network_series", 6 + (kernel == "ntk"), NETWORK(kernel), rho, kernel=kernel)


__all__ = [
    "dual",
    "dual_dot",
    "features",
    "kappa",
    "kappa_dot",
    "kappa_dot_series",
    "kappa_series",
    "network_kappa",
    "network_series",
    "nngp",
    "ntk",
]
