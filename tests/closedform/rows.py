"""The activations that the engine must derive: the table's rows and what people use beyond."""

from __future__ import annotations

from functools import cache

import sympy
from sympy import Abs, Heaviside, Max, Min, Piecewise, Rational, cos, erf, exp, pi, sin, sinh, sqrt

from kernelc.closedform import ClosedForm, derive
from kernelc.model import VARIABLE as t

A, B = sympy.symbols("A B", positive=True)
RELU = Max(t, 0)
# Klambauer et al., Self-Normalizing Neural Networks (2017), the two constants to 16 digits
SELU_SCALE, SELU_ALPHA = Rational("1.0507009873554805"), Rational("1.6732632423543772")


def hermite(q: int) -> sympy.Expr:
    """The orthonormal probabilists' Hermite polynomial."""
    return sympy.hermite_prob(q, t) / sqrt(sympy.factorial(q)) if q else sympy.S.One


def polynomial(degree: int) -> sympy.Expr:
    """A polynomial with symbolic coefficients."""
    return sympy.Add(*(sympy.Symbol(f"a{k}", real=True) * t**k for k in range(degree + 1)))


TABLE: dict[str, sympy.Expr] = {
    **{f"rectified_monomial_{q}": RELU**q for q in range(1, 11)},
    **{f"monomial_{q}": t**q for q in range(11)},
    **{f"hermite_{q}": hermite(q) for q in range(11)},
    **{f"polynomial_{d}": polynomial(d) for d in range(1, 7)},
    "erf": erf(t),
    "abrelu": A * Min(t, 0) + B * RELU,
    "exp": exp(A * t),
    "sin": sin(A * t + B),
    "gaussian": exp(-A * t**2),
    "gelu": t / 2 * (1 + erf(t / sqrt(2))),
    "elu": Piecewise((t, t > 0), (exp(t) - 1, True)),
    "rbf": sqrt(2) * sin(sqrt(2 * A) * t + pi / 4),
    "gabor": exp(-(t**2)) * sin(t),
}
BEYOND: dict[str, sympy.Expr] = {
    "selu": SELU_SCALE * Piecewise((t, t > 0), (SELU_ALPHA * (exp(t) - 1), True)),
    "celu": RELU + Min(0, A * (exp(t / A) - 1)),
    "relu6": Min(Max(t, 0), 6),
    "hard_tanh": Max(-1, Min(1, t)),
    "hard_swish": t * Min(Max(t + 3, 0), 6) / 6,
    "cos": cos(t),
    "sinh": sinh(t),
    "t_gauss": t * exp(-(t**2)),
    "t_erf": t * erf(t),
    "squared_relu": RELU**2,
    "mexican_hat": (1 - t**2) * exp(-(t**2) / 2),
    "laplace": exp(-Abs(t)),
    "relu_sin": RELU + sin(t),
    "relu_cos": RELU + cos(t),
    "abs": Abs(t),
    "cubic_relu_erf": t**2 * RELU + erf(t),
    "shifted_erf": erf(A * t + B),
    "shifted_relu": Max(t - A, 0),
    "damped_wave": exp(t / 2) * sin(t),
    "growing": exp(t**2 / 8),
    "erfi": sympy.erfi(t / 3) + t,
}
#: the inner members of the long families
INNER = {f"{family}_{k}" for family in ("hermite", "monomial", "polynomial") for k in range(1, 10)} - {"polynomial_6"}
INNER |= {f"rectified_monomial_{k}" for k in (1, 4, 5, 6, 7, 8, 9)}
JUMPS: dict[str, sympy.Expr] = {"step": Heaviside(t), "shifted_step": Heaviside(t - 1)}
ALL = {**TABLE, **BEYOND}


@cache
def form(name: str) -> ClosedForm:
    """The closed form of a row, derived once a session."""
    result = derive(ALL[name])
    assert isinstance(result, ClosedForm)
    return result
