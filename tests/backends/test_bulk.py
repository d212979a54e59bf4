"""Large matrices, most pairs of which are read off one polynomial, against the same rows layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelc
from kernelc.backends.numpy.runtime._bulk import SIDE, Bulk, boxes
from kernelc.backends.numpy.runtime._evaluation import Scratch
from kernelc.backends.numpy.runtime._interpolation import of_rows
from tests.backends.conftest import import_folder
from tests.backends.programs import unit_rows

Load = Callable[[str], ModuleType]
#: Rows that come in pairs of which a polynomial away from rho = 1 and -1 knows nothing, and some of their neighbours.
CHOSEN = np.array([0, 3, 7, 9, 11, 12, 13, 14, 15, 16, 17, 150, 519])


def mixed_rows(n: int, d: int) -> npt.NDArray[np.float64]:
    """Unit rows with a duplicate, an antipode and two near-duplicates."""
    x = unit_rows(n, d, 3)
    x[7] = x[9]
    x[11] = -x[3]
    x[13] = x[12]
    x[14] = x[15] + 1e-6 * x[0]
    x[16] = x[17] + 1e-3 * x[1]
    x[[14, 16]] /= np.linalg.norm(x[[14, 16]], axis=1)[:, None]
    return x


def compared(
    package: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    wide: npt.NDArray[np.float64],
    dtype: type[np.floating[Any]] = np.float64,
    **settings: Any,
) -> Bulk:
    """Compare a large Gram matrix with some of its rows in a small matrix; return the polynomial that was used."""
    made: list[Bulk | None] = []
    make = package._plans.make_bulk

    def noted(*arguments: Any) -> Any:
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(package._plans, "make_bulk", noted)
    for kernel in (package.nngp, package.ntk):
        result = kernel(wide.astype(dtype), **settings)
        assert result.dtype == dtype
        direct = kernel(wide[CHOSEN], wide, **settings)
        size = np.sqrt(np.diag(result).astype(np.float64))
        size[size == 0.0] = 1.0
        error = np.abs(result[CHOSEN] - direct) / size[CHOSEN, None] / size
        assert float(error.max()) <= (1e-13 if dtype is np.float64 else 5e-6)
        assert (result == result.T).all()
    assert len(made) == 2, "small matrices take no polynomial"
    assert all(bulk is not None for bulk in made)
    assert made[-1] is not None
    return made[-1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("name", ["relu", "absolute", "erf", "cube"])
def test_one_function_of_rho(
    package_of: Load, monkeypatch: pytest.MonkeyPatch, name: str, depth: int, dtype: type[np.floating[Any]]
) -> None:
    package = package_of(name)
    # the norm that stays the same from layer to layer
    w_std = float(package.kappa(1.0)) ** -0.5
    x = mixed_rows(520, 150) / w_std
    if name in ("relu", "absolute"):
        x *= np.linspace(0.3, 3.0, len(x))[:, None]
        x[150] = 0.0
    bulk = compared(package, monkeypatch, x, dtype, depth=depth, w_std=w_std)
    assert bulk.left is None


def test_rows_of_which_a_part_points_the_same_way(package_of: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    x = mixed_rows(520, 150) + 0.1
    bulk = compared(package_of("relu"), monkeypatch, x / np.linalg.norm(x, axis=1)[:, None])
    assert bulk.low > 0.0


@pytest.mark.parametrize("name", ["relu", "absolute"])
def test_a_bias_and_any_norms(package_of: Load, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    x = mixed_rows(520, 150) * np.linspace(0.5, 2.0, 520)[:, None]
    bulk = compared(package_of(name), monkeypatch, x, depth=3, w_std=1.3, b_std=0.4)
    assert bulk.left is not None


@pytest.mark.usefixtures("no_norm_tables")
def test_norms_of_three_orders_of_magnitude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their functions of the norm take more points than those of a factor of 16."""
    folder = kernelc.compile("erf(t)", name="wide_erf", degree=16).write(tmp_path)
    package = import_folder(folder, "wide_erf_of_many_norms")
    bulk = compared(package, monkeypatch, mixed_rows(520, 150) * np.geomspace(0.03, 30.0, 520)[:, None])
    assert bulk.left_inside.all()


@pytest.mark.usefixtures("no_norm_tables")
def test_the_corners_of_a_range_of_norms(tmp_path: Path) -> None:
    """exp(t / 2), where nearly parallel rows of large norms are the hardest: E = exp((q11 + q22 + 2 q12) / 8)."""
    folder = kernelc.compile("exp(t/2)", name="half_exponential", degree=16).write(tmp_path)
    package = import_folder(folder, "half_exponential_in_corners")
    x = np.random.default_rng(3).standard_normal((600, 3))
    x *= (np.geomspace(0.26, 3.9, 600) / np.linalg.norm(x, axis=1))[:, None]
    wide = x.astype(np.longdouble)
    covariance = 0.64 * (wide @ wide.T) + 0.16
    size = np.diag(covariance)
    truth = 0.64 * np.exp((size[:, None] + size + 2 * covariance) / 8) + 0.16
    scale = np.sqrt(np.diag(truth))
    error = np.abs(package.nngp(x, w_std=0.8, b_std=0.4) - truth) / scale / scale[:, None]
    assert float(error.max()) < 3e-13


