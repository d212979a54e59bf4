"""The API's pages are built from the docstrings without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.project.documentation import MODULES

REPOSITORY = Path(__file__).resolve().parents[2]


def test_pages_are_built_with_warnings_as_errors(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.project.documentation", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name in MODULES:
        assert (tmp_path / (name.replace(".", "/") + ".html")).is_file()
    page = (tmp_path / "kernelc" / "sklearn.html").read_text(encoding="utf-8")
    assert "NeuralKernelFeatures" in page
    assert "n_components" in page
    front = (tmp_path / "kernelc.html").read_text(encoding="utf-8")
    assert "compile" in front
