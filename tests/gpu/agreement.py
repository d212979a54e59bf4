"""A generated package on CuPy arrays against itself on NumPy arrays. Needs NumPy, and a `cupy` that is passed in.

Run: python -m tests.gpu.agreement [NAME ...]   on a machine with a GPU; it needs CuPy and the folder `generated`.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

FUNCTIONS = ("kappa", "kappa_dot", "kappa_series", "kappa_dot_series")
DTYPES = (np.float64, np.float32)

#: Spacings of the dtype by which a result may differ, of the scale that the check states.
VALUE_ULPS, MATRIX_ULPS = 16, 32
#: The same of features: a polynomial of high degree multiplies the rounding of its argument.
FEATURE_ULPS = 500
#: Of sqrt(T(q11, q11, q11) T(q22, q22, q22)) in float64: a closed form's terms may cancel, on both sides alike.
DUAL_ERROR = 1e-12


def refused(package: ModuleType, name: str) -> bool:
    """Whether the package has no such function, because sigma' is not square integrable."""
    return package.DERIVATIVE_COEFFICIENTS is None and ("dot" in name or name == "ntk")


def hard_rows(dtype: Any, d: int = 7) -> Any:
    """Unit rows with a duplicate, antipodes, and rows very near to both; more than one tile of them."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((70, d))
    x /= np.linalg.norm(x, axis=1)[:, None]
    x[1], x[2] = x[0], -x[0]
    for row, small in ((3, 1e-7), (4, 1e-4), (5, 1e-2), (69, 1e-9)):
        x[row] = (x[0] if row % 2 else -x[0]) + small * x[6]
    x /= np.linalg.norm(x, axis=1)[:, None]
    return x.astype(dtype)


def check_functions_of_rho(package: ModuleType, cupy: ModuleType) -> None:
    """Within VALUE_ULPS of the largest value; exactly the same at rho = 1 and -1 where it is read directly."""
    for dtype in DTYPES:
        eps = float(np.finfo(dtype).eps)
        ends = [-1, 1, 1 - eps, eps / 2 - 1, 1 + 4 * eps, -1 - 4 * eps, 1e-30]
        rho = np.concatenate([ends, np.cos(np.linspace(0, math.pi, 500))]).astype(dtype)
        for name in FUNCTIONS:
            if refused(package, name):
                continue
            expected = getattr(package, name)(rho)
            result = getattr(package, name)(cupy.asarray(rho)).get()
            assert result.dtype == expected.dtype
            assert result.shape == expected.shape
            allowed = VALUE_ULPS * eps * float(np.abs(expected).max())
            np.testing.assert_allclose(result, expected, rtol=0, atol=allowed, err_msg=name)
            if "series" not in name:
                np.testing.assert_array_equal(result[:2], expected[:2])


def _variances(package: ModuleType, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Variances that the package takes, the first 20 tiny and the rest not small where it takes all of them."""
    q = np.exp(rng.uniform(-9, 3, 300))
    q[:20] = np.exp(rng.uniform(-40, -9, 20))
    try:
        package.dual(q, 0.0 * q, q)
        if not refused(package, "dual_dot"):
            package.dual_dot(q, 0.0 * q, q)
    except ValueError:
        q[:] = package.CERTIFICATE["variance"] if isinstance(package.CERTIFICATE["variance"], float) else 1.0
    return q


def check_duals(package: ModuleType, cupy: ModuleType) -> None:
    """Within DUAL_ERROR of sqrt(T(q11, q11, q11) T(q22, q22, q22))."""
    rng = np.random.default_rng(5)
    # tiny ones meet tiny ones: beside a variance of 1 the terms of a closed form are of its size
    q11, q22 = _variances(package, rng), _variances(package, rng)
    angle = np.concatenate([np.zeros(20), np.full(20, math.pi), 10.0 ** rng.uniform(-9, 0, 60)])
    angle = np.concatenate([angle, rng.uniform(0, math.pi, q11.size - angle.size)])
    q12 = np.sqrt(q11 * q22) * np.cos(rng.permutation(angle))
    for dtype in DTYPES:
        first, cross, second = (q.astype(dtype) for q in (q11, q12, q22))
        for name in ("dual", "dual_dot"):
            if refused(package, name):
                continue
            function = getattr(package, name)
            expected = function(first, cross, second)
            result = function(*(cupy.asarray(q) for q in (first, cross, second))).get()
            assert result.dtype == expected.dtype
            scale = np.sqrt(np.abs(function(first, first, first)) * np.abs(function(second, second, second)))
            allowed = (DUAL_ERROR + 2 * float(np.finfo(dtype).eps)) * np.maximum(scale, 1e-30).astype(float)
            worst = np.abs(result.astype(float) - expected.astype(float)) / allowed
            assert float(worst.max()) < 1, (name, dtype, float(worst.max()), int(worst.argmax()))


