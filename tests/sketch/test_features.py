"""The contract of `features` and `Sketch`: reproducible, any rows, clear refusals."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.sketch.errors import gram, network, relative

Rows = npt.NDArray[np.float64]
Make = Callable[[int, int], Rows]
SKETCHES = ("zonal", "polysketch", "tensorsketch")


@pytest.mark.parametrize("sketch", SKETCHES)
def test_same_seed_same_features_in_any_batches(relu: ModuleType, isotropic: Make, sketch: str) -> None:
    rows = 3.0 * isotropic(300, 11)
    options: dict[str, Any] = {"features": 200, "seed": 5, "sketch": sketch, "depth": 2}
    whole = relu.features(rows, **options)
    assert whole.shape == (300, 200)
    pieces = [relu.features(rows[a:b], **options) for a, b in ((0, 1), (1, 130), (130, 300))]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=0, atol=1e-12 * np.abs(whole).max())
    fitted = relu.Sketch(**options).fit(rows)
    np.testing.assert_array_equal(fitted.transform(rows), whole)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(rows), whole)
    np.testing.assert_allclose(np.concatenate(list(fitted.blocks(rows, 77))), whole, atol=1e-12 * np.abs(whole).max())
    one = relu.Sketch(threads=1, **options).fit(rows).transform(np.repeat(rows, 4, axis=0))
    np.testing.assert_array_equal(relu.features(np.repeat(rows, 4, axis=0), **options), one)
    assert not np.allclose(relu.features(rows, **{**options, "seed": 6}), whole)
    single = relu.features(rows.astype(np.float32), **options)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, whole, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("sketch", SKETCHES)
def test_sparse_rows_are_as_dense_ones(relu: ModuleType, sketch: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.random(150, 40, density=0.1, format="csr", random_state=0)
    dense = relu.features(matrix.toarray(), features=128, sketch=sketch)
    np.testing.assert_allclose(relu.features(matrix, features=128, sketch=sketch), dense, atol=1e-13)
    np.testing.assert_allclose(relu.features(matrix.tocsc(), features=128, sketch=sketch), dense, atol=1e-13)
    doubled = sparse.csr_matrix((np.r_[0.5, 0.5, 2.0], np.r_[3, 3, 7], np.r_[0, 2, 3]), shape=(2, 40))
    np.testing.assert_allclose(
        relu.features(doubled, features=128, sketch=sketch),
        relu.features(doubled.toarray(), features=128, sketch=sketch),
        atol=1e-13,
    )
    with pytest.raises(ValueError, match="x: contains NaN"):
        relu.features(sparse.csr_matrix(np.array([[np.nan, 1.0]])))


def test_many_columns_go_through_a_count_sketch(relu: ModuleType) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.random(60, 9000, density=0.004, format="csr", random_state=1)
    fitted = relu.Sketch(features=1024).fit(matrix)
    assert fitted.plan["count_sketch_buckets"] == 4096
    features = fitted.transform(matrix)
    np.testing.assert_allclose(fitted.transform(matrix.toarray()), features, atol=1e-12)
    measured = relative(gram(features), relu.ntk(matrix.toarray()))
    assert measured < 1.3 * fitted.plan["predicted_relative_error"]


def test_zero_equal_and_extreme_rows(relu: ModuleType, isotropic: Make) -> None:
    base = isotropic(3, 8)
    rows = np.concatenate([base * 1e-8, np.zeros((1, 8)), base, base * 1e8])
    features = relu.features(rows, features=2048, depth=2)
    matrix, truth = gram(features), relu.ntk(rows, depth=2)
    assert not features[3].any()
    scale = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
    scale[scale == 0.0] = 1.0
    np.testing.assert_allclose(matrix / scale, truth / scale, atol=0.12)
    np.testing.assert_allclose(features[:3] * 1e8, features[4:7], atol=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_few_dimensions(relu: ModuleType, isotropic: Make, dimension: int) -> None:
    rows = isotropic(40, dimension)
    features, truth = relu.features(rows), relu.ntk(rows)
    assert np.linalg.norm(gram(features) - truth) < (1e-2 if dimension == 1 else 0.04) * np.linalg.norm(truth)


def test_nugget_completes_the_diagonal(relu: ModuleType, isotropic: Make) -> None:
    rows = isotropic(20, 30) * np.linspace(0.1, 4, 20)[:, None]
    fitted = relu.Sketch(depth=2, features=256).fit(rows)
    diagonal = np.diag(gram(fitted.transform(rows))) + fitted.nugget(rows)
    np.testing.assert_allclose(diagonal, np.diag(relu.ntk(rows, depth=2)), rtol=1e-9)
    assert fitted.plan["nugget"] > 0.0


@pytest.mark.parametrize(("kernel", "depth"), [("nngp", 1), ("ntk", 1), ("ntk", 2)])
def test_rows_of_any_norm_in_the_range(error_function: ModuleType, digits: Rows, kernel: str, depth: int) -> None:
    rows = digits[::3] * np.random.default_rng(0).uniform(0.5, 2, len(digits[::3]))[:, None]
    truth = network(error_function, rows, kernel, depth)
    fitted = error_function.Sketch(kernel=kernel, depth=depth, features=4096, norms=(0.5, 2.0)).fit(rows)
    measured = relative(gram(fitted.transform(rows)), truth)
    assert measured < min(0.02, 1.3 * fitted.plan["predicted_relative_error"])
    np.testing.assert_allclose(np.diag(gram(fitted.transform(rows))) + fitted.nugget(rows), np.diag(truth), rtol=1e-6)


def test_norms_out_of_range_are_refused(error_function: ModuleType, isotropic: Make) -> None:
    rows = isotropic(3, 5)
    with pytest.raises(ValueError, match=r"x: row 0 has norm 50.*--norms"):
        error_function.features(rows * 50)
    with pytest.raises(ValueError, match=r"norms: expected a range within .* --norms"):
        error_function.Sketch(norms=(1.0, 100.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": "rbf"}, "kernel: expected 'ntk' or 'nngp'"),
        ({"depth": 0}, "depth: expected an integer of at least 1"),
        ({"features": 0}, "features: expected an integer of at least 1"),
        ({"features": 2.5}, "features: expected an integer"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
        ({"sketch": "fourier"}, "sketch: expected one of auto, zonal, polysketch, tensorsketch"),
    ],
)
def test_refusals_name_the_argument(relu: ModuleType, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        relu.features(np.ones((2, 3)), **arguments)


def test_refused_rows(relu: ModuleType) -> None:
    for rows in (np.ones(3), np.zeros((0, 3)), np.array([[np.inf, 1.0]]), np.ones((2, 2)) * 1j):
        with pytest.raises(ValueError, match=r"^x: "):
            relu.features(rows)
    fitted = relu.Sketch(features=16).fit(np.ones((2, 3)))
    with pytest.raises(ValueError, match="x: expected 3 columns as in fit, got 4"):
        fitted.transform(np.ones((2, 4)))
    with pytest.raises(ValueError, match="not fitted"):
        relu.Sketch().transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match="not both"):
        relu.Sketch(features=3, epsilon=0.1)


def test_plans_are_data(relu: ModuleType) -> None:
    plan = relu.plan(64, epsilon=0.05, depth=3)
    assert json.loads(plan.json()) == plan
    assert plan["epsilon_met"]
    assert max(plan["predicted_relative_error"], plan["predicted_relative_error_there"]) <= 0.05
    fewer = relu.plan(64, features=int(plan["features"] * 0.8), depth=3)
    assert max(fewer["predicted_relative_error"], fewer["predicted_relative_error_there"]) > 0.05
    assert "predicted relative error" in str(plan)
    assert "<table>" in plan._repr_html_()
    assert plan == relu.Sketch(depth=3, epsilon=0.05).fit(np.ones((2, 64))).plan
    hopeless = relu.plan(64, epsilon=1e-9)
    assert not hopeless["epsilon_met"]
    assert hopeless["epsilon_reached"] > 1e-9
    poly = relu.plan(64, features=512, sketch="polysketch")
    asked = poly["features_for_embedding"]
    assert asked["statistical dimension 100"] > 90 * asked["statistical dimension 10"] > 512
    assert sum(plan["mass"].values()) == pytest.approx(1.0)
