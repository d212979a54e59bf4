"""Sketches fitted to a sample, and ridge regression on features."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from tests.sketch.errors import gram, relative

Rows = npt.NDArray[np.float64]


def test_recentring_and_nystrom_beat_the_oblivious_map(relu: ModuleType, digits: Rows) -> None:
    sample, rows = digits[::2], digits[1::2]
    truth = relu.ntk(rows, depth=3)
    errors = {}
    for name in ("none", "recentre", "nystrom"):
        options = {} if name == "none" else {name: True}
        fitted = relu.Sketch(depth=3, features=256, **options).fit(sample)
        features = fitted.transform(rows)
        errors[name] = relative(gram(features), truth)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(rows), features)
        np.testing.assert_allclose(np.diag(gram(features)) + fitted.nugget(rows), np.diag(truth), rtol=1e-8)
        if name != "none":
            assert errors[name] < 1.3 * fitted.plan["predicted_relative_error"]
    assert errors["recentre"] < 0.7 * errors["none"]
    assert errors["nystrom"] < 0.5 * errors["none"]


def test_recentred_features_hold_for_other_directions(relu: ModuleType, digits: Rows) -> None:
    fitted = relu.Sketch(features=1024, recentre=True).fit(digits)
    other = np.concatenate([-digits[:40], digits[:40] * np.where(np.arange(64) % 2, 1.0, -1.0)])
    truth = relu.ntk(other)
    assert np.linalg.norm(gram(fitted.transform(other)) - truth) < 0.3 * np.linalg.norm(truth)


def test_refused_options(relu: ModuleType, error_function: ModuleType, digits: Rows) -> None:
    with pytest.raises(ValueError, match="recentre: it needs a homogeneous activation"):
        error_function.Sketch(recentre=True).fit(digits)
    with pytest.raises(ValueError, match="recentre, nystrom: take one"):
        relu.Sketch(recentre=True, nystrom=True)
    with pytest.raises(ValueError, match="recentre: the rows have no mean direction"):
        relu.Sketch(recentre=True).fit(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    with pytest.raises(ValueError, match="nystrom: give the number of features"):
        relu.Sketch(nystrom=True, epsilon=0.1).fit(digits)


def test_ridge_is_kernel_ridge_with_the_nugget(relu: ModuleType, isotropic: Callable[[int, int], Rows]) -> None:
    rows = isotropic(150, 5)
    train, test = rows[:100], rows[100:]
    target = np.stack([np.sin(3 * rows[:, 0]), rows[:, 1] ** 2], axis=1)
    fitted = relu.Sketch(features=300).fit(train)
    model = fitted.ridge(train, target[:100], ridge=0.05)
    features = fitted.transform(rows)
    matrix = features[:100] @ features[:100].T + np.diag(fitted.nugget(train) + 0.05)
    dual = features[100:] @ features[:100].T @ np.linalg.solve(matrix, target[:100])
    np.testing.assert_allclose(model.predict(test), dual, atol=1e-10)
    one = fitted.ridge(train, target[:100, 0], ridge=0.05)
    np.testing.assert_allclose(one.predict(test), dual[:, 0], atol=1e-10)
    exact = relu.ntk(test, train) @ np.linalg.solve(relu.ntk(train) + 0.05 * np.eye(100), target[:100])
    assert np.linalg.norm(model.predict(test) - exact) < 0.15 * np.linalg.norm(exact)
    with pytest.raises(ValueError, match="y: expected 100 values"):
        fitted.ridge(train, target, ridge=0.05)
    with pytest.raises(ValueError, match="ridge: expected a finite number > 0"):
        fitted.ridge(train, target[:100], ridge=0.0)
