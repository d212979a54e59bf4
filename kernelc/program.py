"""The typed program that a backend prints: a closed set of operations, plain doubles, no SymPy.

A printer matches on `Evaluation` and ends in `assert_never`, so that a new operation cannot fall
through in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Parity = Literal["even", "odd", "none"]


@dataclass(frozen=True, slots=True)
class PowerSeries:
    """sum_k coefficients[k] rho^k; `parity` even/odd: the other coefficients are exactly zero."""

    coefficients: tuple[float, ...]
    parity: Parity

    @classmethod
    def of(cls, coefficients: tuple[float, ...]) -> PowerSeries:
        """The series with its parity read off the exact zeros."""
        if not any(coefficients[1::2]):
            return cls(coefficients, "even")
        return cls(coefficients, "none" if any(coefficients[0::2]) else "odd")


@dataclass(frozen=True, slots=True)
class ThetaChebyshev:
    """Piecewise Chebyshev in theta = arccos(rho), MATH: kappa(cos theta) is smooth in theta.

    Panel i covers theta in [edges[i], edges[i+1]], edges[0] = 0, edges[-1] = the double next to pi;
    on it the value is sum_j tables[i][j] T_j((2 theta - edges[i] - edges[i+1]) / (edges[i+1] - edges[i])).
    One panel is the common case; more serve algebraic singularities at theta = 0, pi.
    All tables have one length (shorter ones are padded with zeros).
    """

    edges: tuple[float, ...]
    tables: tuple[tuple[float, ...], ...]


Evaluation = PowerSeries | ThetaChebyshev


@dataclass(frozen=True, slots=True)
class DualProgram:
    """How E[f(u) f(v)] is evaluated at the compiled variance: directly, and by its power series.

    `at_one` and `at_minus_one` are the values at rho = 1 and -1 to double precision (exact limits
    proved in balls), `direct` the best evaluation there is, `series` the certified truncation.
    """

    direct: Evaluation
    series: PowerSeries
    at_one: float
    at_minus_one: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """The facts that a generated file's header states."""

    command: str
    expression: str
    versions: tuple[tuple[str, str], ...]
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelProgram:
    """All that a printer needs to write one module.

    `kappa_dot` is None exactly where `derivative_refused` holds the reason. `homogeneous_degree` p:
    T(q11, q12, q22) = (sqrt(q11 q22) / variance)^p kappa(rho) holds for every variance (None: only
    q11 = q22 = variance).
    """

    name: str
    variance: float
    homogeneous_degree: float | None
    kappa: DualProgram
    kappa_dot: DualProgram | None
    derivative_refused: str | None
    provenance: Provenance
