"""A short run of the fuzzing, the same inputs each time; `python -m tests.trust.fuzz` is the long one."""

from __future__ import annotations

import builtins
import os
import random
from pathlib import Path

import pytest

from kernelc.cli import main
from tests.trust.fuzz import Findings, fuzz, into_certificates, sandbox


def test_hostile_input_ends_in_a_value_or_a_refusal() -> None:
    found = fuzz(3, 2500)
    assert not found.failures
    assert not found.forbidden
    assert found.counts["parser"] > 1800
    assert found.counts["exit 2"] > 200
    assert found.counts["exit 0"] > 50
    assert found.counts["exit 1"] > 10


def test_the_watch_sees_what_it_must(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    with sandbox() as watch:
        Path("inside").write_text("x")
        assert watch.seen == []
        outside.write_text("x")
        outside.unlink()
        exec(builtins.compile("import math", "<typed>", "exec"))
        os.system("true")
        assert len(watch.seen) == 4


def test_a_failure_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("tests.trust.fuzz.parse_activation", broken)
    found = fuzz(3, 20)
    assert found.failures


@pytest.mark.parametrize("path", ["out\0", "\0", "a\0/b"])
@pytest.mark.parametrize("command", [["compile", "t", "--name", "f"], ["report", "f"], ["check"], ["list"]])
def test_a_null_character_in_the_folder(command: list[str], path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--out", path]) == 2
    assert "null character" in capsys.readouterr().err


def test_a_certificate_that_was_changed_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    found = Findings()
    certificate = {"schema": 1, "name": "hostile", "versions": {"kernelc": "0"}, "kappa": 3, "request": []}
    with sandbox():
        for index in range(40):
            into_certificates(random.Random(index), found, [certificate])
    assert not found.failures
    assert found.counts["exit 2"] > 5
