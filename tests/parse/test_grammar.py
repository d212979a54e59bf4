"""What a formula means: operators, numbers, names, functions, choices."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from kernelc.functions import PARSER_ENTRIES, ParserEntry
from kernelc.gallery import GALLERY
from kernelc.model import VARIABLE as t
from kernelc.parse import ParameterValue, parse_activation


def read(text: str, **parameters: ParameterValue) -> sympy.Expr:
    return parse_activation(text, name="f", parameters=parameters).expression


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t", t),
        ("-t^2", -(t**2)),
        ("(-t)^2", t**2),
        ("2^3^2*t", 512 * t),
        ("(2^3)^2*t", 64 * t),
        ("2^-t", sympy.Integer(2) ** -t),
        ("-2^2*t", -4 * t),
        ("t**2^3", t**8),
        ("2*t^2", 2 * t**2),
        ("t/2*3", 3 * t / 2),
        ("t/(2*3)", t / 6),
        ("t - 1 - 2 + 3 - 4", t - 4),
        ("t - (1 - 2)", t + 1),
        ("--t", t),
        ("-+-t", t),
        ("+t", t),
        ("2/3/4*t", t / 6),
        ("1/2", sympy.Rational(1, 2)),
        ("t^0", sympy.Integer(1)),
        ("t^(1/2)", sympy.sqrt(t)),
        ("t^-2", t**-2),
        ("E^t", sympy.exp(t)),
        ("exp(t)^300", sympy.exp(300 * t)),
        ("t ^ 256", t**256),
        ("1/t^256", t**-256),
        ("t*sin(1e99)", t * sympy.sin(10**99)),
    ],
)
def test_operators_bind_as_in_python_and_caret_is_power(text: str, expected: sympy.Expr) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("1e-3", Fraction(1, 1000)),
        ("1.5E+2", Fraction(150)),
        ("007", Fraction(7)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("1e300", Fraction(10**300)),
        ("0." + "3" * 59, Fraction(int("3" * 59), 10**59)),
    ],
)
def test_decimals_are_exact_rationals(text: str, expected: Fraction) -> None:
    assert read(text) == sympy.Rational(expected.numerator, expected.denominator)


@pytest.mark.parametrize("variable", ["t", "x", "theta", "z_1", "S", "N", "Q", "lamda", "i", "j", "Symbol", "self"])
def test_the_variable_has_any_name(variable: str) -> None:
    assert read(f"{variable}*tanh({variable})") == t * sympy.tanh(t)


def test_constants_are_exact() -> None:
    assert read("pi*t + E") == sympy.pi * t + sympy.E


def test_a_formula_without_a_variable_is_a_constant_activation() -> None:
    assert read("2") == 2
    assert read("t - t") == 0
    assert read("A^2", A="3/2") == sympy.Rational(9, 4)


def test_white_space_may_be_anywhere_and_is_normalised_in_the_text() -> None:
    spec = parse_activation("  t\n  + 1\t", name="f")
    assert spec.expression == t + 1
    assert spec.text == "t + 1"


def test_parameters_are_replaced_and_kept_in_order_of_name() -> None:
    spec = parse_activation("B*sin(A*x)", name="wave", parameters={"B": "sqrt(2)/3", "A": 0.1}, source="a paper")
    assert spec.expression == sympy.sqrt(2) / 3 * sympy.sin(t / 10)
    assert spec.parameters == (("A", sympy.Rational(1, 10)), ("B", sympy.sqrt(2) / 3))
    assert (spec.name, spec.source) == ("wave", "a paper")


def test_a_parameter_may_have_the_name_of_a_function() -> None:
    assert read("gamma*t + gamma(3)", gamma=5) == 5 * t + 2


@pytest.mark.parametrize("entry", PARSER_ENTRIES[:-1], ids=lambda entry: entry.names[0])
def test_every_registered_function_may_be_typed_by_each_name(entry: ParserEntry) -> None:
    order = ["1"] if entry.names[0].startswith("bessel") else []
    arguments = [*order, "3/2 + t/7", *["1/3"] * (entry.min_args - 1 - len(order))]
    read_as = {read(f"{name}({', '.join(arguments)})") for name in entry.names}
    assert len(read_as) == 1
    assert read_as.pop().free_symbols <= {t}


@pytest.mark.parametrize("name", GALLERY)
def test_every_gallery_activation_is_read(name: str) -> None:
    entry = GALLERY[name]
    spec = parse_activation(entry.formula, name=name, parameters=dict(entry.parameters))
    assert spec.expression.free_symbols == {t}


_BETWEEN = sympy.And(t > 0, t < 1)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("t > 0", t > 0),
        ("0 < t", t > 0),
        ("t >= 1/2", t >= sympy.Rational(1, 2)),
        ("0 < t < 1", _BETWEEN),
        ("t > 0 and t < 1", _BETWEEN),
        ("(t > 0) & (t < 1)", _BETWEEN),
        ("And(t > 0, t < 1)", _BETWEEN),
        ("And(t > 0, t < 1, True)", _BETWEEN),
        ("t < 0 or t > 1", sympy.Or(t < 0, t > 1)),
        ("(t < 0) | (t > 1)", sympy.Or(t < 0, t > 1)),
        ("Or(t < 0, t > 1, False)", sympy.Or(t < 0, t > 1)),
        ("not t > 0", t <= 0),
        ("Not(t > 0)", t <= 0),
        ("~(t > 0)", t <= 0),
        ("not (t > 0 and t < 1)", sympy.Or(t <= 0, t >= 1)),
        ("not (t < 0 or not t <= 1)", sympy.And(t >= 0, t <= 1)),
        ("t > 0 and 1 < 2", t > 0),
        ("t > 0 or A > 2", t > 0),
        ("t*t > 2", t**2 > 2),
    ],
)
def test_conditions(condition: str, expected: sympy.Basic) -> None:
    parameters = {"A": 1} if "A >" in condition else {}
    for text in (f"t if {condition} else 7", f"Piecewise((t, {condition}), (7, True))"):
        found = read(text, **parameters)
        assert isinstance(found, sympy.Piecewise)
        (value, test), (other, last) = found.args
        assert (value, other, last) == (t, 7, sympy.true)
        assert _canonical(test) == _canonical(expected)


def _canonical(condition: sympy.Basic) -> sympy.Basic:
    """Comparisons are kept as they were typed (0 < t); in SymPy's canonical form they compare equal."""
    if condition.is_Relational:
        return condition.canonical
    return condition.func(*[_canonical(part) for part in condition.args])


