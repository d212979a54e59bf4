"""Tables of the dual kernel for inputs of any norm in a range: E[sigma(s1 u) sigma(s2 v)] in (s1, s2, theta)."""

from __future__ import annotations

from kernelc.fitting.norms.build import fit_norms

__all__ = ["fit_norms"]
