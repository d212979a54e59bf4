"""Expansion of a given dual kernel: coefficient balls, their signs, and the values at rho = 1."""

from __future__ import annotations

from fractions import Fraction

import sympy
from flint import arb, ctx

from kernelc.balls import constant_ball
from kernelc.balls.tails import tail_is_resolved
from kernelc.balls.tape import arb_of
from kernelc.dualkernel.analyse import LONGEST
from kernelc.dualkernel.constants import sign_of
from kernelc.dualkernel.series import taylor
from kernelc.errors import CertificationError, InputError
from kernelc.model import RHO, DualKernelTraits, GivenExpansion, SeriesExpansion

FIRST_BITS = 192
LAST_BITS = 2400
#: coefficients up to this degree are differentiated for where their ball holds 0
_EXACT = 12


def expand_dual(
    traits: DualKernelTraits, variance: Fraction, degree: int, last: int, precision: int | None
) -> GivenExpansion:
    """Balls for the coefficients of kappa and kappa_dot up to `last`, and for both at rho = 1.

    The working precision starts at 192 bits (or at `precision`) and doubles until every sign is known and
    both tails beyond `degree` are known to 1/4 %, or lie below 1e-300.

    Raises:
        InputError: a coefficient is < 0, with its degree and value; or the coefficients add up to more than
            kappa(1).
    """
    bits = FIRST_BITS if precision is None else precision
    zeros = _Zeros(traits)
    while True:
        expansion = _expand_at(traits, variance, last, bits, zeros)
        final = bits >= LAST_BITS
        if final or _resolved(expansion, degree):
            return expansion
        bits = 2 * bits


def _resolved(expansion: GivenExpansion, degree: int) -> bool:
    with ctx.workprec(expansion.precision):
        series = [expansion.kappa] + ([expansion.kappa_dot] if expansion.kappa_dot is not None else [])
        return all(tail_is_resolved(s, degree) for s in series)


class _Zeros:
    """Which coefficients are exactly 0, remembered from one precision to the next."""

    def __init__(self, traits: DualKernelTraits) -> None:
        self._traits = traits
        self._known: dict[int, bool] = {}

    def __call__(self, k: int) -> bool:
        if not self._traits.support[k]:
            return True
        if k > _EXACT:
            return False
        if k not in self._known:
            self._known[k] = sign_of(sympy.diff(self._traits.kappa, RHO, k).subs(RHO, 0)) == 0
        return self._known[k]


def _expand_at(traits: DualKernelTraits, variance: Fraction, last: int, bits: int, zeros: _Zeros) -> GivenExpansion:
    length = min(max(last, traits.proved_from) + 2, LONGEST)
    if traits.polynomial_degree is not None:
        balls = _polynomial(traits, length, bits)
    else:
        balls = taylor(traits.kappa, length, bits + length)
    with ctx.workprec(bits + length):
        coefficients, undecided = _signed(traits, balls, zeros)
        if undecided is not None and bits < LAST_BITS:
            return _expand_at(traits, variance, last, 2 * bits, zeros)
        kappa = SeriesExpansion(
            constant_ball(traits.moment, ctx.prec), tuple(coefficients[: last + 1]), traits.polynomial_degree
        )
        _check_sum(traits, kappa, "kappa")
        kappa_dot = None
        if traits.derivative_moment is not None:
            derived = tuple((k + 1) * coefficients[k + 1] / arb_of(variance) for k in range(last + 1))
            after = None if traits.polynomial_degree is None else max(traits.polynomial_degree - 1, 0)
            kappa_dot = SeriesExpansion(constant_ball(traits.derivative_moment, ctx.prec), derived, after)
            _check_sum(traits, kappa_dot, "kappa_dot")
    doubt = traits.doubt
    if undecided is not None:
        doubt = f"the sign of the coefficient of rho^{undecided} could not be decided"
    return GivenExpansion(kappa, kappa_dot, bits, doubt is None, doubt)


def _polynomial(traits: DualKernelTraits, length: int, bits: int) -> tuple[arb, ...]:
    polynomial = sympy.Poly(traits.kappa, RHO)
    found = [arb(0)] * length
    for (power,), coefficient in polynomial.terms():
        found[power] = constant_ball(coefficient, bits) if sign_of(coefficient) != 0 else arb(0)
    return tuple(found)


def _signed(traits: DualKernelTraits, balls: tuple[arb, ...], zeros: _Zeros) -> tuple[list[arb], int | None]:
    """The coefficients, each >= 0 or exactly 0, and the first whose sign is not known."""
    found: list[arb] = []
    undecided = None
    for k, ball in enumerate(balls):
        if not traits.support[k]:
            found.append(arb(0))
        elif ball > 0:
            found.append(ball)
        elif ball < 0:
            raise _negative(traits, k, ball)
        elif zeros(k):
            found.append(arb(0))
        else:
            if traits.positive is None or k < traits.proved_from:
                undecided = k if undecided is None else undecided
            found.append(arb(0).union(ball.upper()))
    return found, undecided


def _negative(traits: DualKernelTraits, degree: int, ball: arb) -> Exception:
    if traits.positive is not None and degree >= traits.proved_from:
        return CertificationError(
            f"the coefficient of rho^{degree} was proved to be >= 0, but its ball is {ball.str(15)}: nothing is emitted"
        )
    return InputError(
        f"no dual kernel: in the power series of kappa(rho) the coefficient of rho^{degree} is "
        f"{ball.str(12, radius=False)}, and all coefficients must be >= 0"
    )


def _check_sum(traits: DualKernelTraits, series: SeriesExpansion, name: str) -> None:
    total = arb(0)
    for c in series.coefficients:
        total += c
    if not total > series.moment:
        return
    if traits.positive is not None:
        raise CertificationError(f"the coefficients of {name} exceed its value at rho = 1: nothing is emitted")
    value = series.moment.str(12, radius=False)
    raise InputError(
        f"no dual kernel: the power series of {name} adds up to more than its value {value}"
        " at rho = 1, so some coefficient is < 0 or the formula leaves its own series"
    )
