"""Certificate: balls -> doubles with bounds, every hypothesis checked, every number with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy
from flint import ctx

from kernelc.certificate.norms import norm_statement
from kernelc.certificate.oracle import OracleResult
from kernelc.certificate.series import certify_series, tails
from kernelc.errors import InputError
from kernelc.model import (
    ActivationSpec,
    ActivationTraits,
    CertifiedKernel,
    CompileOptions,
    DirectEvaluation,
    Growth,
    HermiteExpansion,
    NormFit,
)

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CertificateInputs:
    """What the earlier stages found, all that a certificate is made of."""

    spec: ActivationSpec
    options: CompileOptions
    traits: ActivationTraits
    expansion: HermiteExpansion
    direct: DirectEvaluation
    oracle: OracleResult
    versions: Mapping[str, str]
    closed_form: Mapping[str, Any] | None
    no_closed_form: str | None
    norms: NormFit


def degree_for_tolerance(expansion: HermiteExpansion, tolerance: float) -> int:
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
    certificate = {
        **_identity(inputs, degree),
        **_traits(traits),
        "closed_form": None if inputs.closed_form is None else dict(inputs.closed_form),
        "closed_form_reason": inputs.no_closed_form,
        **_status(inputs),
        "kappa": kappa.statement,
        "kappa_dot": derivative.statement if derivative is not None else {"refused": traits.derivative_refused},
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
            "expression": spec.text,
            "parameters": {name: str(value) for name, value in spec.parameters},
            "variance": str(options.variance),
            "degree": options.degree,
            "tol": options.tol,
            "precision": options.precision,
            "norms": ",".join(map(str, options.norms)),
            "backends": list(options.backends),
        },
        "source": spec.source,
        "variance": str(options.variance),
        "degree": degree,
        "method": {
            "integrals": "Gauss-Legendre panels in ball arithmetic, error by Bernstein ellipses",
            "precision_bits": inputs.expansion.precision,
            "nodes": inputs.expansion.nodes,
            "panels": inputs.expansion.panels,
        },
    }


def _traits(traits: ActivationTraits) -> dict[str, Any]:
    degree = traits.homogeneous_degree
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
