"""What is known of the functions that a given dual kernel may hold, one record each.

To accept another function: one `SeriesFunction` here (and its record in `kernelc.functions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import sympy
from flint import arb_series

from kernelc.functions.heads import LambertW0

Series = Callable[[arb_series], arb_series]


@dataclass(frozen=True, slots=True)
class SeriesFunction:
    """A function f by its Taylor expansion at 0.

    `series`: f of a power series, in balls. `radius`: f is analytic for |z| < radius (infinity: entire; 0:
    nothing is used). `positive`: all Taylor coefficients of f at 0 are >= 0. `parity`: of f.
    """

    head: type[sympy.Function]
    series: Series
    radius: sympy.Expr = sympy.S.Zero
    positive: bool = False
    parity: Literal["even", "odd", "none"] = "none"


def _sinh(g: arb_series) -> arb_series:
    return (g.exp() - (-g).exp()) / 2


def _cosh(g: arb_series) -> arb_series:
    return (g.exp() + (-g).exp()) / 2


def _tanh(g: arb_series) -> arb_series:
    grown = (2 * g).exp()
    return (grown - 1) / (grown + 1)


def _asinh(g: arb_series) -> arb_series:
    return (g + (g * g + 1).sqrt()).log()


def _atanh(g: arb_series) -> arb_series:
    return ((1 + g).log() - (1 - g).log()) / 2


_ENTIRE = sympy.oo
_RECORDS = (
    SeriesFunction(sympy.exp, lambda g: g.exp(), _ENTIRE, positive=True),
    SeriesFunction(sympy.sinh, _sinh, _ENTIRE, positive=True, parity="odd"),
    SeriesFunction(sympy.cosh, _cosh, _ENTIRE, positive=True, parity="even"),
    SeriesFunction(sympy.erfi, lambda g: g.erfi(), _ENTIRE, positive=True, parity="odd"),
    SeriesFunction(sympy.asin, lambda g: g.asin(), sympy.S.One, positive=True, parity="odd"),
    SeriesFunction(sympy.atanh, _atanh, sympy.S.One, positive=True, parity="odd"),
    SeriesFunction(sympy.tan, lambda g: g.tan(), sympy.pi / 2, positive=True, parity="odd"),
    SeriesFunction(sympy.sin, lambda g: g.sin(), _ENTIRE, parity="odd"),
    SeriesFunction(sympy.cos, lambda g: g.cos(), _ENTIRE, parity="even"),
    SeriesFunction(sympy.erf, lambda g: g.erf(), _ENTIRE, parity="odd"),
    SeriesFunction(sympy.erfc, lambda g: g.erfc(), _ENTIRE),
    SeriesFunction(sympy.atan, lambda g: g.atan(), sympy.S.One, parity="odd"),
    SeriesFunction(sympy.asinh, _asinh, sympy.S.One, parity="odd"),
    SeriesFunction(sympy.tanh, _tanh, sympy.pi / 2, parity="odd"),
    # log is expanded where its argument is positive, see `positivity`; the others are never used in a proof
    SeriesFunction(sympy.log, lambda g: g.log()),
    SeriesFunction(sympy.gamma, lambda g: g.gamma()),
    SeriesFunction(sympy.loggamma, lambda g: g.lgamma()),
    SeriesFunction(LambertW0, lambda g: g.lambertw()),
    SeriesFunction(sympy.airyai, lambda g: g.airy_ai()),
)

#: Every function that is accepted, by its SymPy head. acos is rewritten as pi/2 - asin.
BY_HEAD: Mapping[type, SeriesFunction] = MappingProxyType({record.head: record for record in _RECORDS})
