"""Quadrature roads to E[f(u) f(v)], (u, v) centred Gaussian, unit variances, correlation rho.

Two of them, neither of which goes through Hermite coefficients or rotated coordinates:

* a product rule directly in (u, v) on equal panels. For p = |rho| the density is
      exp(-(u^2 + v^2) / (2(1+p))) exp(-p (u -+ v)^2 / (2(1-p^2))) / (2 pi sqrt(1-p^2)),
  separable weights times a function of the difference (rho >= 0) or the sum (rho < 0) alone, so on
  equal panels the double sum is a few autocorrelations of one table of values, done in integers.
  One midpoint node a panel is the trapezoidal rule (exponential convergence for analytic f);
  Gauss-Legendre nodes serve f that is analytic between multiples of the panel width.
* polar coordinates u = R cos(phi), v = R cos(phi - theta), double-exponential in both variables, each
  quadrant a wedge of its own: for f that is analytic but at 0, where it may even be singular.

All functions work at the precision of `mpmath.mp` and expect it to be near `WORK_DPS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from operator import mul
from typing import Any, TypeAlias

from mpmath import libmp, mp

#: mpmath ships no types; `Real` marks its floating-point numbers.
Real: TypeAlias = Any
Function: TypeAlias = Callable[[Real], Real]

WORK_DPS = 56
FIXED_BITS = 200
#: what lies below this, relative to kappa(1), is left out of a sum
NEGLIGIBLE = "1e-47"
#: two settings must agree to this, relative to kappa(1)
AGREEMENT = "1e-38"


class DisagreementError(ArithmeticError):
    """Two settings or two roads to one number disagree: nothing may be stored."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Nodes in (0, 1), symmetric about 1/2, and weights that sum to 1."""

    nodes: tuple[Real, ...]
    weights: tuple[Real, ...]


@dataclass(frozen=True, slots=True)
class PanelSetting:
    """Gauss-Legendre nodes a panel; largest panel width, absolute and in ridge widths; added range."""

    nodes: int
    width: float
    ridge_width: float
    extra_range: int


PANEL_SETTINGS = (PanelSetting(48, 1.0, 8.5, 0), PanelSetting(60, 1.3, 11.0, 1))


@cache
def midpoint_rule() -> Rule:
    """The rule with one node in the middle: on equal panels, the trapezoidal rule shifted by half a step."""
    return Rule((mp.mpf(1) / 2,), (mp.mpf(1),))


@cache
def gauss_legendre_rule(n: int) -> Rule:
    """The n-point Gauss-Legendre rule on (0, 1), by Newton's method on the three-term recurrence."""
    nodes, weights = [], []
    with mp.workdps(WORK_DPS + 10):
        for k in range(1, n + 1):
            x = -mp.cos(mp.pi * (k - mp.mpf(1) / 4) / (n + mp.mpf(1) / 2))
            for _ in range(8):
                before, value = mp.mpf(1), x
                for j in range(2, n + 1):
                    before, value = value, ((2 * j - 1) * x * value - (j - 1) * before) / j
                slope = n * (x * value - before) / (x * x - 1)
                x -= value / slope
            nodes.append((1 + x) / 2)
            weights.append(1 / ((1 - x * x) * slope**2))
        if abs(mp.fsum(weights) - 1) > mp.mpf(10) ** (-WORK_DPS):
            raise DisagreementError(f"Gauss-Legendre weights for n = {n} do not sum to 1")
    return Rule(tuple(nodes), tuple(weights))


def effective_range(f: Function) -> int:
    """The integer R beyond which f(u)^2 exp(-u^2/2) is negligible (f of at most exponential-quadratic growth)."""
    limit = mp.mpf(NEGLIGIBLE)

    def negligible(r: Real) -> bool:
        return all(f(x) ** 2 * mp.exp(-x * x / 2) < limit for x in (r, -r))

    for r in range(15, 80):
        if all(negligible(r + mp.mpf(k) / 3) for k in range(4)):
            return r
    raise DisagreementError("f(u)^2 exp(-u^2/2) does not become negligible for |u| < 80")


def lattice_nodes(rule: Rule, width: Real, panels: int) -> list[Real]:
    """The nodes, ascending, of `2 * panels` equal panels that meet at 0."""
    return [width * (p + x) for p in range(-panels, panels) for x in rule.nodes]


