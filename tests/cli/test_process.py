"""The command line as a process of its own: start-up time, signals, terminals, pipes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# The command line over the stub pipeline of these tests.
OVER_STUB = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tests.cli.stub import StubPipeline
sys.modules["kernelc.pipeline"] = StubPipeline()
from kernelc.cli import main
print("ready", file=sys.stderr, flush=True)
sys.exit(main())
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", OVER_STUB, str(REPOSITORY), *arguments]


def test_help_starts_within_half_a_second() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "kernelc", "--help"], cwd=REPOSITORY, check=True, capture_output=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) <= 0.5


def test_the_command_line_loads_no_mathematics() -> None:
    code = "import sys, kernelc.cli; print(sorted({'sympy', 'numpy', 'flint', 'mpmath'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert result.stdout == "[]\n"


def test_ctrl_c_leaves_one_line_and_no_file(tmp_path: Path) -> None:
    # A parent run in the background hands down an ignored SIGINT, which would hide what is tested here.
    process = subprocess.Popen(
        command("compile", "slow", "--name", "k"),
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.startswith("error: interrupted")
    assert err.count("\n") == 1
    assert os.listdir(tmp_path) == []


def on_terminal(tmp_path: Path, *arguments: str) -> str:
    """What the command prints on a terminal."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "50"}
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        environment.pop(variable, None)
    with subprocess.Popen(
        command(*arguments), stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path, env=environment
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                chunk = os.read(controller, 4096)
            except OSError:  # Linux: the last holder of the terminal has closed it
                break
            if not chunk:
                break
            shown += chunk
    os.close(controller)
    assert process.returncode == 0
    return shown.decode()


def test_progress_and_colour_on_a_terminal_only(tmp_path: Path) -> None:
    shown = on_terminal(tmp_path, "compile", "t", "--name", "k")
    assert "expanding" in shown
    assert "\x1b[1m" in shown
    assert "expanding" not in on_terminal(tmp_path, "compile", "t", "--name", "k", "--quiet")
    piped = subprocess.run(
        command("compile", "t", "--name", "k"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert piped.stderr == "ready\n"
    assert "\x1b" not in piped.stdout
    assert "expanding" not in piped.stdout


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("list"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == "ready\n"
    assert process.returncode == 0
