"""What the certificate says of a closed form: the formulas, only after they agreed with quadrature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy

from kernelc.closedform.activation import activation_pieces
from kernelc.closedform.derive import ClosedForm, NoClosedForm, derive
from kernelc.closedform.homogeneous import expand
from kernelc.closedform.normal_form import exact
from kernelc.closedform.proof import holds_at_equal_inputs, prove
from kernelc.closedform.stable import compile_dual, small_variances
from kernelc.closedform.terms import Terms
from kernelc.errors import CertificationError, UnsupportedError
from kernelc.model import VARIABLE
from kernelc.program import ClosedFormDual, ClosedFormProgram

SAMPLES = 3
DIGITS = 15
_LARGEST = 150
SYMBOLS = "dual, dual_dot: variances q11, q22, covariance q12; kappa, kappa_dot: variance q, correlation rho"


@dataclass(frozen=True, slots=True)
class ClosedFormStatement:
    """JSON-ready formulas, or None and the reason why there are none; their float64 form where one holds."""

    content: Mapping[str, Any] | None
    reason: str | None
    program: ClosedFormProgram | None = None


def state_closed_form(expression: sympy.Expr) -> ClosedFormStatement:
    """Derive T, Tdot and kappa of an activation and compare them with quadrature before saying so."""
    size = int(expression.count_ops())
    if size > _LARGEST:
        return ClosedFormStatement(None, f"the formula has {size} operations: too many to try a derivation")
    form = derive(expression)
    if isinstance(form, NoClosedForm):
        return ClosedFormStatement(None, form.reason)
    try:
        difference = prove(form, expression, samples=SAMPLES, digits=DIGITS)
    except CertificationError as error:
        # Either is wrong, the derivation or the quadrature: the form is not stated.
        return ClosedFormStatement(None, f"a form was derived, but could not be confirmed: {error}")
    return ClosedFormStatement(_content(form, float(difference)), None, _program(form, expression))


def _program(form: ClosedForm, expression: sympy.Expr) -> ClosedFormProgram | None:
    """T and Tdot in float64; None where T does not hold there."""
    sigma = exact(expression)
    dual = _compiled(form, sigma, dot=False)
    slope = None if dual is None else _compiled(form, sympy.diff(sigma, VARIABLE), dot=True)
    if dual is None:
        return None
    return activation_beside(form.terms, ClosedFormProgram(dual, slope))


def activation_beside(terms: Terms, program: ClosedFormProgram) -> ClosedFormProgram:
    """`program` with sigma itself, where a road asks for it: gaps of a kinked one by distances, mixed norms."""
    kinked, series = any(term.gate is not None for term in terms), program.dual.series
    if not kinked and series is None:
        return program
    found = replace(program, activation=activation_pieces(terms))
    if not found.activation:
        return program
    if not found.gated or series is not None:
        return replace(found, near_zero=series)
    # error functions are differences of probabilities
    taylor = expand(terms)
    return program if taylor is None else replace(found, near_zero=small_variances(taylor))


def _compiled(form: ClosedForm, function: sympy.Expr, *, dot: bool) -> ClosedFormDual | None:
    """One of both; None where it holds nowhere, or is not the moment of `function` at equal inputs."""
    try:
        dual = compile_dual(form, dot=dot)
    except UnsupportedError:
        return None
    return dual.to_program() if holds_at_equal_inputs(dual, function) else None


def formulas(found: Mapping[str, sympy.Expr | None]) -> dict[str, Any]:
    """Each formula by its name as text, and all of them in LaTeX under "latex"."""
    return {
        **{name: None if formula is None else str(formula) for name, formula in found.items()},
        "latex": {name: None if formula is None else sympy.latex(formula) for name, formula in found.items()},
    }


def _content(form: ClosedForm, difference: float) -> dict[str, Any]:
    found = {"dual": form.dual, "dual_dot": form.dual_dot, "kappa": form.kappa, "kappa_dot": form.kappa_dot}
    return {
        "symbols": SYMBOLS,
        **formulas(found),
        "conditions": [str(condition) for condition in form.conditions],
        "source": "derived from sigma",
        "checked": {
            "by": "quadrature at other variances, both signs, near rho = +-1 (a check, not a proof)",
            "samples": SAMPLES,
            "digits": DIGITS,
            "max_relative_difference": difference,
        },
    }
