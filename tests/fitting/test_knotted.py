"""Tables for a range of norms where sigma has kinks off zero (and at 0) and no closed form."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import kernelc
from kernelc.analysis import analyse
from kernelc.expansion import expand
from kernelc.fitting import fit_norms
from kernelc.fitting.norms.activation import evaluate, scaled_activation
from kernelc.fitting.norms.knots import knots_of, refined
from kernelc.fitting.norms.knotted import KnottedSampler
from kernelc.fitting.norms.origin import origin_of
from kernelc.parse import parse_activation
from tests.backends.measure_norms import ACTIVATIONS, expectations, mean, moment, of_one_norm, truth

_ACTIVATION = ACTIVATIONS["cusped_tanh"]
_LOW, _HIGH = 0.8, 1.25


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder: Path = tmp_path_factory.mktemp("knotted")
    compiled = kernelc.compile(_ACTIVATION.formula, name="knotted_in_tests", norms=(_LOW, _HIGH))
    assert compiled.certificate["norms"]["served"] == [_LOW / 1.25, _HIGH * 1.25]
    assert compiled.certificate["norms"]["zero_served"] is True
    for form in ("text", "html"):
        assert re.search(r"0\.64 to 1\.5625, and (rows that are )?0,", compiled.report(form)) is not None
    assert compiled.certificate["norms"]["error_estimate"] <= 1e-10
    closer = compiled.certificate["norms"]["one_norm_error_estimate"]
    assert 0.0 < closer <= 1e-13
    for form in ("text", "html"):
        assert f"({closer:g} between inputs of one norm)" in compiled.report(form)
    compiled.write(folder)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("knotted_in_tests")
    sys.path.remove(str(folder))


def _rows() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Float32 numbers: a row, its multiple, a row within 1e-6 of its antipode, another."""
    base, other = np.array([0.6, -0.3, 0.7]), np.array([0.2, 0.6, -0.5])
    rows: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.array([base, 1.2 * base, 1e-6 * other - base, other])
    return rows.astype(np.float32).astype(np.float64)


def check_matrices_of_rows_of_different_norms(package: ModuleType) -> None:
    rows = _rows()
    exact = truth(_ACTIVATION, rows, 1, 1.1, 0.2)
    filler = np.random.default_rng(1).standard_normal((520, 3))
    filler *= (np.linspace(0.8, 1.1, 520) / np.linalg.norm(filler, axis=1))[:, None]
    for dtype, allowed in ((np.float64, 1e-10), (np.float32, 1e-5)):
        for x in (rows.astype(dtype), np.concatenate([rows, filler]).astype(dtype)):
            for kernel, true in zip((package.nngp, package.ntk), exact, strict=True):
                found = kernel(x, depth=1, w_std=1.1, b_std=0.2)
                assert (found == found.T).all()
                scale = np.sqrt(np.multiply.outer(np.diag(true), np.diag(true)))
                assert float(np.max(np.abs(found[:4, :4] - true) / scale)) <= allowed


def check_matrices_of_rows_of_one_norm(package: ModuleType) -> None:
    """Two hidden layers, the second of them at another norm: tables of their own, as close as a closed form."""
    for norm in (1.0, 1.2):
        rows = of_one_norm(_rows(), norm)
        exact = truth(_ACTIVATION, rows, 2, 0.8, 0.3)
        filler = of_one_norm(np.random.default_rng(1).standard_normal((520, 3)), norm)
        for x in (rows, np.concatenate([rows, filler])):
            for kernel, true in zip((package.nngp, package.ntk), exact, strict=True):
                found = kernel(x, depth=2, w_std=0.8, b_std=0.3)
                assert (found == found.T).all()
                assert float(np.max(np.abs(found[:5, :5] - true))) <= 1e-13 * true[0, 0]


