"""Properties over random formulas and random text."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kernelc.errors import InputError
from kernelc.model import VARIABLE as t
from kernelc.model import ActivationSpec
from kernelc.parse import from_sympy, parse_activation
from kernelc.parse.lexer import tokenize
from kernelc.parse.limits import Limits
from tests.strategies import Formula, OutOfRangeError, formulas, hostile_texts

_SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
_POINTS = st.fractions(min_value=-4, max_value=4, max_denominator=1000)

_NAMES = {
    "Heaviside": lambda value, _half: mpmath.mpf(value > 0),
    "erfc": mpmath.erfc,
}


def _numeric(expression: sympy.Expr, point: Fraction) -> mpmath.mpf:
    function = sympy.lambdify(t, expression, [_NAMES, "mpmath"])
    with mpmath.workdps(40):
        return mpmath.mpf(function(mpmath.mpf(point.numerator) / point.denominator))


def _read(text: str, parameters: Mapping[str, str]) -> tuple[ActivationSpec | None, str]:
    """What the parser makes of `text`, or why it refuses."""
    try:
        return parse_activation(text, name="f", parameters=parameters), ""
    except InputError as error:
        return None, str(error)


@given(formula=formulas(), point=_POINTS)
@settings(max_examples=150, deadline=None, suppress_health_check=_SLOW)
def test_a_formula_means_what_an_independent_evaluator_says(formula: Formula, point: Fraction) -> None:
    try:
        expected = formula.value(point)
    except OutOfRangeError:
        assume(False)
    spec, message = _read(formula.text, dict(formula.parameters))
    if spec is None:
        # Of well-formed formulas, those are refused in which a constant is out of bounds or a hidden zero.
        assert any(reason in message for reason in ("cannot be told from zero", "range of doubles")), message
        return
    found = _numeric(spec.expression, point)
    assert abs(found - expected) <= mpmath.mpf("1e-15") * (1 + abs(expected))


@given(formula=formulas())
@settings(max_examples=80, deadline=None, suppress_health_check=_SLOW)
def test_rebuilding_a_parsed_expression_changes_nothing(formula: Formula) -> None:
    spec, _ = _read(formula.text, dict(formula.parameters))
    assume(spec is not None)
    assert spec is not None
    assert from_sympy(spec.expression, name="f").expression == spec.expression


@given(text=hostile_texts())
@settings(max_examples=250, deadline=None, suppress_health_check=_SLOW)
def test_arbitrary_text_is_a_formula_or_an_input_error_and_soon(text: str) -> None:
    start = time.monotonic()
    spec, message = _read(text, {})
    assert message.isprintable()
    assert message.isascii()
    column = re.match(r"column (\d+): ", message)
    assert column is None or 1 <= int(column[1]) <= len(text)
    if spec is not None:
        assert spec.expression.free_symbols <= {t}
        assert not spec.expression.has(sympy.I, sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, sympy.Float)
        assert spec.text.isprintable()
        assert spec.text.isascii()
    assert time.monotonic() - start < 5


@given(text=st.text(alphabet="t01.e+-*/^() ,", max_size=30))
@settings(max_examples=300, deadline=None)
def test_tokens_cover_the_text_in_order(text: str) -> None:
    try:
        tokens = tokenize(text, Limits())
    except InputError:
        return
    for token in tokens:
        assert text[token.column - 1 : token.column - 1 + len(token.text)] == token.text
    assert "".join(token.text for token in tokens) == "".join(text.split())


@given(formula=formulas())
@settings(max_examples=40, deadline=None, suppress_health_check=_SLOW)
def test_reading_is_deterministic(formula: Formula) -> None:
    first, second = (_read(formula.text, dict(formula.parameters)) for _ in range(2))
    assert repr(first) == repr(second)


@pytest.mark.parametrize("sign", ["^", "**"])
@given(exponents=st.lists(st.integers(0, 3), min_size=2, max_size=3))
def test_powers_bind_to_the_right(sign: str, exponents: list[int]) -> None:
    power = 1
    for exponent in reversed(exponents):
        power = exponent**power
    assume(power <= 256)
    assert parse_activation(sign.join(["t", *map(str, exponents)]), name="f").expression == t**power
