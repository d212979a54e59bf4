"""Which curves the HTML report draws, as numbers: no drawing here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from kernelc.model import ActivationCurve
from kernelc.report.facts import bound_curve, breakpoints_of, curve_kind, kernels, observed_curve, quantity, quantity_at
from kernelc.report.numbers import is_number

#: What doubles resolve, relative to the value at rho = 1.
RESOLUTION = 2.0**-53
_LOWEST = 1e-19
_NORMS = tuple(2.0 ** (i / 4) for i in range(-8, 9))

NAMES: Mapping[str, str] = {"kappa": "κ", "kappa_dot": "κ̇"}
_COLOURS: Mapping[str, int] = {"kappa": 1, "kappa_dot": 2}


@dataclass(frozen=True, slots=True)
class Curve:
    """One line or one row of points; NaN makes a gap. `colour` counts from 1 in the page's palette."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: int
    style: Literal["line", "dashed", "points", "stems"] = "line"


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: what is drawn, and in words what it shows."""

    key: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    caption: str
    log_y: bool = False
    log_x: bool = False
    marks: tuple[float, ...] = ()
    floor: float | None = None


def activation_chart(curve: ActivationCurve | None, breakpoints: Sequence[float]) -> Chart | None:
    """sigma and sigma', with its breakpoints."""
    if curve is None or not any(math.isfinite(value) for value in curve.values):
        return None
    curves = [Curve("σ(t)", curve.points, curve.values, 1)]
    if curve.slopes:
        curves.append(Curve("σ′(t)", curve.points, curve.slopes, 2, "dashed"))
    reach = (curve.points[0], curve.points[-1])
    marks = tuple(b for b in breakpoints if reach[0] < b < reach[1])
    drawn = "The activation σ and its derivative σ′" if curve.slopes else "The activation σ"
    where = ""
    if marks:
        where = " A dotted line marks its breakpoint." if len(marks) == 1 else " Dotted lines mark its breakpoints."
    caption = f"{drawn} over four standard deviations of its Gaussian argument.{where}"
    return Chart("activation", "The activation", "t", "", tuple(curves), caption, marks=marks)


def kernel_chart(certificate: Mapping[str, Any]) -> Chart | None:
    """kappa, kappa_dot and the NTK of one hidden layer against rho."""
    samples = {name: _samples(part) for name, part in kernels(certificate)}
    curves = [Curve(f"{NAMES[name]}(ρ)", x, y, _COLOURS[name]) for name, (x, y) in samples.items() if x]
    if not curves:
        return None
    variance = _variance(certificate)
    tangent = ""
    if len(curves) == 2 and variance is not None and samples["kappa"][0] == samples["kappa_dot"][0]:
        rhos, values = samples["kappa"]
        ntk = tuple(k + variance * r * d for r, k, d in zip(rhos, values, samples["kappa_dot"][1], strict=True))
        curves.append(Curve("NTK, one hidden layer", rhos, ntk, 3, "dashed"))
        tangent = " The neural tangent kernel of one hidden layer is κ(ρ) + qρ κ̇(ρ)."
    caption = f"The kernel as a function of the correlation ρ of two inputs.{tangent}"
    return Chart("kernel", "The kernel", "correlation ρ", "", tuple(curves), caption)


def decay_chart(certificate: Mapping[str, Any]) -> Chart | None:
    """The power series' coefficients against their degree."""
    curves = []
    for name, part in kernels(certificate):
        pairs = [(k, c) for k, c in enumerate(_numbers(part.get("coefficients"))) if c > 0]
        if pairs:
            x, y = zip(*pairs, strict=True)
            curves.append(Curve(f"coefficients of {NAMES[name]}", tuple(map(float, x)), y, _COLOURS[name], "stems"))
    caption = (
        "Coefficients of the power series in ρ; all of them are at least 0, and those that are 0 are not drawn. "
        "A straight fall on this scale means that few terms are enough; a flat tail means that a kink keeps many."
    )
    return _logarithmic("decay", "How the coefficients decay", "degree k", "coefficient of ρᵏ", curves, caption, 1e-40)


def degree_chart(certificate: Mapping[str, Any]) -> Chart | None:
    """Truncation error against degree: the bound, and what was observed."""
    curves: list[Curve] = []
    for name, part in kernels(certificate):
        kind = "proved bound" if curve_kind(part) == "bound" else "estimate"
        bound, seen = bound_curve(part), observed_curve(part)
        curves += _positive(f"{NAMES[name]}: {kind}", bound, _COLOURS[name], "line")
        curves += _positive(f"{NAMES[name]}: observed", seen, _COLOURS[name], "points")
    caption = (
        "What cutting the series after a degree costs at the worst ρ. Points on their line mean that the bound is as "
        "tight as a bound can be; points level off where double precision ends, and the bound goes on below."
    )
    curves = _as_far_as_seen(curves)
    chart = _logarithmic("degree", "Error against degree", "degree kept", "largest error", curves, caption, _LOWEST)
    return None if chart is None else _with_floor(chart, certificate)


