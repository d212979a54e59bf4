"""Analysis: what is proved of sigma on the real line before any integral is computed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, sqrt

import sympy
from flint import acb, arb, ctx

from kernelc.analysis.growth import derive_growth
from kernelc.analysis.pieces import Cell, Cut, Resolver
from kernelc.balls.local import EndPoint, LocalBounds, integrable, squared
from kernelc.balls.roots import RealRoot
from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import InputError, NotSquareIntegrableError, UnsupportedError
from kernelc.model import (
    VARIABLE,
    ActivationSpec,
    ActivationTraits,
    BreakKind,
    Breakpoint,
    Growth,
    Parity,
    Piece,
)

_REACH = 40
_CELL_WIDTH = Fraction(1, 2**20)
_SIMPLIFY_LIMIT = 60


def analyse(spec: ActivationSpec, variance: Fraction) -> ActivationTraits:
    """Breakpoints, pieces, growth, parity, homogeneity, and square integrability at `variance`.

    Raises:
        NotSquareIntegrableError: E[sigma(sZ)^2] is infinite, or nothing shows that it is finite.
        InputError: sigma is not real, or has a pole, on the real line.
    """
    f = spec.expression
    growth, derivative_growth = derive_growth(f), derive_growth(sympy.diff(f, VARIABLE))
    limit = _range_limit(growth, derivative_growth, variance)
    resolver = Resolver(limit)
    cells = [_with_slope(cell, limit) for cell in resolver.cells(f)]
    _require_square_integrable(f, cells)
    _require_slow_growth(f, growth, variance)
    breakpoints = tuple(_classified(a, b, f) for a, b in itertools.pairwise(cells))
    # Breakpoints may lie beyond the range: what the pieces show inside it is then no fact of the whole line.
    everywhere = resolver.is_global
    return ActivationTraits(
        parity=_parity(cells) if everywhere else _formula_parity(f),
        homogeneous_degree=_homogeneous_degree(cells) if everywhere else None,
        breakpoints=breakpoints,
        pieces=_pieces(cells, breakpoints),
        range_limit=limit if not resolver.is_global else Fraction(10**6),
        growth=growth,
        derivative_growth=derivative_growth,
        derivative_refused=_derivative_refused(
            cells, breakpoints, derivative_growth, variance, everywhere or _is_continuous_by_construction(f)
        ),
        polynomial_degree=_polynomial_degree(cells) if everywhere else None,
        certain=resolver.is_certain,
    )


def _range_limit(growth: Growth | None, slope: Growth | None, variance: Fraction) -> Fraction:
    """How far breakpoints are looked for: beyond it growth bounds hold and lies less than exp(-400) of sigma^2."""
    slack = Fraction(1) if growth is None else min(Fraction(1), 1 - 4 * growth.quadratic * variance)
    if slack <= 0:  # refused later, with the growth as the reason
        slack = Fraction(1)
    beyond = max([Fraction(0), *(g.beyond for g in (growth, slope) if g is not None)])
    return max(Fraction(ceil(_REACH * sqrt(float(variance / slack)))), beyond + 1)


def _require_slow_growth(f: sympy.Expr, growth: Growth | None, variance: Fraction) -> None:
    if growth is not None and growth.quadratic * 4 * variance >= 1:
        raise NotSquareIntegrableError(
            f"{f} grows like exp({growth.quadratic} t^2), or no closer bound was found: sigma(sZ) is square integrable "
            f"below exp(t^2/{4 * variance}) at variance {variance}; lower --variance or damp the growth"
        )
    if growth is None:
        raise NotSquareIntegrableError(
            f"no bound of the form C (1+|t|)^n exp(a t^2 + b|t|) could be derived for {f}: it grows too fast "
            f"to be square integrable under a Gaussian (below exp(t^2/{4 * variance}) is needed), or is "
            "singular in a way kernelc cannot bound"
        )


def _end(cut: Cut, side: int) -> EndPoint:
    root = cut.root
    return EndPoint(root.exact, root.lower, root.upper, side, _CELL_WIDTH, cut.zero_of)


def _ends(cell: Cell) -> list[EndPoint]:
    ends = []
    if cell.left is not None:
        ends.append(_end(cell.left, 1))
    if cell.right is not None:
        ends.append(_end(cell.right, -1))
    return ends


def _expression(cell: Cell) -> sympy.Expr:
    value = cell.values[0]
    assert isinstance(value, sympy.Expr)
    return value


def _unbounded_end(cells: Sequence[Cell], derivative: bool) -> tuple[EndPoint, Fraction | None] | None:
    """A cell end where f^2 (or its derivative squared) is not shown integrable; its exponent where proved not to be."""
    for cell in cells:
        f = _slope(cell) if derivative else _expression(cell)
        for end in _ends(cell):
            bounds = LocalBounds(VARIABLE, end)
            majorant = bounds.majorant(f)
            if majorant is None or not integrable(squared(majorant)):
                exponent = bounds.leading_exponent(f)
                return end, exponent if exponent is not None and 2 * exponent <= -1 else None
    return None


def _shown(point: Breakpoint) -> str:
    return str(point.exact) if point.exact is not None else f"{float(point):.6g}"


def _where(end: EndPoint) -> str:
    return str(end.exact) if end.exact is not None else f"{float(end.lower):.6g}"


def _require_square_integrable(f: sympy.Expr, cells: Sequence[Cell]) -> None:
    found = _unbounded_end(cells, derivative=False)
    if found is None:
        return
    end, exponent = found
    at = _where(end)
    if exponent is None:
        what = f"{f} may be singular at t = {at}, and sigma^2 could not be shown to be integrable there"
    else:
        what = f"{f} grows like |t - r|^({exponent}) at r = {at}, so that sigma^2 is not integrable there"
    raise NotSquareIntegrableError(f"{what}; remove the pole, for example 1/(1+t^2)")


def _derivative_refused(
    cells: Sequence[Cell],
    breakpoints: Sequence[Breakpoint],
    growth: Growth | None,
    variance: Fraction,
    continuous_far_out: bool,
) -> str | None:
    jump = next((p for p in breakpoints if p.kind == "jump"), None)
    if jump is not None:
        return f"sigma jumps at t = {_shown(jump)}: sigma' is not square integrable, the NTK is infinite at rho = 1"
    found = _unbounded_end(cells, derivative=True)
    if found is not None:
        end, exponent = found
        at = _where(end)
        if exponent is None:
            return f"sigma' could not be shown to be square integrable at t = {at}: the NTK may be infinite at rho = 1"
        return (
            f"sigma' grows like |t - r|^({exponent}) at r = {at} and is not square integrable there: "
            "the NTK is infinite at rho = 1"
        )
    unknown = next((p for p in breakpoints if p.kind == "unknown"), None)
    if unknown is not None:
        return f"sigma could not be proved continuous at t = {_shown(unknown)}: the NTK may be infinite at rho = 1"
    if not continuous_far_out:
        return "sigma could not be proved continuous far out on the line: the NTK may be infinite at rho = 1"
    if growth is None:
        return "no growth bound could be derived for sigma': its square integrability is not proved"
    if growth.quadratic * 4 * variance >= 1:
        return (
            f"sigma' grows like exp({growth.quadratic} t^2), or no closer bound was found: it is not square integrable "
            f"at variance {variance}, or not shown to be"
        )
    return None


def _limit_values(cell: Cell, cut: Cut, expression: sympy.Expr) -> arb | None:
    """The value next to a cut, from inside the cell, in a ball; None where it is not finite."""
    with ctx.workprec(512):
        low, high = arb_of(cut.root.lower), arb_of(cut.root.upper)
        value = Tape((expression,), VARIABLE)(acb(low.union(high)))[0]
        return value.real if value.is_finite() else None


def _classified(left: Cell, right: Cell, f: sympy.Expr) -> Breakpoint:
    cut = left.right
    assert cut is not None
    kind = _kind(left, right, cut, f)
    return Breakpoint(cut.root.exact, cut.root.lower, cut.root.upper, kind)


def _kind(left: Cell, right: Cell, cut: Cut, f: sympy.Expr) -> BreakKind:
    before, after = _expression(left), _expression(right)
    values = [_limit_values(left, cut, before), _limit_values(right, cut, after)]
    if values[0] is None or values[1] is None:
        if _is_removable(before, after, cut):
            return "smooth"
        if not (_vanishes_at(left, cut, -1) and _vanishes_at(right, cut, 1)):
            return "unknown"
        # exp(-1/t^2): what it is at the point shows in no ball, but its slope is 0
        flat = _vanishes_at(left, cut, -1, derivative=True) and _vanishes_at(right, cut, 1, derivative=True)
        return "smooth" if flat else "singular"
    if not values[0].overlaps(values[1]):
        return "jump"
    if not (_agree_at(before, after, cut) or _is_continuous_by_construction(f)):
        return "unknown"
    slopes = [
        _limit_values(left, cut, _slope(left)),
        _limit_values(right, cut, _slope(right)),
    ]
    if slopes[0] is None or slopes[1] is None:
        return "singular"
    return "smooth" if slopes[0].overlaps(slopes[1]) else "kink"


def _is_removable(before: sympy.Expr, after: sympy.Expr, cut: Cut) -> bool:
    """Whether sigma is analytic at the cut but for a zero over a zero, of no smaller order: sinh(t)/t at 0."""
    if before != after or before.count_ops() >= _SIMPLIFY_LIMIT:
        return False
    parts = sympy.together(before).as_numer_denom()
    with ctx.workprec(192):
        around = arb_of(cut.root.lower).union(arb_of(cut.root.upper)) + arb(0, arb_of(_CELL_WIDTH))
        values = Tape(parts, VARIABLE)(acb(around, arb(0, arb_of(_CELL_WIDTH))), True)
        if not all(value.is_finite() for value in values):
            return False
        above, below = (LocalBounds(VARIABLE, _end(cut, 1)).order(part) for part in parts)
    return above is not None and below is not None and above.power >= below.power


def _vanishes_at(cell: Cell, cut: Cut, side: int, *, derivative: bool = False) -> bool:
    """Whether sigma (sigma') is proved to tend to 0 at the cut."""
    f = _slope(cell) if derivative else _expression(cell)
    return LocalBounds(VARIABLE, _end(cut, side)).tends_to_zero(f)


def _agree_at(before: sympy.Expr, after: sympy.Expr, cut: Cut) -> bool:
    """Whether both sides have exactly the same limit: by value, or as multiples of what vanishes there."""
    difference = sympy.expand(before - after)
    if difference == 0:
        return True
    if cut.root.exact is not None:
        value = difference.subs(VARIABLE, cut.root.exact)
        if value == 0:
            return True
        if value.count_ops() < _SIMPLIFY_LIMIT and sympy.simplify(value) == 0:
            return True
    for g in cut.zero_of:
        ratio = sympy.cancel(difference / g) if difference.count_ops() < _SIMPLIFY_LIMIT else None
        if ratio is not None and not ratio.has(sympy.Pow) and ratio.is_finite is not False and not ratio.has(VARIABLE):
            return True
    return False


def _is_continuous_by_construction(f: sympy.Expr) -> bool:
    """No switch but the continuous ones: what is finite is then continuous."""
    return not f.has(sympy.sign, sympy.Heaviside, sympy.Piecewise)


def _pieces(cells: Sequence[Cell], breakpoints: Sequence[Breakpoint]) -> tuple[Piece, ...]:
    ends: list[Breakpoint | None] = [None, *breakpoints, None]
    return tuple(
        Piece(
            ends[i], ends[i + 1], _expression(c), _slope(c),
            () if c.left is None else c.left.zero_of, () if c.right is None else c.right.zero_of,
        )
        for i, c in enumerate(cells)
    )  # fmt: skip


def _slope(cell: Cell) -> sympy.Expr:
    value = cell.values[1]
    assert isinstance(value, sympy.Expr)
    return value


def _with_slope(cell: Cell, limit: Fraction) -> Cell:
    """The cell with sigma and sigma', freed of switches that differentiation may bring in (sqrt(t^2) is Abs(t))."""
    slope = sympy.diff(_expression(cell), VARIABLE)
    if not slope.has(sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Piecewise):
        return replace(cell, values=(_expression(cell), slope))
    inside = Resolver(limit, cell.left, cell.right).cells(slope)
    if len(inside) != 1:
        raise UnsupportedError(f"the derivative of {_expression(cell)} is not one analytic piece between breakpoints")
    return replace(cell, values=(_expression(cell), _expression(inside[0])))


def _is_zero(f: sympy.Expr) -> bool:
    """Whether f is identically 0; a doubt is a no."""
    f = sympy.expand(f)
    if f == 0:
        return True
    with ctx.workprec(128):
        tape = Tape((f,), VARIABLE)
        for numerator in (37, 101, 263):
            value = tape(acb(arb(numerator) / 128))[0]
            if value.is_finite() and not value.overlaps(acb(0)):
                return False
    return bool(f.count_ops() < _SIMPLIFY_LIMIT and sympy.simplify(f) == 0)


def _parity(cells: Sequence[Cell]) -> Parity:
    """Pieces are compared with their mirror images; a doubt is 'none'."""
    if len(cells) % 2 and len(cells) > 1:
        middle = cells[len(cells) // 2]
        if _parity([middle_only(middle)]) == "none":
            return "none"
    for a, b in zip(cells, reversed(cells), strict=True):
        # What holds the first cell's left edge holds the last one's right edge: both None, or neither.
        if a.right is not None and b.left is not None and not _is_mirrored(a.right.root, b.left.root):
            return "none"
    mirrored = [_expression(c).subs(VARIABLE, -VARIABLE) for c in reversed(cells)]
    own = [_expression(c) for c in cells]
    if all(_is_zero(a - b) for a, b in zip(own, mirrored, strict=True)):
        return "even"
    if all(_is_zero(a + b) for a, b in zip(own, mirrored, strict=True)):
        return "odd"
    return "none"


def _is_mirrored(a: RealRoot, b: RealRoot) -> bool:
    """Whether a and -b may be the same point."""
    return a.lower == -b.upper or (-b.upper <= a.upper and a.lower <= -b.lower)


def middle_only(cell: Cell) -> Cell:
    """The same expression on the whole line."""
    return Cell(None, None, cell.values)


def _formula_parity(f: sympy.Expr) -> Parity:
    """Parity that shows in the formula itself, switches and all."""
    mirrored = f.subs(VARIABLE, -VARIABLE)
    if sympy.expand(f - mirrored) == 0:
        return "even"
    return "odd" if sympy.expand(f + mirrored) == 0 else "none"


def _homogeneous_degree(cells: Sequence[Cell]) -> sympy.Expr | None:
    """p with sigma(c t) = c^p sigma(t) for all c > 0; None where there is none (or a doubt)."""
    if len(cells) > 2 or (len(cells) == 2 and (cells[0].right is None or cells[0].right.root.exact != 0)):
        return None
    degrees = set()
    for cell in cells:
        f = _expression(cell)
        if f == 0:
            continue
        slope = VARIABLE * sympy.diff(f, VARIABLE)
        ratio = sympy.simplify(slope / f) if f.count_ops() < _SIMPLIFY_LIMIT else VARIABLE
        if ratio.has(VARIABLE):
            return None
        degrees.add(ratio)
    if len(degrees) > 1:
        return None
    return degrees.pop() if degrees else sympy.Integer(1)


def _polynomial_degree(cells: Sequence[Cell]) -> int | None:
    if len(cells) != 1 or not _expression(cells[0]).is_polynomial(VARIABLE):
        return None
    if _expression(cells[0]) == 0:
        raise InputError("the activation is zero everywhere: there is no kernel to compile")
    return int(sympy.Poly(_expression(cells[0]), VARIABLE).degree())
