"""A certificate in a notebook: a small table of what was compiled and how wrong it can be."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from kernelc.report.facts import ERROR_ROWS, activation_rows, kernels
from kernelc.report.numbers import plain_text

_LEFT = "style='text-align:left'"
_SHOWN_FACTS = ("parameters", "input variance", "input norms", "parity", "breakpoints", "meaning")
_SHOWN_ERRORS = ("value", "last degree", "truncation:", "total error of the series, float64", "degree needed")


def card(certificate: Mapping[str, Any]) -> str:
    """An HTML fragment: formula and status, what was compiled, and the errors of each kernel. All of it is escaped."""
    name, formula = (escape(plain_text(certificate.get(key, "?"))) for key in ("name", "expression"))
    status = escape(plain_text(certificate.get("status", "?")))
    facts = "".join(
        f"<tr><th {_LEFT}>{escape(label)}</th><td {_LEFT} colspan='2'>{escape(text)}</td></tr>"
        for label, text in activation_rows(certificate)
        if label in _SHOWN_FACTS
    )
    shown = kernels(certificate)
    head = "".join(f"<th>{escape(label)}</th>" for label, _ in shown)
    errors = "".join(
        f"<tr><th {_LEFT}>{escape(label.strip())}</th>"
        + "".join(f"<td>{escape(read(part))}</td>" for _, part in shown)
        + "</tr>"
        for label, read in ERROR_ROWS
        if label.startswith(_SHOWN_ERRORS)
    )
    return (
        f"<table><caption {_LEFT}><b>{name}</b>: <code>{formula}</code> ({status})</caption>"
        f"<tbody>{facts}</tbody><tbody><tr><th></th>{head}</tr>{errors}</tbody></table>"
    )


def formula_latex(certificate: Mapping[str, Any]) -> str | None:
    """The formula with what it is on its left: the activation, or a dual kernel whose activation is unknown."""
    latex = certificate.get("latex")
    if not isinstance(latex, str) or not latex:
        return None
    given = certificate.get("dual_kernel")
    if not isinstance(given, Mapping):
        return rf"\sigma(t) = {latex}"
    left = r"k(\rho)" if given.get("variables") == ["rho"] else "T(q_{11}, q_{12}, q_{22})"
    return f"{left} = {latex}"
