"""A dual kernel in place of an activation, from the formula to the module and back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
import sympy

import kernelc
from kernelc.cli import main
from kernelc.errors import InputError
from kernelc.lowering.lower import command_line
from tests.pipeline.loading import load

ARC_COSINE = "(sqrt(1 - rho^2) + rho*(pi - acos(rho)))/(2*pi)"
ERF = "2/pi*asin(2*q12/sqrt((1 + 2*q11)*(1 + 2*q22)))"


Matrix = npt.NDArray[np.float64]


def gram(x: Matrix) -> Matrix:
    product: Matrix = x @ x.T
    return product


def test_the_normalized_gaussian_from_end_to_end(tmp_path: Path) -> None:
    kernel = kernelc.compile("normalized_gaussian", name="k", parameters={"A": "1/2"})
    certificate = kernel.certificate
    assert certificate["status"] == "certified"
    assert certificate["source"] == "Table 1: normalized Gaussian"
    form = kernel.closed_form
    assert form is not None
    assert form["source"] == "given"
    assert form["kappa"] == "q*exp(rho/2 - 1/2)"
    assert form["latex"]["dual_dot"]
    module = load(kernel, tmp_path)
    exact = [math.exp(-0.5) * 0.5**k / math.factorial(k) for k in range(65)]
    np.testing.assert_allclose(module.COEFFICIENTS, exact, rtol=1e-15)
    rho = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(module.kappa(rho), np.exp((rho - 1) / 2), rtol=1e-14)
    np.testing.assert_allclose(module.kappa_dot(rho), np.exp((rho - 1) / 2) / 2, rtol=1e-14)
    q11, q22 = 1e-8, 4e6
    size = math.sqrt(q11 * q22)
    assert module.dual(q11, 0.3 * size, q22) == pytest.approx(size * math.exp(-0.35), rel=1e-13)
    assert module.dual_dot(q11, 0.3 * size, q22) == pytest.approx(0.5 * math.exp(-0.35), rel=1e-13)
    x = np.random.default_rng(0).standard_normal((5, 3)) * np.array([[1e-8], [1.0], [3.0], [1e8], [0.5]])
    norms = np.linalg.norm(x, axis=1)
    cosines = np.clip(gram(x) / np.outer(norms, norms), -1, 1)
    dual, dot = np.outer(norms, norms) * np.exp((cosines - 1) / 2), np.exp((cosines - 1) / 2) / 2
    scale = np.outer(norms, norms)
    np.testing.assert_allclose(module.nngp(x) / scale, dual / scale, rtol=1e-13)
    np.testing.assert_allclose(module.ntk(x) / scale, (dual + gram(x) * dot) / scale, rtol=1e-13, atol=1e-13)
    deep = module.ntk(x[1:3], depth=3)
    assert np.linalg.eigvalsh(deep)[0] > 0


def test_the_tail_is_what_is_left_of_kappa_at_one() -> None:
    kernel = kernelc.compile(dual=ARC_COSINE, name="k", degree=10)
    part = kernel.certificate["kappa"]
    tail = part["moment"] - math.fsum(part["coefficients"])
    assert part["truncation_bound"] == pytest.approx(tail, rel=1e-12)
    assert part["moment"] == 0.5


def test_the_same_kernel_as_from_its_activation() -> None:
    given = kernelc.compile(dual=ARC_COSINE, name="k", degree=20)
    relu = kernelc.compile("relu(t)", name="k", degree=20)
    for which in ("kappa", "kappa_dot"):
        mine, theirs = given.certificate[which], relu.certificate[which]
        np.testing.assert_allclose(mine["coefficients"], theirs["coefficients"], rtol=1e-15, atol=1e-300)
        assert mine["truncation_bound"] == pytest.approx(theirs["truncation_bound"], rel=1e-10)
    assert given.certificate["homogeneous_degree"] == relu.certificate["homogeneous_degree"] == "1"


def test_a_kernel_in_variances_serves_any(tmp_path: Path) -> None:
    module = load(kernelc.compile(dual=ERF, name="k", degree=8), tmp_path)
    rng = np.random.default_rng(3)
    with mpmath.workdps(60):
        for _ in range(40):
            q11, q22 = (float(10.0 ** rng.uniform(-8, 8)) for _ in (0, 1))
            rho = float(rng.choice([rng.uniform(-1, 1), 1 - 1e-15, -1 + 1e-12]))
            q12 = rho * math.sqrt(q11) * math.sqrt(q22)
            a, b, c = (mpmath.mpf(v) for v in (q11, q12, q22))
            root = mpmath.sqrt((1 + 2 * a) * (1 + 2 * c))
            scale = mpmath.sqrt(mpmath.asin(2 * a / (1 + 2 * a)) * mpmath.asin(2 * c / (1 + 2 * c))) * 2 / mpmath.pi
            error = abs(mpmath.mpf(float(module.dual(q11, q12, q22))) - 2 / mpmath.pi * mpmath.asin(2 * b / root))
            assert error < 1e-13 * scale
            slope = 4 / mpmath.pi / mpmath.sqrt(1 + 2 * a + 2 * c + 4 * (a * c - b * b))
            size = 4 / mpmath.pi / ((1 + 4 * a) * (1 + 4 * c)) ** mpmath.mpf("0.25")
            assert abs(mpmath.mpf(float(module.dual_dot(q11, q12, q22))) - slope) < 1e-13 * size
    assert module.dual(0.0, 0.0, 2.0) == 0.0


def test_a_step_has_an_nngp_and_no_ntk(tmp_path: Path) -> None:
    kernel = kernelc.compile(dual="(pi - acos(rho))/(2*pi)", name="k", degree=6)
    assert "infinite at rho = 1" in kernel.certificate["kappa_dot"]["refused"]
    module = load(kernel, tmp_path)
    x = np.array([[3.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(module.nngp(x), [[4.5, 1.5], [1.5, 2.0]], rtol=1e-14)
    with pytest.raises(module.RefusedError, match="NTK"):
        module.ntk(x)


@pytest.mark.parametrize(
    ("dual", "says"),
    [
        ("rho - rho^2", r"coefficient of rho\^2 is -1\.0"),
        ("cos(rho)", r"coefficient of rho\^2 is -0\.5"),
        ("exp(rho) - 2", r"coefficient of rho\^0 is -1\.0"),
        ("rho^30 - rho^31/1000", r"coefficient of rho\^31 is -0\.001"),
        ("q11*q12", r"not symmetric.*T\(1/2, 1/4, 3\)"),
        ("sqrt(rho)", "no real power series"),
        ("1/(1 - rho)", "no finite real value at rho = 1"),
        ("asin(2*rho)", "no finite real value at rho = 1"),
        ("1/(1 - 2*rho)", "adds up to more"),
        ("Abs(rho)", "Abs is not accepted"),
        ("rho*q12", "'rho' and 'q12' in one formula"),
        ("t + rho", "unknown name 't'"),
        ("rho*I", "complex"),
        ("lambda: 0", "not part of a formula"),
        ("__import__('os')", "not accepted"),
    ],
)
def test_what_is_no_dual_kernel_is_refused(dual: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        kernelc.compile(dual=dual, name="k")


def test_what_is_not_proved_is_called_estimated() -> None:
    # all coefficients of 1/cos are >= 0, but no rule here knows that
    certificate = kernelc.compile(dual="1/cos(rho)", name="k", degree=8).certificate
    assert certificate["status"] == "estimated"
    assert "could not be proved" in certificate["status_reason"]
    assert "truncation_estimate" in certificate["kappa"]
    assert "truncation_bound" not in certificate["kappa"]


def test_sympy_expressions_are_read_too() -> None:
    rho, q11, q12, q22 = sympy.symbols("rho q11 q12 q22", real=True)
    by_text = kernelc.compile(dual="exp(rho)", name="k", degree=4)
    assert kernelc.compile(dual=sympy.exp(rho), name="k", degree=4).module.files == by_text.module.files
    assert kernelc.compile(dual=(1 + q12) ** 2 * (q11 + q22), name="k", degree=4).certificate["status"] == "certified"
    with pytest.raises(InputError, match="unknown name 'x'"):
        kernelc.compile(dual=sympy.Symbol("x", real=True), name="k")
    with pytest.raises(InputError, match="either an activation or a dual kernel"):
        kernelc.compile("t", dual="rho", name="k")
    with pytest.raises(InputError, match="is a variable of dual kernels"):
        kernelc.compile(dual="rho*q12", name="k", parameters={"q12": 2})


def test_the_command_and_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(["compile", "--dual", "exp(B*(q12-(q11+q22)/2))", "--param", "B=2", "--name", "k", "--degree", "6"]) == 0
    )
    said = capsys.readouterr().out
    assert "T(q11, q12, q22) = exp(B*(q12-(q11+q22)/2))" in said
    assert "closed form        given" in said
    assert main(["check", "k", "--deep"]) == 0
    certificate = json.loads((tmp_path / "generated/k/certificate.json").read_text())
    assert certificate["request"]["dual"] == "exp(B*(q12-(q11+q22)/2))"
    kernel = kernelc.compile(dual="-log(1 - rho/2)", name="k", degree=3)
    words = command_line(kernel.module.kernel)
    assert words.startswith("kernelc compile --dual '-log(1 - rho/2)' --name k")
    assert main(["compile", "--dual", "-log(1 - rho/2)", "--name", "j", "--quiet"]) == 0
    assert main(["compile", "--dual", "rho", "t", "--name", "j"]) == 2
    assert main(["compile", "--dual", "rho-rho^2", "--name", "n"]) == 2
    assert not (tmp_path / "generated/n").exists()
