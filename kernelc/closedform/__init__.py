"""Closed forms of dual kernels: derived from the activation, proved before use.

`derive(expression)` gives a `ClosedForm` or a `NoClosedForm` with the reason; `prove` compares it with
an independent quadrature.
"""

from kernelc.closedform.algebra import Q11, Q12, Q22
from kernelc.closedform.derive import RHO, VARIANCE, ClosedForm, NoClosedForm, derive
from kernelc.closedform.proof import prove

__all__ = ["Q11", "Q12", "Q22", "RHO", "VARIANCE", "ClosedForm", "NoClosedForm", "derive", "prove"]
