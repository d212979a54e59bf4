"""The closed form of a dual kernel that is given: its own formula, what follows from it, and its float64 form."""

from __future__ import annotations

from typing import Any

import sympy

from kernelc.closedform.derive import VARIANCE
from kernelc.closedform.given_float import compile_given
from kernelc.closedform.statement import SYMBOLS, ClosedFormStatement, formulas
from kernelc.errors import UnsupportedError
from kernelc.model import Q11, Q12, Q22, RHO, DualKernelSpec, DualKernelTraits
from kernelc.program import ClosedFormDual, ClosedFormProgram

_SIMPLIFIED = 60


def state_given_form(spec: DualKernelSpec, traits: DualKernelTraits) -> ClosedFormStatement:
    """T as given, Tdot = dT/dq12 and both on the sphere; float64 forms where the kernel is not homogeneous.

    A homogeneous kernel is evaluated by its degree and kappa at every variance.
    """
    dual, kappa = _dual(spec), _kappa(spec)
    dot = None if traits.derivative_refused else _tidied(sympy.diff(dual, Q12))
    slope = None if traits.derivative_refused else _tidied(sympy.diff(kappa, RHO) / VARIANCE)
    content: dict[str, Any] = {
        "symbols": SYMBOLS,
        **formulas({"dual": dual, "dual_dot": dot, "kappa": kappa, "kappa_dot": slope}),
        "conditions": [],
        "source": "given",
        "checked": None,
    }
    return ClosedFormStatement(content, None, None if traits.homogeneous_degree is not None else _program(dual, dot))


def _dual(spec: DualKernelSpec) -> sympy.Expr:
    if spec.variables == "covariance":
        return spec.expression
    size = sympy.sqrt(Q11) * sympy.sqrt(Q22)
    return size * spec.expression.subs(RHO, Q12 / size)


def _kappa(spec: DualKernelSpec) -> sympy.Expr:
    q = VARIANCE
    if spec.variables == "correlation":
        return q * spec.expression
    return spec.expression.subs({Q11: q, Q12: q * RHO, Q22: q}, simultaneous=True)


def _tidied(expression: sympy.Expr) -> sympy.Expr:
    return sympy.simplify(expression) if expression.count_ops() <= _SIMPLIFIED else expression


def _program(dual: sympy.Expr, dot: sympy.Expr | None) -> ClosedFormProgram | None:
    lowered = _compiled(dual)
    return None if lowered is None else ClosedFormProgram(lowered, None if dot is None else _compiled(dot))


def _compiled(expression: sympy.Expr) -> ClosedFormDual | None:
    try:
        return compile_given(expression)
    except UnsupportedError:
        return None
