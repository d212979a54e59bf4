"""Stage 6, lowering: CertifiedKernel -> KernelProgram, the last stage that knows any mathematics."""

from __future__ import annotations

from kernelc.lowering.lower import lower

__all__ = ["lower"]
