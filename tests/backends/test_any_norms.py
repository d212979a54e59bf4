"""NNGP and NTK of rows of any norms by closed forms, against the recursion at 40 digits."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.backends.jumps import hard_shrink_nngp
from tests.backends.programs import unit_rows

Load = Callable[[str], ModuleType]
REFERENCES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "reference" / "networks.json").read_text(encoding="utf-8")
)
GOAL = {"float64": 1e-12, "float32": 1e-5}
SETTINGS: tuple[dict[str, Any], ...] = ({}, {"depth": 3, "w_std": 1.2, "b_std": 0.3})


def spread_rows(n: int, d: int, low: float, high: float) -> npt.NDArray[np.float64]:
    """Random rows of norms between low and high, with a duplicate, near-duplicates, multiples and an antipode."""
    x = unit_rows(n, d, 3) * np.exp(np.linspace(math.log(low), math.log(high), n))[:, None]
    x[7] = x[9]
    x[11] = -x[3]
    x[13] = 1.3 * x[12]
    x[14] = x[15] * (1 + 1e-9)
    x[16] = x[17] + 1e-6
    return x


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_against_the_recursion(network_of: Load, name: str, kernel: str) -> None:
    function = getattr(network_of(name), kernel)
    for case in REFERENCES[name]:
        settings = {key: case[key] for key in ("depth", "w_std", "b_std")}
        n = len(case["rows"])
        truth = np.zeros((n, n))
        for i, row in enumerate(case[kernel]):
            truth[i, i:] = truth[i:, i] = [float(value) for value in row]
        truth[np.abs(truth) < 1e-35] = 0.0  # the reference takes 1e-80 for a variance of 0
        for dtype in (np.float64, np.float32):
            x = np.array(case["rows"], dtype)
            if dtype is np.float32 and not (x == np.array(case["rows"])).all():
                x = x[:4]  # the others are not what they are said to be in float32
            scale = np.sqrt(np.diag(truth))[: len(x)]
            for result in (function(x, **settings), function(x, x.copy(), **settings)):
                error = np.abs(result - truth[: len(x), : len(x)])
                zero = np.multiply.outer(scale, scale) == 0.0
                assert not error[zero].any()
                allowed = GOAL[x.dtype.name] * np.multiply.outer(scale, scale)
                assert (error <= allowed).all(), (settings, dtype, error.max())
            assert (function(x, **settings) == function(x, **settings).T).all()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", ["gelu", "elu", "hard_tanh", "leaky_sin"])
def test_one_polynomial_is_the_closed_form(
    network_of: Load, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict[str, Any]
) -> None:
    package = network_of(name)
    x = spread_rows(800, 150, 0.4, 2.5)
    made: list[Any] = []
    make = package._plans.make_bulk

    def noted(*arguments: Any) -> Any:
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(package._plans, "make_bulk", noted)
    result, single = package.ntk(x, **settings), package.ntk(x.astype(np.float32), **settings)
    assert len(made) == 2
    # at depth 3 the sine needs more functions of the norms than a matrix of this size may ask samples for
    if name != "leaky_sin":
        assert all(bulk is not None and bulk.left is not None for bulk in made)
    rows = np.array([0, 7, 9, 12, 13, 14, 15, 16, 17, 150, 299])
    direct = package.ntk(x[rows], x, **settings)
    assert len(made) == 2, "small matrices take no polynomial"
    scale = np.sqrt(np.diag(result))
    allowed = np.multiply.outer(scale[rows], scale)
    assert (np.abs(result[rows] - direct) <= 2e-13 * allowed).all()
    assert (np.abs(single[rows] - direct) <= 1e-5 * allowed).all()
    assert (result == result.T).all()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", ["gelu", "elu", "hard_tanh", "leaky_sin"])
def test_tables_of_low_rank_are_the_closed_form(
    network_of: Load, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict[str, Any]
) -> None:
    package = network_of(name)
    x = spread_rows(300, 50, 0.4, 2.5)
    result = package.ntk(x, **settings)
    road = package._lowrank
    panels: list[Any] = []
    made = road.mixed_road

    def noted(*arguments: Any) -> Any:
        panels.append(made(*arguments))
        return panels[-1]

    monkeypatch.setattr(package._sources, "mixed_road", noted)
    np.testing.assert_array_equal(package.ntk(x, **settings), result)
    assert all(road.panels for road in panels)
    single = package.ntk(x.astype(np.float32), **settings)
    monkeypatch.setattr(road, "_FEW_ENTRIES", 10**9)
    rows = np.array([0, 7, 9, 12, 13, 14, 15, 16, 17, 150, 299])
    direct = package.ntk(x[rows], x, **settings)
    scale = np.sqrt(np.diag(result))
    allowed = np.multiply.outer(scale[rows], scale)
    assert (np.abs(result[rows] - direct) <= 1e-13 * allowed).all()
    assert (np.abs(single[rows] - direct) <= 1e-5 * allowed).all()
    assert (result == result.T).all()
    values = np.linalg.eigvalsh(result)
    assert values[0] > -1e-12 * values[-1]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", ["gelu", "elu", "hard_tanh", "hard_shrink"])
def test_rows_of_one_norm(network_of: Load, name: str, settings: dict[str, Any]) -> None:
    """Tables in theta alone agree with the pairs' own values, which rows of a slightly other norm force."""
    package = network_of(name)
    kernel = "nngp" if name == "hard_shrink" else "ntk"
    x = unit_rows(40, 6, 5) * 1.7
    x[5] = x[6] + 1e-6 * x[7]
    x[5] *= 1.7 / np.linalg.norm(x[5])
    other = np.concatenate([x, x[:1] * 1.5])
    result = getattr(package, kernel)(x, **settings)
    mixed = getattr(package, kernel)(other, **settings)[:-1, :-1]
    scale = np.sqrt(np.diag(result))
    assert (np.abs(result - mixed) <= 2e-13 * np.multiply.outer(scale, scale)).all()


