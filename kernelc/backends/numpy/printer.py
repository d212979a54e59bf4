"""The NumPy printer: a KernelProgram as a package that needs NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from kernelc.backends.numpy import front, tables
from kernelc.program import KernelProgram

_RUNTIME = "kernelc.backends.numpy.runtime"

#: Source files that every generated package carries, byte for byte.
RUNTIME_FILES = ("_bundles.py", "_dual.py", "_evaluation.py", "_inputs.py", "_layers.py", "_networks.py", "_tiles.py")


def runtime_text(name: str) -> str:
    """The source of one run-time file, with the line ends it is written with on every platform."""
    return resources.files(_RUNTIME).joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


class NumpyPrinter:
    """Prints the front of the package, its tables and its run-time part."""

    name = "numpy"

    def files(self, program: KernelProgram) -> Mapping[str, str]:
        """Relative path -> text. Deterministic: a function of the program and of this source alone."""
        return {
            "__init__.py": front.render(program),
            "_tables.py": self._tables(program),
            **{name: runtime_text(name) for name in RUNTIME_FILES},
            "py.typed": "",
        }

    def _tables(self, program: KernelProgram) -> str:
        names = "".join(f"{name}, " for name in tables.imports(program)).rstrip(", ")
        return (
            front.header(program, "tables. Every literal reads back as the double it was written from.")
            + '"""Tables of the dual kernel; see the run-time modules for how they are evaluated."""\n\n'
            + "from __future__ import annotations\n\n"
            + f"from ._evaluation import {names}\n\n"
            + tables.render(program)
        )
