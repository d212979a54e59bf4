"""E[f(u) g(v)] for two class-G terms: tilt, moments over half-spaces, normal probabilities.

The result is a sum of `Piece`s: an algebraic coefficient times an exponential times one probability.
They keep numerators, variances and determinants apart, so that a stable evaluation can be lowered
from them; `Piece.expression` is the formula a person reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sympy
from sympy.polys.fields import FracElement

from kernelc.closedform.algebra import DETERMINANT, Algebra
from kernelc.closedform.moments import Coefficients, HalfSpace, Normal, table_of_none, table_of_one, table_of_two
from kernelc.closedform.piece import Piece, merged
from kernelc.closedform.terms import Gate, OutsideClassError, Term, Terms
from kernelc.model import Q11, Q12, Q22


@dataclass(frozen=True, slots=True)
class Family:
    """Terms of one exponential, wave and gate: a polynomial in (t - center) times that."""

    quadratic: sympy.Expr
    linear: sympy.Expr
    frequency: sympy.Expr
    phase: sympy.Expr
    gate: Gate | None
    center: sympy.Expr
    polynomial: tuple[tuple[int, sympy.Expr], ...]

    @property
    def degree(self) -> int:
        """The highest power."""
        return max(power for power, _ in self.polynomial)

    @property
    def parameters(self) -> Iterator[sympy.Expr]:
        """All that the rational arithmetic must know."""
        yield from (self.quadratic, self.linear, self.frequency, self.center)
        yield from (coefficient for _, coefficient in self.polynomial)
        if self.gate is not None:
            yield from (self.gate.threshold, self.gate.noise)


def families(terms: Terms) -> tuple[Family, ...]:
    """Group terms that differ by a polynomial factor."""
    groups: dict[tuple[object, ...], tuple[Term, list[tuple[int, sympy.Expr]]]] = {}
    for term in terms:
        groups.setdefault(term.family, (term, []))[1].append((term.power, term.coefficient))
    return tuple(
        Family(t.quadratic, t.linear, t.frequency, t.phase, t.gate, t.center, tuple(sorted(powers)))
        for t, powers in groups.values()
    )


@dataclass(frozen=True, slots=True)
class _Tilted:
    """The Gaussian (u, v) after the exponentials were absorbed, in the field."""

    mean: tuple[FracElement, FracElement]
    s11: FracElement
    s12: FracElement
    s22: FracElement
    determinant: FracElement
    scale: FracElement  # the mass is exp(exponent + i wave) / sqrt(scale)
    exponent: FracElement
    wave: FracElement


def _tilt(algebra: Algebra, f: Family, g: Family, frequencies: tuple[sympy.Expr, sympy.Expr]) -> _Tilted:
    """Complete the square: precision Q^-1 - 2 diag(alpha), mean S beta with beta complex."""
    q11, q12, q22, det = (algebra.symbol(s) for s in (Q11, Q12, Q22, DETERMINANT))
    a1, a2, b1, b2 = (algebra.element(e) for e in (f.quadratic, g.quadratic, f.linear, g.linear))
    w1, w2 = (algebra.element(w) for w in frequencies)
    scale = 1 - 2 * a1 * q11 - 2 * a2 * q22 + 4 * a1 * a2 * det
    s11, s12, s22 = (q11 - 2 * a2 * det) / scale, q12 / scale, (q22 - 2 * a1 * det) / scale
    real = (s11 * b1 + s12 * b2, s12 * b1 + s22 * b2)
    imaginary = (s11 * w1 + s12 * w2, s12 * w1 + s22 * w2)
    unit = algebra.unit
    return _Tilted(
        mean=(real[0] + unit * imaginary[0], real[1] + unit * imaginary[1]),
        s11=s11,
        s12=s12,
        s22=s22,
        determinant=det / scale,
        scale=scale,
        exponent=(b1 * real[0] + b2 * real[1] - w1 * imaginary[0] - w2 * imaginary[1]) / 2,
        wave=b1 * imaginary[0] + b2 * imaginary[1],
    )


@dataclass(frozen=True, slots=True)
class _Gates:
    """Half-spaces side_j (x_j + noise - c_j) > 0 of a tilted pair: x_1 = u, x_2 = v."""

    sides: tuple[int, int]
    thresholds: tuple[FracElement, FracElement]
    noises: tuple[FracElement, FracElement]
    centers: tuple[FracElement, FracElement]


def _variance(law: _Tilted, axis: int) -> FracElement:
    return law.s11 if axis == 0 else law.s22


def _edge(law: _Tilted, gates: _Gates, axis: int) -> HalfSpace:
    """Half-space `axis`, and the law of (u, v) on its boundary."""
    other = 1 - axis
    own, cross, far = _variance(law, axis), law.s12, _variance(law, other)
    noise, threshold, side = gates.noises[axis], gates.thresholds[axis], gates.sides[axis]
    total = own + noise
    mean_own = (noise * law.mean[axis] + own * threshold) / total - gates.centers[axis]
    mean_far = law.mean[other] - cross * (law.mean[axis] - threshold) / total - gates.centers[other]
    own_given, cross_given = own * noise / total, cross * noise / total
    far_given = (law.determinant + noise * far) / total
    if axis == 0:
        boundary = Normal((mean_own, mean_far), ((own_given, cross_given), (cross_given, far_given)))
        return HalfSpace((side * own, side * cross), boundary)
    boundary = Normal((mean_far, mean_own), ((far_given, cross_given), (cross_given, own_given)))
    return HalfSpace((side * cross, side * own), boundary)


def _corner(law: _Tilted, gates: _Gates, gap: FracElement) -> Normal:
    """The law of (u, v) where both half-spaces' edges meet: S (S + N)^-1 N about its mean."""
    n1, n2 = gates.noises
    d1, d2 = (gates.thresholds[j] - law.mean[j] for j in (0, 1))
    det, s11, s12, s22 = law.determinant, law.s11, law.s12, law.s22
    mean1 = law.mean[0] + ((det + s11 * n2) * d1 + s12 * n1 * d2) / gap
    mean2 = law.mean[1] + ((det + s22 * n1) * d2 + s12 * n2 * d1) / gap
    cross = s12 * n1 * n2 / gap
    covariance = ((n1 * (det + n2 * s11) / gap, cross), (cross, n2 * (det + n1 * s22) / gap))
    return Normal((mean1 - gates.centers[0], mean2 - gates.centers[1]), covariance)


