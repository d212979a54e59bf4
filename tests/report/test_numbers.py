from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kernelc.report.numbers import bound_text, plain_text


@given(st.floats(min_value=0.0, allow_infinity=False, allow_nan=False), st.integers(min_value=1, max_value=17))
def test_a_shown_bound_is_still_a_bound_and_tight(value: float, digits: int) -> None:
    shown = Decimal(bound_text(value, digits))
    assert shown >= Decimal(value)
    assert shown <= Decimal(value) * (1 + Decimal(10) ** (1 - digits))


def test_a_carry_keeps_the_number_of_digits() -> None:
    assert bound_text(9.999e-5) == "1.00e-4"


def test_what_is_no_bound_is_a_dash() -> None:
    assert [bound_text(value) for value in (None, float("nan"), float("inf"), -1.0, "1", True)] == ["-"] * 6


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    assert plain_text(text).isprintable()
