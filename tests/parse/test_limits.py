"""No text makes the parser run long, fill the memory, or compute what nobody asked for."""

from __future__ import annotations

import contextlib
import time

import pytest
import sympy

from kernelc.errors import InputError
from kernelc.functions import ParserEntry
from kernelc.model import VARIABLE as t
from kernelc.parse import parse_activation
from tests.strategies import NASTY_TEXTS


def read(text: str) -> sympy.Expr:
    return parse_activation(text, name="f").expression


@pytest.mark.parametrize("number", range(len(NASTY_TEXTS)))
def test_nasty_texts_end_soon_and_raise_nothing_else(number: int) -> None:
    start = time.monotonic()
    with contextlib.suppress(InputError):
        assert read(NASTY_TEXTS[number]).free_symbols <= {t}
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("t" + " " * 4095, "t" + " " * 4096, "at most 4096"),
        ("(" * 64 + "t" + ")" * 64, "(" * 65 + "t" + ")" * 65, "nested too deeply"),
        ("-" * 63 + "t", "-" * 64 + "t", "nested too deeply"),
        ("+".join(["t"] * 1000), "+".join(["t"] * 1001), "at most 2000"),
        ("9" * 60 + "*t", "9" * 61 + "*t", "at most 60 digits"),
        ("0." + "1" * 59 + "*t", "0." + "1" * 60 + "*t", "at most 60 digits"),
        ("1e300*t", "1e301*t", "at most 300"),
        ("1e-300*t", "1e-301*t", "at most 300"),
        ("t^256", "t^257", "at most 256"),
        ("1/t^256", "1/t^257", "at most 256"),
        ("t^200*t^56", "t^200*t^57", "at most 256"),
        ("(t^16)^16", "(t^16)^17", "at most 256"),
        ("t^255.5", "t^256.5", "at most 256"),
        ("3^640*t", "3^650*t", "range of doubles"),
        ("(t/3)^256", "(t/3333333)^256", "too large"),
        ("exp(700)*t", "exp(710)*t", "range of doubles"),
        ("gamma(170)*t", "gamma(171)*t", "at most 170"),
        ("besselj(1000, t)", "besselj(1001, t)", "at most 1000"),
        ("exp(500*log(2))*t", "exp(5000*log(2))*t", "too large"),
        ("silu(silu(silu(silu(t))))", "gelu(" * 14 + "t" + ")" * 14, "more than 5000"),
        ("max(" + ",".join(f"t/{k}" for k in range(1, 17)) + ")",
         "max(" + ",".join(f"t/{k}" for k in range(1, 18)) + ")", "at most 16"),
        ("max(t, max(sin(t), cos(t)))", "max(t, max(" + ",".join(f"sin({k}*t)" for k in range(1, 17)) + "))",
         "nested ones included"),
        ("sign(acos(t)^16)", "sign(acos(t)^200)", "not real everywhere by its form"),
        ("sinh(t + log(t))^9", "sinh((sin(t) + exp(t) + t)^90*log(t))", "not real everywhere by its form"),
    ],
)  # fmt: skip
def test_each_limit_lets_through_what_is_below_it(good: str, bad: str, words: str) -> None:
    read(good)
    with pytest.raises(InputError) as caught:
        read(bad)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "log(1+(1000*log(Abs(1000*t-3)))^2)",
        "Max(log(1+(3*t+5)^2)*(1000*t-2)^4, t)",
        "airyai(1000*log(1+((-t-1.25)^3)^2))",
        "relu(5000*log(2)*t)",
    ],
)
def test_large_multiples_of_a_logarithm_are_read_where_nothing_sets_it_free(text: str) -> None:
    """Only exponentials do; these were refused for numbers that cannot arise."""
    read(text)
    with pytest.raises(InputError, match="too large"):
        read(f"exp(10^6*({text})*log(2))")


def test_a_tower_of_powers_is_refused_before_it_is_computed() -> None:
    for text in (
        "9**9**9*t",
        "2^2^2^2^2^2",
        "t*10^10^10",
        "(2^1000)^1000*t",
        "exp(10^9*log(2))*t",
        "2^(t + 10^9)*2^-t",
    ):
        start = time.process_time()
        with pytest.raises(InputError, match=r"too large|range of doubles"):
            read(text)
        assert time.process_time() - start < 1


def test_the_time_is_limited() -> None:
    def sleep(x: sympy.Expr) -> sympy.Expr:
        time.sleep(0.02)
        return x

    slow = ParserEntry(("slow",), 1, 1, sleep, "takes its time")
    with pytest.raises(InputError, match=r"longer than 0\.01 s") as caught:
        parse_activation("1 + slow(t)", name="f", functions=(slow,), seconds=0.01)
    assert caught.value.column == 5


def test_long_sums_and_products_are_not_nested() -> None:
    assert read("+".join(f"t^{k}" for k in range(1, 150))).subs(t, 1) == 149
    assert read("*".join(["(1 + t)"] * 150)) == (1 + t) ** 150


def test_what_sympy_raises_is_refused_input() -> None:
    def broken(_x: sympy.Expr) -> sympy.Expr:
        raise ZeroDivisionError

    entry = ParserEntry(("broken",), 1, 1, broken, "fails")
    with pytest.raises(InputError, match="ZeroDivisionError") as caught:
        parse_activation("2*broken(t)", name="f", functions=(entry,))
    assert caught.value.column == 3


def test_nothing_is_built_before_the_whole_text_is_checked() -> None:
    called: list[object] = []
    entry = ParserEntry(("probe",), 1, 1, called.append, "must not run")
    for text in ("probe(t) + t[0]", "probe(t)\N{SUPERSCRIPT TWO}", "probe(t) + x", "probe(t", "probe(t) if t"):
        with pytest.raises(InputError):
            parse_activation(text, name="f", functions=(entry,))
    assert not called
