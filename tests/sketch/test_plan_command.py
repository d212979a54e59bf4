"""`kernelc plan` and `kernel.plan`: the emitted module's own planner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kernelc
from kernelc.cli import main


@pytest.fixture(scope="module")
def kernel() -> kernelc.Kernel:
    return kernelc.compile(dual="exp(rho - 1)", name="gaussian", degree=24)


def test_both_make_the_same_plan(kernel: kernelc.Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.write(tmp_path)
    words = ["plan", "gaussian", "--dim", "30", "--features", "400", "--depth", "2", "--out", str(tmp_path)]
    if kernel.certificate["homogeneous_degree"] is None:
        words[words.index("2")] = "1"
    assert main([*words, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan == kernel.plan(30, features=400, depth=plan["depth"])
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text == f"{kernel.plan(30, features=400, depth=plan['depth'])}\n"
    assert "predicted relative error" in text
    assert main(["check", "gaussian", "--out", str(tmp_path), "--quiet"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dim", "30"], "give either --features M or --epsilon E"),
        (["--dim", "30", "--features", "9", "--epsilon", "0.1"], "give either --features M or --epsilon E"),
        (["--dim", "0", "--features", "9"], "dim: expected an integer of at least 1"),
        (["--dim", "3", "--epsilon", "7"], "epsilon: expected a number in"),
        (["--features", "9"], "--dim"),
    ],
)
def test_refusals_are_one_line(
    kernel: kernelc.Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    kernel.write(tmp_path)
    assert main(["plan", "gaussian", "--out", str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    with pytest.raises(kernelc.InputError, match="dim: expected"):
        kernel.plan(0)