Accumulated = dict[Piece, FracElement]


@dataclass(frozen=True, slots=True)
class _Sum:
    """Pieces under way: each with coefficient a constant, and the field element that multiplies it."""

    algebra: Algebra
    pieces: Accumulated
    finished: list[Piece]

    def add(self, element: FracElement, piece: Piece) -> None:
        """Add `element` times the piece."""
        self.pieces[piece] = self.pieces[piece] + element if piece in self.pieces else element

    def finish(self) -> Iterator[Piece]:
        """The pieces with their coefficients multiplied out; those that cancel are gone."""
        yield from self.finished
        for piece, element in self.pieces.items():
            if not self.algebra.vanishes(element):
                yield replace(piece, coefficient=piece.coefficient * self.algebra.expression(element))


def expectation(terms: Terms) -> tuple[Piece, ...]:
    """E[f(u) f(v)] of a sum of terms. Raises `OutsideClassError` where a pair has no closed form."""
    groups = families(terms)
    algebra = Algebra.over(p for g in groups for p in g.parameters)
    total = _Sum(algebra, {}, [])
    for f in groups:
        for g in groups:
            for frequencies, phase, weight in _waves(f, g):
                _add_pair(total, f, g, frequencies, phase, weight)
    return tuple(merged(total.finish()))


def _waves(f: Family, g: Family) -> list[tuple[tuple[sympy.Expr, sympy.Expr], sympy.Expr, sympy.Rational]]:
    """cos(omega1 u + phi1) cos(omega2 v + phi2) as a sum of cosines of one linear function."""
    if f.frequency == 0 or g.frequency == 0:
        return [((f.frequency, g.frequency), f.phase + g.phase, sympy.S.One)]
    half = sympy.Rational(1, 2)
    return [((f.frequency, s * g.frequency), f.phase + s * g.phase, half) for s in (1, -1)]


def _add_pair(
    total: _Sum, f: Family, g: Family, frequencies: tuple[sympy.Expr, sympy.Expr], phase: sympy.Expr, weight: sympy.Expr
) -> None:
    algebra = total.algebra
    law = _tilt(algebra, f, g, frequencies)
    zero, one = algebra.element(sympy.S.Zero), algebra.element(sympy.S.One)
    both = (f.gate, g.gate)
    gates = _Gates(
        sides=(f.gate.side if f.gate else 1, g.gate.side if g.gate else 1),
        thresholds=tuple(algebra.element(x.threshold) if x else zero for x in both),
        noises=tuple(algebra.element(x.noise) if x else zero for x in both),
        centers=(algebra.element(f.center), algebra.element(g.center)),
    )
    normal = Normal(
        (law.mean[0] - gates.centers[0], law.mean[1] - gates.centers[1]), ((law.s11, law.s12), (law.s12, law.s22))
    )
    powers = (f.degree, g.degree)
    base = Piece(
        coefficient=weight,
        root=algebra.expression(law.scale),
        exponent=algebra.reduced(law.exponent),
        wave=algebra.reduced(law.wave) + phase,
    )
    present = [axis for axis in (0, 1) if both[axis] is not None]
    if not present and not (f.quadratic == 0 and g.quadratic == 0):
        total.finished.extend(_moments_by_name(algebra, law, f, g, base))
    elif not present:
        _add_wave(total, _contract(table_of_none(normal, powers, one), f, g, algebra)[0], base)
    elif len(present) == 1:
        edge = _edge(law, gates, present[0])
        values = _contract(table_of_one(normal, edge, powers, one), f, g, algebra)
        _add_one(total, law, gates, present[0], values, base)
    elif any(w != 0 for w in frequencies):
        raise OutsideClassError("a wave between two half-spaces needs a bivariate normal probability off the real line")
    else:
        _add_two(total, law, gates, (normal, powers, f, g), base)


