"""The typed program that a backend prints: a closed set of operations, plain doubles, no SymPy.

A printer matches on `Evaluation` and ends in `assert_never`, so that a new operation cannot fall
through in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Parity = Literal["even", "odd", "none"]

#: The backends there are, in the order in which they print; `kernelc.backends` registers a printer for each.
BACKEND_NAMES = ("numpy", "cupy")


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


@dataclass(frozen=True, slots=True)
class ShortSeries:
    """sum_{k < h} head[k] rho^k + rho^h sum_j rest[j] y^j, y = 2 rho^2 - 1 where `squared`, else rho.

    A power series with its terms beyond need taken out, see `kernelc.economy`. `rising`: 1 + rho times the sum over
    `rest` in its place.
    """

    head: tuple[float, ...]
    rest: tuple[float, ...]
    squared: bool
    rising: bool = False

    @property
    def cost(self) -> int:
        """Multiplications of Horner's rule."""
        return len(self.head) + len(self.rest) + self.squared


Evaluation = PowerSeries | ShortSeries | ThetaChebyshev


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


Operation = Literal[
    "input",  # q11, q12 or q22, by `name`
    "const",  # `value`
    "add",
    "sub",
    "mul",
    "div",  # a / b, and a where a is 0 (a signed zero: the side from which a limit is reached)
    "neg",
    "abs",
    "sign",  # 1 where a >= 0, else -1
    "max",
    "sqrt",  # of max(a, 0)
    "exp",
    "expm1",
    "log",
    "log1p",
    "sin",
    "cos",
    "atan2",
    "diff_of_products",  # a b - c d, to about one unit in the last place
    "erf",
    "ndtr",  # P(Z <= a)
    "scaled_ndtr",  # (z, exponent, tail): exp(exponent) P(Z <= z), tail = exponent - z^2/2
    "dawson",
    "scaled_quadrant",  # (h, k, bh, bk, tilt, edge_h, edge_k, corner): see numerics.scaled_quadrant
    "quadrant_excess",  # (h, k, bh, bk): see numerics.quadrant_excess
]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation; `value` for const, `name` for input."""

    operation: Operation
    arguments: tuple[int, ...] = ()
    value: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class FloatProgram:
    """A function of (q11, q12, q22) in float64; the summands are listed so that cancellation can be seen.

    The result is the sum of the instructions `summands`.
    """

    instructions: tuple[Instruction, ...]
    summands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SmallVarianceSeries:
    """sigma (or sigma') = sum_k plus_k t^k right of 0, sum_k minus_k t^k left of it; it serves q11, q22 <= below."""

    plus: tuple[float, ...]
    minus: tuple[float, ...]
    below: float


@dataclass(frozen=True, slots=True)
class WideProgram:
    """A program for q11, q22 >= above."""

    program: FloatProgram
    above: float


@dataclass(frozen=True, slots=True)
class ActivationTerm:
    """t^power exp(quadratic t^2 + linear t) (cosine cos(frequency t) + sine sin(frequency t)), times its gate.

    `gate` (a, b): the normal distribution function of a t + b; None: 1.
    """

    power: int
    quadratic: float
    linear: float
    frequency: float
    cosine: float
    sine: float
    gate: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ActivationPiece:
    """The sum of `terms`, for t below `end` and not below the end of the piece before."""

    end: float
    terms: tuple[ActivationTerm, ...]


@dataclass(frozen=True, slots=True)
class ClosedFormDual:
    """E[f(u) f(v)] at any variances in `variances`: `program` where neither other road serves.

    `order`: f goes like t^order at 0, or is smaller; so does the value in each standard deviation.
    `zero_at_origin`: the value is exactly 0 where q11 or q22 is 0. `at_origin`: whether the value at a
    variance of 0 is known (not where f is a sigma that jumps at 0).
    """

    program: FloatProgram
    series: SmallVarianceSeries | None
    wide: WideProgram | None
    variances: tuple[float, float]
    zero_at_origin: bool
    at_origin: bool
    order: int = 0


@dataclass(frozen=True, slots=True)
class ClosedFormProgram:
    """T and Tdot = dT/dq12 (None where it is refused, or where no float64 form of it holds).

    `activation`: sigma piece by piece, its ends rising to infinity; () where nothing needs it. `near_zero`: its Taylor
    coefficients at 0 where its pieces cancel there; None where they do not.
    """

    dual: ClosedFormDual
    dual_dot: ClosedFormDual | None
    activation: tuple[ActivationPiece, ...] = ()
    near_zero: SmallVarianceSeries | None = None

    @property
    def gated(self) -> bool:
        """Whether the normal distribution function is a factor of `activation`."""
        return any(term.gate is not None for piece in self.activation for term in piece.terms)


@dataclass(frozen=True, slots=True)
class NetworkProgram:
    """The kernels of a network of `depth` hidden layers, composed; `ntk` is None exactly where `refused` says why."""

    depth: int
    nngp: DualProgram
    ntk: DualProgram | None
    refused: str | None


@dataclass(frozen=True, slots=True)
class NormTensor:
    """sum_m T_p(m)(z) sum_ij layers[m][i][j] T_i(x1) T_j(x2), z and x as in `NormProgram`.

    Each layer is a symmetric matrix of which rows j <= i are listed, without zeros at their ends.
    p(m) = m, 2 m or 2 m + 1 for `parity` none, even, odd.
    """

    parity: Parity
    layers: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class OneNormSeries:
    """sum_m T_p(m)(z) sum_j rows[m][j] T_j(x) for pairs of one norm, p(m) as for `NormTensor`."""

    parity: Parity
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class OneNormProgram:
    """T and (None where it is refused) Tdot over their moments; `error`: estimated, relative to these."""

    dual: OneNormSeries
    dual_dot: OneNormSeries | None
    error: float

    @property
    def series(self) -> tuple[OneNormSeries, ...]:
        """Both, or the one."""
        return (self.dual,) if self.dual_dot is None else (self.dual, self.dual_dot)


@dataclass(frozen=True, slots=True)
class NormMoment:
    """E[f(s Z)^2] = s^(2 power) exp(sum_j coefficients[j] T_j(x))."""

    power: int
    coefficients: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NormKnots:
    """s(t) = sum_iq weights[i][q] x^q / q! exp(-damping x^2 / 2), x > 0 how far t is beyond points[i], away from 0."""

    damping: float
    points: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class NormProgram:
    """T(s1, s2, theta) and Tdot for standard deviations s in `norms` = (low, high), ends included.

    x(s) = stretch log(s + shift) - offset, and z(theta) = log((theta + grade) / (pi + grade - theta)), divided by
    its value at theta = pi. `hermite[k]`: Chebyshev coefficients of a_k(s) / sqrt(E[sigma(s Z)^2]).
    `aligned`: T at theta = 0 as a symmetric matrix like a layer of `NormTensor`, None where there are no tables of
    T, or with `knots`: then `dual` and `dual_dot` are the tables of what is to be added to the knots'
    E[s(u) s(v)] and E[s'(u) s'(v)].
    `dual_dot` is None where Tdot is refused. `dual` is None where T is the integral of Tdot:
    dT / dtheta = -s1 s2 Tdot sin(theta), T = a_0(s1) a_0(s2) at theta = pi / 2.
    All are normalized by the square roots of both moments. `origin`: sigma(0) and, where Tdot is not refused,
    sigma'(0) (the mean of both sides'), for a norm of 0 beside a range that does not reach it; None where it is not
    served, or needs nothing. `one_norm`, with knots: what `dual` and `dual_dot` are where both norms are the same,
    closer; None where no series in both variables settled.
    """

    norms: tuple[float, float]
    shift: float
    stretch: float
    offset: float
    grade: float
    moment: NormMoment
    slope_moment: NormMoment | None
    hermite: tuple[tuple[float, ...], ...]
    aligned: tuple[tuple[float, ...], ...] | None
    dual: NormTensor | None
    dual_dot: NormTensor | None
    knots: NormKnots | None = None
    origin: tuple[float, ...] | None = None
    one_norm: OneNormProgram | None = None

    @property
    def tabulated(self) -> bool:
        """Whether there are tables of T, not of moments and a_k alone."""
        return self.aligned is not None or self.knots is not None


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
    q11 = q22 = variance). `closed_form`: T and Tdot at other variances, where one was derived.
    `breakpoints`: where sigma is not analytic.
    `norms`: tables of both for a range of norms, where sigma is not homogeneous. `network`: the composed
    kernels of a deep network, where a depth was asked for.

    In a float program an instruction's arguments are indices of earlier instructions.
    """

    name: str
    variance: float
    homogeneous_degree: float | None
    kappa: DualProgram
    kappa_dot: DualProgram | None
    derivative_refused: str | None
    provenance: Provenance
    closed_form: ClosedFormProgram | None = None
    norms: NormProgram | None = None
    network: NetworkProgram | None = None
    breakpoints: tuple[float, ...] = ()
