# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""How one hidden layer is evaluated on a tile of pairs: what every way of doing it has in common.

For rows of scales s_i with R_i^2 = E[sigma(s_i Z)^2], a layer needs of each pair

    value = unit T / (R_i R_j),    slope = unit Tdot s_i s_j / (R_i R_j),    1 - value / unit.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ._bundles import Bundle, evaluate_bundle
from ._evaluation import Scratch, ThetaTable
from ._inputs import FloatArray

#: With more than one pair in this many outside the central angles, all go the general way.
_FEW = 8

#: Entries of the bundles' small products.
_SPAN = 1024

#: Below this many entries threads cost more than they bring: one works off all.
THREADED = 2**18

#: A tile's rows job[0]:job[1] and columns job[2]:job[3].
Job = tuple[int, int, int, int]


@dataclass(slots=True)
class Pairs:
    """The state of a tile's pairs between two layers; arrays of one shape, padded beyond the tile's own pairs.

    `rho` correlation; `theta` its angle, folded into [0, pi/2] where `sign` (of rho) is kept;
    `gap` = 1 - rho, or 1 - |rho| where folded; `ratio` = Theta / (s_i s_j). `close`, before the first layer and where
    that needs it: places of pairs that are nearly parallel or antiparallel at the inputs.
    """

    rho: FloatArray
    theta: FloatArray
    gap: FloatArray
    sign: FloatArray | None
    ratio: FloatArray
    close: npt.NDArray[np.intp] | None = None


class Road(Protocol):
    """One layer's evaluation: `unit` as above, `gain` what `slope` is still to be multiplied by."""

    @property
    def unit(self) -> float:
        """What `value` is at rho = 1."""

    @property
    def gain(self) -> float:
        """The factor between what `slope` receives and the slope above."""

    @property
    def folded(self) -> bool:
        """Whether `read` takes folded angles for what they are: |rho| is read (else rho itself)."""

    def read(self, pairs: Pairs, job: Job, value: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """value, and slope where it is wanted."""

    def read_drop(self, pairs: Pairs, job: Job, drop: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """unit - value (at folded angles: of |rho|) with a small relative error as theta -> 0, and slope."""


@dataclass(frozen=True, slots=True)
class Central:
    """Short polynomials for the angles in [low, high], where most pairs lie: value, slope; drop, slope."""

    low: float
    high: float
    ends: Bundle
    drops: Bundle


@dataclass(frozen=True, slots=True)
class TableRoad:
    """Functions of the angle (or of rho) alone: rows of one norm, or a homogeneous sigma.

    `ends`: value, and slope for the NTK; `drops`: its drop in place of value; `slope` alone where it cannot
    be read together with the drop. `central` replaces them at most pairs.
    """

    unit: float
    gain: float
    ends: Bundle
    drops: Bundle
    slope: Bundle | None
    central: Central | None = None

    @property
    def folded(self) -> bool:
        """Tables of theta are read at the folded angle, power series at rho."""
        return isinstance(self.ends.tables[0], ThetaTable)

    def read(self, pairs: Pairs, job: Job, value: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """value, and slope where it is wanted."""
        outs = (value,) if slope is None else (value, slope)
        if self.central is None:
            self._general(pairs, outs, scratch)
        else:
            _by_parts(self.central, self.central.ends, pairs, outs, scratch, self._general)

    def read_drop(self, pairs: Pairs, job: Job, drop: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """unit - value with a small relative error, and slope."""
        outs = (drop,) if slope is None else (drop, slope)
        if self.central is not None:
            _by_parts(self.central, self.central.drops, pairs, outs, scratch, self._general_drop)
        else:
            self._general_drop(pairs, outs, scratch)

    def _general(self, pairs: Pairs, outs: tuple[FloatArray, ...], scratch: Scratch) -> None:
        evaluate_bundle(self.ends, pairs.rho, pairs.theta, outs, scratch)

    def _general_drop(self, pairs: Pairs, outs: tuple[FloatArray, ...], scratch: Scratch) -> None:
        if isinstance(self.drops.tables[0], ThetaTable):
            evaluate_bundle(self.drops, pairs.rho, pairs.theta, outs, scratch)
            return
        if self.slope is not None and len(outs) > 1:
            evaluate_bundle(self.slope, pairs.rho, pairs.theta, outs[1:], scratch)
        magnitude = scratch.get("magnitude", pairs.rho.shape)
        np.subtract(1.0, pairs.gap, out=magnitude)
        evaluate_bundle(self.drops, magnitude, pairs.theta, outs[:1], scratch)
        np.multiply(outs[0], pairs.gap, out=outs[0])


def _by_parts(
    central: Central,
    most: Bundle,
    pairs: Pairs,
    outs: tuple[FloatArray, ...],
    scratch: Scratch,
    general: Callable[[Pairs, tuple[FloatArray, ...], Scratch], None],
) -> None:
    """`most` on all pairs, `general` on those outside the central angles; where they are many, `general` alone."""
    theta = pairs.theta.reshape(-1)
    outside = theta < central.low
    np.logical_or(outside, theta > central.high, out=outside)
    count = int(np.count_nonzero(outside))
    if count * _FEW > theta.size:
        general(pairs, outs, scratch)
        return
    evaluate_bundle(most, pairs.rho, pairs.theta, outs, scratch)
    if not count:
        return
    chosen = np.flatnonzero(outside)
    # a whole number of the products' spans; what is beyond is not used
    padded = np.full(-(-count // _SPAN) * _SPAN, chosen[0])
    padded[:count] = chosen
    rho, angles, gap = (array.reshape(-1)[padded] for array in (pairs.rho, pairs.theta, pairs.gap))
    values = tuple(np.empty_like(angles) for _ in outs)
    general(Pairs(rho, angles, gap, None, rho), values, Scratch(padded.size, angles.dtype))
    for out, value in zip(outs, values, strict=True):
        out.reshape(-1)[chosen] = value[:count]
