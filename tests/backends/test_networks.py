"""Kernel matrices against the recursion at 60 digits, and the contract of their inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.backends.programs import Case, unit_rows
from tests.backends.reference import Network, relative_error

Load = Callable[[str], ModuleType]
ALL = (
    "relu",
    "relu_panels",
    "relu_fixed",
    "absolute",
    "step",
    "sign",
    "signed_square",
    "erf",
    "erf_slow",
    "exponential",
    "exponential_mixed",
    "bump_mixed",
    "cube",
    "cube_mixed",
)
HOMOGENEOUS = ("relu", "relu_panels", "absolute", "signed_square", "cube", "cube_mixed")
#: Relative to the diagonal, what the kernel matrices promise.
GOAL = {"float64": 1e-12, "float32": 1e-5}


def hard_rows(d: int = 5) -> npt.NDArray[np.float64]:
    """Unit rows with a duplicate, an antipode, and rows very near to both."""
    x = unit_rows(8, d, 1)
    x[1] = x[0]
    x[2] = -x[0]
    x[3] = x[0] + 1e-7 * x[4]
    x[5] = -x[0] + 1e-9 * x[4]
    x[6] = x[0] + 1e-3 * x[7]
    x /= np.linalg.norm(x, axis=1)[:, None]
    return x


def check(package: ModuleType, case: Case, x: npt.NDArray[Any], depth: int, w_std: float, b_std: float) -> None:
    nngp, ntk = Network(case, depth, w_std, b_std).matrices(x, x)
    goal = GOAL[x.dtype.name]
    diagonal = [row[i] for i, row in enumerate(nngp)]
    for result in (
        package.nngp(x, depth=depth, w_std=w_std, b_std=b_std),
        package.nngp(x, x.copy(), depth=depth, w_std=w_std, b_std=b_std),
    ):
        assert result.dtype == x.dtype
        assert relative_error(result, nngp, diagonal, diagonal) < goal
    if case.kappa_dot is not None:
        diagonal = [row[i] for i, row in enumerate(ntk)]
        result = package.ntk(x, depth=depth, w_std=w_std, b_std=b_std)
        assert relative_error(result, ntk, diagonal, diagonal) < goal
        assert (result == result.T).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("depth", [1, 2, 3, 10])
@pytest.mark.parametrize("name", ALL)
def test_one_norm_without_and_with_bias(
    package_of: Load, cases: dict[str, Case], name: str, depth: int, dtype: type[np.floating]
) -> None:
    package, case = package_of(name), cases[name]
    degree = case.program.homogeneous_degree
    if degree is not None and degree > 1 and depth > 3:
        depth = 4  # the true values grow like norm^(2 * degree^depth) and leave float32
    if name == "bump_mixed":
        depth = min(depth, 4)  # each layer makes 1 - rho, with its error, 3.3 times as large
    for b_std in (0.0, 0.6):
        w_std = math.sqrt((1 - b_std**2) / float(package.kappa(1.0)))
        x = hard_rows() * (math.sqrt(1 - b_std**2) / w_std)
        check(package, case, x.astype(dtype), depth, w_std, b_std)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_rows_of_any_norm_and_zero_rows(
    package_of: Load, cases: dict[str, Case], name: str, depth: int, dtype: type[np.floating]
) -> None:
    degree = cases[name].program.homogeneous_degree
    assert degree is not None
    far = 1e8 if degree == 1 or (depth == 1 and dtype is np.float64) else 1.5
    norms = np.array([1.0, far, 1.2, 1 / far, 1.0, 0.3, 0.5, 0.0])
    x = (hard_rows() * norms[:, None]).astype(dtype)
    for b_std in (0.0, 0.4):
        check(package_of(name), cases[name], x, depth, 1.1, b_std)


@pytest.mark.parametrize("b_std", [1e-9, 1e-4, 30.0])
@pytest.mark.parametrize("name", ["relu", "sign", "signed_square", "absolute"])
def test_extreme_biases(package_of: Load, cases: dict[str, Case], name: str, b_std: float) -> None:
    norms = 1.0 if name == "sign" else np.array([1.0, 3.0, 2.0, 0.5, 1.0, 1.0, 1.0, 1.0])[:, None]
    check(package_of(name), cases[name], hard_rows() * norms, 3, 1.0, b_std)


def test_tiles_cover_the_matrix(package_of: Load) -> None:
    package = package_of("relu")
    x, y = unit_rows(1187, 300, 2), unit_rows(131, 300, 3)
    y[7] = x[1100]
    theta = np.arccos(np.clip(x @ y.T, -1, 1))
    theta[1100, 7] = 0.0
    exact = (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)
    tangent = exact + np.cos(theta) * (np.pi - theta) / (2 * np.pi)
    np.testing.assert_allclose(package.nngp(x, y), exact, rtol=0, atol=1e-13)
    np.testing.assert_allclose(package.ntk(x, y), tangent, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(package.ntk(y, x).shape, (131, 1187))
    whole = package.ntk(x)
    assert (whole == whole.T).all()
    np.testing.assert_allclose(whole, package.ntk(x, x.copy()), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(np.diag(whole), np.diag(package.ntk(x, x)))


def test_least_eigenvalue(package_of: Load) -> None:
    for name in ("relu", "absolute", "erf"):
        values = np.linalg.eigvalsh(package_of(name).ntk(unit_rows(200, 3, 4)))
        assert values[0] > -1e-12 * values[-1]


def test_many_close_pairs(package_of: Load, cases: dict[str, Case]) -> None:
    x = unit_rows(1, 20, 5) + 1e-4 * unit_rows(40, 20, 6)
    result = package_of("relu").ntk(x)
    truth = Network(cases["relu"], 1, 1.0, 0.0).matrices(x[:3], x)[1]
    diagonal = [Network(cases["relu"], 1, 1.0, 0.0).matrices(row[None], row[None])[1][0][0] for row in x]
    assert relative_error(result[:3], truth, diagonal[:3], diagonal) < 1e-14


def test_layouts_and_types(package_of: Load) -> None:
    package = package_of("relu")
    x = np.arange(-12, 12).reshape(6, 4)
    expected = package.ntk(x.astype(np.float64))
    assert expected.dtype == np.float64
    frozen = x.astype(np.float64)
    frozen.flags.writeable = False
    wide = np.zeros((12, 8))
    wide[::2, ::2] = x
    for variant in (
        x,
        x.tolist(),
        x.astype(np.int8),
        x.astype(np.float16),
        np.asfortranarray(x.astype(np.float64)),
        x.astype(">f8"),
        frozen,
        wide[::2, ::2],
        wide[10::-2, 6::-2][::-1, ::-1],
    ):
        np.testing.assert_array_equal(package.ntk(variant), expected)
    assert package.ntk(x.astype(">f4")).dtype == np.dtype(np.float32)
    assert package.ntk(x.astype(np.float32), x).dtype == np.float64
    np.testing.assert_array_equal(package.nngp(x > 0), package.nngp((x > 0).astype(float)))


def test_inputs_are_not_modified(package_of: Load) -> None:
    x, y = unit_rows(70, 6, 0), unit_rows(40, 6, 1)
    before = x.copy(), y.copy()
    package_of("relu").ntk(x, y, depth=2, b_std=0.1)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_extreme_norms_do_not_overflow(package_of: Load) -> None:
    package, x = package_of("relu"), unit_rows(4, 3, 0)
    unit = package.ntk(x)
    for scale in (2.0**-500, 2.0**500):
        np.testing.assert_allclose(package.ntk(x * scale, x / scale), package.ntk(x, x.copy()), rtol=1e-14)
    small = (x * 1e8).astype(np.float32)
    np.testing.assert_allclose(package.ntk(small), unit * 1e16, rtol=2e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x1": np.zeros(3)}, "x1: expected a 2-D array"),
        ({"x1": np.zeros((0, 3))}, "x1: expected at least one row"),
        ({"x1": np.zeros((3, 0))}, "x1: expected at least one row"),
        ({"x1": [[1.0, math.nan]]}, "x1: contains NaN or infinity"),
        ({"x1": [[1.0, math.inf]]}, "x1: contains NaN or infinity"),
        ({"x1": [[1.0, 1j]]}, "x1: expected real numbers"),
        ({"x1": [["a", "b"]]}, "x1: expected real numbers"),
        ({"x1": [[1.0], [1.0, 2.0]]}, "x1: not a rectangular array"),
        ({"x1": np.ma.MaskedArray(np.eye(2), mask=np.eye(2) == 1)}, "x1: masked arrays"),
        ({"x1": np.eye(2), "x2": np.eye(3)}, "x2: expected 2 columns as in x1, got 3"),
        ({"x1": np.eye(2), "x2": np.eye(2)[0]}, "x2: expected a 2-D array"),
        ({"x1": np.eye(2), "depth": 0}, "depth: expected an integer of at least 1"),
        ({"x1": np.eye(2), "depth": 1.0}, "depth: expected an integer of at least 1"),
        ({"x1": np.eye(2), "depth": True}, "depth: expected an integer of at least 1"),
        ({"x1": np.eye(2), "w_std": 0.0}, "w_std: expected a finite number > 0"),
        ({"x1": np.eye(2), "w_std": math.nan}, "w_std: expected a finite number > 0"),
        ({"x1": np.eye(2), "w_std": "one"}, "w_std: expected a real number"),
        ({"x1": np.eye(2), "b_std": -1.0}, "b_std: expected a finite number >= 0"),
    ],
)
def test_refused_inputs_name_the_argument(package_of: Load, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        package_of("relu").ntk(**arguments)


def test_other_variances_are_refused_with_the_numbers(package_of: Load) -> None:
    package = package_of("erf")
    with pytest.raises(ValueError, match=r"x1: row 1 has squared norm 4\.0.*variance 1\.0 alone; rescale .* 1\.0"):
        package.nngp([[1.0, 0.0], [0.0, 2.0]])
    with pytest.raises(ValueError, match=r"x2: row 0 has squared norm 4\.0"):
        package.nngp([[1.0, 0.0]], [[0.0, 2.0]])
    with pytest.raises(ValueError, match=r"x1: .*w_std\^2 \|x\|\^2 \+ b_std\^2 = 1\.25"):
        package.nngp([[1.0, 0.0]], b_std=0.5)
    with pytest.raises(ValueError, match=r"depth: .* 0\.46.*w_std = 1\.46"):
        package.nngp([[1.0, 0.0]], depth=2)


def test_refused_derivative(package_of: Load) -> None:
    package = package_of("step")
    calls: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("ntk", (np.eye(2),)),
        ("kappa_dot", (0.5,)),
        ("kappa_dot_series", (0.5,)),
        ("dual_dot", (1.0, 0.5, 1.0)),
    )
    for name, arguments in calls:
        with pytest.raises(package.RefusedError, match=r"sigma jumps at 0"):
            getattr(package, name)(*arguments)
    assert issubclass(package.RefusedError, ValueError)
    assert package.DERIVATIVE_COEFFICIENTS is None


def test_zero_rows_of_a_step_are_refused(package_of: Load) -> None:
    package = package_of("step")
    with pytest.raises(ValueError, match=r"x1: row 1 is zero"):
        package.nngp([[1.0], [0.0]])
    assert package.nngp([[1.0], [0.0]], b_std=1.0).shape == (2, 2)


def test_overflow_is_an_error(package_of: Load) -> None:
    with pytest.raises(ValueError, match=r"x1: row 0 makes the kernel overflow float32 .* pass float64"):
        package_of("cube").nngp(np.full((1, 1), 1e8, np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["relu", "absolute", "sign"])
def test_crowded_inputs(package_of: Load, cases: dict[str, Case], name: str, dtype: type[np.floating]) -> None:
    # a large common part: every pair is close, some are equal, some nearly so
    case = cases[name]
    x = (0.05 * unit_rows(60, 8, 7) + np.linspace(1, 2, 8)).astype(dtype)
    x[11] = x[3]
    x[12, 0] += np.finfo(dtype).eps
    x[20] = -x[21]
    for depth, b_std in ((1, 0.0), (2, 0.5), (3, 50.0)):
        nngp, ntk = Network(case, depth, 1.0, b_std).matrices(x[:22], x)
        for kernel, truth in (("nngp", nngp), ("ntk", ntk)):
            if kernel == "ntk" and case.kappa_dot is None:
                continue
            matrix = getattr(package_of(name), kernel)(x, depth=depth, b_std=b_std)
            scale = [float(value) for value in np.diag(matrix)]
            error = relative_error(matrix[:22], truth, scale[:22], scale)
            assert error < GOAL[x.dtype.name] / 10
