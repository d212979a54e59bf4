"""kernelc.dask on this process's threads, and on a real cluster of processes of which one is killed at work."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, get_worker, wait

from kernelc.dask import features, fit_ridge, kernel_matrix
from kernelc.dask.ridge import _sums_of
from kernelc.errors import InputError
from kernelc.loading import source_of

RANDOM = np.random.default_rng(11)
ROWS = RANDOM.standard_normal((300, 9))
TARGET = np.stack([np.sin(ROWS[:, 0]), ROWS[:, 1] * ROWS[:, 2]], axis=1)
BLOCKS = (50, 1, 100, 149)


@pytest.fixture
def rows() -> da.Array:
    return da.from_array(ROWS, chunks=(BLOCKS, (4, 5)))


@pytest.fixture(autouse=True)
def _in_threads() -> Iterator[None]:
    with dask.config.set(scheduler="threads"):
        yield


def test_features_are_those_of_all_rows_at_once(rows: da.Array) -> None:
    lazy = features("relu", rows, depth=2, features=64, seed=5)
    whole = source_of("relu").module().features(ROWS, depth=2, features=64, seed=5)
    assert lazy.chunks[0] == BLOCKS
    assert lazy.shape == whole.shape
    assert np.array_equal(lazy.compute(), whole)
    single = features("relu", rows.astype(np.float32), features=64)
    assert single.dtype == single.compute().dtype == np.float32


def test_kernel_blocks_are_the_kernel_and_exactly_symmetric(rows: da.Array) -> None:
    matrix = kernel_matrix("relu", rows, depth=2, b_std=0.3).compute()
    exact = source_of("relu").module().ntk(ROWS, depth=2, b_std=0.3)
    assert np.array_equal(matrix, matrix.T)
    assert np.allclose(matrix, exact, rtol=1e-13)
    cross = kernel_matrix("relu", rows[:60], rows, kernel="nngp")
    assert cross.shape == (60, 300)
    assert np.allclose(cross.compute(), source_of("relu").module().nngp(ROWS[:60], ROWS), rtol=1e-13)


def test_ridge_is_the_least_squares_solution(rows: da.Array) -> None:
    z = features("relu", rows, features=32)
    model = fit_ridge(z, da.from_array(TARGET, chunks=70), alpha=0.1)
    dense = z.compute()
    centred, values = dense - dense.mean(axis=0), TARGET - TARGET.mean(axis=0)
    # the same as an ordinary least squares problem with the penalty as further rows
    stacked = np.vstack([centred, np.sqrt(0.1) * np.eye(32)])
    exact = np.linalg.lstsq(stacked, np.vstack([values, np.zeros((32, 2))]), rcond=None)[0]
    assert np.allclose(model.coefficients, exact, rtol=1e-8, atol=1e-10)
    assert np.allclose(model.predict(z).compute().mean(axis=0), TARGET.mean(axis=0))
    one = fit_ridge(z, da.from_array(TARGET[:, 0], chunks=70), alpha=0.1)
    assert one.coefficients.shape == (32,)
    assert np.allclose(one.coefficients, model.coefficients[:, 0], rtol=1e-12)
    assert np.allclose(one.predict(dense), model.predict(dense)[:, 0])


def test_how_a_block_lies_in_memory_changes_no_bit() -> None:
    block, values = RANDOM.standard_normal((200, 64)), RANDOM.standard_normal((200, 2))
    expected = _sums_of(block, values)
    buffer = np.empty(block.nbytes + 1, np.uint8)
    shifted = buffer[1:].view(np.float64).reshape(block.shape)
    shifted[...] = block
    assert not shifted.flags.aligned
    for other in (shifted, np.asfortranarray(block), np.repeat(block, 2, axis=1)[:, ::2]):
        found = _sums_of(other, np.asfortranarray(values))
        assert found[0] == expected[0]
        assert all(np.array_equal(a, b) for a, b in zip(found[1:], expected[1:], strict=True))


def test_what_is_wrong_is_said(rows: da.Array) -> None:
    with pytest.raises(InputError, match="x: expected a two-dimensional dask array"):
        features("relu", ROWS)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="kernel: expected"):
        kernel_matrix("relu", rows, kernel="cnn")
    with pytest.raises(InputError, match="y: expected 9 columns"):
        kernel_matrix("relu", rows, rows[:, :4])
    with pytest.raises(InputError, match="compute_chunk_sizes"):
        features("relu", rows[rows[:, 0] > 0])
    for network in ({"depth": 0}, {"w_std": -1.0}, {"b_std": float("nan")}):
        with pytest.raises(InputError, match=f"{next(iter(network))}: expected"):
            kernel_matrix("relu", rows, **network)
    z = features("relu", rows, features=16)
    for alpha in (0.0, "1"):
        with pytest.raises(InputError, match="alpha: expected a positive"):
            fit_ridge(z, da.from_array(TARGET), alpha=alpha)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="300 rows"):
        fit_ridge(z, da.from_array(TARGET[:20]))
    with pytest.raises(InputError, match="too small"):
        fit_ridge(da.from_array(np.ones((50, 3)) * 1e150), da.from_array(np.ones(50)), alpha=1e-9)


def _killed_once(block: np.ndarray[tuple[int, ...], np.dtype[np.float64]], marker: str, victim: str) -> object:
    """The block as it is; the first worker to reach the victim's first block dies without a word."""
    if victim == get_worker().name and not os.path.exists(marker):
        with open(marker, "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    return block


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_gives_the_same_bits(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cluster")
    marker = folder / "killed"
    rows = da.from_array(ROWS, chunks=(20, -1))
    target = da.from_array(TARGET, chunks=20)
    with dask.config.set(scheduler="threads"):
        expected = fit_ridge(features("relu", rows, features=64), target, alpha=0.1)
    settings = {
        "distributed.scheduler.allowed-failures": 5,
        "distributed.worker.memory.terminate": False,
        "temporary-directory": str(folder),
    }
    with (
        dask.config.set({**settings, "scheduler": "dask.distributed"}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        before = {info["pid"] for info in client.run(_pid).values()}
        victim = next(iter(client.scheduler_info()["workers"].values()))["name"]
        deadly = rows.map_blocks(_killed_once, str(marker), victim, dtype=rows.dtype, meta=np.empty((0, 0)))
        found = fit_ridge(features("relu", deadly, features=64), target, alpha=0.1)
        after = {info["pid"] for info in client.run(_pid).values()}
        matrix = kernel_matrix("relu", rows[:100]).persist()
        wait(matrix)
        assert np.allclose(matrix.compute(), source_of("relu").module().ntk(ROWS[:100]), rtol=1e-13)
    assert marker.exists()
    assert before - after
    assert np.array_equal(found.coefficients, expected.coefficients)
    assert np.array_equal(found.intercept, expected.intercept)


def _pid() -> dict[str, int]:
    return {"pid": os.getpid()}
