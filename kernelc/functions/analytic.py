"""The analytic elementary functions: one record each, which is all the compiler knows of them.

To add a function: one `AnalyticFunction` here (its SymPy head, ball evaluator that honours
`analytic`, envelope, conditions) and one `ParserEntry` in `syntax.py` with the names people type.
Powers, sums and products are SymPy's own and live in the evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import sympy
from flint import acb, arb

from kernelc.functions import envelope as env
from kernelc.functions.balls import NAN, meets_imaginary_rays, meets_real_ray
from kernelc.functions.envelope import Envelope, Quadratic, Size
from kernelc.functions.heads import LambertW0, Sinc, SincDerivative
from kernelc.functions.record import AnalyticFunction, BallRule, EnvelopeRule

_ONE = Fraction(1)
_LARGEST_FACTORIAL = 10**4
_POINTS = (("0.3",), ("-1.7",), ("2.25",))
_POSITIVE_POINTS = (("0.3",), ("1.75",), ("6.5",))
_UNIT_POINTS = (("0.3",), ("-0.875",))


def _entire(method: Callable[[acb], acb]) -> BallRule:
    return lambda args, analytic: method(args[0])


def _between(low: int, high: int) -> EnvelopeRule:
    """low <= f <= high for every real argument."""
    return lambda args: env.constant(Fraction(low), Fraction(high))


def _least_beyond(g: Envelope, f: Callable[[arb], arb]) -> Fraction:
    """A lower bound of |f(g)| for an f that is odd and rises: f(c), where |g| >= c is proved; or 0."""
    if g.floor is None or g.floor.a1 < 0 or g.floor.a2 < 0:
        return Fraction(0)
    least = f(arb(g.floor.scale.numerator) / arb(g.floor.scale.denominator))
    return max(env.round_down(env.fraction_of(least.lower())), Fraction(0)) if least.is_finite() else Fraction(0)


def _rising(height: int, f: Callable[[arb], arb]) -> EnvelopeRule:
    """f is odd, rises, and |f| <= height."""

    def rule(args: Sequence[Envelope]) -> Envelope:
        g, most = args[0], Fraction(height)
        least = _least_beyond(g, f)
        if g.nonnegative:
            return env.constant(least, most)
        if g.nonpositive:
            return env.constant(-most, -least)
        return replace(env.constant(-most, most), floor=Size(least) if least else None)

    return rule


def _asinh_like(args: Sequence[Envelope]) -> Envelope:
    """asinh: |f(x)| <= |x|, odd and rising."""
    g = args[0]
    lower = Quadratic() if g.nonnegative else None if g.lower is None else g.lower.minimum(Quadratic())
    upper = Quadratic() if g.nonpositive else None if g.upper is None else g.upper.maximum(Quadratic())
    least = _least_beyond(g, arb.asinh)
    return Envelope(lower, upper, g.size, Size(least) if least else None).completed()


def _sinh(args: Sequence[Envelope]) -> Envelope:
    """|x| <= |sinh(x)| <= exp(|x|), with the sign of x."""
    g, grown = args[0], _exp_of_magnitude(args)
    lower = g.lower if g.nonnegative else None
    upper = g.upper if g.nonpositive else None
    return Envelope(lower, upper, grown.size, g.floor).completed()


def _erfc(args: Sequence[Envelope]) -> Envelope:
    """0 < erfc < 2, above 1 for x <= 0; erfc(x) >= exp(-x^2) / (sqrt(pi) (1 + x)) >= exp(-x^2 - x) / 2 for x >= 0.

    DLMF 7.8.2, with x + sqrt(x^2 + 2) <= 2 (1 + x).
    """
    g = args[0]
    if g.nonpositive:
        return env.constant(_ONE, Fraction(2))
    bounds = env.constant(Fraction(0), Fraction(2))
    top = None if g.upper is None else g.upper.maximum(Quadratic())
    square = None if top is None else top.squared()
    if top is None or square is None:
        return bounds
    fall = env.exponential(Envelope(lower=-(square + top).rounded_up())).floor
    return bounds if fall is None else replace(bounds, floor=Size(fall.scale / 2, fall.power, fall.a1, fall.a2))


def _exp_of_magnitude(args: Sequence[Envelope]) -> Envelope:
    """|f(x)| <= exp(|x|): sinh, cosh, besseli of order >= 0 (DLMF 10.14.4 at imaginary argument)."""
    magnitude = args[-1].magnitude()
    return Envelope(size=None if magnitude is None else env.exponential(Envelope(upper=magnitude)).size).completed()


def _cosh(args: Sequence[Envelope]) -> Envelope:
    grown = _exp_of_magnitude(args)
    return Envelope(Quadratic(a0=_ONE), grown.upper, grown.size).completed()


def _erfi(args: Sequence[Envelope]) -> Envelope:
    """|erfi(x)| <= (2/sqrt(pi)) |x| exp(x^2) <= 2 |x| exp(x^2)."""
    magnitude = args[0].magnitude()
    square = None if magnitude is None else magnitude.maximum(Quadratic()).squared()
    grown = env.exponential(Envelope(upper=square)).size if square is not None else None
    if grown is None or args[0].size is None:
        return Envelope()
    return Envelope(size=grown * args[0].size * Size(Fraction(2))).completed()


def _gamma(args: Sequence[Envelope]) -> Envelope:
    """Gamma is convex on (0, oo): at most the larger end value; at least 0.88.

    For x >= 1, Gamma(x) <= x^x, and x log(x) <= x^2 / 64 + (log(64) - 1) x, where log(64) - 1 < 16/5.
    """
    g = args[0]
    least = Quadratic(a0=Fraction(22, 25))
    if g.lower is None or not g.lower.never_below(g.lower.a0) or g.lower.a0 <= 0:
        return Envelope()
    largest, span = _gamma_at(g.lower.a0), g.constant_range()
    end = None if span is None else _gamma_at(span[1])
    if largest is None or (span is not None and end is None):
        return Envelope(least).completed()
    if end is not None:
        return env.constant(least.a0, max(largest, end))
    top = None if g.upper is None else g.upper.maximum(Quadratic())
    square = None if top is None else top.squared()
    if top is None or square is None:
        return Envelope(least).completed()
    grown = env.exponential(Envelope(upper=(square.scaled(Fraction(1, 64)) + top.scaled(Fraction(16, 5))).rounded_up()))
    return Envelope(least, size=None if grown.size is None else grown.size + Size(largest)).completed()


def _gamma_at(x: Fraction) -> Fraction | None:
    """Gamma(x) from above, x > 0; None where it has more than some 30,000 digits."""
    if x > _LARGEST_FACTORIAL:
        return None
    return env.round_up(env.fraction_of((arb(x.numerator) / arb(x.denominator)).gamma().upper()))


def _loggamma(args: Sequence[Envelope]) -> Envelope:
    """-0.13 <= loggamma(x) <= max(loggamma(l), 0) + x^2 for x >= l > 0 (log Gamma(x) <= x log x, x >= 1)."""
    g = args[0]
    if g.lower is None or not g.lower.never_below(g.lower.a0) or g.lower.a0 <= 0 or g.upper is None:
        return Envelope()
    square = None if g.size is None else g.size.to_power(Fraction(2))
    if square is None:
        return Envelope()
    least = (arb(g.lower.a0.numerator) / arb(g.lower.a0.denominator)).lgamma().upper()
    extra = max(env.fraction_of(least), Fraction(0))
    return Envelope(Quadratic(a0=Fraction(-13, 100)), size=square + Size(env.round_up(extra) + 1)).completed()


def _digamma_like(args: Sequence[Envelope]) -> Envelope:
    """|psi(x)| <= x + 2/l, |psi_n(x)| <= n!/l^(n+1) + (n-1)!/l^n for x >= l > 0, DLMF 5.15.1."""
    order, g = args[0].constant_range(), args[1]
    if order is None or order[0] != order[1] or order[0].denominator != 1:
        return Envelope()
    if g.lower is None or g.lower.a0 <= 0 or not g.lower.never_below(g.lower.a0) or g.upper is None:
        return Envelope()
    n, least = int(order[0]), g.lower.a0
    if n == 0:
        top = g.upper.maximum(Quadratic()) + Quadratic(a0=2 / least)
        return Envelope(-top, top).completed()
    factorial = Fraction(int(sympy.factorial(n)))
    bound = env.round_up(factorial / least ** (n + 1) + factorial / n / least**n)
    return env.constant(-bound, bound)


def _tan(args: Sequence[Envelope]) -> Envelope:
    """|tan(x)| <= 15 where |x| <= 3/2."""
    span = args[0].constant_range()
    if span is None or max(abs(span[0]), abs(span[1])) > Fraction(3, 2):
        return Envelope()
    return env.constant(Fraction(-15), Fraction(15))


def _atanh(args: Sequence[Envelope]) -> Envelope:
    """|atanh(x)| <= 1/(1 - c) where |x| <= c < 1."""
    span = args[0].constant_range()
    c = _ONE if span is None else max(abs(span[0]), abs(span[1]))
    return env.constant(-1 / (1 - c), 1 / (1 - c)) if c < 1 else Envelope()


def _acosh(args: Sequence[Envelope]) -> Envelope:
    """0 <= acosh(x) <= x, and <= log(2 x), for x >= 1."""
    g = args[0]
    upper = g.upper
    if upper is None and g.size is not None:
        upper = env.logarithm(Envelope(size=g.size * Size(Fraction(2)))).upper
    return Envelope(Quadratic(), upper).completed()


def _bessel_j(args: Sequence[Envelope]) -> Envelope:
    """|J_nu(x)| <= 1 for nu >= 0 and real x (nu an integer where x < 0), DLMF 10.14.1."""
    order = args[0].constant_range()
    return env.constant(-_ONE, _ONE) if order is not None and order[0] >= 0 else Envelope()


def _bessel_i(args: Sequence[Envelope]) -> Envelope:
    order = args[0].constant_range()
    grown = _exp_of_magnitude(args) if order is not None and order[0] >= 0 else Envelope()
    # I_0 is even and rises from 1.
    return replace(grown, lower=Quadratic(a0=_ONE)).completed() if order == (Fraction(0), Fraction(0)) else grown


def _airy_prime(args: Sequence[Envelope]) -> Envelope:
    """Ai'(x)^2 <= 0.07 + 0.3 |x|: Ai'^2 - x Ai^2 has derivative -Ai^2, and Ai^2 <= 0.3 on the real line."""
    size = args[0].size
    return Envelope() if size is None else Envelope(size=size + Size(_ONE)).completed()


def _lambert(args: Sequence[Envelope]) -> Envelope:
    """-1 <= W(x) <= max(x, 0) on the principal branch; for x >= 0, W(x) <= log(1 + x), as (1 + x) log(1 + x) >= x."""
    g = args[0]
    upper = None if g.upper is None else g.upper.maximum(Quadratic())
    if upper is None and g.size is not None:
        upper = env.logarithm(Envelope(size=Size(_ONE) + g.size)).upper
    # W(x) = x exp(-W(x)) >= x / (1 + x)
    floor = env.fraction_floor(g) if g.nonnegative else None
    return Envelope(Quadratic() if g.nonnegative else Quadratic(a0=-_ONE), upper, floor=floor).completed()


def _off_imaginary_cut(method: Callable[[acb], acb]) -> BallRule:
    return lambda args, analytic: NAN if analytic and meets_imaginary_rays(args[0]) else method(args[0])


def _asinh(z: acb) -> acb:
    """By oddness from the left half plane: in the right one the library loses wide balls to cancellation."""
    return -(-z).asinh() if z.real > 0 else z.asinh()


def _off_unit_rays(method: Callable[[acb], acb]) -> BallRule:
    def rule(args: Sequence[acb], analytic: bool) -> acb:
        cut = analytic and meets_real_ray(args[0], above=arb(1), below=arb(-1))
        return NAN if cut else method(args[0])

    return rule


def _off_ray_below(method: Callable[[acb], acb], end: Callable[[], arb]) -> BallRule:
    def rule(args: Sequence[acb], analytic: bool) -> acb:
        return NAN if analytic and meets_real_ray(args[0], below=end()) else method(args[0])

    return rule


def _bessel(kind: Callable[[acb, acb], acb]) -> BallRule:
    def rule(args: Sequence[acb], analytic: bool) -> acb:
        order, z = args
        integer = order.real.unique_fmpz() is not None and order.real.is_exact()
        if analytic and not integer and meets_real_ray(z, below=arb(0)):
            return NAN
        return kind(z, order)

    return rule


def _bessel_domain(args: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
    return () if args[0].is_integer else (args[1],)


def _sinc_derivative(z: acb) -> acb:
    return -z / 3 * (-z * z / 4).hypgeom_0f1(acb(5) / 2)


def _inside_unit(args: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
    return (1 - args[0], 1 + args[0])


def _argument(args: Sequence[sympy.Expr]) -> tuple[sympy.Expr, ...]:
    return (args[-1],)


ANALYTIC_FUNCTIONS: tuple[AnalyticFunction, ...] = (
    AnalyticFunction(sympy.exp, _entire(acb.exp), lambda a: env.exponential(a[0]), "exp", _POINTS),
    AnalyticFunction(
        sympy.log,
        lambda a, analytic: a[0].log(analytic=analytic),
        lambda a: env.logarithm(a[0]),
        "log",
        _POSITIVE_POINTS,
        at_least_zero=_argument,
    ),
    AnalyticFunction(sympy.sin, _entire(acb.sin), _between(-1, 1), "sin", _POINTS),
    AnalyticFunction(sympy.cos, _entire(acb.cos), _between(-1, 1), "cos", _POINTS),
    AnalyticFunction(sympy.tan, _entire(acb.tan), _tan, "tan", _POINTS, nonzero=lambda a: (sympy.cos(a[0]),)),
    AnalyticFunction(sympy.sinh, _entire(acb.sinh), _sinh, "sinh", _POINTS),
    AnalyticFunction(sympy.cosh, _entire(acb.cosh), _cosh, "cosh", _POINTS),
    AnalyticFunction(sympy.tanh, _entire(acb.tanh), _rising(1, arb.tanh), "tanh", _POINTS),
    AnalyticFunction(sympy.asinh, _off_imaginary_cut(_asinh), _asinh_like, "asinh", _POINTS),
    AnalyticFunction(
        sympy.acosh,
        _off_ray_below(acb.acosh, lambda: arb(1)),
        _acosh,
        "acosh",
        (("1.25",), ("4.5",)),
        at_least_zero=lambda a: (a[0] - 1,),
    ),
    AnalyticFunction(sympy.atanh, _off_unit_rays(acb.atanh), _atanh, "atanh", _UNIT_POINTS, at_least_zero=_inside_unit),
    AnalyticFunction(
        sympy.asin,
        _off_unit_rays(acb.asin),
        _rising(2, arb.asin),
        "asin",
        _UNIT_POINTS,
        at_least_zero=_inside_unit,
    ),
    AnalyticFunction(
        sympy.acos, _off_unit_rays(acb.acos), _between(0, 4), "acos", _UNIT_POINTS, at_least_zero=_inside_unit
    ),
    AnalyticFunction(sympy.atan, _off_imaginary_cut(acb.atan), _rising(2, arb.atan), "atan", _POINTS),
    AnalyticFunction(Sinc, _entire(acb.sinc), _between(-1, 1), "sinc", _POINTS),
    AnalyticFunction(SincDerivative, _entire(_sinc_derivative), _between(-1, 1), "kernelc_sinc_derivative", _POINTS),
    AnalyticFunction(sympy.erf, _entire(acb.erf), _rising(1, arb.erf), "erf", _POINTS),
    AnalyticFunction(sympy.erfc, _entire(acb.erfc), _erfc, "erfc", _POINTS),
    AnalyticFunction(sympy.erfi, _entire(acb.erfi), _erfi, "erfi", _POINTS),
    AnalyticFunction(sympy.gamma, _entire(acb.gamma), _gamma, "gamma", _POSITIVE_POINTS, at_least_zero=_argument),
    AnalyticFunction(
        sympy.loggamma,
        _off_ray_below(acb.lgamma, lambda: arb(0)),
        _loggamma,
        "loggamma",
        _POSITIVE_POINTS,
        at_least_zero=_argument,
    ),
    AnalyticFunction(
        sympy.polygamma,
        lambda a, analytic: a[1].digamma() if a[0] == 0 else a[1].polygamma(a[0]),
        _digamma_like,
        "polygamma",
        (("0", "0.3"), ("0", "6.5"), ("1", "1.75")),
        at_least_zero=_argument,
    ),
    AnalyticFunction(
        sympy.besselj, _bessel(acb.bessel_j), _bessel_j, "besselj", (("0", "0.3"), ("2", "-1.7")), _bessel_domain
    ),
    AnalyticFunction(
        sympy.besseli, _bessel(acb.bessel_i), _bessel_i, "besseli", (("0", "0.3"), ("2", "-1.7")), _bessel_domain
    ),
    AnalyticFunction(sympy.airyai, _entire(lambda z: z.airy_ai()), _between(-1, 1), "airyai", _POINTS),
    AnalyticFunction(
        sympy.airyaiprime, _entire(lambda z: z.airy_ai(derivative=1)), _airy_prime, "kernelc_airyaiprime", _POINTS
    ),
    AnalyticFunction(
        LambertW0,
        _off_ray_below(acb.lambertw, lambda: -(arb(-1).exp())),
        _lambert,
        "lambertw",
        _POSITIVE_POINTS,
        at_least_zero=lambda a: (a[0] + sympy.exp(-1),),
    ),
)
