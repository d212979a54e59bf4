"""What T and Tdot of a sigma with breakpoints off zero are beside the closed forms of its truncated powers.

With sigma = g + s (see `knots`) the rest E[sigma(u) sigma(v)] - E[s(u) s(v)] = E[sigma(u) g(v)] + E[g(u) s(v)] is
smooth to some order in both norms and the angle, wherever the breakpoints of both sides meet.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernelc.fitting.norms.activation import ScaledActivation, evaluate, profile
from kernelc.fitting.norms.grid import AngleMap, NormMap
from kernelc.fitting.norms.knots import knots_of, refined, split
from kernelc.fitting.norms.samples import OUTER_RULES, PairSampler, Rules, outer_product, outer_rule
from kernelc.fitting.norms.tensor import MIRRORED, Tensors, full_tensor, layer_count, sampled, truncated
from kernelc.model import ActivationTraits
from kernelc.program import NormKnots

Array = NDArray[np.float64]
#: Derivatives whose jumps are taken out, with exp(-0.15 x^2) to damp the powers, and how many norms (at least; over a
#: range of a factor of 25; at most) and what degree in the angle (up to that range; with the most norms) the rest
#: takes: measured together. With fewer derivatives the rest is not smooth enough, with more, or more damping, it
#: varies faster.
_ORDER, _DAMPING = 5, 0.3
_FEWEST_NORMS, _NORMS, _MOST_NORMS = 24, 80, 160
_ANGLES, _MOST_ANGLES = 72, 120
_MOST_NUMBERS = 1_600_000
#: The root of the sum of squares of all dropped coefficients (up to a factor of 25 between norms; beyond, where deep
#: networks are steeper in it), and what it is multiplied by for an estimate.
_DROPPED, _DROPPED_BEYOND, _MARGIN = 5e-12, 1e-12, 6.0


def knotted_tensors(
    traits: ActivationTraits, activation: ScaledActivation, norms: NormMap, angles: AngleMap
) -> Tensors | str:
    """The tables of the rest, and the knots; or why there are none."""
    knots = knots_of(traits, _ORDER, _DAMPING)
    if knots is None:
        return "sigma is singular at a breakpoint off 0, or not known to be smooth up to it: no table is smooth there"
    # the map's own length, that of log s but near 0
    length = 2.0 / norms.stretch / math.log(25.0)
    count = min(max(8 * math.ceil(_NORMS / 8 * length), _FEWEST_NORMS), _MOST_NORMS)
    sampler = KnottedSampler(activation, knots, norms.points(count), traits.parity)
    more = max(count - _NORMS, 0) * (_MOST_ANGLES - _ANGLES) // (_MOST_NORMS - _NORMS)
    values = sampled(sampler, angles.points(_ANGLES + more))
    dropped = _DROPPED_BEYOND if more else _DROPPED
    dual, lost = truncated(full_tensor(values[0]), traits.parity, dropped)
    dual_dot = None
    if len(values) > 1:
        dual_dot, other = truncated(full_tensor(values[1]), MIRRORED[traits.parity], dropped)
        lost = max(lost, other)
    numbers = sum(layer_count(t) for t in (dual, dual_dot) if t is not None)
    if numbers > _MOST_NUMBERS:
        return f"the tables of T and Tdot would hold {numbers} numbers, more than {_MOST_NUMBERS}"
    return Tensors(None, dual, dual_dot, _MARGIN * lost, knots)


class KnottedSampler(PairSampler):
    """theta -> array (kernels, n, n) of the rest over n(s1) n(s2) (and for Tdot over m(s1) m(s2))."""

    def __init__(
        self, activation: ScaledActivation, knots: NormKnots, s: Array, parity: str, rules: Rules = OUTER_RULES
    ) -> None:
        self._rules = rules
        short = refined(activation, knots)
        self._smooth, self._powers = split(short, knots)
        self._knots = np.array(knots.points)
        super().__init__(short, s, parity)

    def _prepare(self) -> None:
        """The coefficients of s, over n(s) and m(s) of sigma."""
        degree = self.coefficients.shape[2] - 1
        profiles = [profile(self._powers, float(v), degree) for v in self._s]
        sizes = np.sqrt(np.array([p.moments for p in profiles]) / self.moments)
        rows = np.nan_to_num(np.array([p.coefficients for p in profiles])) * sizes[:, :, None]
        self._powers_by_degree = np.ascontiguousarray(rows.transpose(2, 1, 0))

    def _pairs(self, degrees: int | slice) -> Array:
        rows, columns = self._upper
        chosen = self._powers_by_degree[degrees]
        products: Array = super()._pairs(degrees) - chosen[..., rows] * chosen[..., columns]
        return products

    def by_quadrature(self, theta: float) -> Array:
        """The double integrals, for theta near 0 or pi: the outer function is kinked, the inner one smooth."""
        mirrored = theta > np.pi / 2
        angle = float(np.pi) - theta if mirrored else theta
        z, weight = outer_rule(*self._cut_panels(angle), self._rules)
        side = -1.0 if mirrored else 1.0
        kernels = self.moments.shape[1]
        outer = np.empty((2, kernels, len(self._s), z.size))
        inner = np.empty(outer.shape[1:])
        for i, s in enumerate(self._s.tolist()):
            for j in range(kernels):
                for k, part in enumerate((self._activation, self._powers)):
                    outer[k, j, i] = evaluate(part.proxy, s * z, bool(j)) * weight
            inner[:, i] = self._inner(s, side * z, angle)
        scale = 1.0 / np.sqrt(self.moments.T)
        result = np.array(
            [outer_product(outer[0, j], inner[j]) + outer_product(outer[1, j], inner[j]).T for j in range(kernels)]
        )
        normalized: Array = result * scale[:, :, None] * scale[:, None, :]
        return normalized

    @property
    def _within(self) -> ScaledActivation:
        return self._smooth

    def _breaks(self, s: float) -> Array:
        return self._knots / s

    def _cut_panels(self, angle: float) -> tuple[Array, Array, Array]:
        """The panels, cut where either function has a breakpoint, and their shares of those before."""
        left, right = self._outer_panels(angle)
        # those of the outer function, and of the inner one at either end of the angles
        meets = (np.array([[1.0], [-1.0]]) * (self._knots[:, None] / self._s).reshape(-1)).reshape(-1)
        edges = np.unique(np.concatenate([left, right[-1:], meets[np.abs(meets) < self._activation.radius]]))
        keep = np.concatenate([[True], np.diff(edges) > 1e-12])
        edges = edges[keep]
        whole = (right - left)[np.clip(np.searchsorted(left, edges[:-1], side="right") - 1, 0, len(left) - 1)]
        return edges[:-1], edges[1:], np.diff(edges) / whole
