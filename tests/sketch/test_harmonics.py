"""Gegenbauer expansions, orthonormal polynomials, explicit harmonics, transforms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from kernelc.backends.numpy.runtime._harmonics import (
    HarmonicBlock,
    gegenbauer_of_powers,
    orthonormal_coefficients,
    orthonormal_values,
    sphere_grid,
    zonal_values,
)
from kernelc.backends.numpy.runtime._transforms import hadamard_columns, stream

Rows = npt.NDArray[np.float64]


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 20, 300])
def test_powers_are_sums_of_zonal_polynomials(dimension: int) -> None:
    degree = 1 if dimension == 1 else 9
    rho = np.array([-1.0, 1.0]) if dimension == 1 else np.linspace(-1, 1, 41)
    matrix = gegenbauer_of_powers(degree, dimension)
    assert matrix.min() >= 0.0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-13)
    expected = rho[None, :] ** np.arange(degree + 1)[:, None]
    np.testing.assert_allclose(matrix @ zonal_values(degree, dimension, rho), expected, atol=1e-13)


@pytest.mark.parametrize("dimension", [2, 4, 20, 300])
def test_polynomials_are_orthonormal(dimension: int) -> None:
    nodes, weights = sphere_grid(dimension)
    z = nodes * dimension**0.5
    values = orthonormal_values(10, dimension, z)
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(11), atol=1e-9)
    powers = orthonormal_coefficients(10, dimension) @ (z[None, :] ** np.arange(11)[:, None])
    np.testing.assert_allclose(powers, values, atol=1e-9 * np.abs(values).max())


@pytest.mark.parametrize("dimension", [1, 2, 3, 7])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_explicit_features_have_the_zonal_kernel(
    dimension: int, degree: int, isotropic: Callable[[int, int], Rows]
) -> None:
    rows = isotropic(9, dimension)
    rho = rows @ rows.T
    for plain in (False, True):
        if dimension == 1 and degree > 1 and not plain:
            continue
        block = HarmonicBlock(degree, dimension, plain)
        values = block.values(rows)
        assert values.shape == (9, block.columns)
        truth = rho**degree if plain else zonal_values(degree, dimension, rho.ravel())[degree].reshape(rho.shape)
        np.testing.assert_allclose(values @ values.T, truth, atol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 64, 128, 1024, 8192])
def test_hadamard_is_orthogonal_and_flat(size: int) -> None:
    rows = hadamard_columns(np.eye(size)[: min(size, 40)])
    np.testing.assert_array_equal(np.abs(rows), 1.0)
    np.testing.assert_array_equal(rows @ rows.T, size * np.eye(len(rows)))


def test_streams_are_apart_and_fixed() -> None:
    draws = [
        stream(7, "final srht").random(3),
        stream(7, "final srht").random(3),
        stream(7, "sample").random(3),
        stream(8, "final srht").random(3),
        stream(7, "final srht", 1).random(3),
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert len({draw.tobytes() for draw in draws}) == 4
