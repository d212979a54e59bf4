"""E[f(u) g(w)] of a Gaussian pair where both are analytic: the trapezoidal rule on a lattice, in doubles.

For what is analytic in a strip about the real line the rule's error falls like exp(-c / step): 0.6 of the
step raises it to the power 1.67. Half of it would not do: what a step h takes for slower waves, an oscillation
of frequency 2 (2 pi / h), h / 2 takes for the same.

Unit variances, angle theta <= pi/2 between u and w; angles beyond are brought there by w -> -w. Away from
theta = 0 the lattice lies along u and w, so that f and g are looked up on lines alone and the density is the
product of two Gaussians, of u + w and of u - w. Near it the density is a ridge, and the lattice lies along its
two axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.portable import cosine_sine, gaussian
from kernelc.fitting.proxy import Proxy, at_points

Array = NDArray[np.float64]
_WIDEST_STEP = 0.5
_FINER = 0.6
#: Two steps agree; or they nearly do, and so much better than the two before as such an error would.
_EQUAL, _CLOSE, _FALLS = 2e-15, 1e-10, 1e3
#: Points at most, on a lattice along u and w and on one along the ridge, where each costs values of f and g.
_MOST_POINTS, _MOST_LOOKED_UP = 1_200_000, 200_000
#: sin(theta / 2) from which on the lattice lies along u and w.
_RIDGE = 0.1
#: Across the ridge f and g vary by sin(theta / 2) as fast: the step there, in steps along it.
_RIDGE_STEPS = 5.0


class SmoothPair:
    """Values of E[f(u) g(w)] and E[f'(u) g'(w)] for functions without breakpoints."""

    def __init__(self, f: Proxy, g: Proxy) -> None:
        self._f, self._g = f, g
        self._radius = float(max(f.edges[-1], g.edges[-1]))
        narrowest = min(float(np.diff(each.edges).min()) for each in (f, g))
        # a feature's panels are narrower than it is wide: the first step sees every one
        self._step = min(_WIDEST_STEP, 0.5 * narrowest)

    def __call__(self, angle: float, scale: Array) -> tuple[float, float] | None:
        """Both values at theta = 2 angle, whose errors count relative to `scale`; None where no step is fine enough."""
        if not np.all(scale > 0):
            return None
        cosine, sine = cosine_sine(angle)
        ridge = sine < _RIDGE
        step = self._step if ridge else min(self._step, sine)
        across = _WIDEST_STEP
        before, gap = None, np.inf
        while True:
            rule = self._along_ridge(cosine, sine, step, across) if ridge else self._along_functions(cosine, sine, step)
            if rule is None:
                return None
            if before is not None:
                last, gap = gap, float(np.max(np.abs(rule - before) / scale))
                if gap <= _EQUAL or (gap <= _CLOSE and gap <= _FALLS * last ** (1.0 / _FINER)):
                    return float(rule[0]), float(rule[1])
            before, step = rule, _FINER * step
            across = min(_FINER * _WIDEST_STEP, _RIDGE_STEPS * step)

    def _along_functions(self, c: float, s: float, step: float) -> Array | None:
        """u_i = i h, w_j = j h: the density is a Gaussian of (i + j) h / 2c times one of (i - j) h / 2s."""
        count = int(np.ceil(self._radius / step))
        if (2 * count + 1) ** 2 > _MOST_POINTS:
            return None
        at, both = _grid(step, count), _grid(0.5 * step, 2 * count)
        long, short = gaussian(both / c), gaussian(both / s)
        i = np.arange(2 * count + 1)
        density = long[i[:, None] + i] * short[i[:, None] - i + 2 * count]
        pairs = zip(_look_up(self._f, at), _look_up(self._g, at), strict=True)
        sums = [np.sum(np.sum(density * right, axis=1) * left) for left, right in pairs]
        return np.array(sums) * (step * step / (2.0 * c * s))

    def _along_ridge(self, c: float, s: float, step: float, across: float) -> Array | None:
        """u = c x + s y, w = c x - s y with x, y independent; little varies along y but the Gaussian."""
        counts = int(np.ceil(self._radius / step)), int(np.ceil(self._radius / across))
        if (2 * counts[0] + 1) * (2 * counts[1] + 1) > _MOST_LOOKED_UP:
            return None
        x, y = _grid(step, counts[0]), _grid(across, counts[1])
        density = np.multiply.outer(gaussian(y), gaussian(x))
        pairs = zip(
            _look_up(self._f, c * x + (s * y)[:, None]),
            _look_up(self._g, c * x - (s * y)[:, None]),
            strict=True,
        )
        sums = [np.sum(np.sum(density * left * right, axis=1)) for left, right in pairs]
        return np.array(sums) * (step * across)


def _grid(step: float, count: int) -> Array:
    """The multiples of `step` from -count to count."""
    return step * np.arange(-count, count + 1, dtype=np.float64)


def _look_up(f: Proxy, at: Array) -> tuple[Array, Array]:
    return at_points(f, at, max(f.values.shape[1], f.slopes.shape[1]))
