"""What the docstrings of a generated package say of its program: by which road, and for which inputs it holds."""

from __future__ import annotations

import math
import textwrap

from kernelc.program import ClosedFormDual, KernelProgram, NormProgram, ShortSeries, ThetaChebyshev


def method(evaluation: object, refused: str | None) -> str:
    """By which series a function is evaluated, or that it is refused."""
    if refused is not None:
        return "refused here"
    if isinstance(evaluation, ThetaChebyshev):
        return "from its Chebyshev series in arccos(rho)"
    return "from its power series" + (", economised" if isinstance(evaluation, ShortSeries) else "")


def reach(program: KernelProgram) -> str:
    """The variances at which the power series holds."""
    degree = program.homogeneous_degree
    if degree is None:
        return f"It holds where every variance that is met equals {program.variance!r}; others are a ValueError."
    return f"sigma is homogeneous of degree {degree!r}: it holds at every variance."


def network_reach(program: KernelProgram) -> str:
    """The rows that `nngp` and `ntk` take, and by which road."""
    form, norms = program.closed_form, program.norms
    zero = ""
    if program.homogeneous_degree is not None:
        return reach(program)
    if form is not None and (form.dual_dot is not None or program.kappa_dot is None):
        low, high = (math.sqrt(q) for q in form.dual.variances)
        how = "by the closed form"
    elif norms is not None and norms.tabulated:
        (low, high), how, zero = norms.norms, "by tables", _or_zero(norms)
    else:
        return reach(program)
    lines = (
        f"It holds, {how}, where sqrt(w_std^2 |x|^2 + b_std^2) of every row, and the same of every layer, "
        f"lies in [{low!r}, {high!r}]{zero}; others are a ValueError."
    )
    return "\n    ".join(textwrap.wrap(lines, 110))


def features_reach(program: KernelProgram) -> str:
    """The rows that `features` takes."""
    if program.norms is None:
        return reach(program)
    low, high = program.norms.norms
    return f"It holds where the norm of every row and the standard deviation of every layer is in [{low!r}, {high!r}]."


def dual_reach(program: KernelProgram, form: ClosedFormDual | None) -> str:
    """The variances that `dual` (or `dual_dot`, with its `form`) takes, and by which road."""
    if form is None and program.norms is not None and program.norms.tabulated:
        low, high = (s**2 for s in program.norms.norms)
        zero = _or_zero(program.norms)
        return f"By tables, for variances from {low!r} to {high!r}{zero}; others are a ValueError."
    if form is None:
        return reach(program)
    if program.homogeneous_degree is not None:
        return f"By its closed form; {_lowered(reach(program))}"
    low, high = form.variances
    return f"By its closed form, for variances from {low!r} to {high!r}; others are a ValueError."


def _or_zero(norms: NormProgram) -> str:
    return "" if norms.origin is None else ", or is 0"


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
