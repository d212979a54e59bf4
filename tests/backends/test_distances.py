"""1 - T / (R R') from distances: the angles of the next layer where rows are nearly parallel, at every norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.backends import exact_networks
from tests.backends.closed_forms import derived
from tests.backends.programs import unit_rows

Array = npt.NDArray[np.float64]
Load = Callable[[str], ModuleType]


def _error(package: ModuleType, pair: exact_networks.Pair, x: Array, depth: int, **scales: float) -> float:
    """The largest error of the pairs with row 0, relative to the diagonal."""
    errors = []
    kernels = [package.nngp] if package._closed_form.DUAL_DOT is None else [package.nngp, package.ntk]
    for index, kernel in enumerate(kernels):
        found = kernel(x, depth=depth, **scales)
        size = np.sqrt(np.diag(found))
        truth = [exact_networks.network(pair, x[0], y, depth, **scales)[index] for y in x[1:]]
        errors.append(np.abs(found[0, 1:] - truth) / (size[0] * size[1:]))
    return float(np.max(errors))


@pytest.mark.parametrize("norm", [1e-8, 1e-4, 1e-2, 0.1, 1.0, 10.0, 100.0])
def test_multiples_through_what_is_nearly_homogeneous(network_of: Load, norm: float) -> None:
    """All but no angle lies between them: as much as the root of a rounding would be seen at a kink, 1e-8."""
    x = np.zeros((6, 3))
    x[:, 0] = norm * np.array([1.0, 1.0 + 1e-6, 1.01, 1.5, 8.0, -1.5])
    x[4, 1] = 1e-7 * norm
    for depth in (2, 10):
        error = _error(network_of("leaky_sin"), exact_networks.leaky_sin, x, depth, w_std=1.2, b_std=0.0)
        # beyond, q12's roundings are felt by the wave
        assert error <= 2e-13 if norm < 100.0 else 1e-11


@pytest.mark.parametrize("norm", [1e-8, 1e-2, 1.0, 100.0])
def test_multiples_through_a_kink_and_an_error_function(network_of: Load, norm: float) -> None:
    """Whose Taylor series serves where it is a difference of probabilities."""
    x = np.zeros((6, 3))
    x[:, 0] = norm * np.array([1.0, 1.0 + 1e-6, 1.01, 1.5, 8.0, -1.5])
    x[4, 1] = 1e-7 * norm
    pair = exact_networks.of_form(derived("gated_relu").form)
    for depth in (2, 10):
        assert _error(network_of("gated_relu"), pair, x, depth, w_std=1.2, b_std=0.0) <= 2e-13


@pytest.mark.parametrize("norm", [1e-2, 0.1, 1.0, 10.0, 100.0])
def test_multiples_through_a_jump(network_of: Load, norm: float) -> None:
    """The next layer's angle is the root of this one's, and its own error's."""
    x = np.zeros((6, 3))
    x[:, 0] = norm * np.array([1.0, 1.125, 1.01, 1.5, 8.0, -1.5])
    x[2, 1], x[4, 1] = 1e-7 * norm, 1e-12 * norm
    for depth in (2, 3, 10):
        error = _error(network_of("raised_line"), exact_networks.raised_line, x, depth, w_std=1.2, b_std=0.0)
        assert error <= 2e-13


@pytest.mark.parametrize("norm", [3.0, 300.0])
@pytest.mark.parametrize("distance", [1e-7, 1e-5, 1e-3, 1e-2])
def test_near_duplicates_through_saturation(network_of: Load, norm: float, distance: float) -> None:
    """1 - tau is as small as the share of the line that is not saturated."""
    x = unit_rows(4, 8, 3)
    x[1:] = x[0] + distance * x[1:]
    x[1] /= np.linalg.norm(x[1]) / np.linalg.norm(x[0])
    x[3] *= 1.0 + (30.0 * distance if distance < 1e-2 else 0.3)
    x *= norm
    error = _error(network_of("hard_tanh"), exact_networks.hard_tanh, x, 3, w_std=1.1, b_std=0.2)
    assert error <= 2e-13 if norm < 300.0 else 5e-12


