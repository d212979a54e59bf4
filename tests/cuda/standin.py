"""A stand-in for CuPy without a device: the part of its interface that generated packages use, on NumPy arrays.

Like CuPy's, its arrays never become NumPy arrays by themselves, and its kernels take arrays of this kind alone.
What CuPy does in that interface is not tested by it: `tests/gpu` is, where there is a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.cuda.host import HostModule


class ndarray:
    """A NumPy array out of NumPy's reach."""

    __module__ = "cupy"

    def __init__(self, data: Any) -> None:
        self.data_ = np.asarray(data)

    shape = property(lambda self: self.data_.shape)
    dtype = property(lambda self: self.data_.dtype)
    size = property(lambda self: self.data_.size)
    ndim = property(lambda self: self.data_.ndim)
    flags = property(lambda self: self.data_.flags)
    T = property(lambda self: ndarray(self.data_.T))

    def __array__(self, *_: object, **__: object) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __len__(self) -> int:
        return len(self.data_)

    def __getitem__(self, key: slice | int | tuple[slice | None, ...]) -> ndarray:
        return ndarray(self.data_[key])

    def __mul__(self, other: ndarray) -> ndarray:
        assert isinstance(other, ndarray)
        return ndarray(self.data_ * other.data_)

    def __iadd__(self, other: ndarray) -> ndarray:
        assert isinstance(other, ndarray)
        self.data_ += other.data_
        return self

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        return ndarray(self.data_.astype(dtype, copy=copy))

    def reshape(self, shape: tuple[int, ...]) -> ndarray:
        return ndarray(self.data_.reshape(shape))

    def get(self) -> Any:
        return self.data_.copy()


class csr_matrix:
    """The parts of a sparse matrix of `cupyx.scipy.sparse` that packages read."""

    __module__ = "cupyx.scipy.sparse"

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix

    data = property(lambda self: ndarray(self._matrix.data))
    indices = property(lambda self: ndarray(self._matrix.indices))
    indptr = property(lambda self: ndarray(self._matrix.indptr))
    shape = property(lambda self: self._matrix.shape)
    has_canonical_format = property(lambda self: self._matrix.has_canonical_format)

    def tocsr(self) -> csr_matrix:
        return self

    def copy(self) -> csr_matrix:
        return csr_matrix(self._matrix.copy())

    def sum_duplicates(self) -> None:
        self._matrix.sum_duplicates()


class _Function:
    def __init__(self, module: HostModule, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any]) -> None:
        assert not any(isinstance(argument, np.ndarray) for argument in arguments)
        passed = tuple(argument.data_ if isinstance(argument, ndarray) else argument for argument in arguments)
        self._module.launch(self._name, grid, block, passed)


class _Event:
    """A moment of the host's clock: what is launched has ended when the launch returns."""

    def record(self) -> None:
        self.moment = time.perf_counter()

    def synchronize(self) -> None:
        assert self.moment > 0


def _copy(target: ndarray, source: ndarray) -> None:
    target.data_[...] = source.data_


def cupy_standin(folder: Path) -> ModuleType:
    """A module to be entered as `cupy`; compiled kernels are kept in `folder`."""

    class RawModule:
        def __init__(self, *, code: str, options: tuple[str, ...]) -> None:
            self._module = HostModule(code, options, folder)

        def get_function(self, name: str) -> _Function:
            return _Function(self._module, name)

    def unwrap(value: Any) -> Any:
        return value.data_ if isinstance(value, ndarray) else np.asarray(value)

    def of_device(value: Any) -> Any:
        assert isinstance(value, ndarray)
        return value.data_

    def multiply(a: ndarray, b: ndarray, out: ndarray | None = None) -> ndarray:
        product = of_device(a) @ of_device(b)
        if out is None:
            return ndarray(product)
        _copy(out, ndarray(product))
        return out

    module = ModuleType("cupy")
    functions = {
        "ndarray": ndarray,
        "RawModule": RawModule,
        "asarray": lambda value: value if isinstance(value, ndarray) else ndarray(np.array(value)),
        "asnumpy": lambda value: unwrap(value).copy(),
        "ascontiguousarray": lambda value: ndarray(np.ascontiguousarray(of_device(value))),
        "broadcast_to": lambda value, shape: ndarray(np.broadcast_to(of_device(value), shape)),
        "empty": lambda shape, dtype: ndarray(np.full(shape, 77, dtype)),
        "empty_like": lambda value: ndarray(np.full_like(of_device(value), 77)),
        "zeros": lambda shape, dtype: ndarray(np.zeros(shape, dtype)),
        "take": lambda value, indices, axis: ndarray(np.take(of_device(value), of_device(indices), axis=axis)),
        "concatenate": lambda values: ndarray(np.concatenate([of_device(value) for value in values])),
        "copyto": _copy,
        "matmul": multiply,
        "may_share_memory": lambda a, b: np.may_share_memory(of_device(a), of_device(b)),
    }
    for name, value in functions.items():
        setattr(module, name, value)
    module.linalg = SimpleNamespace(  # type: ignore[attr-defined]
        solve=lambda a, b: ndarray(np.linalg.solve(of_device(a), of_device(b)))
    )
    module.fft = SimpleNamespace(  # type: ignore[attr-defined]
        rfft=lambda value, axis: ndarray(np.fft.rfft(of_device(value), axis=axis)),
        irfft=lambda value, n, axis: ndarray(np.fft.irfft(of_device(value), n=n, axis=axis)),
    )
    module.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        Event=_Event,
        runtime=SimpleNamespace(getDevice=lambda: 0),
        get_elapsed_time=lambda start, end: 1e3 * (end.moment - start.moment),
    )
    return module
