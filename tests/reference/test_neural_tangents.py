"""Agreement with neural-tangents 0.6.5 on stored matrices, and the right answer where it has none.

The stored values are made by make_neural_tangents.py, in an environment of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from mpmath import mpf

from tests.reference.emitted import emitted

TABLE = json.loads(Path(__file__).with_name("neural_tangents.json").read_text(encoding="utf-8"))
ENTRIES = TABLE["entries"]
X1, X2 = np.array(TABLE["x1"]), np.array(TABLE["x2"])
#: Its derivative dual of a step is 0; in truth the NTK is infinite at rho = 1.
WITHOUT_NTK = "rectified_monomial_0"
AGREEMENT = 1e-12

Matrix = npt.NDArray[np.float64]


def _label(entry: dict[str, Any]) -> str:
    return f"{entry['name']}-depth{entry['depth']}-w{entry['w_std']}-b{entry['b_std']}"


def _one_layer(entry: dict[str, Any], q11: Any, q12: Any, q22: Any) -> tuple[Matrix, Matrix | None]:
    """NNGP and NTK of one hidden layer from the emitted dual and dual_dot."""
    module, w, b = emitted(entry["name"], entry["formula"]), entry["w_std"], entry["b_std"]
    nngp = w * w * module.dual(q11, q12, q22) + b * b
    if entry["name"] == WITHOUT_NTK:
        return nngp, None
    return nngp, nngp + w * w * module.dual_dot(q11, q12, q22) * q12


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["depth"] == 1], ids=_label)
def test_dual_and_dual_dot_agree(entry: dict[str, Any]) -> None:
    w, b = entry["w_std"], entry["b_std"]
    q11, q22 = (w * w * np.sum(x * x, axis=1) + b * b for x in (X1, X2))
    q12 = w * w * X1 @ X2.T + b * b
    found = _one_layer(entry, q11[:, None], q12, q22[None, :])
    first, second = _one_layer(entry, q11, q11, q11), _one_layer(entry, q22, q22, q22)
    for kernel, value, left, right in zip(("nngp", "ntk"), found, first, second, strict=True):
        if value is None or left is None or right is None:
            continue
        error = np.abs(value - np.array(entry[kernel])) / np.sqrt(left[:, None] * right[None, :])
        assert float(error.max()) <= AGREEMENT, kernel


@pytest.mark.parametrize("entry", ENTRIES, ids=_label)
def test_nngp_and_ntk_agree(entry: dict[str, Any]) -> None:
    module = emitted(entry["name"], entry["formula"])
    options = {key: entry[key] for key in ("depth", "w_std", "b_std")}
    for kernel in ("nngp", "ntk"):
        matrix = getattr(module, kernel)
        if kernel == "ntk" and entry["name"] == WITHOUT_NTK:
            with pytest.raises(module.RefusedError):
                matrix(X1, X2, **options)
            continue
        scale = np.sqrt(np.outer(*(np.diag(matrix(x, **options)) for x in (X1, X2))))
        error = np.abs(matrix(X1, X2, **options) - np.array(entry[kernel])) / scale
        assert float(error.max()) <= AGREEMENT, kernel


def test_the_whole_table_is_stored() -> None:
    layers = "Relu ABRelu Erf Gelu Sin Cos Rbf Gaussian Exp Gabor Monomial Polynomial RectifiedMonomial ExpNormalized"
    assert {entry["layer"] for entry in TABLE["entries"]} == set(layers.split())
    assert TABLE["versions"]["neural-tangents"] == "0.6.5"
    norms = np.linalg.norm(np.concatenate([X1, X2]), axis=1)
    assert norms.max() > 9 * norms.min()


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(1.0, 1.0), (1.3, 1.3), (0.25, 4.0), (2.0**-26, 2.0**26)])
def test_rectified_monomials_are_right_at_rho_1(degree: int, sizes: tuple[float, float]) -> None:
    """It is NaN there. E[(sZ)_+^k (tZ)_+^k] = (st)^k (2k - 1)!! / 2, and k^2 (st)^(k-1) (2k - 3)!! / 2 of sigma'."""
    module = emitted(f"rectified_monomial_{degree}")
    s, t = sizes
    moment = {0: 1, 1: 1, 2: 3, 3: 15}
    kappa, slope = (s * t) ** degree * moment[degree] / 2, degree**2 * (s * t) ** (degree - 1) * moment[degree - 1] / 2
    np.testing.assert_allclose(module.dual(s * s, s * t, t * t), kappa, rtol=1e-13)
    np.testing.assert_allclose(module.dual_dot(s * s, s * t, t * t), slope, rtol=1e-13)
    x = np.array([[0.6, -0.8, 0.0], [3.0, 1.0, 0.5]])
    norms = np.sum(x * x, axis=1) ** degree
    ntk = norms * (moment[degree] + degree**2 * moment[degree - 1]) / 2
    np.testing.assert_allclose(np.diag(module.ntk(x, x.copy())), ntk, rtol=1e-13)


