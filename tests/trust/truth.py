"""The truth about a formula's dual kernel by roads that share nothing with kernelc.

One dimension: the line is cut at the zeros of the formula's switches (found by a scan and bisection), and next
to them the double exponential rule is used, elsewhere Gauss-Legendre panels that are halved until both halves
agree with the whole; all in mpmath at 32 digits and more. Two dimensions: the same nodes on both axes against the
bivariate normal density, in doubles. Every number comes with an estimate of its own error, never trusted below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf
from numpy.typing import NDArray

from tests.trust.evaluate import Compiled, Evaluator, NotRealError, Tree, compiled

DIGITS = 38
_GOAL = mpf(10) ** -26
_REACH = 12.0
_FAR = 40.0
_MOST_NODES = 40_000
_MOST_CUTS = 300
_GAUSS = 20
_SCAN = 6000
_STEEP = 30
#: What settles is seen at degrees 0, 12 and the last; others err by as much, times the largest of their functions.
_MARGIN = 100
_FIXED_BITS = 220
_FOURTH_ROOT_OF_TWO_PI = mpmath.sqrt(mpmath.sqrt(2 * mpmath.pi))
#: The root of E[z^24]: z^12 stands for the coefficients of high degree.
_TWELFTH = mpf("562323")


class UndecidedError(Exception):
    """This road cannot tell the truth: too many features, or the formula is not real somewhere."""


@dataclass(frozen=True)
class Node:
    """z, weight * phi(z), sigma(s z), sigma'(s z)."""

    z: mpf
    weight: mpf
    value: mpf
    slope: mpf


@dataclass
class Truth:
    """Integrals with estimates of their own errors; `degrees` 0..K of a_k = E[sigma(sZ) h_k(Z)]."""

    moment: mpf
    slope_moment: mpf
    mirror: mpf
    hermite: list[mpf]
    error: mpf
    slope_error: mpf
    nodes: list[Node] = field(repr=False, default_factory=list)
    smallest_gap: float = 1.0

    @cached_property
    def in_doubles(self) -> tuple[NDArray[np.float64], ...]:
        """z, the rule's weights, sigma and sigma' at the nodes that count, for `pair_values`."""
        return _arrays(self)


@lru_cache(maxsize=8)
def _gauss_rule(n: int, digits: int) -> tuple[tuple[mpf, mpf], ...]:
    with mpmath.workdps(digits + 10):
        rule: list[tuple[mpf, mpf]] = []
        for i in range(n):
            x = mpmath.cos(mpmath.pi * (mpf(i) + mpf(3) / 4) / (n + mpf(1) / 2))
            for _ in range(12):
                before, now = mpf(1), x
                for k in range(1, n):
                    before, now = now, ((2 * k + 1) * x * now - k * before) / (k + 1)
                derivative = n * (x * now - before) / (x * x - 1)
                x -= now / derivative
            rule.append((x, 2 / ((1 - x * x) * derivative**2)))
        return tuple(rule)


@lru_cache(maxsize=8)
def _double_exponential(step_inverse: int, digits: int) -> tuple[tuple[mpf, mpf], ...]:
    """(distance to the near end over the length, weight over the length), one half; the other mirrors it."""
    with mpmath.workdps(digits + 10):
        rule: list[tuple[mpf, mpf]] = []
        k = 0
        while True:
            t = mpf(k) / step_inverse
            u = mpmath.pi * mpmath.sinh(t)
            gap = 1 / (1 + mpmath.exp(u))
            weight = mpmath.pi * mpmath.cosh(t) * gap * (1 - gap) / step_inverse
            if weight < mpf(10) ** -(2 * digits):
                return tuple(rule)
            rule.append((gap, weight))
            k += 1


