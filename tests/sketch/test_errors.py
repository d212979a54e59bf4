"""Predicted against measured: the mean is right, and the variance formulas give the rate."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from tests.sketch.errors import gram, redrawn, relative

Rows = npt.NDArray[np.float64]
Make = Callable[[int, int], Rows]


@pytest.mark.parametrize("sketch", ["zonal", "polysketch", "tensorsketch"])
@pytest.mark.parametrize(("dimension", "features"), [(20, 512), (64, 1024)])
def test_prediction_on_isotropic_rows(
    relu: ModuleType, isotropic: Make, sketch: str, dimension: int, features: int
) -> None:
    rows = isotropic(300, dimension)
    truth, total, squares = relu.ntk(rows, depth=3), np.zeros((300, 300)), []
    fitted = relu.Sketch(depth=3, features=features, sketch=sketch, draws="independent", normalise=False).fit(rows)
    for seed in range(8):
        matrix = gram(redrawn(fitted, seed).transform(rows))
        total += matrix / 8
        squares.append(relative(matrix, truth) ** 2)
    predicted, measured = fitted.plan["predicted_relative_error"], float(np.mean(squares)) ** 0.5
    assert predicted == pytest.approx(measured, rel=0.1)
    # averages of 8 lose sqrt(8) of the noise, the bias of what is dropped stays
    assert relative(total, truth) < 0.45 * measured


@pytest.mark.parametrize("sketch", ["zonal", "polysketch", "tensorsketch"])
def test_average_over_seeds_is_the_kept_kernel(relu: ModuleType, isotropic: Make, sketch: str) -> None:
    base = isotropic(4, 6)
    rows = np.concatenate([base, base[:1] + 0.3 * base[1:2]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    matrices = []
    options = {"kernel": "nngp", "features": 64, "sketch": sketch, "draws": "independent", "normalise": False}
    fitted = relu.Sketch(**options).fit(rows)
    np.testing.assert_array_equal(
        redrawn(fitted, 3).transform(rows), relu.Sketch(seed=3, **options).fit(rows).transform(rows)
    )
    for seed in range(200):
        matrices.append(gram(redrawn(fitted, seed).transform(rows)))
    plan, mean = fitted.plan, np.mean(matrices, axis=0)
    spread = np.std(matrices, axis=0) / 200**0.5
    # what is dropped is at most the nugget times the next power of |rho|, and clipping moves far less
    degree = max(plan["degrees_sketched"] + plan["degrees_exact"])
    allowed = plan["nugget"] * np.abs(rows @ rows.T) ** (degree + 1) + 4.5 * spread + 2e-3
    off = ~np.eye(len(rows), dtype=bool)
    assert np.all(np.abs(mean - relu.nngp(rows))[off] < allowed[off])


def test_digits_in_float32(relu: ModuleType, error_function: ModuleType, digits: Rows) -> None:
    for module, depth, limit in ((relu, 3, 0.013), (error_function, 1, 0.012)):
        truth = module.ntk(digits, depth=depth)
        errors = [
            relative(gram(module.features(digits.astype(np.float32), depth=depth, features=2048, seed=seed)), truth)
            for seed in range(3)
        ]
        assert np.mean(errors) < limit


def test_never_optimistic_on_digits(relu: ModuleType, digits: Rows) -> None:
    truth = relu.ntk(digits, depth=3)
    for features in (512, 2048):
        for options in ({}, {"pairs": "sample"}, {"sketch": "tensorsketch", "pairs": "sample"}):
            fitted = relu.Sketch(depth=3, features=features, **options).fit(digits)
            measured = relative(gram(fitted.transform(digits)), truth)
            assert measured < 1.3 * fitted.plan["predicted_relative_error"], (features, options)


def test_isotropic_plan_at_twenty_dimensions(relu: ModuleType, isotropic: Make) -> None:
    rows = isotropic(400, 20)
    truth = relu.ntk(rows, depth=3)
    for pairs in ("isotropic", "sample"):
        fitted = relu.Sketch(depth=3, features=2048, pairs=pairs).fit(rows)
        assert relative(gram(fitted.transform(rows.astype(np.float32))), truth) < 0.003


def test_fast_directions_beyond_128_columns(relu: ModuleType, isotropic: Make) -> None:
    rows = isotropic(250, 200)
    truth = relu.ntk(rows, depth=2)
    fitted = relu.Sketch(depth=2, features=1024).fit(rows)
    assert fitted.plan["draws"] == "hadamard"
    measured = relative(gram(fitted.transform(rows)), truth)
    assert measured == pytest.approx(fitted.plan["predicted_relative_error"], rel=0.15)


def test_a_range_over_which_the_kernel_outgrows_its_nodes_is_refused() -> None:
    """exp's kernel spans 11 orders over the default norms: features there were wrong by more than the kernel."""
    exponential = importlib.import_module("generated.exp")
    x = np.random.default_rng(0).standard_normal((40, 12))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    with pytest.raises(ValueError, match=r"norms: exp grows too fast .* such as norms=\(0.5, 2\)"):
        exponential.features(x, kernel="nngp", features=2048)
    for kernel in ("nngp", "ntk"):
        mapped = exponential.Sketch(kernel=kernel, features=4096, norms=(0.5, 2.0)).fit(x).transform(x)
        exact = getattr(exponential, kernel)(x)
        assert np.linalg.norm(mapped @ mapped.T - exact) < 0.05 * np.linalg.norm(exact)
