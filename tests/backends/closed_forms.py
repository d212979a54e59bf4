"""Packages of the gallery's activations with their closed forms, emitted without the rest of the compiler.

The tables of kappa are a stand-in's (they are tested elsewhere): only `dual` and `dual_dot` mean anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import sympy

from kernelc.analysis import analyse
from kernelc.backends import BACKENDS, emit
from kernelc.closedform import ClosedForm, FloatDual, NoClosedForm, activation_beside, compile_dual, derive
from kernelc.gallery import GALLERY
from kernelc.parse import parse_activation
from kernelc.program import ClosedFormProgram, KernelProgram
from tests.backends.programs import certified, shared_cases

#: Beyond the gallery: two kinks, with a road of its own for wide variances.
FORMULAS = {name: (entry.formula, dict(entry.parameters)) for name, entry in GALLERY.items() if not entry.dual} | {
    "hard_tanh": ("Max(-1, Min(1, t))", {})
}
#: For kernel matrices only: jumps off zero, a kink beside a sine, a kink off zero beside a value at 0,
#: one so near 0 that the series there ends early, a jump at 0, a kink beside an error function.
MORE: dict[str, tuple[str, dict[str, str]]] = {
    "hard_shrink": ("Piecewise((t, t > 1), (t, t < -1), (0, True))", {}),
    "leaky_sin": ("Max(t, t/10) + sin(t)", {}),
    "raised_relu": ("Max(2*t + 1/4, t/3)", {}),
    "bent_elu": ("Piecewise((exp(t) - 1, t < 0), (t, t < 1/1000), (2*t - 1/1000, True))", {}),
    "raised_line": ("Heaviside(t) + t/10", {}),
    "gated_relu": ("Max(t, 0) + erf(t)", {}),
}
WITHOUT = {"tanh", "sigmoid", "silu", "softplus"}
JUMPS = {"rectified_monomial_0", "hard_shrink", "raised_line"}
WITH = sorted(FORMULAS.keys() - WITHOUT)


@dataclass(frozen=True)
class Derived:
    """One activation: its formulas, their float64 forms and the files that are emitted."""

    expression: sympy.Expr
    form: ClosedForm
    dual: FloatDual
    dual_dot: FloatDual | None
    program: KernelProgram

    def files(self) -> dict[str, str]:
        return dict(
            emit(self.program, certified(replace(shared_cases()["relu"], program=self.program)), tuple(BACKENDS)).files
        )


@cache
def derivable(name: str) -> bool:
    text, parameters = FORMULAS[name]
    expression = parse_activation(text, name=name, parameters=parameters).expression
    return not isinstance(derive(expression), NoClosedForm)


@cache
def derived(name: str) -> Derived:
    return derived_from(name, *(FORMULAS | MORE)[name])


def derived_from(name: str, text: str, parameters: dict[str, str]) -> Derived:
    """The same of any formula that has a closed form."""
    spec = parse_activation(text, name=name, parameters=parameters)
    form = derive(spec.expression)
    assert isinstance(form, ClosedForm)
    traits = analyse(spec, Fraction(1))
    degree = traits.homogeneous_degree
    dual = compile_dual(form)
    dot = None if form.dual_dot is None else compile_dual(form, dot=True)
    by_parity = {"odd": "erf", "even": "absolute", "none": "relu"}
    stand_in = shared_cases()["step" if dot is None else by_parity[traits.parity]].program
    program = replace(
        stand_in,
        name=name,
        homogeneous_degree=None if degree is None else float(degree),
        breakpoints=tuple(float(point) for point in traits.breakpoints),
        closed_form=activation_beside(
            form.terms, ClosedFormProgram(dual.to_program(), None if dot is None else dot.to_program())
        ),
    )
    return Derived(spec.expression, form, dual, dot, program)