@pytest.mark.parametrize("distance", [1e-2, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_near_duplicates_through_jumps(network_of: Load, distance: float, sign: float) -> None:
    """Each layer's rounding, 1e-16, is multiplied by the slope of the next near rho = 1, where a jump's is infinite.

    Rows 1e-12 apart are 1e-3 apart after three layers: log(s / s') must be that of their difference.
    """
    x = unit_rows(2, 6, 3) * 1.99
    x[1] = sign * (x[0] + distance * x[1])
    result = network_of("hard_shrink").nngp(x, depth=3, w_std=1.2, b_std=0.3)
    truth = hard_shrink_nngp(x, depth=3, w_std=1.2, b_std=0.3)
    assert (np.abs(result - truth) <= GOAL["float64"] * truth[0, 0]).all()


def small_rows(size: float) -> npt.NDArray[np.float64]:
    """Rows of norms up to `size` and 0: duplicates, an antipode, near-duplicates, others."""
    x = unit_rows(24, 5, 3) * (size * np.linspace(0.1, 1.0, 24))[:, None]
    x[0], x[1], x[3] = 0.0, 0.0, x[2]
    x[5] = -x[4]
    for row, share in zip((7, 9, 11, 13), (1e-2, 1e-3, 1e-5, 1e-8), strict=True):
        x[row] = x[row - 1] + share * x[row]
    return x


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-3, 5e-3, 0.012, 0.02])
def test_rows_about_a_value_at_zero(network_of: Load, size: float) -> None:
    """There sigma is 2 t + 1/4, which makes of the first layer a bias: 1 - tau of such rows is all rounding."""
    package, x = network_of("raised_relu"), small_rows(size)
    inner = 4.0 * (x @ x.T)
    slopes = (package.ntk(x, depth=2) - package.nngp(x, depth=2)) / (0.0625 + 2.0 * inner)
    biased = [kernel(2.0 * x, depth=1, w_std=1.0, b_std=0.25) for kernel in (package.ntk, package.nngp)]
    expected = (biased[0] - biased[1]) / (0.0625 + inner)
    assert np.abs(slopes - expected).max() <= GOAL["float64"] * expected.max()


