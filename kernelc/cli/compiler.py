"""What the command line asks of the compiler, which is loaded when first needed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from kernelc.progress import Progress


class CompiledKernel(Protocol):
    """What the command line asks of a compiled kernel."""

    @property
    def certificate(self) -> Mapping[str, Any]:
        """The content of certificate.json."""

    def write(self, out: str | Path, force: bool = False) -> Path:
        """Write the kernel's folder into `out`, whole or not at all, and return it."""


class CheckOutcome(Protocol):
    """What came of checking one kernel on disk."""

    @property
    def name(self) -> str:
        """The kernel."""

    @property
    def ok(self) -> bool:
        """Whether all of it was re-derived as it lies there."""

    @property
    def messages(self) -> Sequence[str]:
        """What was found."""


class Pipeline(Protocol):
    """The part of `kernelc.pipeline` that the command line calls."""

    def compile_activation(
        self,
        expression: str | None,
        *,
        name: str,
        dual: str | None,
        parameters: Mapping[str, str],
        variance: str,
        degree: int | None,
        tol: float | None,
        precision: int | None,
        norms: str,
        backends: tuple[str, ...],
        depth: int,
        progress: Progress,
    ) -> CompiledKernel:
        """Compile one activation."""

    def page_of(self, certificate: Mapping[str, Any], folder: Path) -> str:
        """The HTML report of the compiled kernel in `folder`."""

    def check(self, name: str, out: Path, deep: bool, progress: Progress) -> CheckOutcome:
        """Re-derive one kernel from the request in its certificate and compare."""


def load_pipeline() -> Pipeline:
    """The compiler. Loaded when first needed: SymPy and Arb take longer to start than `kernelc --help` may."""
    return cast(Pipeline, importlib.import_module("kernelc.pipeline"))
