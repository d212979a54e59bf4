"""Writes kappa_references.json: kappa and kappa_dot to 30 digits and more, by mpmath alone.

    python -m tests.reference.make_references [--only NAME ...] [--jobs 1]

Every value is computed twice, by two roads or at two settings of one, and only digits on which both
agree are written; a disagreement stops the run. `--only` replaces the named entries and keeps the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import mpmath
from mpmath import libmp, mp

from tests.reference.closed_forms import Dual
from tests.reference.extended import EXTENDED
from tests.reference.formula import check_formula
from tests.reference.gallery import GALLERY
from tests.reference.quadrature import (
    AGREEMENT,
    PANEL_SETTINGS,
    WORK_DPS,
    DisagreementError,
    Function,
    PanelDual,
    PolarCheck,
    Real,
    SmoothDual,
)
from tests.reference.registry import Activation

TABLE = Path(__file__).with_name("kappa_references.json")
RHO = ("-1", "-0.9999", "-0.7", "-0.25", "0", "0.3", "0.6", "0.9", "0.99", "0.999999", "1")
ACTIVATIONS = GALLERY + EXTENDED
STORED_DIGITS = 36
LEAST_DIGITS = 30

CLOSED = "closed form or one-dimensional integral (closed_forms.py)"
TRAPEZOID = "two-dimensional trapezoidal rule in (u, v), step refined by 0.7 until it agrees with the other value"
COARSER = "the same rule at 1/0.7 times the step and another range"
PANELS = "two-dimensional Gauss-Legendre rule in (u, v), panels meeting at the breakpoints, {} nodes a panel"
POLAR = "double-exponential rules in polar coordinates, step refined until it agrees with the other value"

Roads = tuple[str, str, Callable[[Real], tuple[Real, Real]]]


def roads(activation: Activation, f: Function, closed: Dual | None, variance: Real) -> Roads:
    """The names of the two roads for one function and what runs both at a correlation."""
    s = mp.sqrt(variance)

    def scaled(x: Real) -> Real:
        return f(s * x)

    if activation.kind == "smooth":
        smooth = SmoothDual(scaled)
        if closed is None:
            return TRAPEZOID, COARSER, smooth.values
        return CLOSED, TRAPEZOID, lambda rho: confirmed(smooth, closed(variance, rho), rho)
    if closed is not None and activation.kind in ("singular_at_zero", "kink_at_zero"):
        polar = PolarCheck(scaled)
        return CLOSED, POLAR, lambda rho: confirmed(polar, closed(variance, rho), rho)
    if activation.kind == "singular_at_zero":
        raise ValueError(f"{activation.name}: singular at 0 and no closed form")
    first, second = (PanelDual(scaled, activation.spacing() / s, setting) for setting in PANEL_SETTINGS)
    names = tuple(PANELS.format(setting.nodes) for setting in PANEL_SETTINGS)
    if closed is not None:
        return CLOSED, names[0], lambda rho: (closed(variance, rho), first.value(rho))
    if activation.kind == "kink_at_zero":
        polar = PolarCheck(scaled)
        return names[0], POLAR, lambda rho: confirmed(polar, first.value(rho), rho)
    return names[1], names[0], lambda rho: (second.value(rho), first.value(rho))


def confirmed(road: SmoothDual | PolarCheck, value: Real, rho: Real) -> tuple[Real, Real]:
    """A value and the one that another road confirms it by."""
    return value, road.confirmation(rho, value)


def agreed_text(value: Real, other: Real, scale: Real, where: str) -> str:
    """`value` in decimals, only digits on which `other` agrees.

    Raises: DisagreementError where fewer than `LEAST_DIGITS` digits agree (relative to the value, or to
    kappa(1) / 1000 for values below that).
    """
    difference = abs(value - other)
    if difference > mp.mpf(10) ** (-LEAST_DIGITS - 2) * max(abs(value), abs(scale) / 1000):
        raise DisagreementError(f"{where}: {mp.nstr(value, 45)} against {mp.nstr(other, 45)}")
    if max(abs(value), abs(other)) < mp.mpf(AGREEMENT) * abs(scale):
        return "0"
    digits = STORED_DIGITS
    if difference > 0:
        digits = min(digits, int(mp.floor(-mp.log10(difference / abs(value)))) - 1)
    return str(mp.nstr(value, digits))


def dual_record(activation: Activation, f: Function, closed: Dual | None, variance: Real) -> dict[str, Any]:
    """The record of kappa (f = sigma) or kappa_dot (f = sigma') at one variance."""
    road, check, both = roads(activation, f, closed, variance)
    scale = both(mp.mpf(1))[0]
    values, worst = {}, mp.mpf(0)
    for text in RHO:
        value, other = both(mp.mpf(text))
        values[text] = agreed_text(value, other, scale, f"{activation.name} at rho = {text}")
        worst = max(worst, abs(value - other) / scale)
    return {
        "moment": values["1"],
        "values": values,
        "method": road,
        "check": check,
        "error_estimate_relative_to_moment": str(mp.nstr(max(worst, mp.mpf(10) ** (-WORK_DPS)), 2)),
    }


def entry(activation: Activation, variance: str) -> dict[str, Any]:
    """One entry of the table."""
    with mp.workdps(WORK_DPS):
        check_formula(activation)
        q = mp.mpf(variance)
        kappa = dual_record(activation, activation.sigma, activation.kappa, q)
        if activation.derivative is None:
            kappa_dot: dict[str, Any] = {"refused": activation.refused}
        else:
            kappa_dot = dual_record(activation, activation.derivative, activation.kappa_dot, q)
    return {
        "name": activation.name,
        "formula": activation.formula,
        "parameters": activation.parameters,
        "variance": variance,
        "kappa": kappa,
        "kappa_dot": kappa_dot,
    }


def write_table(entries: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Writes the table atomically, entries in the registry's order."""
    order = [(a.name, v) for a in ACTIVATIONS for v in a.variances]
    document = {
        "description": "kappa(rho) = E[sigma(u) sigma(v)], kappa_dot(rho) = E[sigma'(u) sigma'(v)]; (u, v) centred "
        "Gaussian, both of the given variance, correlation rho (the exact decimal, not the nearest double)",
        "command": "python -m tests.reference.make_references",
        "versions": {
            "python": platform.python_version(),
            "mpmath": mpmath.__version__,
            "integers": libmp.BACKEND,
        },
        "working_digits": WORK_DPS,
        "entries": [entries[key] for key in order if key in entries],
    }
    draft = TABLE.with_suffix(".tmp")
    draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, TABLE)


def computed(tasks: list[tuple[Activation, str]], jobs: int) -> Iterator[dict[str, Any]]:
    """The entries of all tasks, in order, from `jobs` processes."""
    if jobs == 1:
        yield from (entry(activation, variance) for activation, variance in tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(entry_by_name, [(a.name, v) for a, v in tasks])


def entry_by_name(key: tuple[str, str]) -> dict[str, Any]:
    """`entry` for a picklable key."""
    return entry(next(a for a in ACTIVATIONS if a.name == key[0]), key[1])


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", choices=[a.name for a in ACTIVATIONS], metavar="NAME")
    parser.add_argument("--missing", action="store_true", help="compute only what the table lacks")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    if (options.only or options.missing) and TABLE.exists():
        stored = json.loads(TABLE.read_text(encoding="utf-8"))["entries"]
        entries = {(e["name"], e["variance"]): e for e in stored}
    tasks = [(a, v) for a in ACTIVATIONS if not options.only or a.name in options.only for v in a.variances]
    if options.missing:
        tasks = [(a, v) for a, v in tasks if (a.name, v) not in entries]
    started = time.monotonic()
    for record in computed(tasks, options.jobs):
        entries[record["name"], record["variance"]] = record
        write_table(entries)
        print(f"{time.monotonic() - started:8.1f} s  {record['name']} at variance {record['variance']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
