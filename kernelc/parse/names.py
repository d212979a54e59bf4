"""Which names may be typed: for the compiled kernel, for parameters, for the variable."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import sympy

from kernelc.errors import InputError
from kernelc.model import Q11, Q12, Q22, RHO

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_LENGTH = 64

#: Device names that Windows does not let a file or folder have, in any case.
_WINDOWS_RESERVED = frozenset(
    ["con", "prn", "aux", "nul"] + [f"{device}{digit}" for device in ("com", "lpt") for digit in range(10)]
)

CONSTANTS: Mapping[str, sympy.Expr] = MappingProxyType({"pi": sympy.pi, "E": sympy.E})

#: The variables of a dual kernel, by the names they are typed with.
DUAL_VARIABLES: Mapping[str, sympy.Symbol] = MappingProxyType({s.name: s for s in (RHO, Q11, Q12, Q22)})

_INFINITY = "infinities are not accepted: an activation is finite on the real line"
_IMAGINARY = "complex numbers are not accepted: an activation is real"

#: Names that are neither variable nor parameter, and why.
RESERVED: Mapping[str, str] = MappingProxyType(
    {
        "I": _IMAGINARY,
        "oo": _INFINITY,
        "inf": _INFINITY,
        "Inf": _INFINITY,
        "infinity": _INFINITY,
        "Infinity": _INFINITY,
        "zoo": _INFINITY,
        "nan": "NaN is not accepted: an activation has a value everywhere",
        "NaN": "NaN is not accepted: an activation has a value everywhere",
    }
)

#: Heads that the parser itself knows, beside the registry's functions.
BUILT_IN_HEADS = ("Piecewise", "And", "Or", "Not")


def shown(text: str, length: int = 40) -> str:
    """`text` quoted for an error message: one line of printable ASCII, at most about `length` characters."""
    return ascii(text if len(text) <= length else text[:length] + "...")


def suggestion(name: str, known: Iterable[str]) -> str:
    """A clause "; did you mean 'x'?" with the known name nearest to `name`, or nothing."""
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), sorted(by_lower), n=1, cutoff=0.6)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


def check_name(name: str) -> str:
    """Return `name` if a generated module may bear it, so that it can be a folder and be imported.

    Accepted: an ASCII Python identifier of at most 64 characters that begins with a letter, is no
    keyword and no device name of Windows.

    Raises:
        InputError: anything else, such as a path, `a-b`, `class`, `__init__`, `con`.
    """
    if not isinstance(name, str):
        raise InputError(f"a name is text, not {type(name).__name__}")
    accepted = f"a name is 1 to {_LENGTH} ASCII letters, digits and _, and begins with a letter"
    if len(name) > _LENGTH:
        raise InputError(f"the name {shown(name)} is too long: {accepted}")
    if not _IDENTIFIER.match(name):
        raise InputError(f"the name {shown(name)} is not accepted: {accepted}")
    if keyword.iskeyword(name):
        raise InputError(f"the name {shown(name)} is a Python keyword: choose another, such as {name}_activation")
    if name.lower() in _WINDOWS_RESERVED:
        raise InputError(f"the name {shown(name)} is reserved by Windows: choose another, such as {name}_activation")
    return name


def check_parameter_name(name: str) -> str:
    """Return `name` if a parameter may bear it.

    Raises:
        InputError: it is no identifier, or it already means something in every formula (pi, E, I, ...).
    """
    if not isinstance(name, str):
        raise InputError(f"a parameter's name is text, not {type(name).__name__}")
    if len(name) > _LENGTH or not _IDENTIFIER.match(name) or keyword.iskeyword(name):
        raise InputError(
            f"the parameter name {shown(name)} is not accepted: it is 1 to {_LENGTH} ASCII letters, digits and _,"
            " begins with a letter and is no keyword"
        )
    if name in CONSTANTS or name in RESERVED or name in BUILT_IN_HEADS:
        raise InputError(f"the parameter name '{name}' already has a meaning: choose another")
    return name
