# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""The polynomial of `_bulk` for rows of different norms: a function of rho and two norms, of low rank in the norms.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._bulk import PRODUCT
from ._bulksamples import (
    ALLOWED,
    CHECKED,
    DROPPED,
    LARGEST,
    MOST_TERMS,
    PILOT,
    Range,
    Sampler,
    better_variable,
    network_sampler,
    one_parity,
    splits,
    spread_shares,
)
from ._inputs import DoubleArray, Indices
from ._interpolation import basis, kept, monomial_is_safe, nodes, to_monomial, transform
from ._layers import Network
from ._sources import Source

#: A few norms at which the pilot runs along the angles.
_LINES = 3


@dataclass(frozen=True, slots=True)
class _Grid:
    """How many norms a pilot takes, the norms and angles at which it runs along them, the shares that it is tried with.

    A fit may drop `shares` of what may be dropped: where the first errs, the second.
    """

    norms: int
    columns: tuple[int, int]
    shares: tuple[float, ...]

    @property
    def most(self) -> int:
        """Series in the norm that need more terms are not resolved."""
        return self.norms - 4


_CLOSER = (1.0, 0.1)
#: Tried in this order: near rho = 1 a function of one norm depends on the other, which a few columns do not tell;
#: breakpoints off zero, over a wide range of norms, take more norms.
_GRIDS = (_Grid(44, (5, 4), (1.0,)), *(_Grid(n, c, _CLOSER) for n, c in ((44, (11, 5)), (88, (11, 5)), (176, (17, 6)))))
#: A fit is compared with the network at pairs of each norm with so many others.
_PARTNERS = 8
#: With no more terms than this in rho, theta is not tried.
_FEW_TERMS = 16


def many_norms(
    source: Source,
    network: Network,
    norms: tuple[float, float],
    reach: tuple[float, float],
    entries: int,
    dtype: np.dtype[Any],
) -> NormsFit | None:
    """A function of rho and two norms."""
    between = norms[0] * (norms[1] / norms[0]) ** spread_shares(CHECKED, 3.0)
    dropped, allowed = max(DROPPED[dtype], source.noise), max(ALLOWED[dtype], 10.0 * source.noise)
    for grid in _GRIDS:
        points = np.exp(nodes(math.log(norms[0]), math.log(norms[1]), grid.norms))
        sample = network_sampler(source, network, np.concatenate([points, between]))
        for share in grid.shares:
            pilot = _pilot(sample, grid, reach, share * dropped)
            if pilot is None:
                break
            terms, rank = pilot[1], pilot[2].shape[1]
            if rank * (rank + 1) // 2 * terms * network.depth * source.pairs_a_sample > entries:
                return None
            fit = _fitted(sample, grid, between, norms, reach, pilot, share * dropped, allowed)
            if fit is not None:
                return fit
    return None