def test_a_bias_makes_functions_of_one_norm_depend_on_the_other(
    network_of: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near rho = 1, where few of the other norms do not tell: closer and closer fits took 43 functions."""
    package = network_of("elu")
    fit = package._bulkfit.many_norms

    def for_a_large_matrix(*arguments: Any) -> Any:
        return fit(*arguments[:4], 4000 * 4000, *arguments[5:])

    monkeypatch.setattr(package._bulkfit, "many_norms", for_a_large_matrix)
    x = mixed_rows(520, 150) * np.geomspace(0.5, 2.0, 520)[:, None]
    bulk = compared(package, monkeypatch, x, depth=3, w_std=1.0, b_std=1.0)
    assert bulk.left is not None
    assert bulk.left.shape[1] <= 24


def test_two_sets_of_rows(package_of: Load) -> None:
    package = package_of("erf")
    x, y = unit_rows(700, 150, 1), unit_rows(520, 150, 2)
    y[5], y[6] = x[600], -x[3]
    result = package.ntk(x, y)
    np.testing.assert_allclose(result[[3, 600]], package.ntk(x[[3, 600]], y), rtol=0, atol=1e-13)
    np.testing.assert_allclose(result.T, package.ntk(y, x), rtol=0, atol=1e-13)


def test_boxes_hold_their_pairs() -> None:
    rows, columns = np.array([0, 31, 32, 100, 127]), np.array([5, 31, 31, 470, 479])
    found = boxes(rows, columns, 480, 128 * 480)
    assert found == [(0, 32, 5, 32), (32, 33, 31, 32), (100, 128, 470, 480)]
    everywhere = np.arange(0, 480, SIDE)
    assert boxes(np.zeros(everywhere.size, dtype=np.intp), everywhere, 480, SIDE * 480) is None


def test_pairs_outside_are_found_but_on_the_diagonal() -> None:
    inside = np.ones(128, dtype=np.bool_)
    bulk = Bulk(-0.5, 0.25, False, 0.0, False, (1.0, 2.0), (), None, None, inside, inside, True)
    rho = np.zeros((64, 96))
    rho[3, 90], rho[60, 2], rho[10, 10], rho[63, 95] = 0.3, -0.6, 1.0, 0.9
    rows, columns = bulk.outside(rho.copy(), (0, 64, 0, 95))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(3, 90), (60, 2)]
    rows, columns = bulk.outside(rho.copy(), (0, 64, 32, 128))
    assert rows.tolist() == [3, 10, 60, 63]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("rank", [0, 3, 40])
def test_polynomials_are_their_sums(rank: int, split: bool) -> None:
    random = np.random.default_rng(0)
    rho = random.uniform(-0.5, 0.5, (64, 96))
    inside = np.ones(128, dtype=np.bool_)
    shape = (rank, rank) if rank else ()
    terms = [random.standard_normal(shape)[()] for _ in range(5)]
    left, right = (random.standard_normal(s) for s in ((128, rank), (rank, 128)))
    even, odd = (tuple(terms[::2]), tuple(terms[1::2])) if split else (tuple(terms), ())
    bulk = Bulk(
        -0.5,
        0.5,
        False,
        0.0 if split else 0.1,
        split,
        even,
        odd,
        left if rank else None,
        right if rank else None,
        inside,
        inside,
        False,
    )
    job = (32, 96, 0, 96)
    found = bulk.evaluate(rho.copy(), job, Scratch(rho.size, rho.dtype))
    values = [left[32:96] @ term @ right[:, :96] if rank else np.full(rho.shape, term) for term in terms]
    expected = sum(value * (rho - bulk.middle) ** k for k, value in enumerate(values))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_functions_of_many_rows() -> None:
    calls: list[int] = []

    def smooth(s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        calls.append(s.size)
        return np.sqrt(1.0 + s * s)

    s = np.append(np.linspace(0.2, 5.0, 2000), 0.0)
    np.testing.assert_allclose(of_rows(smooth, s), np.sqrt(1.0 + s * s), rtol=1e-14)
    assert max(calls) < 200
    calls.clear()

    def kinked(s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        calls.append(s.size)
        return 1.0 + np.abs(s - math.pi / 2)

    np.testing.assert_array_equal(of_rows(kinked, s), kinked(s))
    assert s.size in calls
