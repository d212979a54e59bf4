"""Stage 4, fitting: how kappa and kappa_dot are evaluated on all of [-1, 1], and T and Tdot at other variances."""

from __future__ import annotations

from kernelc.fitting.fit import fit, fit_given
from kernelc.fitting.network import fit_network
from kernelc.fitting.norms import fit_norms

__all__ = ["fit", "fit_given", "fit_network", "fit_norms"]
