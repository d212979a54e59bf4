"""Charts as inline SVG, drawn by matplotlib; colours and fonts are left to the page's style sheet."""

from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from kernelc.report.page.charts import Chart, Curve

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_SIZE = (7.2, 3.5)
_LEGEND_LETTERS = 90

# Stand-ins that the style sheet's variables replace, so that one drawing serves light, dark and paper.
_INK, _FAINT, _SHADE = "#010203", "#010204", "#010205"
_PALETTE = {1: "#010211", 2: "#010212", 3: "#010213"}
_VARIABLES: Mapping[str, str] = {
    _INK: "var(--ink)",
    _FAINT: "var(--grid)",
    _SHADE: "var(--shade)",
    **{stand_in: f"var(--c{number})" for number, stand_in in _PALETTE.items()},
}
_MARKERS = {1: "o", 2: "D", 3: "s"}
_SETTINGS: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kernelc",
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": _FAINT,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "path.simplify": False,
}


def draw(chart: Chart) -> str:
    """The chart as an `<svg>` element that can stand in a page: titled, described, its ids its own.

    The same chart gives the same bytes with the same matplotlib.
    """
    # A clean set of defaults: the reader's own matplotlibrc must not show.
    settings: Any = dict(mpl.rcParamsDefault) | dict(_SETTINGS)
    with mpl.rc_context(settings):
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _plot(figure, axes, chart)
        stream = io.StringIO()
        # ticks are looked for beyond the axis' ends, which may be beyond the largest double
        with np.errstate(over="ignore"):
            figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(stream.getvalue(), chart)


def _plot(figure: Figure, axes: Axes, chart: Chart) -> None:
    axes.grid(visible=True)
    if chart.log_y:
        axes.set_yscale("log")
    if chart.log_x:
        axes.set_xscale("log", base=2)
    for curve in chart.curves:
        _add(axes, curve, log=chart.log_y)
    for mark in chart.marks:
        axes.axvline(mark, color=_INK, linewidth=1.0, linestyle=":")
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    _ticks(axes, chart)
    if chart.floor is not None:
        low, high = axes.get_ylim()
        if low < chart.floor:
            axes.axhspan(low, chart.floor, color=_SHADE, linewidth=0)
            axes.text(
                0.995, chart.floor, "below double precision", transform=axes.get_yaxis_transform(), va="top", ha="right"
            )
            axes.set_ylim(low, high)
    wide = sum(len(curve.label) + 6 for curve in chart.curves) > _LEGEND_LETTERS
    figure.legend(loc="outside upper center", ncols=2 if wide else 4)


def _add(axes: Axes, curve: Curve, *, log: bool) -> None:
    colour = _PALETTE[curve.colour]
    if curve.style == "points":
        _marks(axes, curve, colour, 4.5, markerfacecolor="none", markeredgewidth=1.3)
    elif curve.style == "stems" and log:
        axes.plot(curve.x, curve.y, linestyle="-", linewidth=0.7, color=colour, alpha=0.6)
        _marks(axes, curve, colour, 3.5)
    else:
        axes.plot(
            curve.x,
            curve.y,
            linestyle="--" if curve.style == "dashed" else "-",
            linewidth=1.8,
            color=colour,
            label=curve.label,
        )


def _marks(axes: Axes, curve: Curve, colour: str, size: float, **style: Any) -> None:
    marker = _MARKERS[curve.colour]
    axes.plot(
        curve.x, curve.y, linestyle="none", marker=marker, markersize=size, color=colour, label=curve.label, **style
    )


def _ticks(axes: Axes, chart: Chart) -> None:
    """Plain text at the ticks: 1e-6 and not a raised exponent, which readers of text would read as 10 minus 6."""
    if chart.log_y:
        axes.yaxis.set_major_locator(LogLocator(numticks=8, subs=(1.0,) if _decades(axes) > 1.5 else (1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(_decade))
        axes.yaxis.set_minor_locator(NullLocator())
    if chart.log_x:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif chart.x_label.startswith("degree"):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _decades(axes: Axes) -> float:
    low, high = axes.get_ylim()
    return math.log10(high) - math.log10(low)


def _decade(value: float, _: int) -> str:
    if not math.isfinite(value):
        return ""  # a tick beyond the largest double, above the axis' end
    digit, exponent = f"{value:.0e}".split("e")
    return f"{digit}e{int(exponent):d}"


def _inline(document: str, chart: Chart) -> str:
    """Take the SVG out of its document; its ids get the chart's key, its colours the page's variables."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(document)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for name, value in element.attrib.items():
            element.attrib[name] = _local(value, name, chart.key)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    title, description = ElementTree.Element(f"{{{_SVG}}}title"), ElementTree.Element(f"{{{_SVG}}}desc")
    title.text, description.text = chart.title, chart.caption
    title.set("id", f"{chart.key}-title")
    description.set("id", f"{chart.key}-desc")
    root.insert(0, description)
    root.insert(0, title)
    root.set("role", "img")
    root.set("aria-labelledby", f"{chart.key}-title {chart.key}-desc")
    return ElementTree.tostring(root, encoding="unicode")


def _local(value: str, name: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name.endswith("href") and value.startswith("#"):
        return f"#{key}-{value[1:]}"
    value = re.sub(r"url\(#([^)]*)\)", rf"url(#{key}-\1)", value)
    value = re.sub(r"#0102[0-9a-f]{2}", lambda match: _VARIABLES[match.group()], value)
    return re.sub(r"font: ([0-9.]+px) [^;]*", r"font: \1 var(--plot-font)", value)
