"""Each notebook runs from the top, and what is committed is what it shows."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.running import executed, normalised

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def read(name: str) -> Any:
    return nbformat.read(FOLDER / name, as_version=4)


def printed(notebook: Any) -> list[str]:
    """What each cell prints."""
    return [
        "".join(output["text"] for output in cell.outputs if output.output_type == "stream")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def shown(notebook: Any) -> list[list[str]]:
    """What kinds of output each cell shows."""
    return [
        [kind for output in cell.outputs for kind in sorted(output.get("data", {}))]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_five() -> None:
    assert [name[0] for name in NOTEBOOKS] == list("12345")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_committed_in_its_normal_form(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert normalised(copy.deepcopy(notebook)) == notebook
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(r"/(?:home|root|tmp|Users|work|usr)/", text)
    assert not re.search(r"\b20[2-9]\d-\d\d-\d\d\b", text)
    assert len(text) < 1_500_000
    assert any(shown(notebook)) or any(printed(notebook))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_and_shows_what_is_committed(name: str) -> None:
    committed = read(name)
    fresh = executed(copy.deepcopy(committed))
    assert shown(fresh) == shown(committed)
    for now, then in zip(printed(fresh), printed(committed), strict=True):
        assert NUMBER.sub("#", now) == NUMBER.sub("#", then)
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (now, then)]
        # Another processor's rounding may move a last digit, or one test point.
        assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.02)
