"""The text report: what was compiled, how wrong it can be, and how each number is known.

Bounds and estimates are never mixed: the certificate says `..._bound` or `..._estimate`, and so do the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kernelc.report.numbers import bound_text, is_number, plain_text, value_text

_BAR_WIDTH = 18
_MOST_TABLE_ROWS = 17


def render(certificate: Mapping[str, Any]) -> RenderableType:
    """The whole report; keys that the certificate lacks leave out their line."""
    return Group(
        _title(certificate),
        _status(certificate),
        _heading("Dual kernel, its activation unknown" if certificate.get("dual_kernel") else "Activation"),
        _facts(_activation_rows(certificate)),
        _heading("Error, for all rho in [-1, 1]"),
        _error_table(_kernels(certificate)),
        *_refusal(certificate),
        _heading("Degree of the series against its truncation error"),
        _degree_table(certificate),
        *_network(certificate),
        _heading("How kappa(rho) and kappa_dot(rho) are evaluated"),
        _facts([(name, _direct_text(_part(certificate, name))) for name, _ in _kernels(certificate)]),
        _heading("Independent check"),
        Text(_check_text(certificate.get("mpmath"))),
        Text(_versions_text(certificate.get("versions")), style="dim"),
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
    network = _part(certificate, "network")
    if not network:
        return []
    parts = [(name, _part(network, name)) for name in ("nngp", "ntk")]
    kept = [(name, part) for name, part in parts if part and "refused" not in part]
    shown: list[RenderableType] = [
        _heading(f"Network of {plain_text(network.get('depth', '?'))} hidden layers, for all rho in [-1, 1]"),
        _error_table(kept),
        _facts([(name, _direct_text(part)) for name, part in kept]),
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


def _activation_rows(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    variance = plain_text(certificate.get("variance", "?"))
    parameters = certificate.get("parameters") or {}
    homogeneous = certificate.get("homogeneous_degree")
    given = certificate.get("dual_kernel")
    subject = "T (in u and in v)" if given else "sigma"
    norms = (
        f"any: {subject} is homogeneous of degree {plain_text(homogeneous)}"
        if homogeneous is not None
        else _norms_text(variance, subject, certificate.get("norms"))
    )
    rows = [("source", plain_text(certificate["source"]))] if certificate.get("source") else []
    rows += [
        ("parameters", ", ".join(f"{plain_text(k)} = {plain_text(v)}" for k, v in parameters.items()) or "none"),
        ("input variance", f"{variance}   (the q in u ~ N(0, q) at which kappa is compiled)"),
        ("input norms", norms),
    ]
    return (
        rows + (_given_rows(certificate, given) if given else _sigma_rows(certificate)) + _closed_form_rows(certificate)
    )


def _sigma_rows(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("parity", plain_text(certificate.get("parity", "?"))),
        ("breakpoints", _breakpoints_text(certificate.get("breakpoints") or ())),
        ("growth", _growth_text(certificate.get("growth"))),
    ]


def _given_rows(certificate: Mapping[str, Any], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("meaning", plain_text(given.get("meaning", "?"))),
        ("parity in rho", plain_text(certificate.get("parity", "?"))),
        ("symmetric", plain_text(given.get("symmetric", "?"))),
        ("positive definite", plain_text(given.get("positive_definite", "?"))),
    ]


def _norms_text(variance: str, subject: str, norms: Mapping[str, Any] | None) -> str:
    """Which inputs are served where sigma is not homogeneous."""
    one = f"rows of squared norm {variance} ({subject} is not homogeneous)"
    if not norms or not norms.get("served"):
        reason = (norms or {}).get("reason")
        return f"{one}; no tables for others: {plain_text(reason)}" if reason else one
    low, high = norms["served"]
    error = value_text(norms.get("error_estimate"))
    return f"from {value_text(low)} to {value_text(high)}, by tables with an estimated error of {error} of the diagonal"


def _closed_form_rows(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The derived formulas, or why there are none."""
    form = certificate.get("closed_form")
    if not form:
        reason = certificate.get("closed_form_reason")
        return [("closed form", f"none: {plain_text(reason)}")] if reason else []
    if not isinstance(form, Mapping):
        return [("closed form", plain_text(form))]
    rows = [
        (f"{name} =", plain_text(form[name])) for name in ("kappa", "kappa_dot", "dual", "dual_dot") if form.get(name)
    ]
    checked = form.get("checked")
    if not isinstance(checked, Mapping):
        return [("closed form", "given; q is the variance; dual_dot and kappa_dot by differentiation"), *rows]
    difference = value_text(checked.get("max_relative_difference"))
    return [
        ("closed form", f"derived from sigma; q is the variance; differs from quadrature by {difference} at most"),
        *rows,
    ]


