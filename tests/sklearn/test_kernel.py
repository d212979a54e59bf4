"""NeuralKernel in Gaussian processes, support vector machines and kernel ridge regression."""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVC

from kernelc.errors import InputError
from kernelc.sklearn import NeuralKernel
from kernelc.sklearn.gradients import difference

RANDOM = np.random.default_rng(5)
ROWS = RANDOM.standard_normal((40, 5))
TARGET = np.sin(ROWS[:, 0]) + 0.5 * ROWS[:, 1]


def exact_relu_nngp() -> tuple[sympy.Expr, sympy.Symbol, sympy.Symbol, tuple[sympy.Symbol, ...]]:
    """The arc-cosine kernel of two hidden layers (Cho, Saul 2009, equation 6) with weights w e^a and biases b e^c."""
    a, c = sympy.symbols("a c", real=True)
    q11, q12, q22, w, b = inputs = sympy.symbols("q11 q12 q22 w b", positive=True)
    weight, bias = (w * sympy.exp(a)) ** 2, (b * sympy.exp(c)) ** 2

    def layer(k11: sympy.Expr, k12: sympy.Expr, k22: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr]:
        norm = sympy.sqrt(k11 * k22)
        angle = sympy.acos(k12 / norm)
        mixed = norm * (sympy.sin(angle) + (sympy.pi - angle) * sympy.cos(angle)) / (2 * sympy.pi)
        return weight * k11 / 2 + bias, weight * mixed + bias, weight * k22 / 2 + bias

    first = tuple(weight * q + bias for q in (q11, q12, q22))
    return layer(*layer(*first))[1], a, c, inputs


def test_gradients_are_those_of_the_formula() -> None:
    kernel = NeuralKernel(kernel="nngp", depth=2, w_std=1.3, b_std=0.4, b_std_bounds=(1e-3, 1e3))
    _, gradient = kernel(ROWS[:4], eval_gradient=True)
    formula, a, c, inputs = exact_relu_nngp()
    slopes = [sympy.lambdify(inputs, sympy.diff(formula, s).subs({a: 0, c: 0}), "mpmath") for s in (c, a)]
    gram = ROWS[:4] @ ROWS[:4].T
    assert [h.name for h in kernel.hyperparameters] == ["b_std", "w_std"]
    for i, j in [(0, 1), (1, 3), (2, 3)]:
        for k, slope in enumerate(slopes):
            exact = float(slope(gram[i, i], gram[i, j], gram[j, j], 1.3, 0.4))
            assert gradient[i, j, k] == pytest.approx(exact, rel=1e-13)
            assert kernel._difference(ROWS[:4], ("b_std", "w_std")[k])[i, j] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"b_std": 0.4},
        {"kernel": "nngp", "b_std": 0.4, "depth": 3},
        {"activation": "exp(t - 1/2)", "b_std": 0.3},
        {"activation": "exp(t - 1/2)", "kernel": "nngp"},
        {"activation": "Max(t, 0)**2", "kernel": "nngp", "b_std": 0.2, "depth": 2},
    ],
)
def test_the_marginal_likelihood_has_this_gradient(options: dict[str, Any]) -> None:
    """Against differences of the likelihood itself, for rows of which two are nearly, two exactly equal."""
    rows = np.vstack([ROWS[:12] / 3.0, ROWS[:1] / 3.0, ROWS[1:2] / 3.0 + 1e-7])
    kernel = NeuralKernel(**{"b_std_bounds": (1e-3, 1e3), "w_std": 0.9, **options}) + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel, optimizer=None).fit(rows, np.sin(rows[:, 0]))
    theta, step = model.kernel_.theta, 1e-4
    _, gradient = model.log_marginal_likelihood(theta, eval_gradient=True)
    for place, found in enumerate(gradient):
        ahead, behind = (theta + sign * step * (np.arange(len(theta)) == place) for sign in (1, -1))
        change = model.log_marginal_likelihood(ahead) - model.log_marginal_likelihood(behind)
        assert found == pytest.approx(change / (2 * step), rel=1e-5, abs=1e-6)


def test_a_gradient_that_cannot_be_trusted_says_so() -> None:
    assert difference(lambda s: np.exp(3.0 * np.array([[s]])))[0, 0] == pytest.approx(3.0, rel=1e-10)
    with pytest.warns(RuntimeWarning, match="may be off"):
        difference(lambda s: np.sqrt(np.abs(np.array([[s - 5e-4]]))))


