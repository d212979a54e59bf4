# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The zonal sketch: the whole series in one random layer g(<w, x>), w uniform on the sphere of R^d.

Algorithm. Write the kernel on unit vectors as sum_l B_l P_l(rho) with Gegenbauer's P_l, B_l >= 0. Degrees up to L
are explicit harmonics (`HarmonicBlock`): no error. Degrees L < l <= top go into

    g_e(t) = sum_{l even} e_l sqrt(B_l) p_l(t),     g_o(t) = sum_{l odd} e_l sqrt(B_l) p_l(t),     e_l = (-1)^floor(l/2)

with p_l orthonormal on the sphere, so that E[g_e(<w,x>) g_e(<w,y>) + g_o(<w,x>) g_o(<w,y>)] is their sum exactly.
The signs keep g flat: with all signs equal g peaks and the variance is some 15 times larger. t is clipped at
4 / sqrt(d); what that moves is part of the prediction. Degrees above `top` are left out, and their mass is the plan's
nugget.

Features: 2 a direction (g_e, g_o), 1 where parity leaves one of them; columns of the exact block before them.

Variance of one direction's contribution at correlation rho, with A_f = E[f(<w,x>) f(<w,y>)] = sum_l f_l^2 P_l(rho):

    V(rho) = A_{g_e^2} + A_{g_o^2} + 2 A_{g_e g_o} - kappa(rho)^2,      Var = V / directions    (independent directions)

Orthogonal directions (the default) have less. With norms, sqrt(B_l) becomes a function u_l(s) of the row's norm,
the leading one of `radial_factors`.

Directions: independent; rows of Haar orthogonal matrices (d <= 128); or rows of H D_b H D with Hadamard's H, random
signs D and others D_b for each block, in the next power of two (beyond), whose moments of degree 4 differ from the
sphere's by 4 / d relatively.

Papers: Simon, Anand, DeWeese (2022), "Reverse engineering the neural tangent kernel", Theorem 3.1 (one layer whose
random features have a given kernel); Han, Zandieh, Avron (2022), "Random Gegenbauer features for scalable kernel
methods", eq. (8) and Definition 2 (radial factors, "generalized zonal kernels"); Yu et al. (2016), "Orthogonal random
features"; Choromanski, Rowland, Weller (2017) for H D1 H D2. Part of every generated package; it needs NumPy alone.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._harmonics import (
    GRID_POINTS,
    HarmonicBlock,
    gegenbauer_of_powers,
    last_degree,
    orthonormal_coefficients,
    orthonormal_values,
    sphere_grid,
    zonal_values,
)
from ._inputs import DoubleArray, FloatArray
from ._radial import RadialSeries, radial_factors
from ._transforms import hadamard_columns, next_power_of_two, stream

Index = npt.NDArray[np.intp]
Draws = Literal["haar", "hadamard", "independent"]

#: |t| is clipped at this many standard deviations 1 / sqrt(d) of <w, x>.
CLIP = 4.0
#: Degrees above this are never sketched: no number of features within reach resolves them.
TOP_DEGREE = 32
#: Up to this dimension directions are rows of Haar orthogonal matrices, beyond it of fast Hadamard products.
HAAR_DIMENSION = 128
#: Radial factors of one degree in the exact block; the sketched block has one.
EXACT_FACTORS = 3
_FACTOR_TOLERANCE = 1e-7
#: g is summed in powers of z^2 while the bound of its rounding is below this part of its size (what is seen is some
#: 20 times less), else as a Chebyshev series.
_HORNER_ERROR = 1e-3
#: Columns a tile: three arrays of ROWS x COLUMNS stay in a second-level cache.
COLUMNS = 256


def zonal_factors(series: RadialSeries, dimension: int) -> list[DoubleArray]:
    """For each degree l the radial factors (r, J), r <= 3: B_l(s_i, s_j) ~ sum_r f_r(s_i) f_r(s_j)."""
    degree = last_degree(series.degree, dimension)
    spread = gegenbauer_of_powers(series.degree, dimension)[:, : degree + 1]
    blocks = np.einsum("ijk,kl->lij", series.coefficients, spread)
    return radial_factors(series, blocks, EXACT_FACTORS, _FACTOR_TOLERANCE)


