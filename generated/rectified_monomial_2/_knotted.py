# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""T and Tdot of a sigma with breakpoints off zero, from tables for a range of norms and truncated powers.

sigma = g + s, s a sum of truncated powers at the breakpoints: E[s(u) s(v)] is a closed form, and what is left of T is
smooth enough in both norms and the angle to be tabulated. The sum is taken for a closed form by all that follows.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ._closed import ClosedDual
from ._inputs import DoubleArray
from ._norms import evaluate_pairs
from ._normseries import NormTables, evaluate_one_norm, hermite_rows

#: The size of what the tables leave out: they are cut at coefficients of 1e-12. Call-time fits need not be closer.
NOISE = 3e-12
#: Both are evaluated one by one, in a tile as in a sample for a fit.
PAIRS_A_SAMPLE = 4


def knotted_duals(tables: NormTables) -> tuple[ClosedDual, ClosedDual | None]:
    """T and Tdot (None where it is refused) for standard deviations in `tables.norms`; `tables` has knots.

    A standard deviation of 0 is served too where `tables.origin` is known. Error: that of the tables, as the
    certificate states it, and a few roundings of what the two parts are.
    """
    return _dual(tables, "dual", False), None if tables.dual_dot is None else _dual(tables, "dual_dot", False)


def one_norm_duals(tables: NormTables) -> tuple[ClosedDual, ClosedDual | None] | None:
    """The same where q11 = q22 up to roundings, closer; None where there are no tables for that.

    Not to be mixed with `knotted_duals` where one is taken from the other: the two differ by the latter's error.
    """
    if tables.one_norm is None:
        return None
    return _dual(tables, "dual", True), None if tables.dual_dot is None else _dual(tables, "dual_dot", True)


def _dual(tables: NormTables, which: Literal["dual", "dual_dot"], one_norm: bool) -> ClosedDual:
    knots, (low, high) = tables.knots, tables.norms
    assert knots is not None
    powers = knots.dual if which == "dual" else knots.dual_dot
    at_origin = low == 0.0 or tables.origin is not None

    def program(q11: DoubleArray, q12: DoubleArray, q22: DoubleArray) -> DoubleArray:
        one, other = np.sqrt(q11), np.sqrt(q22)
        scale = one * other
        rho = np.divide(q12, scale, out=np.zeros_like(q12), where=scale > 0.0)
        theta = np.arccos(np.clip(rho, -1.0, 1.0))
        if one_norm:
            value = evaluate_one_norm(tables, which, np.sqrt(scale), theta)
        else:
            value = evaluate_pairs(tables, which, one, other, theta)
        value += powers(q11, q12, q22)
        if tables.origin is not None:
            zero = np.flatnonzero(scale == 0.0)
            value[zero] = _mean(tables, which, one[zero]) * _mean(tables, which, other[zero])
        return value

    return ClosedDual(program, (low * low, high * high), zero_at_origin=False, at_origin=at_origin)


def _mean(tables: NormTables, which: Literal["dual", "dual_dot"], s: DoubleArray) -> DoubleArray:
    """E[sigma(s Z)], or E[sigma'(s Z)] = a_1(s) / s: with a variable that is 0 they make T and Tdot."""
    assert tables.origin is not None
    means = np.full(s.shape, tables.origin[0 if which == "dual" else 1])
    positive = s > 0.0
    if which == "dual":
        means[positive] = hermite_rows(tables, s[positive], 0)[:, 0]
    else:
        means[positive] = hermite_rows(tables, s[positive], 1)[:, 1] / s[positive]
    return means
