"""Closed forms of dual kernels, derived from the activation (MATH: closed forms are derived, not tabulated)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy

from kernelc.closedform.algebra import DETERMINANT
from kernelc.closedform.normal_form import normal_form
from kernelc.closedform.pairs import expectation
from kernelc.closedform.piece import Piece, tidied
from kernelc.closedform.price import integrated
from kernelc.closedform.terms import OutsideClassError, Terms, differentiate
from kernelc.model import Q11, Q12, Q22, RHO

#: the common variance q, in which kappa is written
VARIANCE = sympy.Symbol("q", positive=True)


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """T(q11, q12, q22) = E[sigma(u) sigma(v)] and Tdot = E[sigma'(u) sigma'(v)] as formulas.

    `dual`, `dual_dot` are expressions in `Q11`, `Q12`, `Q22` and the activation's parameters; `kappa`,
    `kappa_dot` in `RHO` at the common variance `VARIANCE`. `dual_dot` is None exactly where
    `dot_refused` says why the derivative's kernel is infinite. `conditions` must hold of q11, q22 and
    the parameters (empty: all positive variances). `pieces`, `dot_pieces` are the summands, from which
    a stable evaluation is lowered; `terms` is the activation's normal form (empty where Price's theorem
    served), `derivative_terms` the derivative's.
    """

    dual: sympy.Expr
    dual_dot: sympy.Expr | None
    dot_refused: str | None
    kappa: sympy.Expr
    kappa_dot: sympy.Expr | None
    conditions: tuple[sympy.Basic, ...]
    terms: Terms
    derivative_terms: Terms
    pieces: tuple[Piece, ...]
    dot_pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class NoClosedForm:
    """The activation lies outside the class, and why."""

    reason: str


def derive(expression: sympy.Expr) -> ClosedForm | NoClosedForm:
    """Derive the dual kernel and its derivative's kernel of an activation in the variable.

    Parameters may stay symbols (declare them positive where a square root or a breakpoint needs it).
    Never raises for an activation outside the class: the reason is returned. The result is a
    derivation, not yet a proof: `prove` compares it with an independent quadrature.
    """
    try:
        parts = _derive(expression)
    except OutsideClassError as error:
        return NoClosedForm(str(error))
    return ClosedForm(
        dual=assemble(parts.pieces),
        dual_dot=None if parts.refused else assemble(parts.dot_pieces),
        dot_refused=parts.refused,
        kappa=on_the_sphere(parts.pieces),
        kappa_dot=None if parts.refused else on_the_sphere(parts.dot_pieces),
        conditions=_conditions(parts.terms or parts.derived),
        terms=parts.terms,
        derivative_terms=() if parts.refused else parts.derived,
        pieces=parts.pieces,
        dot_pieces=parts.dot_pieces,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    terms: Terms
    derived: Terms
    refused: str | None
    pieces: tuple[Piece, ...]
    dot_pieces: tuple[Piece, ...]


def _derive(expression: sympy.Expr) -> _Parts:
    """By the normal form of sigma; where there is none, by that of sigma' and Price's theorem."""
    try:
        terms = normal_form(expression)
    except OutsideClassError as error:
        pieces, dot_pieces, derived = integrated(expression, str(error))
        return _Parts((), derived, None, pieces, dot_pieces)
    pieces = expectation(terms)
    derived, jumps = differentiate(terms)
    refused = _jump_reason(jumps)
    return _Parts(terms, derived, refused, pieces, () if refused else expectation(derived))


def _jump_reason(jumps: Mapping[sympy.Expr, sympy.Expr]) -> str | None:
    if not jumps:
        return None
    where = ", ".join(f"by {height} at {point}" for point, height in jumps.items())
    return f"sigma jumps ({where}): sigma' is not square integrable, so the NTK is infinite at rho = 1"


def assemble(pieces: tuple[Piece, ...]) -> sympy.Expr:
    """The sum of the pieces in q11, q12, q22 alone."""
    return _collected(pieces, {DETERMINANT: Q11 * Q22 - Q12**2})


def on_the_sphere(pieces: tuple[Piece, ...]) -> sympy.Expr:
    """The sum of the pieces at q11 = q22 = q, q12 = rho q."""
    q, rho = VARIANCE, RHO
    return _collected(pieces, {Q11: q, Q12: rho * q, Q22: q, DETERMINANT: q**2 * (1 - rho**2)})


def _collected(pieces: tuple[Piece, ...], values: Mapping[sympy.Expr, sympy.Expr]) -> sympy.Expr:
    """Substitute and add up; coefficients of equal factors are collected."""
    sums: dict[sympy.Expr, sympy.Expr] = {}
    for piece in pieces:
        bare = piece.factor_expression().subs(values)
        coefficient = tidied(piece.coefficient.subs(values))
        sums[bare] = sums.get(bare, sympy.S.Zero) + coefficient
    return sympy.Add(*(coefficient * bare for bare, coefficient in sums.items()))


def _conditions(terms: Terms) -> tuple[sympy.Basic, ...]:
    """When every term is square integrable: 4 alpha q < 1; and slopes of error functions that are not 0."""
    found: list[sympy.Basic] = []
    for term in terms:
        alpha = term.quadratic
        if not alpha.is_nonpositive:
            found += [sympy.Gt(1 - 4 * alpha * q, 0) for q in (Q11, Q22)]
        if term.gate is not None and not term.gate.noise.is_number:
            slope = 1 / term.gate.noise
            if not slope.is_nonzero:
                found.append(sympy.Ne(slope, 0))
    return tuple(dict.fromkeys(found))
