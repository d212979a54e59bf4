"""Stage 4, fitting: how kappa and kappa_dot are evaluated on all of [-1, 1]."""

from __future__ import annotations

from kernelc.fitting.fit import fit
from kernelc.fitting.network import fit_network

__all__ = ["fit", "fit_network"]
