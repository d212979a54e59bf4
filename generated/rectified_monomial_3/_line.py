# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""A rule for expectations over a normal variable of functions that change at places of their own, row by row.

Clenshaw and Curtis' rule on parts of the half line: every other point makes a rule too, which tells what is resolved.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._inputs import DoubleArray

#: Where the half line is cut, in standard deviations; cuts nearer to 0 are powers of 1/2.
CUTS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
LEVELS, _LEAST = 24, 1e-300
#: Parts have so many points, and one; the first and the last lie inside by this.
_COUNT, _INSIDE = 16, 1e-12


def levels_of(scale: DoubleArray) -> npt.NDArray[np.intp]:
    """How often 1/4 is halved for what changes within 1 / scale of 0."""
    return np.clip(np.frexp(scale)[1], 0, LEVELS).astype(np.intp)


def line_rule(
    kinks: list[float], norms: list[DoubleArray], level: int, halvings: int
) -> tuple[DoubleArray, tuple[DoubleArray, DoubleArray]]:
    """Points z > 0 of k rows, (k, m), and their weights with the normal density: by all points, by every other one.

    The line is cut at kink / s for every kink > 0 and norm s (k,), and at powers of 1/2 down to 2^-level / 4; each part
    2^halvings times more.
    """
    cuts = np.concatenate([[0.0], 0.5 ** np.arange(level + 2, 1, -1), CUTS])
    moving = [np.minimum(kink / np.maximum(s, _LEAST), cuts[-1])[:, None] for kink in kinks for s in norms]
    fixed = np.broadcast_to(cuts, (norms[0].size, cuts.size))
    edges = np.sort(np.concatenate([fixed, *moving], axis=1), axis=1)
    shares = np.arange(2**halvings) / 2**halvings
    width = np.repeat(np.diff(edges, axis=1), shares.size, axis=1) / shares.size
    start = (edges[:, :-1, None] + np.diff(edges, axis=1)[:, :, None] * shares).reshape(width.shape)
    z = (start[:, :, None] + width[:, :, None] * LINE_POINTS).reshape(width.shape[0], -1)
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    all_points, every_other = ((width[:, :, None] * w).reshape(z.shape) * density for w in (LINE_ALL, LINE_EVERY_OTHER))
    return z, (all_points, every_other)


def _clenshaw_curtis(count: int) -> DoubleArray:
    """Weights on [0, 1] of the count + 1 points sin(pi k / (2 count))^2; `count` even."""
    angle = np.pi * np.arange(count + 1) / count
    even = np.arange(2, count, 2)
    inner = 1.0 - (2.0 * np.cos(np.outer(angle, even)) / (even * even - 1.0)).sum(axis=1)
    weights: DoubleArray = (inner - np.cos(count * angle) / (count * count - 1.0)) / count
    weights[[0, -1]] *= 0.5
    return weights


LINE_POINTS = np.sin(0.5 * np.pi * np.arange(_COUNT + 1) / _COUNT) ** 2
# within the part: a jump at its end is not met
LINE_POINTS[[0, -1]] = _INSIDE, 1.0 - _INSIDE
LINE_ALL, LINE_EVERY_OTHER = _clenshaw_curtis(_COUNT), np.zeros(_COUNT + 1)
LINE_EVERY_OTHER[::2] = _clenshaw_curtis(_COUNT // 2)
