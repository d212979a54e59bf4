"""A writer that fails or dies at its n-th step: every line of the writer that runs is a step, and so is every call
to the system that Python reports (opening, making, renaming, removing).

    python -m tests.writer.faults          kills and disk errors at every step of every kind of write, with counts
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from kernelc import writer
from kernelc.errors import InputError
from kernelc.model import EmittedModule
from tests.writer.modules import emitted

_CALLS = (
    "open",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.listdir",
    "os.scandir",
    "fcntl.flock",
    "shutil.rmtree",
)
_WRITER = writer.__file__
Act = Callable[[], None]


@dataclass
class _Steps:
    """Counts steps; at the n-th it acts."""

    at: int
    act: Act
    count: int = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.act()

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != _WRITER:
            return None
        if event in ("line", "return"):
            self.step()
        return self.trace

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CALLS:
            self.step()


def die() -> None:
    """As by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
    """As on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass(frozen=True)
class Way:
    """How a write goes, and what its steps are: the calls to the system, or the lines of the writer."""

    exchange: bool = True
    calls: bool = False


def write_in_a_process(module: EmittedModule, out: Path, at: int, act: Act, way: Way) -> tuple[int, int]:
    """Write in a child that acts at its step `at`.

    Returns what came of it (0 done, 1 an `InputError`, 9 killed, 70 anything else) and the steps it made (0: killed).
    """
    reader, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status, steps = 70, _Steps(at, act)
        try:
            if not way.exchange:
                writer._exchange = lambda first, second: False
            if way.calls:
                sys.addaudithook(steps.audit)
            else:
                sys.settrace(steps.trace)
            try:
                writer.write(module, out)
                status = 0
            except InputError:
                status = 1
            finally:
                sys.settrace(None)
        finally:
            os.write(pipe, str(steps.count).encode())
            os._exit(status)
    os.close(pipe)
    with os.fdopen(reader) as file:
        made = int(file.read() or 0)
    _, status = os.waitpid(child, 0)
    return (9 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)), made


def files_in(folder: Path) -> Mapping[str, str]:
    """What lies in a kernel's folder, but for the report's page, which is no part of the module."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "report.html")
    return {p.relative_to(folder).as_posix(): p.read_text() for p in found}


@dataclass(frozen=True)
class Trial:
    """One kind of write that fails at each of its steps in turn: is the folder always whole?"""

    old: EmittedModule | None
    new: EmittedModule
    act: Act
    way: Way = Way()

    def run(self, folder: Path, stride: int = 1, first: int = 1) -> Counter[str]:
        """Fails at steps first, first + stride, ... of the write; what was left and what came of it, counted.

        Raises:
            AssertionError: the folder held neither the whole old kernel nor the whole new one.
        """
        found: Counter[str] = Counter()
        status, steps = write_in_a_process(self.new, self._before(folder / "whole"), 0, die, self.way)
        assert status == 0
        for at in range(first, steps + 1, stride):
            out = self._before(folder / f"out_{at}")
            status, _ = write_in_a_process(self.new, out, at, self.act, self.way)
            found[f"{self._left(out, status)}, status {status}"] += 1
        return found

    def _before(self, out: Path) -> Path:
        if self.old is not None:
            writer.write(self.old, out)
        return out

    def _left(self, out: Path, status: int) -> str:
        target = out / self.new.name
        if not self.way.exchange and not target.exists() and self.old is not None:
            # Between the two renames: the next write of any kernel repairs it.
            assert status == 9
            writer.write(EmittedModule("other", self.new.files, self.new.program, self.new.kernel), out)
        if not target.exists():
            assert self.old is None
            return "nothing"
        files = files_in(target)
        if files == self.new.files:
            return "new"
        assert self.old is not None
        assert files == self.old.files, f"neither old nor new: {sorted(files)}"
        if status == 1:
            names = set(os.listdir(out)) - {self.new.name}
            assert not names or all(name.startswith(".kernelc-") for name in names)
        return "old"


def trials() -> Iterator[tuple[str, Trial]]:
    """Every kind of write with every kind of fault."""
    old, new = emitted(body="old = 1\n", part="# generated by kernelc, old\n"), emitted(body="new = 1\n")
    for before in (old, None):
        for act in (die, full):
            for way in (Way(exchange, calls) for exchange in (True, False) for calls in (False, True)):
                kind = "replaced" if before else "first write"
                steps = "calls" if way.calls else "lines"
                yield f"{kind}, {act.__name__}, exchange {way.exchange}, {steps}", Trial(before, new, act, way)


def main() -> None:
    """All kinds of write, all steps."""
    total: Counter[str] = Counter()
    for name, trial in trials():
        with tempfile.TemporaryDirectory() as folder:
            found = trial.run(Path(folder))
        print(f"{name}: {dict(found)}")
        total += found
    print(f"{total.total()} faults, the folder whole after each: {dict(total)}")


if __name__ == "__main__":
    main()
