"""The text of `_closed_form.py`: a closed form as straight-line NumPy code with named intermediates."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from kernelc.program import (
    ActivationTerm,
    ClosedFormDual,
    ClosedFormProgram,
    FloatProgram,
    Instruction,
    SmallVarianceSeries,
)

_WIDTH = 120
#: Arithmetic used once is written into the expression that uses it, up to this many characters.
_INLINE = 72
#: and two operands together up to this many
_TOGETHER = 96
#: Quadrants in one statement: their names fit a line.
_QUADRANTS = 6
_INDENT = "    "
#: How tightly a text binds: a sum, a product, anything that needs no parentheses.
_SUM, _PRODUCT, _ATOM = 1, 2, 3

_NORMAL = ("dawson", "erf", "ndtr", "quadrant_excess", "scaled_ndtr", "scaled_quadrant")
_ARITHMETIC = {"diff_of_products": "difference_of_products", "div": "quotient"}
_NAMES = {
    "add": "sum",
    "sub": "rest",
    "mul": "product",
    "div": "ratio",
    "neg": "negative",
    "abs": "size",
    "sign": "direction",
    "max": "bounded",
    "sqrt": "root",
    "exp": "exponential",
    "expm1": "decay",
    "log": "logarithm",
    "log1p": "logarithm",
    "sin": "sine",
    "cos": "cosine",
    "atan2": "angle",
    "diff_of_products": "difference",
    "erf": "error_function",
    "ndtr": "probability",
    "scaled_ndtr": "probability",
    "dawson": "dawson_value",
    "scaled_quadrant": "quadrant",
    "quadrant_excess": "excess",
}


def literal(value: float) -> str:
    """The shortest text that reads back as the double, as a formatter leaves it (1e16)."""
    return repr(float(value)).replace("e+", "e")


def used_operations(form: ClosedFormProgram) -> frozenset[str]:
    """The operations that are printed."""
    found = set()
    for program in _programs(form):
        kept = alive(program)
        found |= {i.operation for k, i in enumerate(program.instructions) if k in kept}
    return frozenset(found)


def runtime_files(form: ClosedFormProgram) -> tuple[str, ...]:
    """The modules of `kernelc.numerics` that the printed code imports."""
    files = ["_arithmetic.py"]
    if any(dual.series is not None for dual in _duals(form)):
        files.append("_homogeneous.py")
    if needs_normal(form):
        files += ["_normal.py", "_normal_tables.py"]
    return tuple(files)


def needs_normal(form: ClosedFormProgram) -> bool:
    """Whether normal probabilities are called."""
    return bool(used_operations(form) & set(_NORMAL)) or mixes(form) or form.gated


def mixes(form: ClosedFormProgram) -> bool:
    """Whether T of a small row and one that is not has a road of its own: there T cancels as it does at small rows."""
    return bool(form.activation) and form.dual.series is not None and form.dual.order > 0


def render(form: ClosedFormProgram) -> str:
    """The body of the module."""
    parts = [_imports(form), _dual("dual", "T(q11, q12, q22) = E[sigma(u) sigma(v)]", form.dual, form)]
    if form.dual_dot is not None:
        parts.append(_dual("dual_dot", "Tdot(q11, q12, q22) = E[sigma'(u) sigma'(v)]", form.dual_dot))
    else:
        parts.append("#: No closed form of Tdot serves here.\nDUAL_DOT = None\n")
    return "\n\n".join(parts)


def numbers(form: ClosedFormProgram) -> Iterator[float]:
    """Every number that is printed."""
    for program in _programs(form):
        yield from (i.value for i in program.instructions)
    for piece in form.activation:
        for term in piece.terms:
            yield from (term.quadratic, term.linear, term.frequency, term.cosine, term.sine, *(term.gate or ()))
    if form.near_zero is not None:
        yield from (*form.near_zero.plus, *form.near_zero.minus, form.near_zero.below)
    for dual in _duals(form):
        yield from dual.variances
        if dual.series is not None:
            yield from (*dual.series.plus, *dual.series.minus, dual.series.below)
        if dual.wide is not None:
            yield dual.wide.above


def _duals(form: ClosedFormProgram) -> tuple[ClosedFormDual, ...]:
    return (form.dual,) if form.dual_dot is None else (form.dual, form.dual_dot)


def _programs(form: ClosedFormProgram) -> Iterator[FloatProgram]:
    for dual in _duals(form):
        yield dual.program
        if dual.wide is not None:
            yield dual.wide.program


def _imports(form: ClosedFormProgram) -> str:
    used, duals = used_operations(form), _duals(form)
    arithmetic = ["Array", *sorted(_ARITHMETIC[name] for name in used & set(_ARITHMETIC))]
    lines = [f"from ._arithmetic import {', '.join(arithmetic)}", "from ._closed import ClosedDual"]
    if form.activation:
        lines.insert(0, "from ._activation import Activation")
    if any(dual.series is not None for dual in duals):
        lines.append("from ._homogeneous import HomogeneousSeries")
    if mixes(form):
        lines.append("from ._mixed import MixedSeries")
    if needs_normal(form):
        lines.append(f"from ._normal import {', '.join(_normal_functions(form))}")
    return (
        '"""The closed form of the dual kernel; float64 arrays of one shape in, the same out."""\n\n'
        "from __future__ import annotations\n\nimport numpy as np\n\n" + "\n".join(lines) + "\n"
    )


def _normal_functions(form: ClosedFormProgram) -> list[str]:
    """What is imported from `_normal`, sorted."""
    found: set[str] = set()
    for program in _programs(form):
        before, together, after = print_order(program)
        found |= {program.instructions[index].operation for index in (*before, *after)} & set(_NORMAL)
        found |= {"scaled_quadrants"} if together else set()
    found |= {"ndtr"} if mixes(form) or form.gated else set()
    return sorted(found)


def _dual(name: str, meaning: str, dual: ClosedFormDual, sigma: ClosedFormProgram | None = None) -> str:
    """One of both; `sigma`: the form whose activation it has with it."""
    low, high = map(literal, dual.variances)
    parts = [_function(name, f"{meaning} for variances from {low} to {high}.", dual.program)]
    fields = [("program", name), ("variances", f"({low}, {high})")]
    fields += [("zero_at_origin", repr(dual.zero_at_origin)), ("at_origin", repr(dual.at_origin))]
    upper = name.upper()
    if dual.wide is not None:
        above = literal(dual.wide.above)
        parts.append(_function(f"{name}_wide", f"The same for variances of at least {above}.", dual.wide.program))
    if dual.series is not None:
        parts.append(_series(f"{upper}_SERIES", dual.series))
        fields += [("small", f"{upper}_SERIES"), ("small_below", f"{upper}_SERIES.below")]
    if dual.wide is not None:
        fields += [("wide", f"{name}_wide"), ("wide_above", literal(dual.wide.above))]
    if dual.order:
        fields.append(("order", repr(dual.order)))
    activation = sigma is not None and bool(sigma.activation)
    if sigma is not None and activation:
        parts.append(_activation(sigma))
        fields.append(("activation", "ACTIVATION"))
        if dual.series is not None and dual.order:
            fields.append(("mixed", f"MixedSeries(ACTIVATION, {dual.order}, ndtr)"))
    inner = "".join(f"{_INDENT}{key}={value},\n" for key, value in fields)
    last = f"{upper} = ClosedDual(\n{inner})\n"
    return "\n\n".join(parts) + ("\n" if dual.series is not None or activation else "\n\n") + last


def _series(name: str, series: SmallVarianceSeries) -> str:
    inner = f"{_INDENT}plus={_tuple(series.plus)},\n{_INDENT}minus={_tuple(series.minus)},\n"
    return (
        "#: Taylor coefficients of the activation at 0, from the right and from the left, for small variances.\n"
        f"{name} = HomogeneousSeries(\n{inner}{_INDENT}below={literal(series.below)},\n)\n"
    )


def _activation(form: ClosedFormProgram) -> str:
    """sigma by pieces; by its Taylor series at 0 where those cancel."""
    rows, pieces, near = [], form.activation, form.near_zero
    for piece in pieces:
        terms = [_row([*_term(term)], 3) for term in piece.terms]
        alone = f"{_INDENT * 2}({terms[0].strip()}),\n" if len(terms) == 1 else ""
        if 0 < len(alone) <= _WIDTH + 1 and alone.count("\n") == 1:
            rows.append(alone)
        else:
            rows.append(f"{_INDENT * 2}(\n{''.join(terms)}{_INDENT * 2}),\n" if terms else f"{_INDENT * 2}(),\n")
    ends = ["np.inf" if piece.end == float("inf") else literal(piece.end) for piece in pieces]
    fields = [f"ends=({', '.join(ends)})", f"terms=(\n{''.join(rows)}{_INDENT})"]
    if near is not None and form.dual.series is not None:
        fields += [f"{name}=DUAL_SERIES.{name}" for name in ("plus", "minus", "below")]
    elif near is not None:
        fields += [f"plus={_tuple(near.plus)}", f"minus={_tuple(near.minus)}", f"below={literal(near.below)}"]
    if form.gated:
        fields.append("ndtr=ndtr")
    inner = "".join(f"{_INDENT}{item},\n" for item in fields)
    return f"#: The activation itself, of which distances are taken.\nACTIVATION = Activation(\n{inner})\n"


def _row(items: Sequence[str], depth: int) -> str:
    """A tuple in a tuple, as a formatter leaves it."""
    line = f"{_INDENT * depth}({', '.join(items)}),\n"
    if len(line) <= _WIDTH + 1:
        return line
    broken = "".join(f"{_INDENT * (depth + 1)}{item},\n" for item in items)
    return f"{_INDENT * depth}(\n{broken}{_INDENT * depth}),\n"


def _term(term: ActivationTerm) -> Iterator[str]:
    yield repr(term.power)
    yield from map(literal, (term.quadratic, term.linear, term.frequency, term.cosine, term.sine, *(term.gate or ())))


def _tuple(values: Sequence[float]) -> str:
    return "(\n" + "".join(f"{_INDENT * 2}{literal(value)},\n" for value in values) + f"{_INDENT})"


def alive(program: FloatProgram) -> frozenset[int]:
    """The instructions that the summands depend on."""
    found: set[int] = set()
    waiting = list(program.summands)
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += program.instructions[index].arguments
    return frozenset(found)


def print_order(program: FloatProgram) -> tuple[list[int], list[int], list[int]]:
    """The instructions that are printed, in three parts: in the middle, quadrants that one call evaluates.

    All of them that depend on no other, where there are two or more; the last part depends on them.
    """
    kept = sorted(alive(program))
    together: list[int] = []
    after: list[int] = []
    for index in kept:
        instruction = program.instructions[index]
        if not {*together, *after}.isdisjoint(instruction.arguments):
            after.append(index)
        elif instruction.operation == "scaled_quadrant":
            together.append(index)
    if len(together) < 2:
        return kept, [], []
    return [index for index in kept if index not in {*together, *after}], together, after


def _function(name: str, meaning: str, program: FloatProgram) -> str:
    """One function: an assignment a named intermediate, then the sum."""
    body = _Body(program)
    head = textwrap.wrap(f'"""{meaning}"""', _WIDTH - len(_INDENT), subsequent_indent=_INDENT)
    lines = [f"def {name}(q11: Array, q12: Array, q22: Array) -> Array:", *(f"{_INDENT}{line}" for line in head)]
    return "\n".join([*lines, *body.lines, ""])


@dataclass
class _Body:
    """The statements of one function; `texts[i]` stands for instruction i in what follows it."""

    program: FloatProgram
    lines: list[str] = field(default_factory=list)
    texts: dict[int, tuple[str, int]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        before, together, after = print_order(self.program)
        uses = Counter(self.program.summands)
        for index in (*before, *together, *after):
            uses.update(self.program.instructions[index].arguments)
        for index in before:
            self._instruction(index, uses[index])
        for start in range(0, len(together), _QUADRANTS):
            self._quadrants(together[start : start + _QUADRANTS])
        for index in after:
            self._instruction(index, uses[index])
        self._return()

    def _instruction(self, index: int, uses: int) -> None:
        """A statement, or the text that is written into the expression that uses it."""
        instruction = self.program.instructions[index]
        text, binding = self._expression(instruction)
        plain = instruction.operation in ("input", "const") or text.isidentifier()
        arithmetic = instruction.operation in ("add", "sub", "mul", "neg")
        if plain or (arithmetic and uses == 1 and len(text) <= _INLINE):
            self.texts[index] = text, binding
        else:
            name = self._name(instruction)
            self._assign(name, text)
            self.texts[index] = name, _ATOM

    def _quadrants(self, together: list[int]) -> None:
        """One statement for several quadrants: a call of NumPy costs as much as hundreds of elements."""
        names, rows = [], []
        for index in together:
            instruction = self.program.instructions[index]
            arguments = [self._at(i, _SUM) for i in instruction.arguments]
            row = f"{_INDENT * 2}({', '.join(arguments)}),"
            if len(row) > _WIDTH:
                row = "\n".join([f"{_INDENT * 2}(", *(f"{_INDENT * 3}{a}," for a in arguments), f"{_INDENT * 2}),"])
            rows.append(row)
            names.append(self._name(instruction))
            self.texts[index] = names[-1], _ATOM
        targets = ", ".join(names) if len(names) > 1 else f"({names[0]},)"
        self.lines += [f"{_INDENT}{targets} = scaled_quadrants(", *rows, f"{_INDENT})"]

    def _name(self, instruction: Instruction) -> str:
        """A name that says what the value is."""
        if instruction.operation == "max":
            first = self.program.instructions[instruction.arguments[0]]
            if first.operation == "input":
                return f"floored_{first.name}"
            if first.operation == "diff_of_products" and "determinant" not in self.taken:
                self.taken["determinant"] += 1
                return "determinant"
        stem = _NAMES[instruction.operation]
        self.taken[stem] += 1
        return f"{stem}_{self.taken[stem]}"

    def _at(self, index: int, least: int) -> str:
        text, binding = self.texts[index]
        return text if binding >= least else f"({text})"

    def _call(self, function: str, instruction: Instruction) -> tuple[str, int]:
        return f"{function}({', '.join(self._at(i, _SUM) for i in instruction.arguments)})", _ATOM

    def _infix(self, sign: str, binding: int, instruction: Instruction) -> tuple[str, int]:
        """Parentheses keep the order of the operations, on which the rounding depends."""
        left, right = instruction.arguments
        # two operands that are each short enough to stand inside an expression may be too long together
        for index in sorted({left, right}, key=lambda i: -len(self.texts[i][0])):
            if len(self.texts[left][0]) + len(self.texts[right][0]) > _TOGETHER:
                self._give_name(index)
        return f"{self._at(left, binding)} {sign} {self._at(right, binding + 1)}", binding

    def _give_name(self, index: int) -> None:
        """Assign an operand that was to be written inside another expression."""
        name = self._name(self.program.instructions[index])
        self._assign(name, self.texts[index][0])
        self.texts[index] = name, _ATOM

    def _product(self, instruction: Instruction) -> tuple[str, int]:
        """A product; one by 1 or -1, which is exact, is not written out."""
        for index, other in (instruction.arguments, instruction.arguments[::-1]):
            factor = self.program.instructions[index]
            if factor.operation == "const" and factor.value == 1.0:
                return self.texts[other]
            if factor.operation == "const" and factor.value == -1.0:
                return self._negative(other)
        return self._infix("*", _PRODUCT, instruction)

    def _negative(self, index: int) -> tuple[str, int]:
        text = self._at(index, _ATOM)
        return f"-({text})" if text.startswith("-") else f"-{text}", _ATOM

    def _root(self, index: int) -> tuple[str, int]:
        text = self._at(index, _SUM)
        clipped = text == "determinant" or text.startswith("floored_")
        return (f"np.sqrt({text})" if clipped else f"np.sqrt(np.maximum({text}, 0.0))"), _ATOM

    def _expression(self, instruction: Instruction) -> tuple[str, int]:
        match instruction.operation:
            case "input":
                return instruction.name, _ATOM
            case "const":
                return literal(instruction.value), _ATOM
            case "add":
                return self._infix("+", _SUM, instruction)
            case "sub":
                return self._infix("-", _SUM, instruction)
            case "mul":
                return self._product(instruction)
            case "div":
                return self._call("quotient", instruction)
            case "neg":
                return self._negative(instruction.arguments[0])
            case "sign":
                return f"np.where({self._at(instruction.arguments[0], _SUM)} >= 0.0, 1.0, -1.0)", _ATOM
            case "sqrt":
                return self._root(instruction.arguments[0])
            case "abs" | "exp" | "expm1" | "log" | "log1p" | "sin" | "cos":
                return self._call(f"np.{instruction.operation}", instruction)
            case "max":
                return self._call("np.maximum", instruction)
            case "atan2":
                return self._call("np.arctan2", instruction)
            case "diff_of_products":
                return self._call("difference_of_products", instruction)
            case "erf" | "ndtr" | "scaled_ndtr" | "dawson" | "scaled_quadrant" | "quadrant_excess":
                return self._call(instruction.operation, instruction)
            case _:
                assert_never(instruction.operation)

    def _assign(self, name: str, text: str) -> None:
        """A statement; a call that does not fit one line has its arguments on the next."""
        line = f"{_INDENT}{name} = {text}"
        if len(line) > _WIDTH:
            function, _, arguments = text.partition("(")
            inner = f"{_INDENT * 2}{arguments.removesuffix(')')}"
            if len(inner) > _WIDTH:
                inner = "\n".join(f"{_INDENT * 2}{a}," for a in arguments.removesuffix(")").split(", "))
            line = f"{_INDENT}{name} = {function}(\n{inner}\n{_INDENT})"
        self.lines.append(line)

    def _return(self) -> None:
        """The sum of the summands, from the first to the last; lines are broken between them."""
        rest = [self._at(index, _PRODUCT) for index in self.program.summands]
        if not rest:
            self.lines.append(f"{_INDENT}return np.zeros_like(q12)")
            return
        total = rest.pop(0)
        while rest:
            term = rest.pop(0)
            # a leading sign belongs to the term's first factor: subtracting without it is the same
            term = f"- {term[1:]}" if term.startswith("-") else f"+ {term}"
            if len(total) + len(term) > _WIDTH - 20:
                self.lines.append(f"{_INDENT}total = {total}")
                total = "total"
            total = f"{total} {term}"
        self.lines.append(f"{_INDENT}return {total}")
