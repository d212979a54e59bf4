"""A closed form as device functions of doubles: one assignment an instruction, the operations of `kernelc.numerics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import mpmath

from kernelc.backends.numpy.closed_form import alive, literal, mixes, needs_normal
from kernelc.backends.numpy.runtime import _distances, _line
from kernelc.numerics import _normal_tables
from kernelc.numerics._homogeneous import half_moment
from kernelc.program import (
    ActivationPiece,
    ActivationTerm,
    ClosedFormDual,
    ClosedFormProgram,
    FloatProgram,
    Instruction,
    SmallVarianceSeries,
)

_INDENT = "    "
#: What stands in C for an operation that is a call.
_CALLS = {
    "div": "quotient",
    "abs": "fabs",
    "exp": "exp",
    "expm1": "expm1",
    "log": "log",
    "log1p": "log1p",
    "sin": "sin",
    "cos": "cos",
    "atan2": "atan2",
    "diff_of_products": "difference_of_products",
    "erf": "error_function",
    "ndtr": "normal_probability",
    "scaled_ndtr": "scaled_probability",
    "dawson": "dawson_integral",
    "scaled_quadrant": "quadrant",
    "quadrant_excess": "excess",
}
_TABLES = ("ERFCX", "ERF", "NODES_14", "WEIGHTS_14", "NODES_36", "WEIGHTS_36")

_ARITHMETIC = """\
/* a / b, and a where a is 0 (a signed zero: the side from which a limit is reached). */
INLINE double quotient(double a, double b) {
    return a == 0.0 ? a : a / b;
}

/* a b - c d to about one unit in the last place of the result. */
INLINE double difference_of_products(double a, double b, double c, double d) {
    const double left = a * b, right = c * d;
    const double correction = fma(a, b, -left) - fma(c, d, -right);
    return (left - right) + (fabs(correction) <= 1.7976931348623157e308 ? correction : 0.0);
}

