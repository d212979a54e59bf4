"""The text of `_norm_tables.py`: the tables for a range of norms."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from kernelc.program import NormKnots, NormMoment, NormProgram, NormTensor, OneNormProgram, OneNormSeries

_WIDTH = 118


def render(program: NormProgram) -> str:
    """The body of the module."""
    tensors = {"dual": program.dual, "dual_dot": program.dual_dot}
    moments = {"moment": program.moment, "slope_moment": program.slope_moment}
    used = ["NormTables", *(["OneNormTable", "OneNormTables"] if program.one_norm else [])]
    used += ["TensorTable"] if any(tensors.values()) else []
    parts = [
        '"""Tables for inputs of other norms; see `_normseries.py` and `_norms.py` for how they are evaluated."""\n\n'
        "from __future__ import annotations\n\n"
        + ("" if program.knots is None else "from ._knots import Knots\n")
        + f"from ._normseries import MomentTable, {', '.join(used)}\n\n"
    ]
    parts += [f"{name.upper()} = {_moment(table)}\n\n" for name, table in moments.items() if table is not None]
    parts.append(f"HERMITE = {_nested(program.hermite)}\n\n")
    if program.aligned is not None:
        parts.append(f"ALIGNED = {_nested(program.aligned)}\n\n")
    parts += [f"{name.upper()} = {_tensor(tensor)}\n\n" for name, tensor in tensors.items() if tensor is not None]
    if program.knots is not None:
        parts.append(_knots(program.knots))
    if program.one_norm is not None:
        parts.append(f"ONE_NORM = {_one_norm(program.one_norm)}\n\n")
    fields = [("norms", f"({program.norms[0]!r}, {program.norms[1]!r})")]
    fields += [(name, repr(getattr(program, name))) for name in ("shift", "stretch", "offset", "grade")]
    fields += [(name, "None" if table is None else name.upper()) for name, table in moments.items()]
    fields.append(("hermite", "HERMITE"))
    fields.append(("aligned", "None" if program.aligned is None else "ALIGNED"))
    fields += [(name, "None" if tensor is None else name.upper()) for name, tensor in tensors.items()]
    if program.knots is not None:
        fields.append(("knots", "KNOTS"))
    if program.origin is not None:
        fields.append(("origin", _row(program.origin, 4)))
    if program.one_norm is not None:
        fields.append(("one_norm", "ONE_NORM"))
    parts.append("NORMS = NormTables(\n" + "".join(f"    {key}={value},\n" for key, value in fields) + ")\n")
    return "".join(parts)


def numbers(program: NormProgram) -> Iterator[float]:
    """Every number that is printed."""
    yield from (*program.norms, program.shift, program.stretch, program.offset, program.grade)
    yield from program.origin or ()
    for moment in (program.moment, program.slope_moment):
        yield from () if moment is None else moment.coefficients
    for column in (*program.hermite, *(program.aligned or ())):
        yield from column
    if program.knots is not None:
        yield from (program.knots.damping, *program.knots.points)
        for row in program.knots.weights:
            yield from row
    if program.one_norm is not None:
        yield program.one_norm.error
        for series in program.one_norm.series:
            for row in series.rows:
                yield from row
    for tensor in (program.dual, program.dual_dot):
        for layer in () if tensor is None else tensor.layers:
            for row in layer:
                yield from row


def _knots(knots: NormKnots) -> str:
    points, weights = _row(knots.points, 4), _nested(knots.weights)
    return f"KNOTS = Knots(\n    damping={knots.damping!r},\n    points={points},\n    weights={weights},\n)\n\n"


def _moment(table: NormMoment) -> str:
    return f"MomentTable(\n    power={table.power},\n    coefficients={_row(table.coefficients, 4)},\n)"


def _tensor(tensor: NormTensor) -> str:
    layers = "".join(f"{_nested(layer)},\n" for layer in tensor.layers)
    return f'TensorTable(\n    parity="{tensor.parity}",\n    layers=(\n{layers}    ),\n)'


def _one_norm(program: OneNormProgram) -> str:
    both = {"dual": program.dual, "dual_dot": program.dual_dot}
    tables = "".join(f"    {name}={'None' if series is None else _series(series)},\n" for name, series in both.items())
    return f"OneNormTables(\n{tables}    error={program.error!r},\n)"


def _series(series: OneNormSeries) -> str:
    return f'OneNormTable(\n        parity="{series.parity}",\n        rows={_nested(series.rows)},\n    )'


def _nested(rows: Sequence[Sequence[float]]) -> str:
    """A tuple of tuples with no indentation: there are thousands of lines."""
    return "(\n" + "".join(f"{_row(row, 0)},\n" for row in rows) + ")" if rows else "()"


def _row(values: Sequence[float], indent: int) -> str:
    """A tuple of doubles, as many a line as fit."""
    texts = ["0" if value == 0.0 else repr(float(value)) for value in values]
    short = f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"
    if len(short) <= _WIDTH - indent:
        return short
    lines = textwrap.wrap(", ".join(texts), _WIDTH - indent, break_on_hyphens=False, break_long_words=False)
    inner = "".join(f"{' ' * indent}{line}\n" for line in lines)
    return f"(\n{inner.rstrip()},\n{' ' * indent})"
