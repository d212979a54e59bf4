"""NeuralKernelFeatures among scikit-learn's own tools."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import kernelc
from kernelc.errors import InputError
from kernelc.sklearn import NeuralKernel, NeuralKernelFeatures

ROWS = np.random.default_rng(3).standard_normal((60, 12))


_CHECKS = """
import warnings
from sklearn.utils.estimator_checks import check_estimator
from kernelc.sklearn import NeuralKernelFeatures
warnings.simplefilter("ignore")
for check in check_estimator(NeuralKernelFeatures(n_components=32), on_fail=None, on_skip=None):
    print(check["status"], check["check_name"], check["exception"])
"""


def test_it_passes_every_check_of_an_estimator() -> None:
    """In a process of its own: SciPy reads when it is imported whether arrays other than NumPy's are to be checked."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(Path(kernelc.__file__).parents[1])}
    shown = subprocess.run(
        [sys.executable, "-c", _CHECKS], env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(shown) > 40
    assert any("check_array_api_input" in line for line in shown)
    assert [line for line in shown if not line.startswith("passed ")] == []


@pytest.mark.parametrize(("kernel", "depth"), [("ntk", 1), ("nngp", 1), ("ntk", 3)])
def test_inner_products_of_features_are_the_kernel(kernel: str, depth: int) -> None:
    features = NeuralKernelFeatures(kernel=kernel, depth=depth, n_components=8192, random_state=0).fit_transform(ROWS)
    exact = NeuralKernel(kernel=kernel, depth=depth)(ROWS)
    assert features.shape == (60, 8192)
    assert np.linalg.norm(features @ features.T - exact) < 0.05 * np.linalg.norm(exact)


def test_an_activation_that_is_not_homogeneous_compares_directions() -> None:
    """exp(t - 1/2): its dual kernel at unit norm is exp(rho - 1) e, by the moments of a log-normal."""
    transformer = NeuralKernelFeatures("exp(t - 1/2)", kernel="nngp", n_components=8192, random_state=0)
    features = transformer.fit_transform(ROWS)
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    exact = np.exp(unit @ unit.T)
    assert np.linalg.norm(features @ features.T - exact) < 0.05 * np.linalg.norm(exact)
    assert np.allclose(transformer.transform(7.0 * ROWS), features)
    zero = np.zeros((2, 12))
    assert not transformer.transform(zero).any()
    mixed = transformer.transform(np.vstack([zero, ROWS[:3]]))
    assert np.allclose(mixed[2:], features[:3])


def test_sparse_and_dense_rows_get_the_same_features() -> None:
    dense = np.where(np.abs(ROWS) > 1.0, ROWS, 0.0)
    dense[4] = 0.0
    for activation in ("relu", "exp(t - 1/2)"):
        transformer = NeuralKernelFeatures(activation, n_components=128, random_state=1).fit(dense)
        assert np.allclose(transformer.transform(sparse.csr_array(dense)), transformer.transform(dense), atol=1e-12)


def test_pipeline_grid_search_and_clone_on_digits() -> None:
    x, y = load_digits(return_X_y=True)
    x, y = x[:400] / 16.0, y[:400]
    model = make_pipeline(NeuralKernelFeatures(random_state=0), RidgeClassifier(alpha=1e-2))
    grid = {"neuralkernelfeatures__depth": [1, 2], "neuralkernelfeatures__n_components": [64, 512]}
    search = GridSearchCV(model, grid, cv=2).fit(x, y)
    assert search.best_params_["neuralkernelfeatures__n_components"] == 512
    assert search.best_score_ > 0.85
    assert clone(search.best_estimator_).get_params()["neuralkernelfeatures__n_components"] == 512


def test_names_and_frames() -> None:
    pandas = pytest.importorskip("pandas")
    transformer = NeuralKernelFeatures(n_components=16, random_state=0).set_output(transform="pandas")
    frame = transformer.fit_transform(pandas.DataFrame(ROWS, columns=[f"x{i}" for i in range(12)]))
    assert list(frame.columns) == list(transformer.get_feature_names_out())
    assert frame.columns[0] == "neuralkernelfeatures0"
    assert transformer.feature_names_in_[0] == "x0"


def test_single_precision_stays_single() -> None:
    transformer = NeuralKernelFeatures(n_components=32, random_state=0).fit(ROWS)
    single = transformer.transform(ROWS.astype(np.float32))
    assert single.dtype == np.float32
    assert np.allclose(single, transformer.transform(ROWS), rtol=1e-4, atol=1e-5)


def test_a_compiled_package_and_a_kernel_are_taken_as_they_are(package: ModuleType) -> None:
    by_formula = NeuralKernelFeatures(
        "Max(t, 0) + A*Min(t, 0)", parameters={"A": "1/5"}, n_components=32, random_state=0
    ).fit_transform(ROWS)
    for activation in (package, kernelc.compile("leaky_relu", name="k", parameters={"A": "1/5"})):
        transformer = NeuralKernelFeatures(activation, n_components=32, random_state=0)
        assert clone(transformer).activation is activation
        assert np.allclose(transformer.fit_transform(ROWS), by_formula, rtol=1e-12, atol=1e-13)
        assert np.array_equal(pickle.loads(pickle.dumps(transformer)).transform(ROWS), transformer.transform(ROWS))
    with pytest.raises(InputError, match="compiled already"):
        NeuralKernelFeatures(package, parameters={"A": "2"}).fit(ROWS)


@pytest.mark.parametrize("by_module", [False, True])
def test_a_fitted_transformer_works_in_another_process(tmp_path: Path, package: ModuleType, by_module: bool) -> None:
    fitted = NeuralKernelFeatures(package if by_module else "relu", n_components=16, random_state=0).fit(ROWS)
    (tmp_path / "fitted").write_bytes(pickle.dumps((fitted, ROWS)))
    program = (
        "import pickle, sys\n"
        f"sys.path.insert(0, {str(Path(package.__file__ or '').parents[1])!r})\n"
        "t, x = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(float(t.transform(x).sum()).hex())\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "fitted")], capture_output=True, text=True, check=True
    )
    assert float.fromhex(shown.stdout.strip()) == pytest.approx(float(fitted.transform(ROWS).sum()), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "1/t"}, "pole"),
        ({"activation": 3}, "expected a formula"),
        ({"activation": np}, "not compiled by kernelc"),
        ({"activation": "Heaviside(t)"}, "NTK"),
        ({"kernel": "cnn"}, "kernel"),
        ({"depth": 0}, "depth"),
        ({"n_components": 0}, "features"),
        ({"sketch": "none"}, "sketch"),
        ({"normalize": "max"}, "normalize"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralKernelFeatures(**options).fit(ROWS)  # type: ignore[arg-type]
