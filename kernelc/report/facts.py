"""What a certificate says, as rows of text and curves of numbers that every report format shares.

Bounds and estimates are never mixed: the certificate says `..._bound` or `..._estimate`, and so do the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kernelc.report.numbers import bound_text, is_number, plain_text, value_text

#: What the column of observed errors shows.
OBSERVED_NOTE = (
    "observed: largest difference at the sampled rho between the series cut there and the direct evaluation below, "
    "which has an error of its own near 1e-15; a check, not a bound"
)


def activation_rows(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was compiled, as (label, text) rows."""
    variance = plain_text(certificate.get("variance", "?"))
    parameters = _mapping(certificate.get("parameters"))
    homogeneous = certificate.get("homogeneous_degree")
    given = _mapping(certificate.get("dual_kernel"))
    subject = "T (in u and in v)" if given else "sigma"
    norms = (
        f"any: {subject} is homogeneous of degree {plain_text(homogeneous)}"
        if homogeneous is not None
        else norms_text(variance, subject, _mapping(certificate.get("norms")))
    )
    rows = [("source", plain_text(certificate["source"]))] if certificate.get("source") else []
    rows += [
        ("parameters", ", ".join(f"{plain_text(k)} = {plain_text(v)}" for k, v in parameters.items()) or "none"),
        ("input variance", f"{variance}   (the q in u ~ N(0, q) at which kappa is compiled)"),
        ("input norms", norms),
    ]
    return (
        rows + (_given_rows(certificate, given) if given else _sigma_rows(certificate)) + closed_form_rows(certificate)
    )


def _sigma_rows(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("parity", plain_text(certificate.get("parity", "?"))),
        ("breakpoints", _breakpoints_text(breakpoints_of(certificate))),
        ("growth", _growth_text(certificate.get("growth"))),
    ]


def _given_rows(certificate: Mapping[str, Any], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("meaning", plain_text(given.get("meaning", "?"))),
        ("parity in rho", plain_text(certificate.get("parity", "?"))),
        ("symmetric", plain_text(given.get("symmetric", "?"))),
        ("positive definite", plain_text(given.get("positive_definite", "?"))),
    ]


def norms_served(norms: Mapping[str, Any]) -> tuple[float, float] | None:
    """The range of norms that tables serve."""
    served = norms.get("served")
    if isinstance(served, list) and len(served) == 2 and all(map(is_number, served)):
        return float(served[0]), float(served[1])
    return None


def zero_beside(norms: Mapping[str, Any]) -> bool:
    """Whether rows that are 0 are served beside that range."""
    served = norms_served(norms)
    return served is not None and served[0] > 0.0 and norms.get("zero_served") is True


def norms_text(variance: str, subject: str, norms: Mapping[str, Any]) -> str:
    """Which inputs are served where sigma is not homogeneous."""
    served = norms_served(norms)
    if served is None:
        one, reason = f"rows of squared norm {variance} ({subject} is not homogeneous)", norms.get("reason")
        return f"{one}; no tables for others: {plain_text(reason)}" if reason else one
    low, high = served
    error = value_text(norms.get("error_estimate"))
    zero = ", and 0" if zero_beside(norms) else ""
    reach = f"from {value_text(low)} to {value_text(high)}{zero}"
    own = norms.get("one_norm_error_estimate")
    closer = "" if own is None else f" ({value_text(own)} between inputs of one norm)"
    return f"{reach}, by tables with an estimated error of {error} of the diagonal{closer}"


