"""Proved bounds of a real function of x = |t| for x >= X, in a class closed under what formulas do.

For one side of the real line (t = x or t = -x) and all x >= X >= 1 an `Envelope` of f states

    lower(x) <= f <= upper(x)      quadratics a2 x^2 + a1 x + a0 (None: nothing is known)
    |f| <= size                    scale (1 + x)^power exp(a2 x^2 + a1 x)
    |f| >= floor                   scale exp(a2 x^2 + a1 x), scale > 0

Each field is None where nothing is proved: a failed hypothesis never becomes a guess.
All numbers are `Fraction`s that were rounded away from the safe side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from flint import arb, ctx

ZERO = Fraction(0)
ONE = Fraction(1)
_LOG2_SCALE = 64
#: beyond it a bump's height would cost more than the growth that it is freed of
_LARGEST_EXCESS = 64


def fraction_of(x: arb) -> Fraction:
    """The exact value of an exact arb."""
    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def round_up(x: Fraction) -> Fraction:
    """A short fraction >= x (64 bits), so that numbers do not grow with the expression."""
    if x.denominator.bit_length() <= _LOG2_SCALE and x.numerator.bit_length() <= _LOG2_SCALE:
        return x
    shift = _LOG2_SCALE - (abs(x.numerator).bit_length() - x.denominator.bit_length())
    scaled = x * Fraction(2) ** shift
    return Fraction(-((-scaled.numerator) // scaled.denominator)) / Fraction(2) ** shift


def round_down(x: Fraction) -> Fraction:
    """A short fraction <= x."""
    return -round_up(-x)


def _through_arb(x: Fraction, function: Callable[[arb], arb], *, up: bool) -> Fraction | None:
    with ctx.workprec(96):
        ball = function(arb(x.numerator) / arb(x.denominator))
        if not ball.is_finite():
            return None
        return round_up(fraction_of(ball.upper())) if up else round_down(fraction_of(ball.lower()))


def exp_up(x: Fraction) -> Fraction | None:
    """A fraction >= exp(x); None beyond any reasonable size."""
    return None if x > 10**6 else _through_arb(max(x, Fraction(-(10**6))), lambda b: b.exp(), up=True)


def exp_down(x: Fraction) -> Fraction | None:
    """A positive fraction <= exp(x); None where it would be absurdly small."""
    return None if x < -(10**6) else _through_arb(min(x, Fraction(10**6)), lambda b: b.exp(), up=False)


def log_up(x: Fraction) -> Fraction | None:
    """A fraction >= log(x), x > 0."""
    return _through_arb(x, lambda b: b.log(), up=True)


def log_down(x: Fraction) -> Fraction | None:
    """A fraction <= log(x), x > 0."""
    return _through_arb(x, lambda b: b.log(), up=False)


def power_up(x: Fraction, exponent: Fraction) -> Fraction | None:
    """A fraction >= x^exponent, x > 0."""
    e = arb(exponent.numerator) / arb(exponent.denominator)
    return _through_arb(x, lambda b: b**e, up=True)


def power_down(x: Fraction, exponent: Fraction) -> Fraction | None:
    """A fraction <= x^exponent, x > 0."""
    e = arb(exponent.numerator) / arb(exponent.denominator)
    return _through_arb(x, lambda b: b**e, up=False)


@dataclass(frozen=True, slots=True)
class Quadratic:
    """a2 x^2 + a1 x + a0."""

    a2: Fraction = ZERO
    a1: Fraction = ZERO
    a0: Fraction = ZERO

    def __add__(self, other: Quadratic) -> Quadratic:
        return Quadratic(self.a2 + other.a2, self.a1 + other.a1, self.a0 + other.a0)

    def __neg__(self) -> Quadratic:
        return Quadratic(-self.a2, -self.a1, -self.a0)

    def scaled(self, c: Fraction) -> Quadratic:
        """c times it."""
        return Quadratic(c * self.a2, c * self.a1, c * self.a0)

    def rounded_up(self) -> Quadratic:
        """Short coefficients, none smaller: above it for x >= 0."""
        return Quadratic(round_up(self.a2), round_up(self.a1), round_up(self.a0))

    def rounded_down(self) -> Quadratic:
        """Short coefficients, none larger: below it for x >= 0."""
        return -(-self).rounded_up()

    def maximum(self, other: Quadratic) -> Quadratic:
        """A quadratic >= both for x >= 0 (coefficient by coefficient)."""
        return Quadratic(max(self.a2, other.a2), max(self.a1, other.a1), max(self.a0, other.a0))

    def minimum(self, other: Quadratic) -> Quadratic:
        """A quadratic <= both for x >= 0."""
        return -(-self).maximum(-other)

    def never_below(self, c: Fraction) -> bool:
        """Whether a2 x^2 + a1 x + a0 >= c for all x >= 0."""
        if self.a1 >= 0:
            return self.a2 >= 0 and self.a0 >= c
        return self.a2 > 0 and self.a0 - self.a1**2 / (4 * self.a2) >= c

    def never_above(self, c: Fraction) -> bool:
        """Whether it is <= c for all x >= 0."""
        return (-self).never_below(-c)

    def squared(self) -> Quadratic | None:
        """The square, where it is a quadratic."""
        if self.a2 != 0:
            return None
        return Quadratic(self.a1**2, 2 * self.a1 * self.a0, self.a0**2)


@dataclass(frozen=True, slots=True)
class Size:
    """scale (1 + x)^power exp(a2 x^2 + a1 x)."""

    scale: Fraction
    power: Fraction = ZERO
    a1: Fraction = ZERO
    a2: Fraction = ZERO

    def __mul__(self, other: Size) -> Size:
        return Size(
            round_up(self.scale * other.scale),
            self.power + other.power,
            round_up(self.a1 + other.a1),
            round_up(self.a2 + other.a2),
        )

    def __add__(self, other: Size) -> Size:
        mine, theirs, a1, a2 = _levelled(self, other)
        return Size(round_up(mine + theirs), max(self.power, other.power), a1, a2)

    def union(self, other: Size) -> Size:
        """What holds whichever of the two is taken."""
        mine, theirs, a1, a2 = _levelled(self, other)
        return Size(max(mine, theirs), max(self.power, other.power), a1, a2)

    def to_power(self, exponent: Fraction) -> Size | None:
        """The size of |f|^exponent, exponent >= 0."""
        if self.scale == 0:
            return Size(ZERO) if exponent > 0 else Size(ONE)
        scale, a1, a2 = power_up(self.scale, exponent), round_up(self.a1 * exponent), round_up(self.a2 * exponent)
        return None if scale is None else Size(scale, self.power * exponent, a1, a2)

    def as_quadratic(self) -> Quadratic | None:
        """A quadratic above it, where growth is at most quadratic."""
        if self.a2 > 0 or self.a1 > 0 or self.power > 2:
            return None
        if self.power <= 0:
            return Quadratic(a0=self.scale)
        if self.power <= 1:
            return Quadratic(a1=self.scale, a0=self.scale)
        return Quadratic(self.scale, 2 * self.scale, self.scale)


def _levelled(f: Size, g: Size) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """Scales of f and g for one a1 and a2.

    Where g falls off faster (b2 < a2) its b1 need not rule, as b1 x + b2 x^2 <= a1 x + a2 x^2 + c with
    c = (b1 - a1)^2 / (4 (a2 - b2)): a narrow bump beside a slow function is no exponential.
    """
    a1, a2 = max(f.a1, g.a1), max(f.a2, g.a2)
    high, low = (f, g) if f.a2 >= g.a2 else (g, f)
    if low.a2 < high.a2 and low.a1 > high.a1:
        excess = (low.a1 - high.a1) ** 2 / (4 * (high.a2 - low.a2))
        factor = exp_up(excess) if excess <= _LARGEST_EXCESS else None
        if factor is not None:
            raised = round_up(low.scale * factor)
            return (f.scale, raised, high.a1, a2) if high is f else (raised, g.scale, high.a1, a2)
    return f.scale, g.scale, a1, a2


def _floor_above(lower: Quadratic | None) -> Size | None:
    """A constant floor of what is no smaller than a quadratic that rises: its value at 0, or at x = 1, is positive."""
    if lower is None or lower.a1 < 0 or lower.a2 < 0:
        return None
    if lower.a0 > 0:
        return Size(lower.a0)
    least = round_down(lower.a0 + lower.a1 + lower.a2)
    return Size(least) if least > 0 else None


@dataclass(frozen=True, slots=True)
class Envelope:
    """See the module's docstring."""

    lower: Quadratic | None = None
    upper: Quadratic | None = None
    size: Size | None = None
    floor: Size | None = None

    def completed(self) -> Envelope:
        """The same facts, with those that follow from one another filled in."""
        lower, upper, size, floor = self.lower, self.upper, self.size, self.floor
        if size is not None and (bound := size.as_quadratic()) is not None:
            lower = -bound if lower is None else lower
            upper = bound if upper is None else upper
        if lower is not None and upper is not None:
            top = upper.maximum(-lower)
            power = Fraction(2) if top.a2 > 0 else ONE if top.a1 > 0 else ZERO
            scale = round_up(max(top.a2, ZERO) + max(top.a1, ZERO) + max(top.a0, ZERO))
            derived = Size(scale, power)
            if size is None or (size.a2, size.a1, size.power) > (ZERO, ZERO, power):
                size = derived
        if floor is None:
            floor = _floor_above(lower) or _floor_above(None if upper is None else -upper)
        elif floor.a1 >= 0 and floor.a2 >= 0:
            edge = Quadratic(a0=floor.scale)
            if lower is not None and lower.never_below(ZERO) and lower.never_above(floor.scale):
                lower = edge
            elif upper is not None and upper.never_above(ZERO) and upper.never_below(-floor.scale):
                upper = -edge
        return replace(self, lower=lower, upper=upper, size=size, floor=floor)

    @property
    def nonnegative(self) -> bool:
        """Whether f >= 0 is proved."""
        return self.lower is not None and self.lower.never_below(ZERO)

    @property
    def nonpositive(self) -> bool:
        """Whether f <= 0 is proved."""
        return self.upper is not None and self.upper.never_above(ZERO)

    def constant_range(self) -> tuple[Fraction, Fraction] | None:
        """[l, u] with l <= f <= u, where both bounds are constants (or dominated by constants)."""
        if self.lower is None or self.upper is None:
            return None
        if not self.lower.never_below(self.lower.a0) or not self.upper.never_above(self.upper.a0):
            return None
        return self.lower.a0, self.upper.a0

    def magnitude(self) -> Quadratic | None:
        """A quadratic >= |f|."""
        if self.lower is None or self.upper is None:
            return None
        return self.upper.maximum(-self.lower)


