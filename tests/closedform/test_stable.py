"""The float64 programs: against mpmath at 40 digits and more, near rho = +-1, over sixteen orders of magnitude."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
import pytest
import sympy

from kernelc.closedform import Q11, Q12, Q22, ClosedForm, FloatDual, compile_dual, derive
from kernelc.closedform.normal_form import exact
from kernelc.closedform.proof import holds_at_equal_inputs
from kernelc.closedform.special import MPMATH_NAMES
from kernelc.errors import UnsupportedError
from kernelc.model import VARIABLE as t
from kernelc.parse import parse_activation
from tests.closedform.rows import ALL, INNER, JUMPS, A, B, form

VALUES = {A: sympy.Rational(3, 4), B: sympy.Rational(5, 4)} | {
    sympy.Symbol(f"a{k}", real=True): sympy.Rational(k + 2, 4) for k in range(7)
}
COSINES = (1.0, 1 - 1e-13, 1 - 1e-6, 0.6, 0.0, -0.95, -1 + 1e-9, -1.0)
MODERATE = ((1.0, 1.0), (1e-3, 1e-3), (1e-3, 1e3), (1e3, 1e3))
EXTREME = ((1e-8, 1e-8), (1e8, 1e8), (1e-8, 1e8))
#: bivariate probabilities at a hundred digits are slow: fewer points for these, in a test of their own
SLOW = {"elu", "selu", "celu", "laplace", "relu6", "hard_tanh", "hard_swish", "shifted_relu", "shifted_erf"}
#: exp(A t) and its kind leave float64 at these variances
GROWING = {"exp", "sinh", "damped_wave", "growing", "erfi"}


@cache
def compiled(name: str, dot: bool) -> FloatDual:
    return compile_dual(form(name), VALUES, dot=dot)


def covariances(q11: float, q22: float, cosines: tuple[float, ...]) -> np.ndarray:
    exact_ends = q11 == q22
    return np.array([c * q11 if exact_ends else c * np.sqrt(q11 * q22) for c in cosines])


def worst_error(name: str, dot: bool, variances: tuple[float, float], cosines: tuple[float, ...], digits: int) -> float:
    """Relative to sqrt(T11 T22), the truth at the very doubles that were passed."""
    formula = form(name).dual_dot if dot else form(name).dual
    assert formula is not None
    function = sympy.lambdify((Q11, Q12, Q22), formula.subs(VALUES), modules=[MPMATH_NAMES, "mpmath"])
    q11, q22 = variances
    q12 = covariances(q11, q22, cosines)
    values = compiled(name, dot)(q11, q12, q22)

    def truth(a: float, b: float, c: float) -> mpmath.mpf:
        x, y, z = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(c)
        if x * z <= y * y:  # on the boundary, or a rounding beyond it
            y = mpmath.sign(y) * mpmath.sqrt(x * z) * (1 - mpmath.mpf(10) ** (8 - digits))
        return function(x, y, z)

    with mpmath.workdps(digits):
        scale = mpmath.sqrt(truth(q11, q11, q11) * truth(q22, q22, q22))
        errors = [abs(mpmath.mpf(float(v)) - truth(q11, float(b), q22)) for v, b in zip(values, q12, strict=True)]
        return float(max(errors) / scale)


#: of the long families, the ends
FAST = [name for name in ALL if name not in SLOW | GROWING | INNER]


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("name", FAST)
def test_elementary_forms_hold_everywhere(name: str, dot: bool) -> None:
    if dot and ALL[name].diff(t) == 0:
        assert np.array_equal(compiled(name, dot)(1.0, [0.5, -1.0], 1.0), [0.0, 0.0])
        return
    for variances in MODERATE:
        assert worst_error(name, dot, variances, COSINES, 60) < 1e-14
    for variances in EXTREME:
        assert worst_error(name, dot, variances, COSINES, 110) < 1e-14


@pytest.mark.parametrize(("name", "dot"), [("hard_tanh", False), ("hard_tanh", True), ("hard_swish", False)])
def test_shifted_kinks(name: str, dot: bool) -> None:
    for variances in ((1e-3, 1e3), (1e3, 1e3)):
        assert worst_error(name, dot, variances, (1 - 1e-6, -0.95), 30) < 1e-13
    assert worst_error(name, dot, (1e8, 1e8), (0.6,), 34) < 1e-10


@pytest.mark.parametrize("name", ["exp", "sinh", "damped_wave"])
def test_exponential_growth_holds_until_it_overflows(name: str) -> None:
    for variances in ((1.0, 1.0), (1e-3, 1e-3), (1e-8, 1e-8)):
        assert worst_error(name, False, variances, COSINES, 60) < 2e-14
    with pytest.raises(UnsupportedError, match="variance 1e\\+08 lies outside"):
        compiled(name, False)(1.0, 0.0, 1e8)


def elu(x: mpmath.mpf) -> mpmath.mpf:
    return x if x > 0 else mpmath.expm1(x)


def elu_by_conditioning(q11: float, q12: float, q22: float) -> mpmath.mpf:
    """E[ELU(u) E[ELU(v) | u]], the inner one in closed form, the outer by quadrature on graded panels."""
    a, b, c = mpmath.mpf(q11), mpmath.mpf(q12), mpmath.mpf(q22)
    spread, scale = mpmath.sqrt(max(a * c - b * b, 0) / a), mpmath.sqrt(a)

    def inner(mean: mpmath.mpf) -> mpmath.mpf:
        if spread == 0:
            return elu(mean)
        z = mean / spread
        growing = mpmath.exp(mean + spread**2 / 2) * mpmath.ncdf(-z - spread)
        return mean * mpmath.ncdf(z) + spread * mpmath.npdf(z) + growing - mpmath.ncdf(-z)

    widths = [1 / scale, spread * scale / abs(b) if b else mpmath.mpf(1)]
    edges = {s * w * mpmath.mpf(4) ** j for w in widths for j in range(-2, 12) for s in (1, -1)}
    grid = sorted({e for e in edges if abs(e) < 12} | {mpmath.mpf(0), mpmath.mpf(12), mpmath.mpf(-12)})
    return mpmath.quad(lambda x: elu(scale * x) * inner(b / scale * x) * mpmath.npdf(x), grid, maxdegree=5)


@pytest.mark.parametrize("variances", [(1.0, 1.0), (1e-3, 1e3), (1e-8, 1e-8), (1e8, 1e8)])
def test_elu_where_exponentials_meet_probabilities(variances: tuple[float, float]) -> None:
    kernel = compiled("elu", False)
    q11, q22 = variances
    with mpmath.workdps(20):
        scale = mpmath.sqrt(elu_by_conditioning(q11, q11, q11) * elu_by_conditioning(q22, q22, q22))
        for q12 in covariances(q11, q22, (1.0, 0.6, -0.95, -1.0)):
            error = abs(float(kernel(q11, q12, q22)) - elu_by_conditioning(q11, float(q12), q22)) / scale
            assert error < 1e-14


@pytest.mark.parametrize("name", [n for n in ALL if n not in INNER and ALL[n].subs(t, 0) == 0])
def test_zero_rows_are_exactly_zero(name: str) -> None:
    kernel = compiled(name, False)
    assert np.array_equal(kernel([0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]), np.zeros(3))
    assert np.isfinite(compiled(name, True)([0.0, 0.0, 1.0], 0.0, [0.0, 1.0, 0.0])).all()


def test_zero_rows_of_an_activation_that_is_not_zero_there() -> None:
    # laplace: sigma(0) = 1, E[sigma(v)] at variance 1 is 2 exp(1/2) Phi(-1)
    mean = 2 * np.exp(0.5) * 0.15865525393145707
    assert np.allclose(compiled("laplace", False)([0.0, 0.0], 0.0, [0.0, 1.0]), [1.0, mean], rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", [n for n in ALL if n not in INNER])
def test_no_summand_is_ever_not_a_number(name: str) -> None:
    for dot in (False, True):
        kernel = compiled(name, dot)
        low, high = max(kernel.variances[0], 1e-16), kernel.variances[1]
        q = np.geomspace(low * 1.001, high * 0.999, 41)
        first, second, cosine = np.meshgrid(q, q, np.array(COSINES), indexing="ij")
        assert np.isfinite(kernel(first, cosine * np.sqrt(first * second), second)).all()


def test_the_derivative_of_a_rectified_monomial_at_one() -> None:
    # E[(3 u^2 1{u > 0})^2] = 9 * 3/2 q^2, where a known library returns NaN
    assert abs(compiled("rectified_monomial_3", True)(2.0, 2.0, 2.0) - 54.0) < 1e-13


def test_refusals() -> None:
    step = derive(JUMPS["step"])
    assert isinstance(step, ClosedForm)
    with pytest.raises(UnsupportedError, match="infinite at rho = 1"):
        compile_dual(step, dot=True)
    with pytest.raises(UnsupportedError, match="parameters without a value: A"):
        compile_dual(form("gaussian"))
    with pytest.raises(UnsupportedError, match="outside"):
        compiled("growing", False)(1.0, 0.0, 2.5)
    # erfi(t/3) is square integrable below 9/4; beyond, the formula's arc sine would still be a number
    assert 2.0 < compiled("erfi", False).variances[1] < 2.25


def test_scalars_and_broadcasting() -> None:
    kernel = compiled("gelu", False)
    assert kernel(1.0, 0.5, 1.0).shape == ()
    assert kernel(np.ones((3, 1)), 0.5, np.ones(4)).shape == (3, 4)


@pytest.mark.parametrize("text", ["exp(-Abs(t))", "sinh(Max(t, 0))", "sinh(Abs(t))", "exp(-2*Abs(t)) + t*exp(-Abs(t))"])
def test_equal_inputs_reach_the_moment(text: str) -> None:
    """At q11 = q12 = q22 tilted quadrants shrink to a corner at the origin: T is E[sigma(sZ)^2] all the same."""
    expression = parse_activation(text, name="f").expression
    form = derive(expression)
    assert isinstance(form, ClosedForm)
    for dot, function in ((False, expression), (True, sympy.diff(expression, t))):
        dual = compile_dual(form, dot=dot)
        assert holds_at_equal_inputs(dual, exact(function))
        assert not holds_at_equal_inputs(dual, 1.001 * exact(function))
        near, at = float(dual(1.0, 1.0 - 2.0**-40, 1.0)), float(dual(1.0, 1.0, 1.0))
        assert near == pytest.approx(at, rel=1e-4)
