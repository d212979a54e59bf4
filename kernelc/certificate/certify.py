"""Certificate: balls -> doubles with bounds, every hypothesis checked, every number with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy
from flint import ctx

from kernelc.certificate.network import certify_network
from kernelc.certificate.norms import norm_statement
from kernelc.certificate.oracle import OracleResult
from kernelc.certificate.series import certify_series, tails
from kernelc.errors import InputError
from kernelc.model import (
    ActivationTraits,
    CertifiedKernel,
    CompileOptions,
    DirectEvaluation,
    DualKernelSpec,
    DualKernelTraits,
    Expansion,
    GivenExpansion,
    Growth,
    NetworkDirect,
    NetworkExpansion,
    NormFit,
    Spec,
    Traits,
)

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CertificateInputs:
    """What the earlier stages found, all that a certificate is made of."""

    spec: Spec
    options: CompileOptions
    traits: Traits
    expansion: Expansion
    direct: DirectEvaluation
    oracle: OracleResult
    versions: Mapping[str, str]
    closed_form: Mapping[str, Any] | None
    no_closed_form: str | None
    norms: NormFit
    network: NetworkExpansion | None = None
    network_direct: NetworkDirect | None = None


def degree_for_tolerance(expansion: Expansion, tolerance: float) -> int:
    """The least degree whose proved truncation of kappa is at most `tolerance`.

    Raises:
        InputError: no computed degree reaches it; the message says what is reached.
    """
    with ctx.workprec(expansion.precision + 64):
        by_degree = tails(expansion.kappa)
        for degree, tail in enumerate(by_degree):
            if tail <= tolerance:
                return degree
        reached = float(by_degree[-1].upper())
    raise InputError(
        f"no degree up to {len(by_degree) - 1} brings the truncation bound of kappa to {tolerance:g}: "
        f"degree {len(by_degree) - 1} reaches {reached:.3g}; ask for --tol {_rounded_up(reached)} or more"
    )


def _rounded_up(x: float) -> str:
    return f"{x * 1.05:.1e}"


def certify(inputs: CertificateInputs, degree: int) -> CertifiedKernel:
    """The kernel's doubles and its certificate, cut after `degree`."""
    expansion, traits = inputs.expansion, inputs.traits
    with ctx.workprec(expansion.precision + 64):
        kappa = certify_series(expansion.kappa, degree, inputs.direct.kappa, proved=expansion.proved)
        derivative = None
        if expansion.kappa_dot is not None and inputs.direct.kappa_dot is not None:
            derivative = certify_series(expansion.kappa_dot, degree, inputs.direct.kappa_dot, proved=expansion.proved)
    network = None
    if inputs.network is not None and inputs.network_direct is not None:
        network = certify_network(inputs.network, inputs.network_direct)
    certificate = {
        **_identity(inputs, degree),
        **_traits(traits),
        "dual_kernel": _given(inputs.spec, traits),
        "closed_form": None if inputs.closed_form is None else dict(inputs.closed_form),
        "closed_form_reason": inputs.no_closed_form,
        **_status(inputs),
        "kappa": kappa.statement,
        "kappa_dot": derivative.statement if derivative is not None else {"refused": traits.derivative_refused},
        **({} if network is None else {"network": network.statement}),
        "norms": norm_statement(inputs.norms),
        "mpmath": inputs.oracle.statement(),
        "versions": dict(inputs.versions),
    }
    return CertifiedKernel(
        inputs.spec,
        inputs.options,
        kappa.literals,
        None if derivative is None else derivative.literals,
        certificate,
        None if network is None else network.coefficients,
    )