def constant(low: Fraction, high: Fraction) -> Envelope:
    """low <= f <= high."""
    return Envelope(Quadratic(a0=low), Quadratic(a0=high), Size(max(abs(low), abs(high)))).completed()


def negated(f: Envelope) -> Envelope:
    """The envelope of -f."""
    return Envelope(None if f.upper is None else -f.upper, None if f.lower is None else -f.lower, f.size, f.floor)


def _floor_beside(f: Envelope, g: Envelope) -> Size | None:
    """|f + g| >= |f| - c, where |g| <= c and c is less than |f| is at x = 1 already, from where |f|'s floor rises."""
    span = g.constant_range()
    if f.floor is None or span is None or f.floor.a1 < 0 or f.floor.a2 < 0:
        return None
    least, c = exp_down(f.floor.a1 + f.floor.a2), max(abs(span[0]), abs(span[1]))
    if least is None or c >= f.floor.scale * least:
        return None
    return replace(f.floor, scale=round_down(f.floor.scale - c / least))


def added(f: Envelope, g: Envelope) -> Envelope:
    """The envelope of f + g; a floor only from signs, or where one of them is too small to cancel the other."""
    lower = None if f.lower is None or g.lower is None else (f.lower + g.lower).rounded_down()
    upper = None if f.upper is None or g.upper is None else (f.upper + g.upper).rounded_up()
    size = None if f.size is None or g.size is None else f.size + g.size
    floor = None
    if (f.nonnegative and g.nonnegative) or (f.nonpositive and g.nonpositive):
        floors = [e.floor for e in (f, g) if e.floor is not None]
        floor = max(floors, key=lambda s: (s.a2, s.a1, s.scale), default=None)
    if floor is None:
        floor = _floor_beside(f, g) or _floor_beside(g, f)
    return Envelope(lower, upper, size, floor).completed()


