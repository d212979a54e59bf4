"""From the typed program to the literals of `_tables.py`: parity halves, bases, the divided tables."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, assert_never

from kernelc import polynomials
from kernelc.economy import divided_drop
from kernelc.program import (
    DualProgram,
    Evaluation,
    KernelProgram,
    NetworkProgram,
    Parity,
    PowerSeries,
    ShortSeries,
    ThetaChebyshev,
)

#: Horner's rule on monomial coefficients m_j is used where sum |m_j| <= this times the sum of |c_j| of
#: the Chebyshev form: its rounding error, gamma_2n sum |m_j| |z|^j, is then of Clenshaw's own size.
HORNER_GROWTH = Fraction(4)

#: Characters of a string literal a line.
_PIECE = 90


@dataclass(frozen=True, slots=True)
class PowerLiteral:
    """The arguments of the run-time's `PowerTable`."""

    coefficients: tuple[float, ...]
    parity: Parity


@dataclass(frozen=True, slots=True)
class ThetaLiteral:
    """The arguments of the run-time's `ThetaTable`."""

    edges: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    basis: Literal["monomial", "chebyshev"]
    rooted: bool


@dataclass(frozen=True, slots=True)
class ShortLiteral:
    """The arguments of the run-time's `ShortTable`."""

    head: tuple[float, ...]
    rest: tuple[float, ...]
    squared: bool
    rising: bool = False


Literals = PowerLiteral | ShortLiteral | ThetaLiteral


def power_literal(series: PowerSeries) -> PowerLiteral:
    """A series with the coefficients that its parity makes zero left out.

    Raises:
        ValueError: where one of those is not zero (the program is then inconsistent).
    """
    if series.parity == "none":
        return PowerLiteral(_without_trailing_zeros(series.coefficients), "none")
    start = 1 if series.parity == "odd" else 0
    if any(series.coefficients[1 - start :: 2]):
        raise ValueError(f"a series said to be {series.parity} has a coefficient of the other parity")
    return PowerLiteral(_without_trailing_zeros(series.coefficients[start::2]), series.parity)


def direct_literal(evaluation: Evaluation) -> Literals:
    """The table of the best evaluation."""
    match evaluation:
        case PowerSeries():
            return power_literal(evaluation)
        case ShortSeries():
            return _short_literal(evaluation)
        case ThetaChebyshev():
            rows = tuple(tuple(Fraction(value) for value in table) for table in evaluation.tables)
            return _theta_literal(evaluation.edges, rows, rooted=False)
        case _:
            assert_never(evaluation)


def drop_literal(evaluation: Evaluation) -> Literals:
    """The table of kappa(1) - kappa(rho), free of cancellation as rho -> 1 (divided by 1 - rho for a series)."""
    match evaluation:
        case PowerSeries():
            sums = polynomials.tail_sums([Fraction(value) for value in evaluation.coefficients])
            return PowerLiteral(_without_trailing_zeros([float(value) for value in sums]), "none")
        case ShortSeries():
            return _short_literal(divided_drop(evaluation))
        case ThetaChebyshev():
            return _theta_drop(evaluation)
        case _:
            assert_never(evaluation)


def _short_literal(series: ShortSeries) -> ShortLiteral:
    return ShortLiteral(series.head, series.rest, series.squared, series.rising)


def _theta_drop(evaluation: ThetaChebyshev) -> ThetaLiteral:
    """kappa(1) - kappa: theta times a polynomial on the first panel, the accumulated differences beyond.

    On panel [a, b], 1 + z = 2 (theta - a) / (b - a), so with a = 0 the first panel's p(-1) - p(z) is
    theta times -(2 / b) q(z). Later panels use their own differences only, added to the drop at their
    left edge, so that the rounding of a constant term never enters.
    """
    rows: list[tuple[Fraction, ...]] = []
    reached = Fraction(0)
    for index, table in enumerate(evaluation.tables):
        exact = [Fraction(value) for value in table]
        left, right = polynomials.chebyshev_at(exact, -1), polynomials.chebyshev_at(exact, 1)
        if index == 0:
            factor = -2 / Fraction(evaluation.edges[1])
            rows.append(tuple(factor * value for value in polynomials.divide_chebyshev_at_left(exact)))
        else:
            rows.append((reached + left - exact[0], *(-value for value in exact[1:])))
        reached += left - right
    return _theta_literal(evaluation.edges, rows, rooted=True)


def _theta_literal(edges: Sequence[float], rows: Sequence[Sequence[Fraction]], *, rooted: bool) -> ThetaLiteral:
    """The rows in the basis that is both safe and cheapest, rounded once."""
    monomial = [polynomials.chebyshev_to_monomial(row) for row in rows]
    safe = all(_size(powers) <= HORNER_GROWTH * _size(row) for powers, row in zip(monomial, rows, strict=True))
    chosen = monomial if safe else rows
    literals = tuple(_without_trailing_zeros([float(value) for value in row]) for row in chosen)
    return ThetaLiteral(tuple(edges), literals, "monomial" if safe else "chebyshev", rooted)


def _size(row: Sequence[Fraction]) -> Fraction:
    return sum((abs(value) for value in row), Fraction(0))


def _without_trailing_zeros(values: Sequence[float]) -> tuple[float, ...]:
    length = len(values)
    while length > 1 and values[length - 1] == 0.0:
        length -= 1
    return tuple(values[:length])