_NAMES = sympy.symbols("_real1 _imaginary1 _real2 _imaginary2 _s11 _s12 _s22", real=True)


def _moments_by_name(algebra: Algebra, law: _Tilted, f: Family, g: Family, base: Piece) -> Iterator[Piece]:
    """No half-space under a quadratic tilt: moments as polynomials in named means and covariances.

    Only at the end are the names replaced, unexpanded: the tilted covariances have denominators, and
    rational functions in them would grow without need.
    """
    coefficients = [c for family in (f, g) for _, c in family.polynomial]
    local = Algebra.over([*_NAMES, f.center, g.center, *coefficients])
    r1, i1, r2, i2, s11, s12, s22 = (local.element(name) for name in _NAMES)
    centers = local.element(f.center), local.element(g.center)
    mean = (r1 + local.unit * i1 - centers[0], r2 + local.unit * i2 - centers[1])
    table = table_of_none(Normal(mean, ((s11, s12), (s12, s22))), (f.degree, g.degree), local.element(sympy.S.One))
    named = _contract(table, f, g, local)[0]
    parts = [part for m in law.mean for part in algebra.real_imaginary(m)]
    values = [algebra.expression(e) for e in (*parts, law.s11, law.s12, law.s22)]
    back = dict(zip(_NAMES, values, strict=True))
    shift = sympy.S.Zero
    for part in local.real_imaginary(named):
        coefficient = local.expression(part).xreplace(back)
        if coefficient != 0:
            # -sin(w) = cos(w + pi/2)
            yield replace(base, coefficient=base.coefficient * coefficient, wave=base.wave + shift)
        shift = sympy.pi / 2


def _contract(
    table: Mapping[tuple[int, int], Coefficients], f: Family, g: Family, algebra: Algebra
) -> list[FracElement]:
    """Sum the moments against the two polynomials."""
    size = len(table[0, 0])
    totals = [algebra.element(sympy.S.Zero)] * size
    for a, left in f.polynomial:
        for b, right in g.polynomial:
            factor = algebra.element(left) * algebra.element(right)
            totals = [t + factor * value for t, value in zip(totals, table[a, b], strict=True)]
    return totals


def _add_wave(total: _Sum, element: FracElement, piece: Piece) -> None:
    """Add Re[element exp(i wave)] times the piece (whose own cosine is replaced)."""
    real, imaginary = total.algebra.real_imaginary(element)
    if real != 0:
        total.add(real, piece)
    if imaginary != 0:
        # -sin(w) = cos(w + pi/2)
        total.add(imaginary, replace(piece, wave=piece.wave + sympy.pi / 2))


def _add_one(total: _Sum, law: _Tilted, gates: _Gates, axis: int, values: list[FracElement], base: Piece) -> None:
    """One half-space: a marginal probability and its density."""
    algebra = total.algebra
    variance = _variance(law, axis) + gates.noises[axis]
    distance = law.mean[axis] - gates.thresholds[axis]
    real, imaginary = algebra.real_imaginary(distance)
    side = gates.sides[axis]
    if imaginary != 0 and real != 0:
        raise OutsideClassError("a wave under a shifted or tilted half-space needs an error function off the real line")
    spread = algebra.expression(variance)
    edge = algebra.reduced(law.exponent + (imaginary**2 - real**2) / (2 * variance))
    tails = () if law.exponent == 0 else (edge,)
    if imaginary != 0:
        half = replace(base, coefficient=base.coefficient / 2)
        _add_wave(total, values[0], half)
        argument = algebra.reduced(imaginary)
        wave = replace(half, kind="erfi", arguments=(argument, spread), tails=(edge,))
        _add_wave(total, values[0] * algebra.unit * side, wave)
    elif real != 0:
        argument = algebra.reduced(side * real)
        _add_wave(total, values[0], replace(base, kind="ndtr", arguments=(argument, spread), tails=tails))
    else:
        _add_wave(total, values[0], replace(base, coefficient=base.coefficient / 2))
    root = 2 * sympy.pi * algebra.expression(law.scale * variance)
    _add_wave(total, values[1], replace(base, root=root, exponent=edge))