def _scaled(f: Envelope, low: Fraction, high: Fraction) -> tuple[Quadratic | None, Quadratic | None]:
    """Bounds of c f, 0 <= low <= c <= high."""
    upper = lower = None
    if f.upper is not None:
        if f.upper.never_above(ZERO) or low == high:
            upper = f.upper.scaled(low)
        elif f.upper.a0 >= 0 and f.upper.a1 >= 0 and f.upper.a2 >= 0:
            upper = f.upper.scaled(high)
    if f.lower is not None:
        if f.lower.never_below(ZERO) or low == high:
            lower = f.lower.scaled(low)
        elif f.lower.a0 <= 0 and f.lower.a1 <= 0 and f.lower.a2 <= 0:
            lower = f.lower.scaled(high)
    return lower, upper


def multiplied(f: Envelope, g: Envelope) -> Envelope:
    """The envelope of f g."""
    size = None if f.size is None or g.size is None else f.size * g.size
    floor = None
    if f.floor is not None and g.floor is not None:
        a1, a2 = round_down(f.floor.a1 + g.floor.a1), round_down(f.floor.a2 + g.floor.a2)
        floor = Size(round_down(f.floor.scale * g.floor.scale), ZERO, a1, a2)
    lower = upper = None
    for a, b in ((f, g), (g, f)):
        span = a.constant_range()
        if span is None:
            continue
        if span[0] >= 0:
            lower, upper = _scaled(b, span[0], span[1])
        elif span[1] <= 0:
            lower, upper = _scaled(negated(b), -span[1], -span[0])
        if lower is not None or upper is not None:
            break
    if (f.nonnegative and g.nonnegative) or (f.nonpositive and g.nonpositive):
        lower = Quadratic() if lower is None else lower
    if (f.nonnegative and g.nonpositive) or (f.nonpositive and g.nonnegative):
        upper = Quadratic() if upper is None else upper
    return Envelope(
        None if lower is None else lower.rounded_down(), None if upper is None else upper.rounded_up(), size, floor
    ).completed()


