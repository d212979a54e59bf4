"""The text report: what was compiled, how wrong it can be, and how each number is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kernelc.report.facts import (
    ERROR_ROWS,
    OBSERVED_NOTE,
    activation_rows,
    bound_curve,
    check_text,
    curve_kind,
    direct_text,
    kernels,
    observed_curve,
    part_of,
    versions_text,
)
from kernelc.report.numbers import bound_text, observed_text, plain_text

_BAR_WIDTH = 14
#: Below this no double shows a difference.
_LOWEST_DECADE = -17
_MOST_TABLE_ROWS = 17


def render(certificate: Mapping[str, Any]) -> RenderableType:
    """The whole report; keys that the certificate lacks leave out their line."""
    return Group(
        _title(certificate),
        _status(certificate),
        _heading("Dual kernel, its activation unknown" if certificate.get("dual_kernel") else "Activation"),
        _facts(activation_rows(certificate)),
        _heading("Error, for all rho in [-1, 1]"),
        _error_table(kernels(certificate)),
        *_refusal(certificate),
        _heading("Degree of the series against its truncation error"),
        _degree_table(certificate),
        _observed_note(certificate),
        *_network(certificate),
        _heading("How kappa(rho) and kappa_dot(rho) are evaluated"),
        _facts([(name, direct_text(part_of(certificate, name))) for name, _ in kernels(certificate)]),
        _heading("Independent check"),
        Text(check_text(certificate.get("mpmath"))),
        Text(versions_text(certificate.get("versions")), style="dim"),
    )


@dataclass(frozen=True, slots=True)
class _LogBar:
    """A bar whose length is the logarithm of a number, in blocks or, where the output is ASCII, in #."""

    cells: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(("#" if options.ascii_only else "█") * self.cells, style="cyan")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.cells, self.cells)


def _network(certificate: Mapping[str, Any]) -> list[RenderableType]:
    """The composed kernels of a deep network, where a depth was asked for."""
    network = part_of(certificate, "network")
    if not network:
        return []
    parts = [(name, part_of(network, name)) for name in ("nngp", "ntk")]
    kept = [(name, part) for name, part in parts if part and "refused" not in part]
    shown: list[RenderableType] = [
        _heading(f"Network of {plain_text(network.get('depth', '?'))} hidden layers, for all rho in [-1, 1]"),
        _error_table(kept),
        _facts([(name, direct_text(part)) for name, part in kept]),
    ]
    for name, part in parts:
        if part.get("refused") is not None:
            shown.append(Text.assemble((f"The {name} is refused: ", "bold yellow"), plain_text(part["refused"])))
    return shown


def _title(certificate: Mapping[str, Any]) -> Text:
    name, formula = plain_text(certificate.get("name", "?")), plain_text(certificate.get("expression", "?"))
    return Text.assemble((name, "bold"), f"   {_left_side(certificate)} = ", (formula, "bold"))


def _left_side(certificate: Mapping[str, Any]) -> str:
    """What the expression is: the activation, or a dual kernel whose activation is unknown."""
    given = certificate.get("dual_kernel")
    if not isinstance(given, Mapping):
        return "sigma(t)"
    return "k(rho)" if list(given.get("variables", ())) == ["rho"] else "T(q11, q12, q22)"


def _status(certificate: Mapping[str, Any]) -> Text:
    reason = plain_text(certificate.get("status_reason") or "")
    if certificate.get("status") == "certified":
        head = ("Certified.", "bold green")
        body = " Every number called a bound below is proved: the true error is never larger."
        reason = f" {reason}" if reason else ""
    else:
        head = ("Estimated, not proved.", "bold yellow")
        body = " No number below is a proof; treat each as a careful guess."
        reason = f" Why: {reason}" if reason else ""
    return Text.assemble(head, body, reason)


def _heading(title: str) -> Text:
    return Text.assemble("\n", (title, "bold"))


def _facts(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for label, text in rows:
        table.add_row(f"  {label}", Text(text))
    return table


def _error_table(shown: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("")
    for name, _ in shown:
        table.add_column(name, justify="right")
    for label, read in ERROR_ROWS:
        cells = [read(part) for _, part in shown]
        if any(cell != "-" for cell in cells):
            table.add_row(label, *cells)
    return table


def _refusal(certificate: Mapping[str, Any]) -> list[RenderableType]:
    reason = part_of(certificate, "kappa_dot").get("refused")
    if reason is None:
        return []
    return [Text.assemble(("kappa_dot and the NTK are refused: ", "bold yellow"), plain_text(reason))]


def _degree_table(certificate: Mapping[str, Any]) -> Table:
    """Degree against truncation error over all rho: the bound, what was observed, and a bar of the bound.

    The bars are on a logarithmic scale common to both kernels.
    """
    curves = [(bound_curve(part), observed_curve(part)) for _, part in kernels(certificate)]
    degrees = _thinned(sorted(set().union(*(bound for bound, _ in curves))))
    positive = [bound[d] for bound, _ in curves for d in degrees if bound.get(d, 0.0) > 0.0]
    low = max(math.floor(math.log10(min(positive))), _LOWEST_DECADE) if positive else 0
    high = max(math.ceil(math.log10(max(positive))), low + 1) if positive else 1
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("degree", justify="right")
    for name, part in kernels(certificate):
        table.add_column(f"{name} {curve_kind(part)}", justify="right")
        table.add_column("observed", justify="right")
        table.add_column(f"1e{low} .. 1e{high}", width=_BAR_WIDTH, no_wrap=True)
    for degree in degrees:
        cells: list[RenderableType] = []
        for bound, observed in curves:
            cells += [
                bound_text(bound.get(degree)),
                observed_text(observed.get(degree)),
                _bar(bound.get(degree), low, high),
            ]
        table.add_row(str(degree), *cells)
    return table


def _observed_note(certificate: Mapping[str, Any]) -> Text:
    """What the observed errors are, where there are any."""
    if not any(observed_curve(part) for _, part in kernels(certificate)):
        return Text("")
    return Text(OBSERVED_NOTE, style="dim")


def _thinned(degrees: Sequence[int]) -> list[int]:
    """At most `_MOST_TABLE_ROWS` of `degrees`, evenly spread, first and last among them."""
    last = len(degrees) - 1
    if last < _MOST_TABLE_ROWS:
        return list(degrees)
    steps = _MOST_TABLE_ROWS - 1
    return [degrees[round(i * last / steps)] for i in range(steps + 1)]


def _bar(value: float | None, low: int, high: int) -> _LogBar:
    if value is None or value <= 0.0:
        return _LogBar(0)
    return _LogBar(max(1, round(_BAR_WIDTH * (math.log10(value) - low) / (high - low))))
