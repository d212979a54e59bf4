# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""Nystrom's features: the exact kernel against rows of a sample.

    phi(x) = k(x, L) k(L, L)^(-1/2),        phi(x) . phi(y) = k(x, L) k(L, L)^-1 k(L, y) <= k in the psd order

exact on the landmarks L, never more than the kernel on the diagonal (Williams, Seeger 2001; Drineas, Mahoney 2005).
Features: as many as landmarks. A point costs that many kernel entries. The error is estimated on rows of the sample
that are no landmarks. Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import DoubleArray, FloatArray
from ._transforms import stream

#: (n1, n2) kernel matrix of two arrays of rows.
Matrix = Callable[[FloatArray, FloatArray | None], Any]
#: Eigenvalues of k(L, L) below this part of the largest are rounding.
_SMALLEST = 1e-12
_JUDGED_ROWS = 400


@dataclass(frozen=True, slots=True)
class NystromMap:
    """Landmarks (k, d) and k(L, L)^(-1/2) (k, k), both float64."""

    landmarks: DoubleArray
    root: DoubleArray
    error: float

    @classmethod
    def fitted(cls, matrix: Matrix, sample: DoubleArray, features: int, seed: int) -> NystromMap:
        """At most `features` landmarks drawn from the sample (n, d) without repetition."""
        order = stream(seed, "sample", 1).permutation(len(sample))
        landmarks = sample[order[:features]]
        values, vectors = np.linalg.eigh(np.asarray(matrix(landmarks, None), dtype=np.float64))
        keep = values > _SMALLEST * values[-1]
        root = (vectors[:, keep] / np.sqrt(values[keep])) @ vectors[:, keep].T
        rest = sample[order[features : features + _JUDGED_ROWS]]
        error = 0.0
        if len(rest) > 1:
            mapped = np.asarray(matrix(rest, landmarks)) @ root
            truth = np.asarray(matrix(rest, None))
            apart = ~np.eye(len(rest), dtype=bool)
            error = float(np.linalg.norm((mapped @ mapped.T - truth)[apart]) / np.linalg.norm(truth[apart]))
        return cls(landmarks, root, error)

    def transform(self, matrix: Matrix, rows: FloatArray, out: FloatArray) -> None:
        """The features of rows (n, d) into out (n, features); columns beyond the landmarks are zero."""
        count = len(self.landmarks)
        out[:, :count] = np.asarray(matrix(rows, self.landmarks.astype(rows.dtype))) @ self.root.astype(rows.dtype)
        out[:, count:] = 0.0
