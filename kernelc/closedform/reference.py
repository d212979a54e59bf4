"""E[f(u) g(v)] by quadrature from the formula of the activation alone: the other road to every closed form.

Composite Gauss-Legendre over x and y with u = s1 x, v = s2 (rho x + sqrt(1 - rho^2) y), panels split at
the images of the breakpoints, in Arb arithmetic at a fixed precision. It shares no step with the
derivation (no normal form, no moments, no normal probabilities). Its quadrature error is not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import sympy
from flint import acb, arb

from kernelc.functions import BY_HEAD
from kernelc.model import VARIABLE

Function = Callable[[arb], arb]
_Rule = Callable[..., arb]


def _heaviside(x: arb, *_: arb) -> arb:
    return arb(1) if x > 0 else arb(0)


#: Switches, and functions that a real ball has a faster method for; all others are evaluated by their record.
EVALUATORS: Mapping[type, _Rule] = {
    sympy.exp: lambda x: x.exp(),
    sympy.sin: lambda x: x.sin(),
    sympy.cos: lambda x: x.cos(),
    sympy.sinh: lambda x: x.sinh(),
    sympy.cosh: lambda x: x.cosh(),
    sympy.tanh: lambda x: x.tanh(),
    sympy.log: lambda x: x.log(),
    sympy.erf: lambda x: x.erf(),
    sympy.erfc: lambda x: x.erfc(),
    sympy.erfi: lambda x: x.erfi(),
    sympy.Abs: abs,
    sympy.sign: lambda x: arb(1) if x > 0 else arb(-1),
    sympy.Heaviside: _heaviside,
    sympy.Max: lambda *xs: reduce(lambda a, b: a if a > b else b, xs),
    sympy.Min: lambda *xs: reduce(lambda a, b: a if a < b else b, xs),
    # the derivative of a continuous activation has no mass at a point
    sympy.DiracDelta: lambda *_: arb(0),
}


def _integer_power(base: arb, power: int) -> arb:
    """By squaring: the library's own power of a ball about 0 is not finite."""
    result, square, rest = arb(1), base, abs(power)
    while rest:
        result = result * square if rest & 1 else result
        square, rest = square * square, rest >> 1
    return result if power >= 0 else 1 / result


def _registered(head: type) -> _Rule:
    """A function of the registry at real balls. Raises KeyError for an unknown one."""
    ball = BY_HEAD[head].ball
    return lambda *xs: ball([acb(x) for x in xs], False).real


def numeric(expression: sympy.Basic) -> Function:
    """An expression in the variable as a function of balls. Raises KeyError for an unknown function."""
    if expression == VARIABLE:
        return lambda t: t
    if not expression.has(VARIABLE):
        constant = arb(str(sympy.N(expression, 60)))
        return lambda t: constant
    if isinstance(expression, sympy.Piecewise):
        return _piecewise(expression)
    if isinstance(expression, sympy.Pow):
        base, exponent = numeric(expression.base), expression.exp
        if exponent.is_Integer:
            power = int(exponent)
            return lambda t: _integer_power(base(t), power)
        upper = numeric(exponent)
        return lambda t: base(t) ** upper(t)
    arguments = [numeric(a) for a in expression.args]
    if isinstance(expression, (sympy.Add, sympy.Mul)):
        return reduce(_plus if isinstance(expression, sympy.Add) else _times, arguments)
    rule = EVALUATORS.get(expression.func) or _registered(expression.func)
    if len(arguments) == 1:
        only = arguments[0]
        return lambda t: rule(only(t))
    return lambda t: rule(*(a(t) for a in arguments))


def _plus(f: Function, g: Function) -> Function:
    return lambda t: f(t) + g(t)


def _times(f: Function, g: Function) -> Function:
    return lambda t: f(t) * g(t)


def _piecewise(expression: sympy.Piecewise) -> Function:
    branches = [(numeric(value), _condition(condition)) for value, condition in expression.args]

    def choose(t: arb) -> arb:
        return next(value(t) for value, holds in branches if holds(t))

    return choose


def _condition(condition: sympy.Basic) -> Callable[[arb], bool]:
    if condition in (sympy.true, sympy.false):
        return lambda t: bool(condition)
    if isinstance(condition, (sympy.And, sympy.Or)):
        parts = [_condition(a) for a in condition.args]
        gather = all if isinstance(condition, sympy.And) else any
        return lambda t: gather(part(t) for part in parts)
    if isinstance(condition, (sympy.Eq, sympy.Ne)):
        return lambda t: isinstance(condition, sympy.Ne)
    left, right = numeric(condition.lhs), numeric(condition.rhs)
    if isinstance(condition, (sympy.Gt, sympy.Ge)):
        return lambda t: bool(left(t) > right(t))
    return lambda t: bool(left(t) < right(t))


