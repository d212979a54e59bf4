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
    CompileOptions,
    Expansion,
    NetworkExpansion,
    NetworkLayer,
    Spec,
    Traits,
)

MAX_DEPTH = 32
LAST_DEGREE = 1024
#: Coefficients of the composed series are computed to this degree at least, where more than it is not asked for.
COMPOSED_DEGREE = 256
_LAST_BITS = 2400
_SMALLEST, _LARGEST = 1e-9, 1e6
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Layered:
    """The first hidden layer, at the compiled variance; `again(outer, bits)` expands it further or more precisely."""

    spec: Spec
    traits: Traits
    expansion: Expansion
    again: Callable[[int, int], Expansion]


def expand_network(
    first: Layered,
    options: CompileOptions,
    degree: int,
    report: Callable[[str], None] = lambda message: None,
) -> tuple[tuple[NetworkLayer, ...], NetworkExpansion]:
    """The layers and the composed series of `options.depth` hidden layers, cut after `degree`.

    The working precision doubles until both tails are known to 1/4 % (or lie below 1e-300); the layers' own series
    grow to degree 1024 where their cut would cost more than 1 % of the composed tail.

    Raises:
        InputError: a layer's variance leaves the range in which anything can be computed; names the layer.
        KernelcError: (its subclasses) as analysis and expansion raise them, with the layer named.
    """
    expansion = first.expansion
    outer = len(expansion.kappa.coefficients) - 1
    while True:
        layers = _layers(first, expansion, options, report)
        report("composing the layers' series")
        network = compose(layers, degree, max(degree, COMPOSED_DEGREE))
        if not is_resolved(network) and expansion.precision < _LAST_BITS:
            bits = 2 * expansion.precision
        elif is_short(network) and outer < LAST_DEGREE:
            outer, bits = LAST_DEGREE, expansion.precision
        else:
            return layers, network
        expansion = first.again(outer, bits)


def _layers(
    first: Layered, expansion: Expansion, options: CompileOptions, report: Callable[[str], None]
) -> tuple[NetworkLayer, ...]:
    with ctx.workprec(expansion.precision + 64):
        layers = [NetworkLayer(arb_of(options.variance), first.traits, expansion)]
    degree = first.traits.homogeneous_degree
    for number in range(2, options.depth + 1):
        variance = layers[-1].expansion.kappa.moment
        _require_range(variance, number, options.name)
        if degree is not None:
            layers.append(rescaled(layers[0], degree, variance))
            continue
        if not isinstance(first.spec, ActivationSpec):
            raise InputError(
                "--depth takes dual kernels that are homogeneous: give this one in rho, or leave --depth out"
            )
        report(f"expanding hidden layer {number}")
        try:
            traits = analyse(first.spec, _rounded_up(variance))
            own = expand(traits, variance, 0, len(expansion.kappa.coefficients) - 1, expansion.precision)
        except KernelcError as error:
            raise type(error)(f"hidden layer {number} of --depth {options.depth}: {error}") from error
        layers.append(NetworkLayer(variance, traits, own))
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