def test_choices_settle_where_their_conditions_are_constant() -> None:
    assert read("t if A > 1 else -t", A=2) == t
    assert read("t if A > 1 else -t", A="1/2") == -t
    assert read("Piecewise((1, False), (t, 2 >= 2), (3, t > 0))") == t
    assert read("Piecewise((t, t > 0), (1, True), (2, True))") == read("t if t > 0 else 1")
    assert read("t if t > t else 2*t") == 2 * t


def test_a_piecewise_whose_conditions_cover_the_line_needs_no_last_true() -> None:
    assert read("Piecewise((t, t >= 0), (-t, t < 0))") == read("t if t >= 0 else -t")


def test_choices_nest_to_the_right() -> None:
    nested = read("0 if t < 0 else t if t < 1 else 1")
    assert [nested.subs(t, point) for point in (-1, sympy.Rational(1, 2), 3)] == [0, sympy.Rational(1, 2), 1]


def test_a_choice_may_be_part_of_arithmetic() -> None:
    assert read("2*(t if t > 0 else 0) + 1").subs(t, 3) == 7


def test_a_table_of_functions_may_be_given() -> None:
    twice = ParserEntry(("twice",), 1, 1, lambda x: 2 * x, "2x")
    assert parse_activation("twice(t)", name="f", functions=(twice,)).expression == 2 * t
