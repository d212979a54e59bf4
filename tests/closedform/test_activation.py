"""Activations by pieces: the formula itself at every point, or nothing."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy

from kernelc.backends.numpy.runtime._activation import Activation
from kernelc.closedform import ClosedForm, activation_pieces, derive
from kernelc.model import VARIABLE
from kernelc.numerics._normal import ndtr
from kernelc.parse import parse_activation

FORMULAS = (
    "Max(-1, Min(1, t))",
    "Piecewise((t, t >= 0), (exp(t) - 1, True))",
    "Max(t, t/10) + sin(t)",
    "Max(2*t + 1/4, t/3)",
    "Max(t - 1/3, 0) * exp(-t^2/7 - t/3)",
    "Abs(t) + Max(t + 2, 0)^2",
    "Max(t, 0) + cos(2*t + 1)",
    "exp(t) - 1 - t",
    "Max(t, 0) + erf(t)",
    "Abs(t - 1) + t/2*(1 + erf(t/sqrt(2)))",
    "Max(t, 0)*exp(-t^2/2) + t*(1 - erf(3*t - 1/2))",
)


def _form(text: str) -> ClosedForm:
    form = derive(parse_activation(text, name="case", parameters={}).expression)
    assert isinstance(form, ClosedForm)
    return form


@pytest.mark.parametrize("text", FORMULAS)
def test_pieces_are_the_formula(text: str) -> None:
    pieces = activation_pieces(_form(text).terms)
    terms = tuple(
        tuple((t.power, t.quadratic, t.linear, t.frequency, t.cosine, t.sine, *(t.gate or ())) for t in piece.terms)
        for piece in pieces
    )
    ends = tuple(piece.end for piece in pieces)
    assert list(ends) == sorted(ends)
    assert ends[-1] == math.inf
    points = np.concatenate([-np.geomspace(1e-12, 9.0, 40), np.geomspace(1e-12, 9.0, 40)])
    found = Activation(ends, terms, ndtr=ndtr).at(np.array([1.0]), points[None, :])[0]
    exact = sympy.lambdify(VARIABLE, parse_activation(text, name="case", parameters={}).expression, "mpmath")
    truth = np.array([float(exact(mpmath.mpf(float(point)))) for point in points])
    np.testing.assert_allclose(found, truth, rtol=1e-13, atol=1e-15 * np.abs(truth).max())


def test_a_pure_sine_keeps_its_digits_next_to_0() -> None:
    pieces = activation_pieces(_form("Max(t, 0) + sin(t)").terms)
    waves = [term for piece in pieces for term in piece.terms if term.frequency]
    assert {(term.cosine, term.sine) for term in waves} == {(0.0, 1.0)}


@pytest.mark.parametrize("text", ["Max(t, 0)^2", "Abs(t)", "t^3", "erf(t)/3", "t/2*(1 + erf(t/sqrt(2)))"])
def test_nothing_where_nothing_needs_it(text: str) -> None:
    """Homogeneous, or smooth."""
    assert activation_pieces(_form(text).terms) == ()