def _identity(inputs: CertificateInputs, degree: int) -> dict[str, Any]:
    spec, options = inputs.spec, inputs.options
    return {
        "schema": SCHEMA,
        "name": options.name,
        "expression": spec.text,
        "latex": sympy.latex(spec.expression),
        "parameters": {name: str(value) for name, value in spec.parameters},
        "request": {
            "expression": None if isinstance(spec, DualKernelSpec) else spec.text,
            "dual": spec.text if isinstance(spec, DualKernelSpec) else None,
            "parameters": {name: str(value) for name, value in spec.parameters},
            "variance": str(options.variance),
            "degree": options.degree,
            "tol": options.tol,
            "precision": options.precision,
            "norms": ",".join(map(str, options.norms)),
            "backends": list(options.backends),
            **({"depth": options.depth} if options.depth > 1 else {}),
        },
        "source": spec.source,
        "variance": str(options.variance),
        "degree": degree,
        "method": _method(inputs.expansion),
    }


def _method(expansion: Expansion) -> dict[str, Any]:
    if isinstance(expansion, GivenExpansion):
        return {"coefficients": "Taylor expansion in ball arithmetic", "precision_bits": expansion.precision}
    return {
        "integrals": "Gauss-Legendre panels in ball arithmetic, error by Bernstein ellipses",
        "precision_bits": expansion.precision,
        "nodes": expansion.nodes,
        "panels": expansion.panels,
    }


def _given(spec: Spec, traits: Traits) -> dict[str, Any] | None:
    """What a dual kernel that was given says, and what is proved of it; None for an activation."""
    if not isinstance(spec, DualKernelSpec) or not isinstance(traits, DualKernelTraits):
        return None
    in_rho = spec.variables == "correlation"
    return {
        "variables": ["rho"] if in_rho else ["q11", "q12", "q22"],
        "meaning": (
            "T(q11, q12, q22) = sqrt(q11 q22) k(q12/sqrt(q11 q22)), k(rho) the expression"
            if in_rho
            else "T(q11, q12, q22) is the expression"
        ),
        "symmetric": "proved" if traits.symmetric else "agrees at samples",
        "positive_definite": (
            "the computed coefficients at the compiled variance are >= 0 in balls; "
            + (f"so are all others: {traits.positive}" if traits.positive else "of the others nothing is proved")
        ),
    }


def _traits(traits: Traits) -> dict[str, Any]:
    degree = traits.homogeneous_degree
    if isinstance(traits, DualKernelTraits):
        return {
            "parity": traits.parity,
            "breakpoints": [],
            "homogeneous_degree": None if degree is None else str(degree),
            "growth": None,
        }
    return {
        "parity": traits.parity,
        "breakpoints": [
            {"at": float(p), "exact": None if p.exact is None else str(p.exact), "kind": p.kind}
            for p in traits.breakpoints
        ],
        "homogeneous_degree": None if degree is None else str(degree),
        "growth": None if traits.growth is None else _growth(traits.growth),
    }


def _growth(growth: Growth) -> dict[str, Any]:
    return {
        "statement": "|sigma(t)| <= scale (1+|t|)^power exp(quadratic t^2 + linear |t|) for |t| >= beyond",
        "scale": float(growth.scale) * (1 + 2**-50),
        "power": str(growth.power),
        "linear": float(growth.linear),
        "quadratic": str(growth.quadratic) if growth.quadratic.denominator < 10**6 else float(growth.quadratic),
        "beyond": float(growth.beyond),
    }


def _status(inputs: CertificateInputs) -> dict[str, Any]:
    expansion = inputs.expansion
    if isinstance(expansion, GivenExpansion):
        proved = (
            "every coefficient is enclosed in a ball and >= 0, the tail is kappa(1) minus the kept coefficients: "
            f"{inputs.traits.positive if isinstance(inputs.traits, DualKernelTraits) else ''}"
        )
        return {
            "status": "certified" if expansion.proved else "estimated",
            "status_reason": proved if expansion.proved else expansion.doubt,
        }
    assert isinstance(inputs.traits, ActivationTraits)
    if not inputs.expansion.proved:
        return {
            "status": "estimated",
            "status_reason": (
                "no growth bound of sigma could be derived: what lies far out is not bounded"
                if inputs.traits.growth is None
                else "zeros of a condition in the formula could not be told apart: between them nothing is bounded"
            ),
        }
    return {
        "status": "certified",
        "status_reason": (
            "every integral is enclosed in balls with analyticity checked, the tails by a proved growth bound"
        ),
    }
