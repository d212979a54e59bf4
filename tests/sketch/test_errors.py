"""Predicted against measured: the mean is right, and the variance formulas give the rate."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from kernelc.backends.numpy.runtime._radial import radial_series
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
    for pairs in ("unknown", "isotropic", "sample"):
        fitted = relu.Sketch(depth=3, features=2048, pairs=pairs).fit(rows)
        assert relative(gram(fitted.transform(rows.astype(np.float32))), truth) < 0.003


def test_plans_for_unknown_rows_do_not_count_on_isotropic_ones(relu: ModuleType) -> None:
    for dim, features in ((20, 512), (64, 256), (64, 8192), (200, 512)):
        plan, isotropic = (relu.plan(dim, features=features, depth=3, pairs=p) for p in ("unknown", "isotropic"))
        assert max(plan["degrees_exact"] + plan["degrees_sketched"]) >= 3
        assert plan["predicted_relative_error"] >= isotropic["predicted_relative_error"]


def test_fast_directions_beyond_128_columns(relu: ModuleType, isotropic: Make) -> None:
    rows = isotropic(250, 200)
    truth = relu.ntk(rows, depth=2)
    fitted = relu.Sketch(depth=2, features=1024).fit(rows)
    assert fitted.plan["draws"] == "hadamard"
    measured = relative(gram(fitted.transform(rows)), truth)
    assert measured == pytest.approx(fitted.plan["predicted_relative_error"], rel=0.15)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_a_kernel_that_grows_by_orders_over_its_norms(kernel: Literal["nngp", "ntk"]) -> None:
    """exp's kernel spans 14 orders over the default norms: what is held is relative to its size."""
    exponential = importlib.import_module("generated.exp")
    generator = np.random.default_rng(0)
    x = generator.standard_normal((150, 12))
    x *= (np.exp(generator.uniform(np.log(0.25), np.log(4.0), 150)) / np.linalg.norm(x, axis=1))[:, None]
    series = radial_series(exponential._tables.TABLES, exponential._norm_tables.NORMS, kernel, 1)
    norms = np.geomspace(0.25, 4.0, 37)
    exact = np.array([getattr(exponential, kernel)(np.array([[norm]]))[0, 0] for norm in norms])
    np.testing.assert_allclose(series.growth(norms) ** 2, exact, rtol=1e-6)
    fitted = exponential.Sketch(kernel=kernel, features=4096).fit(x)
    mapped, truth = gram(fitted.transform(x)), getattr(exponential, kernel)(x)
    size = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
    assert relative(mapped / size, truth / size) < 0.02
    np.testing.assert_allclose(np.diag(mapped) + fitted.nugget(x), np.diag(truth), rtol=1e-4)
    narrow = x * np.exp(generator.uniform(-0.7, 0.7, 150) - np.log(np.linalg.norm(x, axis=1)))[:, None]
    fitted = exponential.Sketch(kernel=kernel, features=4096, norms=(0.49, 2.02)).fit(narrow)
    measured = relative(gram(fitted.transform(narrow)), getattr(exponential, kernel)(narrow))
    assert measured < 1.3 * fitted.plan["predicted_relative_error"]


def test_a_range_that_no_nodes_resolve_is_refused() -> None:
    """Up to norm 40 exp's kernel is a Poisson distribution over 1600 degrees, of which 64 are held."""
    exponential = importlib.import_module("generated.exp")
    tables = exponential._norm_tables.NORMS
    wide = replace(tables, norms=(0.25, 40.0))
    with pytest.raises(ValueError, match=r"norms: exp varies too fast .* such as norms=\(0.5, 2\)"):
        radial_series(exponential._tables.TABLES, wide, "nngp", 1)
