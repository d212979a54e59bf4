"""NNGP and NTK by the recursion itself, at 60 digits, straight from the definition."""

from __future__ import annotations

import mpmath
import numpy as np
import numpy.typing as npt

from tests.backends.programs import Case

DIGITS = 60


class Network:
    """K_l = w^2 T(K_{l-1}) + b^2 and Theta_l = K_l + w^2 Tdot(K_{l-1}) Theta_{l-1} for one pair of inputs.

    T at other variances than 1 is (s1 s2)^p kappa(rho), Tdot (s1 s2)^(p - 1) kappa_dot(rho).
    """

    def __init__(self, case: Case, depth: int, w_std: float, b_std: float) -> None:
        self.case, self.depth = case, depth
        self.weight, self.bias = mpmath.mpf(w_std) ** 2, mpmath.mpf(b_std) ** 2
        self.power = case.program.homogeneous_degree or 0.0

    def _inner(self, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> mpmath.mpf:
        products = (mpmath.mpf(float(a)) * mpmath.mpf(float(b)) for a, b in zip(x, y, strict=True))
        return self.weight * mpmath.fsum(products) + self.bias

    def _variances(self, x: npt.NDArray[np.floating]) -> list[mpmath.mpf]:
        values = [self._inner(x, x)]
        for _ in range(self.depth):
            values.append(self.weight * values[-1] ** self.power * self.case.kappa(mpmath.mpf(0)) + self.bias)
        return values

    def pair(self, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> tuple[mpmath.mpf, mpmath.mpf | None]:
        """(NNGP, NTK) of one pair; the NTK is None where kappa_dot is refused."""
        with mpmath.workdps(DIGITS):
            first, second = self._variances(x), self._variances(y)
            cross = self._inner(x, y)
            tangent = cross
            for layer in range(self.depth):
                scale = mpmath.sqrt(first[layer] * second[layer])
                rho = mpmath.mpf(0) if scale == 0 else cross / scale
                theta = mpmath.acos(max(-1, min(1, rho)))
                slope = mpmath.mpf(0)
                if self.case.kappa_dot is not None and scale != 0:
                    slope = scale ** (self.power - 1) * self.case.kappa_dot(theta)
                cross = self.weight * scale**self.power * self.case.kappa(theta) + self.bias
                tangent = cross + self.weight * slope * tangent
            return cross, tangent if self.case.kappa_dot is not None else None

    def matrices(
        self, x1: npt.NDArray[np.floating], x2: npt.NDArray[np.floating]
    ) -> tuple[list[list[mpmath.mpf]], list[list[mpmath.mpf]]]:
        """The NNGP and the NTK of all pairs."""
        pairs = [[self.pair(x, y) for y in x2] for x in x1]
        return [[pair[0] for pair in row] for row in pairs], [[pair[1] for pair in row] for row in pairs]


def relative_error(
    values: npt.NDArray[np.floating],
    truth: list[list[mpmath.mpf]],
    first: list[mpmath.mpf],
    second: list[mpmath.mpf],
) -> float:
    """The largest |value - truth| / sqrt(diagonal_i diagonal_j); rows of diagonal 0 must be exactly 0."""
    worst = 0.0
    with mpmath.workdps(DIGITS):
        for i, row in enumerate(truth):
            for j, expected in enumerate(row):
                error = abs(mpmath.mpf(float(values[i, j])) - expected)
                scale = mpmath.sqrt(first[i] * second[j])
                if scale == 0:
                    assert error == 0, (i, j)
                else:
                    worst = max(worst, float(error / scale))
    return worst
