"""Reference entries beyond the gallery: smooth, kinked at 0 and elsewhere, singular, fast growing."""

from __future__ import annotations

from fractions import Fraction

from mpmath import mp

from tests.reference import closed_forms as closed
from tests.reference.extended_slopes import (
    atan_slope,
    hard_swish,
    hard_swish_slope,
    indicator,
    mish,
    mish_slope,
    selu,
    selu_slope,
    sinc,
    sinc_slope,
    spliced_sine,
    spliced_sine_slope,
)
from tests.reference.gallery import JUMP, step
from tests.reference.registry import Activation

HALF = Fraction(1, 2)
THREE_HALVES = Fraction(3, 2)
HARD_TANH = closed.PiecewiseLinear(Fraction(-1), Fraction(0), (Fraction(-1), Fraction(1)), (Fraction(1), Fraction(-1)))
RELU_SIX = closed.PiecewiseLinear(Fraction(0), Fraction(0), (Fraction(0), Fraction(6)), (Fraction(1), Fraction(-1)))
HARD_SIGMOID = closed.PiecewiseLinear(
    Fraction(0), Fraction(0), (Fraction(-3), Fraction(3)), (Fraction(1, 6), Fraction(-1, 6))
)
SHIFTED_RELU = closed.PiecewiseLinear(Fraction(0), Fraction(0), (Fraction(1),), (Fraction(1),))
SOFT_SHRINK = closed.PiecewiseLinear(HALF, Fraction(1), (-HALF, HALF), (Fraction(-1), Fraction(1)))
COSINE = closed.sine(lambda: mp.mpf(3), lambda: mp.pi / 2)
GROWING_EIGHTH = closed.gaussian(Fraction(-1, 8))
GROWING_FIFTH = closed.gaussian(Fraction(-1, 5))
SINGULAR = "sigma' is not square integrable at 0, so E[sigma'(u) sigma'(v)] is infinite at rho = 1"

SMOOTH: tuple[Activation, ...] = (
    Activation("mish", "t*tanh(log(1 + exp(t)))", mish, mish_slope, variances=("1", "2")),
    Activation(
        "exp_square_eighth",
        "exp(t**2/8)",
        lambda t: mp.exp(t * t / 8),
        lambda t: t / 4 * mp.exp(t * t / 8),
        "smooth",
        *GROWING_EIGHTH,
        variances=("1", "0.5"),
    ),
    Activation(
        "exp_square_fifth",
        "exp(t**2/5)",
        lambda t: mp.exp(t * t / 5),
        lambda t: 2 * t / 5 * mp.exp(t * t / 5),
        "smooth",
        *GROWING_FIFTH,
    ),
    Activation("cos_3t", "cos(3*t)", lambda t: mp.cos(3 * t), lambda t: -3 * mp.sin(3 * t), "smooth", *COSINE),
    Activation(
        "t_erf",
        "t*erf(t)",
        lambda t: t * mp.erf(t),
        lambda t: mp.erf(t) + 2 * t / mp.sqrt(mp.pi) * mp.exp(-t * t),
        "smooth",
        closed.t_erf,
        closed.price_slope(closed.t_erf),
    ),
    Activation("asinh", "asinh(t)", mp.asinh, lambda t: 1 / mp.sqrt(1 + t * t)),
    Activation("atan", "atan(t)", mp.atan, atan_slope, variances=("1", "9")),
    Activation("log_one_plus_square", "log(1 + t**2)", lambda t: mp.log1p(t * t), lambda t: 2 * t / (1 + t * t)),
    Activation(
        "sqrt_one_plus_square",
        "sqrt(1 + t**2)",
        lambda t: mp.sqrt(1 + t * t),
        lambda t: t / mp.sqrt(1 + t * t),
    ),
    Activation("sinc", "sinc(t)", sinc, sinc_slope),
    Activation("besselj_0", "besselj(0, t)", mp.j0, lambda t: -mp.j1(t)),
    Activation("tanh_5t", "tanh(5*t)", lambda t: mp.tanh(5 * t), lambda t: 5 * mp.sech(5 * t) ** 2),
    Activation(
        "mexican_hat",
        "(1 - t**2)*exp(-t**2/2)",
        lambda t: (1 - t * t) * mp.exp(-t * t / 2),
        lambda t: (t**3 - 3 * t) * mp.exp(-t * t / 2),
    ),
)

