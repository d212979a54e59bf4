"""K_L and Theta_L of a network, on inputs of one variance, as one power series each.

    K_0 = q_0 rho,  K_l = T_l(K_{l-1} / q_{l-1}),  Theta_0 = K_0,  Theta_l = K_l + Tdot_l(K_{l-1} / q_{l-1}) Theta_{l-1}

with T_l, Tdot_l the layers' own series at variance q_{l-1} (Jacot, Gabriel, Hongler 2018). Sums, products and
compositions of series with coefficients >= 0 have coefficients >= 0, and what is cut off can only be missing from them:
the error of what is kept is, for every |rho| <= 1, at most the exact value at 1 minus the kept coefficients, and equal
to it at rho = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy
from flint import arb, arb_poly, ctx

from kernelc.balls import constant_ball
from kernelc.composition.series import Kept, compose_kept, product_kept, scale_kept, sum_kept, total
from kernelc.model import ComposedSeries, Expansion, HermiteExpansion, NetworkExpansion, NetworkLayer, SeriesExpansion

_RESOLVED = 400
_UNDERFLOW_BITS = 996
_SHORT = 100


@dataclass(frozen=True, slots=True)
class _State:
    """After some layers: K_l and Theta_l with their values at rho = 1; no Theta where it is refused."""

    correlation: Kept
    variance: arb
    tangent: Kept | None
    tangent_at_one: arb


def rescaled(first: NetworkLayer, degree: sympy.Expr, variance: arb) -> NetworkLayer:
    """The layer of a sigma homogeneous of `degree` p at another variance q: T scales by (q/q_0)^p, Tdot by one less."""
    expansion = first.expansion
    with ctx.workprec(expansion.precision + 64):
        ratio = variance / first.variance
        size = ratio ** constant_ball(degree, ctx.prec)
        kappa, dot = _scaled(expansion.kappa, size), expansion.kappa_dot
        dot = None if dot is None else _scaled(dot, size / ratio)
        if isinstance(expansion, HermiteExpansion):
            hermite = tuple(a * size.sqrt() for a in expansion.hermite)
            return NetworkLayer(variance, first.traits, replace(expansion, hermite=hermite, kappa=kappa, kappa_dot=dot))
        return NetworkLayer(variance, first.traits, replace(expansion, kappa=kappa, kappa_dot=dot))


def _scaled(series: SeriesExpansion, factor: arb) -> SeriesExpansion:
    return replace(series, moment=series.moment * factor, coefficients=tuple(c * factor for c in series.coefficients))


def compose(layers: Sequence[NetworkLayer], degree: int, last: int) -> NetworkExpansion:
    """The series of both kernels with coefficients up to `last` >= degree; `degree` is the one that will be kept."""
    precision = min(layer.expansion.precision for layer in layers)
    with ctx.workprec(precision + 64):
        first = layers[0].variance
        linear = arb_poly([0, 1])
        start = Kept(linear * first, (degree, last), (arb(0), arb(0)))
        state = _State(start, first, start, first)
        for layer in layers:
            state = _through(layer.expansion, state)
        zero_after = _zero_after(layers)
        nngp = _composed_series(state.correlation, state.variance, zero_after, last)
        ntk = None
        if state.tangent is not None:
            ntk = _composed_series(state.tangent, state.tangent_at_one, zero_after, last)
    p = layers[0].traits.homogeneous_degree
    return NetworkExpansion(
        depth=len(layers),
        degree=degree,
        outer_degree=min(len(layer.expansion.kappa.coefficients) for layer in layers) - 1,
        variances=(first, *(layer.expansion.kappa.moment for layer in layers)),
        nngp=nngp,
        ntk=ntk,
        refused=_refusal(layers),
        homogeneous_degree=None if p is None else p ** len(layers),
        precision=precision,
        proved=all(layer.expansion.proved for layer in layers),
    )


def _through(expansion: Expansion, state: _State) -> _State:
    """One hidden layer."""
    inner = scale_kept(state.correlation, 1 / state.variance)
    correlation = compose_kept(expansion.kappa, inner)
    dot, tangent, at_one = expansion.kappa_dot, None, arb(0)
    if dot is not None and state.tangent is not None:
        slope = compose_kept(dot, inner)
        tangent = product_kept(slope, state.tangent, dot.moment, state.tangent_at_one)
        tangent = sum_kept(correlation, tangent)
        at_one = expansion.kappa.moment + dot.moment * state.tangent_at_one
    return _State(correlation, expansion.kappa.moment, tangent, at_one)


def _composed_series(kept: Kept, at_one: arb, zero_after: int | None, last: int) -> ComposedSeries:
    coefficients = [_at_least_zero(c) for c in kept.polynomial.coeffs()][: last + 1]
    coefficients += [arb(0)] * (last + 1 - len(coefficients))
    return ComposedSeries(SeriesExpansion(at_one, tuple(coefficients), zero_after), *kept.shortfalls)


def _at_least_zero(c: arb) -> arb:
    return c if c >= 0 else arb(0).union(c.upper())


def _zero_after(layers: Sequence[NetworkLayer]) -> int | None:
    """The degree of the composed polynomial, where every layer's is one."""
    degree = 1
    for layer in layers:
        own = layer.traits.polynomial_degree
        if own is None or own >= len(layer.expansion.kappa.coefficients):
            return None
        degree *= own
    return degree


def _refusal(layers: Sequence[NetworkLayer]) -> str | None:
    for number, layer in enumerate(layers, start=1):
        if layer.expansion.kappa_dot is None:
            reason = layer.traits.derivative_refused
            return reason if number == 1 else f"in hidden layer {number}, {reason}"
    return None


def is_resolved(network: NetworkExpansion) -> bool:
    """Whether the tails beyond the kept degree are known to 1/4 %, or lie below 1e-300."""
    with ctx.workprec(network.precision + 64):
        return all(_is_resolved(kernel.series, network.degree) for kernel in _kernels(network))


def _kernels(network: NetworkExpansion) -> list[ComposedSeries]:
    return [network.nngp] if network.ntk is None else [network.nngp, network.ntk]


def _is_resolved(series: SeriesExpansion, degree: int) -> bool:
    if series.tail_is_zero_after is not None and series.tail_is_zero_after <= degree:
        return True
    tail = series.moment - total(series.coefficients[: degree + 1])
    if tail.upper() < arb(2) ** -_UNDERFLOW_BITS:
        return True
    return bool(tail > 0) and bool(tail.rad() * _RESOLVED < tail.mid())


def is_short(network: NetworkExpansion) -> bool:
    """Whether the layers' own series end so early that this may cost more than 1 % of the tail."""
    with ctx.workprec(network.precision + 64):
        return any(
            kernel.shortfall * _SHORT > kernel.series.moment - total(kernel.series.coefficients[: network.degree + 1])
            for kernel in _kernels(network)
        )
