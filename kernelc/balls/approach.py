"""Envelopes of a function as a singular point is approached: where no power of the distance says enough.

With x = |t - r| in (0, w], w <= 1/8, everything is seen as a function of y = 1 + log(w / x) >= 1, in
which powers of x are exponentials and logarithms are linear: the rules of `kernelc.functions.envelope`
then hold word for word, and a size in y is a majorant in x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import sympy
from flint import acb, arb

from kernelc.balls.tape import arb_of
from kernelc.functions import envelope as env
from kernelc.functions.envelope import Envelope, Quadratic, Size, fraction_of, round_down, round_up
from kernelc.functions.structure import from_parts

_ZERO = Fraction(0)
_FASTEST = Fraction(16)
#: of an exponent
_LARGEST = Fraction(10**5)
_LEAST_BITS = 4096


class Order(NamedTuple):
    """low x^power <= |f| <= high x^power on the cell, low > 0; `sign` is that of f there, 0 where unknown."""

    power: int
    low: Fraction
    high: Fraction
    sign: int


class Approach:
    """Envelopes in y of expressions on one cell next to a point; `order` and `value` are what is known of it."""

    def __init__(
        self,
        width: Fraction,
        order: Callable[[sympy.Expr], Order | None],
        value: Callable[[sympy.Expr], acb],
        variable: sympy.Symbol,
    ) -> None:
        self._unit = arb_of(width) * arb(1).exp()
        self._order = order
        self._value = value
        self._variable = variable
        self._known: dict[sympy.Expr, Envelope] = {}

    def of(self, f: sympy.Expr) -> Envelope:
        """The envelope of f in y."""
        if f not in self._known:
            self._known[f] = _with_quadratics(self._derive(f))
        return self._known[f]

    def size(self, f: sympy.Expr) -> tuple[Fraction, Fraction, int] | None:
        """(C, e, m) with |f| <= C x^e log(1/x)^m; None where nothing is proved.

        1 + y = 2 + log w + log(1/x) <= log(1/x), as w <= 1/8 < exp(-2).
        """
        size = self.of(f).size
        if size is None or size.a2 > 0:
            return None
        a1, factor = _straightened(size)
        scale = arb_of(size.scale) * factor * self._unit ** arb_of(a1)
        if not scale.is_finite():
            return None
        # Not so small that its digits cost time.
        scale = scale.max(arb(2) ** -_LEAST_BITS)
        return round_up(fraction_of(scale.upper())), -a1, ceil(max(size.power, _ZERO))

    def exponent(self, f: sympy.Expr) -> Fraction | None:
        """e where |f| lies between two positive multiples of x^e."""
        found = self.of(f)
        size, floor = found.size, found.floor
        if size is None or floor is None or size.power > 0 or (size.a2, floor.a2) != (_ZERO, _ZERO):
            return None
        return -size.a1 if size.a1 == floor.a1 and floor.scale > 0 else None

    def has_no_zero(self, f: sympy.Expr) -> bool:
        """Whether f != 0 on the whole cell is proved: by a floor, or as one term outweighs the sum of the others."""
        floor = self.of(f).floor
        if floor is not None and floor.scale > 0:
            return True
        if isinstance(f, sympy.Mul):
            return all(self.has_no_zero(a) for a in f.args)
        if not isinstance(f, sympy.Add):
            return False
        parts = [self.of(a) for a in f.args]
        return any(
            _outweighs(part.floor, [other.size for j, other in enumerate(parts) if j != i])
            for i, part in enumerate(parts)
        )

    def _derive(self, f: sympy.Expr) -> Envelope:
        if not f.has(self._variable):
            return self._constant(f)
        found = self._order(f)
        if found is not None:
            return self._monomial(found)
        if isinstance(f, sympy.tan):
            return self.of(sympy.sin(f.args[0]) / sympy.cos(f.args[0]))
        if isinstance(f, sympy.Pow) and f.args[1] == 2:
            return self._square(f)
        return from_parts(f, self.of)

    def _constant(self, f: sympy.Expr) -> Envelope:
        value = self._value(f)
        if not value.is_finite() or not value.imag.overlaps(arb(0)):
            return Envelope()
        return env.constant(
            round_down(fraction_of(value.real.lower())), round_up(fraction_of(value.real.upper()))
        ).completed()

    def _monomial(self, found: Order) -> Envelope:
        """From f / x^k in sign [low, high]: x = w exp(1 - y)."""
        k = found.power
        unit = self._unit**k
        size = Size(round_up(fraction_of((arb_of(found.high) * unit).upper())), _ZERO, Fraction(-k))
        floor = Size(round_down(fraction_of((arb_of(found.low) * unit).lower())), _ZERO, Fraction(-k))
        least = Quadratic(a0=found.low if k == 0 else _ZERO)
        most = Quadratic(a0=size.scale)  # exp(-k y) <= 1
        if found.sign == 0:
            return Envelope(-most, most, size, floor).completed()
        bounds = (least, most) if found.sign > 0 else (-most, -least)
        return Envelope(*bounds, size, floor).completed()

    def _square(self, f: sympy.Expr) -> Envelope:
        """f^2 >= g^2 where |f| >= g >= 0: a squared logarithm grows."""
        base = self.of(f.args[0])
        squared = from_parts(f, self.of)
        edge = base.lower if base.nonnegative else -base.upper if base.nonpositive and base.upper is not None else None
        lower = None if edge is None else edge.squared()
        return squared if lower is None else replace(squared, lower=lower.rounded_down()).completed()


def _outweighs(floor: Size | None, others: Sequence[Size | None]) -> bool:
    """Whether scale exp(a2 y^2 + a1 y) exceeds the sum of the others for all y >= 1.

    Their ratio to it falls from y = 1 on, as (1 + y)^p exp(-c y) does for c >= p / 2: its value at 1 decides.
    """
    if floor is None or floor.scale <= 0:
        return False
    total = arb(0)
    for other in others:
        if other is None or other.a2 > floor.a2 or other.a1 - floor.a1 > -max(other.power, _ZERO) / 2:
            return False
        excess = arb_of(other.a1 - floor.a1 + other.a2 - floor.a2)
        total += arb_of(other.scale) * arb(2) ** arb_of(max(other.power, _ZERO)) * excess.exp()
    return bool(total < arb_of(floor.scale))


def _straightened(size: Size) -> tuple[Fraction, arb]:
    """(b, c) with exp(a2 y^2 + a1 y) <= c exp(b y), for a2 <= 0 and y >= 1.

    By the tangent at m, y^2 >= 2 m y - m^2, with m where the exponent falls by 1: what dies faster than every power of
    x dies like x at least. And by y >= 1: no more than x^16 is claimed, so that numbers stay of a size.
    """
    b, log_c = size.a1, _ZERO
    if size.a2 < 0 and b > -1:
        m = (b + 1) / (-2 * size.a2)
        b, log_c = Fraction(-1), -size.a2 * m**2
    if b < -_FASTEST:
        b, log_c = -_FASTEST, log_c + max(b + _FASTEST, -_LARGEST)
    return b, arb_of(log_c).exp() if log_c <= _LARGEST else arb.pos_inf()


def _with_quadratics(f: Envelope) -> Envelope:
    """What has a sign and grows like a power of 1/x lies beyond a parabola: exp(z) >= 1 + z + z^2 / 2 for z >= 0."""
    floor = f.floor
    if floor is None or floor.a1 <= 0 or floor.a2 < 0:
        return f
    edge = Quadratic(floor.scale * floor.a1**2 / 2, floor.scale * floor.a1, floor.scale).rounded_down()
    if f.nonnegative:
        return replace(f, lower=edge)
    return replace(f, upper=-edge) if f.nonpositive else f
