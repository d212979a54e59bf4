"""A certificate as the compiler writes it, with made-up numbers, for tests of what reads certificates."""

from __future__ import annotations

from typing import Any

REFUSAL = "sigma jumps at t = 1, so sigma' is not square integrable and the NTK is infinite at rho = 1"


def kernel_part(direct: str = "theta_chebyshev") -> dict[str, Any]:
    """The `kappa` entry of a certificate; 41 coefficients."""
    return {
        "moment": 0.42521,
        "moment_ball": {"mid": 0.42521, "rad": 1e-17},
        "coefficients": [2.0**-k for k in range(41)],
        "coefficient_radii": [1e-20] * 41,
        "truncation_bound": 1.23456e-7,
        "literal_rounding_bound": 2.5e-17,
        "evaluation_bound": {"float32": 4.1e-6, "float64": 7.7e-15},
        "total_bound": {"float32": 4.3e-6, "float64": 1.24e-7},
        "truncation_bound_at": {"0.5": 1e-13, "0.9": 2e-9, "0.99": 8.8e-8},
        "bound_by_degree": [[k, 0.3 * 0.7**k] for k in range(41)],
        "observed_by_degree": [[k, 0.25 * 0.7**k] for k in range(41)],
        "samples": {"rho": [-1.0, 0.0, 0.5, 1.0], "value": [0.1, 0.2, 0.3, 0.42521]},
        "degree_for": {
            "0.001": {"degree": 17, "kind": "proved"},
            "1e-06": {"degree": 123456, "kind": "asymptotic_estimate"},
            "1e-09": None,
        },
        "direct": {"method": direct, "terms": 31, "panels": 1, "status": "estimated", "error_estimate": 3e-15},
    }


def certificate(name: str = "my_silu", *, refused: bool = False) -> dict[str, Any]:
    """A whole certificate; `refused`: one whose derivative's kernel does not exist."""
    return {
        "schema": 1,
        "name": name,
        "expression": "t*sigmoid(t)",
        "latex": "t \\operatorname{sigmoid}(t)",
        "parameters": {"A": "3/2"},
        "request": {"expression": "t*sigmoid(t)"},
        "variance": "1",
        "degree": 40,
        "parity": "none",
        "breakpoints": [{"at": 1.0, "exact": "1", "kind": "jump"}] if refused else [],
        "homogeneous_degree": None,
        "closed_form": None,
        "closed_form_reason": "",
        "growth": {"scale": "1", "power": "1", "linear": "0", "quadratic": "0", "beyond": "8"},
        "status": "certified",
        "status_reason": "",
        "kappa": kernel_part(),
        "kappa_dot": {"refused": REFUSAL} if refused else kernel_part("power_series"),
        "mpmath": {"digits": 30, "samples": 12, "max_observed_error": 1.1e-16, "agrees": True},
        "versions": {"kernelc": "0.1.0", "python": "3.11"},
    }
