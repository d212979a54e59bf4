"""sigma as analytic pieces: every switch resolved on every cell between certified breakpoints.

Abs, sign, Heaviside, Max, Min and Piecewise are switches: the zeros of their arguments (of the
differences of Max and Min's arguments, of both sides of a comparison) cut the line. Arguments of
logarithms, roots and divisions cut it as well: there an expression stops being analytic. On each
open cell the expression is then a composition of analytic functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import sympy
from flint import acb, arb, ctx
from sympy.logic.boolalg import And, BooleanFalse, BooleanTrue, Not, Or

from kernelc.analysis.growth import nonnegative_beyond, nonzero_beyond
from kernelc.balls.local import EndPoint, LocalBounds, vanishes_at
from kernelc.balls.roots import RealRoot, isolate_roots
from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import InputError, UnsupportedError
from kernelc.functions import BY_HEAD
from kernelc.model import VARIABLE

_SWITCHES = (sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Max, sympy.Min)
_MAX_CELLS = 400
_TINY = Fraction(1, 2**100)
#: how far from a singular point the envelopes next to it are asked
_NEAR = Fraction(1, 2**80)
_TOO_CLOSE = "two breakpoints lie, or the sides of a comparison come, too close together to be told apart"


@dataclass(frozen=True, slots=True)
class Cut:
    """A point where the line is cut, with the expressions that vanish there.

    `is_one`: that their zeros are the same point is proved; their enclosures alone cannot tell.
    """

    root: RealRoot
    zero_of: tuple[sympy.Expr, ...]
    is_one: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """An open interval between two cuts (None: the edge of the range) and what holds on it."""

    left: Cut | None
    right: Cut | None
    values: tuple[sympy.Basic, ...]


class Resolver:
    """Cuts [-limit, limit] for one expression.

    `is_global`: no cut lies outside of the range. `is_certain`: every zero was isolated; where several
    may hide in one enclosure (a multiple zero of a transcendental condition) it is False.
    """

    def __init__(self, limit: Fraction, left: Cut | None = None, right: Cut | None = None) -> None:
        self._limit = limit
        self._left = left
        self._right = right
        self.is_global = True
        self.is_certain = True
        self._memo: dict[sympy.Basic, list[Cell]] = {}

    def cells(self, f: sympy.Expr) -> list[Cell]:
        """The cells of f, left to right; `values` holds the one analytic expression of each."""
        cells = self._resolve(sympy.sympify(f))
        merged: list[Cell] = []
        for cell in cells:
            # only the first cell begins at the range's edge
            if merged and merged[-1].values == cell.values and cell.left and not self._is_special(cell, cell.left):
                merged[-1] = replace(merged[-1], right=cell.right)
            else:
                merged.append(cell)
        # Where sigma and its derivatives are bounded, what lies within 2^-ROOT_BITS counts for nothing.
        self.is_certain = self.is_certain and not any(
            not end.is_one and self._is_special(cell, end)
            for cell in merged
            for end in (cell.left, cell.right)
            if end is not None
        )
        return merged

    @staticmethod
    def _is_special(cell: Cell, end: Cut) -> bool:
        """Whether the cell's expression is not analytic at an end: the cut must stay."""
        root = end.root
        with ctx.workprec(256):
            width = max(root.upper - root.lower, _TINY)
            radius = arb_of(2 * width).upper()
            box = acb(arb(arb_of((root.lower + root.upper) / 2), radius), arb(0, radius))
            expression = cell.values[0]
            assert isinstance(expression, sympy.Expr)
            return not Tape((expression,), VARIABLE)(box, True)[0].is_finite()

    def _resolve(self, f: sympy.Basic) -> list[Cell]:
        if f not in self._memo:
            self._memo[f] = self._resolve_new(f)
        return self._memo[f]

    def _resolve_new(self, f: sympy.Basic) -> list[Cell]:
        if f == VARIABLE or not f.has(VARIABLE):
            return [Cell(self._left, self._right, (f,))]
        if isinstance(f, sympy.Piecewise):
            return self._piecewise(f)
        children = self._common(f.args)
        result: list[Cell] = []
        for cell in children:
            result += self._node(f, cell)
            if len(result) > _MAX_CELLS:
                raise UnsupportedError(f"the formula has more than {_MAX_CELLS} pieces on the range that matters")
        return result

    def _common(self, parts: Sequence[sympy.Basic]) -> list[Cell]:
        """The common refinement of the parts' cells; `values` one for each part."""
        total = [Cell(self._left, self._right, ())]
        for part in parts:
            total = self._refine(total, self._resolve(part))
        return total

    def _refine(self, first: list[Cell], second: list[Cell]) -> list[Cell]:
        cuts: list[Cut] = []
        for cut in sorted(
            [c for cell in (*first, *second) for c in (cell.left, cell.right) if c is not None],
            key=lambda c: (c.root.lower, c.root.upper),
        ):
            if cuts and _same(cuts[-1].root, cut.root):
                self._note_distinct(cuts[-1].root, cut.root)
                cuts[-1] = _merged(cuts[-1], cut)
            else:
                cuts.append(cut)
        ends: list[Cut | None] = [*cuts]
        ends = [None, *ends] if self._left is None else ends
        ends = [*ends, None] if self._right is None else ends
        result = []
        for left, right in pairwise(ends):
            point = self._sample(left, right)
            values = _holder(first, point).values + _holder(second, point).values
            result.append(Cell(left, right, values))
        return result

    def _bounds(self, left: Cut | None, right: Cut | None) -> tuple[Fraction, Fraction]:
        low = -self._limit if left is None else left.root.upper
        high = self._limit if right is None else right.root.lower
        return low, high

    def _sample(self, left: Cut | None, right: Cut | None) -> Fraction:
        """A short rational strictly inside a cell."""
        low, high = self._bounds(left, right)
        if high <= low:
            raise UnsupportedError(_TOO_CLOSE)
        middle = (low + high) / 2
        bits = 8
        while True:
            rounded = Fraction(round(middle * 2**bits), 2**bits)
            if low < rounded < high:
                return rounded
            bits *= 2

    def _split(self, cell: Cell, conditions: Sequence[sympy.Expr]) -> list[Cell]:
        """The cell cut at every zero of the conditions inside it."""
        low, high = self._bounds(cell.left, cell.right)
        cuts: list[Cut] = []
        edges = [cell.left, cell.right]
        for g in conditions:
            if not g.has(VARIABLE):
                continue
            polynomial = g.is_polynomial(VARIABLE)
            beyond = None if polynomial else nonzero_beyond(g)
            if not polynomial:
                self.is_global = self.is_global and beyond is not None and beyond <= self._limit
            for root in _zeros(g, low, high, beyond):
                if not root.simple and (_is_beside(edges[0], root, 1, g) or _is_beside(edges[1], root, -1, g)):
                    continue
                self.is_certain = self.is_certain and (root.simple or self._is_edge(root, g, cell))
                at_edge = [i for i, e in enumerate(edges) if e is not None and _same(e.root, root)]
                for i in at_edge:
                    edge = edges[i]
                    assert edge is not None
                    self._note_distinct(edge.root, root)
                    edges[i] = _noted(edge, root, g)
                if not at_edge and low < root.upper and root.lower < high:
                    cuts.append(Cut(root, (g,)))
            if polynomial and (cell.left is None or cell.right is None):
                self._note_far_roots(g, low, high)
        ordered: list[Cut] = []
        for cut in sorted(cuts, key=lambda c: (c.root.lower, c.root.upper)):
            if ordered and _same(ordered[-1].root, cut.root):
                self._note_distinct(ordered[-1].root, cut.root)
                ordered[-1] = _merged(ordered[-1], cut)
            else:
                ordered.append(cut)
        ends = [edges[0], *ordered, edges[1]]
        return [Cell(left, right, cell.values) for left, right in pairwise(ends)]

    @staticmethod
    def _is_edge(root: RealRoot, g: sympy.Expr, cell: Cell) -> bool:
        """Whether a cluster of zeros of g is an end of the cell, found there as the zero of what g is a power of.

        Of another g one more zero may hide in it: Abs(t)^(3/4) - 1e-40 has one next to 0.
        """
        return any(
            _share_a_zero(edge.zero_of, (g,))
            for edge in (cell.left, cell.right)
            if edge is not None and _same(edge.root, root)
        )

    def _note_distinct(self, a: RealRoot, b: RealRoot) -> None:
        """What lies between two points taken for one is left out: next to a singular point it may count."""
        self.is_certain = self.is_certain and a.lower <= b.upper and b.lower <= a.upper

    def _note_far_roots(self, g: sympy.Expr, low: Fraction, high: Fraction) -> None:
        far = Fraction(10**300)
        if len(isolate_roots(g, VARIABLE, -far, far)) != len(isolate_roots(g, VARIABLE, -self._limit, self._limit)):
            self.is_global = False

    def _signs(self, cell: Cell, expressions: Sequence[sympy.Expr]) -> list[int]:
        """Signs of expressions on a cell where none of them vanishes (0: identically zero)."""
        point = arb_of(self._sample(cell.left, cell.right))
        tape = Tape(tuple(expressions), VARIABLE)
        signs = [0] * len(expressions)
        for precision in (64, 256, 1024, 4096):
            with ctx.workprec(precision):
                for i, value in enumerate(tape(acb(point))):
                    if value.imag.is_zero() or value.imag.overlaps(acb(0).real):
                        signs[i] = 1 if value.real > 0 else -1 if value.real < 0 else 0
            if all(signs):
                return signs
        for i, e in enumerate(expressions):
            if not signs[i] and sympy.simplify(e) != 0:
                raise UnsupportedError(f"the sign of '{e}' could not be decided between its zeros")
        return signs

    def _node(self, f: sympy.Basic, cell: Cell) -> list[Cell]:
        arguments = [a for a in cell.values if isinstance(a, sympy.Expr)]
        if isinstance(f, (sympy.Max, sympy.Min)):
            return self._extremum(f, cell, arguments)
        if isinstance(f, _SWITCHES):
            return self._signed(f, cell, arguments[0])
        if not isinstance(f, (sympy.Add, sympy.Mul, sympy.Pow)) and f.func not in BY_HEAD:
            raise UnsupportedError(f"'{f.func.__name__}' is not a function kernelc knows")
        positive, nonzero = self._conditions(f, arguments)
        result = []
        # On the unresolved arguments: Abs(g) is >= 0 wherever it is, its pieces are not.
        self._require_positive_far_out(f, self._conditions(f, [a for a in f.args if isinstance(a, sympy.Expr)])[0])
        for part in self._split(cell, (*positive, *nonzero)):
            self._require_positive(f, part, positive)
            result.append(Cell(part.left, part.right, (f.func(*arguments),)))
        return result

    @staticmethod
    def _conditions(f: sympy.Basic, args: list[sympy.Expr]) -> tuple[tuple[sympy.Expr, ...], tuple[sympy.Expr, ...]]:
        """Expressions that must be >= 0, and expressions whose zeros matter whatever their sign."""
        if isinstance(f, sympy.Pow):
            base, exponent = args
            if isinstance(exponent, sympy.Integer):
                return (), ((base,) if exponent < 0 else ())
            return (base,), ()
        record = BY_HEAD.get(f.func)
        return ((), ()) if record is None else (record.at_least_zero(args), record.nonzero(args))

    def _require_positive(self, f: sympy.Basic, cell: Cell, positive: Sequence[sympy.Expr]) -> None:
        for g, sign in zip(positive, self._signs(cell, positive), strict=True):
            if sign >= 0:
                continue
            where = float(self._sample(cell.left, cell.right))
            hint = "; for a real odd root write cbrt(t) or sign(t)*Abs(t)**p" if isinstance(f, sympy.Pow) else ""
            raise InputError(
                f"'{f}' is singular or not real on a part of the real line: {g} < 0 at t = {where:g}{hint}; "
                "an activation must be real for every real input, for example sqrt(Abs(t)) or log(1+t^2)"
            )

    def _require_positive_far_out(self, f: sympy.Basic, positive: Sequence[sympy.Expr]) -> None:
        """Beyond the range as well: a doubt there leaves the kernel estimated, a known zero is refused."""
        for g in positive:
            if not g.has(VARIABLE) or g.is_nonnegative:
                continue
            if not g.is_polynomial(VARIABLE):
                facts = (nonnegative_beyond(g), nonzero_beyond(g))
                self.is_certain = self.is_certain and any(x is not None and x <= self._limit for x in facts)
                continue
            for root in isolate_roots(g, VARIABLE, Fraction(-(10**300)), Fraction(10**300)):
                if abs(root.lower) > self._limit:
                    raise InputError(
                        f"'{f}' is singular or not real on a part of the real line: {g} changes sign or vanishes "
                        f"at t = {float(root.lower):g}; an activation must be real for every real input"
                    )

    def _signed(self, f: sympy.Basic, cell: Cell, g: sympy.Expr) -> list[Cell]:
        result = []
        for part in self._split(cell, (g,)):
            sign = self._signs(part, (g,))[0]
            value: sympy.Expr
            if isinstance(f, sympy.Abs):
                value = g if sign >= 0 else -g
            elif isinstance(f, sympy.sign):
                value = sympy.Integer(sign)
            else:
                value = sympy.Rational(1 + sign, 2)
            result.append(Cell(part.left, part.right, (value,)))
        return result

    def _extremum(self, f: sympy.Basic, cell: Cell, args: list[sympy.Expr]) -> list[Cell]:
        gaps = [a - b for i, a in enumerate(args) for b in args[i + 1 :]]
        result = []
        for part in self._split(cell, gaps):
            best = args[0]
            for candidate in args[1:]:
                sign = self._signs(part, (candidate - best,))[0]
                if (sign > 0) == isinstance(f, sympy.Max) and sign:
                    best = candidate
            result.append(Cell(part.left, part.right, (best,)))
        return result

    def _piecewise(self, f: sympy.Piecewise) -> list[Cell]:
        """Only the branch that is taken on a cell is resolved there."""
        atoms = sorted(
            {r for _, c in f.args for r in c.atoms(sympy.core.relational.Relational)}, key=sympy.default_sort_key
        )
        gaps = [a.lhs - a.rhs for a in atoms]
        result: list[Cell] = []
        for cell in self._common(gaps):
            for part in self._split(cell, [g for g in cell.values if isinstance(g, sympy.Expr)]):
                signs = self._signs(part, [g for g in part.values if isinstance(g, sympy.Expr)])
                holds = dict(zip(atoms, (_holds(a, s) for a, s in zip(atoms, signs, strict=True)), strict=True))
                branch = next((e for e, c in f.args if _decide(c, holds)), None)
                if branch is None:
                    where = float(self._sample(part.left, part.right))
                    raise InputError(f"Piecewise has no branch at t = {where:g}: end it with (expression, True)")
                result += self._restricted(branch, part)
        return result

    def _restricted(self, f: sympy.Expr, cell: Cell) -> list[Cell]:
        """The cells of f inside one cell; f is only resolved there."""
        inside = Resolver(self._limit, cell.left, cell.right)
        found = inside._resolve(sympy.sympify(f))
        self.is_global = self.is_global and inside.is_global
        self.is_certain = self.is_certain and inside.is_certain
        return found


