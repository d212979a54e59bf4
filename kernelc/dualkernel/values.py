"""The given kernel itself, sampled for the fit of a direct evaluation."""

from __future__ import annotations

import sympy
from flint import acb, arb, ctx

from kernelc.balls import Tape
from kernelc.errors import InputError
from kernelc.model import RHO, DualKernelTraits

_BITS = 256


class AngularValues:
    """theta -> (kappa, kappa_dot) at rho = cos(theta), in balls of 256 bits; 0 for a kappa_dot that is refused."""

    def __init__(self, traits: DualKernelTraits) -> None:
        slope = sympy.S.Zero if traits.kappa_dot is None else traits.kappa_dot
        self._tape = Tape((traits.kappa, slope), RHO)

    def __call__(self, theta: float) -> tuple[float, float]:
        """Both values for 0 < theta <= pi.

        Raises:
            InputError: one is not a real number.
        """
        with ctx.workprec(_BITS):
            rho = arb(theta).cos()
            values = self._tape(acb(rho))
            for value in values:
                if not value.is_finite() or value.imag.abs_lower() > arb(2) ** -64:
                    raise InputError(f"no dual kernel: it has no finite real value at rho = {float(rho):.6g}")
            kappa, slope = (float(value.real.mid()) for value in values)
            return kappa, slope