def _networks(package: ModuleType) -> list[dict[str, Any]]:
    """Networks that keep every variance at the compiled one, for unit rows times `scale`."""
    variance = float(package.dual(1.0, 1.0, 1.0)) if _compiled_at_one(package) else None
    if variance is None:
        return []
    found = []
    for depth, b_std in ((1, 0.0), (1, 0.6), (2, 0.6), (3, 0.0)):
        w_std = math.sqrt((1 - b_std**2) / variance)
        found.append({"depth": depth, "w_std": w_std, "b_std": b_std, "scale": math.sqrt(1 - b_std**2) / w_std})
    return found


def _compiled_at_one(package: ModuleType) -> bool:
    try:
        package.nngp(np.ones((1, 1)))
    except ValueError:
        return False
    return True


def compare_matrices(package: ModuleType, cupy: ModuleType, name: str, x: Any, y: Any, network: dict[str, Any]) -> None:
    """Within MATRIX_ULPS of sqrt(K(x, x) K(y, y)), times what each layer makes of a correlation's rounding.

    Exactly symmetric where y is None.
    """
    function = getattr(package, name)
    expected = function(x, y, **network)
    result = function(cupy.asarray(x), None if y is None else cupy.asarray(y), **network).get()
    assert result.dtype == expected.dtype
    left = np.sqrt(np.diag(function(x, **network)).astype(float))
    right = left if y is None else np.sqrt(np.diag(function(y, **network)).astype(float))
    error = np.abs(result.astype(float) - expected) / np.maximum(np.multiply.outer(left, right), 1e-300)
    growth = 1.0
    if package.DERIVATIVE_COEFFICIENTS is not None:
        growth = max(1.0, float(package.dual_dot(1.0, 1.0, 1.0)) / float(package.dual(1.0, 1.0, 1.0)))
    allowed = MATRIX_ULPS * growth ** (network["depth"] - 1) * float(np.finfo(expected.dtype).eps)
    assert float(error.max()) < allowed, (name, network, float(error.max()))
    if y is None:
        np.testing.assert_array_equal(result, result.T)


def check_matrices(package: ModuleType, cupy: ModuleType) -> None:
    """Kernel matrices of one and of three hidden layers, square and not, of rows near to each other and far."""
    for dtype in DTYPES:
        for network in _networks(package):
            x = (hard_rows(dtype) * network["scale"]).astype(dtype)
            options = {key: value for key, value in network.items() if key != "scale"}
            for name in ("nngp", "ntk"):
                if not refused(package, name):
                    compare_matrices(package, cupy, name, x, None, options)
                    compare_matrices(package, cupy, name, x[:5], x[::-1].copy(), options)


def _message(function: Callable[[Any], Any], argument: Any) -> tuple[Any, str]:
    """The value, or None and what the refusal says."""
    try:
        return function(argument), ""
    except ValueError as error:
        return None, f"{type(error).__name__}: {error}"


def _same_refusal(function: Callable[[Any], Any], cupy: ModuleType, x: Any) -> Any:
    """The value for a NumPy array; None where it is refused, and in the same words for a CuPy array."""
    value, message = _message(function, x)
    if value is None:
        assert _message(function, cupy.asarray(x)) == (None, message)
    return value


def check_any_norms(package: ModuleType, cupy: ModuleType) -> None:
    """Rows of norms from 1/2 to 2, and the same refusal where the package takes none such.

    By a closed form pair for pair on the device, by tables made of it on the host: within DUAL_ERROR.
    """
    for dtype in DTYPES:
        x = (hard_rows(np.float64) * np.exp2(np.linspace(-1, 1, 70))[:, None])[::3].astype(dtype)
        for name in ("nngp", "ntk"):
            if refused(package, name):
                continue
            function = getattr(package, name)
            expected = _same_refusal(partial(function, b_std=0.25), cupy, x)
            if expected is None:
                continue
            result = function(cupy.asarray(x), b_std=0.25).get()
            np.testing.assert_array_equal(result, result.T)
            scale = np.sqrt(np.diag(expected).astype(float))
            error = np.abs(result.astype(float) - expected) / np.multiply.outer(scale, scale)
            assert float(error.max()) < DUAL_ERROR + 16 * float(np.finfo(dtype).eps), (name, dtype, float(error.max()))


