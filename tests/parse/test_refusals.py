"""What is refused: always an InputError of one line, with the column of the user's own text."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from kernelc.errors import InputError
from kernelc.parse import parse_activation, parse_parameter_value


def refusal(text: str, **parameters: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_activation(text, name="f", parameters=parameters)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isascii()
    assert message.isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        # not a formula
        ("", None, "empty"),
        (" \n ", None, "empty"),
        ("t +", 3, "breaks off after '+'"),
        ("t + * 2", 5, "a value is expected here, not '*'"),
        ("*t", 1, "a value is expected"),
        ("t ^^ 2", 4, "a value is expected here, not '^'"),
        ("(t", 1, "never closed"),
        ("sin((t)", 4, "never closed"),
        ("t)", 2, "closes no"),
        ("t, 1", 1, "','"),
        ("()", 1, "','"),
        ("(t + )", 6, "a value is expected here, not ')'"),
        ("t not t", 7, "not a formula"),
        ("t if t > 0", 3, "value if condition else other"),
        ("if t", 1, "a value is expected here, not 'if'"),
        ("|t|", 1, "Abs(t)"),
        ("2t", 2, "an operator is missing between '2' and 't'"),
        ("3 * 2(t + 1)", 6, "an operator is missing"),
        ("(t)(t)", 4, "an operator is missing"),
        ("t t", 3, "an operator is missing"),
        ("1.2.3*t", 4, "an operator is missing"),
        ("0x10*t", 2, "an operator is missing"),
        ("1_000*t", 2, "'_'"),
        ("t(t + 1)", 1, "t*(...)"),
        ("pi(t)", 1, "pi*(...)"),
        # Python that is not a formula
        ("t.real", 2, "attribute access"),
        ("exp.__globals__", 4, "attribute access"),
        ("t[0]", 2, "subscripts"),
        ("{t}", 1, "subscripts"),
        ("lambda x: x", 1, "'lambda'"),
        ("(lambda: t)()", 2, "'lambda'"),
        ("exp(x for x in t)", 7, "'for'"),
        ("'t'", 1, "quotes"),
        ('f"{t}"', 2, "quotes"),
        ("__import__('os').system('true')", 1, "begins with a letter"),
        ("t + _x", 5, "begins with a letter"),
        ("(t := 1)", 4, ":="),
        ("t = 1", 3, "assignments"),
        ("exp(x=t)", 6, "keyword arguments"),
        ("exp(*t)", 5, "a value is expected"),
        ("exp(t, *t)", 8, "a value is expected"),
        ("exp(**t)", 5, "a value is expected"),
        ("t; t", 2, "not part of a formula"),
        ("t # note", 3, "not part of a formula"),
        ("t\\", 2, "not part of a formula"),
        ("import os", 1, "'import'"),
        ("None", 1, "'None'"),
        ("t\x00", 2, "not part of a formula"),
        ("...", 1, "needs a digit"),
        ("eval(t)", 1, "unknown function 'eval'"),
        ("open(t)", 1, "unknown function 'open'"),
        ("print(t)", 1, "unknown function 'print'"),
        ("getattr(t, t)", 1, "unknown function 'getattr'"),
        ("sin(t)(t)", 7, "an operator is missing"),
        # operators and functions that are left out on purpose
        ("t % 2", 3, "a remainder jumps without end"),
        ("t // 2", 3, "its floor jumps without end"),
        ("1 + floor(t)", 5, "jump without end"),
        ("ceil(t)", 1, "jump without end"),
        ("t @ t", 3, "not part of a formula"),
        ("t & 1", 1, "stand only between conditions"),
        ("~t", 1, "only in conditions"),
        ("t << 1", 4, "a value is expected"),
        # names
        ("t + x", 5, "more than one free variable: 't' and 'x'"),
        ("a*b", 3, "more than one free variable: 'a' and 'b'"),
        ("Pi*t", 1, "did you mean 'pi'?"),
        ("foo(t)", 1, "unknown function 'foo'"),
        ("t + sigmiod(t)", 5, "did you mean 'sigmoid'?"),
        ("Exp(t)", 1, "did you mean 'exp'?"),
        ("piecewise((t, True))", 1, "did you mean 'Piecewise'?"),
        ("exp", 1, "'exp' is a function"),
        ("e^t", 1, "write E or exp"),
        ("sin(e)", 5, "write E or exp"),
        ("t" * 65, 1, "at most 64 characters"),
        ("exp()", 1, "exp takes 1 argument, not 0"),
        ("2 + exp(t, t)", 5, "exp takes 1 argument, not 2"),
        ("besselj(t)", 1, "besselj takes 2 arguments, not 1"),
        ("log(t, 2, 3)", 1, "log takes 1 to 2 arguments, not 3"),
        # conditions
        ("t > 0", 1, "a condition stands where a number is expected"),
        ("1 + (t > 0)", 6, "a condition stands where a number is expected"),
        ("t < t < t", 1, "a condition stands"),
        ("t > 0 and t < 1", 1, "a condition stands"),
        ("And(t > 0, t < 1)", 1, "makes a condition"),
        ("not t", 1, "only in conditions"),
        ("True", 1, "True stands only in conditions"),
        ("t + False", 5, "False stands only in conditions"),
        ("t if t else 0", 6, "a condition is expected"),
        ("t if 1 else 0", 6, "a condition is expected"),
        ("t if sin(t) else 0", 6, "a condition is expected"),
        ("t if -t else 0", 6, "a condition is expected"),
        ("t if t + 1 else 0", 6, "a condition is expected"),
        ("t if t == 0 else 1", 6, "a single point has no weight"),
        ("Piecewise((1, t != 0), (0, True))", 15, "a single point has no weight"),
        ("Piecewise((t, t > 0))", 1, "end it with (value, True)"),
        ("Piecewise((t, t > 0), (1, t < 0))", 1, "end it with (value, True)"),
        ("Piecewise((t, False))", 1, "end it with (value, True)"),
        ("Piecewise()", 1, "end it with (value, True)"),
        ("Piecewise(t)", 11, "takes pairs"),
        ("Piecewise((t, t > 0, 1), (0, True))", 11, "takes pairs"),
        ("t if (t if t > 0 else 1) > 0 else 2", 6, "may not hold a Piecewise"),
        ("t if Not() else 1", 6, "Not takes one condition"),
        ("t if And() else 1", 6, "And takes conditions"),
        # not real, not finite
        ("I*t", 1, "complex numbers"),
        ("1j*t", 1, "complex numbers"),
        ("2.5J", 1, "complex numbers"),
        ("t + oo", 5, "infinities"),
        ("inf", 1, "infinities"),
        ("t*nan", 3, "NaN"),
        ("1/0", 3, "division by zero"),
        ("t + 1/(2 - 2)", 8, "division by zero"),
        ("t/(t - t)", 4, "division by zero"),
        ("0^-1*t", 1, "division by zero"),
        ("t/sinc(pi)", 3, "division by zero"),
        ("t + sqrt(-1)", 5, "not real"),
        ("(-8)^(1/3)*t", 1, "not real"),
        ("log(-2)*t", 1, "not real"),
        ("acosh(1/2)*t", 1, "not real"),
        ("t*log(0)", 3, "infinite"),
        ("t*atanh(1)", 3, "infinite"),
        ("gamma(-2)*t", 1, "infinite"),
        ("(-1)^t", 1, "not real everywhere"),
        ("0^t", 1, "not real everywhere"),
        ("t/(sin(1)^2 + cos(1)^2 - 1)", 4, "cannot be told from zero"),
    ],
)
def test_refused_with_its_column(text: str, column: int | None, words: str) -> None:
    error = refusal(text)
    assert words in str(error)
    assert error.column == column
    assert (f"column {column}: " in str(error)) == (column is not None)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("2*\N{GREEK SMALL LETTER PI}*t", 3, "write pi"),
        ("t\N{SUPERSCRIPT TWO}", 2, "write ^2"),
        ("3\N{MIDDLE DOT}t", 2, "write *"),
        ("t \N{MINUS SIGN} 1", 3, "ASCII minus"),
        ("\N{INFINITY}*t", 1, "infinities"),
        ("\N{GREEK SMALL LETTER SIGMA}", 1, "ASCII"),
        ("\N{FULLWIDTH LATIN SMALL LETTER E}xp(t)", 1, "ASCII"),
        ("t\N{NO-BREAK SPACE}+ 1", 2, "ASCII"),
        ("t\ud800", 2, "ASCII"),
        ("\N{ARABIC-INDIC DIGIT ONE}*t", 1, "ASCII"),
    ],
)
def test_anything_but_ascii_is_refused_with_what_to_write(text: str, column: int, words: str) -> None:
    error = refusal(text)
    assert words in str(error)
    assert error.column == column


def test_columns_are_those_of_the_text_as_typed() -> None:
    # `^` becomes two characters and numbers one before Python sees the text.
    assert refusal("t^2^2 + 1000000*foo(t)").column == 17
    assert refusal("\n  t +\n  foo(t)").column == 10


def test_unknown_functions_are_told_which_there_are() -> None:
    message = str(refusal("foo(t)"))
    assert all(name in message for name in ("exp", "gelu", "besselj", "Piecewise"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"A": 1, "B": 2}, "the parameter 'B' does not occur"),
        ({"A": 1, "t": 2, "C": 1}, "the parameter 'C' does not occur"),
        ({"A": 1, "beta": 1}, "the parameter 'beta' does not occur"),
        ({"pi": 3}, "already has a meaning"),
        ({"I": 3}, "already has a meaning"),
        ({"a-b": 3}, "is not accepted"),
        ({"class": 3}, "is not accepted"),
        ({"_x": 3}, "is not accepted"),
        ({"": 3}, "is not accepted"),
        ({3: 3}, "is text"),
        ({"A": "1/0"}, "parameter A: column 3: division by zero"),
        ({"A": "x"}, "parameter A: column 1: unknown name 'x'"),
        ({"A": "P"}, "parameter A: column 1: unknown name 'P'"),
        ({"A": "pie"}, "did you mean 'pi'?"),
        ({"A": ""}, "parameter A"),
        ({"A": "inf"}, "infinities"),
        ({"A": "nan"}, "NaN"),
        ({"A": "sqrt(-1)"}, "not real"),
        ({"A": "9**9**9"}, "too large"),
        ({"A": "1; 2"}, "not part of a formula"),
        ({"A": float("inf")}, "finite"),
        ({"A": float("nan")}, "finite"),
        ({"A": 5e-324}, "range of doubles"),
        ({"A": 10**400}, "range of doubles"),
        ({"A": True}, "not bool"),
        ({"A": None}, "not NoneType"),
        ({"A": 1j}, "not complex"),
    ],
)
def test_parameters_refused(parameters: dict[Any, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_activation("A*t", name="f", parameters=parameters)
    assert words in str(caught.value)


def test_a_misspelt_parameter_is_recognised() -> None:
    with pytest.raises(InputError, match="'alpah' does not occur in the formula; did you mean 'alpha'"):
        parse_activation("sin(alpha)", name="f", parameters={"alpah": 1})
    with pytest.raises(InputError, match="'t' and 'alpah'; did you mean 'alpha'"):
        parse_activation("sin(alpah*t)", name="f", parameters={"alpha": 1})


def test_too_many_parameters() -> None:
    parameters = {f"a{k}": 1 for k in range(65)}
    with pytest.raises(InputError, match="at most 64"):
        parse_activation("+".join(parameters) + "+t", name="f", parameters=parameters)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1/3", Fraction(1, 3)),
        ("-0.1", Fraction(-1, 10)),
        (" 1e-3 ", Fraction(1, 1000)),
        (0.1, Fraction(1, 10)),
        (7, Fraction(7)),
        (Fraction(2, 3), Fraction(2, 3)),
        (0, Fraction(0)),
    ],
)
def test_parameter_values(value: Any, expected: Fraction) -> None:
    found = parse_parameter_value(value)
    assert found.is_Rational
    assert Fraction(int(found.p), int(found.q)) == expected


@pytest.mark.parametrize("text", [None, 3, b"t", ["t"]])
def test_a_formula_is_text(text: Any) -> None:
    with pytest.raises(InputError, match="a formula is text"):
        parse_activation(text, name="f")
