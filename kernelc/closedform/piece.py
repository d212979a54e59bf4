"""The summands that closed forms are made of: algebra times an exponential times one probability."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import sympy

from kernelc.closedform.algebra import DETERMINANT
from kernelc.closedform.special import BivariateNormalCdf, NormalCdf
from kernelc.model import Q11, Q12, Q22

Kind = Literal["one", "angle", "ndtr", "bvn", "erfi"]


@dataclass(frozen=True, slots=True)
class Piece:
    """coefficient / sqrt(root) * exp(exponent) * cos(wave) * (what `kind` says of `arguments`).

    one: 1. angle (c, g, p): atan2(c, sqrt(g)) = asin(c/sqrt(p)) with p = g + c^2.
    ndtr (n, s): Phi(n/sqrt(s)). erfi (n, s): erfi(n/sqrt(2 s)).
    bvn (n1, s1, n2, s2, c, g, e1, e2): Phi2(n1/sqrt(s1), n2/sqrt(s2); c/sqrt(s1 s2)) with g = s1 s2 - c^2,
    e1 = n2 - c n1/s1, e2 = n1 - c n2/s2.
    All in q11, q12, q22 and the determinant's symbol. `tails` are exponents in closed form, so that they
    lose no difference of large numbers; none where the activation has no exponential. ndtr, erfi:
    exponent -+ n^2/(2 s). bvn: exponent less h^2/2, less k^2/2, less the quadratic form at the corner.
    """

    coefficient: sympy.Expr
    root: sympy.Expr = sympy.S.One
    exponent: sympy.Expr = sympy.S.Zero
    wave: sympy.Expr = sympy.S.Zero
    kind: Kind = "one"
    arguments: tuple[sympy.Expr, ...] = ()
    tails: tuple[sympy.Expr, ...] = ()

    def expression(self) -> sympy.Expr:
        """The piece as a SymPy expression (with the determinant's symbol)."""
        return self.coefficient * self.factor_expression()

    def factor_expression(self) -> sympy.Expr:
        """All but the coefficient."""
        prefix = sympy.exp(self.exponent) * sympy.cos(self.wave) / sympy.sqrt(self.root)
        return prefix * _probability(self.kind, self.arguments)


def _probability(kind: Kind, arguments: tuple[sympy.Expr, ...]) -> sympy.Expr:
    match kind:
        case "one":
            return sympy.S.One
        case "angle":
            covariance, _, product = arguments
            return sympy.asin(covariance / sympy.sqrt(product))
        case "ndtr":
            return NormalCdf(arguments[0] / sympy.sqrt(arguments[1]))
        case "erfi":
            return sympy.erfi(arguments[0] / sympy.sqrt(2 * arguments[1]))
        case "bvn":
            n1, s1, n2, s2, covariance = arguments[:5]
            return BivariateNormalCdf(n1 / sympy.sqrt(s1), n2 / sympy.sqrt(s2), covariance / sympy.sqrt(s1 * s2))


_SHORT = 600


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces whose constants became equal only after substitution."""
    sums: dict[Piece, sympy.Expr] = {}
    for piece in map(_without_constant_wave, pieces):
        key = replace(piece, coefficient=sympy.S.One)
        sums[key] = sums.get(key, sympy.S.Zero) + piece.coefficient
    return [replace(key, coefficient=tidied(value)) for key, value in sums.items() if not _cancels(value)]


def _cancels(value: sympy.Expr) -> bool:
    return bool(value == 0 or (value.count_ops() < _SHORT and sympy.expand(value) == 0))


def tidied(value: sympy.Expr) -> sympy.Expr:
    """Factored where that is cheap; long coefficients stay as they were derived."""
    return sympy.factor(value) if value.count_ops() < _SHORT else value


def _without_constant_wave(piece: Piece) -> Piece:
    """A cosine that does not depend on the variances is a coefficient."""
    if piece.wave.free_symbols & {Q11, Q12, Q22, DETERMINANT}:
        return piece
    return replace(piece, coefficient=piece.coefficient * sympy.cos(piece.wave), wave=sympy.S.Zero)
