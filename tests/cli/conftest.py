from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kernelc.cli import main
from tests.cli.stub import StubPipeline


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> StubPipeline:
    stub = StubPipeline()
    monkeypatch.setitem(sys.modules, "kernelc.pipeline", stub)
    return stub


@pytest.fixture
def run(
    pipeline: StubPipeline, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run the command line in an empty folder, over the stub."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str) -> Outcome:
        status = main(arguments)
        out, err = capsys.readouterr()
        return Outcome(status, out, err)

    return run_command