def render(program: KernelProgram) -> str:
    """The body of `_tables.py`: one literal a table, one coefficient a line."""
    parts = [_dual("KAPPA", program.kappa)]
    parts.append(f"DROP = {_literal(drop_literal(program.kappa.direct))}\n")
    if program.kappa_dot is not None:
        parts.append(_dual("KAPPA_DOT", program.kappa_dot))
    refused = _string(program.derivative_refused)
    parts.append(
        "TABLES = KernelTables(\n"
        f"    name={_string(program.name)},\n"
        f"    variance={program.variance!r},\n"
        f"    homogeneous_degree={program.homogeneous_degree!r},\n"
        f"    parity={_string(program.kappa.series.parity)},\n"
        "    kappa=KAPPA,\n"
        "    drop=DROP,\n"
        f"    kappa_dot={'None' if program.kappa_dot is None else 'KAPPA_DOT'},\n"
        f"    derivative_refused={refused},\n"
        f"    breakpoints={_points(program.breakpoints)},\n"
        ")\n"
    )
    return "\n".join(parts)


def _points(values: tuple[float, ...]) -> str:
    if len(values) < 2:  # as a formatter leaves it
        return f"({values[0]!r},)" if values else "()"
    return _tuple(values, 4)


def imports(program: KernelProgram) -> tuple[str, ...]:
    """The names of the run-time that the body of `_tables.py` uses, sorted."""
    literals = [direct_literal(program.kappa.direct)]
    if program.kappa_dot is not None:
        literals.append(direct_literal(program.kappa_dot.direct))
    return ("DualTables", "KernelTables", "PowerTable", *_other_tables(literals))


def _other_tables(literals: list[Literals]) -> tuple[str, ...]:
    """The names of those that are no power series."""
    names = {"ShortTable": ShortLiteral, "ThetaTable": ThetaLiteral}
    return tuple(name for name, kind in names.items() if any(isinstance(literal, kind) for literal in literals))


def render_network(name: str, network: NetworkProgram) -> str:
    """The body of `_network_tables.py`."""
    parts = [_dual("NNGP", network.nngp)]
    if network.ntk is not None:
        parts.append(_dual("NTK", network.ntk))
    parts.append(
        "NETWORK = NetworkTables(\n"
        f"    name={_string(name)},\n"
        f"    depth={network.depth},\n"
        f"    length={len(network.nngp.series.coefficients)},\n"
        "    nngp=NNGP,\n"
        f"    ntk={'None' if network.ntk is None else 'NTK'},\n"
        f"    refused={_string(network.refused)},\n"
        ")\n"
    )
    return "\n".join(parts)


def network_imports(network: NetworkProgram) -> tuple[str, ...]:
    """The names of the run-time that the body of `_network_tables.py` uses, sorted."""
    duals = [network.nngp, *(() if network.ntk is None else (network.ntk,))]
    return ("DualTables", "PowerTable", *_other_tables([direct_literal(dual.direct) for dual in duals]))


def _dual(name: str, dual: DualProgram) -> str:
    series = power_literal(dual.series)
    direct = direct_literal(dual.direct)
    shared = direct == series
    text = f"{name}_SERIES = {_literal(series)}\n"
    if not shared:
        text += f"\n{name}_DIRECT = {_literal(direct)}\n"
    return text + (
        f"\n{name} = DualTables(\n"
        f"    direct={name}_{'SERIES' if shared else 'DIRECT'},\n"
        f"    series={name}_SERIES,\n"
        f"    at_one={dual.at_one!r},\n"
        f"    at_minus_one={dual.at_minus_one!r},\n"
        ")\n"
    )


def _literal(table: Literals) -> str:
    match table:
        case PowerLiteral():
            return (
                "PowerTable(\n"
                f"    coefficients={_tuple(table.coefficients, 4)},\n"
                f"    parity={_string(table.parity)},\n"
                ")"
            )
        case ShortLiteral():
            return (
                "ShortTable(\n"
                f"    head={_tuple(table.head, 4) if table.head else '()'},\n"
                f"    rest={_tuple(table.rest, 4)},\n"
                f"    squared={table.squared!r},\n"
                f"{'    rising=True,' + chr(10) if table.rising else ''}"
                ")"
            )
        case ThetaLiteral():
            rows = "".join(f"        {_tuple(row, 8)},\n" for row in table.rows)
            return (
                "ThetaTable(\n"
                f"    edges={_tuple(table.edges, 4)},\n"
                f"    rows=(\n{rows}    ),\n"
                f"    basis={_string(table.basis)},\n"
                f"    rooted={table.rooted!r},\n"
                ")"
            )
        case _:
            assert_never(table)


def _tuple(values: Sequence[float], indent: int) -> str:
    """A tuple of doubles, one a line; `repr` of a double is the shortest text that reads back as it."""
    inner = "".join(f"{' ' * (indent + 4)}{float(value)!r},\n" for value in values)
    return f"(\n{inner}{' ' * indent})"


def _string(value: str | None, indent: int = 4) -> str:
    """A string literal in double quotes, pure ASCII; a long one as adjacent pieces in parentheses; or None."""
    if value is None:
        return "None"
    pieces = textwrap.wrap(value, _PIECE, drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False)
    quoted = [_quote(piece) for piece in pieces] or ['""']
    if len(quoted) == 1:
        return quoted[0]
    inner = "".join(f"{' ' * (indent + 4)}{piece}\n" for piece in quoted)
    return f"(\n{inner}{' ' * indent})"


def _quote(value: str) -> str:
    escaped = value.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'