def _breakpoints_text(points: Sequence[Mapping[str, Any]]) -> str:
    if not points:
        return "none: sigma is analytic on the real line"
    return ", ".join(
        f"{plain_text(point.get('kind', 'break'))} at {plain_text(point.get('exact') or value_text(point.get('at')))}"
        for point in points
    )


def _growth_text(growth: Mapping[str, Any] | None) -> str:
    if not growth:
        return "no bound was derived, so nothing about the tails is proved"
    powers = f"(1 + |t|)^{plain_text(growth.get('power', 0))}"
    exponent = f"exp({plain_text(growth.get('quadratic', 0))} t^2 + {plain_text(growth.get('linear', 0))} |t|)"
    return (
        f"|sigma(t)| <= {plain_text(growth.get('scale', '?'))} {powers} {exponent} "
        f"for |t| >= {plain_text(growth.get('beyond', 0))}"
    )


def _part(certificate: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = certificate.get(name)
    return part if isinstance(part, Mapping) else {}


def _kernels(certificate: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """kappa, and kappa_dot where it was not refused."""
    parts = [(name, _part(certificate, name)) for name in ("kappa", "kappa_dot")]
    return [(name, part) for name, part in parts if part and "refused" not in part]


def _refusal(certificate: Mapping[str, Any]) -> list[RenderableType]:
    reason = _part(certificate, "kappa_dot").get("refused")
    if reason is None:
        return []
    return [Text.assemble(("kappa_dot and the NTK are refused: ", "bold yellow"), plain_text(reason))]


def _quantity(part: Mapping[str, Any], stem: str) -> tuple[Any, str]:
    """The number kept under `stem_bound`, else under `stem_estimate`, and which of the two it is."""
    for kind in ("bound", "estimate"):
        if f"{stem}_{kind}" in part:
            return part[f"{stem}_{kind}"], kind
    return None, "bound"


def _quantity_at(part: Mapping[str, Any], stem: str, key: str) -> tuple[Any, str]:
    values, kind = _quantity(part, stem)
    return (values.get(key) if isinstance(values, Mapping) else None), kind


def _cell(quantity: tuple[Any, str]) -> str:
    value, kind = quantity
    text = bound_text(value)
    return text if kind == "bound" or text == "-" else f"~{text} (estimate)"


def _error_table(kernels: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("")
    for name, _ in kernels:
        table.add_column(name, justify="right")
    for label, read in _ERROR_ROWS:
        cells = [read(part) for _, part in kernels]
        if any(cell != "-" for cell in cells):
            table.add_row(label, *cells)
    return table


def _at_rho(part: Mapping[str, Any], rho: str) -> tuple[Any, str]:
    for kind in ("bound", "estimate"):
        values = part.get(f"truncation_{kind}_at")
        if isinstance(values, Mapping):
            return values.get(rho), kind
    return None, "bound"


def _shortfall(part: Mapping[str, Any]) -> str:
    """What a composed series misses in the coefficients it keeps, where that is worth a line."""
    missing, truncation = _quantity(part, "shortfall"), _quantity(part, "truncation")[0]
    if not is_number(missing[0]) or not is_number(truncation) or missing[0] <= 1e-9 * truncation:
        return "-"
    return _cell(missing)


def _degree_for(part: Mapping[str, Any], error: float) -> str:
    wanted = part.get("degree_for")
    if not isinstance(wanted, Mapping):
        return "-"
    found = next((entry for key, entry in wanted.items() if float(key) == error), None)
    if not isinstance(found, Mapping) or not is_number(found.get("degree")):
        return "not known"
    degree = found["degree"]
    if found.get("kind") == "proved":
        return f"{degree}"
    return f"about {degree:.2g} (estimate)" if degree >= 1000 else f"about {degree} (estimate)"


def _degree_kept(part: Mapping[str, Any]) -> str:
    coefficients = part.get("coefficients")
    return f"{len(coefficients) - 1}" if isinstance(coefficients, Sequence) and coefficients else "-"


_Reader = Callable[[Mapping[str, Any]], str]

_ERROR_ROWS: tuple[tuple[str, _Reader], ...] = (
    ("value at rho = 1", lambda part: value_text(part.get("moment"))),
    ("last degree kept", _degree_kept),
    ("truncation: all dropped terms together", lambda part: _cell(_quantity(part, "truncation"))),
    ("  of it in coefficients that are kept", _shortfall),
    ("  the same for |rho| <= 0.5", lambda part: _cell(_at_rho(part, "0.5"))),
    ("  the same for |rho| <= 0.9", lambda part: _cell(_at_rho(part, "0.9"))),
    ("  the same for |rho| <= 0.99", lambda part: _cell(_at_rho(part, "0.99"))),
    ("rounding of the printed coefficients", lambda part: _cell(_quantity(part, "literal_rounding"))),
    ("rounding of the evaluation, float64", lambda part: _cell(_quantity_at(part, "evaluation", "float64"))),
    ("rounding of the evaluation, float32", lambda part: _cell(_quantity_at(part, "evaluation", "float32"))),
    ("total error of the series, float64", lambda part: _cell(_quantity_at(part, "total", "float64"))),
    ("total error of the series, float32", lambda part: _cell(_quantity_at(part, "total", "float32"))),
    ("degree needed for a truncation error of 1e-3", lambda part: _degree_for(part, 1e-3)),
    ("degree needed for a truncation error of 1e-6", lambda part: _degree_for(part, 1e-6)),
    ("degree needed for a truncation error of 1e-9", lambda part: _degree_for(part, 1e-9)),
)


def _degree_table(certificate: Mapping[str, Any]) -> Table:
    """Degree against truncation error at rho = 1, with bars on a logarithmic scale common to both kernels."""
    curves = {name: _curve(part) for name, part in _kernels(certificate)}
    degrees = _thinned(sorted(set().union(*curves.values()) if curves else set()))
    positive = [curve[d] for curve in curves.values() for d in degrees if curve.get(d, 0.0) > 0.0]
    low = math.floor(math.log10(min(positive))) if positive else 0
    high = max(math.ceil(math.log10(max(positive))), low + 1) if positive else 1
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("degree", justify="right")
    for name, part in _kernels(certificate):
        table.add_column(f"{name} {_curve_kind(part)}", justify="right")
        table.add_column(f"1e{low} .. 1e{high}", width=_BAR_WIDTH, no_wrap=True)
    for degree in degrees:
        cells: list[RenderableType] = []
        for curve in curves.values():
            value = curve.get(degree)
            cells += [bound_text(value) if value is not None else "-", _bar(value, low, high)]
        table.add_row(str(degree), *cells)
    return table


def _curve_kind(part: Mapping[str, Any]) -> str:
    return "estimate" if "estimate_by_degree" in part else "bound"


def _curve(part: Mapping[str, Any]) -> dict[int, float]:
    pairs = part.get("bound_by_degree") or part.get("estimate_by_degree") or ()
    return {int(degree): float(value) for degree, value in pairs if is_number(degree) and is_number(value)}


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


_METHODS: Mapping[str, str] = {
    "power_series": "the power series in rho",
    "theta_chebyshev": "Chebyshev series in theta = arccos(rho)",
}


def _direct_text(part: Mapping[str, Any]) -> str:
    direct = part.get("direct")
    if not isinstance(direct, Mapping):
        return "the truncated power series above"
    method = plain_text(direct.get("method", "?"))
    text = _METHODS.get(method, method)
    if is_number(direct.get("terms")):
        text += f", {direct['terms']} terms"
    if is_number(direct.get("panels")) and direct["panels"] > 1:
        text += f" on each of {direct['panels']} panels"
    if direct.get("status") == "certified" and "error_bound" in direct:
        return f"{text}; error at most {bound_text(direct['error_bound'])}, proved"
    error = direct.get("error_estimate", direct.get("error_bound"))
    return f"{text}; error about {bound_text(error)}, estimated and not proved"


def _check_text(check: Any) -> str:
    if not isinstance(check, Mapping):
        return "  none was made"
    verdict = "agrees" if check.get("agrees") else "DOES NOT AGREE"
    text = f"  mpmath {verdict}: {plain_text(check.get('samples', '?'))} samples"
    if "digits" in check:
        text += f" at {plain_text(check['digits'])} digits"
    if is_number(check.get("max_observed_error")):
        text += f", largest observed error {bound_text(check['max_observed_error'])}"
    return text + " (a check by another road, not a proof)"


def _versions_text(versions: Any) -> str:
    if not isinstance(versions, Mapping):
        return ""
    return "\nmade by " + ", ".join(f"{plain_text(name)} {plain_text(version)}" for name, version in versions.items())
