"""The command line multiplies with one thread, so that two commands at once do not wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys

_SHOW = "import sys, os, kernelc.__main__ as m; sys.argv = ['kernelc', '--version']; m.main(); print(os.environ[{!r}])"


def _threads(given: dict[str, str]) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | given
    command = [sys.executable, "-c", _SHOW.format("OPENBLAS_NUM_THREADS")]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()[-1]


def test_one_thread_unless_the_caller_has_said_otherwise() -> None:
    assert _threads({}) == "1"
    assert _threads({"OPENBLAS_NUM_THREADS": "3"}) == "3"
