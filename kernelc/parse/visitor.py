"""Walks Python's syntax tree of a formula and has the builder make SymPy of it: one short method per node type.

A node type that is not named here is refused, so what Python's grammar may grow is refused too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import sympy
from sympy import Expr
from sympy.logic.boolalg import Boolean

from kernelc.errors import InputError
from kernelc.functions import ParserEntry
from kernelc.parse.builder import Builder
from kernelc.parse.lexer import SyntaxTree, read_literal
from kernelc.parse.limits import Limits
from kernelc.parse.names import BUILT_IN_HEADS, CONSTANTS, DUAL_VARIABLES, RESERVED, shown, suggestion

_RELATIONS: Mapping[type, type] = MappingProxyType(
    {ast.Lt: sympy.StrictLessThan, ast.LtE: sympy.LessThan, ast.Gt: sympy.StrictGreaterThan, ast.GtE: sympy.GreaterThan}
)
_JUNCTIONS: Mapping[type, type] = MappingProxyType(
    {ast.And: sympy.And, ast.Or: sympy.Or, ast.BitAnd: sympy.And, ast.BitOr: sympy.Or}
)
_HEAD_JUNCTIONS: Mapping[str, type] = MappingProxyType({"And": sympy.And, "Or": sympy.Or})
_SUM = (ast.Add, ast.Sub)
_PRODUCT = (ast.Mult, ast.Div)


def function_table(functions: Sequence[ParserEntry]) -> Mapping[str, ParserEntry]:
    """Every name in the registry -> its entry."""
    return MappingProxyType({name: entry for entry in functions for name in entry.names})


def free_names(tree: SyntaxTree) -> Mapping[str, int]:
    """Every name that stands for a number (not those that are called) -> the column where it first stands."""
    nodes = list(ast.walk(tree.body))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    found: dict[str, int] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and id(node) not in called:
            column = tree.column(node)
            found[node.id] = min(column, found.get(node.id, column))
    return MappingProxyType(found)


def check_size(tree: SyntaxTree, limits: Limits) -> None:
    """Refuse a tree of too many nodes.

    Raises:
        InputError: it has more than `limits.nodes` nodes.
    """
    count = sum(isinstance(node, ast.expr) for node in ast.walk(tree.body))
    if count > limits.nodes:
        raise InputError(f"the formula has {count} parts: at most {limits.nodes} are accepted")


class FormulaVisitor:
    """Turns one syntax tree into one SymPy expression; `values` says what each name stands for."""

    def __init__(
        self, tree: SyntaxTree, builder: Builder, functions: Sequence[ParserEntry], values: Mapping[str, Expr]
    ) -> None:
        self._tree = tree
        self._builder = builder
        self._functions = function_table(functions)
        self._known = tuple(entry.names[0] for entry in functions) + BUILT_IN_HEADS
        self._values = values
        self._depth = 0
        self._numbers: Mapping[type, Callable[..., Expr]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.Call: self._call,
            ast.IfExp: self._conditional,
        }
        self._conditions: Mapping[type, Callable[..., Boolean]] = {
            ast.Constant: self._truth,
            ast.Compare: self._compare,
            ast.BoolOp: self._junction,
            ast.BinOp: self._bit_junction,
            ast.UnaryOp: self._not,
            ast.Call: self._condition_call,
        }

    def expression(self) -> Expr:
        """The whole formula as an admitted SymPy expression."""
        return self._number(self._tree.body)

    def _number(self, node: ast.expr) -> Expr:
        handler = self._numbers.get(type(node))
        if handler is None:
            raise self._refused(node)
        return self._descend(handler, node)

    def _condition(self, node: ast.expr) -> Boolean:
        handler = self._conditions.get(type(node))
        if handler is None:
            raise InputError("a condition is expected here, such as t > 0", column=self._tree.column(node))
        return self._descend(handler, node)

    def _descend(self, handler: Callable[..., sympy.Basic], node: ast.expr) -> sympy.Basic:
        self._depth += 1
        if self._depth > self._builder.limits.nesting:
            raise InputError(
                f"the formula is nested too deeply: at most {self._builder.limits.nesting} levels",
                column=self._tree.column(node),
            )
        result = handler(node)
        self._depth -= 1
        return result

    def _refused(self, node: ast.expr) -> InputError:
        column = self._tree.column(node)
        if isinstance(node, (ast.Compare, ast.BoolOp)):
            return InputError(
                "a condition stands where a number is expected: use Piecewise or 'value if condition else other'",
                column=column,
            )
        if isinstance(node, ast.Tuple):
            return InputError("a ',' stands where a number is expected; decimals are written 0.5", column=column)
        if isinstance(node, ast.Starred):
            return InputError("'*' before an argument is not part of a formula", column=column)
        return InputError(f"{type(node).__name__} is not part of a formula", column=column)

    # Numbers

    def _constant(self, node: ast.Constant) -> Expr:
        token = self._tree.token(node)
        if token.kind != "number":
            raise InputError(f"{token.text} stands only in conditions", column=token.column)
        value = read_literal(token, self._builder.limits)
        return self._builder.admit(sympy.Rational(value.numerator, value.denominator), token.column)

    def _name(self, node: ast.Name) -> Expr:
        return self._builder.admit(self._values[node.id], self._tree.column(node))

    def _unary(self, node: ast.UnaryOp) -> Expr:
        if isinstance(node.op, (ast.Not, ast.Invert)):
            raise InputError("'not' stands only in conditions", column=self._tree.column(node))
        operand = self._number(node.operand)
        return operand if isinstance(node.op, ast.UAdd) else self._builder.negate(operand, self._tree.column(node))

    def _binary(self, node: ast.BinOp) -> Expr:
        column = self._tree.column(node)
        if isinstance(node.op, _SUM):
            terms = [self._signed(negative, part) for negative, part in _spine(node, _SUM, ast.Sub)]
            return self._builder.add(terms, column)
        if isinstance(node.op, _PRODUCT):
            factors = [self._factor(inverse, part) for inverse, part in _spine(node, _PRODUCT, ast.Div)]
            return self._builder.multiply(factors, column)
        if isinstance(node.op, ast.Pow):
            return self._builder.power(self._number(node.left), self._number(node.right), column)
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            raise InputError("'&' and '|' stand only between conditions, each in brackets", column=column)
        raise InputError(f"the operator {type(node.op).__name__} is not part of a formula", column=column)

    def _signed(self, negative: bool, node: ast.expr) -> Expr:
        term = self._number(node)
        return self._builder.negate(term, self._tree.column(node)) if negative else term

    def _factor(self, inverse: bool, node: ast.expr) -> Expr:
        factor = self._number(node)
        return self._builder.reciprocal(factor, self._tree.column(node)) if inverse else factor

    def _conditional(self, node: ast.IfExp) -> Expr:
        cases = [(self._number(node.body), self._condition(node.test)), (self._number(node.orelse), sympy.true)]
        return self._builder.piecewise(cases, self._tree.column(node))

    def _call(self, node: ast.Call) -> Expr:
        name = self._called(node)
        column = self._tree.column(node)
        if name == "Piecewise":
            return self._builder.piecewise([self._case(argument) for argument in node.args], column)
        if name in BUILT_IN_HEADS:
            raise InputError(f"{name} makes a condition, and a number is expected here", column=column)
        entry = self._functions.get(name)
        if entry is None:
            raise self._unknown_function(name, column)
        return self._builder.call(entry, [self._number(argument) for argument in node.args], column)

    def _called(self, node: ast.Call) -> str:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise InputError("only a function's name is called, as in exp(t)", column=self._tree.column(node))
        return node.func.id

    def _unknown_function(self, name: str, column: int) -> InputError:
        if name in self._values or name in CONSTANTS:
            return InputError(f"'{name}' is not a function; a product is written {name}*(...)", column=column)
        hint = suggestion(name, [*self._functions, *BUILT_IN_HEADS])
        return InputError(f"unknown function '{name}'{hint}; known: {', '.join(self._known)}", column=column)

    def _case(self, node: ast.expr) -> tuple[Expr, Boolean]:
        if not isinstance(node, ast.Tuple) or len(node.elts) != 2:
            raise InputError(
                "Piecewise takes pairs: Piecewise((value, condition), ..., (value, True))",
                column=self._tree.column(node),
            )
        return self._number(node.elts[0]), self._condition(node.elts[1])

    # Conditions

    def _truth(self, node: ast.Constant) -> Boolean:
        if node.value is True or node.value is False:
            return sympy.true if node.value else sympy.false
        raise InputError("a condition is expected here, such as t > 0", column=self._tree.column(node))

    def _compare(self, node: ast.Compare) -> Boolean:
        column = self._tree.column(node)
        sides = [node.left, *node.comparators]
        for operator in node.ops:
            if type(operator) not in _RELATIONS:
                raise InputError(
                    "'==' and '!=' are refused: a single point has no weight in the kernel; use <, <=, >, >=",
                    column=column,
                )
        values = [self._number(side) for side in sides]
        found = [
            self._builder.relation(_RELATIONS[type(operator)], left, right, column)
            for operator, left, right in zip(node.ops, values[:-1], values[1:], strict=True)
        ]
        return self._builder.combine(sympy.And, found, column)

    def _junction(self, node: ast.BoolOp) -> Boolean:
        parts = [self._condition(part) for part in node.values]
        return self._builder.combine(_JUNCTIONS[type(node.op)], parts, self._tree.column(node))

    def _bit_junction(self, node: ast.BinOp) -> Boolean:
        head = _JUNCTIONS.get(type(node.op))
        if head is None:
            raise InputError("a condition is expected here, such as t > 0", column=self._tree.column(node))
        parts = [self._condition(part) for _, part in _spine(node, (type(node.op),))]
        return self._builder.combine(head, parts, self._tree.column(node))

    def _not(self, node: ast.UnaryOp) -> Boolean:
        column = self._tree.column(node)
        if not isinstance(node.op, (ast.Not, ast.Invert)):
            raise InputError("a condition is expected here, such as t > 0", column=column)
        return self._builder.invert(self._condition(node.operand), column)

    def _condition_call(self, node: ast.Call) -> Boolean:
        name, column = self._called(node), self._tree.column(node)
        parts = node.args
        if name in _HEAD_JUNCTIONS and parts:
            return self._builder.combine(_HEAD_JUNCTIONS[name], [self._condition(part) for part in parts], column)
        if name == "Not" and len(parts) == 1:
            return self._builder.invert(self._condition(parts[0]), column)
        if name in (*_HEAD_JUNCTIONS, "Not"):
            raise InputError(f"{name} takes {'one condition' if name == 'Not' else 'conditions'}", column=column)
        raise InputError("a condition is expected here, such as t > 0", column=column)


def _spine(node: ast.expr, operators: tuple[type, ...], inverse: type | None = None) -> Iterator[tuple[bool, ast.expr]]:
    """The operands of a chain a + b - c + ..., left to right, with whether each is inverted (- or /)."""
    right_to_left: list[tuple[bool, ast.expr]] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, operators):
        right_to_left.append((inverse is not None and isinstance(node.op, inverse), node.right))
        node = node.left
    yield False, node
    yield from reversed(right_to_left)


def check_names(
    found: Mapping[str, int], parameters: Mapping[str, Expr], functions: Sequence[ParserEntry], *, variable: bool
) -> str | None:
    """The one name among `found` that is the variable, None where there is none.

    `found` maps names to columns; `variable` is False where no free variable is accepted.

    Raises:
        InputError: a reserved name, a function that is not called, two variables (both are named), a
            variable where none is accepted, or a parameter that the formula does not have.
    """
    free = _unreserved(found, parameters, functions)
    known = [*parameters, *CONSTANTS]
    if free and not variable:
        column, name = free[0]
        raise InputError(f"unknown name '{name}'{suggestion(name, known)}; a value is a number", column=column)
    if len(free) > 1:
        raise _two_variables(free, known)
    _check_unused(found, parameters, [name for _, name in free])
    return free[0][1] if free else None


def check_dual_names(
    found: Mapping[str, int], parameters: Mapping[str, Expr], functions: Sequence[ParserEntry]
) -> Literal["correlation", "covariance"]:
    """Which variables the formula of a dual kernel is written in: rho alone, or q11, q12, q22.

    Raises:
        InputError: a reserved name, a name that is neither variable nor parameter, both kinds of variables,
            or a parameter that the formula does not have.
    """
    free = _unreserved(found, parameters, functions)
    for column, name in free:
        if name not in DUAL_VARIABLES:
            hint = suggestion(name, [*parameters, *DUAL_VARIABLES])
            raise InputError(
                f"unknown name '{name}'{hint}; a dual kernel is a formula in rho, or in q11, q12, q22, and every other"
                f" name is a parameter with a value, such as --param {name}=1",
                column=column,
            )
    names = {name for _, name in free}
    if "rho" in names and len(names) > 1:
        other = next(name for _, name in free if name != "rho")
        raise InputError(f"'rho' and '{other}' in one formula: write it in rho alone, or in q11, q12, q22")
    _check_unused(found, parameters, list(DUAL_VARIABLES))
    return "covariance" if names - {"rho"} else "correlation"


def _unreserved(
    found: Mapping[str, int], parameters: Mapping[str, Expr], functions: Sequence[ParserEntry]
) -> list[tuple[int, str]]:
    """The names that are neither parameters nor constants, by column; refused where they mean something else."""
    table = function_table(functions)
    free = sorted((column, name) for name, column in found.items() if name not in parameters and name not in CONSTANTS)
    for column, name in free:
        if name in RESERVED:
            raise InputError(f"{shown(name)}: {RESERVED[name]}", column=column)
        if name == "e":
            raise InputError("'e' is no name here: write E or exp(...) for Euler's number", column=column)
        if name in table or name in BUILT_IN_HEADS:
            raise InputError(f"'{name}' is a function: write {name}(...)", column=column)
    return free


def _check_unused(found: Mapping[str, int], parameters: Mapping[str, Expr], near: Sequence[str]) -> None:
    unused = sorted(set(parameters) - set(found))
    if unused:
        raise InputError(f"the parameter '{unused[0]}' does not occur in the formula{suggestion(unused[0], near)}")


def _two_variables(free: Sequence[tuple[int, str]], known: Sequence[str]) -> InputError:
    # The one that is no parameter for certain is a name that people give the variable.
    names = [name for _, name in free]
    first = next((name for name in ("t", "x", "u", "z") if name in names), names[0])
    column, other = next((column, name) for column, name in free if name != first)
    return InputError(
        f"more than one free variable: '{first}' and '{other}'{suggestion(other, known)}; an activation has one,"
        f" every other name is a parameter with a value, such as --param {other}=1",
        column=column,
    )