/* By which power of 4 a variance below 2^-400 is scaled up to it: products of smaller ones underflow. */
INLINE int halves_below(double q) {
    int exponent;
    frexp(q, &exponent);
    const int lacking = -399 - exponent;
    return q > 0.0 && lacking > 1 ? lacking / 2 : 0;
}
"""


def render(form: ClosedFormProgram | None, normal: str, line: str) -> str:
    """The macros that say what is there, and the functions.

    `normal`: the text of the normal functions, `line`: that of expectations of sigma itself.
    """
    duals = {"DUAL": None if form is None else form.dual, "SLOPE": None if form is None else form.dual_dot}
    lines = []
    for name, dual in duals.items():
        lines += _macros(name, dual)
    lines.append(f"#define ACTIVATION {int(form is not None and bool(form.activation))}")
    parts = ["\n".join([*lines, ""])]
    if form is not None:
        parts.append(_ARITHMETIC)
        if needs_normal(form):
            parts += [normal_tables(), normal]
        parts.append(_rays(jumps=form.dual_dot is None))
        if form.activation:
            parts += [_rules(), _activation(form), line]
        mixed = {"DUAL": mixes(form), "SLOPE": False}
        found = ((name, dual) for name, dual in duals.items() if dual is not None)
        parts += [_dual(f"closed_{name.lower()}", dual, mixed=mixed[name]) for name, dual in found]
    return "\n".join(parts)


def normal_tables() -> str:
    """The tables of `kernelc.numerics` as constants of the device."""
    return "\n".join(_constants(name, getattr(_normal_tables, name)) for name in _TABLES)


def _rays(*, jumps: bool) -> str:
    """The points of the rays of `_pairs.py` and their barycentric weights, correctly rounded."""
    low = mpmath.mpf(1) / (32 if jumps else 16)
    with mpmath.workdps(30):
        eighth = mpmath.pi / 16
        lobatto = [mpmath.sin(eighth * k) ** 2 for k in range(9)]
        inner = [(1 + low + (1 - low) * mpmath.cos(eighth * (2 * k + 1))) / 2 for k in range(8)]
        found = []
        for name, grid in (("SLOPE", lobatto), ("GAP", inner)):
            weights = [1 / mpmath.fprod(x - y for y in grid if y != x) for x in grid]
            found.append(f"#define {name}_POINTS {len(grid)}\n")
            found += [_constants(f"{name}_{kind}", values) for kind, values in (("GRID", grid), ("WEIGHTS", weights))]
    return "\n".join(found)


def _constants(name: str, values: Sequence[float]) -> str:
    rows = "".join(f"{_INDENT}{literal(float(value))},\n" for value in values)
    return f"__constant__ double {name}[{len(values)}] = {{\n{rows}}};\n"


def _macros(name: str, dual: ClosedFormDual | None) -> list[str]:
    closed = "CLOSED_DUAL" if name == "DUAL" else "CLOSED_SLOPE"
    low, high = (0.0, 0.0) if dual is None else dual.variances
    zero, origin = (False, False) if dual is None else (dual.zero_at_origin, dual.at_origin)
    return [
        f"#define {closed} {int(dual is not None)}",
        f"#define {name}_LOW {literal(low)}",
        f"#define {name}_HIGH {literal(high)}",
        f"#define {name}_ZERO_AT_ORIGIN {int(zero)}",
        f"#define {name}_AT_ORIGIN {int(origin)}",
    ]


def _dual(name: str, dual: ClosedFormDual, *, mixed: bool) -> str:
    """The roads, and the function that takes each pair by the one that serves it; tiny variances are scaled."""
    parts = [_program(f"{name}_program", dual.program)]
    choice = [f"INLINE double {name}_road(double q11, double q12, double q22) {{"]
    if dual.series is not None:
        parts.append(_series(f"{name}_small", dual.series))
        choice += _road("<=", dual.series.below, f"{name}_small")
    if mixed:
        choice += [f"{_INDENT}double value;", f"{_INDENT}if (mixed_value(q11, q12, q22, &value)) {{"]
        choice += [f"{_INDENT * 2}return value;", f"{_INDENT}}}"]
    if dual.wide is not None:
        parts.append(_program(f"{name}_wide", dual.wide.program))
        choice += _road(">=", dual.wide.above, f"{name}_wide")
    choice += [f"{_INDENT}return {name}_program(q11, q12, q22);", "}", ""]
    choice += [f"INLINE double {name}(double q11, double q12, double q22) {{"]
    if dual.zero_at_origin:
        choice += [f"{_INDENT}if (q11 == 0.0 || q22 == 0.0) {{", f"{_INDENT * 2}return 0.0;", f"{_INDENT}}}"]
    arguments = "ldexp(q11, 2 * one), ldexp(ldexp(q12, one), other), ldexp(q22, 2 * other)"
    scaled = f"{name}_road({arguments})"
    choice += [
        f"{_INDENT}const int one = halves_below(q11), other = halves_below(q22);",
        f"{_INDENT}if (one || other) {{",
        f"{_INDENT * 2}return {f'ldexp({scaled}, -{dual.order} * (one + other))' if dual.order else scaled};",
        f"{_INDENT}}}",
        f"{_INDENT}return {name}_road(q11, q12, q22);",
        "}",
        "",
    ]
    return "\n".join([*parts, "\n".join(choice)])


def _rules() -> str:
    """The rules of `_distances.py` on the line and on the angle."""
    line = {"POINTS": _line.LINE_POINTS, "ALL": _line.LINE_ALL, "HALF": _line.LINE_EVERY_OTHER}
    turn = {"NODES": _distances.TURN_NODES, "WEIGHTS": _distances.TURN_WEIGHTS}
    found = [f"#define LINE_COUNT {len(_line.LINE_POINTS)}\n#define LINE_CUT_COUNT {len(_line.CUTS)}\n"]
    found += [_constants("LINE_CUTS", _line.CUTS), f"#define TURN_COUNT {len(_distances.TURN_NODES)}\n"]
    found += [_constants(f"LINE_{name}", values.tolist()) for name, values in line.items()]
    found += [_constants(f"TURN_{name}", values.tolist()) for name, values in turn.items()]
    return "\n".join(found)


def _activation(form: ClosedFormProgram) -> str:
    """sigma by pieces, and by its Taylor series at 0 where those cancel."""
    pieces, series = form.activation, form.near_zero
    below = -1.0 if series is None else series.below
    lines = [f"#define ACTIVATION_BELOW {literal(below)}", f"#define KINK_COUNT {len(pieces) - 1}"]
    lines.append(f"#define MIXED {int(mixes(form))}\n")
    # C has no empty arrays
    lines.append(_constants("KINKS", [piece.end for piece in pieces[:-1]] or [0.0]))
    if series is not None and mixes(form):
        lines.append(f"#define MIXED_ORDER {form.dual.order}\n#define MIXED_COUNT {len(series.plus)}\n")
        lines += [_constants("MIXED_PLUS", series.plus), _constants("MIXED_MINUS", series.minus)]
    lines += ["INLINE double activation(double t) {"]
    for piece in pieces[:-1]:
        lines += [f"{_INDENT}if (t < {literal(piece.end)}) {{", f"{_INDENT * 2}return {_sum(piece)};", f"{_INDENT}}}"]
    lines += [f"{_INDENT}return {_sum(pieces[-1])};", "}", "", "INLINE double activation_near_zero(double t) {"]
    sides = ((0.0,), (0.0,)) if series is None else (series.minus, series.plus)
    minus, plus = (_horner(side) for side in sides)
    lines += [f"{_INDENT}return t < 0.0 ? {minus} : {plus};", "}", ""]
    return "\n".join(lines)


def _sum(piece: ActivationPiece) -> str:
    return " + ".join(map(_term, piece.terms)) or "0.0"


def _term(term: ActivationTerm) -> str:
    waves = [literal(term.cosine)] if term.cosine else []
    if term.frequency and waves:
        waves = [f"{literal(term.cosine)} * cos({literal(term.frequency)} * t)"]
    waves += [f"{literal(term.sine)} * sin({literal(term.frequency)} * t)"] if term.sine else []
    factors = [*(["t"] * term.power), f"({' + '.join(waves)})"]
    if term.quadratic or term.linear:
        factors.append(f"exp(({literal(term.quadratic)} * t + {literal(term.linear)}) * t)")
    if term.gate is not None:
        factors.append(f"normal_probability({literal(term.gate[0])} * t + {literal(term.gate[1])})")
    return " * ".join(factors)


def _horner(coefficients: Sequence[float]) -> str:
    text = literal(coefficients[-1])
    for value in reversed(coefficients[:-1]):
        text = f"({text}) * t + {literal(value)}"
    return text


def _road(sign: str, bound: float, function: str) -> list[str]:
    condition = f"q11 {sign} {literal(bound)} && q22 {sign} {literal(bound)}"
    return [f"{_INDENT}if ({condition}) {{", f"{_INDENT * 2}return {function}(q11, q12, q22);", f"{_INDENT}}}"]


def _program(name: str, program: FloatProgram) -> str:
    """One function: an assignment an instruction, then the sum."""
    lines = [f"APART double {name}(double q11, double q12, double q22) {{"]
    kept = alive(program)
    for index, instruction in enumerate(program.instructions):
        if index in kept:
            lines.append(f"{_INDENT}const double v{index} = {_expression(instruction)};")
    total = " + ".join(f"v{index}" for index in program.summands) or "0.0"
    return "\n".join([*lines, f"{_INDENT}return {total};", "}", ""])


def _expression(instruction: Instruction) -> str:
    names = [f"v{index}" for index in instruction.arguments]
    match instruction.operation:
        case "input":
            return instruction.name
        case "const":
            return literal(instruction.value)
        case "add":
            return f"{names[0]} + {names[1]}"
        case "sub":
            return f"{names[0]} - {names[1]}"
        case "mul":
            return f"{names[0]} * {names[1]}"
        case "neg":
            return f"-{names[0]}"
        case "sign":
            return f"{names[0]} >= 0.0 ? 1.0 : -1.0"
        case "max":
            return f"{names[0]} > {names[1]} ? {names[0]} : {names[1]}"
        case "sqrt":
            return f"sqrt({names[0]} > 0.0 ? {names[0]} : 0.0)"
        case (
            "div"
            | "abs"
            | "exp"
            | "expm1"
            | "log"
            | "log1p"
            | "sin"
            | "cos"
            | "atan2"
            | "diff_of_products"
            | "erf"
            | "ndtr"
            | "scaled_ndtr"
            | "dawson"
            | "scaled_quadrant"
            | "quadrant_excess"
        ):
            return f"{_CALLS[instruction.operation]}({', '.join(names)})"
        case _:
            assert_never(instruction.operation)


def _series(name: str, series: SmallVarianceSeries) -> str:
    """The value at small variances by the quadrant moments of `kernelc.numerics._homogeneous`, written out."""
    degree = len(series.plus) - 1
    order = next(k for k, pair in enumerate(zip(series.plus, series.minus, strict=True)) if any(pair))
    keys = _keys(degree, degree + order)
    places = {key: index for index, key in enumerate(keys)}
    lines = [
        f"APART double {name}(double q11, double q12, double q22) {{",
        f"{_INDENT}double straight[{len(keys)}], mirrored[{len(keys)}];",
        f"{_INDENT}q11 = q11 > 1e-150 ? q11 : 1e-150;",
        f"{_INDENT}q22 = q22 > 1e-150 ? q22 : 1e-150;",
        f"{_INDENT}{name}_moments(q11, q12, q22, straight);",
        f"{_INDENT}{name}_moments(q11, -q12, q22, mirrored);",
        f"{_INDENT}double total = 0.0;",
    ]
    for a, b in sorted(keys, key=sum, reverse=True):
        pa, pb, ma, mb = series.plus[a], series.plus[b], series.minus[a], series.minus[b]
        same = pa * pb + (-1) ** (a + b) * ma * mb
        opposite = (-1) ** a * ma * pb + (-1) ** b * pa * mb
        if same or opposite:
            place = places[a, b]
            one, other = f"{literal(same)} * straight[{place}]", f"{literal(opposite)} * mirrored[{place}]"
            lines.append(f"{_INDENT}total = total + ({one} + {other});")
    lines += [f"{_INDENT}return total;", "}", ""]
    return "\n".join([_moments(f"{name}_moments", keys, places), "\n".join(lines)])


def _keys(degree: int, limit: int) -> list[tuple[int, int]]:
    keys = [(0, 0)]
    for total in range(1, limit + 1):
        keys += [(a, total - a) for a in range(max(0, total - degree), min(degree, total) + 1)]
    return keys


def _moments(name: str, keys: Sequence[tuple[int, int]], places: dict[tuple[int, int], int]) -> str:
    """m[place] = E[u^a v^b 1{u > 0, v > 0}], by Stein's identity."""
    inverse = literal(1.0 / (2.0 * 3.141592653589793))
    lines = [
        f"APART void {name}(double q11, double q12, double q22, double* m) {{",
        f"{_INDENT}const double difference = difference_of_products(q11, q22, q12, q12);",
        f"{_INDENT}const double determinant = difference > 0.0 ? difference : 0.0;",
        f"{_INDENT}const double v_spread = sqrt(determinant / q11), u_spread = sqrt(determinant / q22);",
        f"{_INDENT}const double u_edge = sqrt(q11 * {inverse}), v_edge = sqrt(q22 * {inverse});",
        f"{_INDENT}m[0] = 0.25 + atan2(q12, sqrt(determinant)) * {inverse};",
    ]
    for a, b in keys[1:]:
        lines.append(f"{_INDENT}m[{places[a, b]}] = {_stein(a, b, places)};")
    return "\n".join([*lines, "}", ""])


def _stein(a: int, b: int, places: dict[tuple[int, int], int]) -> str:
    """One step down: in u where a > 0, in v otherwise."""
    if a > 0:
        q, own, edge, other_edge, spread, other_spread = "q11", a, "u_edge", "v_edge", "v_spread", "u_spread"
        rest, below = b, (a - 2, b)
    else:
        q, own, edge, other_edge, spread, other_spread = "q22", b, "v_edge", "u_edge", "u_spread", "v_spread"
        rest, below = a, (a, b - 2)
    if own >= 2:
        inward = f"{literal(own - 1)} * {q} * m[{places[below]}]"
    else:
        inward = " * ".join([edge, literal(half_moment(rest)), *([spread] * rest)])
    if rest >= 1:
        return f"{inward} + {literal(rest)} * q12 * m[{places[a - 1, b - 1]}]"
    factor = literal(half_moment(own - 1) / (2.0 * 3.141592653589793))
    return " * ".join([f"{inward} + q12 / {other_edge}", factor, *([other_spread] * (own - 1))])
