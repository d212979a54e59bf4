"""One random activation: compiled, and every bound of its certificate compared with the truth."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from kernelc.analysis import analyse
from kernelc.backends import emit
from kernelc.balls.doubles import nearest_double
from kernelc.certificate import CertificateInputs, OracleResult, certify
from kernelc.deadline import TimeLimitReached, time_limit
from kernelc.errors import CertificationError, InputError, KernelcError
from kernelc.expansion import expand
from kernelc.kernel import Kernel
from kernelc.lowering import lower
from kernelc.model import CompileOptions, DirectDual, DirectEvaluation, NormFit, SeriesExpansion
from kernelc.parse import parse_activation
from kernelc.pipeline import compile_activation, versions
from kernelc.program import PowerSeries
from tests.pipeline.loading import load
from tests.strategies import Formula
from tests.trust.truth import DIGITS, Truth, UndecidedError, pair_values, tell

_VARIANCES = ("1", "1", "1", "0.25", "2", "9/4", "0.01", "100")
_DEGREES = (4, 8, 12, 16, 24)
#: Doubles in two dimensions: relative to the value at rho = 1.
_PAIR_ERROR = 1e-12
_TRUTH_SECONDS = 90.0
_BEYOND = 8


@dataclass(frozen=True)
class Case:
    """What is compiled."""

    formula: Formula
    variance: str
    degree: int
    rhos: tuple[float, ...]
    #: whether all of the pipeline runs, or the stages up to the certificate
    whole: bool

    @property
    def request(self) -> dict[str, Any]:
        """For the log."""
        return {
            "expression": self.formula.text,
            "parameters": dict(self.formula.parameters),
            "variance": self.variance,
            "degree": self.degree,
            "whole": self.whole,
        }


@dataclass
class Outcome:
    """`verdict`: certified, estimated, refused, over_budget, self_check, traceback; what was found wrong, if anything.

    `truth`: compared, or why it could not be told.
    """

    verdict: str
    reason: str = ""
    truth: str = ""
    violations: list[str] = field(default_factory=list)
    missed_estimates: list[str] = field(default_factory=list)
    compared: int = 0


def make_case(formula: Formula, seed: int, index: int, whole_every: int) -> Case:
    """Variance, degree and correlations of a case, fixed by the campaign's seed and the case's number."""
    draw = random.Random(f"{seed}/{index}")
    # What float32 holds, so that both dtypes are asked for the same value.
    rhos = tuple(
        float(np.float32(r)) for r in (draw.uniform(-0.9, 0.9), draw.choice((-1, 1)) * draw.uniform(0.9, 0.97))
    )
    return Case(formula, draw.choice(_VARIANCES), draw.choice(_DEGREES), rhos, index % whole_every == 0)


def judge(case: Case, folder: Path, seconds: float) -> Outcome:
    """Compile within `seconds` and compare; whatever goes wrong is in the outcome."""
    formula = case.formula
    try:
        with time_limit(seconds):
            kernel = _compiled_whole(case) if case.whole else _compiled_quickly(case)
    except TimeLimitReached:
        return Outcome("over_budget", f"not done in {seconds:g} s")
    except CertificationError as error:
        return Outcome("self_check", str(error))
    except InputError as error:
        return Outcome("refused", str(error))
    except KernelcError as error:
        return Outcome("self_check", f"{type(error).__name__}: {error}")
    except Exception as error:
        return Outcome("traceback", f"{type(error).__name__}: {error}")
    outcome = Outcome(str(kernel.certificate["status"]), str(kernel.certificate["status_reason"]))
    variance = Fraction(case.variance)
    try:
        with time_limit(_TRUTH_SECONDS):
            refused = "refused" in kernel.certificate["kappa_dot"]
            truth = tell(formula.tree, formula.parameters, variance, case.degree + 1, with_slope=not refused)
            _Comparison(kernel, truth, variance, case, outcome).run(folder)
        outcome.truth = "compared"
    except UndecidedError as error:
        outcome.truth = f"undecided: {error}"
    except TimeLimitReached:
        outcome.truth = "undecided: no time"
    return outcome


def _compiled_whole(case: Case) -> Kernel:
    return compile_activation(
        case.formula.text,
        name="f",
        parameters=dict(case.formula.parameters),
        variance=case.variance,
        degree=case.degree,
    )


def _compiled_quickly(case: Case) -> Kernel:
    """The compiler's own stages, without its mpmath check (which might catch what must not arise), without a fitted
    evaluation and closed form, and with few coefficients beyond the degree. Its `kappa` is the truncated series."""
    variance = Fraction(case.variance)
    options = CompileOptions("f", variance, case.degree)
    spec = parse_activation(case.formula.text, name="f", parameters=dict(case.formula.parameters))
    traits = analyse(spec, variance)
    expansion = expand(traits, variance, case.degree, case.degree + _BEYOND, None)
    direct = DirectEvaluation(
        _as_series(expansion.kappa, case.degree),
        None if expansion.kappa_dot is None else _as_series(expansion.kappa_dot, case.degree),
    )
    unchecked = OracleResult(0, 0, 0.0, True, ())
    norms = NormFit(options.norm_range, None, None, "not asked for", 0, 0, ())
    inputs = CertificateInputs(
        spec, options, traits, expansion, direct, unchecked, versions(), None, "not asked for", norms
    )
    kernel = certify(inputs, case.degree)
    return Kernel(emit(lower(kernel, traits, direct, None), kernel, options.backends))


def _as_series(series: SeriesExpansion, degree: int) -> DirectDual:
    kept = [nearest_double(c) for c in series.coefficients[: degree + 1]]
    alternating = sum(x if k % 2 == 0 else -x for k, x in enumerate(kept))
    return DirectDual(PowerSeries.of(tuple(kept)), float(series.moment.mid()), alternating, 1.0, False, 0)


class _Comparison:
    def __init__(self, kernel: Kernel, truth: Truth, variance: Fraction, case: Case, outcome: Outcome) -> None:
        self._kernel = kernel
        self._truth = truth
        self._variance = variance
        self._case = case
        self._outcome = outcome
        self._proved = kernel.certificate["status"] == "certified"
        self._pairs: list[tuple[float, tuple[float, float]]] = []

    def run(self, folder: Path) -> None:
        """All comparisons."""
        truth, degree = self._truth, self._case.degree
        with mpmath.workdps(DIGITS):
            q = mpf(self._variance.numerator) / self._variance.denominator
            squares = [a * a for a in truth.hermite]
            errors = [2 * abs(a) * truth.error + truth.error**2 for a in truth.hermite]
            certificate = self._kernel.certificate
            self._series("kappa", certificate["kappa"], truth.moment, truth.error, squares[: degree + 1], errors)
            refused = "refused" in certificate["kappa_dot"]
            slopes = [(k + 1) * squares[k + 1] / q for k in range(degree + 1)]
            if not refused:
                slope_errors = [(k + 1) * errors[k + 1] / q for k in range(degree + 1)]
                self._series(
                    "kappa_dot", certificate["kappa_dot"], truth.slope_moment, truth.slope_error, slopes, slope_errors
                )
        module = load(self._kernel, folder, page=self._case.whole)
        self._pairs = [(rho, pair_values(truth, rho)) for rho in self._case.rhos]
        self._values(module, "kappa", 0, truth.moment, truth.error)
        if not refused:
            self._values(module, "kappa_dot", 1, truth.slope_moment, truth.slope_error)
            if self._case.whole:
                self._near_one(module)
        del sys.modules[module.__name__]

    def _note(self, what: str, gap: Any, allowed: Any, *, proved: bool = True) -> None:
        self._outcome.compared += 1
        if gap <= allowed:
            return
        text = f"{what}: off by {mpmath.nstr(mpf(gap), 5)}, allowed {mpmath.nstr(mpf(allowed), 5)}"
        kept = self._outcome.violations if proved and self._proved else self._outcome.missed_estimates
        kept.append(text)

    def _ball(self, what: str, ball: Any, value: mpf, error: mpf) -> None:
        self._note(f"{what} (double)", abs(value - mpf(ball["mid"])), mpf(ball["rad"]) + 10 * error)
        middle, radius = _enclosure(ball["enclosure"])
        self._note(f"{what} (enclosure)", abs(value - middle), radius + 10 * error)

    def _series(
        self, name: str, statement: Mapping[str, Any], moment: mpf, error: mpf, squares: list[mpf], errors: list[mpf]
    ) -> None:
        kind = "bound" if self._proved else "estimate"
        degree = self._case.degree
        self._ball(f"{name} moment", statement["moment_ball"], moment, error)
        balls = self._kernel.coefficients if name == "kappa" else self._kernel.derivative_coefficients
        assert balls is not None
        for k, ball in enumerate(balls):
            content = {"mid": ball.mid, "rad": ball.rad, "enclosure": ball.enclosure}
            self._ball(f"{name} coefficient {k}", content, squares[k], errors[k])
        all_errors = error + mpmath.fsum(errors)
        tail = moment - mpmath.fsum(squares)
        bound = mpf(statement[f"truncation_{kind}"])
        self._note(f"{name} truncation", tail, bound + 10 * all_errors)
        for rho, at in statement[f"truncation_{kind}_at"].items():
            self._note(f"{name} truncation at {rho}", tail * mpf(rho) ** (degree + 1), mpf(at) + 10 * all_errors)
        literals = mpmath.fsum(abs(c - mpf(x)) for c, x in zip(squares, statement["coefficients"], strict=True))
        allowed = mpf(statement[f"literal_rounding_{kind}"]) + 10 * all_errors
        self._note(f"{name} literals", literals, allowed)
        for row, at in statement[f"{kind}_by_degree"]:
            if row <= degree:
                left = moment - mpmath.fsum(squares[: row + 1])
                self._note(f"{name} truncation by degree {row}", left, mpf(at) + 10 * all_errors)
        for tolerance, found in statement["degree_for"].items():
            if found is not None and found["degree"] <= degree and found["kind"] != "asymptotic_estimate":
                left = moment - mpmath.fsum(squares[: found["degree"] + 1])
                self._note(f"{name} degree for {tolerance}", left, mpf(tolerance) + 10 * all_errors)

    def _values(self, module: Any, name: str, which: int, moment: mpf, error: mpf) -> None:
        """What the emitted code returns at random correlations and at the ends."""
        statement = self._kernel.certificate[name]
        size = float(moment)
        truths = [(rho, pair[which], _PAIR_ERROR * size) for rho, pair in self._pairs]
        truths.append((1.0, size, float(10 * error) + 4e-16 * size))
        if which == 0 and mpmath.isfinite(self._truth.mirror):
            truths.append((-1.0, float(self._truth.mirror), float(10 * error) + 4e-16 * size))
        series, direct = getattr(module, f"{name}_series"), getattr(module, name)
        for rho, value, own in truths:
            for dtype in ("float64", "float32"):
                total = statement["total_bound" if self._proved else "total_estimate"][dtype]
                argument = getattr(np, dtype)(rho)
                try:
                    found = float(series(argument))
                except ValueError as error:
                    # Refused, and rightly so: it would be infinite.
                    self._note(f"{name}_series refused float32: {error}", 1e37, moment)
                    continue
                self._note(f"{name}_series({rho:.17g}) in {dtype}", abs(found - value), total + own)
            if not self._case.whole:
                continue
            claim = statement["direct"]
            allowed = claim.get("error_bound", claim.get("error_estimate")) * statement["moment"] + own
            found = float(direct(np.float64(rho)))
            self._note(f"{name}({rho:.17g})", abs(found - value), allowed, proved=claim["status"] == "certified")

    def _near_one(self, module: Any) -> None:
        """|kappa(1) - kappa(rho)| <= q kappa_dot(1) (1 - rho)."""
        truth, claim = self._truth, self._kernel.certificate["kappa"]["direct"]
        slope = float(truth.slope_moment) * float(self._variance)
        moment = float(truth.moment)
        allowed = claim.get("error_bound", claim.get("error_estimate"))
        for gap in (1e-12, 1e-8, 1e-4):
            rho = 1.0 - gap
            found = float(module.kappa(rho))
            reach = slope * gap * (1 + 1e-6) + (allowed + 1e-15) * moment + float(truth.error)
            proved = claim["status"] == "certified"
            self._note(f"kappa(1 - {gap:g}) against the slope", abs(found - moment), reach, proved=proved)


def _enclosure(text: str) -> tuple[mpf, mpf]:
    """Middle and radius of a printed ball, "[1.25 +/- 3e-40]", "[+/- 1e-30]" or "0.5"."""
    found = re.fullmatch(r"\[?\s*([-+0-9.e]*?)\s*(?:\+/-\s*([0-9.e+-]+|inf))?\s*\]?", text)
    if found is None or text in ("nan", "inf"):
        return mpf(0), mpf("inf")
    radius = mpf(found[2]) if found[2] else mpf(0)
    return mpf(found[1]) if found[1] else mpf(0), radius


#: Beginnings of refusals -> what they are counted as.
_REASONS = (
    (r"no bound of the form", "no growth bound: grows too fast, or singular"),
    (r"grows like exp", "grows too fast for the variance"),
    (r"may be singular|is not integrable there|so that sigma\^2", "not square integrable at a point"),
    (r"singular or not real|not real on", "not real, or a pole, on the line"),
    (r"zero everywhere", "zero everywhere"),
    (r"cannot be told from zero", "a constant that cannot be told from zero"),
    (r"range of doubles|too large|too small|overflow", "a constant out of range"),
    (r"too many zeros|are too many|more than \d+ zeros|more than \d+ pieces", "too many switches"),
    (r"too close together|told apart|isolated|could not be decided", "switches too close together"),
    (r"could not be enclosed", "integrals not enclosed"),
    (r"varies too fast", "varies too fast to be tabulated"),
    (r"is not one analytic piece", "a derivative that is not one piece"),
    (r"column \d+", "parser"),
)


def reason_of(message: str) -> str:
    """A refusal's kind, for counting."""
    return next((kind for pattern, kind in _REASONS if re.search(pattern, message)), "other: " + message[:80])
