"""The road to a network's kernels: analysis and expansion once a layer, at the variance that reaches it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, ctx

from kernelc.analysis import analyse
from kernelc.balls.tape import arb_of
from kernelc.composition import compose, is_resolved, is_short, rescaled
from kernelc.errors import InputError, KernelcError
from kernelc.expansion import expand
from kernelc.model import (
    ActivationSpec,
    ActivationTraits,
    CompileOptions,
    HermiteExpansion,
    NetworkExpansion,
    NetworkLayer,
)

MAX_DEPTH = 32
LAST_DEGREE = 1024
#: Coefficients of the composed series are computed to this degree at least, where more than it is not asked for.
COMPOSED_DEGREE = 256
_LAST_BITS = 2400
_SMALLEST, _LARGEST = 1e-9, 1e6
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Road:
    """What the layers are made of."""

    spec: ActivationSpec
    traits: ActivationTraits
    options: CompileOptions
    report: Callable[[str], None]


def expand_network(
    spec: ActivationSpec,
    traits: ActivationTraits,
    expansion: HermiteExpansion,
    options: CompileOptions,
    degree: int,
    report: Callable[[str], None] = lambda message: None,
) -> tuple[tuple[NetworkLayer, ...], NetworkExpansion]:
    """The layers and the composed series of `options.depth` hidden layers, cut after `degree`.

    `traits` and `expansion` are those at `options.variance`. The working precision doubles until both tails are
    known to 1/4 % (or lie below 1e-300); the layers' own series grow to degree 1024 where their cut would cost
    more than 1 % of the composed tail.

    Raises:
        InputError: a layer's variance leaves the range in which anything can be computed; names the layer.
        KernelcError: (its subclasses) as analysis and expansion raise them, with the layer named.
    """
    road = _Road(spec, traits, options, report)
    outer, first = len(expansion.kappa.coefficients) - 1, expansion
    while True:
        layers = _layers(road, first, outer)
        report("composing the layers' series")
        network = compose(layers, degree, max(degree, COMPOSED_DEGREE))
        if not is_resolved(network) and first.precision < _LAST_BITS:
            bits = 2 * first.precision
        elif is_short(network) and outer < LAST_DEGREE:
            outer, bits = LAST_DEGREE, first.precision
        else:
            return layers, network
        first = expand(traits, options.variance, 0, outer, bits)


def _layers(road: _Road, first: HermiteExpansion, outer: int) -> tuple[NetworkLayer, ...]:
    with ctx.workprec(first.precision + 64):
        layers = [NetworkLayer(arb_of(road.options.variance), road.traits, first)]
    degree = road.traits.homogeneous_degree
    for number in range(2, road.options.depth + 1):
        road.report(f"expanding hidden layer {number}")
        variance = layers[-1].expansion.kappa.moment
        _require_range(variance, number, road.spec.name)
        if degree is not None:
            layers.append(rescaled(layers[0], degree, variance))
            continue
        try:
            traits = analyse(road.spec, _rounded_up(variance))
            expansion = expand(traits, variance, 0, outer, first.precision)
        except KernelcError as error:
            raise type(error)(f"hidden layer {number} of --depth {road.options.depth}: {error}") from error
        layers.append(NetworkLayer(variance, traits, expansion))
    return tuple(layers)


def _require_range(variance: arb, number: int, name: str) -> None:
    if variance > arb(_SMALLEST) and variance < arb(_LARGEST):
        return
    raise InputError(
        f"--depth {number}: what enters hidden layer {number} of {name} has variance {float(variance.mid()):.3g}, "
        f"outside {_SMALLEST:g} to {_LARGEST:g}; ask for a smaller --depth, or scale the activation so that "
        "E[sigma(sZ)^2] stays near the variance"
    )


def _rounded_up(variance: arb) -> Fraction:
    """A short rational number at or above the ball: what is proved at it holds below it too."""
    upper = float(variance.upper())
    unit = Fraction(10) ** (math.floor(math.log10(upper)) - _DIGITS)
    return (math.floor(Fraction(upper) / unit) + 2) * unit
