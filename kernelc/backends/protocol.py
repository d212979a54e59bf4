"""What a backend is: a printer of the typed program, found by name in one registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from kernelc.program import KernelProgram


@runtime_checkable
class Printer(Protocol):
    """Prints the files of one backend; printers of one module write different files.

    A printer matches on the closed set of operations in `kernelc.program` and ends in `assert_never`.
    The "numpy" printer writes the package's front; another backend adds files of its own beside it.
    """

    @property
    def name(self) -> str:
        """The name that `--backend` takes."""
        ...

    def files(self, program: KernelProgram) -> Mapping[str, str]:
        """Relative path -> text, deterministic."""
        ...
