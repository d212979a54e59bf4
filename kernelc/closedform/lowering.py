"""From the pieces of a closed form to a float program that is stable near rho = +-1 and for all norms.

What is rewritten: determinants and differences by error-free products; angles by atan2; exponentials
against normal probabilities by scaled ones with exponents in closed form; pairs of exponentials that
differ in the sign of q12 by expm1; quadratic forms in the q's by differences that are exact near equal
inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy

from kernelc.closedform.algebra import DETERMINANT
from kernelc.closedform.piece import Piece, merged, tidied
from kernelc.model import Q11, Q12, Q22
from kernelc.program import FloatProgram, Instruction, Operation

#: variances below this are raised to it, so that no ratio of them is 0/0
SMALLEST = 1e-150
_SIZE = sympy.Symbol("q_abs12", nonnegative=True)
_BEYOND11, _BEYOND22 = sympy.symbols("q_beyond11 q_beyond22", real=True)
_VARIABLES = (Q11, Q12, Q22, DETERMINANT, _SIZE, _BEYOND11, _BEYOND22)
_FUNCTIONS: Mapping[type, Operation] = {
    sympy.cos: "cos",
    sympy.sin: "sin",
    sympy.exp: "exp",
    sympy.erf: "erf",
}
_ANGLES = (sympy.asin, sympy.acos, sympy.atan)
_HYPERBOLIC = (sympy.sinh, sympy.cosh, sympy.tanh)


class Builder:
    """Collects instructions; equal ones are one (common subexpressions have one name)."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._known: dict[Instruction, int] = {}
        self._expressions: dict[sympy.Expr, int] = {}
        floor = self.constant(SMALLEST)
        q11, q12, q22 = (self.emit(Instruction("input", name=name)) for name in ("q11", "q12", "q22"))
        q11, q22 = self.operate("max", q11, floor), self.operate("max", q22, floor)
        determinant = self.operate("diff_of_products", q11, q22, q12, q12)
        clipped = self.operate("max", determinant, self.constant(0.0))
        symbols = {Q11: q11, Q12: q12, Q22: q22, DETERMINANT: clipped, _SIZE: self.operate("abs", q12)}
        one = self.constant(1.0)
        symbols |= {_BEYOND11: self.operate("sub", q11, one), _BEYOND22: self.operate("sub", q22, one)}
        self._expressions.update(symbols)

    def emit(self, instruction: Instruction) -> int:
        """Its index, new or known."""
        if instruction not in self._known:
            self._known[instruction] = len(self.instructions)
            self.instructions.append(instruction)
        return self._known[instruction]

    def constant(self, value: float) -> int:
        """A literal."""
        return self.emit(Instruction("const", value=float(value)))

    def operate(self, operation: Operation, *arguments: int) -> int:
        """An operation on earlier results."""
        return self.emit(Instruction(operation, arguments))

    def lower(self, expression: sympy.Expr) -> int:
        """An expression in the variables (parameters are numbers by now)."""
        if expression not in self._expressions:
            self._expressions[expression] = self._lower(expression)
        return self._expressions[expression]

    def _lower(self, expression: sympy.Expr) -> int:
        if not expression.free_symbols:
            return self.constant(float(sympy.N(expression, 30)))
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            return self._power(expression.base, expression.exp)
        if expression.func in _ANGLES:
            return self._angle(expression)
        if expression.func in _HYPERBOLIC:
            return self._by_exponential(expression)
        if expression.func is sympy.log:
            return self._logarithm(expression.args[0])
        operation = _FUNCTIONS[expression.func]
        return self.operate(operation, self.lower(expression.args[0]))

    def _logarithm(self, argument: sympy.Expr) -> int:
        """log(1 + x) by log1p(x), so that nothing is lost where x is small."""
        beyond = argument - 1
        if argument.is_Add and len(sympy.Add.make_args(beyond)) < len(argument.args):
            return self.operate("log1p", self.lower(beyond))
        return self.operate("log", self.lower(argument))

    def _angle(self, expression: sympy.Expr) -> int:
        """asin, acos and atan of n/d by atan2, d^2 - n^2 written in the determinant so that it does not cancel."""
        above, below = sympy.fraction(sympy.together(expression.args[0]))
        if not below.is_positive:
            above, below = expression.args[0], sympy.S.One
        if expression.func is sympy.atan:
            return self.operate("atan2", self.lower(above), self.lower(below))
        rest = self.operate("sqrt", self.lower(in_determinant(below**2 - above**2)))
        first = self.lower(above)
        return self.operate("atan2", *((first, rest) if expression.func is sympy.asin else (rest, first)))

    def _by_exponential(self, expression: sympy.Expr) -> int:
        """sinh, cosh and tanh of x by e = expm1(|x|): e and e/(1 + e) are of one sign."""
        argument = self.lower(expression.args[0])
        size = self.operate("abs", argument)
        direction, half = self.operate("sign", argument), self.constant(0.5)
        if expression.func is sympy.tanh:
            decay = self.operate("expm1", self.operate("mul", self.constant(-2.0), size))
            ratio = self.operate("div", self.operate("neg", decay), self.operate("add", self.constant(2.0), decay))
            return self.operate("mul", direction, ratio)
        if expression.func is sympy.cosh:
            grown = self.operate("exp", size)
            return self.operate("mul", half, self.operate("add", grown, self.operate("div", self.constant(1.0), grown)))
        grown = self.operate("expm1", size)
        shrunk = self.operate("div", grown, self.operate("add", self.constant(1.0), grown))
        return self.operate("mul", self.operate("mul", half, direction), self.operate("add", grown, shrunk))

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> int:
        if not exponent.is_number or not (2 * exponent).is_Integer:
            return self.operate("exp", self.lower(exponent * sympy.log(base)))
        if exponent.is_negative:
            return self.operate("div", self.constant(1.0), self._power(base, -exponent))
        doubled = int(2 * exponent)  # only halves occur
        root = self.operate("sqrt", self.lower(base)) if doubled % 2 else None
        whole = self._integer_power(self.lower(base), doubled // 2) if doubled >= 2 else None
        if root is None or whole is None:
            return whole if root is None and whole is not None else root  # type: ignore[return-value]
        return self.operate("mul", whole, root)

    def _integer_power(self, base: int, power: int) -> int:
        if power == 1:
            return base
        half = self._integer_power(base, power // 2)
        square = self.operate("mul", half, half)
        return self.operate("mul", square, base) if power % 2 else square

    def _product(self, expression: sympy.Expr) -> int:
        """Numerator over denominator, roots merged, one literal."""
        constant, rest = expression.as_independent(*_VARIABLES, as_Add=False)
        above: list[int] = []
        below: list[int] = []
        for factor in sympy.Mul.make_args(rest):
            base, exponent = factor.as_base_exp()
            if factor.is_Pow and exponent.is_negative and base is not sympy.E:
                below.append(self._power(base, -exponent))
            else:
                above.append(self.lower(factor))
        if constant == -1 and above:
            numerator = self.operate("neg", self._multiply(above))
        elif constant == 1 and above:
            numerator = self._multiply(above)
        else:
            numerator = self._multiply([self.lower(constant), *above])
        return self.operate("div", numerator, self._multiply(below)) if below else numerator

    def _multiply(self, factors: Sequence[int]) -> int:
        total = factors[0]
        for factor in factors[1:]:
            total = self.operate("mul", total, factor)
        return total

    def _sum(self, expression: sympy.Expr) -> int:
        factored = sympy.factor_terms(expression)
        if not factored.is_Add:
            return self.lower(factored)
        form = self._quadratic_form(expression)
        if form is not None:
            return form
        terms = sorted(expression.args, key=sympy.default_sort_key)
        if len(terms) == 2 and _negative(terms[0]) != _negative(terms[1]):
            plus, minus = (terms[1], -terms[0]) if _negative(terms[0]) else (terms[0], -terms[1])
            return self.operate("diff_of_products", *self._two_factors(plus), *self._two_factors(minus))
        total = self.lower(terms[0])
        for term in terms[1:]:
            if _negative(term):
                total = self.operate("sub", total, self.lower(-term))
            else:
                total = self.operate("add", total, self.lower(term))
        return total

    def _two_factors(self, term: sympy.Expr) -> tuple[int, int]:
        """A term as a product of two, so that the difference of two such can be exact."""
        constant, rest = term.as_independent(*_VARIABLES, as_Add=False)
        if rest == 1 or constant != 1:
            return self.lower(constant), self.lower(rest) if rest != 1 else self.constant(1.0)
        factors = sympy.Mul.make_args(rest)
        if len(factors) == 2 and all(f.is_Symbol for f in factors):
            return self.lower(factors[0]), self.lower(factors[1])
        return self.lower(rest), self.constant(1.0)

    def _quadratic_form(self, expression: sympy.Expr) -> int | None:
        """a^2 q11 +- 2 a b q12 + b^2 q22 as a (a q11 +- b q12) + b (b q22 +- a q12): exact near equal inputs."""
        cross = _SIZE if expression.has(_SIZE) else Q12
        rest = expression - sum(expression.coeff(s) * s for s in (Q11, cross, Q22))
        c11, c12, c22 = (expression.coeff(s) for s in (Q11, cross, Q22))
        if sympy.expand(rest) != 0 or not (c11.is_number and c12.is_number and c22.is_number):
            return None
        if 0 in (c11, c12, c22) or c11.is_negative != c22.is_negative:
            return None
        sign, half = (-1 if c11.is_negative else 1), c12 / 2
        if sympy.simplify(half**2 - c11 * c22) != 0:
            return None
        left = self.lower(sympy.Add(sign * c11 * Q11, sign * half * cross))
        right = self.lower(sympy.Add(sign * c22 * Q22, sign * half * cross))
        total = self.operate("add", left, right)
        return self.operate("neg", total) if sign < 0 else total


def in_determinant(expression: sympy.Expr) -> sympy.Expr:
    """A polynomial in the q's with q12^2 written as q11 q22 - determinant; other expressions as they are."""
    expanded = sympy.expand(expression)
    if not expanded.is_polynomial(Q12):
        return expanded
    total = sympy.S.Zero
    for (power,), coefficient in sympy.Poly(expanded, Q12).terms():
        total += coefficient * (Q11 * Q22 - DETERMINANT) ** (power // 2) * Q12 ** (power % 2)
    return sympy.expand(total)


def _negative(term: sympy.Expr) -> bool:
    return bool(term.could_extract_minus_sign())


def lower(pieces: Sequence[Piece]) -> FloatProgram:
    """The float program of a sum of pieces, parameters already numbers.

    Raises KeyError for a function that has no operation (a parameter left symbolic).
    """
    builder = Builder()
    summands = []
    rest = list(pieces)
    while rest:
        piece = rest.pop(0)
        mirror = _mirror(piece, rest)
        if mirror is not None:
            rest.remove(mirror)
            summands += _hyperbolic(builder, piece, mirror)
        else:
            summands.append(_piece(builder, piece))
    return FloatProgram(tuple(builder.instructions), tuple(summands))


def lower_wide(pieces: Sequence[Piece]) -> FloatProgram:
    """The same sum for variances far above the squares of all breakpoints, activations without exponentials.

    Every probability and exponential is written as its limit for wide variances plus an excess of the
    size of breakpoint/sqrt(variance). The limits' coefficients are added up exactly, before any
    rounding: there the leading powers of the variances cancel (a bounded activation's do).
    """
    builder = Builder()
    summands: list[int] = []
    limits: list[Piece] = []
    for piece in pieces:
        if piece.kind == "bvn":
            h, k, bh, bk = _normalized(builder, piece)
            excess = builder.operate("quadrant_excess", h, k, bh, bk)
            summands.append(builder.operate("mul", _coefficient(builder, piece), excess))
            limits += _central(piece)
        elif piece.kind == "ndtr" and piece.root == 1:
            z = _quotient(builder, *piece.arguments)
            half = builder.constant(0.5)
            scaled = builder.operate("mul", builder.constant(0.7071067811865476), z)
            excess = builder.operate("mul", half, builder.operate("erf", scaled))
            summands.append(builder.operate("mul", _coefficient(builder, piece), excess))
            limits.append(replace(piece, coefficient=piece.coefficient / 2, kind="one", arguments=()))
        elif piece.kind == "one" and piece.exponent != 0:
            excess = builder.operate("expm1", builder.lower(piece.exponent))
            summands.append(builder.operate("mul", _coefficient(builder, piece), excess))
            limits.append(replace(piece, exponent=sympy.S.Zero))
        else:
            limits.append(piece)
    summands += [_piece(builder, piece) for piece in merged(limits)]
    return FloatProgram(tuple(builder.instructions), tuple(summands))


def _central(piece: Piece) -> list[Piece]:
    """The quadrant's probability at the centre: 1/4 + asin(r)/(2 pi)."""
    variances, covariance, gap = piece.arguments[1] * piece.arguments[3], *piece.arguments[4:6]
    sign = -1 if covariance.could_extract_minus_sign() else 1
    constant = replace(piece, coefficient=piece.coefficient / 4, kind="one", arguments=())
    angle = (sign * covariance, gap, variances)
    coefficient = sign * piece.coefficient / (2 * sympy.pi)
    return [constant, replace(piece, coefficient=coefficient, kind="angle", arguments=angle)]


def _coefficient(builder: Builder, piece: Piece) -> int:
    return builder.lower(_about_one(tidied(piece.coefficient)) / sympy.sqrt(piece.root))


def _about_one(coefficient: sympy.Expr) -> sympy.Expr:
    """Write a polynomial of mixed signs in q11 - 1 and q22 - 1 where that leaves one sign.

    Hermite polynomials (of variance 1) give such: in powers of the variances they cancel near 1.
    """
    if coefficient.free_symbols - {Q11, Q12, Q22} or not coefficient.is_polynomial(Q11, Q12, Q22):
        return coefficient
    if not coefficient.has(Q11, Q22):
        return coefficient
    shifted = sympy.Poly(coefficient.subs({Q11: 1 + Q11, Q22: 1 + Q22}, simultaneous=True), Q11, Q12, Q22)
    signs = [{c.is_positive for c in p.coeffs()} for p in (sympy.Poly(coefficient, Q11, Q12, Q22), shifted)]
    if len(signs[0]) == 1 or len(signs[1]) > 1:
        return coefficient
    return sympy.factor(shifted.as_expr()).subs({Q11: _BEYOND11, Q22: _BEYOND22}, simultaneous=True)


def _piece(builder: Builder, piece: Piece) -> int:
    value = _coefficient(builder, piece)
    if piece.wave != 0:
        value = builder.operate("mul", value, builder.lower(sympy.cos(piece.wave)))
    exponent = builder.lower(piece.exponent)
    match piece.kind:
        case "one":
            factor = builder.operate("exp", exponent) if piece.exponent != 0 else builder.constant(1.0)
        case "angle":
            covariance, gap = (builder.lower(a) for a in piece.arguments[:2])
            angle = builder.operate("atan2", covariance, builder.operate("sqrt", gap))
            scale = builder.operate("exp", exponent) if piece.exponent != 0 else None
            factor = angle if scale is None else builder.operate("mul", scale, angle)
        case "ndtr":
            factor = _ndtr(builder, piece, exponent)
        case "erfi":
            # exp(e) erfi(x) = exp(e + x^2) 2/sqrt(pi) dawson(x)
            quotient = _quotient(builder, piece.arguments[0], 2 * piece.arguments[1])
            grown = builder.operate("exp", builder.lower(piece.tails[0]))
            scaled = builder.operate("mul", grown, builder.operate("dawson", quotient))
            factor = builder.operate("mul", builder.constant(1.1283791670955126), scaled)
        case "bvn":
            factor = _quadrant(builder, piece, exponent)
    return builder.operate("mul", value, factor)


def _quotient(builder: Builder, numerator: sympy.Expr, variance: sympy.Expr) -> int:
    """numerator/sqrt(variance)."""
    return builder.operate(
        "div", builder.lower(sympy.factor(numerator)), builder.operate("sqrt", builder.lower(variance))
    )


def _ndtr(builder: Builder, piece: Piece, exponent: int) -> int:
    z = _quotient(builder, *piece.arguments)
    if piece.tails:
        return builder.operate("scaled_ndtr", z, exponent, builder.lower(piece.tails[0]))
    probability = builder.operate("ndtr", z)
    if piece.exponent == 0:
        return probability
    return builder.operate("mul", builder.operate("exp", exponent), probability)


def _normalized(builder: Builder, piece: Piece) -> tuple[int, int, int, int]:
    """h, k, bh, bk of a quadrant."""
    n1, s1, n2, s2, _, gap, e1, e2 = piece.arguments
    h, k = _quotient(builder, n1, s1), _quotient(builder, n2, s2)
    bh, bk = _quotient(builder, e1, sympy.factor(gap / s1)), _quotient(builder, e2, sympy.factor(gap / s2))
    return h, k, bh, bk


def _quadrant(builder: Builder, piece: Piece, exponent: int) -> int:
    h, k, bh, bk = _normalized(builder, piece)
    if piece.tails:
        tails = [builder.lower(t) for t in piece.tails]
    else:
        minus_half = builder.constant(-0.5)
        squares = [builder.operate("mul", minus_half, builder.operate("mul", x, x)) for x in (h, k, bh)]
        tails = [squares[0], squares[1], builder.operate("add", squares[0], squares[2])]
    return builder.operate("scaled_quadrant", h, k, bh, bk, exponent, *tails)


def _mirror(piece: Piece, others: Sequence[Piece]) -> Piece | None:
    """The piece that differs in the sign of q12 in its exponent alone."""
    if piece.kind != "one" or piece.wave != 0 or not piece.exponent.has(Q12):
        return None
    mirrored = piece.exponent.subs(Q12, -Q12)
    for other in others:
        same = replace(other, coefficient=piece.coefficient, exponent=piece.exponent) == piece
        if same and sympy.expand(other.exponent - mirrored) == 0:
            return other
    return None


def _hyperbolic(builder: Builder, piece: Piece, mirror: Piece) -> list[int]:
    """c1 exp(s + d) + c2 exp(s - d), d odd in q12, as (c1 + c2) exp(s) cosh d + (c1 - c2) exp(s) sinh d."""
    odd = sympy.factor((piece.exponent - mirror.exponent) / 2)
    # the larger exponent is s + |d|: that of q12 = |q12| or of q12 = -|q12|
    rising = sympy.factor(odd.subs(Q12, _SIZE))
    grows = not _negative(rising)
    larger = (piece if grows else mirror).exponent.subs(Q12, _SIZE)
    size = rising if grows else -rising
    decay = builder.operate("expm1", builder.lower(-2 * size))
    scale = builder.operate("exp", builder.lower(larger))
    summands = []
    even_part = tidied(piece.coefficient + mirror.coefficient)
    odd_part = tidied(piece.coefficient - mirror.coefficient)
    half = builder.constant(0.5)
    if even_part != 0:
        cosh = builder.operate("mul", half, builder.operate("add", builder.constant(2.0), decay))
        value = builder.lower(even_part / sympy.sqrt(piece.root))
        summands.append(builder.operate("mul", value, builder.operate("mul", scale, cosh)))
    if odd_part != 0:
        direction = builder.operate("sign", builder.lower(Q12 if grows else -Q12))
        sinh = builder.operate("mul", builder.operate("mul", builder.constant(-0.5), decay), direction)
        value = builder.lower(odd_part / sympy.sqrt(piece.root))
        summands.append(builder.operate("mul", value, builder.operate("mul", scale, sinh)))
    return summands
