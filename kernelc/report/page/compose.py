"""Fill the page's template from a certificate; everything in it is escaped, nothing in it is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from kernelc._version import __version__
from kernelc.model import ActivationCurve
from kernelc.report import json as json_format
from kernelc.report.card import formula_latex
from kernelc.report.facts import (
    ERROR_ROWS,
    OBSERVED_NOTE,
    activation_rows,
    bound_curve,
    check_text,
    curve_kind,
    direct_text,
    kernels,
    norms_served,
    observed_curve,
    part_of,
    versions_text,
    zero_beside,
)
from kernelc.report.numbers import bound_text, observed_text, plain_text
from kernelc.report.page.charts import NAMES, Chart, charts
from kernelc.report.page.drawing import draw
from kernelc.report.page.formulas import mathml
from kernelc.report.page.words import GLOSSARY, commands, tiles, verdict

_TEMPLATE, _STYLE = "report.html.jinja", "report.css"


def render(
    certificate: Mapping[str, Any], curve: ActivationCurve | None = None, plans: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The page of one certificate; `curve` is sigma to be drawn, None leaves the figure out; `plans` are shown.

    One HTML file without scripts, that asks no network for anything; what the certificate lacks is left out.
    The same certificate and versions give the same bytes.
    """
    sources = {name: files(__package__).joinpath(name).read_text(encoding="utf-8") for name in (_TEMPLATE, _STYLE)}
    environment = Environment(
        loader=DictLoader({_TEMPLATE: sources[_TEMPLATE]}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template(_TEMPLATE).render(
        **_text(certificate),
        plan_rows=_plan_rows(plans),
        plan_for=_plan_for(plans),
        style=Markup(sources[_STYLE]),
        generator=f"kernelc {__version__}",
        digest=json_format.digest(json_format.render(certificate)),
        figures={key: _figure(chart) for key, chart in charts(certificate, curve, plans).items()},
    )
    return page


def _text(certificate: Mapping[str, Any]) -> dict[str, Any]:
    form = certificate.get("closed_form")
    return {
        "name": plain_text(certificate.get("name", "?")),
        "expression": plain_text(certificate.get("expression", "?")),
        "given": isinstance(certificate.get("dual_kernel"), Mapping),
        "formula": mathml(formula_latex(certificate)),
        "verdict": verdict(certificate),
        "tiles": tiles(certificate),
        "facts": [row for row in activation_rows(certificate) if not _is_closed_form(row[0])],
        "closed_forms": _closed_forms(form) if isinstance(form, Mapping) else [],
        "no_closed_form": plain_text(certificate.get("closed_form_reason") or ""),
        "norms_text": _norms_text(certificate),
        "error_head": [NAMES[name] for name, _ in kernels(certificate)],
        "error_rows": _error_rows(certificate),
        "degree_head": _degree_head(certificate),
        "degree_rows": _degree_rows(certificate),
        "observed_note": OBSERVED_NOTE,
        "refused": part_of(certificate, "kappa_dot").get("refused"),
        "evaluations": [(name, direct_text(part)) for name, part in kernels(certificate)],
        "check": check_text(certificate.get("mpmath")).strip(),
        "commands": commands(certificate),
        "versions": versions_text(certificate.get("versions")).strip(),
        "glossary": GLOSSARY,
    }


def _is_closed_form(label: str) -> bool:
    return label == "closed form" or label.endswith("=")


def _closed_forms(form: Mapping[str, Any]) -> list[tuple[str, Markup | None, str]]:
    """(what it is, MathML or None, text) of each formula that was derived."""
    symbols = {"kappa": r"\kappa(\rho)", "kappa_dot": r"\dot{\kappa}(\rho)", "dual": "T", "dual_dot": r"\dot{T}"}
    titles = {
        "kappa": "at one variance q",
        "kappa_dot": "its derivative's kernel",
        "dual": "at any variances q₁₁, q₂₂ and covariance q₁₂",
        "dual_dot": "the same for the derivative",
    }
    latex = form.get("latex")
    found = []
    for name, symbol in symbols.items():
        if form.get(name):
            shown = latex.get(name) if isinstance(latex, Mapping) else None
            formula = mathml(f"{symbol} = {shown}") if isinstance(shown, str) else None
            found.append((titles[name], formula, f"{name} = {plain_text(form[name])}"))
    return found


def _norms_text(certificate: Mapping[str, Any]) -> str:
    """For which inputs the kernel holds."""
    degree, variance = certificate.get("homogeneous_degree"), plain_text(certificate.get("variance", "?"))
    if degree is not None:
        subject = "T" if certificate.get("dual_kernel") else "σ"
        return f"Rows of any norm are served: {subject} is homogeneous of degree {plain_text(degree)}."
    norms = certificate.get("norms")
    served = norms_served(norms) if isinstance(norms, Mapping) else None
    if isinstance(norms, Mapping) and served is not None:
        zero = ", and rows that are 0," if zero_beside(norms) else ""
        return (
            f"The bounds hold for rows of squared norm {variance}. Rows with norms from {served[0]:g} to {served[1]:g}"
            f"{zero} are served by tables whose error is an estimate; others are refused, and told what would do."
        )
    if certificate.get("closed_form"):
        return (
            f"κ and its bounds hold for rows of squared norm {variance}. The closed form serves any variances "
            "through dual and dual_dot."
        )
    return (
        f"κ and its bounds hold for rows of squared norm {variance}; other norms are refused with a message that says "
        "what would do. Scale the rows, or compile at another variance."
    )


def _error_rows(certificate: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    rows = [(label.strip(), [read(part) for _, part in kernels(certificate)]) for label, read in ERROR_ROWS]
    return [(label, cells) for label, cells in rows if any(cell != "-" for cell in cells)]


def _degree_head(certificate: Mapping[str, Any]) -> list[str]:
    return [
        text
        for name, part in kernels(certificate)
        for text in (f"{NAMES[name]} {curve_kind(part)}", f"{NAMES[name]} observed")
    ]


def _degree_rows(certificate: Mapping[str, Any]) -> list[tuple[int, list[str]]]:
    curves = [(bound_curve(part), observed_curve(part)) for _, part in kernels(certificate)]
    degrees = sorted(set().union(*(bound for bound, _ in curves)))
    rows = []
    for degree in degrees:
        cells = []
        for bound, observed in curves:
            cells += [bound_text(bound.get(degree)), observed_text(observed.get(degree))]
        rows.append((degree, cells))
    return rows


_PLAN_COLUMNS = ("features", "sketch", "predicted_relative_error", "degrees_exact", "degrees_dropped", "nugget")


def _plan_rows(plans: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[_plan_cell(plan.get(key)) for key in _PLAN_COLUMNS] for plan in plans]


def _plan_cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plan_cell, value)) or "none"
    return f"{value:.3g}" if isinstance(value, float) else plain_text(value)


def _plan_for(plans: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The kernel and the dimension of the plans."""
    first = plans[0] if plans else {}
    return plain_text(str(first.get("kernel", "")).upper()), plain_text(first.get("dim", ""))


def _figure(chart: Chart) -> dict[str, Any]:
    return {
        "key": chart.key,
        "title": chart.title,
        "caption": chart.caption,
        "svg": Markup(draw(chart)),
        "x_label": chart.x_label,
        "tables": _tables(chart),
    }


def _tables(chart: Chart) -> list[tuple[str, list[tuple[str, str]]]]:
    """The drawn numbers, a table a curve, for those who do not see the figure."""
    return [
        (curve.label, [(f"{x:.6g}", f"{y:.6g}") for x, y in _thinned(curve.x, curve.y) if math.isfinite(y)])
        for curve in chart.curves
    ]


def _thinned(x: Sequence[float], y: Sequence[float], most: int = 41) -> list[tuple[float, float]]:
    pairs = list(zip(x, y, strict=True))
    step = max(1, math.ceil((len(pairs) - 1) / (most - 1)))
    return pairs[::step]