@dataclass(frozen=True, slots=True)
class _Corner:
    """Two half-spaces: distances of the means, variances with noise, and what follows from them."""

    d: tuple[FracElement, FracElement]
    v: tuple[FracElement, FracElement]
    cross: FracElement
    gap: FracElement
    edges: tuple[sympy.Expr, sympy.Expr]  # exponents on the two edges
    exponent: sympy.Expr  # at the corner

    @staticmethod
    def of(algebra: Algebra, law: _Tilted, gates: _Gates) -> _Corner:
        """Collect them."""
        v1, v2 = law.s11 + gates.noises[0], law.s22 + gates.noises[1]
        n1, n2 = gates.noises
        gap = law.determinant + n1 * law.s22 + n2 * law.s11 + n1 * n2
        d1, d2 = (law.mean[j] - gates.thresholds[j] for j in (0, 1))
        form = (d1**2 * v2 - 2 * law.s12 * d1 * d2 + d2**2 * v1) / (2 * gap)
        edges = (algebra.reduced(law.exponent - d1**2 / (2 * v1)), algebra.reduced(law.exponent - d2**2 / (2 * v2)))
        return _Corner((d1, d2), (v1, v2), law.s12, gap, edges, algebra.reduced(law.exponent - form))

    def far(self, axis: int) -> FracElement:
        """The other distance's mean where distance `axis` vanishes."""
        return self.d[1 - axis] - self.cross * self.d[axis] / self.v[axis]


def _add_two(
    total: _Sum, law: _Tilted, gates: _Gates, problem: tuple[Normal, tuple[int, int], Family, Family], base: Piece
) -> None:
    """Two half-spaces: a bivariate probability, two edges and a corner."""
    algebra = total.algebra
    normal, powers, f, g = problem
    corner = _Corner.of(algebra, law, gates)
    edges = (_edge(law, gates, 0), _edge(law, gates, 1))
    first, second = edges[0].boundary.covariance[1], edges[1].boundary.covariance[0]
    conditional = (
        (gates.sides[1] * first[0], gates.sides[1] * first[1]),
        (gates.sides[0] * second[0], gates.sides[0] * second[1]),
    )
    law_there = _corner(law, gates, corner.gap)
    one = algebra.element(sympy.S.One)
    values = _contract(table_of_two(normal, edges, conditional, law_there, powers, one), f, g, algebra)
    tilted = law.exponent != 0
    _add_corner_probability(total, values[0], gates.sides, corner, (base, tilted))
    for axis in (0, 1):
        variance = corner.v[axis]
        argument = algebra.reduced(gates.sides[1 - axis] * corner.far(axis))
        root = 2 * sympy.pi * algebra.expression(law.scale * variance)
        edge = replace(base, root=root, exponent=corner.edges[axis])
        if argument == 0:
            total.add(values[1 + axis], replace(edge, coefficient=edge.coefficient / 2))
            continue
        spread = algebra.expression(corner.gap / variance)
        tails = (corner.exponent,) if tilted else ()
        total.add(values[1 + axis], replace(edge, kind="ndtr", arguments=(argument, spread), tails=tails))
    root = 4 * sympy.pi**2 * algebra.expression(law.scale * corner.gap)
    total.add(values[3], replace(base, root=root, exponent=corner.exponent))


def _add_corner_probability(
    total: _Sum, value: FracElement, sides: tuple[int, int], corner: _Corner, shape: tuple[Piece, bool]
) -> None:
    """P(L1 > 0, L2 > 0): 1/4 + asin(r)/(2 pi) at the centre, the bivariate probability elsewhere."""
    algebra = total.algebra
    base, tilted = shape
    (d1, d2), (v1, v2) = corner.d, corner.v
    covariance = sides[0] * sides[1] * corner.cross
    if d1 == 0 and d2 == 0:
        total.add(value, replace(base, coefficient=base.coefficient / 4))
        scaled = tuple(algebra.expression(e) for e in (covariance, corner.gap, v1 * v2))
        total.add(value, replace(base, coefficient=base.coefficient / (2 * sympy.pi), kind="angle", arguments=scaled))
        return
    entries = (sides[0] * d1, v1, sides[1] * d2, v2, covariance, corner.gap)
    far = (algebra.reduced(sides[1] * corner.far(0)), algebra.reduced(sides[0] * corner.far(1)))
    arguments = (*(algebra.expression(e) for e in entries), *far)
    tails = (*corner.edges, corner.exponent) if tilted else ()
    total.add(value, replace(base, kind="bvn", arguments=arguments, tails=tails))
