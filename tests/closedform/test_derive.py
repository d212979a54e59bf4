"""The engine derives every row, and each derivation agrees with an independent quadrature."""

from __future__ import annotations

import dataclasses
import time
from fractions import Fraction

import mpmath
import pytest
import sympy

from kernelc.closedform import Q11, Q12, Q22, RHO, VARIANCE, ClosedForm, NoClosedForm, derive, prove
from kernelc.closedform.normal_form import RULES
from kernelc.closedform.proof import evaluate
from kernelc.closedform.reference import EVALUATORS
from kernelc.errors import CertificationError
from kernelc.model import VARIABLE as t
from tests.closedform.rows import ALL, INNER, JUMPS, A, B, form


def derived(expression: sympy.Expr) -> ClosedForm:
    result = derive(expression)
    assert isinstance(result, ClosedForm)
    return result


@pytest.mark.parametrize("name", ALL)
def test_every_row_is_derived_and_proved(name: str) -> None:
    start = time.process_time()
    closed = form(name)
    assert time.process_time() - start < 10
    assert closed.dual_dot is not None
    assert closed.dot_refused is None
    if name not in INNER:
        assert prove(closed, ALL[name], samples=1, digits=6) < 1e-3


@pytest.mark.parametrize("name", ["elu", "relu_cos"])
def test_proof_to_more_digits_near_both_ends(name: str) -> None:
    assert prove(form(name), ALL[name], samples=4, digits=7, seed=3) < 1e-4


@pytest.mark.parametrize("name", JUMPS)
def test_a_jump_gives_the_nngp_and_refuses_the_ntk(name: str) -> None:
    form = derived(JUMPS[name])
    assert form.dual_dot is None
    assert form.kappa_dot is None
    assert form.dot_refused is not None
    assert "infinite" in form.dot_refused
    assert prove(form, JUMPS[name], samples=2, digits=8) < 1e-5


def test_known_formulas_come_out() -> None:
    relu = derived(sympy.Max(t, 0))
    known = (sympy.sqrt(Q11 * Q22 - Q12**2) + Q12 * (sympy.pi / 2 + sympy.asin(Q12 / sympy.sqrt(Q11 * Q22)))) / (
        2 * sympy.pi
    )
    assert sympy.simplify(relu.dual - known) == 0
    erf = derived(sympy.erf(t))
    angle = 2 * Q12 / sympy.sqrt((1 + 2 * Q11) * (1 + 2 * Q22))
    point = {Q11: sympy.Rational(1, 3), Q12: sympy.Rational(-2, 7), Q22: 2}
    assert abs((erf.dual - 2 / sympy.pi * sympy.asin(angle)).subs(point).evalf(30)) < 1e-28
    rbf = derived(sympy.sqrt(2) * sympy.sin(sympy.sqrt(2 * A) * t + sympy.pi / 4))
    assert sympy.simplify(rbf.dual - sympy.exp(-A * (Q11 - 2 * Q12 + Q22))) == 0
    assert derived(sympy.exp(A * t)).dual == sympy.exp(sympy.expand(A**2 * (Q11 / 2 + Q12 + Q22 / 2)))


def test_kappa_is_the_dual_on_the_sphere() -> None:
    form = derived(ALL["elu"])
    at = {RHO: sympy.Rational(1, 3), VARIANCE: sympy.Rational(5, 4)}
    dual = evaluate(form.dual, (Fraction(5, 4), Fraction(5, 12), Fraction(5, 4)), {})
    assert abs(form.kappa.subs(at).evalf(20) - dual) < 1e-14


def test_conditions_name_the_limit_of_square_integrability() -> None:
    assert derived(sympy.exp(t**2 / 8)).conditions == (sympy.Gt(1 - Q11 / 2, 0), sympy.Gt(1 - Q22 / 2, 0))
    real = sympy.Symbol("a", real=True)
    assert sympy.Gt(1 + 4 * real * Q11, 0) in derived(sympy.exp(-real * t**2)).conditions
    assert derived(sympy.exp(-A * t**2)).conditions == ()


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (sympy.tanh(t), "tanh"),
        (sympy.erf(t) ** 2, "two error functions"),
        (sympy.Max(t, 0) * sympy.erf(t), "times a step"),
        (sympy.Max(t, 0) * sympy.sin(t), "off the real line"),
        (sympy.Max(t, 1) + sympy.sin(t), "off the real line"),
        (sympy.sin(t**2), "degree 2"),
        (sympy.Abs(sympy.sin(t)), "finite known set"),
        (sympy.exp(sympy.exp(t)), "no polynomial"),
        (1 / (1 + t**2), "power"),
        (sympy.Max(t - A, B - t, 0), "sign of"),
    ],
)
def test_outside_the_class_the_reason_is_returned(expression: sympy.Expr, said: str) -> None:
    result = derive(expression)
    assert isinstance(result, NoClosedForm)
    assert said in result.reason


def test_a_wrong_formula_is_an_error() -> None:
    form = derived(sympy.Max(t, 0))
    wrong = dataclasses.replace(form, dual=form.dual + Q12 / 10**6)
    with pytest.raises(CertificationError, match="T disagrees"):
        prove(wrong, sympy.Max(t, 0), samples=1, digits=12)
    assert form.dual_dot is not None
    wrong = dataclasses.replace(form, dual_dot=form.dual_dot * (1 + mpmath.mpf("1e-6")))
    with pytest.raises(CertificationError, match="Tdot disagrees"):
        prove(wrong, sympy.Max(t, 0), samples=1, digits=12)


def test_conditions_may_have_switches_of_their_own() -> None:
    one = derived(sympy.Piecewise((t, sympy.Abs(t) < 1), (sympy.sign(t), True)))
    assert one.terms == derived(sympy.Max(-1, sympy.Min(1, t))).terms


def test_a_new_function_of_the_class_is_one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RULES[sympy.cosh]
    monkeypatch.delitem(RULES, sympy.cosh)
    monkeypatch.delitem(EVALUATORS, sympy.cosh)
    assert isinstance(derive(sympy.cosh(t)), NoClosedForm)
    monkeypatch.setitem(RULES, sympy.cosh, rule)
    assert prove(derived(sympy.cosh(t)), sympy.cosh(t), samples=1, digits=10) < 1e-7


def test_nested_and_shifted_switches_equal_their_flat_forms() -> None:
    nested = derived(t * sympy.Min(sympy.Max(t + 3, 0), 6) / 6)
    flat = derived(sympy.Piecewise((0, t <= -3), (t * (t + 3) / 6, t < 3), (t, True)))
    assert nested.terms == flat.terms


def test_mpmath_alone_agrees_on_two_dimensional_quadrature() -> None:
    # a third road: adaptive tanh-sinh in two dimensions, no code of the reference quadrature
    form = derived(ALL["gelu"])
    with mpmath.workdps(15):
        q11, q12, q22 = mpmath.mpf(1), mpmath.mpf("-0.6"), mpmath.mpf(2)
        spread = mpmath.sqrt(q22 - q12**2 / q11)

        def gelu(x: mpmath.mpf) -> mpmath.mpf:
            return x * mpmath.ncdf(x)

        value = mpmath.quad(
            lambda x, y: gelu(x) * gelu(q12 * x + spread * y) * mpmath.npdf(x) * mpmath.npdf(y),
            [-8, 8],
            [-8, 8],
            maxdegree=4,
        )
        assert abs(evaluate(form.dual, (Fraction(1), Fraction(-3, 5), Fraction(2)), {}) - value) < 1e-5
