"""Closed forms of dual kernels: derived from the activation, proved before use.

`derive(expression)` gives a `ClosedForm` or a `NoClosedForm` with the reason; `prove` compares it with
an independent quadrature. `compile_dual(form, values)` lowers it to float64 arithmetic (`FloatDual`) that is
stable near rho = +-1 and over many orders of magnitude, and that refuses where it is not.
"""

from kernelc.closedform.activation import activation_pieces
from kernelc.closedform.derive import VARIANCE, ClosedForm, NoClosedForm, derive
from kernelc.closedform.given import state_given_form
from kernelc.closedform.proof import prove
from kernelc.closedform.stable import FloatDual, compile_dual
from kernelc.closedform.statement import ClosedFormStatement, activation_beside, state_closed_form
from kernelc.model import Q11, Q12, Q22, RHO

__all__ = [
    "Q11",
    "Q12",
    "Q22",
    "RHO",
    "VARIANCE",
    "ClosedForm",
    "ClosedFormStatement",
    "FloatDual",
    "NoClosedForm",
    "activation_beside",
    "activation_pieces",
    "compile_dual",
    "derive",
    "prove",
    "state_closed_form",
    "state_given_form",
]
