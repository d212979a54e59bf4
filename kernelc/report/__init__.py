"""The truncation error report of a compiled kernel, from its certificate alone, in one format by name."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType

from kernelc.errors import InputError
from kernelc.report import json as json_format
from kernelc.report import text as text_format
from kernelc.report.card import card, formula_latex

if TYPE_CHECKING:
    from kernelc.model import ActivationCurve

__all__ = ["FORMATS", "card", "formula_latex", "is_page_of", "page", "render", "renderable"]


def page(
    certificate: Mapping[str, Any], curve: ActivationCurve | None = None, plans: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The HTML report, one self-contained file; `curve` is the activation to be drawn, `plans` feature maps to show.

    Loaded when first needed: drawing takes longer to start than a text report may.
    """
    text: str = importlib.import_module("kernelc.report.page").render(certificate, curve, plans)
    return text


def is_page_of(content: bytes, certificate_text: str) -> bool:
    """Whether the HTML report `content` says that it was made from this certificate.json.

    Its drawings are not compared: they change with the versions of what draws them.
    """
    return f'name="kernelc-certificate" content="{json_format.digest(certificate_text)}"'.encode() in content[:2000]


_RENDERERS: Mapping[str, Callable[[Mapping[str, Any]], RenderableType]] = MappingProxyType(
    {"text": text_format.render, "json": json_format.render, "html": page}
)

#: The names of the formats.
FORMATS: tuple[str, ...] = tuple(_RENDERERS)


def renderable(certificate: Mapping[str, Any], format: str = "text") -> RenderableType:
    """The report as an object that a rich console prints, at the console's own width and colours.

    Raises:
        InputError: there is no such format.
    """
    if format not in _RENDERERS:
        raise InputError(f"no report format {format!r}; there are {', '.join(_RENDERERS)}")
    return _RENDERERS[format](certificate)


def render(certificate: Mapping[str, Any], format: str = "text", *, width: int = 100) -> str:
    """The report as plain text of at most `width` columns (JSON and HTML are never wrapped), ended by a newline.

    Raises:
        InputError: there is no such format.
    """
    report = renderable(certificate, format)
    if isinstance(report, str):
        return report
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, force_terminal=False, highlight=False).print(report)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
