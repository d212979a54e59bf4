"""How far a long piece of work has come: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichBar


class Progress(Protocol):
    """What a stage of work tells whoever watches."""

    def step(self, message: str, fraction: float | None = None) -> None:
        """Now doing `message`; `fraction` in [0, 1] of the whole is done, None where unknown."""

    def close(self) -> None:
        """Take the display away. Safe to call twice, and before any step."""


@dataclass(frozen=True, slots=True)
class SilentProgress:
    """Shows nothing."""

    def step(self, message: str, fraction: float | None = None) -> None:
        """Ignore the step."""

    def close(self) -> None:
        """Do nothing."""


class RichProgress:
    """A bar on a terminal's standard error, that vanishes when it is closed."""

    def __init__(self, console: Console) -> None:
        self._bar = RichBar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)

    def step(self, message: str, fraction: float | None = None) -> None:
        """Show `message` and the fraction; the display opens with the first step."""
        self._bar.start()
        if fraction is None:
            self._bar.update(self._task, description=message)
        else:
            self._bar.update(self._task, description=message, total=1.0, completed=min(max(fraction, 0.0), 1.0))

    def close(self) -> None:
        """Erase the bar and hand the terminal back."""
        self._bar.stop()


@dataclass(frozen=True, slots=True)
class PartialProgress:
    """The share [start, stop] of a parent's work, each message led by `label`.

    Closing is left to the parent, whose display it is.
    """

    parent: Progress
    label: str
    start: float
    stop: float

    def step(self, message: str, fraction: float | None = None) -> None:
        """Pass the step on, scaled into this share."""
        self.parent.step(f"{self.label}: {message}", self.start + (fraction or 0.0) * (self.stop - self.start))

    def close(self) -> None:
        """Do nothing: the parent closes the display."""


def for_terminal(*, quiet: bool = False) -> Progress:
    """A bar where both standard output and standard error are a terminal and `quiet` is False, else silence."""
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        return SilentProgress()
    return RichProgress(Console(stderr=True))