def absolute(f: Envelope) -> Envelope:
    """The envelope of |f|."""
    return Envelope(Quadratic(), f.magnitude(), f.size, f.floor).completed()


def either(f: Envelope, g: Envelope) -> Envelope:
    """Two envelopes of one function: the first's facts, and the second's where it has none or cannot tell the sign."""
    signed = f.nonnegative or f.nonpositive
    lower = g.lower if f.lower is None or (g.nonnegative and not signed) else f.lower
    upper = g.upper if f.upper is None or (g.nonpositive and not signed) else f.upper
    return Envelope(
        lower, upper, g.size if f.size is None else f.size, g.floor if f.floor is None else f.floor
    ).completed()


def hull(f: Envelope, g: Envelope) -> Envelope:
    """What holds whichever of the two is taken."""
    floor = None
    if f.floor is not None and g.floor is not None:
        floor = Size(min(f.floor.scale, g.floor.scale), ZERO, min(f.floor.a1, g.floor.a1), min(f.floor.a2, g.floor.a2))
    return Envelope(
        None if f.lower is None or g.lower is None else f.lower.minimum(g.lower),
        None if f.upper is None or g.upper is None else f.upper.maximum(g.upper),
        None if f.size is None or g.size is None else f.size + g.size,
        floor,
    ).completed()


