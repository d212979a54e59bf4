"""What is proved of one truncated power series: truncation, literals, evaluation, and by degree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flint import arb

from kernelc.balls.doubles import nearest_double
from kernelc.certificate.rounding import double_above, evaluation_bound, short_evaluation_bound, total
from kernelc.certificate.samples import observe
from kernelc.model import Ball, DirectDual, SeriesExpansion
from kernelc.program import PowerSeries, ShortSeries, ThetaChebyshev

_RHOS = ("0.5", "0.9", "0.99")
_TOLERANCES = ("0.001", "1e-06", "1e-09")
_TABLE = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Literals with radii, and the JSON-ready statement about them."""

    literals: tuple[Ball, ...]
    statement: dict[str, Any]


def tail_after(series: SeriesExpansion, degree: int) -> arb:
    """An upper bound of sum_{k > degree} c_k = sup |kappa - kappa_degree| (Parseval; reached at rho = 1)."""
    if series.tail_is_zero_after is not None and degree >= series.tail_is_zero_after:
        return arb(0)
    tail = series.moment - total(series.coefficients[: degree + 1])
    upper = tail.upper()
    return upper if upper > 0 else arb(0)


def tails(series: SeriesExpansion) -> list[arb]:
    """`tail_after` for every degree there is a coefficient for."""
    found, partial = [], arb(0)
    for k, c in enumerate(series.coefficients):
        partial += c
        exact = series.tail_is_zero_after is not None and k >= series.tail_is_zero_after
        upper = (series.moment - partial).upper()
        found.append(arb(0) if exact or not upper > 0 else upper)
    return found


def _ball(c: arb) -> Ball:
    mid = nearest_double(c)
    return Ball(mid, double_above(abs(c - arb(mid))), c.str(40))


def certify_series(
    series: SeriesExpansion, degree: int, direct: DirectDual, *, proved: bool, shortfall: arb | None = None
) -> SeriesFacts:
    """The certificate of the series cut after `degree`; keys say `_estimate` where nothing is proved.

    `shortfall`: by how much the kept coefficients may fall short of the true ones, all together (None: not at all).
    The truncation at rho = 1 holds that part too; only what is beyond `degree` shrinks like |rho|^(degree + 1).
    """
    literals = tuple(_ball(c) for c in series.coefficients[: degree + 1])
    doubles = [b.mid for b in literals]
    truncation = tail_after(series, degree)
    missing = arb(0) if shortfall is None else shortfall
    rounding = total([abs(c - arb(x)) for c, x in zip(series.coefficients, doubles, strict=False)])
    evaluation = {d: evaluation_bound(doubles, d) for d in ("float32", "float64")}
    by_degree = tails(series)
    kind = "bound" if proved else "estimate"
    moment = _ball(series.moment)
    statement = {
        "moment": moment.mid,
        "moment_ball": {"mid": moment.mid, "rad": moment.rad, "enclosure": moment.enclosure},
        "coefficients": doubles,
        "coefficient_radii": [b.rad for b in literals],
        f"truncation_{kind}": double_above(truncation),
        f"literal_rounding_{kind}": double_above(rounding),
        f"evaluation_{kind}": {d: double_above(e) for d, e in evaluation.items()},
        f"total_{kind}": {d: double_above(truncation + rounding + e) for d, e in evaluation.items()},
        f"truncation_{kind}_at": {r: double_above(missing + truncation * arb(r) ** (degree + 1)) for r in _RHOS},
        f"{kind}_by_degree": [[d, double_above(by_degree[d])] for d in _TABLE if d < len(by_degree)],
        **observe(direct, series.coefficients, [d for d in _TABLE if d < len(by_degree)]),
        "degree_for": {t: degree_for(by_degree, float(t), kind) for t in _TOLERANCES},
        "direct": _direct(direct, moment.mid),
    }
    if shortfall is not None:
        statement[f"shortfall_{kind}"] = double_above(shortfall)
    return SeriesFacts(literals, statement)


def degree_for(by_degree: Sequence[arb], tolerance: float, kind: str = "bound") -> dict[str, Any] | None:
    """The least degree whose truncation is below `tolerance`: proved where it is among the computed ones.

    Beyond them the tails of the last octave are extrapolated as a power of the degree, and said to be.
    """
    for degree, tail in enumerate(by_degree):
        if tail <= tolerance:
            return {"degree": degree, "kind": "proved" if kind == "bound" else "estimate"}
    last = len(by_degree) - 1
    half = last // 2
    early, late = float(by_degree[half].mid()), float(by_degree[last].mid())
    if half < 4 or not 0.0 < late < early:
        return None
    rate = math.log(early / late) / math.log(last / half)
    # In logarithms: where the decay is slow the degree is beyond what a double holds.
    exponent = math.log(last) + math.log(late / tolerance) / rate
    if exponent > math.log(1e15):
        return None
    estimate = math.exp(exponent)
    digits = 10.0 ** (math.floor(math.log10(estimate)) - 1)
    return {"degree": math.ceil(estimate / digits) * int(max(digits, 1)), "kind": "asymptotic_estimate"}


def _direct(direct: DirectDual, moment: float) -> dict[str, Any]:
    """How the emitted kappa is evaluated and what is known of its error, relative to the value at rho = 1."""
    evaluation = direct.evaluation
    if isinstance(evaluation, PowerSeries):
        size = moment if moment > 0 else 1.0
        rounding = double_above(evaluation_bound(evaluation.coefficients, "float64") / arb(size))
        # The emitted code may leave out leading terms below 2^-59 of the sum.
        left_out = 2.0**-59
        statement: dict[str, Any] = {
            "method": "power_series",
            "terms": len(evaluation.coefficients),
            "panels": 1,
        }
        error = math.nextafter(direct.error + rounding + left_out, math.inf) * (1 + 2.0**-50)
    elif isinstance(evaluation, ShortSeries):
        size = moment if moment > 0 else 1.0
        rounding = double_above(short_evaluation_bound(evaluation) / arb(size))
        statement = {
            "method": "economised_series",
            "terms": len(evaluation.head) + len(evaluation.rest),
            "panels": 1,
        }
        error = math.nextafter(direct.error + rounding, math.inf) * (1 + 2.0**-50)
    else:
        assert isinstance(evaluation, ThetaChebyshev)
        statement = {
            "method": "theta_chebyshev",
            "terms": len(evaluation.tables[0]),
            "panels": len(evaluation.tables),
            "checked_at": direct.checks,
        }
        error = direct.error
    statement["status"] = "certified" if direct.proved else "estimated"
    statement["error_bound" if direct.proved else "error_estimate"] = error
    statement["error_is_relative_to"] = "the value at rho = 1, float64"
    return statement
