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


def test_a_written_plan_is_checked(kernel: kernelc.Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.write(tmp_path)
    words = ["plan", "gaussian", "--dim", "30", "--epsilon", "0.1", "--out", str(tmp_path)]
    path, check = tmp_path / "gaussian" / "plan.json", ["check", "gaussian", "--out", str(tmp_path)]
    assert main(words) == 0
    assert not path.exists()
    assert main([*words, "--write"]) == 0
    assert not [entry for entry in tmp_path.iterdir() if entry.name != "gaussian"]
    text = path.read_text()
    assert json.loads(text)["plan"] == kernel.plan(30, epsilon=0.1)
    assert main(check) == 0
    content = json.loads(text)
    request = {**content["request"], "features": 100}
    for changed in (
        text.replace('"seed": 0,', '"seed": 1,'),
        text.replace('"zonal"', '"polysketch"'),
        text.replace('"predicted_relative_error": 0.', '"predicted_relative_error": 0.0'),
        json.dumps({**content, "request": request}),
        json.dumps({**content, "request": {**content["request"], "dim": [3]}}),
        json.dumps({**content, "plan": 3}),
        "[" * 100_000,
        "{}",
    ):
        assert changed != text
        path.write_text(changed)
        capsys.readouterr()
        assert main(check) == 1
        assert "plan.json is" in capsys.readouterr().err
    path.write_text(text)
    kernel.write(tmp_path)
    assert not path.exists()


def test_a_plan_is_not_written_through_a_link_or_for_a_refused_request(
    kernel: kernelc.Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.write(tmp_path)
    words = ["plan", "gaussian", "--dim", "30", "--out", str(tmp_path), "--write"]
    path = tmp_path / "gaussian" / "plan.json"
    assert main([*words, "--epsilon", "7"]) == 2
    assert not path.exists()
    path.symlink_to(tmp_path / "elsewhere")
    assert main([*words, "--epsilon", "0.1"]) == 2
    assert "symbolic link" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
