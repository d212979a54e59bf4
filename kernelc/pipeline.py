"""The compiler as a table of contents: each stage hands one frozen object to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import sympy

from kernelc._version import __version__
from kernelc.analysis import analyse
from kernelc.backends import emit
from kernelc.certificate import (
    CertificateInputs,
    activation_curve,
    certify,
    check_expansion,
    check_given,
    degree_for_tolerance,
    kappa_by_quadrature,
)
from kernelc.closedform import ClosedFormStatement, state_closed_form, state_given_form
from kernelc.dualkernel import AngularValues, analyse_dual, expand_dual
from kernelc.errors import InputError, KernelcError
from kernelc.expansion import expand
from kernelc.fitting import fit, fit_given, fit_network, fit_norms
from kernelc.functions.envelope import fraction_of
from kernelc.gallery import GALLERY, resolve
from kernelc.kernel import Kernel, plans_to_show
from kernelc.lowering import lower
from kernelc.model import (
    ActivationCurve,
    ActivationSpec,
    ActivationTraits,
    CompileOptions,
    DualKernelSpec,
    Expansion,
    HermiteExpansion,
    NetworkDirect,
    NetworkExpansion,
    NormFit,
    Spec,
    Traits,
)
from kernelc.networks import Layered, expand_network
from kernelc.options import DEFAULT_NORMS, MAX_DEGREE, Range, make_options, read_variance
from kernelc.parse import dual_from_sympy, from_sympy, parse_activation, parse_dual
from kernelc.planfile import PLAN_FILE, plan_problem
from kernelc.program import BACKEND_NAMES
from kernelc.progress import Progress, SilentProgress
from kernelc.report import is_page_of, page
from kernelc.writer import CERTIFICATE_FILE, PAGE_FILE, load_certificate

DEFAULT_DEGREE = 64
_SMOOTH_DEGREE = 256
_KINKED_DEGREE = 512
#: Room above the declared norms, and standard deviations beyond which no table looks.
_NORM_ROOM, _DEVIATIONS = 1.5, 80
_DEEP_RHOS = (-0.8, 0.3, 0.9)
_DEEP_TOLERANCE = 1e-9


def compile_activation(
    expression: str | sympy.Expr | None = None,
    *,
    name: str,
    dual: str | sympy.Expr | None = None,
    parameters: Mapping[str, str | int | float | Fraction] | None = None,
    variance: str | Fraction | float = 1,
    degree: int | None = None,
    tol: float | None = None,
    precision: int | None = None,
    norms: Range = DEFAULT_NORMS,
    backends: tuple[str, ...] = BACKEND_NAMES,
    depth: int = 1,
    progress: Progress | None = None,
) -> Kernel:
    """Compile an activation: parse, analyse, expand in balls, fit, certify, lower, emit. Writes nothing.

    In place of `expression`, `dual` gives a dual kernel whose activation is unknown: a formula in rho (times
    |x| |y|), or in q11, q12, q22.

    Raises:
        InputError: the text, a name or an option is not accepted.
        NotSquareIntegrableError: sigma(sZ) is not square integrable at this variance.
        CertificationError: two roads to one number disagree; nothing is emitted.
    """
    watch = SilentProgress() if progress is None else progress
    options = make_options(name, variance, degree, tol, precision, backends, norms, depth)
    watch.step("parsing", 0.02)
    spec = _specified(expression, dual, name, parameters or {})
    kept, form, traits, inputs = (
        _from_activation(spec, options, watch)
        if isinstance(spec, ActivationSpec)
        else _from_dual_kernel(spec, options, watch)
    )
    if options.depth > 1:
        network, network_direct = _network(inputs, kept, watch)
        inputs = replace(inputs, network=network, network_direct=network_direct)
    watch.step("certifying", 0.9)
    kernel = certify(inputs, kept)
    program = lower(kernel, traits, inputs.direct, form.program, inputs.norms.program, inputs.network_direct)
    watch.step("emitting", 0.97)
    return Kernel(emit(program, kernel, options.backends))


_Stages = tuple[int, ClosedFormStatement, Traits, CertificateInputs]


def _network(inputs: CertificateInputs, kept: int, watch: Progress) -> tuple[NetworkExpansion, NetworkDirect]:
    """The composed kernels of a deep network, each layer's expansion checked by mpmath as the first one's is."""
    spec, traits, options = inputs.spec, inputs.traits, inputs.options

    def report(message: str) -> None:
        watch.step(message, 0.85)

    def again(outer: int, bits: int) -> Expansion:
        if isinstance(traits, ActivationTraits):
            return expand(traits, options.variance, 0, outer, bits)
        return expand_dual(traits, options.variance, 0, outer, bits)

    first = Layered(spec, traits, inputs.expansion, again)
    layers, network = expand_network(first, options, kept, report)
    for number, layer in enumerate(layers[1:], start=2):
        if isinstance(spec, ActivationSpec) and traits.homogeneous_degree is None:
            assert isinstance(layer.traits, ActivationTraits)
            assert isinstance(layer.expansion, HermiteExpansion)
            report(f"checking hidden layer {number} by mpmath")
            check_expansion(spec.expression, layer.traits, layer.expansion, fraction_of(layer.variance.mid()), kept)
    return network, fit_network(layers, network, inputs.direct, report)


def _from_activation(spec: ActivationSpec, options: CompileOptions, watch: Progress) -> _Stages:
    """From sigma to all that a certificate is made of."""
    variance = options.variance
    watch.step("analysing", 0.05)
    traits = analyse(spec, variance)
    watch.step("expanding in Hermite polynomials", 0.15)
    last = _KINKED_DEGREE if traits.breakpoints else _SMOOTH_DEGREE
    if traits.growth is not None and traits.growth.quadratic > 0:
        last = MAX_DEGREE  # sigma^2 reaches too far out for quadrature in doubles: the series must do
    kept, expansion = _expanded(
        lambda kept, last: expand(traits, variance, kept, last, options.precision), last, options
    )
    watch.step("checking by mpmath", 0.4)
    oracle = check_expansion(spec.expression, traits, expansion, variance, kept)
    watch.step("fitting the direct evaluation", 0.6)
    direct = fit(traits, expansion, variance, lambda message: watch.step(message, 0.7))
    watch.step("deriving the closed form", 0.75)
    form = state_closed_form(spec.expression)
    norms = fit_norms(
        _farther(spec, traits, options.norm_range[1]),
        expansion,
        float(variance),
        options.norm_range,
        kept,
        form.program is not None,
        lambda message: watch.step(message, 0.8),
    )
    inputs = CertificateInputs(
        spec, options, traits, expansion, direct, oracle, versions(), form.content, form.reason, norms
    )
    return kept, form, traits, inputs


def _farther(spec: ActivationSpec, traits: ActivationTraits, norm: float) -> ActivationTraits:
    """The traits on a range that serves inputs up to `norm`; those at the compiled variance where there are none.

    Where breakpoints are searched for, not solved for, the compiled variance says how far.
    """
    if traits.range_limit >= _DEVIATIONS * norm:
        return traits
    try:
        farther = analyse(spec, Fraction(math.ceil((_NORM_ROOM * norm) ** 2)))
    except KernelcError:
        return traits
    return farther if farther.range_limit > traits.range_limit else traits


def _from_dual_kernel(spec: DualKernelSpec, options: CompileOptions, watch: Progress) -> _Stages:
    """The same where sigma is unknown: from its dual kernel."""
    variance = options.variance
    watch.step("analysing", 0.05)
    traits = analyse_dual(spec, variance)
    watch.step("expanding in powers of rho", 0.15)
    kept, expansion = _expanded(
        lambda kept, last: expand_dual(traits, variance, kept, last, options.precision), _KINKED_DEGREE, options
    )
    watch.step("checking by mpmath", 0.4)
    oracle = check_given(traits, expansion, variance, kept)
    watch.step("fitting the direct evaluation", 0.6)
    values = AngularValues(traits)
    direct = fit_given(traits.parity, expansion, values, lambda message: watch.step(message, 0.7))
    watch.step("deriving the closed form", 0.8)
    form = state_given_form(spec, traits)
    norms = NormFit(options.norm_range, None, None, "sigma is unknown: the given formula serves other norms", 0, 0, ())
    inputs = CertificateInputs(
        spec, options, traits, expansion, direct, oracle, versions(), form.content, form.reason, norms
    )
    return kept, form, traits, inputs


def _specified(
    expression: str | sympy.Expr | None,
    dual: str | sympy.Expr | None,
    name: str,
    parameters: Mapping[str, str | int | float | Fraction],
) -> Spec:
    if (expression is None) == (dual is None):
        raise InputError("give either an activation or a dual kernel (dual=...), and not both")
    if not isinstance(parameters, Mapping):
        raise InputError(f"parameters: names with their values, such as {{'A': '1/5'}}, not {parameters!r}")
    if isinstance(expression, str):
        entry = GALLERY.get(expression.strip())
        text, values = resolve(expression, {key: str(value) for key, value in parameters.items()})
        if entry is None or not entry.dual:
            return parse_activation(text, name=name, parameters=values, source=_source(text, dual=False))
        dual, parameters = text, values
    elif expression is not None:
        return from_sympy(expression, name=name, parameters=parameters)
    if isinstance(dual, str):
        return parse_dual(dual, name=name, parameters=parameters, source=_source(dual, dual=True))
    assert dual is not None
    return dual_from_sympy(dual, name=name, parameters=parameters)


def _source(text: str, *, dual: bool) -> str | None:
    """Where the gallery has this very formula from."""
    formula = " ".join(text.split())
    return next((entry.source for entry in GALLERY.values() if entry.formula == formula and entry.dual == dual), None)


_Expanded = TypeVar("_Expanded", bound=Expansion)


def _expanded(expand_to: Callable[[int, int], _Expanded], last: int, options: CompileOptions) -> tuple[int, _Expanded]:
    """The degree to keep and the expansion to beyond it; --tol is searched for with growing degrees."""
    if options.tol is None:
        kept = DEFAULT_DEGREE if options.degree is None else options.degree
        return kept, expand_to(kept, max(last, kept))
    for top in (last, MAX_DEGREE):
        try:
            kept = degree_for_tolerance(expand_to(0, top), options.tol)
        except InputError:
            # Perhaps only the working precision hid how small the tail is.
            try:
                kept = degree_for_tolerance(expand_to(top, top), options.tol)
            except InputError:
                if top == MAX_DEGREE:
                    raise
                continue
        return kept, expand_to(kept, max(last, kept))
    raise InputError("no degree reaches the tolerance")


def versions() -> dict[str, str]:
    """Versions that the bytes depend on."""
    found = {"kernelc": __version__}
    for package in ("sympy", "mpmath", "numpy", "python-flint"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def page_of(certificate: Mapping[str, Any], folder: Path) -> str:
    """The HTML report of the compiled kernel in `folder`, its activation drawn from the recorded request.

    What the request does not say, or what cannot be read of it, is left out of the page. The package's tables are
    loaded for its plans.
    """
    names = ("_tables.py", "_norm_tables.py")
    files = {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file()}
    return page(certificate, _curve_of(certificate), plans_to_show(files, certificate))


def _curve_of(certificate: Mapping[str, Any]) -> ActivationCurve | None:
    try:
        request = certificate["request"]
        if request["expression"] is None:
            return None
        spec = parse_activation(str(request["expression"]), name="sigma", parameters=dict(request["parameters"]))
        deviation = math.sqrt(read_variance(request["variance"]))
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
    except (KernelcError, AttributeError, LookupError, TypeError, ValueError) as error:
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
        dual=request.get("dual"),
        parameters=request["parameters"],
        variance=request["variance"],
        degree=request["degree"],
        tol=request["tol"],
        precision=request["precision"],
        norms=request["norms"],
        backends=tuple(request["backends"]),
        depth=request.get("depth", 1),
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
    extra = (PAGE_FILE, PLAN_FILE)
    problems += [f"{path} does not belong there" for path in found if path not in expected and path not in extra]
    for path, text in expected.items():
        if path in found and found[path].read_bytes() != text.encode():
            problems.append(f"{path} is not what the code would write")
    if PAGE_FILE in found and not is_page_of(found[PAGE_FILE].read_bytes(), expected[CERTIFICATE_FILE]):
        problems.append(f"{PAGE_FILE} was made from another certificate; delete it, or compile again")
    if PLAN_FILE in found:
        wrong = plan_problem(found[PLAN_FILE].read_text(encoding="utf-8", errors="replace"), kernel.plan)
        problems += [] if wrong is None else [wrong]
    return problems


def _deep_check(kernel: Kernel, watch: Progress) -> list[str]:
    """kappa at sampled rho by the slow road, against the certified coefficients and the direct evaluation."""
    spec, options = kernel.module.kernel.spec, kernel.module.kernel.options
    if isinstance(spec, DualKernelSpec):
        return []  # the compile itself has compared the given kernel with its series at sampled rho
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
