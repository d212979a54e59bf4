"""Stage 2, analysis: ActivationSpec -> ActivationTraits."""

from __future__ import annotations

from kernelc.analysis.traits import analyse

__all__ = ["analyse"]