def signs(degree: int) -> DoubleArray:
    """e_0..e_degree."""
    pattern: DoubleArray = np.where(np.arange(degree + 1) // 2 % 2, -1.0, 1.0)
    return pattern


@dataclass(frozen=True, slots=True)
class ZonalDesign:
    """Which degrees are exact (0..exact), sketched (exact+1..top) and dropped, on the sphere of R^dimension."""

    exact: int
    top: int
    dimension: int
    draws: Draws

    def exact_columns(self, columns: int, factors: list[DoubleArray]) -> int:
        """Columns of the exact block for inputs of `columns` columns."""
        return sum(HarmonicBlock(degree, columns).columns * len(factors[degree]) for degree in range(self.exact + 1))

    def channels(self, factors: list[DoubleArray]) -> tuple[bool, bool]:
        """Whether there is an even and an odd part to be sketched."""
        mass = [bool(np.any(factors[degree])) for degree in range(self.exact + 1, self.top + 1)]
        odd = (self.exact + 1) % 2
        return any(mass[odd::2]), any(mass[1 - odd :: 2])


def directions_dimension(columns: int, draws: Draws) -> int:
    """The sphere on which the directions lie: rows are padded by zeros for the Hadamard transform."""
    return next_power_of_two(columns) if draws == "hadamard" else columns


class ZonalCurves:
    """Mean and variance of the sketched part at given pairs, for every choice of exact and top.

    `first`, `second` (pairs,) index the rows of `factors` (norms, degrees), the factor u_l of each norm met.
    """

    def __init__(self, factors: DoubleArray, dimension: int, rho: DoubleArray, first: Index, second: Index) -> None:
        self._factors = factors
        top = factors.shape[1] - 1
        self._reach = last_degree(2 * top, dimension)
        nodes, weights = sphere_grid(dimension, GRID_POINTS)
        scaled = nodes * math.sqrt(dimension)
        self._clipped = orthonormal_values(top, dimension, np.clip(scaled, -CLIP, CLIP))
        self._projector = orthonormal_values(self._reach, dimension, scaled) * weights
        # many pairs share a correlation or their two norms: what depends on one of these is computed once
        correlations, self._place = np.unique(rho, return_inverse=True)
        self._polynomials = zonal_values(self._reach, dimension, correlations)
        low, high = np.minimum(first, second), np.maximum(first, second)
        norms, self._which = np.unique(low * len(factors) + high, return_inverse=True)
        self._met = np.divmod(norms, len(factors))
        self._pairs = (first, second)

    def at(self, exact: int, top: int) -> tuple[DoubleArray, DoubleArray]:
        """(kappa, V) of one direction at each pair, with degrees exact + 1..top sketched."""
        span = slice(exact + 1, top + 1)
        weighted = (self._factors * signs(self._factors.shape[1] - 1))[:, span]
        values, parity = self._clipped[span], np.arange(exact + 1, top + 1) % 2
        even = weighted[:, parity == 0] @ values[parity == 0]
        odd = weighted[:, parity == 1] @ values[parity == 1]
        kappa = self._kernel(even) + self._kernel(odd)
        second = self._kernel(even * even) + self._kernel(odd * odd) + 2.0 * self._kernel(even * odd)
        return kappa, np.maximum(second - kappa * kappa, 0.0)

    def exact(self, factors: list[DoubleArray]) -> DoubleArray:
        """sum_r f_r(s) f_r(s') P_l(rho) of each degree l, (degrees, pairs); factors[l] (norms, r)."""
        first, second = self._pairs
        return np.array(
            [
                np.einsum("pr,pr->p", part[first], part[second]) * self._polynomials[degree, self._place]
                for degree, part in enumerate(factors)
            ]
        )

    def _kernel(self, function: DoubleArray) -> DoubleArray:
        """A_f at each pair; f (norms, grid)."""
        parts = function @ self._projector.T
        first, second = self._met
        result: DoubleArray = ((parts[first] * parts[second]) @ self._polynomials)[self._which, self._place]
        return result


@dataclass(frozen=True, slots=True)
class Channel:
    """Coefficients (J, terms) of one part as a polynomial in z^2, times z if `odd`.

    Powers of z^2 for Horner's rule (`powers`), or of T_j(2 z^2 / limit^2 - 1) for Clenshaw's, |z| <= limit.
    """

    coefficients: DoubleArray
    odd: bool
    powers: bool


def clip_limit(dimension: int) -> float:
    """|z| is clipped at 4; in fewer than 16 dimensions sqrt(d) is as far as it goes."""
    return min(CLIP, math.sqrt(dimension))


def _channels(design: ZonalDesign, factors: DoubleArray, dtype: np.dtype[Any]) -> tuple[Channel, ...]:
    """The even and odd part, without those that are zero; factors (degrees, J)."""
    weighted = factors[: design.top + 1] * signs(design.top)[:, None]
    weighted[: design.exact + 1] = 0.0
    table = orthonormal_coefficients(design.top, design.dimension)
    nodes, weights = sphere_grid(design.dimension)
    z = np.clip(nodes * math.sqrt(design.dimension), -CLIP, CLIP)
    channels = []
    for odd in (False, True):
        part = weighted[int(odd) :: 2]
        if not (part.size and bool(np.any(part))):
            continue
        powers = part.T @ table[int(odd) :: 2, int(odd) :: 2]
        # rounding of Horner's rule is at most about 2 eps sum |q_j| z^2j at z (Higham 2002, section 5.1)
        growth = np.abs(powers) @ np.abs(z[None, :]) ** (2 * np.arange(powers.shape[1])[:, None] + int(odd))
        size = math.sqrt(float(np.max(growth**2 @ weights / np.maximum(np.sum(part**2, axis=0), 1e-300))))
        plain = size * float(np.finfo(dtype).eps) < _HORNER_ERROR
        channels.append(Channel(powers if plain else _chebyshev(part, odd, design.dimension), odd, plain))
    return tuple(channels)


def _chebyshev(part: DoubleArray, odd: bool, dimension: int) -> DoubleArray:
    """The same part (degrees of one parity, J) in Chebyshev polynomials, from its values at their zeros."""
    count = len(part)
    angle = (2.0 * np.arange(count) + 1.0) * math.pi / (2 * count)
    z = clip_limit(dimension) * np.sqrt((1.0 + np.cos(angle)) / 2.0)
    values = orthonormal_values(2 * count - 1, dimension, z)[int(odd) :: 2]
    function = part.T @ (values / z if odd else values)
    basis = np.cos(np.arange(count)[:, None] * angle[None, :]) * (2.0 / count)
    basis[0] /= 2.0
    coefficients: DoubleArray = function @ basis.T
    return coefficients


class ZonalMap:
    """A drawn zonal sketch: unit rows and their norms in, features out."""

    def __init__(
        self,
        design: ZonalDesign,
        factors: list[DoubleArray],
        columns: int,
        features: int,
        seed: int,
        normalise: bool,
        dtype: np.dtype[Any],
    ) -> None:
        self.design, self.features, self.dtype = design, features, dtype
        self.exact = [(HarmonicBlock(degree, columns), factors[degree]) for degree in range(design.exact + 1)]
        leading = np.array([part[0] for part in factors[: design.top + 1]])
        self.channels = _channels(design, leading, dtype)
        spare = features - design.exact_columns(columns, factors)
        self.directions = spare // len(self.channels) if self.channels else 0
        leading[: design.exact + 1] = 0.0
        self.leading = leading
        self.normalise = normalise
        self._local = threading.local()
        self._draw(seed)

    def _draw(self, seed: int) -> None:
        """Directions times sqrt(dimension), so that z has variance 1; made by NumPy in float64 on the host."""
        count, dimension = self.directions, self.design.dimension
        self.flips: FloatArray | None = None
        self.weights: list[FloatArray] = []
        if not count:
            return
        generator = stream(seed, "zonal directions")
        if self.design.draws == "hadamard":
            blocks = -(-count // dimension)
            flips = np.where(generator.random((blocks + 1, dimension)) < 0.5, -1.0, 1.0)
            flips[1:] /= math.sqrt(dimension)
            # of each block the signs before its second transform and, the same for all, those before the first
            self.flips = np.stack([flips[1:], np.broadcast_to(flips[0], flips[1:].shape)], axis=1).astype(self.dtype)
            return
        if self.design.draws == "haar":
            blocks = -(-count // dimension)
            orthogonal, upper = np.linalg.qr(generator.standard_normal((blocks, dimension, dimension)))
            orthogonal *= np.where(np.einsum("bii->bi", upper) < 0.0, -1.0, 1.0)[:, None, :]
            rows = np.swapaxes(orthogonal, 1, 2).reshape(-1, dimension)[:count]
        else:
            rows = generator.standard_normal((count, dimension))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        weights = (rows * math.sqrt(dimension)).T.astype(self.dtype)
        self.weights = [np.ascontiguousarray(weights[:, left : left + COLUMNS]) for left in range(0, count, COLUMNS)]

    def transform(self, unit: FloatArray, radial: DoubleArray, scale: DoubleArray, out: FloatArray) -> None:
        """Write the features of unit rows (n, d) into out (n, features).

        radial (n, J): interpolation weights of each row's norm; scale (n,): its factor g.
        """
        start = 0
        for block, factors in self.exact:
            values = block.values(unit)
            for factor in factors:
                weight = (radial @ factor * scale).astype(self.dtype)
                np.multiply(values, weight[:, None], out=out[:, start : start + values.shape[1]])
                start += values.shape[1]
        stop = start + self.directions * len(self.channels)
        if stop > start:
            self._sketch(unit, radial, out[:, start:stop])
            out[:, start:stop] *= self._factor(radial, scale, out[:, start:stop])[:, None]
        out[:, stop:] = 0.0

    def _factor(self, radial: DoubleArray, scale: DoubleArray, block: FloatArray) -> FloatArray:
        """What each row of the sketched block is multiplied by."""
        if not self.normalise:
            factor: FloatArray = (scale / math.sqrt(self.directions)).astype(self.dtype)
            return factor
        kept = np.sqrt(np.sum((radial @ self.leading.T) ** 2, axis=1))
        length = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=self.dtype).astype(np.float64))
        factor = np.divide(kept * scale, length, out=np.zeros(len(scale)), where=length > 0.0).astype(self.dtype)
        return factor

    def _sketch(self, unit: FloatArray, radial: DoubleArray, out: FloatArray) -> None:
        tables = [self._table(channel, radial) for channel in self.channels]
        space = self._space(len(unit))
        if self.flips is None:
            for left, weights in zip(range(0, self.directions, COLUMNS), self.weights, strict=True):
                z = space[0, : len(unit) * weights.shape[1]].reshape(len(unit), -1)
                np.matmul(unit, weights, out=z)
                self._evaluate(z, tables, left, out, space)
            return
        dimension = self.design.dimension
        spread = np.zeros((len(unit), dimension), self.dtype)
        np.multiply(unit, self.flips[0, 1, : unit.shape[1]], out=spread[:, : unit.shape[1]])
        spread = hadamard_columns(spread)
        for block, flips in enumerate(self.flips[:, 0]):
            turned = hadamard_columns(spread * flips)
            count = min(dimension, self.directions - block * dimension)
            for left in range(0, count, COLUMNS):
                right = min(left + COLUMNS, count)
                z = space[0, : len(unit) * (right - left)].reshape(len(unit), -1)
                np.copyto(z, turned[:, left:right])
                self._evaluate(z, tables, block * dimension + left, out, space)

    def _space(self, rows: int) -> FloatArray:
        """Six work arrays of a tile, made once a thread."""
        space: FloatArray | None = getattr(self._local, "space", None)
        if space is None or space.shape[1] < rows * COLUMNS:
            space = np.empty((6, rows * COLUMNS), self.dtype)
            self._local.space = space
        return space

    def _table(self, channel: Channel, radial: DoubleArray) -> list[Any]:
        """The polynomial's coefficients, lowest first: numbers, or columns where the norms of the rows matter."""
        if radial.shape[1] == 1:
            return [self.dtype.type(value) for value in channel.coefficients[0]]
        return list((radial @ channel.coefficients).astype(self.dtype).T[:, :, None])

    def _evaluate(self, z: FloatArray, tables: list[list[Any]], left: int, out: FloatArray, space: FloatArray) -> None:
        """g_e and g_o at z (rows, columns), which is overwritten."""
        limit = self.dtype.type(CLIP)
        np.clip(z, -limit, limit, out=z)
        square = space[1, : z.size].reshape(z.shape)
        value = space[2, : z.size].reshape(z.shape)
        np.multiply(z, z, out=square)
        series = not all(channel.powers for channel in self.channels)
        double = square
        if series:
            double = space[3, : z.size].reshape(z.shape)
            np.multiply(square, self.dtype.type(4.0 / clip_limit(self.design.dimension) ** 2), out=double)
            double -= self.dtype.type(2.0)
        for index, (channel, table) in enumerate(zip(self.channels, tables, strict=True)):
            begin = index * self.directions + left
            target = out[:, begin : begin + z.shape[1]]
            if channel.powers:
                ready = _horner(square, table, value)
            else:
                ready = _clenshaw(double, table, value, space[4:, : z.size].reshape(2, *z.shape))
            if channel.odd:
                np.multiply(ready, z, out=target)
            else:
                target[...] = ready


def _horner(square: FloatArray, table: list[Any], value: FloatArray) -> FloatArray:
    """sum_j table[j] square^j, in `value`."""
    if len(table) == 1:
        value[...] = table[0]
        return value
    np.multiply(square, table[-1], out=value)
    for coefficient in table[-2:0:-1]:
        value += coefficient
        value *= square
    value += table[0]
    return value


def _clenshaw(double: FloatArray, table: list[Any], value: FloatArray, spare: FloatArray) -> FloatArray:
    """sum_j table[j] T_j(double / 2), in one of the three work arrays."""
    last: FloatArray = spare[0]
    free: FloatArray = spare[1]
    last[...], value[...] = 0, 0
    for coefficient in table[:0:-1]:
        np.multiply(double, value, out=free)
        free -= last
        free += coefficient
        last, value, free = value, free, last
    np.multiply(double, value, out=free)
    free *= 0.5
    free -= last
    free += table[0]
    return free
