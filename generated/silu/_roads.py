# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""How one hidden layer is evaluated on a tile of pairs: what every way of doing it has in common.

For rows of scales s_i with R_i^2 = E[sigma(s_i Z)^2], a layer needs of each pair

    value = unit T / (R_i R_j),    slope = unit Tdot s_i s_j / (R_i R_j),    1 - value / unit.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ._bundles import Bundle, evaluate_bundle
from ._evaluation import Scratch, ThetaTable
from ._inputs import FloatArray

#: A tile's rows job[0]:job[1] and columns job[2]:job[3].
Job = tuple[int, int, int, int]


@dataclass(slots=True)
class Pairs:
    """The state of a tile's pairs between two layers; arrays of one shape, padded beyond the tile's own pairs.

    `rho` correlation; `theta` its angle, folded into [0, pi/2] where `sign` (of rho) is kept;
    `gap` = 1 - rho, or 1 - |rho| where folded; `ratio` = Theta / (s_i s_j).
    """

    rho: FloatArray
    theta: FloatArray
    gap: FloatArray
    sign: FloatArray | None
    ratio: FloatArray


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
class TableRoad:
    """Functions of the angle (or of rho) alone: rows of one norm, or a homogeneous sigma.

    `ends`: value, and slope for the NTK; `drops`: its drop in place of value; `slope` alone where it cannot
    be read together with the drop.
    """

    unit: float
    gain: float
    ends: Bundle
    drops: Bundle
    slope: Bundle | None

    @property
    def folded(self) -> bool:
        """Tables of theta are read at the folded angle, power series at rho."""
        return isinstance(self.ends.tables[0], ThetaTable)

    def read(self, pairs: Pairs, job: Job, value: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """value, and slope where it is wanted."""
        outs = (value,) if slope is None else (value, slope)
        evaluate_bundle(self.ends, pairs.rho, pairs.theta, outs, scratch)

    def read_drop(self, pairs: Pairs, job: Job, drop: FloatArray, slope: FloatArray | None, scratch: Scratch) -> None:
        """unit - value with a small relative error, and slope."""
        if isinstance(self.drops.tables[0], ThetaTable):
            outs = (drop,) if slope is None else (drop, slope)
            evaluate_bundle(self.drops, pairs.rho, pairs.theta, outs, scratch)
            return
        if self.slope is not None and slope is not None:
            evaluate_bundle(self.slope, pairs.rho, pairs.theta, (slope,), scratch)
        magnitude = scratch.get("magnitude", pairs.rho.shape)
        np.subtract(1.0, pairs.gap, out=magnitude)
        evaluate_bundle(self.drops, magnitude, pairs.theta, (drop,), scratch)
        np.multiply(drop, pairs.gap, out=drop)
