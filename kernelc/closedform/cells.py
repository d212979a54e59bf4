"""A piecewise expression cut into its cells: breakpoints in order, one smooth expression between them.

Abs, Max, Min, sign, Heaviside and Piecewise are resolved from the inside out, so that nested ones
(Min(Max(t + 3, 0), 6)) need no rule of their own. To add a switch, add one entry to `SWITCHES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import pairwise
from math import prod

import sympy

from kernelc.closedform.terms import OutsideClassError
from kernelc.model import VARIABLE


@dataclass(frozen=True, slots=True)
class Cells:
    """`pieces[i]` holds between `breakpoints[i - 1]` and `breakpoints[i]`."""

    breakpoints: tuple[sympy.Expr, ...]
    pieces: tuple[sympy.Basic, ...]


def sample_points(breakpoints: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    """One point inside each cell."""
    if not breakpoints:
        return [sympy.S.Zero]
    inner = [(a + b) / 2 for a, b in pairwise(breakpoints)]
    return [breakpoints[0] - 1, *inner, breakpoints[-1] + 1]


def sign_of(value: sympy.Expr) -> int:
    """The sign of a variable-free expression that is not zero; refused where a parameter leaves it open."""
    if value.is_positive:
        return 1
    if value.is_negative:
        return -1
    if value.is_zero:
        return 0
    offset, rest = value.as_independent(sympy.exp, as_Add=True)
    if offset.is_negative and isinstance(rest.as_independent(sympy.exp, as_Add=False)[1], sympy.exp):
        factor, power = rest.as_independent(sympy.exp, as_Add=False)
        if factor.is_positive:  # a e^x - b has the sign of x - log(b/a)
            return sign_of(power.args[0] - sympy.log(-offset / factor))
    simpler = sympy.factor(value)
    if isinstance(simpler, sympy.Mul) and len(simpler.args) > 1:
        return prod(sign_of(factor) for factor in simpler.args)
    if simpler.is_positive or simpler.is_negative:
        return 1 if simpler.is_positive else -1
    raise OutsideClassError(f"the sign of {value} is not known")


def _by_value(a: sympy.Expr, b: sympy.Expr) -> int:
    return sign_of(a - b)


def ordered(points: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
    """Distinct breakpoints in increasing order."""
    distinct: list[sympy.Expr] = []
    for point in points:
        if all(point != other and not (point - other).equals(0) for other in distinct):
            distinct.append(point)
    return tuple(sorted(distinct, key=cmp_to_key(_by_value)))


def real_roots(expression: sympy.Expr) -> list[sympy.Expr]:
    """All real zeros of an expression in the variable, exactly; refused where they cannot be listed."""
    t = VARIABLE
    factor = expression.as_independent(t, as_Add=False)[1]
    if not factor.has(t):
        return []
    if factor.is_polynomial(t):
        polynomial = sympy.Poly(factor, t)
        if polynomial.degree() == 1:
            return [-polynomial.nth(0) / polynomial.nth(1)]
        if factor.free_symbols == {t}:
            return list(dict.fromkeys(sympy.real_roots(polynomial)))
        raise OutsideClassError(f"the zeros of {factor} depend on parameters")
    zeros = sympy.solveset(factor, t, sympy.Reals)
    if isinstance(zeros, sympy.FiniteSet):
        return list(zeros)
    if zeros is sympy.S.EmptySet:
        return []
    raise OutsideClassError(f"the zeros of {factor} are not a finite known set")


def _refine(cells: Sequence[Cells]) -> tuple[tuple[sympy.Expr, ...], list[list[sympy.Basic]]]:
    """The common refinement: breakpoints, and for each cell the pieces of every argument there."""
    points = ordered([p for c in cells for p in c.breakpoints])
    rows: list[list[sympy.Basic]] = []
    for sample in sample_points(points):
        rows.append([c.pieces[sum(sign_of(sample - p) > 0 for p in c.breakpoints)] for c in cells])
    return points, rows


def _abs(values: Sequence[sympy.Expr], at: Callable[[sympy.Expr], int]) -> sympy.Expr:
    return at(values[0]) * values[0]


def _sign(values: Sequence[sympy.Expr], at: Callable[[sympy.Expr], int]) -> sympy.Expr:
    return sympy.Integer(at(values[0]))


def _heaviside(values: Sequence[sympy.Expr], at: Callable[[sympy.Expr], int]) -> sympy.Expr:
    return sympy.Integer(1 if at(values[0]) > 0 else 0)


def _max(values: Sequence[sympy.Expr], at: Callable[[sympy.Expr], int]) -> sympy.Expr:
    best = values[0]
    for value in values[1:]:
        best = value if at(value - best) > 0 else best
    return best


def _min(values: Sequence[sympy.Expr], at: Callable[[sympy.Expr], int]) -> sympy.Expr:
    return -_max([-v for v in values], at)


def _differences(values: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    return [a - b for i, a in enumerate(values) for b in values[:i]]


def _itself(values: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    return [values[0]]


_Choose = Callable[[Sequence[sympy.Expr], Callable[[sympy.Expr], int]], sympy.Expr]
_Deciders = Callable[[Sequence[sympy.Expr]], list[sympy.Expr]]

#: head -> (whose zeros are breakpoints, what holds where the signs are known)
SWITCHES: Mapping[type, tuple[_Deciders, _Choose]] = {
    sympy.Abs: (_itself, _abs),
    sympy.sign: (_itself, _sign),
    sympy.Heaviside: (_itself, _heaviside),
    sympy.Max: (_differences, _max),
    sympy.Min: (_differences, _min),
}


def cut(expression: sympy.Basic) -> Cells:
    """Cut an expression in the variable into cells on which it has no switch.

    Raises `OutsideClassError` where breakpoints cannot be listed or ordered.
    """
    if not expression.has(VARIABLE) or not expression.args:
        return Cells((), (expression,))
    if isinstance(expression, sympy.Piecewise):
        return _cut_piecewise(expression)
    children = [cut(argument) for argument in expression.args]
    switch = SWITCHES.get(expression.func)
    if switch is None:
        points, rows = _refine(children)
        return Cells(points, tuple(expression.func(*row) for row in rows))
    deciders, choose = switch
    # the second argument of Heaviside is its value at 0, a null set
    return _switch(children[:1] if expression.func is sympy.Heaviside else children, deciders, choose)


def _switch(children: Sequence[Cells], deciders: _Deciders, choose: _Choose) -> Cells:
    points, rows = _refine(children)
    edges: list[sympy.Expr] = [-sympy.oo, *points, sympy.oo]
    extra = []
    for row, (left, right) in zip(rows, pairwise(edges), strict=True):
        for decider in deciders(row):
            extra += [r for r in real_roots(decider) if _inside(r, left, right)]
    finer = ordered([*points, *extra])
    pieces = []
    for sample in sample_points(finer):
        row = rows[sum(sign_of(sample - p) > 0 for p in points)]
        pieces.append(choose(row, lambda g, at=sample: sign_of(g.subs(VARIABLE, at))))  # type: ignore[misc]
    return Cells(finer, tuple(pieces))


def _inside(point: sympy.Expr, left: sympy.Expr, right: sympy.Expr) -> bool:
    above = left == -sympy.oo or sign_of(point - left) > 0
    return above and (right == sympy.oo or sign_of(right - point) > 0)


def _cut_piecewise(expression: sympy.Piecewise) -> Cells:
    """Branches by their conditions, whose comparisons may hold any boolean combination."""
    relations = sorted(
        {r for _, condition in expression.args for r in condition.atoms(sympy.core.relational.Relational)},
        key=sympy.default_sort_key,
    )
    branches = [cut(value) for value, _ in expression.args]
    points = [p for branch in branches for p in branch.breakpoints]
    for relation in relations:
        if isinstance(relation, (sympy.Eq, sympy.Ne)):
            continue
        points += _switch([cut(relation.lhs - relation.rhs)], _itself, _heaviside).breakpoints
    finer = ordered(points)
    pieces = []
    for sample in sample_points(finer):
        pieces.append(_branch_at(expression, branches, relations, sample))
    return Cells(finer, tuple(pieces))


def _branch_at(
    expression: sympy.Piecewise, branches: Sequence[Cells], relations: Sequence[sympy.Basic], sample: sympy.Expr
) -> sympy.Basic:
    truth: dict[sympy.Basic, sympy.Basic] = {}
    for relation in relations:
        if isinstance(relation, (sympy.Eq, sympy.Ne)):
            truth[relation] = sympy.false if isinstance(relation, sympy.Eq) else sympy.true
            continue
        sign = sign_of((relation.lhs - relation.rhs).subs(VARIABLE, sample))
        less = isinstance(relation, (sympy.Lt, sympy.Le))
        truth[relation] = sympy.sympify((sign < 0) if less else (sign > 0))
    for (_, condition), branch in zip(expression.args, branches, strict=True):
        if condition.xreplace(truth) == sympy.true:
            return branch.pieces[sum(sign_of(sample - p) > 0 for p in branch.breakpoints)]
    raise OutsideClassError("a Piecewise leaves part of the real line undefined")
