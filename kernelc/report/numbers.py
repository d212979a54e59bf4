"""Numbers as a report shows them: a bound is never rounded down."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any


def bound_text(value: Any, digits: int = 3) -> str:
    """`value` in scientific notation, rounded up to `digits` significant digits, so that it is still a bound.

    "0" is exactly zero; "-" stands for what is not a finite number >= 0.
    """
    if not is_number(value) or value < 0:
        return "-"
    if value == 0:
        return "0"
    rounded = Context(prec=digits, rounding=ROUND_CEILING, Emin=-(10**6), Emax=10**6).create_decimal(Decimal(value))
    return f"{rounded:.{digits - 1}e}"


def observed_text(value: Any) -> str:
    """An observed error in scientific notation at 3 digits, rounded to nearest: it bounds nothing."""
    if not is_number(value):
        return "-"
    return f"{Decimal(value):.2e}" if value else "0"


def is_number(value: Any) -> bool:
    """Whether `value` is a finite int or float (a bool is not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def value_text(value: Any) -> str:
    """`value` at 15 significant digits, "-" where there is none."""
    return f"{value:.15g}" if is_number(value) else "-"


def plain_text(value: Any) -> str:
    """`value` as text on one line, with control characters escaped: certificates may come from strangers."""
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