def _pairs(package: ModuleType, **changes: Any) -> Any:
    form = package._closed_form
    return package._pairs.ClosedPairs(replace(form.DUAL, **changes), form.DUAL_DOT, form.ACTIVATION.breakpoints)


def test_norms_a_rounding_apart(network_of: Load) -> None:
    """A rounding of q12 passes the squares of both, where the closed form is of no covariance."""
    package, random = network_of("hard_tanh"), np.random.default_rng(3)
    pairs = _pairs(package)
    one = np.exp(random.uniform(0.0, 6.0, 4000))
    other = one * (1.0 + 2.0**-52 * random.integers(-20, 21, one.size))
    theta = np.exp(random.uniform(np.log(1e-10), np.log(1e-5), one.size))
    scale = pairs.sizes(one) * pairs.sizes(one)
    equal = pairs.slopes(one, one, theta, scale)
    assert (np.abs(pairs.slopes(one, other, theta, scale) - equal) <= 1e-12 * equal).all()
    tau = pairs.tau(one, other, theta)
    assert (np.abs(tau - 1.0) <= 1e-6).all()
    gaps = [package._gaps.gaps(pairs, one, second, theta, tau) for second in (one, other)]
    # as angles of the next layer
    assert (np.abs(np.sqrt(2.0 * gaps[0]) - np.sqrt(2.0 * gaps[1])) <= 1e-13 * one).all()


def test_a_sigma_that_is_not_resolved_is_not_used(network_of: Load) -> None:
    package = network_of("leaky_sin")
    sigma = package._closed_form.ACTIVATION
    one, other, theta = np.array([3.0, 2.0]), np.array([3.1, 2.0]), np.array([1e-3, 1e-3])
    gap = 1.0 - _pairs(package).tau(one, other, theta)
    found = package._distances.distance_gaps(_pairs(package), one, other, theta, gap)
    np.testing.assert_allclose(found, gap, rtol=1e-9)
    other_terms = tuple(tuple((*term[:4], 1.01 * term[4], term[5]) for term in piece) for piece in sigma.terms)
    wrong = replace(sigma, terms=other_terms)
    found = package._distances.distance_gaps(_pairs(package, activation=wrong), one, other, theta, gap)
    assert np.isnan(found[0])
    # where the norms are equal sigma is not asked
    assert found[1] == pytest.approx(gap[1], rel=1e-9)
    assert np.isnan(package._distances.distance_gaps(_pairs(package, activation=None), one, other, theta, gap)).all()


def test_fast_waves_are_resolved_by_more_parts_or_refused(network_of: Load) -> None:
    package = network_of("leaky_sin")
    pairs, distances = _pairs(package), package._distances
    for s, known in ((30.0, True), (3000.0, False)):
        one, other = np.array([s]), np.array([1.001 * s])
        sizes = pairs.sizes(one), pairs.sizes(other)
        found = distances._parallel(package._closed_form.ACTIVATION, (one, other), sizes)
        assert bool(np.isfinite(found[0])) == known
        if known:
            direct = 1.0 - pairs.raw(pairs.dual, one, other, np.zeros(1)) / (sizes[0] * sizes[1])
            assert found[0] == pytest.approx(direct[0], abs=3e-15)


def test_rules_are_exact_for_polynomials(network_of: Load) -> None:
    package = network_of("leaky_sin")
    rules, turn = package._line, package._distances
    for degree in range(17):
        assert rules.LINE_ALL @ rules.LINE_POINTS**degree == pytest.approx(1.0 / (degree + 1), abs=1e-13)
        if degree <= 8:
            assert rules.LINE_EVERY_OTHER @ rules.LINE_POINTS**degree == pytest.approx(1.0 / (degree + 1), abs=1e-13)
        assert turn.TURN_WEIGHTS @ turn.TURN_NODES**degree == pytest.approx(1.0 / (degree + 1), abs=1e-13)
