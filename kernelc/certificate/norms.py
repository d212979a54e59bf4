"""What the certificate states of the tables for inputs of other norms."""

from __future__ import annotations

from typing import Any

from kernelc.model import NormFit

_CHECKED = (
    "moments and Hermite coefficients against balls at the compiled variance, "
    "T and Tdot against double integrals at other norms and angles"
)
_ONE_NORM = "moments and Hermite coefficients against balls at the compiled variance"


def norm_statement(fit: NormFit) -> dict[str, Any]:
    """The section `norms`.

    `served` is null where there are no tables of T, for `reason`; `zero_served`: whether rows that are 0 are served,
    in that range or beside it. `error_estimate`: of T and Tdot, relative to the
    square root of the product of their values at both inputs; `one_norm_error_estimate`: where both inputs have one
    norm and such pairs tables of their own. `truncation_at`: E[sigma(s Z)^2] without the kept
    terms a_k(s)^2, relative to it, so that the series' error at norms s1, s2 is at most the root of the product.
    """
    program = fit.program
    if program is None:
        return {"declared": list(fit.declared), "served": None, "reason": fit.reason}
    tabulated = program.tabulated
    return {
        "declared": list(fit.declared),
        "served": list(program.norms) if tabulated else None,
        "zero_served": tabulated and (program.norms[0] == 0.0 or program.origin is not None),
        "reason": fit.reason,
        "hermite_served": list(program.norms),
        "hermite_degree": len(program.hermite) - 1,
        "error_estimate": fit.error,
        **({} if program.one_norm is None else {"one_norm_error_estimate": program.one_norm.error}),
        "numbers": fit.numbers,
        "checked": {"how": _CHECKED if tabulated else _ONE_NORM, "values": fit.checks},
        "truncation_at": [
            {"s": tail.s, "kappa_estimate": _shown(tail.kappa), "kappa_dot_estimate": _shown(tail.kappa_dot)}
            for tail in fit.tails
        ],
    }


def _shown(tail: float | None) -> float | None:
    """Three digits, upwards by a rounding of the sum: what is below 1e-14 is rounding alone."""
    return None if tail is None else float(f"{max(tail, 1e-14):.2e}")