def check_dual_of_one_variance(package: ModuleType) -> None:
    """Where both variances are the same, closely; and next to that."""
    s, theta = 1.1, np.array([0.0, 0.02, 0.4, 2.5])
    q = np.full(theta.shape, s * s)
    for which, function in ((package.dual, _ACTIVATION.value), (package.dual_dot, _ACTIVATION.slope)):
        exact = [moment(function, s, _ACTIVATION.kinks)] + [
            expectations([lambda u, v, f=function: f(u) * f(v)], s, s, t, (_ACTIVATION.kinks,) * 2)[0]
            for t in theta[1:]
        ]
        size = float(which(s * s, s * s, s * s))
        np.testing.assert_allclose(which(q, q * np.cos(theta), q), exact, rtol=0.0, atol=1e-13 * size)
        # an element's value is its own, whatever the others are
        among = which(np.append(q, 1.0), np.append(q * np.cos(theta), 0.3), np.append(q, 1.2))
        np.testing.assert_array_equal(among[:-1], which(q, q * np.cos(theta), q))
        beside = which(q, q * np.cos(theta) * (1.0 + 5e-13), q * (1.0 + 1e-12))
        np.testing.assert_allclose(beside[1:], exact[1:], rtol=0.0, atol=1e-10 * size)


def check_duplicates(package: ModuleType) -> None:
    x = _rows()[[0, 0, 3, 3]]
    for depth in (1, 3):
        matrix = package.ntk(x, depth=depth, w_std=1.0, b_std=0.1)
        np.testing.assert_allclose(matrix[:, 0], matrix[:, 1], rtol=1e-15)
        np.testing.assert_allclose(matrix[:, 2], matrix[:, 3], rtol=1e-15)


def check_zero_rows(package: ModuleType) -> None:
    """The tables do not reach the norm 0: there T = sigma(0) E[sigma(s Z)]."""
    x = np.concatenate([_rows(), np.zeros((2, 3))])
    for depth in (1, 2):
        exact = truth(_ACTIVATION, x, depth, 0.9, 0.0)
        filler = np.random.default_rng(1).standard_normal((520, 3))
        filler *= (np.linspace(0.9, 1.2, 520) / np.linalg.norm(filler, axis=1))[:, None]
        for rows in (x, np.concatenate([x, filler])):
            for kernel, true in zip((package.nngp, package.ntk), exact, strict=True):
                found = kernel(rows, depth=depth, w_std=0.9)[: len(x), : len(x)]
                scale = np.sqrt(np.multiply.outer(np.diag(true), np.diag(true)))
                assert float(np.max(np.abs(found - true) / scale)) <= 1e-10
                np.testing.assert_allclose(found[-2], found[-1], rtol=1e-14)


def check_dual_at_variance_zero(package: ModuleType) -> None:
    q = np.array([0.0, 1.0])
    means = np.array([1.0, mean(_ACTIVATION.value, 1.0, _ACTIVATION.kinks)])
    slopes = np.array([1.0, mean(_ACTIVATION.slope, 1.0, _ACTIVATION.kinks)])
    np.testing.assert_allclose(package.dual(0.0, 0.0, q), means[0] * means, rtol=1e-10)
    np.testing.assert_allclose(package.dual_dot(q, 0.0, 0.0), slopes[0] * slopes, rtol=1e-10)


def check_dual_at_other_variances(package: ModuleType) -> None:
    q11, q12, q22 = 1.0, np.array([-0.9, 0.0, 0.5]), 1.3
    step = 1e-4
    secant = (package.dual(q11, q12 + step, q22) - package.dual(q11, q12 - step, q22)) / (2 * step)
    np.testing.assert_allclose(package.dual_dot(q11, q12, q22), secant, atol=1e-7)
    np.testing.assert_allclose(package.dual(q11, q12, q22), package.dual(q22, q12, q11), rtol=1e-12)


def check_norms_outside_are_refused(package: ModuleType) -> None:
    with pytest.raises(ValueError, match="--norms"):
        package.nngp(3.0 * _rows())
    with pytest.raises(ValueError, match="--norms"):
        package.dual(9.0, 0.0, 1.0)