def _is_beside(edge: Cut | None, root: RealRoot, side: int, g: sympy.Expr) -> bool:
    """Whether an enclosure holds no zero of g after all: it lies next to the cell's edge, where balls of g say nothing.

    There a root or a logarithm has no Taylor series, but grows or falls like a known power of the distance.
    """
    if edge is None or not _same(edge.root, root):
        return False
    width = root.upper - edge.root.lower if side > 0 else edge.root.upper - root.lower
    end = EndPoint(edge.root.exact, edge.root.lower, edge.root.upper, side, width, edge.zero_of)
    return 0 < width <= _NEAR and LocalBounds(VARIABLE, end).has_no_zero(g)


def _zeros(g: sympy.Expr, low: Fraction, high: Fraction, beyond: Fraction | None) -> list[RealRoot]:
    """The zeros of a condition in [low, high]; there is none beyond `beyond`, where that is known.

    They are not looked for there: far out the balls of a fast-growing condition (1 + sinh(t)^2, or a Bessel function,
    on a wide range) are too wide to show its sign.
    """
    if beyond is not None:
        low, high = max(low, -beyond), min(high, beyond)
    return isolate_roots(g, VARIABLE, low, high) if low < high else []


def _holds(atom: sympy.core.relational.Relational, sign: int) -> bool:
    """A comparison's truth on a cell from the sign of lhs - rhs there."""
    if isinstance(atom, sympy.Gt):
        return sign > 0
    if isinstance(atom, sympy.Ge):
        return sign >= 0
    if isinstance(atom, sympy.Lt):
        return sign < 0
    if isinstance(atom, sympy.Le):
        return sign <= 0
    if isinstance(atom, sympy.Ne):
        return sign != 0
    return sign == 0


