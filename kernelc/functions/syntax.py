"""The names a person may type and the SymPy expression each stands for."""

from __future__ import annotations

import sympy
from sympy import Expr

from kernelc.errors import InputError
from kernelc.functions.heads import LambertW0, Sinc
from kernelc.functions.record import ParserEntry

_HALF = sympy.Rational(1, 2)


def _cbrt(x: Expr) -> Expr:
    """The real cube root, odd in x."""
    return x ** sympy.Rational(1, 3) if x.is_nonnegative else sympy.sign(x) * sympy.Abs(x) ** sympy.Rational(1, 3)


def _log(x: Expr, base: Expr | None = None) -> Expr:
    return sympy.log(x) if base is None else sympy.log(x) / sympy.log(base)


def _rounding(*_args: Expr) -> Expr:
    raise InputError("floor, ceil and round are not accepted: they jump without end; write the steps with Heaviside")


def _order(function: type[sympy.Function], nu: Expr, x: Expr) -> Expr:
    if not (nu.is_Rational and nu >= 0):
        raise InputError(f"the order of {function.__name__} must be a rational number >= 0")
    if nu.is_Integer and x.could_extract_minus_sign():
        # SymPy would write (-x)^n / x^n for the sign, and divide by 0 at 0.
        return (-1) ** nu * function(nu, -x)
    return function(nu, x)


def _relu(x: Expr) -> Expr:
    return sympy.Max(x, 0)


def _elu(x: Expr, alpha: Expr = sympy.S.One) -> Expr:
    return sympy.Max(x, 0) + alpha * (sympy.exp(sympy.Min(x, 0)) - 1)


def _gelu(x: Expr) -> Expr:
    return x / 2 * (1 + sympy.erf(x / sympy.sqrt(2)))


def _one(name: str, build: type[sympy.Function], summary: str, *more: str) -> ParserEntry:
    return ParserEntry((name, *more), 1, 1, build, summary)


PARSER_ENTRIES: tuple[ParserEntry, ...] = (
    _one("exp", sympy.exp, "exponential"),
    ParserEntry(("log", "ln"), 1, 2, _log, "natural logarithm (or to a base)"),
    ParserEntry(("sqrt",), 1, 1, sympy.sqrt, "square root"),
    ParserEntry(("cbrt",), 1, 1, _cbrt, "real cube root"),
    _one("sin", sympy.sin, "sine"),
    _one("cos", sympy.cos, "cosine"),
    _one("tan", sympy.tan, "tangent"),
    _one("sinh", sympy.sinh, "hyperbolic sine"),
    _one("cosh", sympy.cosh, "hyperbolic cosine"),
    _one("tanh", sympy.tanh, "hyperbolic tangent"),
    _one("asinh", sympy.asinh, "inverse hyperbolic sine", "arcsinh"),
    _one("acosh", sympy.acosh, "inverse hyperbolic cosine", "arccosh"),
    _one("atanh", sympy.atanh, "inverse hyperbolic tangent", "arctanh"),
    _one("asin", sympy.asin, "inverse sine", "arcsin"),
    _one("acos", sympy.acos, "inverse cosine", "arccos"),
    _one("atan", sympy.atan, "inverse tangent", "arctan"),
    _one("sinc", Sinc, "sin(x)/x", "Sinc"),
    _one("erf", sympy.erf, "error function"),
    _one("erfc", sympy.erfc, "complementary error function"),
    _one("erfi", sympy.erfi, "imaginary error function"),
    _one("gamma", sympy.gamma, "Gamma function"),
    _one("loggamma", sympy.loggamma, "logarithm of the Gamma function", "lgamma"),
    ParserEntry(("digamma",), 1, 1, lambda x: sympy.polygamma(0, x), "derivative of loggamma"),
    ParserEntry(("besselj",), 2, 2, lambda nu, x: _order(sympy.besselj, nu, x), "Bessel function J of order nu"),
    ParserEntry(("besseli",), 2, 2, lambda nu, x: _order(sympy.besseli, nu, x), "modified Bessel function I"),
    _one("airyai", sympy.airyai, "Airy function Ai"),
    _one("lambertw", LambertW0, "principal branch of Lambert's W", "LambertW", "LambertW0"),
    _one("Abs", sympy.Abs, "absolute value", "abs"),
    _one("sign", sympy.sign, "sign, 0 at 0"),
    ParserEntry(("Heaviside", "heaviside"), 1, 1, lambda x: sympy.Heaviside(x, _HALF), "1 for x > 0, 0 for x < 0"),
    ParserEntry(("step",), 1, 1, lambda x: sympy.Heaviside(x, _HALF), "the same as Heaviside"),
    ParserEntry(("Max", "max"), 1, 32, sympy.Max, "largest of its arguments"),
    ParserEntry(("Min", "min"), 1, 32, sympy.Min, "smallest of its arguments"),
    ParserEntry(("sigmoid", "logistic"), 1, 1, lambda x: 1 / (1 + sympy.exp(-x)), "1/(1 + exp(-x))"),
    ParserEntry(("relu",), 1, 1, _relu, "Max(x, 0)"),
    ParserEntry(("softplus",), 1, 1, lambda x: sympy.log(1 + sympy.exp(x)), "log(1 + exp(x))"),
    ParserEntry(("silu", "swish"), 1, 1, lambda x: x / (1 + sympy.exp(-x)), "x sigmoid(x)"),
    ParserEntry(("gelu",), 1, 1, _gelu, "x Phi(x)"),
    ParserEntry(("elu",), 1, 2, _elu, "x for x > 0, alpha (exp(x) - 1) otherwise"),
    ParserEntry(("floor", "ceil", "ceiling", "round"), 1, 1, _rounding, "refused: jumps without end"),
)
