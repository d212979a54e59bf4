"""Choose the operations and write the facts that the emitted header states."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from kernelc.model import (
    Ball,
    CertifiedKernel,
    CompileOptions,
    DirectDual,
    DirectEvaluation,
    DualKernelSpec,
    DualKernelTraits,
    NetworkDirect,
    Traits,
)
from kernelc.program import (
    BACKEND_NAMES,
    ClosedFormDual,
    ClosedFormProgram,
    DualProgram,
    KernelProgram,
    NetworkProgram,
    NormProgram,
    PowerSeries,
    Provenance,
    ThetaChebyshev,
)

#: Stands for kinks that are not known: at 0 and off 0.
_ANYWHERE = (0.0, 1.0)

_DEFAULT_NORMS = CompileOptions("").norms


def lower(
    kernel: CertifiedKernel,
    traits: Traits,
    direct: DirectEvaluation,
    closed_form: ClosedFormProgram | None = None,
    norms: NormProgram | None = None,
    network: NetworkDirect | None = None,
) -> KernelProgram:
    """The typed program of one kernel; a closed form that does not hold at its variance is left out."""
    derivative = None
    if kernel.derivative_coefficients is not None and direct.kappa_dot is not None:
        derivative = _dual(kernel.derivative_coefficients, direct.kappa_dot)
    degree = traits.homogeneous_degree
    return KernelProgram(
        name=kernel.options.name,
        variance=float(kernel.options.variance),
        homogeneous_degree=None if degree is None else float(degree),
        kappa=_dual(kernel.coefficients, direct.kappa),
        kappa_dot=derivative,
        derivative_refused=None if derivative is not None else traits.derivative_refused,
        provenance=_provenance(kernel),
        closed_form=_serving(closed_form, float(kernel.options.variance), derivative is not None, traits),
        norms=norms,
        network=None if network is None else _network(kernel, network),
        breakpoints=_breakpoints(traits, direct),
    )


def _breakpoints(traits: Traits, direct: DirectEvaluation) -> tuple[float, ...]:
    """Where sigma is not analytic; of an unknown sigma whose kernel is no short power series, anywhere."""
    if not isinstance(traits, DualKernelTraits):
        return tuple(sorted(float(point) for point in traits.breakpoints))
    if not isinstance(direct.kappa.evaluation, ThetaChebyshev):
        return ()
    return _ANYWHERE


def _network(kernel: CertifiedKernel, direct: NetworkDirect) -> NetworkProgram:
    coefficients, ntk = kernel.network, None
    assert coefficients is not None
    if coefficients.ntk is not None and direct.ntk is not None:
        ntk = _dual(coefficients.ntk, direct.ntk)
    refused = kernel.certificate["network"]["ntk"].get("refused")
    return NetworkProgram(kernel.options.depth, _dual(coefficients.nngp, direct.nngp), ntk, refused)


def _serving(
    form: ClosedFormProgram | None, variance: float, differentiable: bool, traits: Traits
) -> ClosedFormProgram | None:
    """The closed form where it holds at the variances met: the compiled one, or those scaled into [1, 4]."""
    degree = traits.homogeneous_degree
    met = (variance, variance) if degree is None else (1.0, 4.0)

    def holds(dual: ClosedFormDual) -> bool:
        return dual.variances[0] <= met[0] and met[1] <= dual.variances[1]

    if form is None or not holds(form.dual) or (degree is not None and degree != round(degree)):
        return None
    dot = form.dual_dot
    return form if dot is None or (differentiable and holds(dot)) else replace(form, dual_dot=None)


def _dual(coefficients: tuple[Ball, ...], direct: DirectDual) -> DualProgram:
    values = tuple(b.mid for b in coefficients)
    return DualProgram(direct.evaluation, PowerSeries.of(values), direct.at_one, direct.at_minus_one)


def command_line(kernel: CertifiedKernel) -> str:
    """The command that writes this kernel again."""
    spec, options = kernel.spec, kernel.options
    formula = ["--dual", spec.text] if isinstance(spec, DualKernelSpec) else [spec.text]
    words = ["kernelc", "compile", *formula, "--name", options.name]
    for name, value in spec.parameters:
        words += ["--param", f"{name}={value}"]
    if options.variance != 1:
        words += ["--variance", str(options.variance)]
    if options.degree is not None:
        words += ["--degree", str(options.degree)]
    if options.tol is not None:
        words += ["--tol", repr(options.tol)]
    if options.precision is not None:
        words += ["--precision", str(options.precision)]
    if options.depth > 1:
        words += ["--depth", str(options.depth)]
    if options.norms != _DEFAULT_NORMS:
        words += ["--norms", ",".join(map(str, options.norms))]
    if set(options.backends) != set(BACKEND_NAMES):
        words += [word for name in options.backends for word in ("--backend", name)]
    return shlex.join(words)


def _provenance(kernel: CertifiedKernel) -> Provenance:
    certificate = kernel.certificate
    statements = [
        f"status: {certificate['status']} ({certificate['status_reason']})",
        *_bounds("kappa_series", certificate["kappa"]),
    ]
    derivative = certificate["kappa_dot"]
    if "refused" in derivative:
        statements.append(f"kappa_dot and ntk are refused: {derivative['refused']}")
    else:
        statements += _bounds("kappa_dot_series", derivative)
    for name in ("nngp", "ntk") if "network" in certificate else ():
        statements += _network_bounds(certificate["network"]["depth"], name, certificate["network"][name])
    return Provenance(
        command=command_line(kernel),
        expression=kernel.spec.text,
        versions=tuple(sorted(certificate["versions"].items())),
        statements=tuple(statements),
    )


def _network_bounds(depth: int, name: str, statement: dict[str, Any]) -> list[str]:
    if "refused" in statement:
        return [f"{name} of {depth} hidden layers is refused: {statement['refused']}"]
    first, second = _bounds("network_kappa_series", statement)
    about = f"of the {name} of {depth} hidden layers, "
    return [
        first.replace("network_kappa_series: ", f"network_series {about}"),
        second.replace("network_kappa: ", f"network_kappa {about}"),
    ]


def _bounds(name: str, statement: dict[str, Any]) -> list[str]:
    kind = "bound" if "truncation_bound" in statement else "estimate"
    direct = statement["direct"]
    direct_kind = "error_bound" if "error_bound" in direct else "error_estimate"
    return [
        f"{name}: |error| on [-1, 1], total {kind} {statement[f'total_{kind}']['float64']!r} (float64), "
        f"{statement[f'total_{kind}']['float32']!r} (float32); truncation {statement[f'truncation_{kind}']!r}",
        f"{name.removesuffix('_series')}: {direct['method']}, {direct_kind} {direct[direct_kind]!r} of its value at 1",
    ]