def _decide(condition: sympy.Basic, holds: dict[sympy.core.relational.Relational, bool]) -> bool:
    if isinstance(condition, (BooleanTrue, BooleanFalse)):
        return bool(condition)
    if isinstance(condition, And):
        return all(_decide(c, holds) for c in condition.args)
    if isinstance(condition, Or):
        return any(_decide(c, holds) for c in condition.args)
    if isinstance(condition, Not):
        return not _decide(condition.args[0], holds)
    return holds[condition]


def _same(a: RealRoot, b: RealRoot) -> bool:
    """Whether two enclosures meet, or are too close for a cell between them: they are taken for one."""
    return a.lower <= b.upper + _TINY and b.lower <= a.upper + _TINY


def _bare(g: sympy.Expr) -> sympy.Expr:
    """What g is a multiple of a power of, but for its sign and its numbers' common factor."""
    base, exponent = g.as_coeff_Mul()[1].as_base_exp()
    base = (g if exponent.has(VARIABLE) else base).as_coeff_Mul()[1].primitive()[1]
    return -base if base.could_extract_minus_sign() else base


def _share_a_zero(some: Sequence[sympy.Expr], others: Sequence[sympy.Expr]) -> bool:
    """Whether two of the expressions are powers of one, up to factors, so that their zeros are the same."""
    return not {_bare(g) for g in some}.isdisjoint(_bare(g) for g in others)


