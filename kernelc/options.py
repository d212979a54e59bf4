"""What a compilation is asked for, checked before anything is computed."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from fractions import Fraction

import sympy

from kernelc.errors import InputError, UnsupportedError
from kernelc.model import CompileOptions
from kernelc.networks import MAX_DEPTH
from kernelc.parse import check_name, parse_parameter_value
from kernelc.program import BACKEND_NAMES

DEFAULT_NORMS = "1/4,4"
MAX_DEGREE = 1024
_VARIANCE_RANGE = (Fraction(1, 10**6), Fraction(10**6))
_PRECISION_RANGE = (64, 4096)
_NORM_RANGE = (Fraction(1, 10**4), Fraction(10**4))

#: LOW,HIGH as text, or the two numbers.
Range = str | tuple[float | str, float | str]


def make_options(
    name: str,
    variance: str | Fraction | float,
    degree: int | None,
    tol: float | None,
    precision: int | None,
    backends: tuple[str, ...],
    norms: Range = DEFAULT_NORMS,
    depth: int = 1,
) -> CompileOptions:
    """Validated options.

    Raises:
        InputError: naming the option and what it accepts.
        UnsupportedError: for a backend that there is not.
    """
    check_name(name)
    q = read_variance(variance)
    if degree is not None and tol is not None:
        raise InputError("give either --degree or --tol, not both")
    if degree is not None and not _whole(degree, 0, MAX_DEGREE):
        raise InputError(f"--degree must be a whole number from 0 to {MAX_DEGREE}, not {degree!r}")
    if tol is not None and not (isinstance(tol, numbers.Real) and 0.0 < float(tol) < 1e300):
        raise InputError(f"--tol must be a positive number, not {tol!r}")
    low, high = _PRECISION_RANGE
    if precision is not None and not _whole(precision, low, high):
        raise InputError(f"--precision must be from {low} to {high} bits, not {precision!r}")
    if not _whole(depth, 1, MAX_DEPTH):
        raise InputError(f"--depth must be a whole number from 1 to {MAX_DEPTH} (hidden layers), not {depth!r}")
    degree, precision = (None if value is None else int(value) for value in (degree, precision))
    tol = None if tol is None else float(tol)
    return CompileOptions(name, q, degree, tol, precision, _backends(backends), _norms(norms), int(depth))


def _whole(value: object, low: int, high: int) -> bool:
    """Whether `value` is a whole number of this range, NumPy's included; True is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and low <= int(value) <= high


def _backends(names: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(names, str | Sequence):
        raise InputError(f"backends: expected a tuple of names among {', '.join(BACKEND_NAMES)}, not {names!r}")
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in BACKEND_NAMES:
            raise UnsupportedError(f"unknown backend {name!r}; there are: {', '.join(BACKEND_NAMES)}")
    return chosen


def read_variance(value: str | Fraction | float) -> Fraction:
    """The variance: text is read as a parameter's value, a float is its exact value.

    Raises:
        InputError: it is no rational number of the range that is served.
    """
    q = _number("--variance", value, exact=True)
    low, high = _VARIANCE_RANGE
    if not low <= q <= high:
        raise InputError(f"--variance must be between {float(low):g} and {float(high):g}, not {value!r}")
    return q


def _norms(value: Range) -> tuple[Fraction, Fraction]:
    """The range of norms, exactly as it was written."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise InputError(f"--norms takes two numbers LOW,HIGH such as 1/4,4, not {value!r}")
    low, high = (_number("--norms", part) for part in parts)
    least, most = _NORM_RANGE
    if not least <= low < high <= most:
        raise InputError(
            f"--norms must be LOW,HIGH with {float(least):g} <= LOW < HIGH <= {float(most):g}, not {value!r}"
        )
    return low, high


def _number(option: str, value: float | str | Fraction, *, exact: bool = False) -> Fraction:
    """A rational number as it was written; a float is taken for the decimal it prints as, or as it is where `exact`."""
    if exact and isinstance(value, float) and value - value == 0.0:
        return Fraction(value)
    try:
        read = parse_parameter_value(value)
    except InputError as error:
        raise InputError(f"{option} takes a rational number such as 4, 0.25 or 9/4, not {value!r}: {error}") from error
    if not isinstance(read, sympy.Rational):
        raise InputError(f"{option} takes a rational number such as 4, 0.25 or 9/4, not {value!r}")
    return Fraction(int(read.p), int(read.q))
