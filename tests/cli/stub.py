"""A pipeline that compiles nothing: what it does is chosen by the formula, and what it was asked is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from kernelc import writer
from kernelc.errors import CertificationError, InputError
from kernelc.progress import Progress
from tests.report import samples
from tests.writer.modules import emitted


@dataclass(frozen=True)
class StubKernel:
    name: str

    @property
    def certificate(self) -> Mapping[str, Any]:
        return samples.certificate(self.name)

    def write(self, out: str | Path, force: bool = False) -> Path:
        return writer.write(emitted(self.name), Path(out), force=force)


@dataclass(frozen=True)
class StubCheck:
    name: str
    ok: bool
    messages: tuple[str, ...] = ()


@dataclass
class StubPipeline(ModuleType):
    """Stands where `kernelc.pipeline` would."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    broken: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__init__("kernelc.pipeline")

    def compile_activation(self, expression: str, *, name: str, progress: Progress, **options: Any) -> StubKernel:
        self.requests.append({"expression": expression, "name": name} | options)
        progress.step("expanding", 0.5)
        match expression:
            case "refused":
                raise InputError("no such\nfunction \x1b[31m", column=3)
            case "defect":
                raise RuntimeError("index\nout of range")
            case "disagree":
                raise CertificationError("mpmath found 0.5, Arb found 0.25")
            case "interrupt":
                raise KeyboardInterrupt
            case "slow":
                time.sleep(30)
        return StubKernel(name)

    def check(self, name: str, out: Path, deep: bool, progress: Progress) -> StubCheck:
        self.requests.append({"name": name, "deep": deep})
        return StubCheck(name, name not in self.broken, ("__init__.py differs",) if name in self.broken else ())

    def page_of(self, certificate: Mapping[str, Any], folder: Path) -> str:
        assert folder.name == certificate["name"]
        return f"<!DOCTYPE html><title>kernelc: {certificate['expression']}</title>\n"