KINKED_AT_ZERO: tuple[Activation, ...] = (
    Activation(
        "selu",
        "L*Piecewise((t, t > 0), (A*(exp(t) - 1), True))",
        selu,
        selu_slope,
        "kink_at_zero",
        parameters={"L": "1.0507009873554804934193349852946", "A": "1.6732632423543772848170429916717"},
    ),
    Activation(
        "celu_2",
        "Max(0, t) + Min(0, 2*(exp(t/2) - 1))",
        lambda t: t if t > 0 else 2 * mp.expm1(t / 2),
        lambda t: mp.mpf(1) if t > 0 else mp.exp(t / 2),
        "kink_at_zero",
    ),
    Activation(
        "softsign",
        "t/(1 + Abs(t))",
        lambda t: t / (1 + abs(t)),
        lambda t: 1 / (1 + abs(t)) ** 2,
        "kink_at_zero",
    ),
    Activation(
        "abs",
        "Abs(t)",
        abs,
        mp.sign,
        "kink_at_zero",
        closed.absolute_power(Fraction(1)),
        closed.signed_power(Fraction(0)),
    ),
    Activation(
        "leaky_relu_plus_sin",
        "Max(t, t/10) + sin(t)",
        lambda t: (t if t > 0 else t / 10) + mp.sin(t),
        lambda t: (mp.mpf(1) if t > 0 else mp.mpf(1) / 10) + mp.cos(t),
        "kink_at_zero",
    ),
    Activation(
        "exp_minus_abs",
        "exp(-Abs(t))",
        lambda t: mp.exp(-abs(t)),
        lambda t: -mp.sign(t) * mp.exp(-abs(t)),
        "kink_at_zero",
    ),
    Activation(
        "squared_relu",
        "relu(t)**2",
        lambda t: t * t * step(t),
        lambda t: 2 * t * step(t),
        "kink_at_zero",
        closed.arc_cosine(2),
        closed.rectified_slope(2),
    ),
    Activation(
        "cubic_relu_plus_erf",
        "t**2*relu(t) + erf(t)",
        lambda t: t**3 * step(t) + mp.erf(t),
        lambda t: 3 * t * t * step(t) + 2 / mp.sqrt(mp.pi) * mp.exp(-t * t),
        "kink_at_zero",
    ),
    Activation(
        "abs_three_halves",
        "Abs(t)**(3/2)",
        lambda t: abs(t) ** 1.5,
        lambda t: 1.5 * mp.sign(t) * mp.sqrt(abs(t)),
        "singular_at_zero",
        closed.absolute_power(THREE_HALVES),
        closed.scaled(Fraction(9, 4), closed.signed_power(HALF)),
        variances=("1", "2"),
    ),
    Activation(
        "signed_five_quarters",
        "sign(t)*Abs(t)**(5/4)",
        lambda t: mp.sign(t) * abs(t) ** 1.25,
        lambda t: 1.25 * abs(t) ** 0.25,
        "singular_at_zero",
        closed.signed_power(Fraction(5, 4)),
        closed.scaled(Fraction(25, 16), closed.absolute_power(Fraction(1, 4))),
    ),
    Activation(
        "sqrt_abs",
        "sqrt(Abs(t))",
        lambda t: mp.sqrt(abs(t)),
        None,
        "singular_at_zero",
        closed.absolute_power(HALF),
        refused=SINGULAR,
    ),
    Activation(
        "log_abs",
        "log(Abs(t))",
        lambda t: mp.log(abs(t)),
        None,
        "singular_at_zero",
        closed.log_absolute,
        refused=SINGULAR,
        variances=("1", "2"),
    ),
)

