"""The command line: `kernelc COMMAND`, click's commands over the pipeline."""

from __future__ import annotations

from kernelc.cli.commands import command_line
from kernelc.cli.process import main

__all__ = ["command_line", "main"]
