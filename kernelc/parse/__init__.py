"""Text (or a SymPy expression) to `ActivationSpec`, by a grammar of its own: no text is ever executed."""

from __future__ import annotations

from kernelc.parse.formula import ParameterValue, parse_activation, parse_parameter_value
from kernelc.parse.names import check_name
from kernelc.parse.symbolic import from_sympy

__all__ = ["ParameterValue", "check_name", "from_sympy", "parse_activation", "parse_parameter_value"]
