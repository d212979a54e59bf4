"""Chebyshev interpolation in theta: exact on polynomials, right on what kernels look like, honest where it fails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelc.fitting import chebyshev
from kernelc.fitting.chebyshev import Array

_THETAS = (0.0, 1e-12, 1e-7, 3e-4, 0.02, 0.4, 1.1, math.pi / 2, 2.2, 3.0, 3.1415, math.pi - 1e-9, math.pi)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12), st.integers(12, 30), st.floats(0, 2), st.floats(0.1, 2))
def test_a_polynomial_comes_back(c: list[float], degree: int, a: float, width: float) -> None:
    """Interpolation of a Chebyshev series of lower degree gives its coefficients back."""
    b = a + width
    x = chebyshev.angles(a, b, degree)
    assert x[0] == a
    assert x[-1] == b
    assert np.all(np.diff(x) > 0)
    local = (2 * x - a - b) / (b - a)
    values = np.asarray(np.polynomial.chebyshev.chebval(local, c), dtype=np.float64)
    table = chebyshev.coefficients(values[:, None])
    assert table.shape == (degree + 1, 1)
    assert np.allclose(table[:, 0], [*c, *[0.0] * (degree + 1 - len(c))], rtol=0, atol=1e-13)


def relu(theta: float) -> Array:
    c, s = math.cos(theta), math.sin(theta)
    return np.array([(s + (math.pi - theta) * c) / (2 * math.pi), (math.pi - theta) / (2 * math.pi)])


def rough(power: float) -> chebyshev.Sampler:
    """An algebraic singular point at theta = 0, as the kernels of |t|^p have."""
    return lambda theta: np.array([theta**power + math.cos(theta)])


def worst(sample: chebyshev.Sampler, found: tuple[Array, Array], column: int) -> float:
    program = chebyshev.as_program(*found, column, 1e-14)
    return max(abs(chebyshev.evaluate(program, t) - float(sample(t)[column])) for t in _THETAS)


def test_one_panel_is_enough_for_a_smooth_kernel() -> None:
    found = chebyshev.interpolate(relu, np.array([1e-14, 1e-14]))
    assert found is not None
    assert len(found[0]) == 2
    assert worst(relu, found, 0) < 1e-14
    assert worst(relu, found, 1) < 1e-14
    # The second column is a line: all other coefficients are left out.
    assert len(chebyshev.as_program(*found, 1, 1e-14).tables[0]) == 2


@pytest.mark.parametrize("power", [2.5, 4.0 / 3.0, 3.2])
def test_a_singular_end_takes_panels(power: float) -> None:
    sample = rough(power)
    found = chebyshev.interpolate(sample, np.array([1e-13]))
    assert found is not None
    edges = found[0]
    assert len(edges) > 5
    assert edges[0] == 0.0
    assert edges[-1] == math.pi
    assert np.all(np.diff(edges) > 0)
    assert edges[1] < 0.05, "panels shrink towards the singular point"
    assert worst(sample, found, 0) < 2e-12


def test_a_wild_function_is_given_up() -> None:
    assert chebyshev.interpolate(lambda theta: np.array([math.sin(4000 * theta)]), np.array([1e-12])) is None


def test_evaluation_picks_its_panel() -> None:
    edges, tables = np.array([0.0, 1.0, math.pi]), np.array([[[1.0], [0.5]], [[7.0], [-2.0]]])
    program = chebyshev.as_program(edges, tables, 0, 1e-15)
    assert chebyshev.evaluate(program, 0.0) == 0.5
    assert chebyshev.evaluate(program, 0.75) == 1.25
    assert chebyshev.evaluate(program, 1.0) == 9.0
    assert chebyshev.evaluate(program, math.pi) == 5.0