@pytest.mark.parametrize("depth", [1, 3])
def test_the_exact_exponent_and_the_differences_agree(depth: int) -> None:
    kernel = NeuralKernel("Max(t, 0)**2", depth=depth, w_std=0.9)
    matrix, exact = kernel(ROWS[:6], eval_gradient=True)
    assert exact.shape == (6, 6, 1)
    step = 1e-5
    up, down = (NeuralKernel("Max(t, 0)**2", depth=depth, w_std=0.9 * np.exp(s))(ROWS[:6]) for s in (step, -step))
    assert np.allclose(exact[:, :, 0], (up - down) / (2 * step), rtol=1e-6)
    assert np.allclose(kernel._difference(ROWS[:6], "w_std"), exact[:, :, 0], rtol=1e-6)
    assert np.array_equal(matrix, kernel(ROWS[:6]))


@pytest.mark.parametrize(
    "options", [{}, {"activation": "exp(t - 1/2)"}, {"b_std": 0.5}, {"kernel": "nngp", "depth": 2}]
)
def test_diag_is_the_diagonal_and_the_matrix_is_symmetric(options: dict[str, object]) -> None:
    kernel = NeuralKernel(**options)  # type: ignore[arg-type]
    matrix = kernel(ROWS)
    assert np.array_equal(matrix, matrix.T)
    assert np.allclose(kernel.diag(ROWS), np.diag(matrix), rtol=1e-14)
    assert np.allclose(kernel(ROWS[:7], ROWS), matrix[:7], rtol=1e-12)
    assert not kernel.is_stationary()


def test_a_gaussian_process_finds_its_hyperparameters() -> None:
    start = NeuralKernel(depth=2, w_std=0.3, b_std=0.5, b_std_bounds=(1e-2, 1e2)) + WhiteKernel(1e-2, (1e-9, 1e2))
    model = GaussianProcessRegressor(start, random_state=0).fit(ROWS[:30], TARGET[:30])
    assert model.log_marginal_likelihood_value_ > model.log_marginal_likelihood(start.theta) + 1.0
    mean, deviation = model.predict(ROWS[30:], return_std=True)
    assert mean.shape == deviation.shape == (10,)
    assert model.score(ROWS[30:], TARGET[30:]) > 0.5


def test_theta_goes_round() -> None:
    kernel = NeuralKernel(w_std=2.0, b_std=0.5, b_std_bounds=(1e-2, 1e2))
    assert np.allclose(kernel.theta, np.log([0.5, 2.0]))
    moved = kernel.clone_with_theta(np.log([0.1, 3.0]))
    assert (moved.b_std, moved.w_std) == pytest.approx((0.1, 3.0))
    assert kernel.w_std == 2.0
    assert NeuralKernel().theta.shape == (1,)
    assert NeuralKernel(w_std_bounds="fixed").theta.shape == (0,)
    assert NeuralKernel(w_std_bounds="fixed")(ROWS[:3], eval_gradient=True)[1].shape == (3, 3, 0)


def test_support_vectors_and_ridge_take_it_as_callable_and_precomputed() -> None:
    labels = TARGET > 0
    kernel = NeuralKernel(depth=2)
    called = SVC(kernel=kernel).fit(ROWS, labels)
    precomputed = SVC(kernel="precomputed").fit(kernel(ROWS), labels)
    assert np.allclose(called.decision_function(ROWS[:9]), precomputed.decision_function(kernel(ROWS[:9], ROWS)))
    ridge = KernelRidge(kernel=kernel, alpha=0.1).fit(ROWS, TARGET)
    other = KernelRidge(kernel="precomputed", alpha=0.1).fit(kernel(ROWS), TARGET)
    assert np.allclose(ridge.predict(ROWS[:9]), other.predict(kernel(ROWS[:9], ROWS)))
    assert kernel(ROWS[0], ROWS[1]) == pytest.approx(kernel(ROWS)[0, 1], rel=1e-12)


def test_a_compiled_package_survives_cloning_and_pickling(package: ModuleType) -> None:
    kernel = NeuralKernel(package)
    assert clone(kernel).activation is package
    again = pickle.loads(pickle.dumps(kernel))
    assert again.activation is package
    assert np.array_equal(again(ROWS), kernel(ROWS))
    assert repr(kernel) == "NeuralKernel('package_of_test', kernel='ntk', depth=1, w_std=1, b_std=0)"


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(InputError, match="b_std"):
        NeuralKernel("exp(t - 1/2)", b_std=1.5)(ROWS)
    with pytest.raises(InputError, match="kernel: expected"):
        NeuralKernel(kernel="rbf")(ROWS)
    with pytest.raises(ValueError, match="Y is None"):
        NeuralKernel()(ROWS, ROWS, eval_gradient=True)