def test_near_duplicates_of_small_rows(network_of: Load) -> None:
    """Where sigma(0) = 0 there is no such limit: about 0 sigma is 2 t and 11/10 t, and the NTK falls like the angle."""
    one, other = unit_rows(2, 5, 3)
    other -= one * (one @ other)
    x = 1e-8 * np.array([one, one + 1e-8 * other, one + 1e-6 * other])
    matrix = network_of("leaky_sin").ntk(x, depth=2)
    drops = 1.0 - matrix[0, 1:] / np.sqrt(matrix[0, 0] * np.diag(matrix)[1:])
    assert drops[0] > 1e-10
    assert abs(drops[1] / drops[0] - 100.0) <= 1e-3


def test_rows_that_die_out(network_of: Load) -> None:
    """Their variance reaches 0, that of others grows; a fit over all norms found no numbers."""
    x = unit_rows(300, 6, 3) * np.linspace(0.5, 1.5, 300)[:, None]
    matrix = network_of("hard_shrink").nngp(x, depth=12, w_std=1.2)
    assert np.isfinite(matrix).all()
    assert (matrix[:50] == 0.0).all()
    assert matrix[-1, -1] > 1.0


def test_norms_beyond_the_closed_form_are_refused(network_of: Load) -> None:
    package = network_of("hard_tanh")
    with pytest.raises(ValueError, match=r"x1: row 1 has norm .* 1e\+20, but hard_tanh holds for norms from 0\.0 to"):
        package.nngp([[2.0], [1e20]])
    with pytest.raises(ValueError, match=r"x2: row 0 has norm"):
        package.ntk([[2.0]], [[1e20]])


def test_results_are_written_into_out(network_of: Load) -> None:
    package = network_of("gelu")
    x, y = spread_rows(70, 5, 0.5, 2.0), unit_rows(40, 5, 1) * 3.0
    expected = package.ntk(x, y)
    out = np.full((70, 40), np.nan)
    assert package.ntk(x, y, out=out) is out
    np.testing.assert_array_equal(out, expected)
    wide = np.full((140, 80), np.nan)
    package.nngp(x, y, out=wide[::2, ::2])
    np.testing.assert_array_equal(wide[::2, ::2], package.nngp(x, y))
    assert np.isnan(wide[1::2]).all()
    square = np.empty((70, 70), np.float32)
    assert package.ntk(x.astype(np.float32), out=square) is square
    assert (square == square.T).all()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((3, 3)), "out: expected an array of float64 of shape .2, 2., got float64 of shape .3, 3."),
        (np.empty((2, 2), np.float32), "out: expected an array of float64"),
        ([[0.0, 0.0], [0.0, 0.0]], "out: expected an array of float64 of shape .2, 2., got list"),
        (np.broadcast_to(0.0, (2, 2)), "out: the array is read-only"),
    ],
)
def test_what_cannot_take_the_result_is_refused(network_of: Load, out: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network_of("gelu").ntk(np.eye(2) * 2.0, out=out)


def test_out_must_not_be_the_input(network_of: Load) -> None:
    x = np.eye(4) * 2.0
    with pytest.raises(ValueError, match="out: shares memory with an input"):
        network_of("gelu").ntk(x, out=x)


def test_progress_is_told_from_the_calling_thread(network_of: Load) -> None:
    told: list[float] = []
    threads: set[int] = set()

    def tell(fraction: float) -> None:
        told.append(fraction)
        threads.add(threading.get_ident())

    for n in (5, 1300):
        told.clear()
        network_of("gelu").nngp(unit_rows(n, 3, 0) * 2.0, progress=tell)
        assert told == sorted(set(told))
        assert 1 <= len(told) <= 100
        assert told[-1] == 1.0
    assert threads == {threading.get_ident()}
    with pytest.raises(ValueError, match="progress: expected a function"):
        network_of("gelu").nngp(np.eye(2), progress=1)


def test_a_failing_progress_stops_the_work(network_of: Load) -> None:
    calls: list[float] = []

    def stop(fraction: float) -> None:
        calls.append(fraction)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network_of("gelu").nngp(unit_rows(1500, 3, 0) * 2.0, progress=stop)
    assert len(calls) == 1
