"""The terms that activations of class G are sums of, and their products and derivatives.

One term is c (t - z)^n exp(alpha t^2 + beta t) cos(omega t + phi) G(t), all parameters real. The gate
G is 1, a step, or a step blurred by an independent Gaussian: P(side (t + sqrt(noise) W - threshold) > 0).
A step has noise 0; erf(gamma t + delta) = sign(gamma) (2 G - 1) with threshold -delta/gamma and noise
1/(2 gamma^2). So steps and error functions are one kind of half-space (MATH: closed forms, class G).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sympy

from kernelc.model import VARIABLE


class OutsideClassError(Exception):
    """The activation leaves class G; the message says how. Caught by `derive`, never shown as an error."""


@dataclass(frozen=True, slots=True)
class Gate:
    """P(side (t + sqrt(noise) W - threshold) > 0) as a function of t; W is standard normal."""

    threshold: sympy.Expr
    side: int
    noise: sympy.Expr

    @property
    def sharp(self) -> bool:
        """Whether this is a step (no noise)."""
        return bool(self.noise == 0)


@dataclass(frozen=True, slots=True)
class Term:
    """coefficient (t - center)^power exp(quadratic t^2 + linear t) cos(frequency t + phase) gate(t)."""

    coefficient: sympy.Expr
    power: int = 0
    quadratic: sympy.Expr = sympy.S.Zero
    linear: sympy.Expr = sympy.S.Zero
    frequency: sympy.Expr = sympy.S.Zero
    phase: sympy.Expr = sympy.S.Zero
    gate: Gate | None = None
    center: sympy.Expr = sympy.S.Zero

    @property
    def family(self) -> tuple[object, ...]:
        """All but coefficient and power: terms of one family differ by a polynomial factor."""
        return (self.quadratic, self.linear, self.frequency, self.phase, self.gate, self.center)

    def envelope(self, point: sympy.Expr) -> sympy.Expr:
        """The value at `point` without the gate."""
        value = self.coefficient * (point - self.center) ** self.power
        value *= sympy.exp(self.quadratic * point**2 + self.linear * point)
        return value * sympy.cos(self.frequency * point + self.phase)

    def expression(self) -> sympy.Expr:
        """The term as a SymPy expression in the variable."""
        t = VARIABLE
        value = self.envelope(t)
        if self.gate is None:
            return value
        distance = self.gate.side * (t - self.gate.threshold)
        if self.gate.sharp:
            return value * sympy.Heaviside(distance)
        return value * (1 + sympy.erf(distance / sympy.sqrt(2 * self.gate.noise))) / 2


Terms = tuple[Term, ...]


def constant(value: sympy.Expr) -> Terms:
    """The term list of a constant."""
    return () if value == 0 else (Term(value),)


def canonical(term: Term) -> Term:
    """Fold the phase of a constant cosine into the coefficient; make the frequency's sign canonical."""
    if term.frequency == 0:
        return replace(term, coefficient=term.coefficient * sympy.cos(term.phase), phase=sympy.S.Zero)
    if term.frequency.could_extract_minus_sign():
        term = replace(term, frequency=-term.frequency, phase=-term.phase)
    if term.phase.is_number and term.phase != sympy.Mod(term.phase, 2 * sympy.pi):
        return replace(term, phase=sympy.Mod(term.phase, 2 * sympy.pi))
    return term


def merge(terms: Iterable[Term]) -> Terms:
    """Add up terms that differ in their coefficient alone; drop those that vanish."""
    sums: dict[tuple[object, ...], list[Term]] = {}
    for term in map(canonical, terms):
        sums.setdefault((term.power, *term.family), []).append(term)
    merged = []
    for same in sums.values():
        total = sympy.expand(sympy.Add(*(term.coefficient for term in same)))
        if total != 0 and len(same) > 1:
            total = sympy.S.Zero if vanishes(total) else total
        if total != 0:
            merged.append(replace(same[0], coefficient=total))
    return tuple(merged)


def vanishes(value: sympy.Expr) -> bool:
    """Whether a variable-free expression is identically zero (False where it cannot be decided)."""
    if value == 0:
        return True
    if value.is_number:
        return bool(abs(sympy.N(value, 40)) < sympy.Float("1e-30")) and sympy.simplify(value) == 0
    return bool(sympy.simplify(value) == 0)


def multiply(left: Terms, right: Terms) -> Terms:
    """The product of two sums; raises `OutsideClassError` where two gates would meet."""
    products = []
    for a in left:
        for b in right:
            products.extend(_multiply_pair(a, b))
    return merge(products)


def _multiply_pair(a: Term, b: Term) -> list[Term]:
    if a.gate is not None and b.gate is not None:
        raise OutsideClassError("a product of two error functions has no closed form here")
    product = Term(
        coefficient=a.coefficient * b.coefficient,
        power=a.power + b.power,
        quadratic=sympy.expand(a.quadratic + b.quadratic),
        linear=sympy.expand(a.linear + b.linear),
        gate=a.gate or b.gate,
    )
    if a.frequency == 0 or b.frequency == 0:
        wave = b if a.frequency == 0 else a
        return [replace(product, frequency=wave.frequency, phase=wave.phase)]
    half = replace(product, coefficient=product.coefficient / 2)
    return [
        replace(half, frequency=sympy.expand(a.frequency + s * b.frequency), phase=sympy.expand(a.phase + s * b.phase))
        for s in (1, -1)
    ]


def differentiate(terms: Terms) -> tuple[Terms, dict[sympy.Expr, sympy.Expr]]:
    """The derivative away from jumps, and the jumps: threshold -> height (those not shown to be zero)."""
    derived: list[Term] = []
    jumps: dict[sympy.Expr, sympy.Expr] = {}
    for term in terms:
        derived.extend(_smooth_derivative(term))
        if term.gate is None:
            continue
        if term.gate.sharp:
            point = term.gate.threshold
            jumps[point] = jumps.get(point, sympy.S.Zero) + term.gate.side * term.envelope(point)
        else:
            derived.append(_times_gate_density(term, term.gate))
    heights = {point: height for point, height in jumps.items() if not vanishes(height)}
    return merge(derived), heights


def _smooth_derivative(term: Term) -> list[Term]:
    """Product rule over all factors but the gate; t is written (t - center) + center."""
    c, n = term.coefficient, term.power
    parts = [replace(term, coefficient=c * (term.linear + 2 * term.quadratic * term.center))]
    parts.append(replace(term, coefficient=2 * c * term.quadratic, power=n + 1))
    if n > 0:
        parts.append(replace(term, coefficient=c * n, power=n - 1))
    if term.frequency != 0:
        parts.append(replace(term, coefficient=c * term.frequency, phase=term.phase + sympy.pi / 2))
    return [part for part in parts if part.coefficient != 0]


def _times_gate_density(term: Term, gate: Gate) -> Term:
    """The term with its gate replaced by the gate's derivative, a normal density of variance `noise`."""
    peak = sympy.exp(-(gate.threshold**2) / (2 * gate.noise)) / sympy.sqrt(2 * sympy.pi * gate.noise)
    return replace(
        term,
        coefficient=term.coefficient * gate.side * peak,
        quadratic=term.quadratic - 1 / (2 * gate.noise),
        linear=term.linear + gate.threshold / gate.noise,
        gate=None,
    )