def closed_form_rows(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
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


def _mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping, else an empty one: a certificate may come from anywhere."""
    return value if isinstance(value, Mapping) else {}


def breakpoints_of(certificate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The breakpoints that the certificate lists."""
    points = certificate.get("breakpoints")
    return [point for point in points if isinstance(point, Mapping)] if isinstance(points, list) else []


def _breakpoints_text(points: Sequence[Mapping[str, Any]]) -> str:
    if not points:
        return "none: sigma is analytic on the real line"
    return ", ".join(
        f"{plain_text(point.get('kind', 'break'))} at {plain_text(point.get('exact') or value_text(point.get('at')))}"
        for point in points
    )


def _growth_text(growth: Any) -> str:
    if not isinstance(growth, Mapping) or not growth:
        return "no bound was derived, so nothing about the tails is proved"
    powers = f"(1 + |t|)^{plain_text(growth.get('power', 0))}"
    exponent = f"exp({plain_text(growth.get('quadratic', 0))} t^2 + {plain_text(growth.get('linear', 0))} |t|)"
    return (
        f"|sigma(t)| <= {plain_text(growth.get('scale', '?'))} {powers} {exponent} "
        f"for |t| >= {plain_text(growth.get('beyond', 0))}"
    )


def part_of(certificate: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The statement about one kernel, `kappa` or `kappa_dot`; empty where there is none."""
    part = certificate.get(name)
    return part if isinstance(part, Mapping) else {}


def kernels(certificate: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """kappa, and kappa_dot where it was not refused."""
    parts = [(name, part_of(certificate, name)) for name in ("kappa", "kappa_dot")]
    return [(name, part) for name, part in parts if part and "refused" not in part]


def quantity(part: Mapping[str, Any], stem: str) -> tuple[Any, str]:
    """The number kept under `stem_bound`, else under `stem_estimate`, and which of the two it is."""
    for kind in ("bound", "estimate"):
        if f"{stem}_{kind}" in part:
            return part[f"{stem}_{kind}"], kind
    return None, "bound"


def quantity_at(part: Mapping[str, Any], stem: str, key: str) -> tuple[Any, str]:
    """The same for a quantity kept by dtype."""
    values, kind = quantity(part, stem)
    return (values.get(key) if isinstance(values, Mapping) else None), kind


def quantity_text(found: tuple[Any, str]) -> str:
    """A bound as it is; an estimate marked as one."""
    value, kind = found
    text = bound_text(value)
    return text if kind == "bound" or text == "-" else f"~{text} (estimate)"


def _at_rho(part: Mapping[str, Any], rho: str) -> tuple[Any, str]:
    for kind in ("bound", "estimate"):
        values = part.get(f"truncation_{kind}_at")
        if isinstance(values, Mapping):
            return values.get(rho), kind
    return None, "bound"


def _shortfall(part: Mapping[str, Any]) -> str:
    """What a composed series misses in the coefficients it keeps, where that is worth a line."""
    missing, truncation = quantity(part, "shortfall"), quantity(part, "truncation")[0]
    if not is_number(missing[0]) or not is_number(truncation) or missing[0] <= 1e-9 * truncation:
        return "-"
    return quantity_text(missing)


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

ERROR_ROWS: tuple[tuple[str, _Reader], ...] = (
    ("value at rho = 1", lambda part: value_text(part.get("moment"))),
    ("last degree kept", _degree_kept),
    ("truncation: all dropped terms together", lambda part: quantity_text(quantity(part, "truncation"))),
    ("  of it in coefficients that are kept", _shortfall),
    ("  the same for |rho| <= 0.5", lambda part: quantity_text(_at_rho(part, "0.5"))),
    ("  the same for |rho| <= 0.9", lambda part: quantity_text(_at_rho(part, "0.9"))),
    ("  the same for |rho| <= 0.99", lambda part: quantity_text(_at_rho(part, "0.99"))),
    ("rounding of the printed coefficients", lambda part: quantity_text(quantity(part, "literal_rounding"))),
    ("rounding of the evaluation, float64", lambda part: quantity_text(quantity_at(part, "evaluation", "float64"))),
    ("rounding of the evaluation, float32", lambda part: quantity_text(quantity_at(part, "evaluation", "float32"))),
    ("total error of the series, float64", lambda part: quantity_text(quantity_at(part, "total", "float64"))),
    ("total error of the series, float32", lambda part: quantity_text(quantity_at(part, "total", "float32"))),
    ("degree needed for a truncation error of 1e-3", lambda part: _degree_for(part, 1e-3)),
    ("degree needed for a truncation error of 1e-6", lambda part: _degree_for(part, 1e-6)),
    ("degree needed for a truncation error of 1e-9", lambda part: _degree_for(part, 1e-9)),
)


def curve_kind(part: Mapping[str, Any]) -> str:
    """Whether the errors by degree are proved."""
    return "estimate" if "estimate_by_degree" in part else "bound"


def bound_curve(part: Mapping[str, Any]) -> dict[int, float]:
    """Degree -> truncation error for all rho, as far as the certificate goes."""
    return _by_degree(part.get("bound_by_degree") or part.get("estimate_by_degree"))


def observed_curve(part: Mapping[str, Any]) -> dict[int, float]:
    """Degree -> the largest error that was seen at the sampled rho."""
    return _by_degree(part.get("observed_by_degree"))


def _by_degree(pairs: Any) -> dict[int, float]:
    return {int(degree): float(value) for degree, value in pairs or () if is_number(degree) and is_number(value)}


_METHODS: Mapping[str, str] = {
    "power_series": "the power series in rho",
    "economised_series": "the power series in rho, economised to a shorter polynomial",
    "theta_chebyshev": "Chebyshev series in theta = arccos(rho)",
}


def direct_text(part: Mapping[str, Any]) -> str:
    """How the kernel is evaluated, and how far that is trusted."""
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


def check_text(check: Any) -> str:
    """What the second road found."""
    if not isinstance(check, Mapping):
        return "  none was made"
    verdict = "agrees" if check.get("agrees") else "DOES NOT AGREE"
    text = f"  mpmath {verdict}: {plain_text(check.get('samples', '?'))} samples"
    if "digits" in check:
        text += f" at {plain_text(check['digits'])} digits"
    if is_number(check.get("max_observed_error")):
        text += f", largest observed error {bound_text(check['max_observed_error'])}"
    return text + " (a check by another road, not a proof)"


def versions_text(versions: Any) -> str:
    """The versions that made the certificate, on a line of its own."""
    if not isinstance(versions, Mapping):
        return ""
    return "\nmade by " + ", ".join(f"{plain_text(name)} {plain_text(version)}" for name, version in versions.items())
