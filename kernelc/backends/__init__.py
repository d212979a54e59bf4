"""The backends stage: KernelProgram -> EmittedModule, the text of a package that stands alone."""

from __future__ import annotations

from kernelc.backends.emission import BACKENDS, emit
from kernelc.backends.protocol import Printer

__all__ = ["BACKENDS", "Printer", "emit"]
