"""C(s1, s2, theta) as a truncated Chebyshev series in three variables, its literals short and its error counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from kernelc.fitting.chebyshev import angles, coefficients
from kernelc.fitting.norms.grid import along_first, norm_transform
from kernelc.program import NormTensor

Array = NDArray[np.float64]
#: theta -> values (kernels, n, n)
Sampler = Callable[[float], Array]
#: The root of the sum of squares of all dropped coefficients of one kernel.
DROPPED = 1.5e-13
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
    start, step = {"even": (0, 2), "odd": (1, 2), "none": (0, 1)}[parity]
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


def integrated(layers: Array, parity: str) -> Array:
    """int_0^z of sum_m layers[m] T_p(m)(y) cos(pi y / 2) dy: coefficients of T_0, T_1, ..., (degrees, ...).

    With dT / dtheta = -s1 s2 Tdot sin(theta), theta = pi (z + 1) / 2, this is what T is made of.
    """
    start, step = {"even": (0, 2), "odd": (1, 2), "none": (0, 1)}[parity]
    cosines = _cosine_series()
    degrees = start + step * len(layers)
    product = np.zeros((degrees + 2 * len(cosines), *layers.shape[1:]))
    for m, layer in enumerate(layers):
        p = start + step * m
        for k, c in enumerate(cosines):
            product[p + 2 * k] += (0.5 * c) * layer
            product[abs(p - 2 * k)] += (0.5 * c) * layer
    result = np.zeros((len(product) + 1, *layers.shape[1:]))
    for p, layer in enumerate(product):
        if p == 0:
            result[1] += layer
        elif p == 1:
            result[2] += 0.25 * layer
        else:
            result[p + 1] += layer / (2.0 * (p + 1))
            result[p - 1] -= layer / (2.0 * (p - 1))
    # the value at z = 0 goes into the constant
    for p in range(2, len(result), 2):
        result[0] += result[p] if p % 4 == 2 else -result[p]
    return result


def _cosine_series() -> Array:
    """cos(pi y / 2) = sum_k c_k T_2k(y), by Bessel functions."""
    with ctx.workprec(160):
        angle = arb.pi() / 2
        series = [(2 if k else 1) * (-1) ** k * float(angle.bessel_j(2 * k).mid()) for k in range(13)]
    return np.array(series)


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
