"""A formula's tree as a function with its derivative: nothing of kernelc, nothing of SymPy.

The tree is the one that `tests.strategies` spelled the text from. Values and slopes are carried together
(forward differentiation); they are Python floats (mpmath's `fp`) for a look around, mpf for the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath

Tree = tuple[Any, ...]
#: t -> (value, slope)
Evaluator = Callable[[Any], tuple[Any, Any]]
_Rule = Callable[[Any], tuple[Any, Any]]


class NotRealError(Exception):
    """The formula is not a real number at this point."""


@dataclass(frozen=True)
class Compiled:
    """The function, and the functions whose zeros are where it may not be smooth."""

    function: Evaluator
    switches: tuple[Evaluator, ...]


def compiled(tree: Tree, parameters: Sequence[tuple[str, str]], context: Any) -> Compiled:
    """`tree` over mpmath's context `mp` or `fp`; numbers are read at the precision set now."""
    names = {"pi": +context.pi, "E": +context.e} | {name: _number(text, context) for name, text in parameters}
    builder = _Builder(context, names)
    function = builder.build(tree)
    return Compiled(function, tuple(builder.switches))


def _number(text: str, context: Any) -> Any:
    exact = Fraction(text)
    return context.mpf(exact.numerator) / context.mpf(exact.denominator)


def _smooth_rules(c: Any) -> Mapping[str, _Rule]:
    """name -> x -> (f(x), f'(x)) for functions of one argument."""

    def sigmoid(x: Any) -> tuple[Any, Any]:
        # Of |x|, so that the float context does not overflow.
        small = c.exp(-abs(x))
        value = 1 / (1 + small) if x >= 0 else small / (1 + small)
        return value, small / (1 + small) ** 2

    def log1p(x: Any) -> Any:
        return mpmath.log1p(x) if c is mpmath.mp else c.mpf(mpmath.log1p(x))

    def softplus(x: Any) -> tuple[Any, Any]:
        return max(x, c.zero) + log1p(c.exp(-abs(x))), sigmoid(x)[0]

    def gelu(x: Any) -> tuple[Any, Any]:
        share = c.erfc(-x / c.sqrt(2)) / 2
        return x * share, share + x * c.exp(-x * x / 2) / c.sqrt(2 * c.pi)

    def silu(x: Any) -> tuple[Any, Any]:
        value, slope = sigmoid(x)
        return x * value, value + x * slope

    def tanh(x: Any) -> tuple[Any, Any]:
        return c.tanh(x), (1 / c.cosh(x) ** 2 if abs(x) < 300 else c.zero * x)

    def sinc(x: Any) -> tuple[Any, Any]:
        if abs(x) < c.mpf(10) ** -5:
            square = x * x
            value = 1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72)))
            return value, -x / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54)))
        return c.sin(x) / x, (c.cos(x) - c.sin(x) / x) / x

    def lambertw(x: Any) -> tuple[Any, Any]:
        if x < -c.exp(-1):
            raise NotRealError
        value = c.mpf(c.lambertw(x).real)
        return value, c.exp(-value) / (1 + value)

    def positive(f: _Rule, least: int) -> _Rule:
        def rule(x: Any) -> tuple[Any, Any]:
            if x <= least:
                raise NotRealError
            return f(x)

        return rule

    return {
        "exp": lambda x: (c.exp(x), c.exp(x)),
        "sin": lambda x: (c.sin(x), c.cos(x)),
        "cos": lambda x: (c.cos(x), -c.sin(x)),
        "tan": lambda x: (c.tan(x), 1 + c.tan(x) ** 2),
        "sinh": lambda x: (c.sinh(x), c.cosh(x)),
        "cosh": lambda x: (c.cosh(x), c.sinh(x)),
        "tanh": tanh,
        "atan": lambda x: (c.atan(x), 1 / (1 + x * x)),
        "asinh": lambda x: (c.mpf(mpmath.asinh(x)), 1 / c.sqrt(1 + x * x)),
        "acosh": positive(lambda x: (c.mpf(mpmath.acosh(x)), 1 / c.sqrt(x * x - 1)), 1),
        "erf": lambda x: (c.erf(x), 2 * c.exp(-x * x) / c.sqrt(c.pi)),
        "erfc": lambda x: (c.erfc(x), -2 * c.exp(-x * x) / c.sqrt(c.pi)),
        "sigmoid": sigmoid,
        "silu": silu,
        "softplus": softplus,
        "gelu": gelu,
        "sinc": sinc,
        "airyai": lambda x: (c.mpf(c.re(c.airyai(x))), c.mpf(c.re(c.airyai(x, derivative=1)))),
        "gamma": lambda x: (c.gamma(x), c.gamma(x) * c.psi(0, x)),
        "lambertw": lambertw,
        "sqrt": positive(lambda x: (c.sqrt(x), 1 / (2 * c.sqrt(x))), 0),
        "log": positive(lambda x: (c.log(x), 1 / x), 0),
    }


