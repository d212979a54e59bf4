"""Reference entries for the built-in gallery."""

from __future__ import annotations

from fractions import Fraction

from mpmath import mp

from tests.reference import closed_forms as closed
from tests.reference.quadrature import Real
from tests.reference.registry import Activation

JUMP = "sigma has a jump, so E[sigma'(u) sigma'(v)] is infinite at rho = 1"

LEAKY = closed.abrelu(Fraction(1, 100), Fraction(1))
ABRELU = closed.abrelu(Fraction(-1, 4), Fraction(3, 2))
EXP_ONE = closed.exponential(Fraction(1))
EXP_HALF = closed.exponential(Fraction(1, 2))
SINE = closed.sine(lambda: mp.mpf(1), lambda: mp.mpf(1) / 2)
RBF = closed.sine(lambda: mp.sqrt(2), lambda: mp.pi / 4, 2)
GAUSSIAN = closed.gaussian(Fraction(1))
CUBE = closed.polynomial([Fraction(0)] * 3 + [Fraction(1)])
FOURTH = closed.polynomial([Fraction(0)] * 4 + [Fraction(1)])
POLYNOMIAL = closed.polynomial([Fraction(1), Fraction(2), Fraction(-1), Fraction(1, 3)])


def hermite_three(q: Real, rho: Real) -> Real:
    """h_3 at variance 1: rho^3."""
    if q != 1:
        raise ValueError("h_3 is orthonormal at variance 1 only")
    return mp.mpf(rho) ** 3


def step(t: Real) -> Real:
    """1{t > 0}; 1/2 at 0 is never asked for."""
    return mp.mpf(1) if t > 0 else mp.mpf(0)


def logistic(t: Real) -> Real:
    """1/(1+exp(-t))."""
    return 1 / (1 + mp.exp(-t))


def silu_slope(t: Real) -> Real:
    """d/dt t/(1+exp(-t))."""
    s = logistic(t)
    return s + t * s * (1 - s)


def sigmoid_slope(t: Real) -> Real:
    """d/dt 1/(1+exp(-t))."""
    s = logistic(t)
    return s * (1 - s)


