"""The objects that travel from stage to stage, each frozen, each made by one stage.

    parse -> ActivationSpec -> analysis -> ActivationTraits -> expansion -> HermiteExpansion
          -> fitting -> DirectEvaluation -> certificate -> CertifiedKernel
          -> lowering -> KernelProgram -> backends -> EmittedModule -> writer, report

A dual kernel that is given, its activation unknown, takes another road to the same fitting:

    parse -> DualKernelSpec -> dualkernel -> DualKernelTraits, GivenExpansion

No stage imports another; only `kernelc.pipeline` imports stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal

import sympy
from flint import arb

from kernelc.program import BACKEND_NAMES, Evaluation, KernelProgram, NormProgram

#: The one free variable of every activation, whatever the user called it.
VARIABLE = sympy.Symbol("t", real=True)
#: What a dual kernel is written in: the correlation, or two variances and the covariance.
RHO = sympy.Symbol("rho", real=True)
Q11 = sympy.Symbol("q11", positive=True)
Q12 = sympy.Symbol("q12", real=True)
Q22 = sympy.Symbol("q22", positive=True)

Parity = Literal["even", "odd", "none"]
Status = Literal["certified", "estimated"]
BreakKind = Literal["jump", "kink", "singular", "smooth", "unknown"]


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """Options of one compile, validated; the command line's options are these.

    `variance` is q = E[u^2] at which kappa is compiled. Either `degree` (the last kept index of
    the power series) or `tol` (what the truncation bound of kappa must not exceed) may be given.
    `norms`: the range of s = sqrt(E[u^2]) that the tables for other variances must serve. `depth` above 1
    adds the kernels of a network of that many hidden layers as power series.
    """

    name: str
    variance: Fraction = Fraction(1)
    degree: int | None = None
    tol: float | None = None
    precision: int | None = None
    backends: tuple[str, ...] = BACKEND_NAMES
    norms: tuple[Fraction, Fraction] = (Fraction(1, 4), Fraction(4))
    depth: int = 1

    @property
    def norm_range(self) -> tuple[float, float]:
        """The declared range of norms in doubles."""
        return float(self.norms[0]), float(self.norms[1])


@dataclass(frozen=True, slots=True)
class ActivationSpec:
    """What was asked for: an activation as a formula in `VARIABLE`, parameters already numbers."""

    name: str
    text: str
    expression: sympy.Expr
    parameters: tuple[tuple[str, sympy.Expr], ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class DualKernelSpec:
    """What was asked for where sigma is unknown: its dual kernel as a formula, parameters already numbers.

    `variables` "correlation": `expression` k in `RHO`, T = sqrt(q11 q22) k(q12 / sqrt(q11 q22));
    "covariance": `expression` is T in `Q11`, `Q12`, `Q22`.
    """

    name: str
    text: str
    expression: sympy.Expr
    variables: Literal["correlation", "covariance"]
    parameters: tuple[tuple[str, sympy.Expr], ...] = ()
    source: str | None = None


Spec = ActivationSpec | DualKernelSpec


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """A real point at which sigma is not (or could not be shown to be) analytic.

    `exact` is its value where one is known; `lower <= point <= upper` are dyadic rationals.
    `jump` of sigma; `kink` of sigma' (sigma is continuous); `singular`: sigma or sigma' is
    unbounded there or not analytic from one side; `unknown`: continuity could not be decided.
    """

    exact: sympy.Expr | None
    lower: Fraction
    upper: Fraction
    kind: BreakKind

    def __float__(self) -> float:
        return float((self.lower + self.upper) / 2)


@dataclass(frozen=True, slots=True)
class Piece:
    """sigma on the open interval between two breakpoints (None: the edge of the range that matters).

    `left_zeros`, `right_zeros`: expressions known to vanish exactly at that end.
    """

    left: Breakpoint | None
    right: Breakpoint | None
    expression: sympy.Expr
    derivative: sympy.Expr
    left_zeros: tuple[sympy.Expr, ...] = ()
    right_zeros: tuple[sympy.Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Growth:
    """Proved: |f(t)| <= scale * (1 + |t|)^power * exp(quadratic t^2 + linear |t|) for |t| >= beyond."""

    scale: Fraction
    power: Fraction
    linear: Fraction
    quadratic: Fraction
    beyond: Fraction


@dataclass(frozen=True, slots=True)
class ActivationTraits:
    """What analysis proved of sigma on the real line.

    `pieces` cover [-range_limit, range_limit]; each is analytic inside. `growth` is None where no
    growth bound could be derived (the kernel is then `estimated`). `derivative_refused` says why
    sigma' is not known to be square integrable, None where it is proved to be.
    `certain` is False where zeros of a condition could not be told apart: nothing is then proved.
    `polynomial_degree` is set where sigma is a polynomial, so that its tail is exactly zero.
    """

    parity: Parity
    homogeneous_degree: sympy.Expr | None
    breakpoints: tuple[Breakpoint, ...]
    pieces: tuple[Piece, ...]
    range_limit: Fraction
    growth: Growth | None
    derivative_growth: Growth | None
    derivative_refused: str | None
    polynomial_degree: int | None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class DualKernelTraits:
    """What is known of a given dual kernel at the compiled variance q.

    `kappa` and `kappa_dot` = kappa'/q are expressions in `RHO`; `moment`, `derivative_moment` their values
    at rho = 1 (exact constants). `derivative_refused` says why kappa'(1) is not finite (`kappa_dot` and
    `derivative_moment` are then None). `support[k]`: whether the coefficient of rho^k may be other than 0.
    `positive`: how it is proved that all coefficients from `proved_from` on are >= 0 and that the series
    adds up to kappa on all of [-1, 1]; where it is not, None, and `doubt` says what is missing.
    `symmetric`: whether T(q11, q12, q22) = T(q22, q12, q11) is proved.
    """

    parity: Parity
    homogeneous_degree: sympy.Expr | None
    kappa: sympy.Expr
    kappa_dot: sympy.Expr | None
    moment: sympy.Expr
    derivative_moment: sympy.Expr | None
    derivative_refused: str | None
    polynomial_degree: int | None
    support: tuple[bool, ...]
    positive: str | None
    proved_from: int
    doubt: str | None
    symmetric: bool


Traits = ActivationTraits | DualKernelTraits


@dataclass(frozen=True, slots=True)
class SeriesExpansion:
    """One power series sum_k c_k rho^k in balls, c_k >= 0, with its value at rho = 1."""

    moment: arb
    coefficients: tuple[arb, ...]
    tail_is_zero_after: int | None = None


@dataclass(frozen=True, slots=True)
class HermiteExpansion:
    """Balls for a_k = E[sigma(sZ) h_k(Z)] and the power series of kappa and kappa_dot.

    `kappa.coefficients[k] = a_k^2`; `kappa_dot` is None where the derivative is refused.
    `proved` is False where a hypothesis (the growth bound) failed: nothing is then a bound.
    """

    hermite: tuple[arb, ...]
    kappa: SeriesExpansion
    kappa_dot: SeriesExpansion | None
    precision: int
    nodes: int
    panels: int
    proved: bool


@dataclass(frozen=True, slots=True)
class GivenExpansion:
    """The power series of kappa and kappa_dot of a given dual kernel, by Taylor expansion at rho = 0 in balls.

    `proved` is False where a coefficient could not be shown to be >= 0, or the series to add up to kappa
    (`doubt` says which).
    """

    kappa: SeriesExpansion
    kappa_dot: SeriesExpansion | None
    precision: int
    proved: bool
    doubt: str | None


Expansion = HermiteExpansion | GivenExpansion


@dataclass(frozen=True, slots=True)
class NetworkLayer:
    """One hidden layer of a network: what is proved of sigma at the variance of its input, in balls.

    `variance` is q_{l-1} = E[u^2] of what enters the layer; `expansion.kappa.moment` is q_l.
    """

    variance: arb
    traits: Traits
    expansion: Expansion


@dataclass(frozen=True, slots=True)
class ComposedSeries:
    """A network's kernel as one power series, cut as `series` is; its coefficients may fall short of the true ones.

    `shortfall` bounds by how much the coefficients up to the kept degree fall short, all together;
    `whole_shortfall` those up to the last one.
    """

    series: SeriesExpansion
    shortfall: arb
    whole_shortfall: arb


@dataclass(frozen=True, slots=True)
class NetworkExpansion:
    """K_L and Theta_L of `depth` hidden layers (w_std = 1, b_std = 0) for inputs of one variance, as series in rho.

    `variances`: q_0..q_L. `ntk` is None exactly where `refused` says why. `outer_degree`: the last degree of the
    layers' own series that was composed. `homogeneous_degree` p^L: the kernels scale so with the norms.
    """

    depth: int
    degree: int
    outer_degree: int
    variances: tuple[arb, ...]
    nngp: ComposedSeries
    ntk: ComposedSeries | None
    refused: str | None
    homogeneous_degree: sympy.Expr | None
    precision: int
    proved: bool


@dataclass(frozen=True, slots=True)
class DirectDual:
    """The best evaluation of one dual kernel on all of [-1, 1], and how far it is trusted.

    `error` is relative to the value at rho = 1: a proved bound of truncation and of the literals where
    `proved` (the evaluation's rounding is added by the certificate), else the largest disagreement with other roads.
    """

    evaluation: Evaluation
    at_one: float
    at_minus_one: float
    error: float
    proved: bool
    checks: int


@dataclass(frozen=True, slots=True)
class DirectEvaluation:
    """What fitting hands to the certificate and to lowering."""

    kappa: DirectDual
    kappa_dot: DirectDual | None


@dataclass(frozen=True, slots=True)
class NetworkDirect:
    """The same for the kernels of a network; `ntk` is None where it is refused."""

    nngp: DirectDual
    ntk: DirectDual | None


@dataclass(frozen=True, slots=True)
class NormTail:
    """At norm s, the part of E[sigma(s Z)^2] (and of E[sigma'(s Z)^2]) that the kept power series leaves out."""

    s: float
    kappa: float
    kappa_dot: float | None


@dataclass(frozen=True, slots=True)
class NormFit:
    """Tables of T and Tdot for inputs of any norm s in `declared`, and how far they are trusted.

    `error`: the largest disagreement with other roads, relative to the root of both moments (an estimate).
    `program` is None where there are no tables at all; where `reason` is given with a program, it holds moments
    and Hermite coefficients alone. `numbers`: how many the tables of T and Tdot hold.
    """

    declared: tuple[float, float]
    program: NormProgram | None
    error: float | None
    reason: str | None
    numbers: int
    checks: int
    tails: tuple[NormTail, ...]


@dataclass(frozen=True, slots=True)
class Ball:
    """A double and the proved radius about it: the true value lies in [mid - rad, mid + rad]."""

    mid: float
    rad: float
    #: decimal enclosure at the working precision
    enclosure: str = ""

    def __float__(self) -> float:
        return self.mid


@dataclass(frozen=True, slots=True)
class NetworkCoefficients:
    """Coefficients of a network's kernels as they are emitted; `ntk` is None where it is refused."""

    nngp: tuple[Ball, ...]
    ntk: tuple[Ball, ...] | None


@dataclass(frozen=True, slots=True)
class CertifiedKernel:
    """Doubles with bounds: what is emitted, and what is proved of it.

    `certificate` is the content of certificate.json (JSON-ready: dicts, lists, str, float, int, None).
    """

    spec: Spec
    options: CompileOptions
    coefficients: tuple[Ball, ...]
    derivative_coefficients: tuple[Ball, ...] | None
    certificate: Mapping[str, Any]
    network: NetworkCoefficients | None = None


@dataclass(frozen=True, slots=True)
class ActivationCurve:
    """sigma and sigma' at `points`, for drawing: nearest doubles of values computed in mpmath, not proved.

    NaN where a value is not finite; `slopes` is empty where sigma' is refused.
    """

    points: tuple[float, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EmittedModule:
    """The files of generated/NAME/: path relative to that folder -> text, ready to be written."""

    name: str
    files: Mapping[str, str]
    program: KernelProgram
    kernel: CertifiedKernel = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A read-only view of a dict does not pickle: the dict does."""
        return _emitted, (self.name, dict(self.files), self.program, self.kernel)


def _emitted(name: str, files: dict[str, str], program: KernelProgram, kernel: CertifiedKernel) -> EmittedModule:
    return EmittedModule(name, MappingProxyType(files), program, kernel)