class _Line:
    """Integrates over one line, gathering the nodes it keeps."""

    def __init__(self, f: Evaluator, s: mpf, with_slope: bool, degree: int) -> None:
        self._f = f
        self._degree = degree
        self._root = mpmath.sqrt(mpmath.factorial(degree))
        self._s = s
        self._with_slope = with_slope
        self.count = 0
        self.nodes: list[Node] = []
        self.error = mpf(0)
        self.slope_error = mpf(0)

    def _node(self, z: mpf, weight: mpf) -> Node:
        self.count += 1
        if self.count > _MOST_NODES:
            raise UndecidedError("too many nodes")
        value, slope = self._f(self._s * z)
        if not (mpmath.isfinite(value) and mpmath.isfinite(slope)):
            raise UndecidedError("not finite")
        return Node(z, weight * mpmath.npdf(z), mpf(value), mpf(slope))

    def gauss(self, a: mpf, b: mpf) -> list[Node]:
        half, middle = (b - a) / 2, (a + b) / 2
        return [self._node(middle + half * x, half * w) for x, w in _gauss_rule(_GAUSS, DIGITS)]

    def double_exponential(self, a: mpf, b: mpf, step_inverse: int) -> list[Node]:
        length, nodes = b - a, []
        for k, (gap, weight) in enumerate(_double_exponential(step_inverse, DIGITS)):
            left, right = a + length * gap, b - length * gap
            if a < left < b and (k == 0 or left < right):
                nodes.append(self._node(left, length * weight))
            if k and a < right < b and left < right:
                nodes.append(self._node(right, length * weight))
        return nodes

    def sums(self, nodes: Sequence[Node]) -> tuple[mpf, ...]:
        """What must settle: both moments, the mean, and degrees 12 and the last (far out, h_k is that)."""
        return (
            mpmath.fsum(n.weight * n.value**2 for n in nodes),
            mpmath.fsum(n.weight * n.slope**2 for n in nodes) if self._with_slope else mpf(0),
            mpmath.fsum(n.weight * n.value for n in nodes),
            mpmath.fsum(n.weight * n.value * n.z**12 for n in nodes) / _TWELFTH,
            mpmath.fsum(n.weight * n.value * n.z**self._degree for n in nodes) / self._root,
        )

    def keep(self, nodes: list[Node], errors: Sequence[mpf]) -> None:
        self.nodes += nodes
        self.error += max(errors[0], *errors[2:])
        self.slope_error += errors[1]

    def smooth(self, a: mpf, b: mpf, scale: Sequence[mpf], first: Sequence[Node] | None = None) -> None:
        """A panel without a switch, halved until it settles; `first` are the panel's nodes where there are some."""
        whole = self.sums(self.gauss(a, b) if first is None else first)
        stack = [(a, b, whole, 0)]
        while stack:
            x, y, rough, deep = stack.pop()
            middle = (x + y) / 2
            left, right = self.gauss(x, middle), self.gauss(middle, y)
            fine = [self.sums(left), self.sums(right)]
            errors = [abs(p + q - r) for p, q, r in zip(*fine, rough, strict=True)]
            if all(e <= _GOAL * c for e, c in zip(errors, scale, strict=True)) or deep > 40:
                self.keep(left + right, errors)
            else:
                stack += [(x, middle, fine[0], deep + 1), (middle, y, fine[1], deep + 1)]

    def edge(self, a: mpf, b: mpf, scale: Sequence[mpf], singular_at: mpf) -> None:
        """A panel with a switch at one end: the double exponential rule, the panel shortened until it settles."""
        while True:
            coarse, fine_nodes = self.double_exponential(a, b, 6), self.double_exponential(a, b, 12)
            rough, fine = self.sums(coarse), self.sums(fine_nodes)
            errors = [abs(p - q) for p, q in zip(fine, rough, strict=True)]
            # The rule's error is about the square of what its half as fine one shows.
            errors = [e * min(mpf(1), mpmath.sqrt(e / c)) if c else e for e, c in zip(errors, scale, strict=True)]
            left_out = self._left_out(fine_nodes, singular_at)
            if all(e <= max(_GOAL * c, x) for e, c, x in zip(errors, scale, left_out, strict=True)):
                break
            if b - a < mpf(10) ** -16:
                break
            middle = (a + b) / 2
            if singular_at == a:
                self.smooth(middle, b, scale)
                b = middle
            else:
                self.smooth(a, middle, scale)
                a = middle
        self.keep(fine_nodes, [e + x for e, x in zip(errors, self._left_out(fine_nodes, singular_at), strict=True)])

    def _left_out(self, nodes: Sequence[Node], singular_at: mpf) -> tuple[mpf, ...]:
        """What may lie between the last node and the singular point."""
        nearest = min(nodes, key=lambda n: abs(n.z - singular_at))
        gap = 10 * abs(nearest.z - singular_at) * mpmath.npdf(nearest.z)
        size = abs(nearest.value)
        high = max(mpf(1), abs(nearest.z) ** self._degree / self._root)
        return gap * size**2, gap * nearest.slope**2, gap * size, gap * size, gap * size * high


