from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kernelc.gallery import GALLERY
from tests.cli.conftest import Run
from tests.cli.stub import StubPipeline


def test_compiles_writes_and_reports(run: Run, pipeline: StubPipeline, tmp_path: Path) -> None:
    outcome = run("compile", "t*sigmoid(t)", "--name", "my_silu")
    assert (outcome.status, outcome.err) == (0, "")
    assert "my_silu   sigma(t) = t*sigmoid(t)" in outcome.out
    assert outcome.out.endswith("\nwritten: generated/my_silu\n")
    assert (tmp_path / "generated" / "my_silu" / "__init__.py").is_file()
    assert pipeline.requests == [
        {
            "expression": "t*sigmoid(t)",
            "name": "my_silu",
            "dual": None,
            "parameters": {},
            "variance": "1",
            "degree": None,
            "tol": None,
            "precision": None,
            "norms": "1/4,4",
            "backends": ("numpy", "cupy"),
            "depth": 1,
        }
    ]


def test_every_option_reaches_the_pipeline(run: Run, pipeline: StubPipeline, tmp_path: Path) -> None:
    options = "--param A=1.5 --param B=-2 --variance 1/4 --degree 7 --precision 200 --norms 1/2,2"
    options += " --depth 3 --backend numpy --timeout 0 --quiet"
    outcome = run("compile", "exp(A*t+B)", "--name", "k", "--out", "elsewhere", *options.split())
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert os.listdir(tmp_path) == ["elsewhere"]
    assert pipeline.requests[0] == {
        "expression": "exp(A*t+B)",
        "name": "k",
        "dual": None,
        "parameters": {"A": "1.5", "B": "-2"},
        "variance": "1/4",
        "degree": 7,
        "tol": None,
        "precision": 200,
        "norms": "1/2,2",
        "backends": ("numpy",),
        "depth": 3,
    }


def test_tolerance_in_place_of_a_degree(run: Run, pipeline: StubPipeline) -> None:
    assert run("compile", "t", "--name", "k", "--tol", "1e-6").status == 0
    assert pipeline.requests[0]["tol"] == 1e-6
    outcome = run("compile", "t", "--name", "k", "--tol", "1e-6", "--degree", "3")
    assert outcome.status == 2
    assert "exclude each other" in outcome.err


@pytest.mark.parametrize("expression", ["-t", "-t*exp(-t**2)", "-1", "-n"])
def test_a_formula_may_begin_with_a_minus_sign(run: Run, pipeline: StubPipeline, expression: str) -> None:
    assert run("compile", expression, "--name", "k", "--variance", "2").status == 0
    assert run("compile", "--name", "k", expression).status == 0
    assert run("compile", "--name", "k", "--quiet", "--", expression).status == 0
    assert [request["expression"] for request in pipeline.requests] == [expression] * 3


def test_an_option_may_have_a_negative_value(run: Run, pipeline: StubPipeline) -> None:
    assert run("compile", "t", "--name", "k", "--variance", "-1", "--degree", "-2").status == 0
    assert pipeline.requests[0]["variance"] == "-1"
    assert pipeline.requests[0]["degree"] == -2


def test_a_gallery_name_is_its_formula_with_its_parameters(run: Run, pipeline: StubPipeline) -> None:
    assert run("compile", "gelu", "--name", "my_gelu").status == 0
    assert run("compile", "abrelu", "--param", "A=0.25").status == 0
    first, second = pipeline.requests
    assert (first["expression"], first["name"]) == (GALLERY["gelu"].formula, "my_gelu")
    assert (second["name"], second["parameters"]) == ("abrelu", {"A": "0.25", "B": "3/2"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["refused", "--name", "k"], "column 3: no such function \\x1b[31m"),
        (["t"], "--name"),
        (["gelo"], "did you mean 'gelu'"),
        (["Relu", "--name", "k"], "did you mean 'relu'"),
        (["t", "--name", "a/b"], "identifier"),
        (["t", "--name", "class"], "keyword"),
        (["t", "--name", "../k"], "identifier"),
        (["t", "--name", ""], "name"),
        (["t", "--name", "k", "--param", "A"], "NAME=VALUE"),
        (["t", "--name", "k", "--param", "A="], "NAME=VALUE"),
        (["t", "--name", "k", "--param", "A=1", "--param", "A=2"], "given twice"),
        (["abrelu", "--param", "C=1"], "its parameters are A, B"),
        (["gelu", "--param", "A=1"], "it has none"),
        (["t", "--name", "k", "--degree", "many"], "'many'"),
        (["t", "--name", "k", "--nmae", "x"], "--nmae"),
        (["t", "t", "--name", "k"], "unexpected extra argument"),
        (["t", "--name", "k", "--timeout", "-1"], "--timeout"),
        (["t", "--name", "k", "--timeout", "nan"], "--timeout"),
        ([], "EXPR"),
    ],
)
def test_refused_input_is_one_error_line_and_nothing_written(
    run: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    outcome = run("compile", *arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err
    assert os.listdir(tmp_path) == []


def test_a_foreign_folder_is_refused_before_the_work_starts(run: Run, pipeline: StubPipeline, tmp_path: Path) -> None:
    folder = tmp_path / "generated" / "k"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("x = 1\n")
    outcome = run("compile", "t", "--name", "k")
    assert outcome.status == 2
    assert "--force" in outcome.err
    assert pipeline.requests == []
    assert os.listdir(folder) == ["mine.py"]
    assert run("compile", "t", "--name", "k", "--force").status == 0
    assert json.loads((folder / "certificate.json").read_text())["name"] == "k"


@pytest.mark.parametrize("variable", ["t", "x", "u1", "theta", "input"])
def test_any_one_name_is_a_variable(run: Run, pipeline: StubPipeline, variable: str) -> None:
    assert run("compile", variable, "--name", "k").status == 0
    assert pipeline.requests[0]["expression"] == variable


def test_time_is_bounded(run: Run, tmp_path: Path) -> None:
    outcome = run("compile", "slow", "--name", "k", "--timeout", "0.1")
    assert outcome.status == 2
    assert "not done within 0.1 s" in outcome.err
    assert os.listdir(tmp_path) == []


def test_interrupted_is_one_line_and_nothing_written(run: Run, tmp_path: Path) -> None:
    outcome = run("compile", "interrupt", "--name", "k")
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (130, "", 1)
    assert os.listdir(tmp_path) == []


def test_two_roads_that_disagree_are_a_failed_check(run: Run, tmp_path: Path) -> None:
    outcome = run("compile", "disagree", "--name", "k")
    assert (outcome.status, outcome.err) == (1, "error: mpmath found 0.5, Arb found 0.25\n")
    assert os.listdir(tmp_path) == []


def test_a_defect_is_one_line_that_asks_for_a_report(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERNELC_TRACEBACK", raising=False)
    outcome = run("compile", "defect", "--name", "k")
    assert outcome.status == 70
    assert outcome.err.startswith("error: internal error: RuntimeError: index out of range")
    assert outcome.err.count("\n") == 1
    monkeypatch.setenv("KERNELC_TRACEBACK", "1")
    assert "Traceback" in run("compile", "defect", "--name", "k").err
    assert os.listdir(tmp_path) == []
