"""Stage 3, expansion: ActivationTraits -> HermiteExpansion, all in balls."""

from __future__ import annotations

from kernelc.expansion.hermite import expand

__all__ = ["expand"]