KINKED_ELSEWHERE: tuple[Activation, ...] = (
    Activation(
        "hard_tanh",
        "Max(-1, Min(1, t))",
        lambda t: max(min(t, mp.mpf(1)), -mp.mpf(1)),
        lambda t: indicator(abs(t) < 1),
        "kinks",
        HARD_TANH.kappa,
        HARD_TANH.kappa_dot,
        variances=("1", "0.5", "9"),
    ),
    Activation(
        "relu6",
        "Min(Max(t, 0), 6)",
        lambda t: max(min(t, mp.mpf(6)), mp.mpf(0)),
        lambda t: indicator(0 < t < 6),
        "kinks",
        RELU_SIX.kappa,
        RELU_SIX.kappa_dot,
        lambda: mp.mpf(6),
        variances=("1", "9"),
    ),
    Activation(
        "hard_sigmoid",
        "Min(Max(t + 3, 0), 6)/6",
        lambda t: max(min(t + 3, mp.mpf(6)), mp.mpf(0)) / 6,
        lambda t: indicator(-3 < t < 3) / 6,
        "kinks",
        HARD_SIGMOID.kappa,
        HARD_SIGMOID.kappa_dot,
        lambda: mp.mpf(3),
    ),
    Activation(
        "shifted_relu",
        "relu(t - 1)",
        lambda t: max(t - 1, mp.mpf(0)),
        lambda t: indicator(t > 1),
        "kinks",
        SHIFTED_RELU.kappa,
        SHIFTED_RELU.kappa_dot,
    ),
    Activation(
        "soft_shrink",
        "sign(t)*Max(Abs(t) - 1/2, 0)",
        lambda t: mp.sign(t) * max(abs(t) - mp.mpf(1) / 2, mp.mpf(0)),
        lambda t: indicator(abs(t) > 0.5),
        "kinks",
        SOFT_SHRINK.kappa,
        SOFT_SHRINK.kappa_dot,
        lambda: mp.mpf(1) / 2,
    ),
    Activation(
        "shifted_step",
        "Heaviside(t - 1)",
        lambda t: indicator(t > 1),
        None,
        "kinks",
        closed.shifted_step(Fraction(1)),
        refused=JUMP,
    ),
    Activation(
        "abs_sin",
        "Abs(sin(t))",
        lambda t: abs(mp.sin(t)),
        lambda t: mp.sign(mp.sin(t)) * mp.cos(t),
        "kinks",
        closed.absolute_sine(0),
        closed.absolute_sine(1),
        lambda: +mp.pi,
    ),
    Activation(
        "hard_swish",
        "t*Min(Max(t + 3, 0), 6)/6",
        hard_swish,
        hard_swish_slope,
        "kinks",
        spacing=lambda: mp.mpf(3),
    ),
    Activation(
        "abs_square_minus_one",
        "Abs(t**2 - 1)",
        lambda t: abs(t * t - 1),
        lambda t: 2 * t * mp.sign(t * t - 1),
        "kinks",
    ),
    Activation(
        "hard_shrink",
        "Piecewise((t, Abs(t) > 1/2), (0, True))",
        lambda t: t * indicator(abs(t) > 0.5),
        None,
        "kinks",
        spacing=lambda: mp.mpf(1) / 2,
        refused=JUMP,
    ),
    Activation(
        "spliced_sine",
        "Piecewise((sin(t), t < 1), (sin(1) + cos(1)*(t - 1) + (t - 1)**2, True))",
        spliced_sine,
        spliced_sine_slope,
        "kinks",
    ),
    Activation(
        "rectified_exp",
        "Max(0, exp(t) - 2)",
        lambda t: max(mp.mpf(0), mp.exp(t) - 2),
        lambda t: mp.exp(t) * indicator(t > mp.ln2),
        "kinks",
        spacing=lambda: +mp.ln2,
    ),
)

EXTENDED: tuple[Activation, ...] = SMOOTH + KINKED_AT_ZERO + KINKED_ELSEWHERE
