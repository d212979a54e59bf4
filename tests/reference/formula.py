"""Checks that sigma and sigma', written by hand in the registry, are what the formula's text says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mpmath import mp

from tests.reference.closed_forms import to_real
from tests.reference.quadrature import DisagreementError, Real
from tests.reference.registry import Activation

SAMPLES = ("-7.31", "-3.2", "-2.1", "-1.13", "-0.83", "-0.21", "0.17", "0.41", "0.66", "0.93", "1.37", "2.71", "8.3")


def sign(t: Real) -> Real:
    """-1, 0 or 1."""
    return mp.sign(t)


def heaviside(t: Real) -> Real:
    """1{t > 0}, 1/2 at 0."""
    return (1 + mp.sign(t)) / 2


def piecewise(*branches: tuple[Real, bool]) -> Real:
    """The value of the first branch whose condition holds."""
    return next(value for value, condition in branches if condition)


def names() -> dict[str, Any]:
    """The grammar's names that the registry uses, as mpmath functions."""
    plain = "exp log sqrt cbrt sin cos tan sinh cosh tanh asinh atan erf erfc besselj besseli airyai lambertw sinc"
    table: dict[str, Any] = {name: getattr(mp, name) for name in plain.split()}
    table |= {"Abs": abs, "Max": max, "Min": min, "sign": sign, "Heaviside": heaviside, "Piecewise": piecewise}
    table |= {"sigmoid": lambda t: 1 / (1 + mp.exp(-t)), "relu": lambda t: max(t, mp.mpf(0)), "step": heaviside}
    table |= {"softplus": lambda t: mp.log1p(mp.exp(t)), "silu": lambda t: t / (1 + mp.exp(-t))}
    table |= {"gelu": lambda t: t * mp.ncdf(t), "pi": +mp.pi, "E": +mp.e}
    return table


def check_formula(activation: Activation) -> None:
    """Compares sigma with the text at sample points, and sigma' with sigma's numerical derivative.

    The text is this registry's own, never a stranger's, hence `eval`. Raises: DisagreementError.
    """
    parameters = {name: to_real(Fraction(text)) for name, text in activation.parameters.items()}
    code = compile(activation.formula, activation.name, "eval")
    for sample in SAMPLES:
        t = mp.mpf(sample)
        typed = eval(code, {"__builtins__": {}}, names() | parameters | {"t": t})
        if abs(typed - activation.sigma(t)) > mp.mpf("1e-45") * (1 + abs(typed)):
            raise DisagreementError(f"{activation.name}: sigma({sample}) is not the formula's value")
        if activation.derivative is None:
            continue
        slope = mp.diff(activation.sigma, t)
        if abs(slope - activation.derivative(t)) > mp.mpf("1e-40") * (1 + abs(slope)):
            raise DisagreementError(f"{activation.name}: sigma'({sample}) is not sigma's derivative")
