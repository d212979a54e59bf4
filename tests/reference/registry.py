"""What one activation of the reference table is, and the shapes its derivative rules share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mpmath import mp

from tests.reference.closed_forms import Dual
from tests.reference.quadrature import Function, Real

#: smooth: analytic about the whole real line; kink_at_zero: analytic up to 0 from either side;
#: kinks: analytic between multiples of `spacing`; singular_at_zero: unbounded derivatives at 0.
Kind = Literal["smooth", "kink_at_zero", "kinks", "singular_at_zero"]


def unit() -> Real:
    """1 at the working precision."""
    return mp.mpf(1)


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation: the text a user types, sigma and sigma' written by hand, and what is known of it.

    `formula` and `parameters` are text for the parser; `sigma` is checked against them, and
    `derivative` against sigma's difference quotients, before anything is computed. `refused` says why
    there is no kappa_dot (and then `derivative` is None). `kappa`,
    `kappa_dot` are closed forms in (variance, rho) where one is known.
    """

    name: str
    formula: str
    sigma: Function
    derivative: Function | None
    kind: Kind = "smooth"
    kappa: Dual | None = None
    kappa_dot: Dual | None = None
    spacing: Callable[[], Real] = unit
    refused: str | None = None
    variances: tuple[str, ...] = ("1",)
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.derivative is None) != (self.refused is not None):
            raise ValueError(f"{self.name}: either a derivative or the reason why there is no kappa_dot")
