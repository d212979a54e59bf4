"""A dual kernel that is given, its activation unknown: DualKernelSpec -> DualKernelTraits -> GivenExpansion."""

from __future__ import annotations

from kernelc.dualkernel.analyse import LONGEST, analyse_dual
from kernelc.dualkernel.expand import expand_dual
from kernelc.dualkernel.values import AngularValues

__all__ = ["LONGEST", "AngularValues", "analyse_dual", "expand_dual"]
