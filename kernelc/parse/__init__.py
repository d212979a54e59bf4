"""Text (or a SymPy expression) to `ActivationSpec` or `DualKernelSpec`, by an own grammar: no text is executed."""

from __future__ import annotations

from kernelc.parse.formula import ParameterValue, parse_activation, parse_dual, parse_parameter_value
from kernelc.parse.names import check_name
from kernelc.parse.symbolic import dual_from_sympy, from_sympy

__all__ = [
    "ParameterValue",
    "check_name",
    "dual_from_sympy",
    "from_sympy",
    "parse_activation",
    "parse_dual",
    "parse_parameter_value",
]
