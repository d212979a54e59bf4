"""What the README and the project's files promise."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from kernelc._version import __version__
from kernelc.cli import command_line

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def documented_commands() -> list[str]:
    lines = [line for block in code_blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("kernelc ")] + [lines[0].split(" && ")[-1]]


def test_readme_opens_with_two_commands_of_one_line_each() -> None:
    blocks = code_blocks("sh")[:2]
    assert [block.count("\n") for block in blocks] == [1, 1]
    assert README.index("## ") > README.index(blocks[1])
    assert "kernelc compile" in blocks[0]
    assert "pytest" in blocks[1]


def test_ci_runs_the_commands_of_the_readme() -> None:
    shown = subprocess.run([REPOSITORY / ".ci" / "run", "--commands"], check=True, capture_output=True, text=True)
    assert shown.stdout.splitlines() == [block.strip() for block in code_blocks("sh")[:2]]


@pytest.mark.parametrize("line", documented_commands())
def test_each_documented_command_has_options_that_exist(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = command_line.commands[name]
    assert isinstance(command.make_context(name, arguments), click.Context)


def test_every_option_of_compile_is_documented_and_no_other() -> None:
    options = {name for option in command_line.commands["compile"].params for name in option.opts if name[:2] == "--"}
    table = README[README.index("| option |") : README.index("The folder is a Python package")]
    assert set(re.findall(r"--[a-z]+", table)) == options


@pytest.mark.parametrize("block", code_blocks("python"))
def test_python_examples_compile(block: str) -> None:
    compile(block, "README.md", "exec")


def test_dependencies_are_bounded_and_locked() -> None:
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    locked = (REPOSITORY / ".ci" / "constraints.txt").read_text(encoding="utf-8").lower()
    # CuPy is installed where there is a GPU, in the version that its driver asks for.
    unlocked = set(project["optional-dependencies"]["cuda13x"])
    for requirement in wanted:
        name, bounds = re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z,]+\])?(.*)", requirement).groups()  # type: ignore[union-attr]
        assert ">=" in bounds, requirement
        assert "<" in bounds, requirement
        assert requirement in unlocked or re.search(rf"^{name}==", locked, flags=re.MULTILINE), requirement


def test_the_version_is_one() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "kernelc", "--version"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    assert shown.stdout.split()[-1] == __version__
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "kernelc/_version.py"
