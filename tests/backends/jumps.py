"""The deep NNGP of near-duplicates through an activation with jumps, in mpmath: the most fragile entries there are."""

from __future__ import annotations

import mpmath
import numpy as np
import numpy.typing as npt
from mpmath import mp, mpf

Array = npt.NDArray[np.float64]


def hard_shrink_nngp(x: Array, depth: int, w_std: float, b_std: float) -> Array:
    """The kernel matrix (2, 2) of two near rows x (2, d) through depth layers of hard shrink, t where |t| > 1."""
    with mp.workdps(40):
        one, other = ([mpf(float(value)) for value in row] for row in x)
        weight, bias = mpf(w_std) ** 2, mpf(b_std) ** 2
        inner = [mpmath.fdot(u, v) for u, v in ((one, one), (one, other), (other, other))]
        q11, q12, q22 = (bias + weight * value for value in inner)
        for _ in range(depth):
            duals = _variance(q11), _covariance(q11, q12, q22), _variance(q22)
            q11, q12, q22 = (bias + weight * value for value in duals)
        return np.array([[float(q11), float(q12)], [float(q12), float(q22)]])


def _variance(q: mpf) -> mpf:
    """E[sigma(u)^2] with u of variance q."""
    jump = 1 / mp.sqrt(q)
    return 2 * q * (jump * mp.npdf(jump) + mp.ncdf(-jump))


def _covariance(q11: mpf, q12: mpf, q22: mpf) -> mpf:
    """E[sigma(u) sigma(v)]: over v given u in closed form, over u numerically, finely where v crosses its jump."""
    rho = q12 / mp.sqrt(q11 * q22)
    spread = mp.sqrt(1 - rho * rho)
    jump, other = 1 / mp.sqrt(q11), 1 / mp.sqrt(q22)

    def integrand(u: mpf) -> mpf:
        above, below = (other - rho * u) / spread, (-other - rho * u) / spread
        mean = rho * u * (mp.ncdf(-above) + mp.ncdf(below)) + spread * (mp.npdf(above) - mp.npdf(below))
        return mean * u * mp.npdf(u)

    steps = [other / rho + sign * 2**k * spread / 2 for sign in (-1, 1) for k in range(8)]
    places = sorted({jump, jump + 1, mpf(14), *(place for place in steps if jump < place < 14)})
    return 2 * mp.sqrt(q11 * q22) * mp.quad(integrand, places)
