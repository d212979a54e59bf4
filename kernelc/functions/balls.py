"""Helpers for ball evaluators: branch cuts that python-flint gives no `analytic` flag for."""

from __future__ import annotations

from flint import acb, arb

NAN = acb(arb.nan(), arb.nan())
_ONE = arb(1)


def meets_real_ray(z: acb, *, above: arb | None = None, below: arb | None = None) -> bool:
    """Whether the box z meets {im = 0, re >= above} or {im = 0, re <= below} (undecided: yes)."""
    if not z.imag.overlaps(arb(0)):
        return False
    if above is not None and not z.real < above:
        return True
    return below is not None and not z.real > below


def meets_imaginary_rays(z: acb) -> bool:
    """Whether the box z meets {re = 0, |im| >= 1} (undecided: yes), the cuts of atan and asinh."""
    if not z.real.overlaps(arb(0)):
        return False
    return not (z.imag < _ONE and z.imag > -_ONE)


def real_power(z: acb, p: acb, analytic: bool) -> acb:
    """z^p for real p, finite also on boxes that touch 0 where p > 0 and analyticity is not asked."""
    value = z.pow(p, analytic=analytic)
    if value.is_finite() or analytic or not p.real > 0:
        return value
    radius = z.abs_upper().upper()
    if not radius.is_finite():
        return value
    bound = (radius**p.real).upper() if radius > 0 else arb(0)
    return acb(arb(0, bound), arb(0, bound))