def _as_far_as_seen(curves: Sequence[Curve]) -> list[Curve]:
    """The curves cut one degree after the last that doubles can tell from none."""
    degrees = sorted({x for c in curves for x in c.x})
    above = [i for i, d in enumerate(degrees) if any(v > _LOWEST for c in curves for x, v in _bounds(c) if x == d)]
    last = degrees[min(max(above, default=0) + 1, len(degrees) - 1)] if degrees else 0.0
    kept = [([p for p in zip(c.x, c.y, strict=True) if p[0] <= last], c) for c in curves]
    return [Curve(c.label, tuple(x for x, _ in p), tuple(y for _, y in p), c.colour, c.style) for p, c in kept]


def _bounds(curve: Curve) -> list[tuple[float, float]]:
    return list(zip(curve.x, curve.y, strict=True)) if curve.style == "line" else []


def rho_chart(certificate: Mapping[str, Any]) -> Chart | None:
    """The error of the series as it was compiled, against rho."""
    curves: list[Curve] = []
    for name, part in kernels(certificate):
        rhos, values = _samples(part)
        coefficients = _numbers(part.get("coefficients"))
        if not rhos or not coefficients:
            continue
        bound = _bound_at(part, len(coefficients))
        if bound is not None:
            grid = tuple(i / 100 for i in range(-100, 101))
            kind = "proved bound" if curve_kind(part) == "bound" else "estimate"
            curves.append(Curve(f"{NAMES[name]}: {kind}", grid, tuple(map(bound, grid)), _COLOURS[name]))
        seen = tuple(abs(_series(coefficients, r) - v) for r, v in zip(rhos, values, strict=True))
        curves.append(Curve(f"{NAMES[name]}: observed", rhos, seen, _COLOURS[name], "points"))
    caption = (
        "The error of the compiled power series in float64, rounding included. The bound shrinks with |ρ| to the "
        "power of the first dropped degree, down to what rounding leaves; points at 0 are not drawn."
    )
    chart = _logarithmic("rho", "Error against ρ", "correlation ρ", "error of the series", curves, caption, _LOWEST)
    return None if chart is None else _with_floor(chart, certificate)


def norm_chart(certificate: Mapping[str, Any]) -> Chart | None:
    """The truncation error against the norm of the inputs: by homogeneity, or as the tables for norms state it."""
    curves, caption = _homogeneous_errors(certificate)
    y_label = "largest error"
    if not curves:
        curves, caption = _tabulated_errors(certificate)
        y_label = "relative error"
    chart = _logarithmic("norm", "Error against input norm", "input norm r", y_label, curves, caption, 1e-300)
    return None if chart is None else Chart(**{**_fields(chart), "log_x": True})


def _homogeneous_errors(certificate: Mapping[str, Any]) -> tuple[list[Curve], str]:
    degree, variance = _fraction(certificate.get("homogeneous_degree")), _variance(certificate)
    curves: list[Curve] = []
    for name, part in kernels(certificate) if degree is not None and variance is not None else ():
        assert degree is not None
        assert variance is not None
        error, kind = quantity(part, "truncation")
        if not is_number(error) or error <= 0:
            continue
        power = 2 * (degree if name == "kappa" else degree - 1)
        values = tuple(error * norm**power for norm in _NORMS)
        norms = tuple(norm * math.sqrt(variance) for norm in _NORMS)
        word = "proved bound" if kind == "bound" else "estimate"
        curves.append(Curve(f"{NAMES[name]}: {word}", norms, values, _COLOURS[name]))
    return curves, (
        "The truncation error for two inputs of the same norm r. By homogeneity kernel and error grow alike "
        "with r: the relative error is the same at every norm."
    )


def _tabulated_errors(certificate: Mapping[str, Any]) -> tuple[list[Curve], str]:
    norms = certificate.get("norms")
    rows = norms.get("truncation_at") if isinstance(norms, Mapping) else None
    rows = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    curves: list[Curve] = []
    for name, _ in kernels(certificate):
        found = [(row.get("s"), row.get(f"{name}_estimate")) for row in rows]
        pairs = [(float(s), float(e)) for s, e in found if s is not None and e is not None and is_number(s + e)]
        if pairs:
            x, y = zip(*sorted(pairs), strict=True)
            curves.append(Curve(f"{NAMES[name]}: estimate", x, y, _COLOURS[name]))
            curves.append(Curve(f"{NAMES[name]} at the norms computed", x, y, _COLOURS[name], "points"))
    return curves, (
        "The truncation error of the series for two inputs of the same norm r, relative to the kernel's value there: "
        "estimated, not proved. What lies below 1e-14 is shown there. Larger norms reach further out on σ and need "
        "more terms."
    )


