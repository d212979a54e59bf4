"""Polynomials evaluated together against the same evaluated one by one."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelc.backends.numpy.runtime._bundles import bundle, chebyshev_blocks, evaluate_bundle
from kernelc.backends.numpy.runtime._evaluation import (
    PowerTable,
    Scratch,
    ShortTable,
    Table,
    ThetaTable,
    evaluate,
    trimmed,
)


def both_ways(tables: tuple[Table, ...], dtype: type[Any], *, together: bool) -> float:
    """The largest difference between the two evaluations."""
    rng = np.random.default_rng(0)
    theta = rng.uniform(0, math.pi, (96, 1024)).astype(dtype)
    rho = np.cos(theta)
    plan = bundle(tables, np.dtype(dtype))
    assert (plan.matrix is not None) is together
    scratch = Scratch(theta.size, np.dtype(dtype))
    outs = tuple(np.empty_like(theta) for _ in tables)
    evaluate_bundle(plan, rho, theta, outs, scratch)
    expected, worst = np.empty_like(theta), 0.0
    for table, out in zip(tables, outs, strict=True):
        evaluate(table, rho, theta, expected, scratch)
        worst = max(worst, float(np.abs(out - expected).max()))
    return worst


def decaying(length: int, seed: int, rate: float = 0.8) -> tuple[float, ...]:
    values = np.random.default_rng(seed).standard_normal(length) * rate ** np.arange(length)
    return tuple(float(value) for value in values)


@pytest.mark.parametrize("length", [41, 48, 49, 97, 300])
@pytest.mark.parametrize("basis", ["monomial", "chebyshev"])
def test_pairs_in_theta(basis: Literal["monomial", "chebyshev"], length: int) -> None:
    edges = (0.0, math.pi)
    tables = (
        ThetaTable(edges, (decaying(length, 1),), basis, rooted=True),
        ThetaTable(edges, (decaying(length - 5, 2),), basis),
    )
    assert both_ways(tables, np.float64, together=True) < 2e-12
    assert both_ways(tables, np.float32, together=True) < 2e-3
    assert both_ways(tables[:1], np.float64, together=length > 80 or (basis == "chebyshev" and length > 53)) < 2e-12


def test_power_series_of_opposite_parity() -> None:
    tables = (PowerTable(decaying(100, 3), "odd"), PowerTable(decaying(101, 4), "even"))
    assert both_ways(tables, np.float64, together=True) < 1e-13
    plain = (PowerTable(decaying(100, 3), "none"), PowerTable(decaying(90, 4), "none"))
    assert both_ways(plain, np.float64, together=True) < 1e-13


@pytest.mark.parametrize("squared", [False, True])
def test_economised_series(squared: bool) -> None:
    tables = (
        ShortTable((0.1, 0.0), decaying(90, 3), squared),
        ShortTable((), decaying(41, 4), squared),
        ShortTable((0.5,), decaying(70, 5), squared),
    )
    assert both_ways(tables, np.float64, together=True) < 1e-13
    assert both_ways(tables, np.float32, together=True) < 1e-4
    assert both_ways((tables[0], ShortTable((), decaying(90, 4), not squared)), np.float64, together=False) == 0.0


def test_unlike_tables_go_their_own_way() -> None:
    power, theta = PowerTable(decaying(100, 3), "none"), ThetaTable((0.0, math.pi), (decaying(100, 1),), "monomial")
    panels = ThetaTable((0.0, 1.0, math.pi), (decaying(100, 1), decaying(100, 2)), "monomial")
    for tables in ((power, theta), (theta, panels), (power, PowerTable(decaying(100, 1), "odd")), (panels,)):
        assert both_ways(tables, np.float64, together=False) == 0.0
    short = (PowerTable(decaying(10, 3), "none"), PowerTable(decaying(10, 4), "none"))
    assert both_ways(short, np.float64, together=False) == 0.0


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 16), st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.floats(-1, 1))
def test_chebyshev_blocks(inner: int, row: list[float], z: float) -> None:
    blocks = -(-len(row) // inner)
    parts = chebyshev_blocks(tuple(row), inner, blocks)
    inside = [np.polynomial.chebyshev.chebval(z, part) for part in parts]
    top = math.cos(inner * math.acos(z))
    value = np.polynomial.chebyshev.chebval(top, inside)
    assert value == pytest.approx(np.polynomial.chebyshev.chebval(z, row), abs=1e-10)


def test_trimming_keeps_the_value() -> None:
    table = PowerTable((1.0, 0.5, 0.25, 1e-9, 1e-11, 1e-19, 1e-40), "none")
    assert trimmed(table, np.dtype(np.float64)) == PowerTable(table.coefficients[:5], "none")
    assert trimmed(table, np.dtype(np.float32)) == PowerTable(table.coefficients[:3], "none")
    assert trimmed(PowerTable((0.0, 0.0), "none"), np.dtype(np.float64)) == PowerTable((0.0,), "none")
