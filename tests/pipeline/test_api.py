"""The Python API and `check`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mpf

import kernelc
from kernelc.kernel import Kernel
from kernelc.pipeline import check

pytestmark = pytest.mark.usefixtures("no_norm_tables")


@pytest.fixture(scope="module")
def kernel(no_norm_tables: None) -> Kernel:
    return kernelc.compile("tanh(t)", name="k", degree=5)


def test_text_and_sympy_give_the_same_numbers(kernel: Kernel) -> None:
    x = sympy.Symbol("x")
    other = kernelc.compile(sympy.tanh(x), name="k", degree=5)
    assert other.coefficients == kernel.coefficients
    assert other.derivative_coefficients == kernel.derivative_coefficients
    assert other.certificate["kappa"] == kernel.certificate["kappa"]


def test_parameters_and_variance_are_used() -> None:
    """exp(A t): c_k = (A^2 q)^k e^(A^2 q) / k!."""
    kernel = kernelc.compile("exp(A*t)", name="k", degree=4, parameters={"A": "1/2"}, variance="9/4")
    with mpmath.workdps(60):
        s = mpf(9) / 16
        for k, ball in enumerate(kernel.coefficients):
            assert abs(mpf(ball.mid) - s**k * mpmath.exp(s) / mpmath.factorial(k)) <= mpf(ball.rad)
    assert kernel.certificate["parameters"] == {"A": "1/2"}
    assert kernel.certificate["variance"] == "9/4"
    with pytest.raises(kernelc.InputError, match="A"):
        kernelc.compile("exp(A*t)", name="k")
    same = kernelc.compile("exp(A*t)", name="k", degree=4, parameters={"A": Fraction(1, 2)}, variance=2.25)
    assert same.coefficients == kernel.coefficients


def test_a_gallery_name_is_a_formula() -> None:
    assert (
        kernelc.compile("erf", name="k", degree=3).coefficients
        == kernelc.compile("erf(t)", name="k", degree=3).coefficients
    )


def test_tol_and_degree() -> None:
    kernel = kernelc.compile("relu(t)", name="k", tol=1e-2)
    degree, by_degree = kernel.certificate["degree"], dict(kernel.certificate["kappa"]["bound_by_degree"])
    assert len(kernel.coefficients) == degree + 1
    assert kernel.certificate["kappa"]["truncation_bound"] <= 1e-2
    assert all(bound > 1e-2 for d, bound in by_degree.items() if d < degree)
    with pytest.raises(kernelc.InputError, match="either"):
        kernelc.compile("relu(t)", name="k", tol=1e-2, degree=3)


def test_numpy_numbers_are_options() -> None:
    kernel = kernelc.compile("t^2", name="square", degree=np.int64(4), depth=np.int32(1), backends=("numpy",))  # type: ignore[arg-type]
    assert kernel.certificate["degree"] == 4
    assert kernelc.compile("t^2", name="square", tol=np.float32(0.5)).certificate["degree"] >= 2  # type: ignore[arg-type]
    # the header's command writes this package, not one of all backends
    assert "--backend numpy" in kernel.module.files["__init__.py"]
    for backends in (None, 3):
        with pytest.raises(kernelc.InputError, match="backends: expected"):
            kernelc.compile("t^2", name="square", backends=backends)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["t^10", "t^20"])
def test_high_powers(text: str) -> None:
    """Largest far out, and coefficients beyond the degree are sums in which 1e5 and 1e11 cancel."""
    oracle = kernelc.compile(text, name="k", backends=("numpy",)).certificate["mpmath"]
    assert oracle["agrees"]
    assert oracle["max_observed_error"] < 1e-18


def test_errors_are_kernelcs_own() -> None:
    for text, error in (
        ("exp(t^4)", kernelc.NotSquareIntegrableError),
        ("t +", kernelc.InputError),
        ("sqrt(t)", kernelc.InputError),
    ):
        with pytest.raises(error) as caught:
            kernelc.compile(text, name="k")
        assert isinstance(caught.value, kernelc.KernelcError)
        assert isinstance(caught.value, ValueError)


def test_what_a_kernel_shows(kernel: Kernel) -> None:
    report = kernel.report()
    assert "tanh(t)" in report
    assert json.loads(kernel.report("json"))["name"] == "k"
    page = kernel._repr_html_()
    assert page.startswith("<")
    assert "tanh" in page
    assert "<script" not in page
    assert kernel._repr_latex_() == r"$\sigma(t) = \tanh{\left(t \right)}$"
    with pytest.raises(kernelc.InputError, match="format"):
        kernel.report("xml")
    assert kernel.name == "k"
    assert kernel.certificate["status"] == "certified"
    assert kernel.certificate["mpmath"]["agrees"] is True


def _edit(pattern: str, change: Callable[[str], str]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        found = re.search(pattern, text, re.DOTALL)
        assert found is not None, pattern
        return text[: found.start(1)] + change(found.group(1)) + text[found.end(1) :]

    return edit


def _last_digit(number: str) -> str:
    place = max(i for i, c in enumerate(number.split("e")[0]) if c.isdigit())
    return number[:place] + ("1" if number[place] != "1" else "2") + number[place + 1 :]


MUTANTS: list[tuple[str, str, Callable[[str], str]]] = [
    ("a bound made smaller", "certificate.json", _edit(r'"truncation_bound": ([0-9.e-]+)', lambda x: "1e-300")),
    ("one digit of a bound", "certificate.json", _edit(r'"float32": ([0-9.e-]+)', _last_digit)),
    ("one digit of a literal", "_tables.py", _edit(r"([0-9]\.[0-9]{10,}(?:e-?[0-9]+)?)", _last_digit)),
    ("the request", "certificate.json", _edit(r'"degree": (5)', lambda x: "4")),
    ("the code", "__init__.py", lambda text: text + "\n"),
]


@pytest.mark.parametrize(("file", "edit"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_check_finds_what_was_changed(file: str, edit: Callable[[str], str], kernel: Kernel, tmp_path: Path) -> None:
    path = kernel.write(tmp_path) / file
    before = path.read_text()
    after = edit(before)
    assert after != before
    path.write_text(after)
    result = check("k", tmp_path)
    assert not result.ok
    assert result.messages


def test_check_passes_and_finds_missing_and_foreign_files(kernel: Kernel, tmp_path: Path) -> None:
    folder = kernel.write(tmp_path)
    assert check("k", tmp_path).ok
    (folder / "extra.py").write_text("")
    assert [m for m in check("k", tmp_path).messages if "extra.py" in m]
    (folder / "extra.py").unlink()
    (folder / "_tables.py").unlink()
    result = check("k", tmp_path)
    assert not result.ok
    assert any("_tables.py" in m for m in result.messages)
    assert not check("nothing_of_that_name", tmp_path).ok


def test_a_deep_check_compares_with_two_dimensional_quadrature(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelc.pipeline._DEEP_RHOS", (0.9,))  # some seconds each
    kernel.write(tmp_path)
    result = check("k", tmp_path, deep=True)
    assert result.ok
    assert [m.split(" by quadrature")[0] for m in result.messages] == ["agrees: kappa(0.9)"]
