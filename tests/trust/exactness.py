"""Balls as exact numbers, for tests of bounds."""

from __future__ import annotations

from fractions import Fraction

from flint import arb
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.functions.envelope import fraction_of
from kernelc.model import ActivationTraits
from kernelc.parse import parse_activation


def traits(text: str, variance: Fraction = Fraction(1)) -> ActivationTraits:
    return analyse(parse_activation(text, name="f"), variance)


def low(x: arb) -> Fraction:
    return fraction_of(x.lower())


def high(x: arb) -> Fraction:
    return fraction_of(x.upper())


def number(x: arb) -> mpf:
    exact = fraction_of(x.mid())
    return mpf(exact.numerator) / exact.denominator
