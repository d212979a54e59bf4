from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernelc._version import __version__
from kernelc.gallery import GALLERY
from kernelc.report import FORMATS
from tests.cli.conftest import Run
from tests.cli.stub import StubPipeline
from tests.report import samples


def test_no_command_shows_the_help(run: Run) -> None:
    outcome = run()
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == run("--help").out
    for command in ("compile", "report", "plan", "check", "list", "gallery"):
        assert f"\n  {command} " in outcome.out


def test_version(run: Run) -> None:
    assert run("--version").out == f"kernelc, version {__version__}\n"


def test_an_unknown_command_is_refused_on_one_line(run: Run) -> None:
    outcome = run("compiel")
    assert outcome.status == 2
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("format_name", FORMATS)
def test_report_in_every_format(run: Run, format_name: str) -> None:
    run("compile", "t", "--name", "k")
    outcome = run("report", "k", "--format", format_name)
    assert (outcome.status, outcome.err) == (0, "")
    assert "t*sigmoid(t)" in outcome.out


def test_a_page_goes_to_a_pipe_and_becomes_a_file_on_a_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("compile", "t", "--name", "k")
    piped = run("report", "k", "--format", "html").out
    assert piped.startswith("<!DOCTYPE html>")
    page = tmp_path / "generated" / "k" / "report.html"
    assert not page.exists()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = run("report", "k", "--format", "html").out
    assert shown.strip() == "written: generated/k/report.html"
    assert page.read_text() == piped


@pytest.mark.parametrize("format_name", ["text", "json", "html"])
def test_output_writes_what_would_be_printed(run: Run, tmp_path: Path, format_name: str) -> None:
    run("compile", "t", "--name", "k")
    printed = run("report", "k", "--format", format_name).out
    (tmp_path / "r").write_text("old")
    outcome = run("report", "k", "--format", format_name, "--output", "r")
    assert (outcome.status, outcome.out) == (0, "written: r\n")
    assert (tmp_path / "r").read_text() == printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["generated", "r"]


@pytest.mark.parametrize("target", ["generated", "nowhere/r.html", "link"])
def test_output_that_is_no_file_is_refused(run: Run, tmp_path: Path, target: str) -> None:
    run("compile", "t", "--name", "k")
    (tmp_path / "link").symlink_to("elsewhere")
    outcome = run("report", "k", "--format", "html", "--output", target)
    assert outcome.status == 2
    assert outcome.err.startswith("error: ")
    assert not (tmp_path / "elsewhere").exists()


def test_open_shows_the_written_page(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("compile", "t", "--name", "k")
    shown: list[str] = []

    def launch(url: str) -> int:
        shown.append(url)
        return 0

    monkeypatch.setattr("click.launch", launch)
    assert run("report", "k", "--open").status == 0
    assert shown == [(tmp_path / "generated" / "k" / "report.html").as_uri()]
    monkeypatch.setattr("click.launch", lambda url: 3)
    assert "open the file by hand" in run("report", "k", "--open").err


def test_json_report_is_the_certificate_byte_for_byte(run: Run, tmp_path: Path) -> None:
    run("compile", "t", "--name", "k", "--out", "o")
    outcome = run("report", "k", "--format", "json", "--out", "o")
    assert outcome.out == (tmp_path / "o" / "k" / "certificate.json").read_text()
    assert json.loads(outcome.out) == samples.certificate("k")


@pytest.mark.parametrize("arguments", [["report", "none"], ["report", "../k"], ["check", "none"], ["check"]])
def test_a_kernel_that_is_not_there_is_refused(run: Run, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert outcome.status == 2
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_check_looks_at_every_kernel_and_says_which_fails(run: Run, pipeline: StubPipeline) -> None:
    for name in ("a", "b"):
        run("compile", "t", "--name", name)
    pipeline.requests.clear()
    assert run("check").out == "a: ok\nb: ok\n"
    assert run("check", "--quiet").out == ""
    assert pipeline.requests[:2] == [{"name": "a", "deep": False}, {"name": "b", "deep": False}]
    pipeline.broken = ("b",)
    outcome = run("check", "--deep")
    assert (outcome.status, outcome.out, outcome.err) == (1, "a: ok\n", "error: b: __init__.py differs\n")
    assert pipeline.requests[-1] == {"name": "b", "deep": True}
    assert run("check", "a").status == 0


def test_check_does_not_pass_over_a_folder_without_certificate(
    run: Run, pipeline: StubPipeline, tmp_path: Path
) -> None:
    run("compile", "t", "--name", "a")
    (tmp_path / "generated" / "b").mkdir()
    (tmp_path / "generated" / "__pycache__").mkdir()
    pipeline.requests.clear()
    run("check")
    assert [request["name"] for request in pipeline.requests] == ["a", "b"]


def test_list_shows_the_gallery_and_what_is_compiled(run: Run) -> None:
    run("compile", "gelu")
    run("compile", "t", "--name", "mine")
    outcome = run("list")
    assert outcome.status == 0
    for name, entry in GALLERY.items():
        assert f" {name} " in outcome.out
        assert entry.formula in outcome.out
    assert " * gelu " in outcome.out
    assert " * tanh " not in outcome.out
    assert " * mine " in outcome.out


def test_gallery_compiles_every_entry(run: Run, pipeline: StubPipeline, tmp_path: Path) -> None:
    outcome = run("gallery")
    assert (outcome.status, outcome.err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "generated").iterdir()) == sorted(GALLERY)
    assert [request["name"] for request in pipeline.requests] == list(GALLERY)
    assert len(outcome.out.splitlines()) == len(GALLERY)
    assert run("gallery", "--quiet").out == ""


def test_gallery_refuses_a_foreign_folder_before_it_starts(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "generated" / "softplus"
    folder.mkdir(parents=True)
    (folder / "mine").write_text("x")
    assert run("gallery").status == 2
    assert [path.name for path in (tmp_path / "generated").iterdir()] == ["softplus"]