@pytest.mark.parametrize("rho", [1.0, 0.5, -0.75, -1.0])
def test_gelu_is_right_at_norms_of_1e8(rho: float) -> None:
    """It is infinite there. At such norms gelu's kernels are ReLU's (Cho and Saul 2009): they differ by
    E[u (gelu(v) - relu(v))] and the like, which is of order 1 where the kernels are of order 1e16.
    """
    q = 1e16
    with mpmath.workdps(40):
        theta = mpmath.acos(mpf(rho))
        kappa = q * (mpmath.sin(theta) + (mpmath.pi - theta) * rho) / (2 * mpmath.pi)
        slope = (mpmath.pi - theta) / (2 * mpmath.pi)
    module = emitted("gelu")
    assert abs(float(module.dual(q, rho * q, q)) - float(kappa)) <= 1e-12 * q / 2
    # a step as wide as 1e-8 of the deviation is smoothed: the slope's kernel differs from its limit by that much
    assert abs(float(module.dual_dot(q, rho * q, q)) - float(slope)) <= 1e-8


@pytest.mark.parametrize("rho", [1.0, 0.5, -0.3, -1.0])
@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_sin_is_right_at_tiny_and_huge_norms(rho: float, size: float) -> None:
    """It is 30 % off at 1e-8, and 3.7 for 0.5 at 1e8. E[sin u sin v] = e^-q sinh(rho q), E[cos u cos v] with cosh."""
    q = size * size
    with mpmath.workdps(60):
        first, second = mpf(q), mpf(rho * q)
        kappa = (mpmath.exp(second - first) - mpmath.exp(-second - first)) / 2
        slope = (mpmath.exp(second - first) + mpmath.exp(-second - first)) / 2
        at_one = (1 - mpmath.exp(-2 * first)) / 2
    module = emitted("plain_sin", "sin(t)")
    assert abs(float(module.dual(q, rho * q, q)) - float(kappa)) <= 1e-13 * float(at_one)
    assert float(module.dual_dot(q, rho * q, q)) == pytest.approx(float(slope), abs=1e-13)


def test_zero_rows_of_polynomials_are_right() -> None:
    """It is NaN there. E[p(0) p(v)] = A (A + C q) and E[p'(0) p'(v)] = B (B + 3 D q) for A + B t + C t^2 + D t^3."""
    module = emitted("polynomial")
    a, b, c, d = 1.0, 2.0, -1.0, 1.0 / 3.0
    for q in (0.0, 0.5, 4.0):
        assert float(module.dual(0.0, 0.0, q)) == pytest.approx(a * (a + c * q), abs=1e-14)
        assert float(module.dual_dot(0.0, 0.0, q)) == pytest.approx(b * (b + 3 * d * q), abs=1e-13)
        assert float(emitted("monomial").dual(0.0, 0.0, q)) == 0.0
