"""Makes SymPy objects one small step at a time, each step bounded before it is taken and checked after.

SymPy evaluates while it builds: `Integer(9)**Integer(9**9)` fills the memory, `exp(10**9*log(2))` too, and
`sqrt(-1)`, `log(0)`, `1/0` come back as I or zoo. So the builder keeps `Facts` of every subexpression it
has admitted, refuses a step whose result could hold too large an integer, and refuses a result in which
any constant is not a finite real number in the double range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import sympy
from mpmath.libmp import NoConvergence
from sympy import Expr
from sympy.core.evalf import PrecisionExhausted
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean

from kernelc.errors import InputError
from kernelc.functions import ParserEntry
from kernelc.parse.limits import CONSTANT_ARGUMENT, Deadline, Limits

#: Constants lie in the double range: |c| in [1e-308, 1e308], or c = 0.
_LARGEST = sympy.Integer(10) ** 308
_DIGITS = 17
_MAX_DIGITS = 400
#: More terms than this are not counted apart.
_MANY = 10**4

#: What SymPy and mpmath raise where a function has no value at its argument. (SymPy 1.14 turns some TypeErrors
#: into an AttributeError while it looks at their message: acos(atan(tan(1e300))).)
_NO_VALUE = (
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    NoConvergence,
)

_NEGATED: Mapping[type, type] = MappingProxyType(
    {
        sympy.StrictGreaterThan: sympy.LessThan,
        sympy.GreaterThan: sympy.StrictLessThan,
        sympy.StrictLessThan: sympy.GreaterThan,
        sympy.LessThan: sympy.StrictGreaterThan,
    }
)
_FROM_SIGN: Mapping[type, frozenset[int]] = MappingProxyType(
    {
        sympy.StrictGreaterThan: frozenset({1}),
        sympy.GreaterThan: frozenset({0, 1}),
        sympy.StrictLessThan: frozenset({-1}),
        sympy.LessThan: frozenset({-1, 0}),
    }
)
#: Heads whose result SymPy may replace by one of their arguments, or by a factor of it.
_TRANSPARENT = (sympy.Abs, sympy.Max, sympy.Min, sympy.Piecewise, ExprCondPair)
#: Functions that SymPy makes no exponential of, which would set a logarithm in their argument free.
_FREES_NO_LOGARITHM = frozenset({"log", "Abs", "sign", "Heaviside", "step", "Max", "Min", "relu", "airyai"})
#: Constant powers with irrational exponents in one another, at most.
_TALLEST = 6


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an admitted subexpression.

    `value` is that of a constant, None where the variable occurs; `size` counts nodes, repetitions
    included. An estimate from above, `load`, is the bit length of the largest integer that can
    come out where symbols cancel; `reach` (>= 1) is the largest rational in absolute value outside
    functions; `log_load` is the largest load under a logarithm, which exp can set free. `real`: real
    wherever it has a value, and SymPy can see it; `terms`: how many it multiplies out to, real and
    imaginary parts apart; `widest`: the most terms of any part of it.
    """

    value: float | None
    size: int
    load: int
    reach: int
    log_load: int
    real: bool
    terms: int
    widest: int


