"""Tables for inputs of any norm against closed forms: erf (smooth, odd) and |t| + t^2 (kinked, even).

E[erf(u) erf(v)] = 2/pi asin(2 q12 / sqrt((1 + 2 q11) (1 + 2 q22))) (Williams 1997). For |t| + t^2, with c = sqrt(2/pi):
E|u||v| = s1 s2 2/pi (sin theta + (pi/2 - theta) cos theta), E|u| v^2 = c s1 s2^2 (1 + rho^2),
E[u^2 v^2] = s1^2 s2^2 (1 + 2 rho^2); Tdot by differentiation in q12.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

from kernelc.analysis import analyse
from kernelc.backends.numpy.norms import render
from kernelc.backends.numpy.printer import runtime_text
from kernelc.expansion import expand
from kernelc.fitting import fit_norms
from kernelc.fitting.norms.activation import ScaledActivation, evaluate, scaled_activation
from kernelc.fitting.norms.samples import PairSampler, outer_rule
from kernelc.fitting.proxy import make_proxy
from kernelc.model import VARIABLE, NormFit
from kernelc.parse import parse_activation

_LOW, _HIGH = 0.25, 4.0
_FORMULAS = {"erf": "erf(t)", "kinked": "Abs(t) + t**2"}


def _erf(s1: float, s2: float, theta: float) -> tuple[float, float]:
    with mpmath.workdps(40):
        a, b, rho = mpmath.mpf(s1), mpmath.mpf(s2), mpmath.cos(mpmath.mpf(theta))
        p, q, r = 1 + 2 * a**2, 1 + 2 * b**2, 2 * a * b * rho
        value = 2 / mpmath.pi * mpmath.asin(r / mpmath.sqrt(p * q))
        return float(value), float(4 / mpmath.pi / mpmath.sqrt(p * q - r**2))


def _kinked(s1: float, s2: float, theta: float) -> tuple[float, float]:
    with mpmath.workdps(40):
        a, b, t = mpmath.mpf(s1), mpmath.mpf(s2), mpmath.mpf(theta)
        rho, c = mpmath.cos(t), mpmath.sqrt(2 / mpmath.pi)
        value = a * b * 2 / mpmath.pi * (mpmath.sin(t) + (mpmath.pi / 2 - t) * rho)
        value += c * a * b * (a + b) * (1 + rho**2) + a**2 * b**2 * (1 + 2 * rho**2)
        slope = 2 / mpmath.pi * (mpmath.pi / 2 - t) + 2 * c * (a + b) * rho + 4 * a * b * rho
        return float(value), float(slope)


_EXACT = {"erf": _erf, "kinked": _kinked}


@dataclass(frozen=True)
class Case:
    name: str
    fit: NormFit
    runtime: ModuleType
    series: ModuleType
    tables: Any
    scratch: Any

    def exact(self, s1: float, s2: float, theta: float) -> tuple[float, float]:
        return _EXACT[self.name](s1, s2, theta)


@pytest.fixture(scope="module", params=sorted(_FORMULAS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    name: str = request.param
    traits = analyse(parse_activation(_FORMULAS[name], name=name, parameters={}), Fraction(1))
    found = fit_norms(traits, expand(traits, Fraction(1), 64, 64, None), 1.0, (_LOW, _HIGH), 64)
    assert found.program is not None
    folder: Path = tmp_path_factory.mktemp("norms") / f"tables_of_{name}"
    folder.mkdir()
    for file in ("_norms.py", "_normseries.py", "_evaluation.py", "_inputs.py"):
        (folder / file).write_text(runtime_text(file))
    (folder / "__init__.py").write_text("")
    (folder / "_norm_tables.py").write_text(render(found.program))
    sys.path.insert(0, str(folder.parent))
    try:
        runtime = importlib.import_module(f"{folder.name}._norms")
        series = importlib.import_module(f"{folder.name}._normseries")
        tables = importlib.import_module(f"{folder.name}._norm_tables").NORMS
        scratch = importlib.import_module(f"{folder.name}._evaluation").Scratch
    finally:
        sys.path.remove(str(folder.parent))
    yield Case(name, found, runtime, series, tables, scratch)
    for key in [k for k in sys.modules if k.split(".")[0] == folder.name]:
        del sys.modules[key]


def _points(count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(11)
    s1, s2 = (np.exp(random.uniform(np.log(_LOW), np.log(_HIGH), count)) for _ in range(2))
    theta = np.pi * np.sin(random.uniform(0, np.pi / 2, count)) ** 4
    s1[:4], s2[:4] = (_LOW, _HIGH, _LOW, _HIGH), (_LOW, _HIGH, _HIGH, _HIGH)
    theta[:6] = (0.0, 0.0, 0.0, np.pi, np.pi / 2, 1e-7)
    return s1, s2, theta


def test_the_estimate_is_small_and_covers_the_declared_range(case: Case) -> None:
    assert case.fit.error is not None
    assert case.fit.error <= 1e-11
    assert case.fit.program is not None
    assert case.fit.program.norms[0] == 0.0
    assert case.fit.program.norms[1] >= _HIGH


@pytest.mark.parametrize("which", ["dual", "dual_dot"])
def test_pairs_agree_with_the_closed_form(case: Case, which: str) -> None:
    s1, s2, theta = _points(150)
    found = case.runtime.evaluate_pairs(case.tables, which, s1, s2, theta)
    index = 0 if which == "dual" else 1
    for a, b, t, value in zip(s1, s2, theta, found, strict=True):
        size = np.sqrt(case.exact(a, a, 0.0)[index] * case.exact(b, b, 0.0)[index])
        assert abs(value - case.exact(a, b, t)[index]) <= 4e-12 * size


def test_norms_down_to_zero_are_served(case: Case) -> None:
    s = np.array([1e-9, 1e-3, 0.02])
    found = case.runtime.evaluate_pairs(case.tables, "dual", s, np.full(3, 2.0), np.full(3, 0.4))
    for a, value in zip(s, found, strict=True):
        size = np.sqrt(case.exact(a, a, 0.0)[0] * case.exact(2.0, 2.0, 0.0)[0])
        assert abs(value - case.exact(a, 2.0, 0.4)[0]) <= 4e-12 * size
    at_zero = case.runtime.evaluate_pairs(case.tables, "dual", np.zeros(1), np.ones(1), np.ones(1))
    assert at_zero[0] == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tiles_are_the_pairs(case: Case, dtype: type[np.floating[Any]]) -> None:
    random = np.random.default_rng(3)
    left, right = (np.exp(random.uniform(np.log(_LOW), np.log(_HIGH), n)) for n in (70, 90))
    factors = case.runtime.bind(case.tables, left, right, np.dtype(dtype), True)
    theta = random.uniform(0, np.pi, (32, 96)).astype(dtype)
    value, slope = np.empty_like(theta), np.empty_like(theta)
    scratch = case.scratch(theta.size, np.dtype(dtype))
    case.runtime.evaluate_tile(factors, (64, 70, 0, 90), theta, theta, value, slope, scratch)
    rows, columns = np.repeat(left[64:], 90), np.tile(right, 6)
    angles = theta[:6, :90].astype(np.float64).reshape(-1)
    for which, found, index in (("dual", value, 0), ("dual_dot", slope, 1)):
        expected = case.runtime.evaluate_pairs(case.tables, which, rows, columns, angles)
        moments = [case.series.moments(case.tables, s)[index] for s in (rows, columns)]
        tolerance = 1e-12 if dtype is np.float64 else 3e-6
        difference = np.abs(found[:6, :90].reshape(-1) - expected)
        assert float(np.max(difference / np.sqrt(moments[0] * moments[1]))) <= tolerance


def test_rows_of_one_norm_take_numbers(case: Case) -> None:
    factors = case.runtime.bind(case.tables, np.full(40, 2.0), np.full(50, 0.5), np.dtype(np.float64), True)
    assert factors.dual.numbers is not None
    theta = np.linspace(0.0, np.pi, 32 * 64).reshape(32, 64)
    value = np.empty_like(theta)
    case.runtime.evaluate_tile(
        factors, (0, 32, 0, 50), theta, theta, value, np.empty_like(theta), case.scratch(theta.size, theta.dtype)
    )
    size = np.sqrt(case.exact(2.0, 2.0, 0.0)[0] * case.exact(0.5, 0.5, 0.0)[0])
    assert abs(value[7, 9] - case.exact(2.0, 0.5, float(theta[7, 9]))[0]) <= 4e-12 * size


def test_moments_are_those_of_equal_inputs(case: Case) -> None:
    s = np.array([0.01, _LOW, 0.7, 1.0, 2.3, _HIGH])
    for found, index in zip(case.series.moments(case.tables, s), (0, 1), strict=True):
        exact = np.array([case.exact(v, v, 0.0)[index] for v in s])
        assert float(np.max(np.abs(found / exact - 1.0))) <= 2e-13


def test_gaps_of_close_pairs_have_a_small_relative_error(case: Case) -> None:
    s1 = np.array([1.0, 1.0, 2.0, 3.0, 0.5, 1.5])
    s2 = s1 * (1.0 + np.array([0.0, 1e-6, 1e-3, 1e-9, 0.0, 1e-4]))
    theta = np.array([1e-6, 1e-7, 1e-3, 1e-2, 0.12, 0.0])
    factors = case.runtime.bind(case.tables, s1, s2, np.dtype(np.float64), True)
    found = case.runtime.gap(factors, np.arange(6), np.arange(6), theta)
    for a, b, t, value in zip(s1, s2, theta, found, strict=True):
        exact = _exact_gap(case.name, a, b, t)
        assert abs(value / exact - 1.0) <= 1e-8


def _exact_gap(name: str, s1: float, s2: float, theta: float) -> float:
    """1 - T / sqrt(T_ii T_jj) from 60-digit values."""
    with mpmath.workdps(60):
        a, b, t = mpmath.mpf(s1), mpmath.mpf(s2), mpmath.mpf(theta)

        def value(x: Any, y: Any, angle: Any) -> Any:
            rho = mpmath.cos(angle)
            if name == "erf":
                return mpmath.asin(2 * x * y * rho / mpmath.sqrt((1 + 2 * x**2) * (1 + 2 * y**2)))
            c = mpmath.sqrt(2 / mpmath.pi)
            first = x * y * 2 / mpmath.pi * (mpmath.sin(angle) + (mpmath.pi / 2 - angle) * rho)
            return first + c * x * y * (x + y) * (1 + rho**2) + x**2 * y**2 * (1 + 2 * rho**2)

        return float(1 - value(a, b, t) / mpmath.sqrt(value(a, a, 0) * value(b, b, 0)))


def test_hermite_rows_sum_to_the_kernel(case: Case) -> None:
    s = np.array([0.3, 0.8])
    rows = case.series.hermite_rows(case.tables, s, 64)
    rho = 0.5
    found = float(np.sum(rows[0] * rows[1] * rho ** np.arange(65)))
    assert abs(found - case.exact(0.3, 0.8, float(np.arccos(rho)))[0]) <= 1e-13
    with pytest.raises(ValueError, match="degree"):
        case.series.hermite_rows(case.tables, s, 1000)


def test_a_breakpoint_off_zero_leaves_the_one_dimensional_tables() -> None:
    traits = analyse(parse_activation("Min(Max(t, -1), 1)", name="k", parameters={}), Fraction(1))
    found = fit_norms(traits, expand(traits, Fraction(1), 20, 64, None), 1.0, (0.5, 2.0), 20, formed=True)
    assert found.program is not None
    assert found.program.aligned is None
    assert found.reason is not None
    assert "breakpoint" in found.reason


def test_homogeneous_activations_need_none() -> None:
    traits = analyse(parse_activation("Max(t, 0)", name="k", parameters={}), Fraction(1))
    found = fit_norms(traits, expand(traits, Fraction(1), 4, 16, None), 1.0, (_LOW, _HIGH), 4)
    assert found.program is None
    assert "homogeneous" in str(found.reason)


def _both_proxies(text: str, high: float) -> tuple[ScaledActivation, ScaledActivation]:
    """On panels as wide as a Gaussian is smooth, and on wider ones far out."""
    traits = analyse(parse_activation(text, name="k", parameters={}), Fraction(2500))
    wide = scaled_activation(traits, high)
    assert wide is not None
    short = make_proxy(traits, Fraction(1), wide.radius * high, (1e-4, 1e-4), lost=0.0)
    return replace(wide, proxy=short), wide


@pytest.mark.parametrize(
    ("text", "high"), [("Max(t, tanh(t))", 40.0), ("Abs(t)*exp(-t)", 1.0), ("t/(1+exp(-t))", 40.0)]
)
def test_wide_panels_keep_every_digit(text: str, high: float) -> None:
    short, wide = _both_proxies(text, high)
    end = float(wide.proxy.edges[-1])
    t = np.concatenate([np.linspace(1.0, end, 4001), np.geomspace(1.0, end, 500)])
    for side in (t, -t):
        exact, found = evaluate(short.proxy, side, False), evaluate(wide.proxy, side, False)
        # what is below 1e-20 counts nowhere
        assert np.all(np.abs(found - exact) <= 1e-13 * np.abs(exact) + 1e-20)
    if high > 1.0:
        assert len(wide.proxy.edges) < 0.5 * len(short.proxy.edges)


def test_wide_panels_miss_no_narrow_bump() -> None:
    traits = analyse(parse_activation("tanh(t)", name="k", parameters={}), Fraction(2500))
    formula = sympy.tanh(VARIABLE) + sympy.exp(-16 * (VARIABLE - 300) ** 2)
    (piece,) = traits.pieces
    bumped = replace(piece, expression=formula, derivative=sympy.diff(formula, VARIABLE))
    wide = scaled_activation(replace(traits, pieces=(bumped,)), 40.0)
    assert wide is not None
    t = np.array([299.9, 300.0, 300.2])
    np.testing.assert_allclose(evaluate(wide.proxy, t, False), 1.0 + np.exp(-((4.0 * (t - 300.0)) ** 2)), rtol=1e-13)


def test_nearly_opposite_rows_see_the_panels_of_the_other_side() -> None:
    """At large norms sigma varies next to 0 alone, and left of it only: opposite rows have that on the right."""
    points = np.array([1.0, 40.0])
    short, wide = (PairSampler(a, points, "none").by_quadrature(3.14) for a in _both_proxies("Max(t, tanh(t))", 40.0))
    assert float(np.abs(short - wide).max()) <= 1e-13


def test_fewer_nodes_on_shorter_panels() -> None:
    edges = np.array([-13.0, -1.0, -0.9, -0.2, -0.18, 0.0, 1.0, 13.0])
    shares = np.array([1.0, 0.1, 0.7, 0.02, 0.18, 1.0, 1.0])
    z, weight = outer_rule(edges[:-1], edges[1:], shares)
    assert z.size == 4 * 16 + 2 * 8 + 5
    inside = np.abs(z) < 1.0
    exact = math.erf(math.sqrt(0.5)) - 2.0 * math.exp(-0.5) / math.sqrt(2.0 * math.pi)
    assert float(np.sum((weight * z**2)[inside])) == pytest.approx(exact, rel=1e-14)


def test_a_breakpoint_at_zero_that_was_searched_for_is_an_edge() -> None:
    traits = analyse(parse_activation("Max(t, tanh(t))", name="k", parameters={}), Fraction(25))
    assert traits.breakpoints[0].lower < 0
    activation = scaled_activation(traits, 5.0)
    assert activation is not None
    assert 0.0 in activation.coarse_edges
