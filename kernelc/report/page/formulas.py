"""LaTeX of a certificate as MathML, which browsers render and screen readers speak."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

from latex2mathml.converter import convert
from markupsafe import Markup

_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_ELEMENTS = frozenset(
    {"math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "msup", "msub", "msubsup", "mfrac", "msqrt", "mroot"}
    | {"mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "menclose"}
)
_ATTRIBUTES = frozenset(
    {"display", "mathvariant", "stretchy", "fence", "form", "separator", "lspace", "rspace", "width", "height"}
    | {"depth", "columnalign", "rowspacing", "displaystyle", "scriptlevel", "minsize", "maxsize", "linethickness"}
    | {"accent", "movablelimits"}
)
_LONGEST = 20_000


def mathml(latex: Any) -> Markup | None:
    """The formula, or None where it is not one that can be shown so: the text form then has to do.

    A certificate may come from a stranger: only MathML's own elements and harmless attributes are let through.
    """
    if not isinstance(latex, str) or not latex.strip() or len(latex) > _LONGEST:
        return None
    try:
        root = ElementTree.fromstring(convert(latex))
    except Exception:  # the converter raises what it likes on what it cannot read
        return None
    for element in root.iter():
        if element.tag.removeprefix(_NAMESPACE) not in _ELEMENTS or not set(element.attrib) <= _ATTRIBUTES:
            return None
        element.tag = element.tag.removeprefix(_NAMESPACE)
    _bracket_cases(root)
    root.set("display", "inline")
    root.set("displaystyle", "true")
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _bracket_cases(root: ElementTree.Element) -> None:
    """Give the rows of a distinction of cases a class: where no mathematical font is installed a brace stays small."""
    for row in list(root.iter()):
        children = list(row)
        for brace, table in itertools.pairwise(children):
            if brace.tag == "mo" and (brace.text or "").strip() == "{" and table.tag == "mtable":
                row.remove(brace)
                table.set("class", "cases")