GALLERY: tuple[Activation, ...] = (
    Activation(
        "step",
        "Heaviside(t)",
        step,
        None,
        "kink_at_zero",
        closed.arc_cosine(0),
        refused=JUMP,
        variances=("1", "2"),
    ),
    Activation(
        "relu",
        "relu(t)",
        lambda t: max(t, 0 * t),
        step,
        "kink_at_zero",
        closed.arc_cosine(1),
        closed.rectified_slope(1),
        variances=("1", "2", "9"),
    ),
    Activation(
        "rectified_linear",
        "t*Heaviside(t)",
        lambda t: t * step(t),
        step,
        "kink_at_zero",
        closed.arc_cosine(1),
        closed.rectified_slope(1),
    ),
    Activation(
        "rectified_square",
        "t**2*Heaviside(t)",
        lambda t: t * t * step(t),
        lambda t: 2 * t * step(t),
        "kink_at_zero",
        closed.arc_cosine(2),
        closed.rectified_slope(2),
        variances=("1", "2"),
    ),
    Activation(
        "rectified_cube",
        "t**3*Heaviside(t)",
        lambda t: t**3 * step(t),
        lambda t: 3 * t * t * step(t),
        "kink_at_zero",
        closed.arc_cosine(3),
        closed.rectified_slope(3),
    ),
    Activation(
        "leaky_relu",
        "Max(t, t/100)",
        lambda t: t if t > 0 else t / 100,
        lambda t: mp.mpf(1) if t > 0 else mp.mpf(1) / 100,
        "kink_at_zero",
        *LEAKY,
    ),
    Activation(
        "abrelu",
        "A*Min(t, 0) + B*Max(t, 0)",
        lambda t: 3 * t / 2 if t > 0 else -t / 4,
        lambda t: mp.mpf(3) / 2 if t > 0 else -mp.mpf(1) / 4,
        "kink_at_zero",
        *ABRELU,
        parameters={"A": "-1/4", "B": "3/2"},
    ),
    Activation(
        "erf",
        "erf(t)",
        mp.erf,
        lambda t: 2 / mp.sqrt(mp.pi) * mp.exp(-t * t),
        "smooth",
        closed.erf_dual,
        closed.erf_slope,
        variances=("1", "0.5", "2"),
    ),
    Activation(
        "gelu",
        "t/2*(1 + erf(t/sqrt(2)))",
        lambda t: t * mp.ncdf(t),
        lambda t: mp.ncdf(t) + t * mp.npdf(t),
        "smooth",
        closed.gelu,
        closed.price_slope(closed.gelu),
        variances=("1", "0.5", "2", "9"),
    ),
    Activation("exp", "exp(A*t)", mp.exp, mp.exp, "smooth", *EXP_ONE, parameters={"A": "1"}),
    Activation(
        "exp_half",
        "exp(A*t)",
        lambda t: mp.exp(t / 2),
        lambda t: mp.exp(t / 2) / 2,
        "smooth",
        *EXP_HALF,
        parameters={"A": "1/2"},
        variances=("1", "2"),
    ),
    Activation(
        "hermite_3",
        "(t**3 - 3*t)/sqrt(6)",
        lambda t: (t**3 - 3 * t) / mp.sqrt(6),
        lambda t: (3 * t * t - 3) / mp.sqrt(6),
        "smooth",
        hermite_three,
        closed.price_slope(hermite_three),
    ),
    Activation(
        "sin",
        "sin(A*t + B)",
        lambda t: mp.sin(t + mp.mpf(1) / 2),
        lambda t: mp.cos(t + mp.mpf(1) / 2),
        "smooth",
        *SINE,
        parameters={"A": "1", "B": "1/2"},
        variances=("1", "9"),
    ),
    Activation(
        "gaussian",
        "exp(-A*t**2)",
        lambda t: mp.exp(-t * t),
        lambda t: -2 * t * mp.exp(-t * t),
        "smooth",
        *GAUSSIAN,
        parameters={"A": "1"},
        variances=("1", "2"),
    ),
    Activation(
        "rbf",
        "sqrt(2)*sin(sqrt(2*A)*t + pi/4)",
        lambda t: mp.sqrt(2) * mp.sin(mp.sqrt(2) * t + mp.pi / 4),
        lambda t: 2 * mp.cos(mp.sqrt(2) * t + mp.pi / 4),
        "smooth",
        *RBF,
        parameters={"A": "1"},
    ),
    Activation(
        "gabor",
        "exp(-t**2)*sin(t)",
        lambda t: mp.exp(-t * t) * mp.sin(t),
        lambda t: mp.exp(-t * t) * (mp.cos(t) - 2 * t * mp.sin(t)),
        "smooth",
        closed.gabor,
        closed.price_slope(closed.gabor),
        variances=("1", "2"),
    ),
    Activation("cube", "t**3", lambda t: t**3, lambda t: 3 * t * t, "smooth", *CUBE, variances=("1", "2")),
    Activation("fourth_power", "t**4", lambda t: t**4, lambda t: 4 * t**3, "smooth", *FOURTH),
    Activation(
        "polynomial",
        "1 + 2*t - t**2 + t**3/3",
        lambda t: 1 + 2 * t - t * t + t**3 / 3,
        lambda t: 2 - 2 * t + t * t,
        "smooth",
        *POLYNOMIAL,
        variances=("1", "0.5"),
    ),
    Activation("tanh", "tanh(t)", mp.tanh, lambda t: mp.sech(t) ** 2, variances=("1", "2", "9")),
    Activation("sigmoid", "1/(1 + exp(-t))", logistic, sigmoid_slope, variances=("1", "9")),
    Activation("silu", "t*sigmoid(t)", lambda t: t * logistic(t), silu_slope, variances=("1", "0.5", "9")),
    Activation("softplus", "log(1 + exp(t))", lambda t: mp.log1p(mp.exp(t)), logistic, variances=("1", "2")),
    Activation(
        "elu",
        "Piecewise((t, t > 0), (exp(t) - 1, True))",
        lambda t: t if t > 0 else mp.expm1(t),
        lambda t: mp.mpf(1) if t > 0 else mp.exp(t),
        "kink_at_zero",
        variances=("1", "2"),
    ),
)