def compare_features(package: ModuleType, cupy: ModuleType, d: int, options: dict[str, Any]) -> None:
    """The same seed, the same features of unit rows: within FEATURE_ULPS of the longest row, and of 1."""

    def fit(rows: Any) -> Any:
        return package.Sketch(features=64, seed=3, **options).fit(rows)

    fitted = _same_refusal(fit, cupy, hard_rows(np.float64, d)[:8])
    if fitted is None:
        return
    for dtype in DTYPES:
        x = hard_rows(dtype, d)[:8]
        expected = _same_refusal(fitted.transform, cupy, x)
        if expected is None:
            continue
        result = fitted.transform(cupy.asarray(x)).get()
        assert result.dtype == expected.dtype
        allowed = FEATURE_ULPS * float(np.finfo(dtype).eps) * max(1.0, float(np.linalg.norm(expected, axis=1).max()))
        np.testing.assert_allclose(result, expected, rtol=0, atol=allowed, err_msg=f"{options} {d}")


def check_features(package: ModuleType, cupy: ModuleType) -> None:
    """The default sketch in few columns."""
    for name in ("nngp", "ntk"):
        compare_features(package, cupy, 7, {"kernel": name})


def check_sketches(package: ModuleType, cupy: ModuleType) -> None:
    """The default sketch by fast directions and after a CountSketch, the sketches of powers, and of sparse rows."""
    for d, sketch in ((200, "zonal"), (9000, "zonal"), (7, "polysketch"), (7, "tensorsketch")):
        compare_features(package, cupy, d, {"kernel": "nngp", "sketch": sketch})
    sparse = importlib.import_module("cupyx.scipy.sparse")
    x = cupy.asarray(hard_rows(np.float64)[:8])
    for sketch in ("zonal", "tensorsketch"):
        try:
            fitted = package.Sketch(features=64, kernel="nngp", sketch=sketch).fit(x)
            expected = fitted.transform(x).get()
        except ValueError:
            continue
        result = fitted.transform(sparse.csr_matrix(x)).get()
        allowed = FEATURE_ULPS * float(np.finfo(np.float64).eps) * max(1.0, float(np.linalg.norm(expected)))
        np.testing.assert_allclose(result, expected, rtol=0, atol=allowed, err_msg=sketch)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def check_refusals(package: ModuleType, cupy: ModuleType) -> None:
    """The same errors, word for word."""
    bad: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("kappa", (np.array([0.5, 1.5]),)),
        ("kappa", (np.array([math.nan]),)),
        ("kappa_dot", (np.array([-math.inf]),)),
        ("dual", (np.array([-1.0]), np.array([0.0]), np.array([1.0]))),
        ("dual", (np.array([1.0]), np.array([1.5]), np.array([1.0]))),
        ("dual_dot", (np.array([1.0]), np.array([math.nan]), np.array([1.0]))),
        ("nngp", (np.zeros(3),)),
        ("nngp", (np.array([[1.0, math.inf]]),)),
        ("ntk", (np.eye(2), np.array([[1.0, math.nan]]))),
        ("nngp", (np.eye(2), np.eye(3))),
    )
    for name, arguments in bad:
        function = getattr(package, name)
        expected = _message(partial(_call, function), arguments)
        result = _message(partial(_call, function), tuple(map(cupy.asarray, arguments)))
        assert expected[0] is None
        assert result == expected, (name, expected, result)


CHECKS = (check_functions_of_rho, check_duals, check_matrices, check_any_norms, check_features, check_refusals)
#: And what takes too long for all packages where there is no GPU.
GPU_CHECKS = (*CHECKS, check_sketches)


def packages() -> list[str]:
    """The committed packages that have CUDA kernels."""
    return sorted(path.parent.name for path in (Path(__file__).parents[2] / "generated").glob("*/_kernels.cu"))


def missing() -> str | None:
    """What keeps CuPy from working here; None where it works."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        return f"CuPy cannot be imported ({error}); pip install 'kernelc[cuda13x]'"
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no GPU ({error})"
    return None if count else "CuPy finds no GPU"


def main(names: list[str]) -> int:
    """Print one line a package; 1 where a check fails, 2 where there is no GPU."""
    reason = missing()
    if reason is not None:
        print(f"error: nothing was checked: {reason}", file=sys.stderr)
        return 2
    cupy = importlib.import_module("cupy")
    failed = 0
    for name in names or packages():
        package = importlib.import_module(f"generated.{name}")
        for check in GPU_CHECKS:
            try:
                check(package, cupy)
            except AssertionError as error:
                failed += 1
                print(f"{name}: {check.__name__}: {error}")
        print(f"{name}: checked")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
