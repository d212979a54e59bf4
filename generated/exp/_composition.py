# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Power series of deep networks' kernels in float64, composed from the series of their layers.

Carry covariances as s_i s_j rho_ij, one scale s_i a row and a layer. With f_l(rho) the normalised
kernel of hidden layer l, K_l = s_l s'_l f_l(rho_{l-1}), f_l(1) = 1 at equal scales,

    rho_l = f_l(rho_{l-1}),        theta_l = f_l(rho_{l-1}) + f_l'(rho_{l-1}) theta_{l-1},       rho_0 = theta_0 = rho

where theta_l = Theta_l / (s_l s'_l), because w^2 Tdot(K_{l-1}) = dK_l/dq12 = s_l s'_l f_l' / (s_{l-1} s'_{l-1})
(Jacot, Gabriel, Hongler 2018; w_std and b_std are inside f_l). Part of generated packages, copied verbatim;
it needs NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

DoubleArray = npt.NDArray[np.float64]
NetworkKernel = Literal["nngp", "ntk"]


def truncated_product(first: DoubleArray, second: DoubleArray) -> DoubleArray:
    """Coefficients of the product of two power series, cut where both are: (..., n), (..., n) -> (..., n)."""
    length = first.shape[-1]
    product = first[..., :1] * second
    for shift in range(1, length):
        product[..., shift:] += first[..., shift, None] * second[..., : length - shift]
    return product


def truncated_composition(outer: DoubleArray, inner: DoubleArray) -> DoubleArray:
    """Coefficients of sum_k outer[..., k] inner(rho)^k to the degree of `inner`: (..., m), (..., n) -> (..., n).

    Paterson and Stockmeyer's scheme (1973): about 2 sqrt(m) products. Where no coefficient is negative nothing
    cancels: each result then errs by at most about (m + 3 sqrt(m) n) 2^-53 of itself.
    """
    terms = outer.shape[-1]
    step = max(1, math.isqrt(terms))
    blocks = -(-terms // step)
    padded = np.zeros((*outer.shape[:-1], blocks * step))
    padded[..., :terms] = outer
    padded = padded.reshape(*outer.shape[:-1], blocks, step)
    unit = np.zeros(np.broadcast_shapes(outer.shape[:-1], inner.shape[:-1]) + inner.shape[-1:])
    unit[..., 0] = 1.0
    powers = [unit]
    for _ in range(step):
        powers.append(truncated_product(powers[-1], inner))
    parts = padded @ np.stack(powers[:step], axis=-2)
    result = parts[..., blocks - 1, :].copy()
    for block in range(blocks - 2, -1, -1):
        result = truncated_product(result, powers[step])
        result += parts[..., block, :]
    return result


def _layer_step(
    row: DoubleArray, correlation: DoubleArray, tangent: DoubleArray | None
) -> tuple[DoubleArray, DoubleArray | None]:
    """(rho_l, theta_l) from (rho_{l-1}, theta_{l-1}); a tangent of None stays None."""
    composed = truncated_composition(row, correlation)
    if tangent is None:
        return composed, None
    slope = row[..., 1:] * np.arange(1.0, row.shape[-1])
    if slope.shape[-1] == 0:
        return composed, composed
    return composed, composed + truncated_product(truncated_composition(slope, correlation), tangent)


def network_coefficients(
    kappa_rows: Sequence[npt.ArrayLike], kernel: NetworkKernel, degree: int
) -> npt.NDArray[np.float64]:
    """Coefficients 0..degree in rho of the normalised NNGP or NTK of len(kappa_rows) hidden layers.

    Args:
        kappa_rows: for each hidden layer, first layer first, the coefficients of f_l in its own rho, degree 0
            first, shape (..., m_l); leading axes broadcast (many networks, or pairs of norms, at once). At equal
            scales that is a_k(s_{l-1})^2 w^2 / s_l^2, with b^2 / s_l^2 added to the one of degree 0.
        kernel: "nngp" for K_L / (s_L s'_L), "ntk" for Theta_L / (s_L s'_L).
        degree: the last degree kept, at least 0.

    Returns:
        (..., degree + 1) float64. Where no row has a negative coefficient every result is at most the true
        coefficient, up to rounding: what the rows lack is missing, nothing is added. A row must reach degree
        `degree` (degree + 1 for the NTK) for the first layers to be whole, and further where the layer below
        has a constant term; `network_at_one` tells how much is missing altogether.

    Raises:
        ValueError: naming the argument.
    """
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel: expected 'nngp' or 'ntk', got {kernel!r}")
    if degree < 0:
        raise ValueError(f"degree: expected at least 0, got {degree}")
    if not kappa_rows:
        raise ValueError("kappa_rows: expected at least one hidden layer")
    correlation = np.zeros(degree + 1)
    correlation[1:2] = 1.0
    tangent: DoubleArray | None = correlation if kernel == "ntk" else None
    for index, values in enumerate(kappa_rows):
        row = np.asarray(values, dtype=np.float64)
        if row.ndim < 1 or row.shape[-1] == 0 or not bool(np.isfinite(row).all()):
            raise ValueError(f"kappa_rows[{index}]: expected finite coefficients of shape (..., m), m >= 1")
        correlation, tangent = _layer_step(row, correlation, tangent)
    return correlation if tangent is None else tangent


def network_at_one(slopes: Sequence[npt.ArrayLike], kernel: NetworkKernel) -> npt.NDArray[np.float64]:
    """The normalised NNGP or NTK at rho = 1 and equal scales: 1, and theta_L(1) = 1 + f_L'(1) theta_{L-1}(1).

    Args:
        slopes: f_l'(1) = w^2 E[sigma'(s_{l-1} Z)^2] s_{l-1}^2 / s_l^2 of each hidden layer, from the moments, not
            from a truncated series; any shapes that broadcast together.
        kernel: as for `network_coefficients`; the slopes count for "ntk" alone.

    Returns:
        float64, the broadcast shape. Minus the sum of `network_coefficients` it bounds, for every |rho| <= 1, what
        the cut series lacks (all coefficients are >= 0 at equal scales), up to rounding.

    Raises:
        ValueError: naming the argument.
    """
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel: expected 'nngp' or 'ntk', got {kernel!r}")
    rows = np.broadcast_arrays(*(np.asarray(slope, dtype=np.float64) for slope in slopes))
    if not rows:
        raise ValueError("slopes: expected at least one hidden layer")
    value: DoubleArray = np.ones_like(rows[0])
    if kernel == "ntk":
        for slope in rows:
            value = 1.0 + slope * value
    return value
