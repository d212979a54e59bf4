# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""TensorSketch with CountSketch leaves: powers of rho in time that follows the non-zeros.

Algorithm. With F_i the Fourier transform of an independent CountSketch of x in D buckets, F_1 F_2 .. F_k is that of
a CountSketch of the k-fold tensor power of x (circular convolution). All degrees share the D buckets:

    phi(x) = inverse Fourier of  F_1 (u_1 + F_2 (u_2 + F_3 (u_3 + ...))),        u_k = f_k(|x|)

one CountSketch and one transform a degree and one inverse in all; terms of different degree carry a sign of mean 0.

Features: D, the largest 2^a 3^b 5^c that fits, after the exact block. E <phi(x), phi(y)> = sum_k u_k u'_k rho^k.

Variance of <phi(x), phi(y)> at unit norms, S = sum_i x_i^2 y_i^2, up to terms of order 1 / D^2:

    (1 / D) sum_k c_k^2 [(1 + rho^2 - S)^k + (2 rho^2 - S)^k - 2 rho^2k]
  + (2 / D) sum_{k<l} c_k c_l [(1 + rho^2 - S)^k + (2 rho^2 - S)^k rho^(l-k) - 2 rho^(k+l)]

(pairs of index tuples that meet in a bucket, sorted by which signs cancel; the bound of the paper for one degree is
(1 / D)(3^k - 1)). S is taken as (1 + 2 rho^2) / (d + 2), its mean for isotropic rows.

Papers: Pham, Pagh (2013), "Fast and scalable polynomial kernels via explicit feature maps", section 3 and Lemma 6;
Charikar, Chen, Farach-Colton (2002); Avron, Nguyen, Woodruff (2014), Theorem 1 for its subspace embedding. Part of
every generated package; it needs NumPy alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._inputs import DoubleArray, FloatArray
from ._powers import PowerDesign, PowerMap, PowerPlanner
from ._rows import CountSketch, RowSource

#: Count sketches of this sketch are numbered from here, apart from the zonal sketch's front.
_FIRST = 1


def fast_length(most: int) -> int:
    """The largest 2^a 3^b 5^c that is at most `most`."""
    best = 1
    for fives in range(int(math.log(most, 5)) + 1):
        for threes in range(int(math.log(most, 3)) + 1):
            part = 5**fives * 3**threes
            if part <= most:
                best = max(best, part << ((most // part).bit_length() - 1))
    return best


class TensorSketchPlanner(PowerPlanner):
    """Degrees and predicted error of a TensorSketch."""

    def variance(self, weights: DoubleArray, rho: DoubleArray, design: PowerDesign) -> DoubleArray:
        """See the formula at the head of this file."""
        shared = (1.0 + 2.0 * rho**2) / (self.columns + 2)
        spread, turned = 1.0 + rho**2 - shared, 2.0 * rho**2 - shared
        total = np.zeros_like(rho)
        for low in range(design.exact + 1, design.top + 1):
            for high in range(low, design.top + 1):
                pair = spread**low + turned**low * rho ** (high - low) - 2.0 * rho ** (low + high)
                total += (1.0 if low == high else 2.0) * weights[:, low] * weights[:, high] * pair
        return np.maximum(total, 0.0) / fast_length(design.spare)

    def flops(self, design: PowerDesign) -> int:
        """Additions and multiplications a point, for dense rows."""
        length = fast_length(design.spare)
        return int(design.top * (2 * self.columns + 2.5 * length * math.log2(max(length, 2)) + 4 * length))


class TensorSketchMap(PowerMap):
    """A drawn TensorSketch."""

    def __init__(
        self, design: PowerDesign, factors: list[DoubleArray], columns: int, seed: int, dtype: np.dtype[Any]
    ) -> None:
        super().__init__(design, factors, columns, dtype)
        self.length = fast_length(design.spare)
        self.leaves = [
            CountSketch.drawn(seed, _FIRST + leaf, columns, self.length, dtype) for leaf in range(design.top)
        ]

    def sketch(self, rows: RowSource, start: int, stop: int, inverse: DoubleArray, weights: FloatArray) -> FloatArray:
        """(rows, D)."""
        scale = inverse.astype(self.dtype)[:, None]
        product: Any = weights[:, -1:]
        for leaf in range(len(self.leaves) - 1, -1, -1):
            counted = rows.counted(start, stop, self.leaves[leaf]) * scale
            product = np.fft.rfft(counted, axis=1) * product
            if leaf:
                product += weights[:, leaf : leaf + 1]
        result: FloatArray = np.fft.irfft(product, n=self.length, axis=1).astype(self.dtype, copy=False)
        return result