#: Not smooth where their argument is 0 (acosh: 1).
_EDGES = {"sqrt": 0, "log": 0, "acosh": 1, "Abs": 0, "abs": 0, "relu": 0, "sign": 0, "Heaviside": 0, "step": 0} | {
    "cbrt": 0,
    "elu": 0,
}


def _kinked_rules(c: Any) -> Mapping[str, _Rule]:
    def cbrt(x: Any) -> tuple[Any, Any]:
        if x == 0:
            return c.zero, c.zero
        root = abs(x) ** (c.one / 3)
        return (root if x > 0 else -root), root / (3 * abs(x))

    def step(x: Any) -> tuple[Any, Any]:
        return (c.one if x > 0 else c.zero if x < 0 else c.one / 2), c.zero

    return {
        "Abs": lambda x: (abs(x), c.sign(x)),
        "abs": lambda x: (abs(x), c.sign(x)),
        "relu": lambda x: (x, c.one) if x > 0 else (c.zero, c.zero),
        "sign": lambda x: (c.mpf(c.sign(x)), c.zero),
        "Heaviside": step,
        "step": step,
        "cbrt": cbrt,
        "elu": lambda x: (x, c.one) if x > 0 else (c.expm1(x), c.exp(x)),
    }


class _Builder:
    def __init__(self, context: Any, names: Mapping[str, Any]) -> None:
        self._context = context
        self._names = names
        self._rules = {**_smooth_rules(context), **_kinked_rules(context)}
        self.switches: list[Evaluator] = []

    def build(self, tree: Tree) -> Evaluator:
        """The tree as a function of t."""
        match tree:
            case ("number", text):
                return self._constant(_number(text, self._context))
            case ("name", name):
                one = self._context.one
                return self._constant(self._names[name]) if name in self._names else lambda t: (t, one)
            case ("-", operand):
                inner = self.build(operand)
                return lambda t: _scaled(inner(t), -1)
            case ("+" | "--" as sign, left, right):
                return self._sum(self.build(left), self.build(right), 1 if sign == "+" else -1)
            case ("*", left, right):
                return _product(self.build(left), self.build(right))
            case ("/", left, right):
                return self._quotient(self.build(left), self.build(right))
            case ("^", base, exponent):
                return self._power(self.build(base), Fraction(str(exponent).strip("()")))
            case ("call", name, *arguments):
                return self._call(name, arguments)
            case ("if", condition, left, right):
                return self._choice(self._condition(condition), self.build(left), self.build(right))
        raise AssertionError(tree)

    def _constant(self, value: Any) -> Evaluator:
        zero = self._context.zero
        return lambda t: (value, zero)

    @staticmethod
    def _sum(f: Evaluator, g: Evaluator, sign: int) -> Evaluator:
        def total(t: Any) -> tuple[Any, Any]:
            (a, da), (b, db) = f(t), g(t)
            return a + sign * b, da + sign * db

        return total

    def _quotient(self, f: Evaluator, g: Evaluator) -> Evaluator:
        self.switches.append(g)

        def ratio(t: Any) -> tuple[Any, Any]:
            (a, da), (b, db) = f(t), g(t)
            if b == 0:
                raise NotRealError
            return a / b, (da - a / b * db) / b

        return ratio

    def _power(self, f: Evaluator, exponent: Fraction) -> Evaluator:
        c = self._context
        if exponent.denominator == 1 and exponent >= 0:
            n = int(exponent)

            def whole(t: Any) -> tuple[Any, Any]:
                a, da = f(t)
                return a**n, n * a ** (n - 1) * da if n else c.zero

            return whole
        self.switches.append(f)
        p = c.mpf(exponent.numerator) / exponent.denominator

        def real(t: Any) -> tuple[Any, Any]:
            a, da = f(t)
            if a <= 0:
                raise NotRealError
            value = a**p
            return value, p * value / a * da

        return real

    def _call(self, name: str, arguments: Sequence[Tree]) -> Evaluator:
        inner = [self.build(a) for a in arguments]
        if name in ("Max", "max", "Min", "min"):
            return self._extreme(inner[0], inner[1], 1 if name.lower() == "max" else -1)
        if name == "besselj":
            return self._bessel(int(arguments[0][1]), inner[1])
        if name == "elu" and len(inner) == 2:
            return self._elu(inner[0], inner[1])
        f, rule = inner[0], self._rules[name]
        if name in _EDGES:
            self.switches.append(f if name != "acosh" else self._sum(f, self._constant(self._context.one), -1))

        def composed(t: Any) -> tuple[Any, Any]:
            a, da = f(t)
            value, slope = rule(a)
            return value, slope * da

        return composed

    def _extreme(self, f: Evaluator, g: Evaluator, sign: int) -> Evaluator:
        self.switches.append(self._sum(f, g, -1))

        def extreme(t: Any) -> tuple[Any, Any]:
            a, b = f(t), g(t)
            return a if sign * (a[0] - b[0]) >= 0 else b

        return extreme

    def _bessel(self, order: int, f: Evaluator) -> Evaluator:
        c = self._context

        def bessel(t: Any) -> tuple[Any, Any]:
            a, da = f(t)
            slope = -c.besselj(1, a) if order == 0 else (c.besselj(order - 1, a) - c.besselj(order + 1, a)) / 2
            return c.mpf(c.re(c.besselj(order, a))), c.mpf(c.re(slope)) * da

        return bessel

    def _elu(self, f: Evaluator, alpha: Evaluator) -> Evaluator:
        c = self._context
        self.switches.append(f)

        def elu(t: Any) -> tuple[Any, Any]:
            a, da = f(t)
            scale = alpha(t)[0]
            return (a, da) if a > 0 else (scale * c.expm1(a), scale * c.exp(a) * da)

        return elu

    @staticmethod
    def _choice(holds: Callable[[Any], bool], f: Evaluator, g: Evaluator) -> Evaluator:
        return lambda t: f(t) if holds(t) else g(t)

    def _condition(self, condition: Tree) -> Callable[[Any], bool]:
        match condition:
            case ("<" | "<=" | ">" | ">=" as sign, left, right):
                gap = self._sum(self.build(left), self.build(right), -1)
                self.switches.append(gap)
                strict, less = len(sign) == 1, sign[0] == "<"

                def compare(t: Any) -> bool:
                    value = -gap(t)[0] if less else gap(t)[0]
                    return bool(value > 0 or (value == 0 and not strict))

                return compare
            case ("and", left, right):
                first, second = self._condition(left), self._condition(right)
                return lambda t: first(t) and second(t)
            case ("or", left, right):
                first, second = self._condition(left), self._condition(right)
                return lambda t: first(t) or second(t)
            case ("not", operand):
                inner = self._condition(operand)
                return lambda t: not inner(t)
        raise AssertionError(condition)


def _scaled(pair: tuple[Any, Any], factor: int) -> tuple[Any, Any]:
    return factor * pair[0], factor * pair[1]


def _product(f: Evaluator, g: Evaluator) -> Evaluator:
    def product(t: Any) -> tuple[Any, Any]:
        (a, da), (b, db) = f(t), g(t)
        return a * b, da * b + a * db

    return product
