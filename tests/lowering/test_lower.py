"""The typed program: its numbers are the certificate's, its facts those of the compile, its command repeats it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import kernelc
from kernelc.cli import main
from kernelc.kernel import Kernel
from kernelc.lowering.lower import command_line
from kernelc.program import PowerSeries

pytestmark = pytest.mark.usefixtures("no_norm_tables")


@pytest.fixture(scope="module")
def kernel(no_norm_tables: None) -> Kernel:
    return kernelc.compile("exp(A*t)", name="k", parameters={"A": "-1/2"}, variance="9/4", degree=6)


def test_numbers_are_handed_on_unchanged(kernel: Kernel) -> None:
    program, certificate = kernel.module.program, kernel.certificate
    assert program.name == "k"
    assert program.variance == 2.25
    assert program.homogeneous_degree is None
    assert program.derivative_refused is None
    assert program.kappa_dot is not None
    for dual, which in ((program.kappa, "kappa"), (program.kappa_dot, "kappa_dot")):
        assert dual.series == PowerSeries(tuple(certificate[which]["coefficients"]), "none")
        assert dual.at_one == certificate[which]["moment"]
        assert dual.at_minus_one == pytest.approx(1.0 if which == "kappa" else 0.25, rel=1e-12)
    assert program.provenance.expression == "exp(A*t)"
    assert dict(program.provenance.versions)["kernelc"] == kernelc.__version__


def test_the_header_states_the_bounds(kernel: Kernel) -> None:
    text = " ".join(kernel.module.program.provenance.statements)
    assert "status: certified" in text
    for which in ("kappa", "kappa_dot"):
        statement = kernel.certificate[which]
        assert repr(statement["truncation_bound"]) in text
        assert repr(statement["total_bound"]["float64"]) in text
        assert repr(statement["total_bound"]["float32"]) in text


def test_homogeneity_and_refusal_reach_the_program() -> None:
    program = kernelc.compile("Heaviside(t)", name="k", degree=4).module.program
    assert program.homogeneous_degree == 0.0
    assert program.kappa_dot is None
    assert program.derivative_refused is not None
    assert any("kappa_dot and ntk are refused" in s for s in program.provenance.statements)


def test_the_command_writes_the_same_kernel_again(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command_line(kernel.module.kernel))
    assert words[0] == "kernelc"
    assert main([*words[1:], "--quiet"]) == 0
    for path, text in kernel.module.files.items():
        assert (tmp_path / "generated" / "k" / path).read_text() == text


def test_the_parity_of_a_series_is_read_off_its_zeros() -> None:
    assert PowerSeries.of((1.0, 0.0, 2.0)).parity == "even"
    assert PowerSeries.of((0.0, 3.0, 0.0, 1.0)).parity == "odd"
    assert PowerSeries.of((1.0, 1e-300)).parity == "none"
