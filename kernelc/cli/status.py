"""How a command ends: its exit status, and its message on one line."""

from __future__ import annotations

from kernelc.report.numbers import plain_text

DONE, CHECK_FAILED, REFUSED, INTERNAL_ERROR, INTERRUPTED = 0, 1, 2, 70, 130

_LONGEST_MESSAGE = 800


def one_line(text: str) -> str:
    """`text` on one printable line of bounded length: it may quote what a stranger typed."""
    line = plain_text(text)
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 4] + " ..."
