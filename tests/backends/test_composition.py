"""Composed power series in float64 against mpmath's Taylor coefficients of the composed closed forms."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from kernelc.backends.numpy.runtime._composition import NetworkKernel, network_at_one, network_coefficients

DEGREE = 12
TERMS = 60


def _taylor(f: Callable[[mpmath.mpf], mpmath.mpf], terms: int) -> list[mpmath.mpf]:
    """Taylor coefficients at 0 by mpmath, at 34 digits."""
    with mpmath.workdps(34):
        return [mpmath.mpf(c) for c in mpmath.taylor(f, 0, terms)]


def _exponential(rho: mpmath.mpf) -> mpmath.mpf:
    """The normalised kernel of exp(t): exp(rho - 1)."""
    return mpmath.exp(rho - 1)


def _erf(rho: mpmath.mpf) -> mpmath.mpf:
    """The normalised kernel of erf(t) at unit variance: asin(2 rho / 3) / asin(2 / 3)."""
    return mpmath.asin(2 * rho / 3) / mpmath.asin(mpmath.mpf(2) / 3)


def _composed(layers: list[Callable[[mpmath.mpf], mpmath.mpf]], kernel: str) -> Callable[[mpmath.mpf], mpmath.mpf]:
    def value(rho: mpmath.mpf) -> mpmath.mpf:
        correlation = tangent = rho
        for f in layers:
            if kernel == "ntk":
                tangent = f(correlation) + mpmath.diff(f, correlation) * tangent
            correlation = f(correlation)
        return tangent if kernel == "ntk" else correlation

    return value


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("layers", [[_exponential], [_erf, _erf], [_exponential, _erf, _exponential]])
def test_coefficients_are_those_of_the_composed_function(
    layers: list[Callable[[mpmath.mpf], mpmath.mpf]], kernel: NetworkKernel
) -> None:
    rows = [[float(c) for c in _taylor(f, TERMS)] for f in layers]
    found = network_coefficients(rows, kernel, DEGREE)
    with mpmath.workdps(34):
        exact = [float(c) for c in mpmath.taylor(_composed(layers, kernel), 0, DEGREE)]
    assert found.shape == (DEGREE + 1,)
    np.testing.assert_allclose(found, exact, rtol=2e-14, atol=1e-16)


@pytest.mark.parametrize("which", ["nngp", "ntk"])
def test_at_one_is_the_sum_of_all_coefficients(which: NetworkKernel) -> None:
    rows = [[float(c) for c in _taylor(_exponential, TERMS)]] * 3
    whole = network_coefficients(rows, which, 400)
    at_one = network_at_one([1.0, 1.0, 1.0], which)
    assert float(at_one) == {"nngp": 1.0, "ntk": 4.0}[which]
    assert float(at_one) - float(whole.sum()) == pytest.approx(0.0, abs=1e-13)
    cut = network_coefficients(rows, which, 5)
    np.testing.assert_allclose(cut, whole[:6], rtol=1e-14)
    assert 0.0 < float(at_one) - float(cut.sum()) < float(at_one)


def test_leading_axes_are_networks_of_their_own() -> None:
    generator = np.random.default_rng(5)
    first, second = generator.random((3, 1, 9)), generator.random((4, 7))
    both = network_coefficients([first, second], "ntk", 6)
    assert both.shape == (3, 4, 7)
    for i in range(3):
        for j in range(4):
            np.testing.assert_allclose(both[i, j], network_coefficients([first[i, 0], second[j]], "ntk", 6), rtol=1e-14)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_short_rows_and_low_degrees(degree: int) -> None:
    constant, linear = [2.0], [0.0, 3.0]
    assert network_coefficients([linear, constant], "ntk", degree).tolist() == [2.0, 0.0, 0.0][: degree + 1]
    expected = [0.0, 27.0, 0.0][: degree + 1]
    assert network_coefficients([linear, linear], "ntk", degree).tolist() == expected


@pytest.mark.parametrize(
    ("rows", "kernel", "degree", "named"),
    [
        ([], "ntk", 3, "kappa_rows"),
        ([[]], "ntk", 3, "kappa_rows"),
        ([[1.0], [np.nan]], "ntk", 3, r"kappa_rows\[1\]"),
        ([[1.0]], "ntk", -1, "degree"),
        ([[1.0]], "cntk", 3, "kernel"),
    ],
)
def test_refusals_name_the_argument(rows: list[list[float]], kernel: str, degree: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        network_coefficients(rows, kernel, degree)  # type: ignore[arg-type]
    if not rows:
        with pytest.raises(ValueError, match="slopes"):
            network_at_one([], "ntk")