def _scan_points(s: float) -> list[float]:
    """Where to look for switches: evenly in z, and closer and closer to 0."""
    even = np.linspace(-_REACH, _REACH, _SCAN + 1) * s
    near = np.concatenate([[-x, x] for x in np.geomspace(1e-7, 0.01, 160)]) * s
    return sorted({float(x) + 1e-9 * s for x in np.concatenate([even, near])})


def _safely(f: Evaluator) -> Callable[[float], float]:
    def value(t: float) -> float:
        try:
            found = f(t)[0]
        except (OverflowError, ZeroDivisionError, ValueError, NotRealError):
            return math.nan
        return float(found) if isinstance(found, (int, float)) else math.nan

    return value


def _zeros(fast: Evaluator, exact: Evaluator, points: Sequence[float], s: mpf) -> list[mpf]:
    """Zeros and sign-changing jumps of a switch, and where it touches zero."""
    at = _safely(fast)
    values = [at(t) for t in points]
    found = []
    for i, ((a, b), (p, q)) in enumerate(zip(pairwise(points), pairwise(values), strict=True)):
        if p == 0.0 and (i == 0 or values[i - 1] != 0.0):
            found.append(mpf(a))
        if p * q < 0:
            found.append(_bisected(lambda t: exact(t)[0], mpf(a), mpf(b)))
        elif i > 0 and abs(values[i - 1]) > abs(p) < abs(q):
            found += _dip(fast, exact, points[i - 1], b, max(abs(values[i - 1]), abs(q), 1e-3))
        if len(found) > _MOST_CUTS:
            raise UndecidedError("too many switches")
    return [x / s for x in found]


def _dip(fast: Evaluator, exact: Evaluator, low: float, high: float, around: float) -> list[mpf]:
    """Where a switch that is nearest to zero inside two points touches it, or crosses it there and back."""
    at = _safely(fast)
    sign, a, b = _sign(at(low)), low, high
    while True:
        middle = (a + b) / 2
        value = at(middle)
        if not a < middle < b or not value * sign > 0:
            break
        a, b = (middle, b) if fast(middle)[1] * sign < 0 else (a, middle)
    if not value * sign < 1e-6 * around:
        return []
    lowest = mpf(middle)
    if _sign(exact(lowest)[0]) * sign > 0:
        if _sign(exact(mpf(low))[1]) * _sign(exact(mpf(high))[1]) >= 0:
            return []
        lowest = _bisected(lambda t: exact(t)[1], mpf(low), mpf(high))
    if _sign(exact(lowest)[0]) * sign < 0:
        return [_bisected(lambda t: exact(t)[0], mpf(x), lowest) for x in (low, high)]
    return [lowest]


def _sign(x: Any) -> int:
    return 1 if x > 0 else -1 if x < 0 else 0


def _bisected(g: Callable[[mpf], Any], a: mpf, b: mpf) -> mpf:
    # A zero at a short number is found exactly: what is computed there is then no accident of rounding.
    left = _sign(g(a))
    short = mpf(mpmath.nstr((a + b) / 2, 3))
    for guess in (short, *(mpf(round(float((a + b) / 2) * d)) / d for d in (1, 2, 3, 4, 5, 7, 8, 10, 100, 1000))):
        if a < guess < b and g(guess) == 0:
            return guess
    for _ in range(mpmath.mp.prec + 20):
        middle = (a + b) / 2
        sign = _sign(g(middle))
        if sign == 0:
            return middle
        if sign == left:
            a = middle
        else:
            b = middle
    return (a + b) / 2


