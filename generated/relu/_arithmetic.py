# Part of the runtime that kernelc copies, unchanged, into every module it generates that has a closed form.
"""Differences of products without cancellation, and quotients at the origin.

Part of generated packages with a closed form, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def quotient(a: ArrayLike, b: ArrayLike) -> Array:
    """a / b, and a where a is 0 (a signed zero: the side from which a limit is reached)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    zero = np.equal(a, 0)
    return np.where(zero, a, a / np.where(zero, 1.0, b))


def difference_of_products(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> Array:
    """a b - c d to about one unit in the last place of the result (Dekker's exact products).

    Arguments below 1e-150 or above 1e150 in size lose this (plain arithmetic then).
    """
    a, b, c, d = (np.asarray(v, dtype=np.float64) for v in (a, b, c, d))
    left, right = a * b, c * d
    with np.errstate(invalid="ignore", over="ignore"):
        correction = _product_error(a, b, left) - _product_error(c, d, right)
    return (left - right) + np.where(np.isfinite(correction), correction, 0.0)


def _product_error(a: Array, b: Array, product: Array) -> Array:
    """a b - fl(a b), exactly (Dekker, Numer. Math. 18 (1971), 224-242)."""
    a_high, b_high = 134217729.0 * a, 134217729.0 * b
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    return a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
