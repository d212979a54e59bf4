"""Networks that forget angles: nearly parallel rows of nearly one norm by tables, against the same pairs one by one."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.backends import exact_networks
from tests.backends.programs import unit_rows

Array = npt.NDArray[np.float64]
Load = Callable[[str], ModuleType]
#: w_std, b_std that make all rows alike, at once or layer by layer.
FORGETFUL = [(0.1, 1.0), (0.5, 2.0)]


@pytest.fixture
def served(network_of: Load, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[int]]:
    """Watches a package: how many pairs have been asked for, and how many were read off a table."""

    def watch(name: str) -> list[int]:
        near, counts = network_of(name)._neartable.NearTables, [0, 0]
        values = near.values

        def counted(self: Any, *arguments: Any) -> Any:
            result = values(self, *arguments)
            counts[0] += result[0].size
            counts[1] += int(np.count_nonzero(result[0]))
            return result

        monkeypatch.setattr(near, "values", counted)
        return counts

    return watch


def rows(n: int, low: float = 0.5, high: float = 2.0) -> Array:
    """Rows of norms from low to high, among them duplicates, near-duplicates and multiples."""
    x = unit_rows(n, 6, 5)
    x[1] = x[0]
    x[2] = x[0] + 1e-7 * x[3]
    x[4] = x[0] + 1e-3 * x[5]
    x *= np.exp(np.random.default_rng(2).uniform(np.log(low), np.log(high), n))[:, None]
    x[6] = 1.25 * x[0]
    x[7] = (1.0 + 1e-6) * x[0]
    return x


def difference(found: Array, truth: Array, diagonal: Array) -> float:
    """Relative to the diagonal's roots."""
    size = np.sqrt(diagonal)
    return float(np.max(np.abs(found - truth) / (size[: len(truth), None] * size[: truth.shape[1]])))


@pytest.mark.parametrize(("w_std", "b_std"), FORGETFUL)
@pytest.mark.parametrize("name", ["elu", "hard_tanh", "leaky_sin"])
def test_tables_are_single_pairs(
    network_of: Load, served: Callable[[str], list[int]], name: str, w_std: float, b_std: float
) -> None:
    package, x = network_of(name), rows(150)
    counts = served(name)
    for kernel in (package.nngp, package.ntk):
        found = kernel(x, depth=4, w_std=w_std, b_std=b_std)
        assert counts[1] > 0.6 * counts[0] > 10_000
        asked = counts[0]
        truth = kernel(x[:24], depth=4, w_std=w_std, b_std=b_std)
        assert counts[0] - asked < 24 * 24 * 4, "too few for a table"
        assert difference(found[:24, :24], truth, np.diag(found)) <= 2e-13
        assert (found == found.T).all()
        counts[:] = [0, 0]


@pytest.mark.parametrize(
    ("name", "pair"), [("leaky_sin", exact_networks.leaky_sin), ("hard_tanh", exact_networks.hard_tanh)]
)
def test_against_formulas(network_of: Load, name: str, pair: exact_networks.Pair) -> None:
    package, x = network_of(name), rows(150)
    for index, kernel in enumerate((package.nngp, package.ntk)):
        found = kernel(x, depth=3, w_std=0.3, b_std=1.5)
        truth = [exact_networks.network(pair, x[0], y, 3, 0.3, 1.5)[index] for y in x[1:10]]
        assert difference(found[:1, 1:10], np.array([truth]), np.diag(found)) <= 2e-13


def test_single_precision(network_of: Load, served: Callable[[str], list[int]]) -> None:
    package, x = network_of("elu"), rows(150).astype(np.float32)
    counts = served("elu")
    found = package.ntk(x, depth=4, w_std=0.5, b_std=2.0)
    assert counts[1] > 0.7 * counts[0]
    truth = package.ntk(x.astype(np.float64), depth=4, w_std=0.5, b_std=2.0)
    assert found.dtype == np.float32
    assert difference(found, truth, np.diag(truth)) <= 1e-6


def test_threads_in_any_order(
    network_of: Load, served: Callable[[str], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large matrix makes its tables before its tiles; the same to the last bit by one thread as by three."""
    package, x = network_of("elu"), rows(560)
    counts, results = served("elu"), []
    for workers in (1, 3):
        monkeypatch.setattr(package._networks, "_workers", lambda jobs, entries, workers=workers: workers)
        results.append(package.ntk(x, depth=3, w_std=0.5, b_std=2.0))
    assert counts[1] > 0.9 * counts[0]
    np.testing.assert_array_equal(results[0], results[1])
    few = package.ntk(x[:16], depth=3, w_std=0.5, b_std=2.0)
    assert difference(results[0][:16, :16], few, np.diag(results[0])) <= 2e-13


def test_a_table_that_differs_from_single_pairs_is_not_used(
    network_of: Load, served: Callable[[str], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is allowed is 0: all goes one by one, to the same bits as in a matrix too small for tables."""
    package, x = network_of("leaky_sin"), rows(80)
    monkeypatch.setattr(package._neartable, "_ALLOWED", {np.dtype(np.float64): (0.0, 0.0)})
    counts = served("leaky_sin")
    found = package.ntk(x, depth=3, w_std=0.1, b_std=1.0)
    assert counts[0] > package._neartable._PILOT_AFTER
    assert counts[1] == 0
    np.testing.assert_array_equal(found[:16, :16], package.ntk(x[:16], depth=3, w_std=0.1, b_std=1.0))