def _cuts(rough: Compiled, exact: Compiled, s: mpf) -> list[mpf]:
    points = _scan_points(float(s))
    found: list[mpf] = []
    for fast, slow in zip(rough.switches, exact.switches, strict=True):
        found += _zeros(fast, slow, points, s)
    found = sorted(x for x in found if abs(x) < _REACH)
    apart: list[mpf] = []
    for x in found:
        if not apart or x - apart[-1] > mpf(10) ** (-DIGITS // 2):
            apart.append(x)
        elif x != 0 and apart[-1] != 0 and x != apart[-1]:
            # One zero found by two switches, rounding apart: keep one.
            continue
        elif x == 0:
            apart[-1] = x
    if len(apart) > _MOST_CUTS:
        raise UndecidedError("too many switches")
    return apart


def tell(
    tree: Tree, parameters: Sequence[tuple[str, str]], variance: Fraction, degree: int, *, with_slope: bool = True
) -> Truth:
    """The integrals of sigma at one variance; without a slope's moment where that is infinite.

    Raises:
        UndecidedError: where this road is not sure of itself.
    """
    with mpmath.workdps(DIGITS):
        exact, rough = compiled(tree, parameters, mpmath.mp), compiled(tree, parameters, mpmath.fp)
        s = mpmath.sqrt(mpf(variance.numerator) / variance.denominator)
        try:
            return _told(exact, rough, s, degree, with_slope, _is_steep(tree, parameters))
        except (NotRealError, ZeroDivisionError, OverflowError, ValueError) as error:
            raise UndecidedError(f"not a real number somewhere: {type(error).__name__}") from error


def _is_steep(tree: Tree, parameters: Sequence[tuple[str, str]]) -> bool:
    """Whether a number in the formula may make it change within a small part of a panel."""
    numbers = [text for _, text in parameters]
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            if node[0] == "number":
                numbers.append(node[1])
            stack += node[1:]
    return any(abs(Fraction(text)) >= _STEEP for text in numbers)


def _told(exact: Compiled, rough: Compiled, s: mpf, degree: int, with_slope: bool, steep: bool) -> Truth:
    cuts = _cuts(rough, exact, s)
    line = _Line(exact.function, s, with_slope, degree)
    edges = _graded(_edges(cuts)) if steep else _edges(cuts)
    # A first look, to know what is small.
    looks = [line.gauss(a, b) for (a, _), (b, _) in pairwise(edges)]
    look = line.sums([n for nodes in looks for n in nodes])
    if look[0] == 0:
        raise UndecidedError("zero everywhere")
    size = mpmath.sqrt(look[0])
    scale = (look[0], look[1] if look[1] > 0 else mpf(1), size, size, size)
    for ((a, at_cut), (b, at_next)), nodes in zip(pairwise(edges), looks, strict=True):
        if at_cut or at_next:
            line.edge(a, b, scale, a if at_cut else b)
        else:
            line.smooth(a, b, scale, nodes)
    _outwards(line, scale)
    if abs(mpmath.fsum(n.weight for n in line.nodes) - 1) > mpf(10) ** -24:
        raise UndecidedError("the nodes do not cover the line")
    return _collected(line, exact, s, degree, [x for x, is_cut in edges if is_cut])


def _edges(cuts: Sequence[mpf]) -> list[tuple[mpf, bool]]:
    """Panel ends in z, and whether each is a switch; every panel touches at most one switch."""
    ends: list[tuple[mpf, bool]] = [(mpf(-_REACH), False)]
    marks = [mpf(-_REACH), *cuts, mpf(_REACH)]
    for index, (low, high) in enumerate(pairwise(marks)):
        width = high - low
        inner: list[mpf] = []
        near = min(mpf("0.37"), width / 3)
        # what is singular a little beyond a panel's end spoils the rule for singular ends: the panel gets as short
        before = low - marks[index - 1] if index else near
        after = marks[index + 2] - high if index + 2 < len(marks) else near
        first = low + min(near, before) if low in cuts else low
        last = high - min(near, after) if high in cuts else high
        count = max(1, int(mpmath.ceil((last - first) / mpf("1.1"))))
        inner = [first + (last - first) * k / count for k in range(count + 1)]
        ends += [(x, False) for x in inner if low < x < high]
        ends.append((high, high in cuts))
    return ends


def _graded(ends: list[tuple[mpf, bool]]) -> list[tuple[mpf, bool]]:
    """More ends, closer and closer to 0, where no switch is next: what is steep is so near 0."""
    points = [side * mpf("0.37") * mpf(4) ** -k for k in range(10) for side in (-1, 1)]
    more = [
        (x, False)
        for (a, at_cut), (b, at_next) in pairwise(ends)
        if a <= 0 <= b and not (at_cut or at_next)
        for x in points
        if a < x < b
    ]
    return sorted([*ends, *more])


def _outwards(line: _Line, scale: Sequence[mpf]) -> None:
    """Beyond the reach, panel by panel, until nothing comes any more."""
    for side in (-1, 1):
        z, quiet = mpf(_REACH), 0
        while quiet < 2:
            a, b = (z, z + 1) if side > 0 else (-z - 1, -z)
            nodes = line.gauss(a, b)
            found = line.sums(nodes)
            if all(abs(x) <= _GOAL / 10 * c for x, c in zip(found, scale, strict=True)):
                quiet += 1
                line.keep(nodes, [abs(x) for x in found])
            else:
                quiet = 0
                line.smooth(a, b, scale)
            z += 1
            if z > _FAR:
                raise UndecidedError("it reaches too far out")


def _collected(line: _Line, exact: Compiled, s: mpf, degree: int, cuts: Sequence[mpf]) -> Truth:
    nodes = line.nodes
    hermite = _coefficients(nodes, degree)
    mirrored = [mpf(exact.function(-s * n.z)[0]) for n in nodes] if _is_symmetric(cuts) else None
    mirror = mpmath.mpf("nan")
    if mirrored is not None:
        mirror = mpmath.fsum(n.weight * n.value * m for n, m in zip(nodes, mirrored, strict=True))
    gaps = [float(b - a) for a, b in pairwise(cuts)]
    return Truth(
        mpmath.fsum(n.weight * n.value**2 for n in nodes),
        mpmath.fsum(n.weight * n.slope**2 for n in nodes),
        mirror,
        hermite,
        _MARGIN * (line.error + mpf(10) ** (5 - DIGITS)),
        _MARGIN * (line.slope_error + mpf(10) ** (5 - DIGITS)),
        nodes,
        min(gaps, default=1.0),
    )


def _coefficients(nodes: Sequence[Node], degree: int) -> list[mpf]:
    """sum weight * value * h_k(z) for k = 0..degree, in fixed point: whole numbers are quick."""
    bits = _FIXED_BITS
    size = max((abs(n.weight * n.value) for n in nodes), default=mpf(1)) or mpf(1)
    with mpmath.workprec(bits + 40):
        one = mpf(2) ** bits
        roots = [int(mpmath.sqrt(k) * one) for k in range(degree + 2)]
        inverse = [0, *(int(one / mpmath.sqrt(k)) for k in range(1, degree + 2))]
        totals = [0] * (degree + 1)
        for n in nodes:
            z, before, now = int(n.z * one), 0, int(n.weight * n.value / size * one)
            for k in range(degree + 1):
                totals[k] += now
                before, now = now, (((z * now - roots[k] * before) >> bits) * inverse[k + 1]) >> bits
        return [mpf(total) / one * size for total in totals]


def _is_symmetric(cuts: Sequence[mpf]) -> bool:
    """Whether -c is a cut for every cut c: then sigma(-z) is smooth on the same panels."""
    return all(any(abs(a + b) < mpf(10) ** -20 for b in cuts) for a in cuts)


def pair_values(truth: Truth, rho: float) -> tuple[float, float]:
    """kappa(rho) and kappa_dot(rho) by two-dimensional quadrature in doubles, |rho| < 1.

    The nodes of the line on both axes against the density of the pair: what is not smooth in sigma lies on
    lines parallel to the axes, where the panels end.
    """
    z, rule, value, slope = truth.in_doubles
    # The density over sqrt(phi(x) phi(y)), in (x + y)^2 and (x - y)^2: neither overflows where the other vanishes.
    along, across = (1.0 - rho) / (8.0 * (1.0 + rho)), (1.0 + rho) / (8.0 * (1.0 - rho))
    scale = math.sqrt(2.0 * math.pi * (1.0 - rho) * (1.0 + rho))
    total = np.zeros(2)
    for i in range(0, len(z), 500):
        part = slice(i, i + 500)
        x = z[part, None]
        density = rule[part, None] * rule * np.exp(-along * (x + z) ** 2 - across * (x - z) ** 2) / scale
        total += [value[part] @ density @ value, slope[part] @ density @ slope]
    return float(total[0]), float(total[1])


def _arrays(truth: Truth) -> tuple[NDArray[np.float64], ...]:
    """z, the rule's weights without phi, and sigma and sigma' times sqrt(phi(z)), all of ordinary size."""
    # where sigma(sz) grows like exp(az), its mass lies at z = 2 a, not where the weight's does
    least, steepest = (mpf(10) ** -32 * moment for moment in (truth.moment, truth.slope_moment))
    kept = [
        n
        for n in truth.nodes
        if n.weight > mpf(10) ** -40 or n.weight * n.value**2 > least or n.weight * n.slope**2 > steepest
    ]
    bells = [mpmath.exp(-n.z * n.z / 4) / _FOURTH_ROOT_OF_TWO_PI for n in kept]
    z = np.array([float(n.z) for n in kept])
    rule = np.array([float(n.weight / bell**2) for n, bell in zip(kept, bells, strict=True)])
    value, slope = (
        np.array([float(bell * getattr(n, name)) for n, bell in zip(kept, bells, strict=True)])
        for name in ("value", "slope")
    )
    return z, rule, value, slope
