"""Gaussian moments over half-spaces by Stein's identity, as polynomials in what they are made of.

For a Gaussian pair (u, v) and half-spaces {L_j > 0}, L_j jointly Gaussian with it,

    E[(u - z1)^a (v - z2)^b prod_j 1{L_j > 0}]
        = sum over the lower powers + sum_j Cov(u, L_j) density_j(0) E[... | L_j = 0],

so every moment is a combination of: the probability of all half-spaces; for each of them, its density
at 0 times the probability of the other given L_j = 0; and, for two, their joint density at the corner.
The tables hold those coefficients: 1, 2 or 4 of them for none, one or two half-spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sympy.polys.fields import FracElement

Coefficients = tuple[FracElement, ...]


@dataclass(frozen=True, slots=True)
class Normal:
    """Means (less the centers z1, z2) and covariances of (u, v)."""

    mean: tuple[FracElement, FracElement]
    covariance: tuple[tuple[FracElement, FracElement], tuple[FracElement, FracElement]]


@dataclass(frozen=True, slots=True)
class HalfSpace:
    """Cov(u, L), Cov(v, L), and the law of (u, v) given L = 0."""

    covariance: tuple[FracElement, FracElement]
    boundary: Normal


def _recursion(
    normal: Normal, rows: int, columns: int, start: Coefficients, boundary: Callable[[int, int, int], Coefficients]
) -> Mapping[tuple[int, int], Coefficients]:
    """Fill the table of moments up to powers (rows, columns); `boundary(axis, a, b)` adds the edges' part."""
    table: dict[tuple[int, int], Coefficients] = {(0, 0): start}
    for a in range(rows + 1):
        for b in range(columns + 1):
            if (a, b) == (0, 0):
                continue
            axis = 0 if a > 0 else 1
            lower = (a - 1, b) if axis == 0 else (a, b - 1)
            pieces: list[tuple[Any, Coefficients]] = [(normal.mean[axis], table[lower])]
            for other in (0, 1):
                power = lower[other]
                if power > 0:
                    below = (lower[0] - 1, lower[1]) if other == 0 else (lower[0], lower[1] - 1)
                    pieces.append((normal.covariance[axis][other] * power, table[below]))
            total = list(boundary(axis, *lower))
            for factor, values in pieces:
                total = [t + factor * value for t, value in zip(total, values, strict=True)]
            table[a, b] = tuple(total)
    return table


def table_of_none(normal: Normal, powers: tuple[int, int], one: FracElement) -> Mapping[tuple[int, int], Coefficients]:
    """All moments with powers up to `powers`, no half-space: one coefficient each, the moment itself."""
    zero = one - one
    return _recursion(normal, *powers, (one,), lambda axis, a, b: (zero,))


def table_of_one(
    normal: Normal, edge: HalfSpace, powers: tuple[int, int], one: FracElement
) -> Mapping[tuple[int, int], Coefficients]:
    """One half-space: the coefficients of its probability and of its density at 0."""
    zero = one - one
    inner = table_of_none(edge.boundary, powers, one)
    return _recursion(normal, *powers, (one, zero), lambda axis, a, b: (zero, edge.covariance[axis] * inner[a, b][0]))


def table_of_two(
    normal: Normal,
    half_spaces: tuple[HalfSpace, HalfSpace],
    conditional: tuple[tuple[FracElement, FracElement], tuple[FracElement, FracElement]],
    corner: Normal,
    powers: tuple[int, int],
    one: FracElement,
) -> Mapping[tuple[int, int], Coefficients]:
    """Two half-spaces: the coefficients of their probability, of the two edges, and of the corner.

    `conditional[j]` is Cov((u, v), the other L | L_j = 0); `corner` the law given L_1 = L_2 = 0.
    """
    zero = one - one
    inner = [
        table_of_one(edge.boundary, HalfSpace(conditional[j], corner), powers, one)
        for j, edge in enumerate(half_spaces)
    ]

    def boundary(axis: int, a: int, b: int) -> Coefficients:
        first, second = (edge.covariance[axis] for edge in half_spaces)
        (p1, c1), (p2, c2) = inner[0][a, b], inner[1][a, b]
        return (zero, first * p1, second * p2, first * c1 + second * c2)

    return _recursion(normal, *powers, (one, zero, zero, zero), boundary)
