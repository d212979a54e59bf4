# Part of the runtime that kernelc copies, unchanged, into every module it generates.
"""PolySketch: one binary tree of degree-2 TensorSRHT nodes for all powers of rho, and an SRHT at its end.

Algorithm. The k-th power is x (k times) times e (2^p - k times) in a tree of 2^p leaves, e a unit vector orthogonal to
every x; nodes over leaves of one kind, and the random matrices of every node, are shared by all powers. A node maps
(a, b) to sqrt(1 / D) (H D_1 a)[P_1] * (H D_2 b)[P_2]: Hadamard's H, random signs D_i, D sampled rows P_i. Beside e
alone a vector is passed on as it is (and a single x as its SRHT), which spares variance. The powers up to q, each
times the factor of its degree, side by side go through an SRHT (signs, Hadamard, sampled rows).

Features: those of the final SRHT; D is the power of two next below a quarter of them (lengths D fit the transforms).

Variance. Errors of the nodes are independent and to first order add up. With G_v(c) = sum_{k: c of v's leaves are x}
c_k rho^(k - c), the derivative of the result in what node v estimates (rho^c, from children with a and b x-leaves),

    (1 / D) sum_v sum_{c, c'} G_v(c) G_v(c') [A(a, a') A(b, b') - rho^(c + c')]
  + (1 / m - 1 / N) (kappa(1)^2 + kappa(rho)^2),

A(a, a') = rho^(a + a') for a != a', 1 + 2 rho^2a for a = a' > 0 (less 2 S, S = sum x_i^2 y_i^2, where a is one leaf)
and 1 for a = a' = 0; N is the length that the final SRHT samples from. kappa is the sketched part.

Embedding (`embedding_features`, an estimate: the argument is that of Ahle et al. (2020) and, for the step to matrices,
of Kane and Nelson (2014); its constants are worked out by hand, and nothing here proves them). A node keeps |z|^2 of
every tensor z with second moment 1 + 8 / D, so the tree and the SRHT keep it with (1 + 8 / D)^(q - 1) (1 + 2 / m), and
with probability 1 - delta

    (1 - eps) (K + lambda) <= Z Z' + lambda <= (1 + eps) (K + lambda)        for the kept series' kernel matrix K

where 3 s_lambda sqrt(second moment - 1) <= eps sqrt(delta), s_lambda = tr K (K + lambda)^-1: m of order
q s_lambda^2 / eps^2.

Papers: Ahle, Kapralov, Knudsen, Pagh, Velingker, Woodruff, Zandieh (2020), "Oblivious sketching of high-degree
polynomial kernels"; Han, Zandieh, Lee, Novak, Xiao, Karbasi (2022), "Fast neural kernel embeddings for general
activations", Algorithm 1. Part of every generated package; it needs NumPy alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ._inputs import DoubleArray, FloatArray
from ._powers import PowerDesign, PowerMap, PowerPlanner
from ._rows import RowSource
from ._transforms import hadamard_columns, next_power_of_two, stream

#: A node's place: its level above the leaves and its number there.
Place = tuple[int, int]


def levels(top: int) -> int:
    """p for a tree of 2^p >= top leaves, at least one node."""
    return max(1, (top - 1).bit_length())


def inner_dimension(spare: int) -> int:
    """D for that many final features."""
    return max(8, next_power_of_two(spare // 4 + 1) // 2)


def children(level: int, count: int) -> tuple[int, int]:
    """The x-leaves of the two children of a node with `count` of them: the first come first."""
    half = 1 << (level - 1)
    return min(count, half), max(0, count - half)


def embedding_features(degree: int, statistical_dimension: float, epsilon: float, delta: float) -> int:
    """An estimate of the features that the embedding asks for: the least m with D = m / 4 for which it holds."""
    allowed = epsilon**2 * delta / (9.0 * max(statistical_dimension, 1.0) ** 2)
    low, high = 1, 32
    while not _holds(high, degree, allowed):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _holds(middle, degree, allowed) else (middle, high)
    return high


def _holds(features: int, degree: int, allowed: float) -> bool:
    inner = max(features / 4.0, 1.0)
    return math.expm1((degree - 1) * math.log1p(8.0 / inner) + math.log1p(2.0 / features)) <= allowed


class PolySketchPlanner(PowerPlanner):
    """Degrees and predicted error of a PolySketch."""

    def variance(self, weights: DoubleArray, rho: DoubleArray, design: PowerDesign) -> DoubleArray:
        """See the formula at the head of this file."""
        if design.top <= design.exact:
            return np.zeros_like(rho)
        height = levels(design.top)
        total = np.zeros_like(rho)
        for level in range(1, height + 1):
            for number in range(1 << (height - level)):
                total += self._node(level, number, weights, rho, design)
        total /= inner_dimension(design.spare)
        degrees = np.arange(design.top + 1)
        kept = np.sum(weights * rho[:, None] ** degrees, axis=1)
        length = next_power_of_two((design.top - design.exact) * inner_dimension(design.spare))
        sampled = max(0.0, 1.0 / min(design.spare, length) - 1.0 / length)
        result: DoubleArray = np.maximum(total + sampled * (weights.sum(axis=1) ** 2 + kept**2), 0.0)
        return result

    def _node(
        self, level: int, number: int, weights: DoubleArray, rho: DoubleArray, design: PowerDesign
    ) -> DoubleArray:
        """What one node adds to D times the variance."""
        size, first = 1 << level, number << level
        slopes: dict[int, DoubleArray] = {}
        for degree in range(design.exact + 1, design.top + 1):
            count = min(max(degree - first, 0), size)
            if count > (size // 2 if level > 1 else 0):
                term = weights[:, degree] * rho ** (degree - count)
                slopes[count] = slopes.get(count, np.zeros_like(rho)) + term
        total = np.zeros_like(rho)
        for one, left in slopes.items():
            for two, right in slopes.items():
                (a, b), (c, d) = children(level, one), children(level, two)
                both = self._fourth(a, c, level, rho) * self._fourth(b, d, level, rho)
                total = total + left * right * (both - rho ** (one + two))
        return total

    def _fourth(self, one: int, two: int, level: int, rho: DoubleArray) -> DoubleArray:
        """A(a, a')."""
        if one != two:
            power: DoubleArray = rho ** (one + two)
            return power
        if one == 0:
            return np.ones_like(rho)
        value: DoubleArray = 1.0 + 2.0 * rho ** (2 * one)
        if level == 1:
            value = value - 2.0 * (1.0 + 2.0 * rho**2) / (self.columns + 2)
        return value

    def flops(self, design: PowerDesign) -> int:
        """Additions and multiplications a point."""
        inner, height = inner_dimension(design.spare), levels(design.top)
        leaf = next_power_of_two(self.columns)
        nodes = (2 << height) + design.top * height
        length = next_power_of_two((design.top - design.exact) * inner)

        def transform(size: int) -> int:
            return int(4 * size * math.sqrt(size))

        return (1 << height) * transform(leaf) + nodes * transform(inner) + transform(length)


class _Node:
    """The random matrices of one node: signs (2, length) and sampled rows (2, D)."""

    def __init__(self, seed: int, place: Place, length: int, inner: int, dtype: np.dtype[Any]) -> None:
        generator = stream(seed, "tensor srht", (place[1] << 8) | place[0])
        self.signs: FloatArray = np.where(generator.random((2, length)) < 0.5, -1.0, 1.0).astype(dtype)
        self.rows: npt.NDArray[np.intp] = (generator.random((2, inner)) * length).astype(np.intp)


class PolySketchMap(PowerMap):
    """A drawn PolySketch."""

    def __init__(
        self, design: PowerDesign, factors: list[DoubleArray], columns: int, seed: int, dtype: np.dtype[Any]
    ) -> None:
        super().__init__(design, factors, columns, dtype)
        self.columns, self.leaf = columns, next_power_of_two(columns)
        self.inner, self.height = inner_dimension(design.spare), levels(design.top)
        self.nodes: dict[Place, _Node] = {}
        for level in range(1, self.height + 1):
            length = self.leaf if level == 1 else self.inner
            for number in range(1 << (self.height - level)):
                self.nodes[level, number] = _Node(seed, (level, number), length, self.inner, dtype)
        self.powers = range(design.exact + 1, design.top + 1)
        length = next_power_of_two(len(self.powers) * self.inner)
        generator = stream(seed, "final srht")
        self.length, self._final = length, min(design.spare, length)
        self.signs: FloatArray = np.where(generator.random(length) < 0.5, -1.0, 1.0).astype(dtype)
        self.signs *= dtype.type(math.sqrt(1.0 / self._final))
        self.sampled = np.sort(generator.permutation(length)[: self._final])

    def sketch(self, rows: RowSource, start: int, stop: int, inverse: DoubleArray, weights: FloatArray) -> FloatArray:
        """(rows, features of the final SRHT)."""
        unit = np.zeros((stop - start, self.leaf), self.dtype)
        unit[:, : self.columns] = rows.block(start, stop) * inverse[:, None]
        known: dict[tuple[int, int, int], FloatArray] = {}
        joined = np.zeros((stop - start, self.length), self.dtype)
        for index, power in enumerate(self.powers):
            root = self._value(self.height, 0, power, unit, known)
            part = joined[:, index * self.inner : (index + 1) * self.inner]
            np.multiply(root, weights[:, power : power + 1], out=part)
        joined *= self.signs
        result: FloatArray = hadamard_columns(joined)[:, self.sampled]
        return result

    def _value(
        self, level: int, number: int, count: int, unit: FloatArray, known: dict[tuple[int, int, int], FloatArray]
    ) -> FloatArray:
        """The vector of a node with `count` > 0 x-leaves, (rows, D)."""
        left, right = children(level, count)
        if level > 1 and not right:
            return self._value(level - 1, 2 * number, left, unit, known)
        key = (level, number, count)
        if key not in known:
            node = self.nodes[level, number]
            product = self.dtype.type(math.sqrt(1.0 / self.inner))
            for side, inside in enumerate((left, right)):
                if inside:
                    vector = unit if level == 1 else self._value(level - 1, 2 * number + side, inside, unit, known)
                    product = product * hadamard_columns(vector * node.signs[side])[:, node.rows[side]]
            known[key] = product
        return known[key]