@dataclass(frozen=True, slots=True)
class Rule:
    """How fine the quadrature is: panels no wider than `width`, `nodes` nodes each, tails below 10^-digits."""

    digits: int
    width: float
    nodes: int

    def legendre(self) -> list[tuple[arb, arb]]:
        """Nodes and weights on [-1, 1]."""
        return [arb.legendre_p_root(self.nodes, k, weight=True) for k in range(self.nodes)]

    def finer(self) -> Rule:
        """Panels of half the width."""
        return Rule(self.digits, self.width / 2, self.nodes)

    @staticmethod
    def of(digits: int) -> Rule:
        """Calibrated on Gaussian-weighted exponentials: one digit to spare."""
        return Rule(digits + 2, 2.0, 8 + (digits + 4) // 2)


def _reach(function: Function, scale: arb, digits: int) -> float:
    """R with f(+-s x)^2 exp(-x^2/2) below 10^-digits beyond (sampled, not proved)."""
    radius = 2.0
    limit = -2.302585 * digits
    while radius < 400:
        worst = max(_log_abs(function(scale * sign * radius)) for sign in (1, -1))
        if 2 * max(worst, 0.0) - radius * radius / 2 < limit:
            return radius
        radius += 0.5
    raise ValueError("the integrand does not decay")


def _log_abs(value: arb) -> float:
    magnitude = abs(value).mid()
    return float(magnitude.log()) if magnitude > 0 else -1e300


def _panels(low: float, high: float, splits: Sequence[float], width: float) -> list[tuple[float, float]]:
    edges = sorted({low, high, *(s for s in splits if low < s < high)})
    panels = []
    for a, b in pairwise(edges):
        count = max(1, int((b - a) / width) + 1)
        cuts = [a + (b - a) * j / count for j in range(count)] + [b]
        panels += list(pairwise(cuts))
    return panels


def _graded(center: float, width: float, reach: float) -> list[float]:
    """Edges that close in on a feature of the given width."""
    edges, step = [center], width
    while step < 2 * reach:
        edges += [center - step, center + step]
        step *= 2.5
    return edges


def expectation(function: Function, breakpoints: Sequence[arb], covariance: tuple[arb, arb, arb], rule: Rule) -> arb:
    """E[f(u) f(v)] at (q11, q12, q22), |q12| < sqrt(q11 q22); an estimate good to about 10^-digits."""
    q11, q12, q22 = covariance
    s1, s2 = q11.sqrt(), q22.sqrt()
    rho = q12 / (s1 * s2)
    spread = ((q11 * q22 - q12 * q12) / (q11 * q22)).sqrt()
    nodes = rule.legendre()
    reach = max(_reach(function, s, rule.digits) for s in (s1, s2))
    splits = [float(c / s1) for c in breakpoints]
    if abs(float(rho)) > 0.1:
        for c in breakpoints:
            splits += _graded(float(c / s2 / rho), float(spread / abs(rho)), reach)
    total = arb(0)
    kinks = [c / s1 for c in breakpoints]
    for low, high in _snap(_panels(-reach, reach, splits, rule.width), kinks):
        half, middle = (high - low) / 2, (high + low) / 2
        for node, weight in nodes:
            x = middle + half * node
            density = (-x * x / 2).exp() * weight * half
            shift = s2 * rho * x
            inner = _conditional(function, breakpoints, shift, s2 * spread, (nodes, reach, rule, float(x)))
            total += density * function(s1 * x) * inner
    return total / (2 * arb.pi())


def _snap(panels: list[tuple[float, float]], kinks: Sequence[arb]) -> list[tuple[arb, arb]]:
    """Panel edges at breakpoints, to full precision."""
    exact = {float(k): k for k in kinks}
    return [(exact.get(a, arb(a)), exact.get(b, arb(b))) for a, b in panels]


def _conditional(
    function: Function,
    breakpoints: Sequence[arb],
    shift: arb,
    scale: arb,
    setting: tuple[list[tuple[arb, arb]], float, Rule, float],
) -> arb:
    nodes, reach, rule, outer = setting
    # only the disc of radius `reach` in (x, y) matters
    radius = max(reach * reach - outer * outer, 1.0) ** 0.5
    kinks = [(c - shift) / scale for c in breakpoints]
    total = arb(0)
    for low, high in _snap(_panels(-radius, radius, [float(k) for k in kinks], rule.width), kinks):
        half, middle = (high - low) / 2, (high + low) / 2
        for node, weight in nodes:
            y = middle + half * node
            total += (-y * y / 2).exp() * weight * half * function(shift + scale * y)
    return total


def second_moment(function: Function, breakpoints: Sequence[arb], variance: arb, rule: Rule) -> arb:
    """E[f(u)^2] at one variance, by the same quadrature in one dimension."""
    scale = variance.sqrt()
    reach = _reach(function, scale, rule.digits)
    kinks = [c / scale for c in breakpoints]
    total = arb(0)
    for low, high in _snap(_panels(-reach, reach, [float(k) for k in kinks], rule.width), kinks):
        half, middle = (high - low) / 2, (high + low) / 2
        for node, weight in rule.legendre():
            x = middle + half * node
            value = function(scale * x)
            total += (-x * x / 2).exp() * weight * half * value * value
    return total / (2 * arb.pi()).sqrt()