def lattice_dual(values: Sequence[Real], rule: Rule, width: Real, rho: Real) -> Real:
    """E[f(u) f(v)] by the product rule, from f's `values` at `lattice_nodes`; rho in [-1, 1]."""
    panels = len(values) // len(rule.nodes) // 2
    nodes = lattice_nodes(rule, width, panels)
    steps = [width * w for w in rule.weights] * (2 * panels)
    p = abs(rho)
    if p == 1:
        partner = values if rho > 0 else values[::-1]
        terms = (h * a * b * mp.exp(-u * u / 2) for h, a, b, u in zip(steps, values, partner, nodes, strict=True))
        return mp.fsum(terms) / mp.sqrt(2 * mp.pi)
    weighted = [
        libmp.to_fixed((h * a * mp.exp(-u * u / (2 * (1 + p))))._mpf_, FIXED_BITS)
        for h, a, u in zip(steps, values, nodes, strict=True)
    ]
    # rho < 0: replace v by -v, that is the second factor's table by its mirror image
    partner = weighted if rho >= 0 else weighted[::-1]
    total = _correlate(weighted, partner, rule, width, p, range(1))
    above = _correlate(weighted, partner, rule, width, p, range(1, 2 * panels))
    # v in a panel below u's: the same by symmetry, but for rho < 0 the mirror image makes it another sum
    below = above if rho >= 0 else _correlate(partner, weighted, rule, width, p, range(1, 2 * panels))
    total += above + below
    return mp.ldexp(mp.mpf(total), -3 * FIXED_BITS) / (2 * mp.pi * mp.sqrt(1 - p * p))


def _correlate(first: list[int], second: list[int], rule: Rule, width: Real, p: Real, distances: range) -> int:
    """sum of first(u) second(v) exp(-p (u - v)^2 / (2(1-p^2))), v's panel `distances` above u's, in fixed point."""
    n = len(rule.nodes)
    rate = p / (2 * (1 - p * p))
    reach = distances.stop
    if p > 0:
        reach = min(reach, int(mp.ceil(mp.sqrt(-mp.log(mp.mpf(NEGLIGIBLE)) / rate) / width)) + 1)
    rows = [first[a::n] for a in range(n)]
    total = 0
    for d in range(distances.start, reach):
        for b in range(n):
            column = second[d * n + b :: n]
            for a in range(n):
                gap = width * (rule.nodes[b] - rule.nodes[a] + d)
                ridge = libmp.to_fixed(mp.exp(-rate * gap * gap)._mpf_, FIXED_BITS)
                total += ridge * sum(map(mul, rows[a], column))
    return total


class SmoothDual:
    """E[f(u) f(v)] for f analytic about the real line, by trapezoidal rules refined until two agree.

    The steps are 0.32 * 0.7^k, so the samples of f are shared among correlations; every other step
    also takes a wider range.
    """

    def __init__(self, f: Function) -> None:
        self._f = f
        self._range = effective_range(f)
        self._samples: dict[int, list[Real]] = {}
        self.scale: Real = mp.mpf(1)
        self.scale = self.values(mp.mpf(1))[0]

    def _at_level(self, level: int, rho: Real) -> Real:
        width = mp.mpf("0.32") * mp.mpf("0.7") ** level
        if level not in self._samples:
            panels = math.ceil((self._range + level % 2) / width)
            self._samples[level] = [self._f(u) for u in lattice_nodes(midpoint_rule(), width, panels)]
        return lattice_dual(self._samples[level], midpoint_rule(), width, rho)

    def _first_level(self, rho: Real) -> int:
        """The first step that resolves the ridge of the density."""
        gap = float(1 - abs(rho))
        step = 0.6 * math.sqrt(gap) if gap > 0 else 0.32
        return next(k for k in count() if 0.32 * 0.7**k <= step)

    def _near(self, value: Real, other: Real) -> bool:
        return bool(abs(value - other) <= mp.mpf(AGREEMENT) * max(abs(self.scale), abs(value) / 1000))

    def values(self, rho: Real) -> tuple[Real, Real]:
        """The value at the last step and at the one before; they agree to `AGREEMENT` of kappa(1).

        Raises: DisagreementError where 14 refinements do not suffice.
        """
        start = self._first_level(rho)
        before = self._at_level(start, rho)
        for level in range(start + 1, start + 15):
            value = self._at_level(level, rho)
            if self._near(value, before):
                return value, before
            before = value
        raise DisagreementError(f"trapezoidal rules do not settle at rho = {mp.nstr(rho, 8)}")

    def confirmation(self, rho: Real, target: Real) -> Real:
        """The first value that agrees with a closed form's `target`, else the one at the ninth step."""
        start = self._first_level(rho)
        value = target + self.scale
        for level in range(start, start + 9):
            value = self._at_level(level, rho)
            if self._near(value, target):
                break
        return value