def plan_chart(plans: Sequence[Mapping[str, Any]]) -> Chart | None:
    """The predicted error of the random features against their number."""
    curves = []
    labels = {
        "predicted_relative_error": "rows in all directions",
        "predicted_relative_error_there": "rows in few dimensions",
    }
    for number, (key, label) in enumerate(labels.items(), 1):
        found = [(plan.get("features"), plan.get(key)) for plan in plans]
        pairs = [(float(m), float(e)) for m, e in found if m is not None and e is not None and is_number(m + e)]
        if pairs:
            x, y = zip(*pairs, strict=True)
            curves.append(Curve(label, x, y, number))
            curves.append(Curve(f"plans: {label}", x, y, number, "points"))
    caption = (
        "The relative error of inner products of random features, predicted from the kernel's series and the sketch's "
        "variance before anything is run: an expectation, not a bound."
    )
    chart = _logarithmic("plan", "Error against features", "features", "predicted error", curves, caption, 1e-300)
    return None if chart is None else Chart(**{**_fields(chart), "log_x": True})


def charts(
    certificate: Mapping[str, Any], curve: ActivationCurve | None, plans: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Chart]:
    """Every chart there is data for, by key."""
    breaks = [point["at"] for point in breakpoints_of(certificate) if is_number(point.get("at"))]
    found = [
        activation_chart(curve, breaks),
        *(make(certificate) for make in (kernel_chart, decay_chart, degree_chart, rho_chart, norm_chart)),
        plan_chart(plans),
    ]
    return {chart.key: chart for chart in found if chart is not None}


def _fields(chart: Chart) -> dict[str, Any]:
    return {name: getattr(chart, name) for name in Chart.__slots__}


def _with_floor(chart: Chart, certificate: Mapping[str, Any]) -> Chart:
    """The same with the zone that doubles cannot resolve."""
    moments = (part.get("moment") for _, part in kernels(certificate))
    known = [float(m) for m in moments if m is not None and is_number(m) and m > 0]
    return Chart(**{**_fields(chart), "floor": RESOLUTION * max(known)}) if known else chart


def _logarithmic(
    key: str, title: str, x_label: str, y_label: str, curves: Sequence[Curve], caption: str, lowest: float
) -> Chart | None:
    """A chart with a logarithmic error axis; what is not above `lowest` becomes a gap; None where nothing is left."""
    kept = []
    for c in curves:
        y = tuple(v if math.isfinite(v) and v >= lowest else math.nan for v in c.y)
        if any(math.isfinite(v) for v in y):
            kept.append(Curve(c.label, c.x, y, c.colour, c.style))
    return Chart(key, title, x_label, y_label, tuple(kept), caption, log_y=True) if kept else None


def _positive(
    label: str, curve: Mapping[int, float], colour: int, style: Literal["line", "dashed", "points", "stems"]
) -> list[Curve]:
    pairs = sorted((d, v) for d, v in curve.items() if v > 0)
    return [Curve(label, tuple(float(d) for d, _ in pairs), tuple(v for _, v in pairs), colour, style)] if pairs else []


def _samples(part: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    samples = part.get("samples")
    if not isinstance(samples, Mapping):
        return (), ()
    rhos, values = _numbers(samples.get("rho")), _numbers(samples.get("value"))
    return (rhos, values) if len(rhos) == len(values) else ((), ())


def _numbers(values: Any) -> tuple[float, ...]:
    """`values` as floats, () where one is no finite number."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not all(map(is_number, values)):
        return ()
    return tuple(float(v) for v in values)


def _series(coefficients: Sequence[float], rho: float) -> float:
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * rho + coefficient
    return value


def _bound_at(part: Mapping[str, Any], terms: int) -> Callable[[float], float] | None:
    """rho -> the error of the summed series there: truncation |rho|^terms, and both roundings."""
    truncation, rounding = quantity(part, "truncation")[0], quantity(part, "literal_rounding")[0]
    evaluation = quantity_at(part, "evaluation", "float64")[0]
    if not (is_number(truncation) and is_number(rounding) and is_number(evaluation)):
        return None

    def bound(rho: float) -> float:
        return float(truncation) * abs(rho) ** terms + float(rounding) + float(evaluation)

    return bound


def _variance(certificate: Mapping[str, Any]) -> float | None:
    value = _fraction(certificate.get("variance"))
    return value if value is not None and value > 0 else None


def _fraction(text: Any) -> float | None:
    try:
        value = float(Fraction(str(text)))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value
