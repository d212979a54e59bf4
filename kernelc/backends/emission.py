"""The registry of printers, and the stage itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from kernelc.backends.cupy.printer import CupyPrinter
from kernelc.backends.numpy.closed_form import numbers as closed_form_numbers
from kernelc.backends.numpy.norms import numbers as norm_numbers
from kernelc.backends.numpy.printer import NumpyPrinter
from kernelc.backends.protocol import Printer
from kernelc.errors import CertificationError, UnsupportedError
from kernelc.model import CertifiedKernel, EmittedModule
from kernelc.program import DualProgram, Evaluation, KernelProgram, PowerSeries, ShortSeries

_PRINTERS: tuple[Printer, ...] = (NumpyPrinter(), CupyPrinter())

#: Every backend by the name that `--backend` takes.
BACKENDS: Mapping[str, Printer] = MappingProxyType({printer.name: printer for printer in _PRINTERS})


def emit(program: KernelProgram, kernel: CertifiedKernel, backends: tuple[str, ...]) -> EmittedModule:
    """The files of one generated package: path relative to its folder -> text, sorted by path.

    Deterministic: no dates, hosts or paths; the same program and certificate give the same bytes.

    Raises:
        UnsupportedError: for an unknown backend, naming those there are.
        CertificationError: where the program or the certificate holds a number that is not finite.
    """
    known = ", ".join(BACKENDS)
    for name in backends:
        if name not in BACKENDS:
            raise UnsupportedError(f"unknown backend {name!r}; there are: {known}")
    if "numpy" not in backends:
        raise UnsupportedError("the numpy backend writes the package that the others extend: it cannot be left out")
    _require_finite(program)
    files: dict[str, str] = {"certificate.json": certificate_text(kernel)}
    for name in dict.fromkeys(backends):
        for path, text in BACKENDS[name].files(program).items():
            if path in files:
                raise CertificationError(f"two backends write {path}")
            files[path] = text
    return EmittedModule(program.name, MappingProxyType(dict(sorted(files.items()))), program, kernel)


def certificate_text(kernel: CertifiedKernel) -> str:
    """certificate.json: the certificate in the order it was built in, ASCII, two spaces, a final newline.

    Raises:
        CertificationError: where a number is not finite, which JSON cannot say.
    """
    try:
        return json.dumps(kernel.certificate, indent=2, ensure_ascii=True, allow_nan=False, default=_plain) + "\n"
    except ValueError as error:
        raise CertificationError(f"the certificate cannot be written as JSON: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise CertificationError(f"the certificate holds a {type(value).__name__}, which is no JSON")


def _require_finite(program: KernelProgram) -> None:
    numbers = [program.variance, *_dual_numbers(program.kappa)]
    if program.kappa_dot is not None:
        numbers += _dual_numbers(program.kappa_dot)
    if program.network is not None:
        numbers += _dual_numbers(program.network.nngp)
        numbers += [] if program.network.ntk is None else _dual_numbers(program.network.ntk)
    if program.closed_form is not None:
        numbers += closed_form_numbers(program.closed_form)
    if program.norms is not None:
        numbers += norm_numbers(program.norms)
    if not all(math.isfinite(number) for number in numbers):
        raise CertificationError(f"{program.name}: the program holds a number that is not finite")


def _dual_numbers(dual: DualProgram) -> Iterator[float]:
    yield dual.at_one
    yield dual.at_minus_one
    yield from _numbers(dual.direct)
    yield from _numbers(dual.series)


def _numbers(evaluation: Evaluation) -> Iterator[float]:
    if isinstance(evaluation, PowerSeries):
        yield from evaluation.coefficients
        return
    if isinstance(evaluation, ShortSeries):
        yield from evaluation.head
        yield from evaluation.rest
        return
    yield from evaluation.edges
    for table in evaluation.tables:
        yield from table
