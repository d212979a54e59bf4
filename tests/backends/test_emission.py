"""The text of emitted packages: deterministic, lint-clean, alone with NumPy."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kernelc import polynomials
from kernelc.backends import BACKENDS, Printer, emit
from kernelc.backends.numpy.printer import RUNTIME_FILES
from kernelc.backends.numpy.tables import direct_literal, drop_literal
from kernelc.errors import CertificationError, UnsupportedError
from kernelc.program import BACKEND_NAMES, PowerSeries, ThetaChebyshev
from tests.backends.programs import Case, all_cases, certified, write_package

ROOT = Path(__file__).parents[2]

_ALONE = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"kernelc", "sympy", "mpmath", "scipy", "flint"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
package = importlib.import_module("generated.anything")
for name in package.__all__:
    getattr(package, name)
print(float(package.kappa(1.0)), package.ntk(np.eye(2)).tolist(), package.CERTIFICATE["name"])
"""


def test_every_backend_is_a_printer() -> None:
    assert tuple(BACKENDS) == BACKEND_NAMES
    for name, printer in BACKENDS.items():
        assert isinstance(printer, Printer)
        assert printer.name == name


def test_unknown_backend(cases: dict[str, Case]) -> None:
    with pytest.raises(UnsupportedError, match="unknown backend 'fortran'; there are: numpy, cupy"):
        emit(cases["relu"].program, certified(cases["relu"]), ("numpy", "fortran"))


def test_same_bytes_every_time(cases: dict[str, Case]) -> None:
    again = all_cases()
    for name, case in cases.items():
        first = emit(case.program, certified(case), ("numpy",))
        second = emit(again[name].program, certified(again[name]), ("numpy", "numpy"))
        assert dict(first.files) == dict(second.files)
        assert list(first.files) == sorted(first.files)


def test_alone_with_numpy_under_any_name(cases: dict[str, Case], tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    shutil.move(write_package(tmp_path, cases["relu"]), tmp_path / "generated" / "anything")
    command = [sys.executable, "-W", "error", "-c", _ALONE]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["0.5", "[[1.0,", "0.15915494309189535],", "[0.15915494309189535,", "1.0]]", "relu"]


def test_lint_and_layout(cases: dict[str, Case], tmp_path: Path) -> None:
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("ruff is not installed")
    for case in cases.values():
        long = replace(case.program, derivative_refused="because 'of' \"this\" \\ " * 20)
        write_package(tmp_path, case if case.kappa_dot else replace(case, program=long))
    for arguments in (["check"], ["format", "--check"]):
        command = [ruff, *arguments, "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_runtime_is_verbatim_and_needs_numpy_alone(cases: dict[str, Case]) -> None:
    files = emit(cases["relu"].program, certified(cases["relu"]), ("numpy",)).files
    for name in RUNTIME_FILES:
        source = (ROOT / "kernelc" / "backends" / "numpy" / "runtime" / name).read_text(encoding="utf-8")
        assert files[name] == source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                assert all(alias.name.split(".")[0] in {*sys.stdlib_module_names, "numpy"} for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                inside = node.level == 1 and f"{node.module}.py" in RUNTIME_FILES
                assert inside or str(node.module).split(".")[0] in {*sys.stdlib_module_names, "numpy"}


def test_literals_read_back_and_text_is_inert(cases: dict[str, Case]) -> None:
    files = emit(cases["erf"].program, certified(cases["erf"]), ("numpy",)).files
    tree = ast.parse(files["_tables.py"])
    numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is float]
    assert set(cases["erf"].program.kappa.series.coefficients) - {0.0} <= set(numbers)
    hostile = replace(cases["erf"].program.provenance, expression="a\nimport os\r\x0cos.abort() \"\"\" ''' \u2028")
    text = emit(replace(cases["erf"].program, provenance=hostile), certified(cases["erf"]), ("numpy",)).files
    for name in ("__init__.py", "_tables.py"):
        assert text[name].isascii()
        assert ast.dump(ast.parse(text[name])) == ast.dump(ast.parse(files[name]))


def test_certificate_is_json(cases: dict[str, Case]) -> None:
    kernel = certified(cases["relu"])
    text = emit(cases["relu"].program, kernel, ("numpy",)).files["certificate.json"]
    assert json.loads(text) == kernel.certificate
    assert text.endswith("}\n")
    assert text.startswith('{\n  "name"')
    with pytest.raises(CertificationError, match="certificate"):
        emit(cases["relu"].program, replace(kernel, certificate={"bound": float("nan")}), ("numpy",))


def test_numbers_must_be_finite(cases: dict[str, Case]) -> None:
    program = replace(cases["relu"].program, variance=float("inf"))
    with pytest.raises(CertificationError, match="not finite"):
        emit(program, certified(cases["relu"]), ("numpy",))


def test_a_wrong_parity_is_refused() -> None:
    with pytest.raises(ValueError, match="other parity"):
        direct_literal(PowerSeries((0.0, 1.0, 0.5), "odd"))


def test_chebyshev_algebra_is_exact() -> None:
    rng = np.random.default_rng(0)
    series = [Fraction(float(value)) for value in rng.standard_normal(9)]
    monomial = polynomials.chebyshev_to_monomial(series)
    quotient = polynomials.chebyshev_to_monomial(polynomials.divide_chebyshev_at_left(series))
    for point in (Fraction(-1), Fraction(1, 3), Fraction(1)):
        value = sum((c * point**k for k, c in enumerate(monomial)), Fraction(0))
        divided = sum((c * point**k for k, c in enumerate(quotient)), Fraction(0))
        assert value == polynomials.chebyshev_at(series, -1) + (1 + point) * divided
    assert polynomials.chebyshev_at(series, 1) == sum(monomial)
    np.testing.assert_allclose(
        [float(value) for value in monomial],
        np.polynomial.chebyshev.cheb2poly([float(value) for value in series]),
        rtol=1e-12,
    )
    assert polynomials.divide_chebyshev_at_left([Fraction(3)]) == (Fraction(0),)
    powers = [Fraction(1, 3), Fraction(2), Fraction(5)]
    sums, half = polynomials.tail_sums(powers), Fraction(1, 2)
    dropped = (1 - half) * sum((c * half**k for k, c in enumerate(sums)), Fraction(0))
    assert dropped == sum(powers) - sum((c * half**k for k, c in enumerate(powers)), Fraction(0))


def test_slowly_decaying_tables_stay_chebyshev() -> None:
    slow = ThetaChebyshev((0.0, 3.14), (tuple(0.8**j for j in range(60)),))
    literal = direct_literal(slow)
    assert getattr(literal, "basis", None) == "chebyshev"
    assert getattr(drop_literal(slow), "rooted", None) is True
