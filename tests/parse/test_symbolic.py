"""SymPy expressions given in Python go through the same allow-list and bounds as text."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import sympy

from kernelc.errors import InputError
from kernelc.model import VARIABLE as t
from kernelc.parse import from_sympy, parse_activation

x = sympy.Symbol("x")
r = sympy.Symbol("r", real=True)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (x, "t"),
        (x**2 + 3 * x - sympy.pi, "t^2 + 3*t - pi"),
        (0.1 * x, "t/10"),
        (sympy.Float("0.1", 40) * x, "t/10"),
        (sympy.Float("0.25") * x, "t/4"),
        (sympy.sqrt(x**2), "abs(t)"),
        (sympy.Abs(r), "abs(t)"),
        (sympy.exp(-(r**2)) * sympy.sin(r), "exp(-t^2)*sin(t)"),
        (sympy.E**x, "exp(t)"),
        (sympy.Max(r, 0) + sympy.Min(r, 0) / 10, "max(t, 0) + min(t, 0)/10"),
        (sympy.Heaviside(x), "step(t)"),
        (sympy.Heaviside(x, 1), "step(t)"),
        (sympy.sign(x), "sign(t)"),
        (sympy.sinc(x), "sinc(t)"),
        (sympy.LambertW(sympy.exp(x)), "lambertw(exp(t))"),
        (sympy.digamma(sympy.exp(x)), "digamma(exp(t))"),
        (sympy.erf(x / sympy.sqrt(2)), "erf(t/sqrt(2))"),
        (sympy.besselj(0, x), "besselj(0, t)"),
        (sympy.airyai(x), "airyai(t)"),
        (sympy.Piecewise((x, x > 0), (0, True)), "t if t > 0 else 0"),
        (
            sympy.Piecewise((x, (x > 0) & (x < 1)), (1, ~((x > 2) | (x < -3))), (3, True)),
            "Piecewise((t, t > 0 and t < 1), (1, t <= 2 and t >= -3), (3, True))",
        ),
        (sympy.Integer(3), "3"),
    ],
)
def test_means_what_the_text_means(given: sympy.Expr, text: str) -> None:
    assert from_sympy(given, name="f").expression == parse_activation(text, name="f").expression


def test_parameters() -> None:
    a = sympy.Symbol("a", positive=True)
    spec = from_sympy(sympy.sin(a * x), name="f", parameters={"a": "1/3"})
    assert spec.expression == sympy.sin(t / 3)
    assert spec.parameters == (("a", sympy.Rational(1, 3)),)
    assert spec.text == "sin(a*x)"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (x + r, "more than one free variable: 'x' and 'r'"),
        (sympy.Symbol("p", positive=True), "assumes more than being real"),
        (sympy.Symbol("n", integer=True), "assumes more than being real"),
        (sympy.Symbol("i", imaginary=True), "assumes more than being real"),
        (x + sympy.Symbol("x", real=True), "two symbols of one name"),
        (sympy.Symbol("a b"), "rename it"),
        (sympy.Symbol("x\nimport os"), "rename it"),
        (sympy.Symbol("e"), "write E or exp"),
        (sympy.I * x, "not real"),
        (sympy.sqrt(-(x**2) - 1) ** 2 * 0 + sympy.sqrt(sympy.Integer(-2)) * x, "not real"),
        (sympy.oo * x, "infinite"),
        (sympy.zoo, "infinite"),
        (sympy.nan, "not a number"),
        (sympy.Mul(x, sympy.Pow(0, -1, evaluate=False), evaluate=False), "division by zero"),
        (sympy.floor(x), "jump without end"),
        (sympy.re(x), "'re' is not accepted"),
        (sympy.conjugate(x), "'conjugate' is not accepted"),
        (sympy.Function("f")(x), "'f' is not accepted"),
        (sympy.Function("exp")(x), "'exp' is not accepted"),
        (sympy.polygamma(1, x), "order 0 only"),
        (sympy.Derivative(sympy.sin(x), x), "Derivative"),
        (sympy.Integral(sympy.sin(x), x), "Integral"),
        (sympy.Sum(x, (x, 0, 3)), "Sum"),
        (sympy.Piecewise((x, sympy.Eq(x, 0)), (1, True)), "a single point has no weight"),
        (sympy.Piecewise((x, x > 0)), "end it with (value, True)"),
        (x**300, "at most 256"),
        (sympy.Pow(9, sympy.Pow(9, 99, evaluate=False), evaluate=False) * x, "too large"),
        (
            sympy.Add(x, sympy.exp(sympy.Mul(10**9, sympy.log(2), evaluate=False), evaluate=False), evaluate=False),
            "too large",
        ),
        (sympy.Float("1e400") * x, "range of doubles"),
        (sympy.exp(1000) * x, "range of doubles"),
        (x > 0, "sympy.Expr"),
        (sympy.true, "sympy.Expr"),
        (sympy.Matrix([x]), "sympy.Expr"),
        (3, "sympy.Expr"),
        (None, "sympy.Expr"),
    ],
)  # fmt: skip
def test_refused(given: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        from_sympy(given, name="f")
    message = str(caught.value)
    assert words in message
    assert message.isprintable()
    assert not message.startswith("column")


def test_unused_parameters_and_bad_names_are_refused() -> None:
    with pytest.raises(InputError, match="does not occur"):
        from_sympy(x, name="f", parameters={"a": 1})
    with pytest.raises(InputError, match="name"):
        from_sympy(x, name="a/b")


def test_an_expression_that_is_too_large_or_deep_is_refused() -> None:
    doubling = x
    for k in range(40):
        doubling = sympy.sin(doubling) + sympy.cos(doubling) + k
    for given in (sympy.Add(*[x**k * sympy.sin(k * x) for k in range(2500)]), doubling):
        with pytest.raises(InputError, match=r"at most|more than"):
            from_sympy(given, name="f")


def test_depth_is_no_harm() -> None:
    deep = x
    for _ in range(250):
        deep = sympy.Add(1, sympy.sin(deep, evaluate=False), evaluate=False)
    with contextlib.suppress(InputError):
        assert from_sympy(deep, name="f").expression.free_symbols == {t}
