"""The compiler as a table of contents: each stage hands one frozen object to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sympy

from kernelc._version import __version__
from kernelc.analysis import analyse
from kernelc.backends import emit
from kernelc.certificate import (
    CertificateInputs,
    activation_curve,
    certify,
    check_expansion,
    degree_for_tolerance,
    kappa_by_quadrature,
)
from kernelc.closedform import state_closed_form
from kernelc.errors import InputError, KernelcError
from kernelc.expansion import expand
from kernelc.fitting import fit, fit_norms
from kernelc.gallery import GALLERY, resolve
from kernelc.kernel import Kernel
from kernelc.lowering import lower
from kernelc.model import ActivationCurve, ActivationSpec, ActivationTraits, CompileOptions, HermiteExpansion
from kernelc.parse import check_name, from_sympy, parse_activation, parse_parameter_value
from kernelc.progress import Progress, SilentProgress
from kernelc.report import is_page_of, page
from kernelc.writer import CERTIFICATE_FILE, PAGE_FILE, load_certificate

DEFAULT_DEGREE = 64
DEFAULT_NORMS = "1/4,4"
MAX_DEGREE = 1024
_SMOOTH_DEGREE = 256
_KINKED_DEGREE = 512
_VARIANCE_RANGE = (Fraction(1, 10**6), Fraction(10**6))
_PRECISION_RANGE = (64, 4096)
_NORM_RANGE = (Fraction(1, 10**4), Fraction(10**4))
_DEEP_RHOS = (-0.8, 0.3, 0.9)
_DEEP_TOLERANCE = 1e-9


def compile_activation(
    expression: str | sympy.Expr,
    *,
    name: str,
    parameters: Mapping[str, str | int | float | Fraction] | None = None,
    variance: str | Fraction | float = 1,
    degree: int | None = None,
    tol: float | None = None,
    precision: int | None = None,
    norms: str | tuple[float, float] = DEFAULT_NORMS,
    backends: tuple[str, ...] = ("numpy",),
    progress: Progress | None = None,
) -> Kernel:
    """Compile an activation: parse, analyse, expand in balls, fit, certify, lower, emit. Writes nothing.

    Raises:
        InputError: the text, a name or an option is not accepted.
        NotSquareIntegrableError: sigma(sZ) is not square integrable at this variance.
        CertificationError: two roads to one number disagree; nothing is emitted.
    """
    watch = SilentProgress() if progress is None else progress
    options = make_options(name, variance, degree, tol, precision, backends, norms)
    watch.step("parsing", 0.02)
    spec = _specified(expression, name, parameters or {})
    watch.step("analysing", 0.05)
    traits = analyse(spec, options.variance)
    watch.step("expanding in Hermite polynomials", 0.15)
    kept, expansion = _expanded(traits, options)
    watch.step("checking by mpmath", 0.4)
    oracle = check_expansion(spec.expression, traits, expansion, options.variance, kept)
    watch.step("fitting the direct evaluation", 0.6)
    direct = fit(traits, expansion, options.variance, lambda message: watch.step(message, 0.7))
    norm_fit = fit_norms(
        traits, expansion, float(options.variance), options.norm_range, kept, lambda message: watch.step(message, 0.75)
    )
    watch.step("deriving the closed form", 0.8)
    form = state_closed_form(spec.expression)
    watch.step("certifying", 0.9)
    inputs = CertificateInputs(
        spec, options, traits, expansion, direct, oracle, versions(), form.content, form.reason, norm_fit
    )
    kernel = certify(inputs, kept)
    program = lower(kernel, traits, direct, form.program, norm_fit.program)
    watch.step("emitting", 0.97)
    return Kernel(emit(program, kernel, options.backends))


def _specified(
    expression: str | sympy.Expr, name: str, parameters: Mapping[str, str | int | float | Fraction]
) -> ActivationSpec:
    if not isinstance(expression, str):
        return from_sympy(expression, name=name, parameters=parameters)
    text, values = resolve(expression, {key: str(value) for key, value in parameters.items()})
    source = next((e.source for e in GALLERY.values() if e.formula == " ".join(text.split())), None)
    return parse_activation(text, name=name, parameters=values, source=source)


def _expanded(traits: ActivationTraits, options: CompileOptions) -> tuple[int, HermiteExpansion]:
    """The degree to keep and the expansion to beyond it; --tol is searched for with growing degrees."""
    last = _KINKED_DEGREE if traits.breakpoints else _SMOOTH_DEGREE
    if traits.growth is not None and traits.growth.quadratic > 0:
        last = MAX_DEGREE  # sigma^2 reaches too far out for quadrature in doubles: the series must do
    if options.tol is None:
        kept = DEFAULT_DEGREE if options.degree is None else options.degree
        return kept, expand(traits, options.variance, kept, max(last, kept), options.precision)
    for top in (last, MAX_DEGREE):
        try:
            kept = degree_for_tolerance(expand(traits, options.variance, 0, top, options.precision), options.tol)
        except InputError:
            # Perhaps only the working precision hid how small the tail is.
            try:
                kept = degree_for_tolerance(expand(traits, options.variance, top, top, options.precision), options.tol)
            except InputError:
                if top == MAX_DEGREE:
                    raise
                continue
        return kept, expand(traits, options.variance, kept, max(last, kept), options.precision)
    raise InputError("no degree reaches the tolerance")


def make_options(
    name: str,
    variance: str | Fraction | float,
    degree: int | None,
    tol: float | None,
    precision: int | None,
    backends: tuple[str, ...],
    norms: str | tuple[float, float] = DEFAULT_NORMS,
) -> CompileOptions:
    """Validated options.

    Raises:
        InputError: naming the option and what it accepts.
    """
    check_name(name)
    q = _variance(variance)
    if degree is not None and tol is not None:
        raise InputError("give either --degree or --tol, not both")
    if degree is not None and (
        isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= MAX_DEGREE
    ):
        raise InputError(f"--degree must be a whole number from 0 to {MAX_DEGREE}, not {degree!r}")
    if tol is not None and not 0.0 < tol < 1e300:
        raise InputError(f"--tol must be a positive number, not {tol!r}")
    low, high = _PRECISION_RANGE
    if precision is not None and not low <= precision <= high:
        raise InputError(f"--precision must be from {low} to {high} bits, not {precision!r}")
    return CompileOptions(name, q, degree, tol, precision, tuple(backends), _norms(norms))


def _variance(value: str | Fraction | float) -> Fraction:
    text = value if isinstance(value, str) else None
    if text is None and isinstance(value, float) and value != value:
        raise InputError("--variance must be a positive number, not NaN")
    exact = parse_parameter_value(text) if text is not None else sympy.Rational(str(Fraction(value)))
    if not isinstance(exact, sympy.Rational):
        raise InputError(f"--variance must be a rational number such as 1, 0.5 or 9/4, not {value!r}")
    q = Fraction(int(exact.p), int(exact.q))
    low, high = _VARIANCE_RANGE
    if not low <= q <= high:
        raise InputError(f"--variance must be between {float(low):g} and {float(high):g}, not {value!r}")
    return q


def _norms(value: str | tuple[float | str, float | str]) -> tuple[Fraction, Fraction]:
    """The range of norms, exactly as it was written."""
    parts: Sequence[float | str] = value.split(",") if isinstance(value, str) else tuple(value)
    if len(parts) != 2:
        raise InputError(f"--norms takes two numbers LOW,HIGH such as 1/4,4, not {value!r}")
    low, high = (_number("--norms", part) for part in parts)
    least, most = _NORM_RANGE
    if not least <= low < high <= most:
        raise InputError(
            f"--norms must be LOW,HIGH with {float(least):g} <= LOW < HIGH <= {float(most):g}, not {value!r}"
        )
    return low, high


def _number(option: str, value: float | str | Fraction) -> Fraction:
    """A rational number as it was written; a float is taken for the decimal it prints as."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{option} must be a finite number, not {value!r}")
    exact = parse_parameter_value(value if isinstance(value, str) else str(value))
    if not isinstance(exact, sympy.Rational):
        raise InputError(f"{option} takes rational numbers such as 4, 0.25 or 1/4, not {value!r}")
    return Fraction(int(exact.p), int(exact.q))