def _fitted(
    sample: Sampler,
    grid: _Grid,
    between: DoubleArray,
    norms: tuple[float, float],
    reach: tuple[float, float],
    pilot: tuple[bool, int, DoubleArray],
    dropped: float,
    allowed: float,
) -> NormsFit | None:
    """F interpolated at as many norms as there are functions, and looked at between all nodes; None where it errs."""
    angular, terms, combine = pilot
    where = Range(*reach, angular)
    functions = basis(-1.0, 1.0, nodes(-1.0, 1.0, grid.norms), len(combine)) @ combine
    chosen = _pivots(functions)
    row, column = np.triu_indices(len(chosen))
    low, high = where.served
    rho = low + (high - low) * spread_shares(CHECKED * _PARTNERS, 2.0)
    one = np.repeat(np.arange(CHECKED), _PARTNERS)
    other = (one + np.tile(np.arange(_PARTNERS), CHECKED) * (CHECKED // _PARTNERS)) % CHECKED
    values = sample(
        np.append(np.repeat(chosen[row], terms), grid.norms + one),
        np.append(np.repeat(chosen[column], terms), grid.norms + other),
        np.append(np.tile(where.nodes(terms), row.size), rho),
    )
    if values is None:
        return None
    cube = np.empty((len(chosen), len(chosen), terms))
    cube[row, column] = values[: -rho.size].reshape(-1, terms)
    cube[column, row] = cube[row, column]
    inverse = np.linalg.inv(functions[chosen])
    core: DoubleArray = inverse @ np.moveaxis(cube @ transform(terms).T, 2, 0) @ inverse.T
    checks = _Checks(between[one], between[other], rho, values[-rho.size :])
    return _reduced(checks, where, norms, combine, core, dropped, allowed)


@dataclass(frozen=True, slots=True)
class NormsFit:
    """A fit over norms: U as combinations of Chebyshev polynomials in log s, (m, r); cores as in `Bulk`."""

    norms: tuple[float, float]
    range: Range
    combine: DoubleArray
    middle: float
    split: bool
    even: tuple[DoubleArray, ...]
    odd: tuple[DoubleArray, ...]

    def rows(self, scales: DoubleArray) -> DoubleArray:
        """U of rows, (n, r)."""
        logs = np.log(np.clip(scales, *self.norms))
        result = np.empty((len(scales), self.combine.shape[1]))
        # in pieces for which BLAS starts no threads: they keep a core busy for a while when they are done
        step = max(1, PRODUCT // self.combine.size)
        for start in range(0, len(scales), step):
            part = basis(
                math.log(self.norms[0]), math.log(self.norms[1]), logs[start : start + step], len(self.combine)
            )
            np.matmul(part, self.combine, out=result[start : start + step])
        return result


@dataclass(frozen=True, slots=True)
class _Checks:
    """The network at points between the nodes of a fit, (k,) each."""

    one: DoubleArray
    other: DoubleArray
    rho: DoubleArray
    truth: DoubleArray

    def agree(self, fit: NormsFit, core: DoubleArray, allowed: float) -> bool:
        """Whether the fit is the network there."""
        rows, columns = fit.rows(self.one), fit.rows(self.other)
        found = np.einsum("kab,na,nb,nk->n", core, rows, columns, fit.range.basis(self.rho, len(core)))
        return bool(float(np.abs(found - self.truth).max()) <= allowed * max(1.0, float(np.abs(self.truth).max())))


def _pilot(
    sample: Sampler, grid: _Grid, reach: tuple[float, float], dropped: float
) -> tuple[bool, int, DoubleArray] | None:
    """The better variable of the angle, how many terms it needs, and functions U of the norm; None for too many.

    U (m, r): Chebyshev coefficients in log s of functions that span those of one norm at a few others and angles.
    """
    few, columns = (np.linspace(0, grid.norms - 1, count).astype(np.intp) for count in (_LINES, grid.columns[0]))
    row, column = np.triu_indices(_LINES)
    lines = np.repeat(few[row], PILOT), np.repeat(few[column], PILOT)
    # ends and all: at rho near 1 a function of the norm is the least like the others
    shares = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, grid.columns[1]))
    angles = reach[0] + (reach[1] - reach[0]) * shares
    places = np.meshgrid(np.arange(grid.norms), columns, angles, indexing="ij")
    one, other, across = (place.reshape(-1) for place in places)
    values = sample(
        np.append(lines[0], one),
        np.append(lines[1], other),
        np.append(np.tile(Range(*reach, False).nodes(PILOT), row.size), across),
    )
    if values is None:
        return None
    split = lines[0].size
    sizes = {False: _terms(values[:split], dropped)}
    sizes[True] = sizes[False]
    if sizes[False] > _FEW_TERMS:
        again = sample(*lines, np.tile(Range(*reach, True).nodes(PILOT), row.size))
        sizes[True] = MOST_TERMS + 1 if again is None else _terms(again, dropped)
    angular = better_variable(sizes)
    coefficients = transform(grid.norms) @ values[split:].reshape(grid.norms, -1)
    m = kept(np.abs(coefficients).max(axis=1), dropped)
    vectors, singular, _ = np.linalg.svd(coefficients[:m], full_matrices=False)
    rank = kept(singular, 0.5 * dropped)
    if angular is None or m > grid.most or rank >= coefficients.shape[1]:
        return None
    return angular, sizes[angular] + 1, vectors[:, :rank]


def _terms(values: DoubleArray, dropped: float) -> int:
    """How many Chebyshev terms values at the pilot's nodes need, line after line."""
    return kept(np.abs(values.reshape(-1, PILOT) @ transform(PILOT).T).max(axis=0), 2.0 * dropped)


def _pivots(functions: DoubleArray) -> Indices:
    """Rows of (n, r) at which interpolation by the columns is stable: one by one where the rest is largest."""
    rest, chosen = functions.copy(), []
    for index in range(functions.shape[1]):
        row = int(np.abs(rest[:, index]).argmax())
        chosen.append(row)
        share = rest[row, index + 1 :] / rest[row, index]
        rest[:, index + 1 :] -= np.multiply.outer(rest[:, index], share)
    return np.array(chosen)


def _reduced(
    checks: _Checks,
    where: Range,
    norms: tuple[float, float],
    combine: DoubleArray,
    core: DoubleArray,
    dropped: float,
    allowed: float,
) -> NormsFit | None:
    """The fit without terms that do not matter; None where it does not agree with the network."""
    core = 0.5 * (core + core.swapaxes(1, 2))
    weights = np.abs(core).sum(axis=(1, 2))
    core = core[: kept(weights, dropped)]
    weights = weights[: len(core)]
    if not monomial_is_safe(weights):
        return None
    low, high = where.ends
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    split = splits([float(weight) for weight in weights], middle, dropped)
    if split:
        core = one_parity(core, dropped)
    fit = NormsFit(norms, where, combine, middle, split, (), ())
    if not checks.agree(fit, core, allowed):
        return None
    powers = to_monomial(core) / (half ** np.arange(len(core)))[:, None, None]
    if not float(np.abs(powers).max()) < LARGEST:
        return None
    cores = [_trimmed(power, dropped * half**-index) for index, power in enumerate(powers)]
    even, odd = (cores[::2], cores[1::2]) if split else (cores, [])
    return NormsFit(norms, where, combine, middle, split, _nonzero(even) if split else tuple(even), _nonzero(odd))


def _trimmed(core: DoubleArray, dropped: float) -> DoubleArray:
    """The leading square of a matrix that holds all of it but `dropped`; (1, 1) at least."""
    outer = np.abs(core)
    size = len(core)
    while size > 1 and float(outer[size - 1 :, :].sum() + outer[: size - 1, size - 1 :].sum()) <= dropped:
        size -= 1
    return np.ascontiguousarray(core[:size, :size])


def _nonzero(cores: list[DoubleArray]) -> tuple[DoubleArray, ...]:
    """Without zeros at the end."""
    while cores and not cores[-1].any():
        cores = cores[:-1]
    return tuple(cores)
