"""Stage 5, certificate: what is proved, and the independent second road."""

from __future__ import annotations

from kernelc.certificate.certify import CertificateInputs, certify, degree_for_tolerance
from kernelc.certificate.curve import activation_curve
from kernelc.certificate.given import check_given
from kernelc.certificate.oracle import OracleResult, check_expansion, kappa_by_quadrature

__all__ = [
    "CertificateInputs",
    "OracleResult",
    "activation_curve",
    "certify",
    "check_expansion",
    "check_given",
    "degree_for_tolerance",
    "kappa_by_quadrature",
]