def versions() -> dict[str, str]:
    """Versions that the bytes depend on."""
    found = {"kernelc": __version__}
    for package in ("sympy", "mpmath", "numpy", "python-flint"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def page_of(certificate: Mapping[str, Any]) -> str:
    """The HTML report of a compiled kernel from its certificate, the activation drawn from the recorded request.

    What the request does not say, or what cannot be read of it, is left out of the page.
    """
    return page(certificate, _curve_of(certificate))


def _curve_of(certificate: Mapping[str, Any]) -> ActivationCurve | None:
    try:
        request = certificate["request"]
        spec = parse_activation(str(request["expression"]), name="sigma", parameters=dict(request["parameters"]))
        deviation = math.sqrt(_variance(request["variance"]))
        points = [float(point["at"]) for point in certificate["breakpoints"]]
        slopes = "refused" not in certificate["kappa_dot"]
    except (KernelcError, KeyError, TypeError, ValueError):
        return None
    return activation_curve(spec.expression, deviation, points, slopes=slopes)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `kernelc check` found of one kernel."""

    name: str
    ok: bool
    messages: tuple[str, ...]


def check(name: str, out: Path, deep: bool = False, progress: Progress | None = None) -> CheckResult:
    """Derive a compiled kernel again from its recorded request and compare every file byte by byte.

    `deep` adds kappa at sampled rho by two-dimensional quadrature in mpmath.
    """
    watch = SilentProgress() if progress is None else progress
    folder = Path(out) / name
    try:
        certificate = load_certificate(Path(out), name)
        kernel = _again(certificate, name, watch)
    except (KernelcError, KeyError, TypeError) as error:
        return CheckResult(name, False, (f"cannot be derived again: {error}",))
    problems = _differences(kernel, folder)
    notes = _deep_check(kernel, watch) if deep and not problems else []
    failed = problems + [n for n in notes if n.startswith("differs")]
    return CheckResult(name, not failed, tuple(problems + notes) or ("every file is what the code would write",))


def _again(certificate: Mapping[str, Any], name: str, watch: Progress) -> Kernel:
    request = certificate["request"]
    return compile_activation(
        request["expression"],
        name=name,
        parameters=request["parameters"],
        variance=request["variance"],
        degree=request["degree"],
        tol=request["tol"],
        precision=request["precision"],
        norms=request["norms"],
        backends=tuple(request["backends"]),
        progress=watch,
    )


def _differences(kernel: Kernel, folder: Path) -> list[str]:
    expected = dict(kernel.module.files)
    found = {
        p.relative_to(folder).as_posix(): p
        for p in sorted(folder.rglob("*"))
        if p.is_file() and "__pycache__" not in p.parts
    }
    problems = [f"{path} is missing" for path in expected if path not in found]
    problems += [f"{path} does not belong there" for path in found if path not in expected and path != PAGE_FILE]
    for path, text in expected.items():
        if path in found and found[path].read_bytes() != text.encode():
            problems.append(f"{path} is not what the code would write")
    if PAGE_FILE in found and not is_page_of(found[PAGE_FILE].read_bytes(), expected[CERTIFICATE_FILE]):
        problems.append(f"{PAGE_FILE} was made from another certificate; delete it, or compile again")
    return problems


def _deep_check(kernel: Kernel, watch: Progress) -> list[str]:
    """kappa at sampled rho by the slow road, against the certified coefficients and the direct evaluation."""
    spec, options = kernel.module.kernel.spec, kernel.module.kernel.options
    traits = analyse(spec, options.variance)
    statement = kernel.certificate["kappa"]
    notes = []
    for i, rho in enumerate(_DEEP_RHOS):
        watch.step(f"two-dimensional quadrature at rho = {rho}", i / len(_DEEP_RHOS))
        value = float(kappa_by_quadrature(spec.expression, traits, options.variance, rho))
        series = sum(c.mid * rho**k for k, c in enumerate(kernel.coefficients))
        gap = abs(value - series)
        allowed = statement.get("truncation_bound", 0.0) * abs(rho) ** (kernel.certificate["degree"] + 1)
        verdict = "agrees" if gap <= allowed + _DEEP_TOLERANCE * statement["moment"] else "differs"
        notes.append(f"{verdict}: kappa({rho}) by quadrature is {value:.12g}, by the series {series:.12g}")
    return notes
