"""Price's theorem as the second way in: dT/dq12 = E[sigma'(u) sigma'(v)], integrated back from q12 = 0.

It serves odd activations that are outside class G while their derivative is inside (erfi is one): T
vanishes at q12 = 0, where u and v are independent and both means are 0. R. Price, IRE Trans. Inf. Theory
4 (1958), 69-72.
"""

from __future__ import annotations

import sympy

from kernelc.closedform.algebra import DETERMINANT
from kernelc.closedform.normal_form import exact, normal_form
from kernelc.closedform.pairs import expectation
from kernelc.closedform.piece import Piece, merged
from kernelc.closedform.terms import OutsideClassError, Terms
from kernelc.model import Q11, Q12, Q22, VARIABLE


def integrated(expression: sympy.Expr, reason: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...], Terms]:
    """T's pieces, Tdot's pieces and the derivative's terms.

    Raises `OutsideClassError` with the reason for which the first way was left, where this one is closed too.
    """
    sigma = exact(expression)
    if sympy.simplify(sigma + sigma.subs(VARIABLE, -VARIABLE)) != 0:
        raise OutsideClassError(reason)
    slope = sympy.diff(sigma, VARIABLE)
    if slope.has(sympy.DiracDelta, sympy.Derivative, sympy.Subs):
        raise OutsideClassError(reason)
    try:
        terms = normal_form(slope)
        dot_pieces = expectation(terms)
    except OutsideClassError:
        raise OutsideClassError(reason) from None
    return tuple(merged([_integral(p, reason) for p in dot_pieces])), dot_pieces, terms


def _integral(piece: Piece, reason: str) -> Piece:
    """The integral over q12 from 0, where it is a polynomial or an arc sine."""
    if piece.kind != "one" or piece.wave != 0 or piece.exponent.has(Q12, DETERMINANT):
        raise OutsideClassError(reason)
    coefficient, root = (e.subs(DETERMINANT, Q11 * Q22 - Q12**2) for e in (piece.coefficient, piece.root))
    radicand = sympy.Poly(sympy.expand(root), Q12)
    if radicand.degree() == 0 and coefficient.is_polynomial(Q12):
        return Piece(sympy.integrate(sympy.expand(coefficient), (Q12, 0, Q12)), root, piece.exponent)
    curvature = -radicand.nth(2)
    if coefficient.has(Q12) or radicand.degree() != 2 or radicand.nth(1) != 0 or not curvature.is_positive:
        raise OutsideClassError(reason)
    slope = sympy.sqrt(curvature)
    arguments = (slope * Q12, piece.root, sympy.factor(radicand.nth(0)))
    return Piece(coefficient / slope, sympy.S.One, piece.exponent, kind="angle", arguments=arguments)
