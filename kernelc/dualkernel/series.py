"""Taylor expansion at rho = 0: in balls, and which coefficients can be other than 0 at all."""

from __future__ import annotations

import sympy
from flint import arb, arb_series, ctx

from kernelc.balls import constant_ball
from kernelc.dualkernel.functions import BY_HEAD
from kernelc.errors import InputError
from kernelc.model import RHO

_HALF = sympy.Rational(1, 2)


def taylor(expression: sympy.Expr, length: int, precision: int) -> tuple[arb, ...]:
    """Balls about the coefficients of rho^0 .. rho^(length - 1), by power series arithmetic at `precision` bits.

    Raises:
        InputError: the expression has no real power series at rho = 0.
    """
    before = ctx.cap
    try:
        ctx.cap = length
        with ctx.workprec(precision):
            series = _Expander(precision).expand(expression)
            found = tuple(series[k] for k in range(length))
    except (ValueError, ZeroDivisionError) as error:
        raise _not_analytic(expression) from error
    finally:
        ctx.cap = before
    if not all(c.is_finite() for c in found):
        raise _not_analytic(expression)
    return found


def _not_analytic(expression: sympy.Expr) -> InputError:
    return InputError(f"'{expression}' has no real power series at rho = 0, as every dual kernel on a sphere has")


class _Expander:
    """One expression's power series, equal subexpressions expanded once."""

    def __init__(self, precision: int) -> None:
        self._precision = precision
        self._known: dict[sympy.Expr, arb_series] = {RHO: arb_series([0, 1])}

    def expand(self, e: sympy.Expr) -> arb_series:
        if e not in self._known:
            self._known[e] = self._expand(e)
        return self._known[e]

    def _expand(self, e: sympy.Expr) -> arb_series:
        if not e.has(RHO):
            return arb_series([constant_ball(e, self._precision)])
        if e.is_Add or e.is_Mul:
            total = self.expand(e.args[0])
            for part in e.args[1:]:
                total = total + self.expand(part) if e.is_Add else total * self.expand(part)
            return total
        if e.is_Pow:
            return self._power(e.base, e.exp)
        return BY_HEAD[e.func].series(self.expand(e.args[0]))

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> arb_series:
        if exponent.is_Integer:
            power = self._integer_power(self.expand(base), abs(int(exponent)))
            return power if exponent > 0 else 1 / power
        if exponent == _HALF:
            return self.expand(base).sqrt()
        if exponent == -_HALF:
            return self.expand(base).rsqrt()
        return (self.expand(base).log() * self.expand(exponent)).exp()

    def _integer_power(self, base: arb_series, power: int) -> arb_series:
        if power == 1:
            return base
        half = self._integer_power(base, power // 2)
        return half * half * base if power % 2 else half * half


def support(expression: sympy.Expr, length: int) -> tuple[bool, ...]:
    """For each of the first `length` coefficients whether it may be other than 0; read off the formula's shape."""
    mask = _Support(length).of(expression)
    return tuple(bool(mask >> k & 1) for k in range(length))


class _Support:
    """Sets of powers as the bits of an integer."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._all = (1 << length) - 1
        self._known: dict[sympy.Expr, int] = {}

    def of(self, e: sympy.Expr) -> int:
        if e not in self._known:
            self._known[e] = self._of(e)
        return self._known[e]

    def _of(self, e: sympy.Expr) -> int:
        if not e.has(RHO):
            return int(e != 0)
        if e == RHO:
            return 2
        if e.is_Add:
            mask = 0
            for part in e.args:
                mask |= self.of(part)
            return mask
        if e.is_Mul:
            mask = 1
            for part in e.args:
                mask = self._sums(mask, self.of(part))
            return mask
        if e.is_Pow:
            return self._power(e)
        inner, parity = self.of(e.args[0]), BY_HEAD[e.func].parity
        if parity == "none" or inner & 1:
            return self._generated(inner & ~1)
        even = self._generated(self._sums(inner, inner))
        return even if parity == "even" else self._sums(inner, even)

    def _power(self, e: sympy.Pow) -> int:
        if not (e.exp.is_Integer and e.exp > 0):
            return self._generated((self.of(e.base) | self.of(e.exp)) & ~1)
        mask = 1
        for bit in bin(int(e.exp))[2:]:
            mask = self._sums(mask, mask)
            mask = self._sums(mask, self.of(e.base)) if bit == "1" else mask
        return mask

    def _sums(self, left: int, right: int) -> int:
        """{a + b}."""
        total = 0
        while right:
            lowest = right & -right
            total |= left << (lowest.bit_length() - 1)
            right ^= lowest
        return total & self._all

    def _generated(self, generators: int) -> int:
        """All sums of any number of the powers, the empty sum too."""
        mask = 1 | generators
        while True:
            grown = self._sums(mask, mask)
            if grown == mask:
                return mask
            mask = grown
