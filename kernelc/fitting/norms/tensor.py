"""C(s1, s2, theta) as a truncated Chebyshev series in three variables, its literals short and its error counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.chebyshev import coefficients
from kernelc.fitting.norms.grid import along_first, norm_transform
from kernelc.program import NormKnots, NormTensor, Parity

Array = NDArray[np.float64]
#: theta -> values (kernels, n, n)
Sampler = Callable[[float], Array]
#: First degree and step of a series in theta about pi/2, by its parity in rho, and the parity of its derivative's.
PROGRESSION: dict[str, tuple[int, int]] = {"even": (0, 2), "odd": (1, 2), "none": (0, 1)}
MIRRORED: dict[str, Parity] = {"odd": "even", "even": "odd", "none": "none"}
#: The root of the sum of squares of all dropped coefficients of one kernel.
DROPPED = 1.5e-13
#: Decimals of a literal: thousands of such roundings stay far below what is dropped.
_DECIMALS = 15


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tables of T and Tdot as `NormProgram` has them, and the error that dropped coefficients may make."""

    aligned: tuple[tuple[float, ...], ...] | None
    dual: NormTensor | None
    dual_dot: NormTensor | None
    error: float
    knots: NormKnots | None = None


def sampled(sample: Sampler, angles: Array) -> Array:
    """Values at the angles, shape (kernels, len(angles), n, n)."""
    return np.moveaxis(np.array([sample(x) for x in angles.tolist()]), 1, 0)


def theta_coefficients(values: Array) -> Array:
    """(degree + 1, ...) values at `AngleMap.points` -> Chebyshev coefficients in z(theta)."""
    result: Array = coefficients(values.reshape(len(values), -1)).reshape(values.shape)
    return result


def full_tensor(values: Array) -> Array:
    """(degree + 1, n, n) values -> coefficients of T_m(z) T_i(x1) T_j(x2), symmetric in i, j."""
    return np.array([matrix_coefficients(layer) for layer in theta_coefficients(values)])


def matrix_coefficients(values: Array) -> Array:
    """(n, n) values at one theta -> coefficients of T_i(x1) T_j(x2), symmetric."""
    table = norm_transform(len(values))
    matrix = along_first(table, along_first(table, values).T)
    result: Array = 0.5 * (matrix + matrix.T)
    return result


def truncated(tensor: Array, parity: str, dropped: float = DROPPED) -> tuple[NormTensor, float]:
    """The short literals, and the root of the sum of squares of the dropped coefficients.

    `parity` of the series in theta about pi/2: the other terms are exactly zero. `dropped`: see DROPPED.
    """
    start, step = PROGRESSION[parity]
    kept = tensor[start::step]
    sizes = np.sort(np.abs(kept), axis=None)
    squares = np.cumsum(sizes * sizes)
    small = int(np.searchsorted(squares, dropped**2, side="right"))
    threshold = float(sizes[small - 1]) if small else 0.0
    layers = [_layer(matrix, threshold) for matrix in kept]
    while len(layers) > 1 and not layers[-1]:
        layers.pop()
    return NormTensor(parity, tuple(layers)), float(np.sqrt(squares[small - 1])) if small else 0.0  # type: ignore[arg-type]


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
