"""Compiled packages in memory: made from a formula once a process, sent to another process as text."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from typing import Any

from kernelc.errors import InputError
from kernelc.kernel import Kernel
from kernelc.pipeline import compile_activation

_CERTIFICATE = "certificate.json"
_NEEDED = ("CERTIFICATE", "ntk", "nngp")
_MOST = 32


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a compiled package: path inside it -> text. It pickles, and needs NumPy alone where it arrives."""

    files: tuple[tuple[str, str], ...]

    def module(self) -> ModuleType:
        """The package, imported once in this process."""
        return _imported(self)


def source_of(
    activation: str | Kernel | ModuleType, parameters: Mapping[str, Any] | None = None, **options: Any
) -> Source:
    """What `activation` means: a formula or gallery name (compiled, once a process), a `Kernel`, a compiled package.

    `options` are those of `kernelc.compile`; with `parameters` they are for formulas alone.

    Raises:
        InputError: it is none of these, or options are given for what is compiled already.
    """
    if isinstance(activation, str):
        values = tuple(sorted((str(key), str(value)) for key, value in (parameters or {}).items()))
        return _compiled(activation, values, tuple(sorted(options.items())))
    if parameters:
        raise InputError("parameters: the activation is compiled already; give them with a formula")
    if isinstance(activation, Kernel):
        return _of_kernel(activation)
    if isinstance(activation, ModuleType):
        return _of_module(activation)
    raise InputError(
        f"activation: expected a formula such as 't*sigmoid(t)', a gallery name such as 'gelu', a kernel made by "
        f"kernelc.compile, or a compiled package, got {type(activation).__name__}"
    )


@lru_cache(maxsize=_MOST)
def _compiled(formula: str, parameters: tuple[tuple[str, str], ...], options: tuple[tuple[str, Any], ...]) -> Source:
    return _of_kernel(compile_activation(formula, name="activation", parameters=dict(parameters), **dict(options)))


def _of_kernel(kernel: Kernel) -> Source:
    return Source(tuple(sorted(kernel.module.files.items())))


@lru_cache(maxsize=_MOST)
def _of_module(module: ModuleType) -> Source:
    missing = [name for name in _NEEDED if not hasattr(module, name)]
    if missing or module.__file__ is None:
        raise InputError(f"activation: the module {module.__name__} was not compiled by kernelc: it has no {missing}")
    folder = Path(module.__file__).parent
    paths = [path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts]
    paths += [path for path in [folder / _CERTIFICATE] if path.is_file()]
    return Source(tuple((path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")) for path in paths))


@lru_cache(maxsize=_MOST)
def _imported(source: Source) -> ModuleType:
    """The package under a name made of its content, in a folder of its own that goes when the process ends."""
    content = "\0".join(part for pair in source.files for part in pair)
    name = f"kernelc_compiled_{hashlib.sha256(content.encode()).hexdigest()[:24]}"
    root = Path(mkdtemp(prefix="kernelc-"))
    for relative, text in source.files:
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        shutil.rmtree(root, ignore_errors=True)
        raise
    weakref.finalize(module, shutil.rmtree, root, ignore_errors=True)
    return module
