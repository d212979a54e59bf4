"""Tables of the dual kernel as device functions: every coefficient a literal, every loop written out.

Both dtypes are printed, each with its own coefficients: in float32 what cannot change a result is left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from kernelc.backends.numpy.runtime._evaluation import PowerTable, ShortTable, Table, ThetaTable, trimmed
from kernelc.backends.numpy.tables import (
    Literals,
    PowerLiteral,
    ShortLiteral,
    ThetaLiteral,
    direct_literal,
    drop_literal,
    power_literal,
)
from kernelc.economy import cut, shortened
from kernelc.program import DualProgram, KernelProgram, Parity, PowerSeries, ShortSeries

_PARITIES: dict[Parity, int] = {"none": 0, "odd": 1, "even": 2}
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class _Function:
    """One device function: its name, its meaning, its table, whether it reads theta beside rho."""

    name: str
    meaning: str
    table: Table
    angle: bool


def render(program: KernelProgram) -> str:
    """The macros and functions that the kernels read, for both dtypes."""
    functions = _functions(program)
    parts = [_macros(program)]
    for condition, dtype in (("#if SINGLE", np.dtype(np.float32)), ("#else", np.dtype(np.float64))):
        parts.append(condition)
        parts += [_function(function, dtype) for function in functions]
    return "\n".join([*parts, "#endif", ""])


def literal(value: float, dtype: np.dtype[np.floating]) -> str:
    """The shortest text that reads back as the number in `dtype`, with the suffix that C wants."""
    if dtype == np.float64:
        return repr(float(value))
    if abs(value) > float(np.finfo(np.float32).max):
        return f"(float){float(value)!r}"  # infinity: such kernels are left to the host, which refuses float32
    return f"{np.float32(value)!s}f"


def _macros(program: KernelProgram) -> str:
    slope = program.kappa_dot
    kinds = {"KAPPA": direct_literal(program.kappa.direct), "DROP": drop_literal(program.kappa.direct)}
    if slope is not None:
        kinds["SLOPE"] = direct_literal(slope.direct)
    degree, series = program.homogeneous_degree, program.kappa.series
    points = sorted({0.0, *program.breakpoints})
    apart = min((right - left for left, right in itertools.pairwise(points)), default=1.0)
    constant = not any(series.coefficients[1:])
    lines = [
        f"#define GAIN {program.variance!r}",
        f"#define PARITY {_PARITIES[series.parity]}",
        f"#define CONSTANT_KAPPA {int(constant)}",
        f"#define HOMOGENEOUS {int(degree is not None)}",
        f"#define DEGREE {0.0 if degree is None else degree!r}",
        f"#define HAS_NORMS {int(program.norms is not None)}",
        f"#define SMOOTH {int(not program.breakpoints)}",
        f"#define MOVING {int(any(program.breakpoints))}",
        f"#define KINKS_APART {apart!r}",
        f"#define POWER {0 if degree is None else round(degree)}",
    ]
    lines += _norms(program)
    lines += _ends("", program.kappa)
    lines.append(f"#define HAS_SLOPE {int(slope is not None)}")
    if slope is not None:
        lines += _ends("SLOPE_", slope)
    for name in ("KAPPA", "SLOPE", "DROP"):
        lines.append(f"#define {name}_THETA {int(isinstance(kinds.get(name), ThetaLiteral))}")
    networks = _networks(program)
    lines.append(f"#define NETWORKS {len(networks)}")
    for name, dual in networks.items():
        lines += _ends(f"{name.upper()}_", dual)
    return "\n".join([*lines, ""])


def has_norm_pairs(program: KernelProgram) -> bool:
    """Whether rows of a range of norms are served by tables, for the NTK at least, and those have no knots."""
    form, norms = program.closed_form, program.norms
    if form is not None and (form.dual_dot is not None or program.kappa_dot is None):
        return False
    return norms is not None and norms.aligned is not None and norms.knots is None


def _norms(program: KernelProgram) -> list[str]:
    """How the tables for a range of norms are read."""
    lines = [f"#define NORM_PAIRS {int(has_norm_pairs(program))}"]
    if not has_norm_pairs(program):
        return lines
    norms = program.norms
    assert norms is not None
    assert norms.aligned is not None
    numbers = {"SHIFT": norms.shift, "STRETCH": norms.stretch, "OFFSET": norms.offset, "GRADE": norms.grade}
    lines += [f"#define NORM_{name} {value!r}" for name, value in numbers.items()]
    return [*lines, f"#define ALIGNED {len(norms.aligned)}"]


def _networks(program: KernelProgram) -> dict[str, DualProgram]:
    """The composed kernels of a deep network, where a depth was asked for: one or both."""
    network = program.network
    if network is None:
        return {}
    return {"nngp": network.nngp} | ({} if network.ntk is None else {"ntk": network.ntk})


def _ends(prefix: str, dual: DualProgram) -> list[str]:
    return [f"#define {prefix}AT_ONE {dual.at_one!r}", f"#define {prefix}AT_MINUS_ONE {dual.at_minus_one!r}"]


def _functions(program: KernelProgram) -> list[_Function]:
    kappa, slope = program.kappa, program.kappa_dot
    found = [
        _Function("kappa_at", "kappa", _table(direct_literal(kappa.direct)), True),
        _Function("drop_at", "kappa(1) - kappa(rho)", _table(drop_literal(kappa.direct)), True),
        _Function("kappa_series_at", "kappa's truncated power series", _table(power_literal(kappa.series)), False),
    ]
    if slope is not None:
        series = _table(power_literal(slope.series))
        found.append(_Function("slope_at", "kappa_dot", _table(direct_literal(slope.direct)), True))
        found.append(_Function("slope_series_at", "kappa_dot's truncated power series", series, False))
    for name, dual in _networks(program).items():
        meaning, series = f"the {name.upper()} of the network", _table(power_literal(dual.series))
        found.append(_Function(f"{name}_at", meaning, _table(direct_literal(dual.direct)), True))
        found.append(_Function(f"{name}_series_at", f"the truncated power series of {meaning}", series, False))
    return found


def _table(literals: Literals) -> Table:
    match literals:
        case PowerLiteral():
            return PowerTable(literals.coefficients, literals.parity)
        case ShortLiteral():
            return ShortTable(literals.head, literals.rest, literals.squared, literals.rising)
        case ThetaLiteral():
            return ThetaTable(literals.edges, literals.rows, literals.basis, literals.rooted)
        case _:
            assert_never(literals)


def _function(function: _Function, dtype: np.dtype[np.floating]) -> str:
    """One function; the certified series keep all their coefficients."""
    table = _cut(function.table, dtype) if function.angle else function.table
    arguments = "REAL rho, REAL theta" if function.angle else "REAL rho"
    meaning = function.meaning
    if not isinstance(table, ThetaTable) and function.name == "drop_at":
        meaning += ", divided by 1 - rho"
    lines = [f"/* {meaning}. */", f"INLINE REAL {function.name}({arguments}) {{"]
    match table:
        case PowerTable():
            lines += _power(table, dtype)
        case ShortTable():
            lines += _short(table, dtype)
        case ThetaTable():
            lines += _theta(table, dtype)
        case _:
            assert_never(table)
    return "\n".join([*lines, "}", ""])


def _power(table: PowerTable, dtype: np.dtype[np.floating]) -> list[str]:
    variable = "rho" if table.parity == "none" else "rho * rho"
    lines = [f"{_INDENT}const REAL z = {variable};", *_horner(table.coefficients, dtype, _INDENT)]
    return [*lines, f"{_INDENT}return {'value * rho' if table.parity == 'odd' else 'value'};"]


def _cut(table: Table, dtype: np.dtype[np.floating]) -> Table:
    """With as few terms as the dtype needs on [-1, 1]: what is left out is at most eps / 128 of the terms' sizes.

    The coefficients are then rounded once more.
    """
    slack = float(np.finfo(dtype).eps) / 128
    if isinstance(table, PowerTable):
        step = 1 if table.parity == "none" else 2
        full = [0.0] * (step * len(table.coefficients))
        full[int(table.parity == "odd") :: step] = table.coefficients
        found = shortened(PowerSeries(tuple(full), table.parity), slack)
        if found is not None and found[0].cost < len(table.coefficients):
            short = found[0]
            return ShortTable(short.head, short.rest, short.squared)
    if isinstance(table, ShortTable):
        short = cut(ShortSeries(table.head, table.rest, table.squared, table.rising), slack)
        return ShortTable(short.head, short.rest, short.squared, short.rising)
    return trimmed(table, dtype)


def _short(series: ShortTable, dtype: np.dtype[np.floating]) -> list[str]:
    variable = "rho * rho * 2 - 1" if series.squared else "rho"
    lines = [f"{_INDENT}const REAL z = {variable};", *_horner(series.rest, dtype, _INDENT)]
    if series.rising:
        lines.append(f"{_INDENT}value = value * (rho + 1);")
    for value in reversed(series.head):
        lines.append(f"{_INDENT}value = value * rho{f' + {literal(value, dtype)}' if value else ''};")
    return [*lines, f"{_INDENT}return value;"]


def _theta(table: ThetaTable, dtype: np.dtype[np.floating]) -> list[str]:
    """The panels from the first to the last, each left by its return."""
    lines: list[str] = []
    panels = list(zip(table.edges, table.edges[1:], table.rows, strict=False))
    for index, (left, right, row) in enumerate(panels):
        last = index == len(panels) - 1
        indent = _INDENT if last else _INDENT * 2
        if not last:
            lines.append(f"{_INDENT}if (theta < {literal(right, dtype)}) {{")
        scale, shift = literal(2.0 / (right - left), dtype), literal((left + right) / (right - left), dtype)
        lines.append(f"{indent}const REAL z = theta * {scale} - {shift};")
        lines += (_horner if table.basis == "monomial" else _clenshaw)(row, dtype, indent)
        lines.append(f"{indent}return {'value * theta' if index == 0 and table.rooted else 'value'};")
        if not last:
            lines.append(f"{_INDENT}}}")
    return lines


def _horner(coefficients: tuple[float, ...], dtype: np.dtype[np.floating], indent: str) -> list[str]:
    """value = sum_k coefficients[k] z^k."""
    numbers = [literal(value, dtype) for value in reversed(coefficients)] or [literal(0.0, dtype)]
    lines = [f"{indent}REAL value = {numbers[0]};"]
    lines += [f"{indent}value = value * z + {number};" for number in numbers[1:]]
    return [*lines, f"{indent}(void)z;"] if len(numbers) == 1 else lines


def _clenshaw(coefficients: tuple[float, ...], dtype: np.dtype[np.floating], indent: str) -> list[str]:
    """value = sum_k coefficients[k] T_k(z), by Clenshaw's recurrence on two names in turn."""
    if len(coefficients) < 3:
        return _horner(coefficients, dtype, indent)
    lines = [f"{indent}const REAL twice = z + z;", f"{indent}REAL even = (REAL)0, odd = (REAL)0;"]
    for degree in range(len(coefficients) - 1, 0, -1):
        new, old = ("even", "odd") if degree % 2 == 0 else ("odd", "even")
        lines.append(f"{indent}{new} = twice * {old} - {new} + {literal(coefficients[degree], dtype)};")
    return [*lines, f"{indent}const REAL value = z * odd - even + {literal(coefficients[0], dtype)};"]
