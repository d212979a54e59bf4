"""C(s1, s2, theta) as a truncated Chebyshev series in three variables, its literals short and its error counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.chebyshev import angles, coefficients
from kernelc.fitting.norms.grid import along_first, norm_transform
from kernelc.program import NormTensor

Array = NDArray[np.float64]
#: theta -> values (kernels, n, n)
Sampler = Callable[[float], Array]
#: What all dropped coefficients of one kernel may add up to.
DROPPED = 5e-12
#: Decimals of a literal: thousands of such roundings stay far below what is dropped.
_DECIMALS = 15


def sampled(sample: Sampler, degree: int) -> Array:
    """Values at the Chebyshev points in theta, shape (kernels, degree + 1, n, n)."""
    return np.moveaxis(np.array([sample(x) for x in angles(0.0, float(np.pi), degree)]), 1, 0)


def theta_coefficients(values: Array) -> Array:
    """(degree + 1, ...) values at `angles` -> Chebyshev coefficients in z = 2 theta / pi - 1."""
    result: Array = coefficients(values.reshape(len(values), -1)).reshape(values.shape)
    return result


def full_tensor(values: Array) -> Array:
    """(degree + 1, n, n) values -> coefficients of T_m(z) T_i(x1) T_j(x2), symmetric in i, j."""
    table = norm_transform(values.shape[1])
    first = along_first(table, np.moveaxis(theta_coefficients(values), 1, 0))
    second = along_first(table, np.moveaxis(first, 2, 0))
    # axes (j, i, m): symmetric up to rounding
    tensor = np.transpose(second, (2, 1, 0))
    return 0.5 * (tensor + np.swapaxes(tensor, 1, 2))


def truncated(tensor: Array, parity: str) -> tuple[NormTensor, float]:
    """The short literals, and what the dropped coefficients add up to.

    `parity` of the series in theta about pi/2: the other terms are exactly zero.
    """
    start, step = {"even": (0, 2), "odd": (1, 2), "none": (0, 1)}[parity]
    kept = tensor[start::step]
    sizes = np.sort(np.abs(kept), axis=None)
    small = int(np.searchsorted(np.cumsum(sizes), DROPPED, side="right"))
    threshold = float(sizes[small - 1]) if small else 0.0
    layers = [_layer(matrix, threshold) for matrix in kept]
    while len(layers) > 1 and not layers[-1]:
        layers.pop()
    return NormTensor(parity, tuple(layers)), float(np.sum(sizes[:small]))  # type: ignore[arg-type]


def _layer(matrix: Array, threshold: float) -> tuple[tuple[float, ...], ...]:
    """Rows j <= i of one symmetric matrix, without what lies below the threshold at their ends."""
    rows: list[tuple[float, ...]] = []
    for i, row in enumerate(matrix):
        lower = row[: i + 1]
        large = np.flatnonzero(np.abs(lower) > threshold)
        end = int(large[-1]) + 1 if len(large) else 0
        rows.append(tuple(round(float(v), _DECIMALS) if abs(v) > threshold else 0.0 for v in lower[:end]))
    while rows and not rows[-1]:
        rows.pop()
    return tuple(rows)


def layer_count(tensor: NormTensor) -> int:
    """How many numbers the tensor holds."""
    return sum(len(row) for layer in tensor.layers for row in layer)


def dense(tensor: NormTensor, count: int) -> Array:
    """(terms, count, count): the symmetric matrices again."""
    result = np.zeros((len(tensor.layers), count, count))
    for m, layer in enumerate(tensor.layers):
        for i, row in enumerate(layer):
            result[m, i, : len(row)] = row
            result[m, : len(row), i] = row
    return result
