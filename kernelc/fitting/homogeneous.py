"""Homogeneous sigma: the two-dimensional integral is one integral over an angle.

sigma(t) = A t^p for t > 0 and B |t|^p for t < 0. In polar coordinates (u, v) = r (cos psi, cos(psi - theta)),

    E[sigma(u) sigma(v)] = q^p 2^p Gamma(p + 1) / (2 pi) ((A^2 + B^2) I(theta) + 2 A B I(pi - theta)),
    I(theta) = 2 int_0^{(pi - theta)/2} (sin d sin(d + theta))^p dd

(Cho and Saul 2009 for the rectified monomials). The singular ends are smoothed by a change of variable,
and panels grow geometrically away from d = 0, where a second singularity waits at d = -theta.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from flint import acb, arb, ctx
from numpy.typing import NDArray

from kernelc.balls.tape import Tape, arb_of, constant_ball
from kernelc.fitting.portable import graded_rule
from kernelc.model import VARIABLE, ActivationTraits

Array = NDArray[np.float64]
_BITS = 96
_, _WEIGHTS, _GAPS = graded_rule(48, 7)


class HomogeneousPair:
    """theta -> (kappa, kappa_dot) at cos(theta) of a homogeneous sigma; same calls as `PairIntegral`."""

    def __init__(self, traits: ActivationTraits, variance: Fraction) -> None:
        assert traits.homogeneous_degree is not None
        with ctx.workprec(_BITS):
            self._degree = constant_ball(traits.homogeneous_degree, _BITS)
            self._variance = arb_of(variance)
            first, last = traits.pieces[0], traits.pieces[-1]
            self._right = Tape((last.expression,), VARIABLE)(acb(1))[0].real
            self._left = Tape((first.expression,), VARIABLE)(acb(-1))[0].real

    def __call__(self, theta: float) -> tuple[float, float]:
        """Both values for theta in [0, pi]; the second means nothing where sigma' is not square integrable."""
        with ctx.workprec(_BITS):
            angle, p = arb(theta), self._degree
            kappa = self._value(angle, p, self._right, self._left)
            slope = self._value(angle, p - 1, p * self._right, -p * self._left) if p > arb(1) / 2 else arb(0)
            return float(kappa.mid()), float(slope.mid())

    def _value(self, theta: arb, p: arb, right: arb, left: arb) -> arb:
        size = (2 * self._variance) ** p * (p + 1).gamma() / (2 * arb.pi())
        same = _angular(theta, p) * (right * right + left * left)
        opposite = _angular(arb.pi() - theta, p) * (2 * right * left)
        return size * (same + opposite)


def _angular(theta: arb, p: arb) -> arb:
    """I(theta)."""
    end = (arb.pi() - theta) / 2
    if not end > 0:
        return arb(0)
    low, step = arb(0), theta if theta > 0 else end
    total = arb(0)
    while True:
        high = low + step
        if not high < end:
            high = end
        half = (high - low) / 2
        for gap, w in zip(_GAPS, _WEIGHTS, strict=True):
            d = low + half * float(gap)
            total += half * float(w) * (d.sin() * (d + theta).sin()) ** p
        if high is end:
            return 2 * total
        low, step = high, 3 * step
