"""The parser's front door: text in, `ActivationSpec` out."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from fractions import Fraction

import sympy
from sympy import Expr

from kernelc.errors import InputError
from kernelc.functions import PARSER_ENTRIES, ParserEntry
from kernelc.model import VARIABLE, ActivationSpec, DualKernelSpec
from kernelc.parse.builder import Builder
from kernelc.parse.lexer import parse_syntax
from kernelc.parse.limits import Limits
from kernelc.parse.names import CONSTANTS, DUAL_VARIABLES, check_name, check_parameter_name
from kernelc.parse.visitor import FormulaVisitor, check_dual_names, check_names, check_size, free_names

ParameterValue = str | int | float | Fraction

_MOST_PARAMETERS = 64


def parse_activation(
    text: str,
    *,
    name: str,
    parameters: Mapping[str, ParameterValue] | None = None,
    source: str | None = None,
    functions: Sequence[ParserEntry] = PARSER_ENTRIES,
    seconds: float = 5.0,
) -> ActivationSpec:
    """Read a formula in one variable; nothing of `text` is ever executed.

    The grammar: + - * / ** ^ (^ is **), round brackets, decimal numbers (exact: 0.1 is 1/10), pi, E, the
    functions of the registry, Piecewise((value, condition), ..., (value, True)), `value if condition else
    other`; conditions are made of < <= > >= (chained too), And Or Not, and or not, & | ~, True, False. One
    name is the variable, every other one is a parameter. A formula without a variable is a constant activation.

    Args:
        text: the formula, at most 4096 characters.
        name: the activation's name, see `check_name`.
        parameters: name -> value; text values go by the same grammar (`"sqrt(2)/3"`), a float means its
            shortest decimal (0.1 is 1/10).
        source: where the activation comes from, carried along.
        functions: the functions that may be called.
        seconds: wall-clock limit, checked between nodes.

    Returns:
        The activation in `model.VARIABLE` (real), parameters replaced by their values. `text` has its white
        space normalised to single spaces, so that it is one line of printable ASCII.

    Raises:
        InputError: anything that is not accepted, with the 1-based column of `text` where one is known.
    """
    check_name(name)
    limits = Limits(seconds=seconds)
    builder = Builder(limits)
    values = read_parameters(parameters or {}, functions=functions, seconds=seconds)
    tree = parse_syntax(text, limits)
    check_size(tree, limits)
    variable = check_names(free_names(tree), values, functions, variable=True)
    meaning = {**CONSTANTS, **values} | ({} if variable is None else {variable: VARIABLE})
    expression = FormulaVisitor(tree, builder, functions, meaning).expression()
    return ActivationSpec(name, " ".join(text.split()), expression, tuple(sorted(values.items())), source)


def parse_dual(
    text: str,
    *,
    name: str,
    parameters: Mapping[str, ParameterValue] | None = None,
    source: str | None = None,
    functions: Sequence[ParserEntry] = PARSER_ENTRIES,
    seconds: float = 5.0,
) -> DualKernelSpec:
    """Read a dual kernel by the grammar of `parse_activation`, its variables rho, or q11, q12 and q22.

    Arguments are those of `parse_activation`. A formula without a variable is one in rho.

    Raises:
        InputError: anything that is not accepted, with the 1-based column of `text` where one is known.
    """
    check_name(name)
    limits = Limits(seconds=seconds)
    values = read_dual_parameters(parameters or {}, functions=functions, seconds=seconds)
    tree = parse_syntax(text, limits)
    check_size(tree, limits)
    variables = check_dual_names(free_names(tree), values, functions)
    meaning = {**CONSTANTS, **values, **DUAL_VARIABLES}
    expression = FormulaVisitor(tree, Builder(limits), functions, meaning).expression()
    return DualKernelSpec(name, " ".join(text.split()), expression, variables, tuple(sorted(values.items())), source)


def read_dual_parameters(
    parameters: Mapping[str, ParameterValue], *, functions: Sequence[ParserEntry], seconds: float
) -> Mapping[str, Expr]:
    """`read_parameters`, the variables' own names refused.

    Raises:
        InputError: a name or a value is not accepted; the message names the parameter.
    """
    for name in parameters:
        if name in DUAL_VARIABLES:
            raise InputError(f"'{name}' is a variable of dual kernels and takes no value")
    return read_parameters(parameters, functions=functions, seconds=seconds)


def parse_parameter_value(
    value: ParameterValue, *, functions: Sequence[ParserEntry] = PARSER_ENTRIES, seconds: float = 5.0
) -> Expr:
    """Read one parameter's value: the grammar of `parse_activation` without a variable.

    Returns:
        An exact, constant SymPy expression, finite and real, zero or 1e-308 to 1e308 in size.

    Raises:
        InputError: it is no such number.
    """
    limits = Limits(seconds=seconds)
    if isinstance(value, str):
        tree = parse_syntax(value, limits)
        check_size(tree, limits)
        check_names(free_names(tree), {}, functions, variable=False)
        return FormulaVisitor(tree, Builder(limits), functions, CONSTANTS).expression()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"a parameter's value is a number, not {type(value).__name__}")
    if not isinstance(value, numbers.Rational) and not math.isfinite(value):
        raise InputError("a parameter's value is finite")
    # A float is meant as the decimal that was typed, as on the command line.
    exact = Fraction(value) if isinstance(value, numbers.Rational) else Fraction(repr(float(value)))
    return Builder(limits).admit(sympy.Rational(exact.numerator, exact.denominator), None)


def read_parameters(
    parameters: Mapping[str, ParameterValue], *, functions: Sequence[ParserEntry], seconds: float
) -> Mapping[str, Expr]:
    """Check the names and read the values of all parameters.

    Raises:
        InputError: a name or a value is not accepted; the message names the parameter.
    """
    if len(parameters) > _MOST_PARAMETERS:
        raise InputError(f"{len(parameters)} parameters: at most {_MOST_PARAMETERS} are accepted")
    values = {}
    for name, value in parameters.items():
        check_parameter_name(name)
        try:
            values[name] = parse_parameter_value(value, functions=functions, seconds=seconds)
        except InputError as error:
            raise InputError(f"parameter {name}: {error}") from None
    return values
