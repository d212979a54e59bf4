# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Most pairs of a kernel matrix at once: the whole network, of any depth, as one short polynomial.

Where rho lies in a range that most pairs share, and away from 1 and -1, the NNGP and the NTK are smooth
functions of rho (and of both norms): one polynomial per matrix, fitted at call time, replaces the layers.

    K_ij = sum_k z^k sum_ab U_a(s_i) F_kab U_b(s_j) + b^2,    z = rho - middle, or theta - middle

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._evaluation import Scratch
from ._inputs import FloatArray, Indices

#: Side of the squares of a tile whose pairs outside the range are evaluated together; with more than one square in
#: this many, the whole tile is.
SIDE, _FEW = 32, 12

#: Multiplications a small product at most, so that BLAS starts no threads.
PRODUCT = 2**18

#: Rows box[0]:box[1] and columns box[2]:box[3].
Box = tuple[int, int, int, int]

#: A polynomial of z: numbers, or small matrices between the rows' functions U.
Terms = Sequence[float] | Sequence[FloatArray]


_NONE: Indices = np.zeros(0, dtype=np.intp)


def boxes(rows: Indices, columns: Indices, across: int, entries: int) -> list[Box] | None:
    """Boxes of at most SIDE by SIDE that hold these pairs of a tile of `across` columns; None for too many."""
    squares, where = np.unique(rows // SIDE * across + columns // SIDE, return_inverse=True)
    if squares.size * SIDE * SIDE * _FEW > entries:
        return None
    found = np.empty((squares.size, 4), dtype=np.intp)
    found[:, ::2], found[:, 1::2] = entries, 0
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(found[:, 2 * axis], where, places)
        np.maximum.at(found[:, 2 * axis + 1], where, places + 1)
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in found]


@dataclass(frozen=True, slots=True)
class Bulk:
    """K of the pairs with `low` <= rho <= `high`, both of whose rows are `inside`.

    `even` are the coefficients of z^0, z^2, ..., `odd` of z^1, z^3, ... where `split`; else `even` has all.
    They are numbers where `left` is None, and K is then one function of rho times the rows' weights; else
    matrices (r, r) between the functions `left` (n1, r) and `right` (r, n2) of the rows, padded as the rows are.
    """

    low: float
    high: float
    angular: bool
    middle: float
    split: bool
    even: Terms
    odd: Terms
    left: FloatArray | None
    right: FloatArray | None
    left_inside: npt.NDArray[np.bool_]
    right_inside: npt.NDArray[np.bool_]
    symmetric: bool

    def outside(self, rho: FloatArray, job: Box) -> tuple[Indices, Indices]:
        """Rows and columns, counted from the tile's corner, of its pairs outside the range.

        Of a matrix of rows with themselves the diagonal is not looked at (rho is overwritten there).
        """
        top, bottom, left, right = job
        part = rho[: bottom - top, : right - left]
        if self.symmetric and top == left:
            np.fill_diagonal(part, 0.5 * (self.low + self.high))
        rows, columns = self.left_inside[top:bottom], self.right_inside[left:right]
        whole = bool(rows.all()) and bool(columns.all())
        if whole and float(part.min()) >= self.low and float(part.max()) <= self.high:
            return _NONE, _NONE
        mask = part < self.low
        mask |= part > self.high
        if not whole:
            mask |= ~(rows[:, None] & columns)
        found = np.divmod(np.flatnonzero(mask), mask.shape[1])
        return found[0], found[1]

    def evaluate(self, rho: FloatArray, job: Box, scratch: Scratch) -> FloatArray:
        """The polynomial at every pair of a tile, in scratch memory "bulk"; `rho` is overwritten."""
        out = scratch.get("bulk", rho.shape)
        if self.angular:
            np.arccos(rho, out=rho)
        if self.middle:
            np.subtract(rho, self.middle, out=rho)
        sums: _Numbers | _Matrices = _Numbers(scratch)
        if self.left is not None and self.right is not None:
            sums = _Matrices(
                self.left[job[0] : job[0] + rho.shape[0]], self.right[:, job[2] : job[2] + rho.shape[1]], scratch
            )
        if not self.split:
            sums.horner(self.even, rho, out)
            return out
        square = np.multiply(rho, rho, out=scratch.get("bulk_square", rho.shape))
        if not self.even:
            sums.horner(self.odd, square, out)
            return np.multiply(out, rho, out=out)
        sums.horner(self.even, square, out)
        if self.odd:
            odd = scratch.get("bulk_odd", rho.shape)
            sums.horner(self.odd, square, odd)
            np.multiply(odd, rho, out=odd)
            np.add(out, odd, out=out)
        return out


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Horner's rule with numbers."""

    scratch: Scratch

    def horner(self, terms: Terms, z: FloatArray, out: FloatArray) -> None:
        """out = sum_k terms[k] z^k."""
        if len(terms) == 1:
            out.fill(terms[0])
            return
        np.multiply(z, terms[-1], out=out)
        np.add(out, terms[-2], out=out)
        for term in terms[-3::-1]:
            np.multiply(out, z, out=out)
            np.add(out, term, out=out)


@dataclass(frozen=True, slots=True)
class _Matrices:
    """Horner's rule with a small matrix product a coefficient."""

    left: FloatArray
    right: FloatArray
    scratch: Scratch

    def horner(self, terms: Terms, z: FloatArray, out: FloatArray) -> None:
        """out = sum_k (left terms[k] right) z^k."""
        self._product(terms[-1], out)
        term = self.scratch.get("bulk_term", z.shape)
        for matrix in terms[-2::-1]:
            np.multiply(out, z, out=out)
            self._product(matrix, term)
            np.add(out, term, out=out)

    def _product(self, matrix: float | FloatArray, out: FloatArray) -> None:
        """out = left matrix right, by products of 32 rows and as many columns as BLAS does alone."""
        size = np.shape(matrix)[0]
        columns = out.shape[1]
        squares = columns // SIDE
        most = max(1, PRODUCT // (SIDE * SIDE * size))
        width = SIDE * max(count for count in range(1, min(squares, most) + 1) if squares % count == 0)
        first = (self.left[:, :size] @ matrix).reshape(-1, 1, SIDE, size)
        second = self.right[:size].reshape(size, -1, width).swapaxes(0, 1)
        np.matmul(first, second, out=out.reshape(-1, SIDE, columns // width, width).swapaxes(1, 2))
