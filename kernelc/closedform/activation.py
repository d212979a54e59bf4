"""An activation of class G piece by piece, in doubles: what a module needs of sigma itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import sympy

from kernelc.closedform.terms import Gate, Term, Terms, canonical
from kernelc.program import ActivationPiece, ActivationTerm

#: What terms that are added up share: power, quadratic, linear, frequency, a smooth gate.
_Key = tuple[int, sympy.Expr, sympy.Expr, sympy.Expr, Gate | None]


def activation_pieces(terms: Terms) -> tuple[ActivationPiece, ...]:
    """sigma between its breakpoints; () where all gates are smooth, and where sigma is homogeneous."""
    gates = [term.gate for term in terms if term.gate is not None]
    points = sorted({gate.threshold for gate in gates if gate.sharp}, key=float)
    if gates and not points:
        return ()
    found = [_piece(terms, points, index) for index in range(len(points) + 1)]
    return () if points in ([], [0]) and _homogeneous(found) else tuple(found)


def _piece(terms: Terms, points: Sequence[sympy.Expr], index: int) -> ActivationPiece:
    """The terms whose gates are open between points[index - 1] and points[index], powers of t added up exactly."""
    sums: dict[_Key, tuple[sympy.Expr, sympy.Expr]] = {}
    for term in map(canonical, terms):
        if not _open(term, points, index):
            continue
        for power in range(term.power + 1):
            share = comb(term.power, power) * term.coefficient * (-term.center) ** (term.power - power)
            gate = term.gate if term.gate is not None and not term.gate.sharp else None
            key = (power, term.quadratic, term.linear, term.frequency, gate)
            cosine, sine = sums.get(key, (sympy.S.Zero, sympy.S.Zero))
            sums[key] = cosine + share * sympy.cos(term.phase), sine - share * sympy.sin(term.phase)
    end = float(points[index]) if index < len(points) else float("inf")
    found = [_in_doubles(key, *map(sympy.simplify, parts)) for key, parts in sums.items()]
    return ActivationPiece(end, tuple(term for term in found if term.cosine or term.sine))


def _open(term: Term, points: Sequence[sympy.Expr], index: int) -> bool:
    if term.gate is None or not term.gate.sharp:
        return True
    place = points.index(term.gate.threshold)
    return place < index if term.gate.side > 0 else place >= index


def _in_doubles(key: _Key, cosine: sympy.Expr, sine: sympy.Expr) -> ActivationTerm:
    power, quadratic, linear, frequency, gate = key
    steps = None
    if gate is not None:
        steepness = gate.side / sympy.sqrt(gate.noise)
        steps = (_double(steepness), _double(-steepness * gate.threshold))
    envelope = _double(quadratic), _double(linear), _double(frequency)
    return ActivationTerm(power, *envelope, _double(cosine), _double(sine), steps)


def _double(value: sympy.Expr) -> float:
    return float(sympy.N(value, 30))


def _homogeneous(found: Sequence[ActivationPiece]) -> bool:
    """Whether sigma is |t|^p times a constant on either side of 0."""
    terms = [term for piece in found for term in piece.terms]
    plain = all(term.quadratic == term.linear == term.frequency == 0.0 and term.gate is None for term in terms)
    return plain and len({term.power for term in terms}) <= 1
