"""A SymPy expression given in Python to `ActivationSpec`: the same allow-list, bounds and builder as for text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

import sympy
from sympy import Expr
from sympy.functions.elementary.piecewise import ExprCondPair

from kernelc.errors import InputError
from kernelc.functions import PARSER_ENTRIES, ParserEntry
from kernelc.model import VARIABLE, ActivationSpec, DualKernelSpec
from kernelc.parse.builder import Builder
from kernelc.parse.formula import ParameterValue, read_dual_parameters, read_parameters
from kernelc.parse.limits import Limits
from kernelc.parse.names import DUAL_VARIABLES, check_name, check_parameter_name, shown
from kernelc.parse.visitor import check_dual_names, check_names, function_table

#: Heads whose SymPy name is not the one that is typed.
_TYPED_NAME: Mapping[str, str] = MappingProxyType({"polygamma": "digamma", "Sinc": "sinc", "LambertW0": "lambertw"})
_RELATIONS = (sympy.StrictLessThan, sympy.LessThan, sympy.StrictGreaterThan, sympy.GreaterThan)
_FLOAT_BITS = 53
_FUNCTIONS = (sympy.Function, sympy.Max, sympy.Min)
_ATOMS = (sympy.Symbol, sympy.Number, sympy.NumberSymbol, type(sympy.I), type(sympy.zoo))
_Checked = TypeVar("_Checked")
_EXPRESSIONS = (*_ATOMS, *_FUNCTIONS, sympy.Add, sympy.Mul, sympy.Pow)


def from_sympy(
    expression: sympy.Expr,
    *,
    name: str,
    parameters: Mapping[str, ParameterValue] | None = None,
    source: str | None = None,
    functions: Sequence[ParserEntry] = PARSER_ENTRIES,
    seconds: float = 5.0,
) -> ActivationSpec:
    """Read a SymPy expression in one free symbol, which becomes `model.VARIABLE`.

    The expression is built anew, node by node, with the variable real: sqrt(x**2) becomes Abs(t). Floats
    of double precision mean their shortest decimal (0.1 is 1/10). The value of Heaviside at 0 is dropped: a
    single point has no weight in the kernel.

    Args:
        expression: made of what `parse_activation` accepts; its free symbols assume no more than being real.
        name: the activation's name, see `check_name`.
        parameters: name of a free symbol -> value, as in `parse_activation`.
        source: where the activation comes from, carried along.
        functions: the functions that may occur.
        seconds: wall-clock limit, checked between nodes.

    Returns:
        The activation; `text` is SymPy's spelling of `expression`.

    Raises:
        InputError: a head that is not accepted, more than one free symbol, or what `parse_activation` refuses.
    """
    check_name(name)
    limits = Limits(seconds=seconds)
    values = read_parameters(parameters or {}, functions=functions, seconds=seconds)
    order = _admissible(expression, limits, "an activation")
    found = _symbols(order, values, {})
    variable = _without_column(lambda: check_names(found, values, functions, variable=True))
    meaning = dict(values) if variable is None else {**values, variable: VARIABLE}
    rebuilt = _Rebuilder(Builder(limits), functions, meaning).rebuild(order)
    return ActivationSpec(name, _written(expression), rebuilt, tuple(sorted(values.items())), source)


def dual_from_sympy(
    expression: sympy.Expr,
    *,
    name: str,
    parameters: Mapping[str, ParameterValue] | None = None,
    source: str | None = None,
    functions: Sequence[ParserEntry] = PARSER_ENTRIES,
    seconds: float = 5.0,
) -> DualKernelSpec:
    """Read a dual kernel in the symbols rho, or q11, q12, q22, told by their names; see `from_sympy`.

    rho and q12 may be assumed real, q11 and q22 positive.

    Raises:
        InputError: a head or a symbol that is not accepted, or what `parse_dual` refuses.
    """
    check_name(name)
    limits = Limits(seconds=seconds)
    values = read_dual_parameters(parameters or {}, functions=functions, seconds=seconds)
    order = _admissible(expression, limits, "a dual kernel")
    found = _symbols(order, values, DUAL_VARIABLES)
    variables = _without_column(lambda: check_dual_names(found, values, functions))
    rebuilt = _Rebuilder(Builder(limits), functions, {**values, **DUAL_VARIABLES}).rebuild(order)
    return DualKernelSpec(name, _written(expression), rebuilt, variables, tuple(sorted(values.items())), source)


def _admissible(expression: sympy.Expr, limits: Limits, what: str) -> list[sympy.Basic]:
    """The subexpressions, innermost first, every head of which is accepted."""
    if not isinstance(expression, sympy.Expr):
        raise InputError(f"{what} is text or a sympy.Expr, not {type(expression).__name__}")
    order = _innermost_first(expression, limits)
    for node in reversed(order):
        if isinstance(node, sympy.Expr) and not isinstance(node, _EXPRESSIONS):
            raise InputError(f"SymPy's {shown(type(node).__name__)} is not part of {what}")
    return order


def _symbols(
    order: Sequence[sympy.Basic], values: Mapping[str, Expr], variables: Mapping[str, sympy.Symbol]
) -> Mapping[str, int]:
    """The names of the symbols, each with a column that means nothing."""
    symbols = [node for node in order if isinstance(node, sympy.Symbol)]
    for symbol in symbols:
        _check_symbol(symbol, values, variables.get(symbol.name, VARIABLE))
    found = {symbol.name: 1 for symbol in symbols}
    if len(found) < len(symbols):
        raise InputError("two symbols of one name, with different assumptions, are not one variable")
    return found


def _written(expression: sympy.Expr) -> str:
    try:
        return str(expression)
    except (RecursionError, ValueError):
        raise InputError("the expression is nested too deeply to be written out") from None


def _without_column(check: Callable[[], _Checked]) -> _Checked:
    try:
        return check()
    except InputError as error:
        if error.column is None:
            raise
        # There is no text, so its column says nothing.
        raise InputError(str(error).partition(": ")[2]) from None


def _innermost_first(expression: sympy.Basic, limits: Limits) -> list[sympy.Basic]:
    """Every distinct subexpression after its own arguments; no recursion, so that depth does no harm."""
    order: list[sympy.Basic] = []
    done: set[sympy.Basic] = set()
    pending = [(expression, False)]
    while pending:
        node, ready = pending.pop()
        if node in done:
            continue
        if len(order) + len(pending) > 2 * limits.size:
            raise InputError(f"the expression is too large: at most {limits.size} operations are accepted")
        if ready or not node.args:
            done.add(node)
            order.append(node)
            continue
        pending.append((node, True))
        pending.extend((part, False) for part in node.args)
    return order


def _check_symbol(symbol: sympy.Symbol, values: Mapping[str, Expr], stands_for: sympy.Symbol) -> None:
    try:
        check_parameter_name(symbol.name)
    except InputError:
        raise InputError(f"the symbol's name {shown(symbol.name)} is not accepted: rename it") from None
    if symbol.name not in values and not symbol.assumptions0.items() <= stands_for.assumptions0.items():
        kind = "positive" if stands_for.is_positive else "real"
        raise InputError(
            f"the symbol '{symbol.name}' assumes more than being {kind}, so SymPy may have simplified what holds"
            f" only for some of its values: use sympy.Symbol(..., {kind}=True)"
        )


class _Rebuilder:
    """Builds an expression anew from its innermost parts, each by the builder that serves text too."""

    def __init__(self, builder: Builder, functions: Sequence[ParserEntry], values: Mapping[str, Expr]) -> None:
        self._builder = builder
        self._functions = function_table(functions)
        self._values = values
        self._built: dict[sympy.Basic, sympy.Basic] = {}

    def rebuild(self, order: Sequence[sympy.Basic]) -> Expr:
        """The last of `order`, which lists every subexpression after its arguments."""
        for node in order:
            self._built[node] = self._node(node, [self._built[part] for part in node.args])
        return self._built[order[-1]]

    def _node(self, node: sympy.Basic, parts: Sequence[sympy.Basic]) -> sympy.Basic:
        make = self._builder
        match node:
            case sympy.Symbol():
                return make.admit(self._values[node.name], None)
            case sympy.Float():
                return make.admit(_exact(node), None)
            case _ if isinstance(node, _ATOMS):
                return make.admit(node, None)
            case sympy.Add():
                return make.add(parts, None)
            case sympy.Mul():
                return make.multiply(parts, None)
            case sympy.Pow():
                return make.power(parts[0], parts[1], None)
            case _ if isinstance(node, _FUNCTIONS) and not isinstance(node, sympy.Piecewise):
                return self._function(node, parts)
            case _:
                return self._condition(node, parts)

    def _condition(self, node: sympy.Basic, parts: Sequence[sympy.Basic]) -> sympy.Basic:
        make = self._builder
        match node:
            case sympy.logic.boolalg.BooleanAtom():
                return node
            case ExprCondPair():
                # Taken apart again by the Piecewise that holds it.
                return sympy.Tuple(*parts)
            case sympy.Piecewise():
                return make.piecewise([(pair[0], pair[1]) for pair in parts], None)
            case sympy.And() | sympy.Or():
                return make.combine(type(node), parts, None)
            case sympy.Not():
                return make.invert(parts[0], None)
            case sympy.Equality() | sympy.Unequality():
                raise InputError("== and != are refused: a single point has no weight in the kernel")
            case _ if type(node) in _RELATIONS:
                return make.relation(type(node), parts[0], parts[1], None)
            case _:
                raise InputError(f"SymPy's {shown(type(node).__name__)} is not part of an activation")

    def _function(self, node: sympy.Function, parts: Sequence[Expr]) -> Expr:
        head = type(node)
        typed = _TYPED_NAME.get(head.__name__, head.__name__)
        entry = self._functions.get(typed)
        ours = str(head.__module__).partition(".")[0] in ("sympy", "kernelc")
        if entry is None or not ours or isinstance(node, sympy.core.function.AppliedUndef):
            known = ", ".join(sorted({known.names[0] for known in self._functions.values()}))
            raise InputError(f"the function {shown(head.__name__)} is not accepted; known: {known}")
        if isinstance(node, sympy.Heaviside):
            parts = parts[:1]
        elif isinstance(node, sympy.polygamma):
            if parts[0] != 0:
                raise InputError("polygamma is accepted with order 0 only (digamma)")
            parts = parts[1:]
        return self._builder.call(entry, parts, None)


def _exact(number: sympy.Float) -> sympy.Rational:
    """The decimal that was meant: the shortest for a double, all stated digits for any other precision."""
    if number != 0 and not sympy.Float("1e-308") <= abs(number) <= sympy.Float("1e308"):
        raise InputError("a constant is outside the range of doubles")
    exact = Fraction(repr(float(number)) if number._prec == _FLOAT_BITS else str(number))
    return sympy.Rational(exact.numerator, exact.denominator)