def reciprocal(f: Envelope) -> Envelope:
    """1 / f, where |f| has a floor."""
    if f.floor is None or f.floor.scale <= 0:
        return Envelope()
    size = Size(round_up(1 / f.floor.scale), ZERO, -f.floor.a1, -f.floor.a2)
    floor = None
    if f.size is not None and f.size.scale > 0 and (slow := exp_down(-max(f.size.power, ZERO))) is not None:
        # (1 + x)^n <= exp(n + n x / 2)
        power = max(f.size.power, ZERO)
        floor = Size(round_down(slow / f.size.scale), ZERO, -f.size.a1 - power / 2, -f.size.a2)
    lower = Quadratic() if f.nonnegative else None
    upper = Quadratic() if f.nonpositive else None
    return Envelope(lower, upper, size, floor).completed()


def positive_power(f: Envelope, exponent: Fraction) -> Envelope:
    """|f|^exponent or f^exponent (integer), exponent > 0."""
    size = None if f.size is None else f.size.to_power(exponent)
    floor = None
    if f.floor is not None and (scale := power_down(f.floor.scale, exponent)) is not None:
        floor = Size(scale, ZERO, round_down(f.floor.a1 * exponent), round_down(f.floor.a2 * exponent))
    even = exponent.denominator == 1 and exponent.numerator % 2 == 0
    odd = exponent.denominator == 1 and exponent.numerator % 2 == 1
    lower = Quadratic() if even or f.nonnegative or not odd else None
    upper = Quadratic() if odd and f.nonpositive else None
    if exponent == 2 and (top := f.magnitude()) is not None and top.a0 >= 0 and top.a1 >= 0:
        upper = top.squared()
    return Envelope(lower, upper, size, floor).completed()


def exponential(f: Envelope) -> Envelope:
    """exp(f): grows no faster than a Gaussian's inverse only where f has a quadratic upper bound."""
    size = floor = None
    if f.upper is not None and (scale := exp_up(f.upper.a0)) is not None:
        size = Size(scale, ZERO, f.upper.a1, f.upper.a2)
    if f.lower is not None and (scale := exp_down(f.lower.a0)) is not None and scale > 0:
        floor = Size(scale, ZERO, f.lower.a1, f.lower.a2)
    upper = None
    if f.upper is not None and f.upper.a2 <= 0 and (f.upper.a1 <= 0 or f.upper.a2 < 0):
        # x >= 1, and the bound falls with x; or its largest value.
        q = f.upper
        top = exp_up(q.a0 + q.a1 + q.a2 if q.a1 <= 0 else q.a0 - q.a1**2 / (4 * q.a2))
        upper = None if top is None else Quadratic(a0=top)
    return Envelope(Quadratic(), upper, size, floor).completed()


def logarithm(f: Envelope) -> Envelope:
    """log(f), f > 0: log(1 + x) <= 1 + x / 2 is what the power of (1 + x) is bounded by."""
    lower = upper = None
    if f.floor is not None and (low := log_down(f.floor.scale)) is not None:
        lower = Quadratic(f.floor.a2, f.floor.a1, low)
    if f.size is not None and f.size.scale > 0 and (high := log_up(f.size.scale)) is not None:
        power = max(f.size.power, ZERO)
        upper = Quadratic(f.size.a2, f.size.a1 + power / 2, high + power).rounded_up()
    return Envelope(lower, upper).completed()


def no_less_than_log1p(f: Envelope, g: Envelope) -> Envelope:
    """f, which is log(1 + g), with what else is known of it where g >= 0: log(1 + g) >= g / (1 + g), which rises."""
    if not g.nonnegative or g.floor is None:
        return f
    lower = Quadratic() if f.lower is None else f.lower
    floor = fraction_floor(g)
    return replace(f, lower=lower, floor=floor if f.floor is None else f.floor).completed()


def fraction_floor(g: Envelope) -> Size | None:
    """A floor of g / (1 + g), g >= 0, where g has one: it rises with g."""
    if g.floor is None:
        return None
    if g.floor.a1 >= 0 and g.floor.a2 >= 0:
        return Size(round_down(g.floor.scale / (1 + g.floor.scale)))
    if g.size is not None and max(g.size.power, g.size.a1, g.size.a2) <= 0:
        return replace(g.floor, scale=round_down(g.floor.scale / (1 + g.size.scale)))
    return None