def test_a_package_with_knots(package: ModuleType) -> None:
    """All of these in one test: another process would have to compile it again, which takes a minute or two."""
    check_matrices_of_rows_of_different_norms(package)
    check_matrices_of_rows_of_one_norm(package)
    check_dual_of_one_variance(package)
    check_duplicates(package)
    check_zero_rows(package)
    check_dual_at_variance_zero(package)
    check_dual_at_other_variances(package)
    check_norms_outside_are_refused(package)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("tanh(t)*Min(Max(t+1,0),2)", (0.0, 1.0)),
        ("log(1+exp(t)) - log(2) + Max(t-1,0)", (0.0, 0.5)),
        ("Max(t,0) + Max(t-1,0) + exp(-t)", (1.0, -0.5)),
        ("Max(exp(t), 3) if t > 1 else 1/3", (1 / 3, None)),
    ],
)
def test_values_at_zero(text: str, origin: tuple[float | None, ...]) -> None:
    """A value of 0 is exactly 0: rows that are 0 stay so."""
    found = origin_of(analyse(parse_activation(text, name="f"), Fraction(1)))
    assert found == tuple(value for value in origin if value is not None)


@pytest.mark.parametrize("text", ["Max(t-1,0) if t > 0 else 1", "sqrt(Abs(t)) + Max(t-1,0)", "Max(sin(t)/t, t-1)"])
def test_what_is_not_known_at_zero(text: str) -> None:
    assert origin_of(analyse(parse_activation(text, name="f"), Fraction(1))) is None


@pytest.mark.parametrize("theta", [0.3, np.pi - 0.3])
def test_the_rest_by_two_roads(theta: float) -> None:
    """The power series, and double integrals with panels about the knots' damped powers and their ends."""
    traits = analyse(parse_activation(_ACTIVATION.formula, name="k", parameters={}), Fraction(2500))
    activation, knots = scaled_activation(traits, 40.0), knots_of(traits, 5, 0.3)
    assert activation is not None
    assert knots is not None
    sampler = KnottedSampler(activation, knots, np.array([0.03, 0.7, 2.0, 30.0]), "none")
    assert sampler.covers(theta)
    assert float(np.abs(sampler.by_series(theta) - sampler.by_quadrature(theta)).max()) <= 2e-14


def test_panels_about_knots_hold_the_same_function() -> None:
    traits = analyse(parse_activation(_ACTIVATION.formula, name="k", parameters={}), Fraction(2500))
    activation, knots = scaled_activation(traits, 40.0), knots_of(traits, 5, 0.3)
    assert activation is not None
    assert knots is not None
    short = refined(activation, knots)
    edges = short.proxy.edges
    near = np.abs(edges[1:]) < 20.0
    assert float(np.diff(edges)[near].max()) <= 4.0
    assert float(np.diff(edges).min()) > 1e-6
    t = np.linspace(float(edges[0]), float(edges[-1]), 5001)
    for slopes in (False, True):
        np.testing.assert_allclose(evaluate(short.proxy, t, slopes), evaluate(activation.proxy, t, slopes), atol=3e-15)


def test_a_singular_breakpoint_off_zero_leaves_the_one_dimensional_tables() -> None:
    traits = analyse(parse_activation("sqrt(abs(t - 1))*tanh(t)", name="k", parameters={}), Fraction(1))
    found = fit_norms(traits, expand(traits, Fraction(1), 20, 64, None), 1.0, (0.9, 1.1), 20)
    assert found.program is None or found.program.knots is None
    assert found.reason is not None


def test_a_zero_over_a_zero_has_no_jumps() -> None:
    """Tables were refused: its derivatives show in no ball at the point itself."""
    knots = knots_of(analyse(parse_activation("tanh(t-1)/(t-1)", name="f"), Fraction(1)), 3, 0.3)
    assert knots is not None
    assert knots.points == (1.0,)
    assert knots.weights == ((0.0,) * 4,)


@pytest.mark.parametrize("text", ["sqrt(Abs(t-1))", "exp(-1/(1-t^2)) if Abs(t) < 1 else 0"])
def test_what_is_not_known_at_a_breakpoint_has_no_knots(text: str) -> None:
    assert knots_of(analyse(parse_activation(text, name="f"), Fraction(1)), 3, 0.3) is None
