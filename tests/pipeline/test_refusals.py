"""Input that is refused: exit 2, one `error:` line, nothing written, nothing executed; and the NTK that is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelc
from kernelc.cli import main
from tests.pipeline.loading import load

_REPOSITORY = Path(__file__).resolve().parents[2]

#: Formula -> what its message must speak of.
REFUSED = [
    ("exp(t^2/3)", "exp"),
    ("exp(t^2/4)", "square integrable"),
    ("exp(t^4)", "too fast"),
    ("exp(exp(t))", "too fast"),
    ("1/t", "t = 0|r = 0"),
    ("gamma(t)", "real"),
    ("sqrt(t)", "real"),
    ("log(t)", "real"),
    ("t*x", "x"),
    ("", "empty"),
    ("   ", "empty"),
    ("t +* 2", "column"),
    ("(t", "column"),
    ("foo(t)", "foo"),
    ("oo*t", "oo"),
    ("t + 1e999", "."),
    ("nan*t", "nan"),
    ("I*t", "I"),
    ("t.real", "column"),
    ("().__class__", "column"),
    ("__import__('os').mkdir('written')", "column"),
    ("open('written', 'w')", "column"),
    ("9**9**9*t", "."),
    ("floor(t)", "floor"),
    ("t - t", "zero"),
    ("lambda: t", "column"),
]


def assert_refused(status: int, out: str, err: str, about: str, folder: Path) -> None:
    assert status == 2, err
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert len(lines[0]) > 20
    assert re.search(about, err)
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("text", "about"), REFUSED, ids=[text for text, _ in REFUSED])
def test_formulas(
    text: str, about: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status = main(["compile", text, "--name", "k"])
    assert_refused(status, *capsys.readouterr(), about, tmp_path)


@pytest.mark.parametrize("name", ["1x", "class", "../x", "a/b", "a-b", "", "x.y", "/tmp/k", "a\\b", "None", "k\n"])
def test_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    status = main(["compile", "tanh(t)", "--name", name])
    assert_refused(status, *capsys.readouterr(), "[Nn]ame|identifier", tmp_path)


@pytest.mark.parametrize(
    ("options", "about"),
    [
        (["--degree", "-1"], "degree"),
        (["--degree", "1025"], "degree"),
        (["--degree", "8", "--tol", "1e-3"], "tol"),
        (["--tol", "0"], "tol"),
        (["--tol", "nan"], "tol"),
        (["--variance", "0"], "variance"),
        (["--variance", "-1"], "variance"),
        (["--variance", "pi"], "variance"),
        (["--param", "A=1"], "A"),
        (["--precision", "3"], "precision"),
        (["--backend", "fortran"], "backend"),
    ],
)
def test_options(
    options: list[str], about: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status = main(["compile", "tanh(t)", "--name", "k", *options])
    assert_refused(status, *capsys.readouterr(), about, tmp_path)


@pytest.mark.parametrize(
    ("options", "about"),
    [
        ({"degree": "3"}, "degree"),
        ({"tol": "small"}, "tol"),
        ({"precision": 80.5}, "precision"),
        ({"depth": True}, "depth"),
        ({"variance": None}, "variance"),
        ({"variance": [1]}, "variance"),
        ({"variance": float("inf")}, "variance"),
        ({"variance": "abc"}, "--variance takes a rational number"),
        ({"norms": 3}, "norms"),
        ({"norms": (1, None)}, "norms"),
        ({"norms": "1,x"}, "--norms takes"),
        ({"parameters": [1]}, "parameters"),
        ({"parameters": {"A": None}}, "A"),
        ({"backends": ("torch",)}, "there are: numpy, cupy"),
    ],
)
def test_options_of_the_wrong_kind_in_python(options: dict[str, Any], about: str) -> None:
    with pytest.raises(kernelc.KernelcError, match=about):
        kernelc.compile("A*tanh(t)", name="k", **{"parameters": {"A": 2}, **options})


def test_as_a_process(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
    result = subprocess.run(
        [sys.executable, "-m", "kernelc", "compile", "exp(t^4)", "--name", "k"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(result.returncode, result.stdout, result.stderr, "too fast", tmp_path)


NTK_REFUSED = [
    ("Heaviside(t-1)", "jumps at t = 1"),
    ("sqrt(abs(t))", "not square integrable"),
]


@pytest.mark.parametrize(("text", "reason"), NTK_REFUSED)
def test_the_nngp_is_given_and_the_ntk_refused(text: str, reason: str, tmp_path: Path) -> None:
    """The reason stands in the certificate, in the report and in what the module raises."""
    kernel = kernelc.compile(text, name="k", degree=8)
    assert reason in kernel.certificate["kappa_dot"]["refused"]
    assert set(kernel.certificate["kappa_dot"]) == {"refused"}
    assert kernel.derivative_coefficients is None
    assert reason in " ".join(kernel.report().split())
    assert reason in kernel.report("json")
    module = load(kernel, tmp_path)
    x = np.array([[0.6, 0.8], [1.0, 0.0], [0.6, 0.8]])
    gram = module.nngp(x)
    assert gram.shape == (3, 3)
    assert np.all(np.isfinite(gram))
    assert np.array_equal(gram, gram.T)
    assert gram[0, 2] == pytest.approx(kernel.certificate["kappa"]["moment"], rel=1e-12)
    with pytest.raises(ValueError, match=reason):
        module.ntk(x)
    with pytest.raises(ValueError, match=reason):
        module.kappa_dot(0.5)
    with pytest.raises(ValueError, match=reason):
        module.kappa_dot_series(0.5)
