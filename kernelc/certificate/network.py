"""What is proved of a network's kernels: the same statement as of kappa, about the composed series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flint import ctx

from kernelc.certificate.series import SeriesFacts, certify_series
from kernelc.model import ComposedSeries, DirectDual, NetworkCoefficients, NetworkDirect, NetworkExpansion


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Literals with radii, and the JSON-ready statement about them."""

    coefficients: NetworkCoefficients
    statement: dict[str, Any]


def certify_network(network: NetworkExpansion, direct: NetworkDirect) -> NetworkFacts:
    """The certificate of both kernels of a network, cut after the network's degree."""
    with ctx.workprec(network.precision + 64):
        nngp = _certified(network, network.nngp, direct.nngp)
        ntk = None
        if network.ntk is not None and direct.ntk is not None:
            ntk = _certified(network, network.ntk, direct.ntk)
        p = network.homogeneous_degree
        statement = {
            "depth": network.depth,
            "w_std": 1.0,
            "b_std": 0.0,
            "variances": [float(q.mid()) for q in network.variances],
            "homogeneous_degree": None if p is None else str(p),
            "degree": network.degree,
            "composed": {"layer_degree": network.outer_degree, "precision_bits": network.precision},
            "status": "certified" if network.proved else "estimated",
            "nngp": nngp.statement,
            "ntk": {"refused": network.refused} if ntk is None else ntk.statement,
        }
    return NetworkFacts(NetworkCoefficients(nngp.literals, None if ntk is None else ntk.literals), statement)


def _certified(network: NetworkExpansion, composed: ComposedSeries, direct: DirectDual) -> SeriesFacts:
    return certify_series(composed.series, network.degree, direct, proved=network.proved, shortfall=composed.shortfall)
