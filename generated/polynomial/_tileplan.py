# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""What the tiles of a kernel matrix are computed from: unit rows, each layer's numbers of its rows, the polynomial.

Part of every generated package, copied verbatim; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from ._bulk import SIDE, Bulk
from ._evaluation import Parity
from ._inputs import DoubleArray, FloatArray
from ._layers import Inputs, RowState, common_value
from ._pairs import ClosedPairs
from ._roads import Job, Road, TableRoad


@dataclass(frozen=True, slots=True)
class Weights:
    """factor * left_i * right_j over the pairs of two sets of rows; None: all ones."""

    factor: float
    left: FloatArray | None
    right: FloatArray | None

    def apply(self, tile: FloatArray, job: Job, extra: float = 1.0) -> None:
        """tile *= extra * factor * left_i * right_j, in place."""
        if self.left is not None and self.right is not None:
            rows, columns = min(self.left.size, job[0] + tile.shape[0]), min(self.right.size, job[2] + tile.shape[1])
            part = tile[: rows - job[0], : columns - job[2]]
            np.multiply(part, self.left[job[0] : rows, None], out=part)
            np.multiply(part, self.right[None, job[2] : columns], out=part)
        if self.factor * extra != 1.0:
            np.multiply(tile, self.factor * extra, out=tile)


@dataclass(frozen=True, slots=True)
class Layer:
    """One hidden layer but the last: its road, cos phi_i cos phi_j, and the half angles where a bias turns them.

    `half_left`, `half_right` are None without a bias, or where all phi are one and `half` says which.
    """

    road: Road
    cosines: Weights
    half: float
    half_left: FloatArray | None
    half_right: FloatArray | None


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Where sigma jumps, 1 - tau grows like the distance of the rows: the first layer's needs log(s_i / s_j) exactly.

    `left`, `right` (n,): s of the rows before it.
    """

    pairs: ClosedPairs
    left: DoubleArray
    right: DoubleArray


@dataclass(frozen=True, slots=True)
class TilePlan:
    """All that the tiles of one kernel matrix share.

    `angular`: the roads are read at theta, which is then carried with 1 - |rho| from layer to layer.
    `parity` is that of kappa where theta is folded into [0, pi/2] by it, else "none".
    `final`: the last hidden layer; `last`: its w R / sqrt(unit) of both sides; `offset`: b^2.
    `near`: None where the first layer's road serves its nearly parallel pairs too.
    """

    tangent: bool
    angular: bool
    parity: Parity
    left: FloatArray
    right: FloatArray
    left_inputs: Inputs
    right_inputs: Inputs
    layers: tuple[Layer, ...]
    final: Road
    last: Weights
    offset: float
    near: NearPairs | None

    @property
    def uniform(self) -> bool:
        """Whether no layer depends on the rows, but through rho."""
        roads = [*(layer.road for layer in self.layers), self.final]
        return (
            self.near is None
            and all(isinstance(road, TableRoad) for road in roads)
            and all(layer.cosines.left is None and layer.half_left is None for layer in self.layers)
        )


class Layered:
    """The tiles' plan layer by layer, made when the first tile asks for it."""

    def __init__(self, make: Callable[[], TilePlan]) -> None:
        self._make = make
        self._lock = Lock()
        self._plan: TilePlan | None = None

    def __call__(self, prepare: Callable[[TilePlan], None]) -> TilePlan:
        """The plan; the first thread makes and prepares it while the others wait."""
        with self._lock:
            if self._plan is None:
                plan = self._make()
                prepare(plan)
                self._plan = plan
            return self._plan


@dataclass(frozen=True, slots=True)
class MatrixPlan:
    """All that the tiles of one kernel matrix share: `bulk` for most pairs where that is worth it, and the layers.

    `left`, `right`: the padded unit rows; `last`, `offset` as in `TilePlan`.
    """

    left: FloatArray
    right: FloatArray
    last: Weights
    offset: float
    bulk: Bulk | None
    layered: Layered


def pad_rows(unit: FloatArray) -> FloatArray:
    """`unit` with zero rows appended up to a multiple of the small products' side."""
    n, d = unit.shape
    padded = -(-n // SIDE) * SIDE
    if padded == n and unit.flags.c_contiguous:
        return unit
    result = np.zeros((padded, d), dtype=unit.dtype)
    result[:n] = unit
    return result


def weights(left: DoubleArray, right: DoubleArray, dtype: np.dtype[Any]) -> Weights:
    """left_i right_j, as a number where they are all the same."""
    common = common_value(left, right)
    if common is not None:
        return Weights(common * common, None, None)
    return Weights(1.0, left.astype(dtype), right.astype(dtype))


def bind_layers(left: RowState, right: RowState, roads: tuple[Road, ...], dtype: np.dtype[Any]) -> tuple[Layer, ...]:
    """The layers as the tiles need them, from the paths of both sets of rows; `roads` of all but the last."""
    layers = []
    for road, rows, columns in zip(roads, left.layers, right.layers, strict=False):
        one, other = rows.angles, columns.angles
        common = common_value(one, other)
        halves = (None, None) if common is not None else ((one / 2).astype(dtype), (other / 2).astype(dtype))
        layers.append(Layer(road, weights(np.cos(one), np.cos(other), dtype), (common or 0.0) / 2, *halves))
    return tuple(layers)
