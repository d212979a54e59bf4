"""Composition: the kernels of a network of several hidden layers as one power series in rho, in balls."""

from __future__ import annotations

from kernelc.composition.network import compose, is_resolved, is_short, rescaled

__all__ = ["compose", "is_resolved", "is_short", "rescaled"]
