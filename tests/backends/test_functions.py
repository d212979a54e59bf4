"""kappa, kappa_dot, their series and the dual kernels of emitted packages."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest

from tests.backends.programs import Angular, Case

Load = Callable[[str], ModuleType]
ALL = (
    "relu",
    "relu_panels",
    "relu_fixed",
    "absolute",
    "step",
    "sign",
    "signed_square",
    "erf",
    "erf_slow",
    "exponential",
    "exponential_mixed",
    "bump_mixed",
    "cube",
    "cube_mixed",
)


def worst(function: Callable[[Any], Any], truth: Angular, rho: np.ndarray[Any, Any]) -> float:
    values = function(rho)
    with mpmath.workdps(40):
        scale = abs(truth(mpmath.mpf(0)))
        errors = (
            abs(mpmath.mpf(float(value)) - truth(mpmath.acos(mpmath.mpf(float(at)))))
            for value, at in zip(values, rho, strict=True)
        )
        return float(max(errors) / scale)


@pytest.mark.parametrize("name", ALL)
def test_against_closed_forms(package_of: Load, cases: dict[str, Case], name: str) -> None:
    package, case = package_of(name), cases[name]
    near = 10.0 ** -np.arange(1, 17)
    rho = np.concatenate([np.linspace(-1, 1, 41), 1 - near, near - 1])
    assert worst(package.kappa, case.kappa, rho) < 1e-14
    assert worst(package.kappa, case.kappa, rho.astype(np.float32)) < 1e-6
    assert package.kappa(1.0) == case.program.kappa.at_one
    assert package.kappa(-1.0) == case.program.kappa.at_minus_one
    if case.kappa_dot is not None:
        assert worst(package.kappa_dot, case.kappa_dot, rho) < 1e-14
        assert worst(package.kappa_dot, case.kappa_dot, rho.astype(np.float32)) < 1e-6


@pytest.mark.parametrize("name", ALL)
def test_series_and_coefficients(package_of: Load, cases: dict[str, Case], name: str) -> None:
    package, program = package_of(name), cases[name].program
    rho = np.linspace(-1, 1, 31)
    np.testing.assert_array_equal(package.COEFFICIENTS, program.kappa.series.coefficients)
    expected = np.polynomial.polynomial.polyval(rho, package.COEFFICIENTS)
    np.testing.assert_allclose(package.kappa_series(rho), expected, rtol=0, atol=1e-14 * expected.max())
    assert not package.COEFFICIENTS.flags.writeable
    if program.kappa_dot is not None:
        np.testing.assert_array_equal(package.DERIVATIVE_COEFFICIENTS, program.kappa_dot.series.coefficients)
        expected = np.polynomial.polynomial.polyval(rho, package.DERIVATIVE_COEFFICIENTS)
        np.testing.assert_allclose(package.kappa_dot_series(rho), expected, rtol=0, atol=1e-14 * expected.max())


def test_shapes_and_types(package_of: Load) -> None:
    kappa = package_of("relu").kappa
    for dtype, expected in (
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.float16, np.float64),
        (np.int32, np.float64),
        (np.bool_, np.float64),
        (np.dtype(">f4"), np.dtype(np.float32)),
    ):
        value = kappa(np.ones((2, 3, 1), dtype))
        assert value.dtype == expected
        np.testing.assert_array_equal(value, np.full((2, 3, 1), 0.5))
    assert isinstance(kappa(0.5), np.float64)
    strided = np.linspace(-1, 1, 50000).reshape(2, -1)[:, ::2].T
    np.testing.assert_array_equal(kappa(strided), kappa(np.ascontiguousarray(strided)))


def test_domain(package_of: Load) -> None:
    kappa = package_of("relu").kappa
    assert kappa(1 + 4 * np.finfo(np.float64).eps) == 0.5
    assert kappa(np.float32(1 + 4 * np.finfo(np.float32).eps)) == np.float32(0.5)
    for bad in (1.0 + 1e-14, -1.1, math.nan, math.inf, 1j, "a", None, np.longdouble(0.5)):
        with pytest.raises(ValueError, match=r"^rho: "):
            kappa(bad)


@pytest.mark.parametrize(("name", "degree"), [("relu", 1), ("signed_square", 2), ("cube", 3)])
def test_dual_at_any_variance(package_of: Load, cases: dict[str, Case], name: str, degree: int) -> None:
    package, case = package_of(name), cases[name]
    assert case.kappa_dot is not None
    for q11, q22, rho in ((4.0, 0.25, 0.3), (1e-16, 1e16, -0.8), (9.0, 9.0, 1.0)):
        q12 = rho * math.sqrt(q11 * q22)
        theta = mpmath.acos(mpmath.mpf(q12) / mpmath.sqrt(mpmath.mpf(q11) * mpmath.mpf(q22)))
        scale = math.sqrt(q11) * math.sqrt(q22)
        assert package.dual(q11, q12, q22) == pytest.approx(float(scale**degree * case.kappa(theta)), rel=1e-13)
        expected = float(scale ** (degree - 1) * case.kappa_dot(theta))
        assert package.dual_dot(q11, q12, q22) == pytest.approx(expected, rel=1e-13)
    assert package.dual(0.0, 0.0, 4.0) == 0.0
    assert package.dual_dot(0.0, 0.0, 4.0) == (0.25 if name == "relu" else 0.0)


def test_dual_shapes_types_and_refusals(package_of: Load) -> None:
    relu, erf = package_of("relu"), package_of("erf")
    single = np.ones(3, np.float32)
    assert relu.dual(single[:, None], np.float32(0.5), single).shape == (3, 3)
    assert relu.dual(single, single, single).dtype == np.float32
    assert isinstance(relu.dual(1, 0, 1), np.float64)
    assert erf.dual(1.0, 0.5, 1.0) == erf.kappa(0.5)
    for package, arguments, message in (
        (relu, (-1.0, 0.0, 1.0), "q11: a variance is >= 0"),
        (relu, (1.0, 1.1, 1.0), "q12: .q12. exceeds"),
        (relu, (1.0, math.nan, 1.0), "q12: contains NaN"),
        (relu, (np.ones(2), 0.0, np.ones(3)), "do not broadcast"),
        (erf, (1.0, 0.5, 2.0), r"q22: erf holds at variance 1\.0 alone, got 2\.0; recompile with --variance 2\.0"),
        (package_of("step"), (0.0, 0.0, 1.0), "depends on sigma"),
    ):
        with pytest.raises(ValueError, match=message):
            package.dual(*arguments)