def _noted(edge: Cut, root: RealRoot, g: sympy.Expr) -> Cut:
    """An edge at which g has a zero too, taken for the same point."""
    merged = _merged(edge, Cut(root, (g,)))
    return replace(edge, zero_of=merged.zero_of, is_one=merged.is_one)


def _is_one(a: Cut, b: Cut) -> bool:
    """Whether two cuts in one enclosure are proved to be the same point.

    Where one value is known, the other is the only zero of its expressions nearby: they vanish there, or they do not.
    """
    if a.root.exact is not None and b.root.exact is not None:
        return vanishes_at(VARIABLE - a.root.exact, VARIABLE, b.root.exact)
    if _share_a_zero(a.zero_of, b.zero_of):
        return True
    known, other = (a, b) if b.root.exact is None else (b, a)
    return known.root.exact is not None and any(vanishes_at(g, VARIABLE, known.root.exact) for g in other.zero_of)


def _merged(a: Cut, b: Cut) -> Cut:
    exact = a.root.exact if a.root.exact is not None else b.root.exact
    root = RealRoot(
        exact,
        min(a.root.lower, b.root.lower),
        max(a.root.upper, b.root.upper),
        a.root.simple and b.root.simple,
    )
    return Cut(root, tuple(dict.fromkeys((*a.zero_of, *b.zero_of))), a.is_one and b.is_one and _is_one(a, b))


def _holder(cells: list[Cell], point: Fraction) -> Cell:
    for cell in cells:
        if (cell.left is None or cell.left.root.upper <= point) and (
            cell.right is None or point <= cell.right.root.lower
        ):
            return cell
    raise UnsupportedError(_TOO_CLOSE)