class Builder:
    """Builds SymPy expressions out of admitted ones; `column` says where an error is reported.

    Every method returns an admitted expression, takes only admitted ones, and raises InputError
    where a bound of `limits` is passed, where a constant is not a finite real number, or where the
    time is spent.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._deadline = Deadline(limits.seconds)
        self._facts: dict[sympy.Basic, Facts] = {}

    def value(self, expression: Expr) -> float | None:
        """The value of an admitted constant to double precision, None where it has the variable in it."""
        return self._facts[expression].value

    def add(self, terms: Sequence[Expr], column: int | None) -> Expr:
        """The sum of `terms`."""
        return self._fold(sympy.Add, terms, column)

    def multiply(self, factors: Sequence[Expr], column: int | None) -> Expr:
        """The product of `factors`."""
        return self._fold(sympy.Mul, factors, column)

    def negate(self, term: Expr, column: int | None) -> Expr:
        """-term."""
        return self.multiply([self.admit(sympy.Integer(-1), column), term], column)

    def reciprocal(self, divisor: Expr, column: int | None) -> Expr:
        """1/divisor."""
        if self._facts[divisor].value == 0:
            raise InputError("division by zero", column=column)
        return self.power(divisor, self.admit(sympy.Integer(-1), column), column)

    def power(self, base: Expr, exponent: Expr, column: int | None) -> Expr:
        """base**exponent, refused before it is computed where it could be too large."""
        below, above = self._facts[base], self._facts[exponent]
        self._check_load((below.load + above.log_load) * above.reach, column)
        if below.value is not None and below.value <= 0 and above.value is None:
            raise InputError("a constant base <= 0 under a varying exponent is not real everywhere", column=column)
        if below.value == 0 and above.value is not None and above.value < 0:
            raise InputError("division by zero", column=column)
        if above.value is not None and _height(exponent) >= _TALLEST:
            # SymPy asks for signs and integers along such a tower, at a cost that doubles with each storey.
            raise InputError(f"constant powers are nested more than {_TALLEST} deep: write the number", column=column)
        return self._make(column, sympy.Pow, base, exponent)

    def call(self, entry: ParserEntry, arguments: Sequence[Expr], column: int | None) -> Expr:
        """The registry's function `entry` of `arguments`."""
        name, given = entry.names[0], len(arguments)
        if not entry.min_args <= given <= entry.max_args:
            some = entry.min_args if entry.min_args == entry.max_args else f"{entry.min_args} to {entry.max_args}"
            raise InputError(f"{name} takes {some} argument{'' if some == 1 else 's'}, not {given}", column=column)
        nested = sum(len(part.args) if isinstance(part, (sympy.Max, sympy.Min)) else 1 for part in arguments)
        if nested > self.limits.extremes:
            raise InputError(
                f"{name} takes at most {self.limits.extremes} arguments, nested ones included", column=column
            )
        self._check_choice(entry, arguments, column)
        largest = CONSTANT_ARGUMENT.get(name)
        for argument in arguments:
            facts = self._facts[argument]
            if largest is not None and facts.value is not None and abs(facts.value) > largest:
                raise InputError(f"a constant argument of {name} is at most {largest} in size", column=column)
            if name not in _FREES_NO_LOGARITHM:
                self._check_load(facts.reach * facts.log_load, column)
        return self._make(column, entry.build, *arguments)

    def relation(self, head: type, left: Expr, right: Expr, column: int | None) -> Boolean:
        """left < right and its like, `head` a SymPy relational; true or false where both are constants."""
        if left.has(sympy.Piecewise) or right.has(sympy.Piecewise):
            raise InputError("a condition may not hold a Piecewise: write its cases out", column=column)
        difference = self.add([left, self.negate(right, column)], column)
        value = self._facts[difference].value
        if value is not None:
            return sympy.true if (value > 0) - (value < 0) in _FROM_SIGN[head] else sympy.false
        # Unevaluated: SymPy's own evaluation asks for signs, at a cost that grows with the depth.
        return self.admit(head(left, right, evaluate=False), column)

    def combine(self, head: type, conditions: Sequence[Boolean], column: int | None) -> Boolean:
        """sympy.And or sympy.Or of `conditions`."""
        return self._make(column, head, *conditions)

    def invert(self, condition: Boolean, column: int | None) -> Boolean:
        """Not condition, carried down to the comparisons, so that none but And, Or and comparisons are left."""
        if condition in (sympy.true, sympy.false):
            return sympy.false if condition == sympy.true else sympy.true
        if isinstance(condition, (sympy.And, sympy.Or)):
            head = sympy.Or if isinstance(condition, sympy.And) else sympy.And
            return self.combine(head, [self.invert(part, column) for part in condition.args], column)
        return self.admit(_NEGATED[type(condition)](*condition.args, evaluate=False), column)

    def piecewise(self, cases: Sequence[tuple[Expr, Boolean]], column: int | None) -> Expr:
        """Piecewise of (value, condition), the first condition that holds counts; it must be defined everywhere."""
        kept: list[tuple[Expr, Boolean]] = []
        for value, condition in cases:
            if condition != sympy.false:
                kept.append((value, condition))
            if condition == sympy.true:
                break
        if not kept or self.combine(sympy.Or, [condition for _, condition in kept], column) != sympy.true:
            raise InputError(
                "Piecewise has no value where none of its conditions holds: end it with (value, True)", column=column
            )
        # The conditions cover the line, so the last one holds wherever the others do not.
        kept[-1] = (kept[-1][0], sympy.true)
        if len(kept) == 1:
            return kept[0][0]
        with self._guard(column):
            # Unevaluated: evaluation would solve the conditions for the variable.
            result = sympy.Piecewise(*kept, evaluate=False)
        return self.admit(result, column)

    def admit(self, expression: sympy.Basic, column: int | None) -> sympy.Basic:
        """Check every subexpression that is not known yet, innermost first, and return `expression`."""
        pending = [expression]
        while pending:
            node = pending[-1]
            unknown = [] if node in self._facts else [part for part in node.args if part not in self._facts]
            if unknown:
                pending.extend(unknown)
                continue
            pending.pop()
            if node not in self._facts:
                self._deadline.check(column)
                self._facts[node] = self._examine(node, column)
        return expression

    def _make(self, column: int | None, head: Callable[..., sympy.Basic], *arguments: sympy.Basic) -> sympy.Basic:
        self._deadline.check(column)
        with self._guard(column):
            result = head(*arguments)
        self._deadline.check(column)
        return self.admit(result, column)

    def _fold(self, head: type, parts: Sequence[Expr], column: int | None) -> Expr:
        if sum(self._facts[part].load for part in parts) <= 4 * self.limits.bits:
            return self._make(column, head, *parts)
        # One by one, so that a common denominator of too many digits is seen before it has grown.
        total = parts[0]
        for part in parts[1:]:
            total = self._make(column, head, total, part)
        return total

    @contextmanager
    def _guard(self, column: int | None) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            if error.column is not None or column is None:
                raise
            raise type(error)(str(error), column=column) from None
        except _NO_VALUE as error:
            raise InputError(f"this has no value SymPy can build ({type(error).__name__})", column=column) from error

    def _check_choice(self, entry: ParserEntry, arguments: Sequence[Expr], column: int | None) -> None:
        """Refuse a Piecewise inside the condition of another, which SymPy would multiply out, before it is built."""
        if not any(argument.has(sympy.Piecewise) for argument in arguments):
            return
        plain = [sympy.Dummy(real=True) if argument.has(sympy.Piecewise) else argument for argument in arguments]
        with self._guard(column):
            chooses = entry.build(*plain).has(sympy.Piecewise)
        if chooses:
            raise InputError(
                f"{entry.names[0]} chooses by its argument, which may not be chosen by a Piecewise in turn:"
                " write its cases out",
                column=column,
            )

    def _check_load(self, bits: int, column: int | None) -> None:
        if bits > self.limits.bits:
            digits = int(self.limits.bits * 0.30103)
            raise InputError(f"a number of more than {digits} digits could arise here: too large", column=column)

    def _examine(self, node: sympy.Basic, column: int | None) -> Facts:
        if node in (sympy.zoo, sympy.oo, -sympy.oo):
            raise InputError("this is infinite: a division by zero, or a function at its pole", column=column)
        if node is sympy.nan:
            raise InputError("this is not a number: it is undefined", column=column)
        if node is sympy.I:
            raise InputError("this is not real: a root or a logarithm of a negative number", column=column)
        facts = self._structure(node, [self._facts[part] for part in node.args], column)
        if facts.size > self.limits.size:
            raise InputError(f"the formula has more than {self.limits.size} operations written out", column=column)
        if not facts.real and facts.widest > self.limits.spread:
            raise InputError(
                "this is too large for something that is not real everywhere by its form: write it so that the"
                " arguments of log, sqrt, asin, acos, ... are plainly in their domains",
                column=column,
            )
        self._check_load(facts.load, column)
        return facts

    def _structure(self, node: sympy.Basic, parts: Sequence[Facts], column: int | None) -> Facts:
        value = self._constant(node, parts, column)
        size = 1 + sum(part.size for part in parts)
        load = max((part.load for part in parts), default=0)
        reach = max((part.reach for part in parts), default=1)
        log_load = max((part.log_load for part in parts), default=0)
        if isinstance(node, sympy.Rational):
            load = max(int(node.p).bit_length(), int(node.q).bit_length())
            reach = max(1, abs(int(node.p)) // int(node.q) + 1) if load <= self.limits.bits else 1
        elif isinstance(node, sympy.Mul):
            load = sum(part.load for part in parts)
        elif isinstance(node, sympy.Pow):
            self._check_exponent(parts[0], parts[1], column)
            load = parts[0].load * parts[1].reach
        elif isinstance(node, sympy.exp):
            load, reach = parts[0].reach * parts[0].log_load, 1
        elif isinstance(node, sympy.log):
            load, reach, log_load = 0, 1, max(parts[0].load, log_load)
        elif isinstance(node, sympy.Function) and not isinstance(node, _TRANSPARENT):
            load, reach = 0, 1
        real = _is_real(node, parts)
        terms = min(_terms(node, parts, real), _MANY)
        widest = max([terms, *(part.widest for part in parts)])
        return Facts(value, size, load, reach, log_load, real, terms, widest)

    def _check_exponent(self, base: Facts, exponent: Facts, column: int | None) -> None:
        if base.value is None and exponent.value is not None and abs(exponent.value) > self.limits.power:
            raise InputError(
                f"an exponent of a varying base is at most {self.limits.power} in size (exp(n*t) takes any n)",
                column=column,
            )

    def _constant(self, node: sympy.Basic, parts: Sequence[Facts], column: int | None) -> float | None:
        if not isinstance(node, sympy.Expr) or isinstance(node, sympy.Symbol):
            return None
        if any(part.value is None for part in parts):
            return None
        if isinstance(node, sympy.Rational):
            if node != 0 and not 1 / _LARGEST <= abs(node) <= _LARGEST:
                raise InputError("this constant is outside the range of doubles", column=column)
            return float(node)
        try:
            number = node.evalf(_DIGITS, maxn=_MAX_DIGITS, strict=True)
        except PrecisionExhausted:
            raise InputError("this constant cannot be told from zero: write 0 or simplify it", column=column) from None
        except _NO_VALUE as error:
            raise InputError(f"this constant has no value ({type(error).__name__})", column=column) from error
        if number.has(sympy.I):
            raise InputError("this is not real: a root or a logarithm of a negative number", column=column)
        if not isinstance(number, (sympy.Float, sympy.Rational)):
            raise InputError("this constant has no finite real value", column=column)
        if number != 0 and not 1 / _LARGEST <= abs(number) <= _LARGEST:
            raise InputError("this constant is outside the range of doubles", column=column)
        return float(number)


def _height(constant: Expr) -> int:
    """How many powers with exponents that are no rational numbers lie in one another."""
    own = isinstance(constant, sympy.Pow) and not constant.exp.is_Rational
    return int(own) + max((_height(part) for part in constant.args), default=0)


def _is_real(node: sympy.Basic, parts: Sequence[Facts]) -> bool:
    if not all(part.real for part in parts):
        return False
    if not parts or not isinstance(node, sympy.Expr) or isinstance(node, (sympy.Add, sympy.Mul, ExprCondPair)):
        return True
    # SymPy answers cheaply where every part is known to be real; elsewhere it would split them.
    return bool(isinstance(node, sympy.Pow) and node.exp.is_Integer) or bool(node.is_extended_real)


def _terms(node: sympy.Basic, parts: Sequence[Facts], real: bool) -> int:
    if isinstance(node, sympy.Add):
        return sum(part.terms for part in parts)
    if isinstance(node, sympy.Mul):
        return math.prod(part.terms for part in parts)
    own = 1 if real else 2
    if isinstance(node, sympy.Pow) and node.exp.is_Rational:
        power = abs(int(node.exp.p)) // int(node.exp.q)
        return own * math.comb(parts[0].terms + power - 1, power) if power <= _MANY else _MANY
    return own