class PanelDual:
    """E[f(u) f(v)] for f analytic on each interval [k spacing, (k+1) spacing], at one `PanelSetting`."""

    def __init__(self, f: Function, spacing: Real, setting: PanelSetting) -> None:
        self._f = f
        self._spacing = spacing
        self._setting = setting
        self._range = effective_range(f) + setting.extra_range
        self._samples: dict[int, list[Real]] = {}

    def value(self, rho: Real) -> Real:
        """The product rule's value at rho in [-1, 1]."""
        p = abs(rho)
        rule = gauss_legendre_rule(self._setting.nodes)
        limit = self._setting.width
        if 0 < p < 1:
            limit = min(limit, self._setting.ridge_width * float(mp.sqrt((1 - p * p) / p)))
        splits = math.ceil(float(self._spacing) / limit)
        width = self._spacing / splits
        if splits not in self._samples:
            panels = math.ceil(float(self._range / width))
            self._samples[splits] = [self._f(u) for u in lattice_nodes(rule, width, panels)]
        return lattice_dual(self._samples[splits], rule, width, rho)


def tanh_sinh_halves(step: Real) -> list[tuple[Real, Real, Real]]:
    """Nodes of tanh-sinh on (0, 1) as (distance from 0, distance from 1, weight), both distances accurate."""
    result: list[tuple[Real, Real, Real]] = []
    for k in count(-int(mp.mpf("4.2") / step)):
        tau = k * step
        if tau > mp.mpf("4.2"):
            return result
        stretched = mp.pi * mp.sinh(tau)
        left, right = 1 / (1 + mp.exp(-stretched)), 1 / (1 + mp.exp(stretched))
        weight = step * mp.pi * mp.cosh(tau) * left * right
        if weight > mp.mpf("1e-54"):
            result.append((left, right, weight))
    return result


def radial_rule(step: Real) -> list[tuple[Real, Real]]:
    """Nodes R and weights of int_0^oo R exp(-R^2/2) g(R) dR, double-exponential by R = exp(x - exp(-x))."""
    result: list[tuple[Real, Real]] = []
    for k in range(-int(5 / step), int(4 / step)):
        x = k * step
        r = mp.exp(x - mp.exp(-x))
        weight = step * r * r * (1 + mp.exp(-x)) * mp.exp(-r * r / 2)
        if weight > mp.mpf("1e-60"):
            result.append((r, weight))
    return result


class PolarDual:
    """E[f(u) f(v)] for f analytic on t > 0 and on t < 0, by double-exponential rules in polar coordinates.

    In the wedge between the lines u = 0 and v = 0, of opening W = pi - theta (u v > 0) or theta
    (u v < 0), |u| = R sin(alpha) and |v| = R sin(W - alpha), 0 < alpha < W.
    """

    def __init__(self, f: Function, step: str) -> None:
        self._f = f
        self._rule = tanh_sinh_halves(mp.mpf(step))
        self._radii = radial_rule(mp.mpf(step))

    def _ray(self, u: Real, v: Real) -> Real:
        """The integral over R of R exp(-R^2/2) f(R u) f(R v)."""
        f = self._f
        return mp.fsum(w * f(r * u) * f(r * v) for r, w in self._radii)

    def _wedge(self, opening: Real, sign_u: int, sign_v: int) -> Real:
        """The integral over the wedge; where both signs agree it is twice its lower half."""
        symmetric = sign_u == sign_v
        terms = []
        for left, right, weight in self._rule:
            if symmetric and left > right:
                continue
            factor = 2 if symmetric and left < right else 1
            u, v = sign_u * mp.sin(opening * left), sign_v * mp.sin(opening * right)
            terms.append(factor * weight * opening * self._ray(u, v))
        return mp.fsum(terms)

    def value(self, rho: Real) -> Real:
        """The value at rho in [-1, 1]."""
        theta = 2 * mp.asin(mp.sqrt((1 - rho) / 2))
        total = mp.mpf(0)
        if rho > -1:
            total += self._wedge(mp.pi - theta, 1, 1) + self._wedge(mp.pi - theta, -1, -1)
        if rho < 1:
            total += 2 * self._wedge(theta, -1, 1)
        return total / (2 * mp.pi)


class PolarCheck:
    """The polar road, its step refined until it agrees with a value from elsewhere."""

    steps = ("0.045", "0.032", "0.023")

    def __init__(self, f: Function) -> None:
        self._duals = [PolarDual(f, step) for step in self.steps]

    def confirmation(self, rho: Real, target: Real) -> Real:
        """The first value that agrees with `target` to `AGREEMENT`, else the one at the last step."""
        value = target
        for dual in self._duals:
            value = dual.value(rho)
            if abs(value - target) <= mp.mpf(AGREEMENT) * (abs(target) + mp.mpf("1e-3")):
                break
        return value
