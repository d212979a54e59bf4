"""Every command interrupted (SIGINT) at many moments: one line at most, no traceback, no half-written output.

python -m tests.cli.interrupts [MOMENTS] [COMMAND ...]      (default: 12 moments of each command)

An interrupt in the first milliseconds, while Python itself starts, is Python's to answer: the process then dies by
the signal, or Python's own start-up says so; these moments are not counted.
"""

from __future__ import annotations

import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

#: Commands by name, over a folder `generated` that holds what `_PREPARED` made.
COMMANDS = {
    "compile": ["compile", "Max(t, 0) + t/7", "--name", "fresh"],
    "replace": ["compile", "Max(t, 0) + t/5", "--name", "there"],
    "report": ["report", "there"],
    "json": ["report", "there", "--format", "json"],
    "html": ["report", "there", "--format", "html"],
    "page": ["report", "there", "--format", "html", "--output", "page.html"],
    "check": ["check", "there"],
    "plan": ["plan", "there", "--dim", "64", "--epsilon", "0.05"],
    "list": ["list"],
    "gallery": ["gallery"],
    "help": ["--help"],
}
_PREPARED = ["compile", "Max(t, 0) + t/5", "--name", "there"]
_LONGEST = 20.0
_STATUSES = {0, 130}


@dataclass(frozen=True)
class Answer:
    """How an interrupted command ended."""

    after: float
    status: int
    err: str

    @property
    def counts(self) -> bool:
        """Whether kernelc could have answered: Python had started."""
        return not (self.status == -signal.SIGINT or "import_site" in self.err or "importlib._bootstrap" in self.err)


def run(folder: Path, words: Sequence[str], after: float | None = None) -> Answer:
    """The command in `folder`, interrupted `after` seconds (None: left alone)."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from kernelc.__main__ import main; sys.exit(main())", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        # A parent run in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    start = time.monotonic()
    if after is not None:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    return Answer(time.monotonic() - start, process.returncode, err)


def faults(folder: Path, pristine: Path, answer: Answer, full: Callable[[str], Path | None]) -> list[str]:
    """What is wrong with an answer: how it ended, what it said, what it left in `folder`."""
    found = []
    if answer.status not in _STATUSES:
        found.append(f"exit status {answer.status}")
    if answer.err.count("\n") > 1 or "Traceback" in answer.err or "ignored" in answer.err:
        found.append(f"it says {answer.err!r}")
    for entry in folder.iterdir():
        if entry.name not in {"generated", "page.html"}:
            found.append(f"left {entry.name}")
    if (page := folder / "page.html").exists() and not page.read_text(encoding="utf-8").endswith("</html>\n"):
        found.append("half a page")
    for entry in (folder / "generated").iterdir():
        wholes = [whole for whole in (pristine / "generated" / entry.name, full(entry.name)) if whole is not None]
        if not any(whole.is_dir() and _same(entry, whole) for whole in wholes):
            found.append(f"generated/{entry.name} is not whole")
    return found


def _same(folder: Path, other: Path) -> bool:
    names = [sorted(p.name for p in place.iterdir() if p.name != "__pycache__") for place in (folder, other)]
    return names[0] == names[1] and not filecmp.cmpfiles(folder, other, names[0], shallow=False)[1]


def trial(name: str, moments: int, seed: int, root: Path) -> tuple[int, int, list[str]]:
    """(interrupts that were answered, commands that were done before, faults) of one command."""
    pristine, complete = root / "pristine", root / f"complete-{name}"
    if not pristine.exists():
        pristine.mkdir()
        assert run(pristine, _PREPARED).status == 0
    shutil.copytree(pristine, complete)
    left_alone = run(complete, COMMANDS[name], _LONGEST if name == "gallery" else None)
    generator, answered, done, wrong = random.Random(seed), 0, 0, []
    for moment in range(moments):
        folder = root / f"{name}-{moment}"
        shutil.copytree(pristine, folder)
        answer = run(folder, COMMANDS[name], generator.uniform(0.02, 1.02) * left_alone.after)
        if answer.counts:
            answered, done = answered + (answer.status == 130), done + (answer.status == 0)
            problems = faults(folder, pristine, answer, lambda kernel: complete / "generated" / kernel)
            wrong += [f"{name}, after {answer.after:.2f} s: {problem}" for problem in problems]
        shutil.rmtree(folder)
    return answered, done, wrong


def main(words: Sequence[str]) -> int:
    """Run the trials and print a line for each command."""
    moments = int(words[0]) if words else 12
    failed = False
    for name in words[1:] or COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            answered, done, wrong = trial(name, moments, 1, Path(folder))
        failed = failed or bool(wrong)
        print(
            f"{name}: {answered} interrupted, {done} done before; {len(wrong)} faults", *wrong, sep="\n  ", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
