"""Expansion: ball enclosures of the Hermite coefficients of sigma and of the moments of sigma and sigma'."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil, log, sqrt

from flint import acb, arb, ctx

from kernelc.balls.tails import tail_is_resolved
from kernelc.balls.tape import Tape, arb_of
from kernelc.errors import CertificationError, UnsupportedError
from kernelc.expansion.panels import Panel, PanelBuilder, Target, tail_beyond
from kernelc.model import VARIABLE, ActivationTraits, Growth, HermiteExpansion, SeriesExpansion

FIRST_BITS = 128
LAST_BITS = 2400
#: kappa(1) and kappa_dot(1) in doubles, with room for what is relative to them.
_SMALLEST, _LARGEST = 1e-280, 1e280
_FARTHEST = 64
_SHORT = Fraction(1, 10**4)

#: A variance q as a rational, or as a ball: everything then holds at every q in the ball.
Variance = Fraction | arb


@dataclass(frozen=True, slots=True)
class _Sums:
    hermite: list[arb]
    moment: arb
    derivative_moment: arb
    nodes: int
    panels: int


def _deviation(variance: Variance) -> arb:
    """s = sqrt(q)."""
    return (arb_of(variance) if isinstance(variance, Fraction) else variance).sqrt()


def _double(variance: Variance) -> float:
    return float(variance) if isinstance(variance, Fraction) else float(variance.mid())


def expand(
    traits: ActivationTraits, variance: Variance, degree: int, last: int, precision: int | None
) -> HermiteExpansion:
    """Balls for a_0..a_{last+1}, E[sigma^2], E[sigma'^2] at `variance`; last >= degree.

    The working precision starts at 128 bits (or at `precision`) and doubles until
    both tails beyond `degree` are known to 1/4 %, or lie below 1e-300.

    Raises:
        UnsupportedError: the integrals could not be enclosed, or no better than to their own size.
    """
    bits = FIRST_BITS if precision is None else precision
    _require_moderate(traits, variance, bits)
    while True:
        expansion = _expand_at(traits, variance, last, bits)
        if bits >= LAST_BITS or _resolved(expansion, degree) or _reach(traits, variance, 2 * bits) is None:
            _require_enclosed(expansion)
            return expansion
        bits = 2 * bits


def _require_moderate(traits: ActivationTraits, variance: Variance, bits: int) -> None:
    """Refuse, before anything is integrated, what one short stretch of the line shows to be beyond doubles.

    Raises:
        UnsupportedError: with what would do.
    """
    found = _reach(traits, variance, bits)
    radius = _FARTHEST * _least_radius(variance, bits) if found is None else found[0]
    with ctx.workprec(96):
        s = _deviation(variance)
        for piece in traits.pieces:
            low = -radius if piece.left is None else max(-radius, piece.left.upper)
            high = radius if piece.right is None else min(radius, piece.right.lower)
            if low >= high:
                continue
            tape, half = Tape((piece.expression,), VARIABLE), min((high - low) / 128, _SHORT)
            for k in range(1, 64, 2):
                centre = low + (high - low) * k / 64
                size = tape(acb(arb(arb_of(centre), arb_of(half).upper())))[0].abs_lower()
                z = arb_of(abs(centre) + half) / s
                if size * size * (-z * z / 2).exp() * arb_of(2 * half) / (s * (2 * arb.pi()).sqrt()) > _LARGEST:
                    raise _too_large("E[sigma^2]")


def _require_enclosed(expansion: HermiteExpansion) -> None:
    """Refuse moments whose balls say less than the moments' own size.

    Raises:
        UnsupportedError: naming the moment.
    """
    named = [("E[sigma^2]", expansion.kappa)]
    if expansion.kappa_dot is not None:
        named.append(("E[sigma'^2]", expansion.kappa_dot))
    for what, series in named:
        if not series.moment.is_zero() and not series.moment.rad() < series.moment.mid():
            raise UnsupportedError(
                f"{what} could not be enclosed: its growth bound leaves too much beyond what can be integrated; "
                "lower --variance or scale the argument down"
            )


def _resolved(expansion: HermiteExpansion, degree: int) -> bool:
    with ctx.workprec(expansion.precision):
        series = [expansion.kappa] + ([expansion.kappa_dot] if expansion.kappa_dot is not None else [])
        return all(tail_is_resolved(s, degree) for s in series)


def _least_radius(variance: Variance, bits: int) -> Fraction:
    """Where exp(-z^2/4) is 2^-bits, in units of the argument."""
    return Fraction(max(1, ceil(2 * sqrt(_double(variance) * bits * log(2.0)))))


def _reach(traits: ActivationTraits, variance: Variance, bits: int) -> tuple[Fraction, Fraction] | None:
    """(bulk, R): by their growth bounds sigma and sigma' contribute less than 2^-bits beyond `bulk`, and the bounds
    hold beyond R >= bulk. None where the pieces do not reach so far.
    """
    growths = [traits.growth] if traits.derivative_refused is not None else [traits.growth, traits.derivative_growth]
    known = [g for g in growths if g is not None]
    with ctx.workprec(96):
        s = _deviation(variance)
        limit = arb(2) ** (-2 * bits - 8)
        bulk = _least_radius(variance, bits)
        while not all(_tail(replace(g, beyond=Fraction(0)), s, bulk) < limit for g in known):
            bulk += max(Fraction(1), Fraction(ceil(bulk / 16)))
            if bulk > 10**5:
                return None
        radius = max([bulk, *(Fraction(ceil(g.beyond)) for g in known)])
        return (bulk, radius) if radius <= traits.range_limit else None


def _tail(growth: Growth, s: arb, radius: Fraction) -> arb:
    """E[f^2] beyond R; infinite where R does not reach the region in which the growth bound holds."""
    if radius < growth.beyond:
        return arb.pos_inf()
    return tail_beyond(growth.scale, growth.power, growth.linear, growth.quadratic, s, arb_of(radius))


def _expand_at(traits: ActivationTraits, variance: Variance, degree: int, bits: int) -> HermiteExpansion:
    found = _reach(traits, variance, bits)
    # Where the bounds ask for more than can be integrated, their tails say what that leaves open.
    farthest = min(traits.range_limit, _FARTHEST * _least_radius(variance, bits))
    bulk, radius = (farthest, farthest) if found is None else found
    last = degree + 1
    # The recurrence in balls loses at most about 0.75 bits a degree (its growth at x = sqrt(k) against phi).
    working = bits + 48 + (3 * last) // 4
    with ctx.workprec(working):
        sums = _integrate(traits, variance, last, bits, bulk, radius)
        if not (sums.moment.is_finite() and sums.derivative_moment.is_finite()):
            raise UnsupportedError("the integrals of sigma could not be enclosed: they reach beyond what was analysed")
        return _assembled(traits, variance, sums, degree, bits)


def _integrate(
    traits: ActivationTraits, variance: Variance, last: int, bits: int, bulk: Fraction, radius: Fraction
) -> _Sums:
    s = _deviation(variance)
    with_derivative = traits.derivative_refused is None
    builder = PanelBuilder(Target(last, bits, s, with_derivative, bulk))
    folded = traits.parity != "none"
    low = Fraction(0) if folded else -radius
    try:
        for piece in traits.pieces:
            builder.add_piece(piece, low, radius)
    except ArithmeticError as error:
        raise UnsupportedError(f"the integrals of sigma could not be enclosed: {error}") from error
    sums = _summed(builder.panels, last, s, with_derivative, fixed=isinstance(variance, arb))
    for closure in builder.closures:
        _widen(sums.hermite, closure.error)
        sums = _with_moments(sums, _upto(closure.moments[0]), _upto(closure.moments[1]))
    if folded:
        sums = _unfolded(sums, traits.parity)
    sums = _with_tails(sums, traits, s, radius)
    return _spread(sums, traits, s) if isinstance(variance, arb) else sums


def _spread(sums: _Sums, traits: ActivationTraits, s: arb) -> _Sums:
    """From a_k at the middle of the ball s to a_k at every point of it; the moments hold there already.

    d/ds (h_k(t/s) phi(t/s)/s) = (k h_k + sqrt((k+1)(k+2)) h_{k+2})(t/s) phi(t/s)/s^2, so that
    |da_k/ds| <= (2k + 2) sqrt(E[sigma(sZ)^2])/s by Bessel's inequality. Going through the recurrence in
    balls instead would lose about 0.75 bits a degree of what is known of s.
    """
    kept = {"even": 0, "odd": 1, "none": None}[traits.parity]
    unit = (arb(s.rad()) * sums.moment.upper().sqrt() / s).upper()
    hermite = [
        a if kept is not None and k % 2 != kept else a + arb(0, ((2 * k + 2) * unit).upper())
        for k, a in enumerate(sums.hermite)
    ]
    return replace(sums, hermite=hermite)


def _upto(x: arb) -> arb:
    """The ball [0, x]."""
    return arb(0).union(x)


def _widen(values: list[arb], error: arb) -> None:
    ball = arb(0, error.upper())
    for k, value in enumerate(values):
        values[k] = value + ball


def _with_moments(sums: _Sums, first: arb, second: arb) -> _Sums:
    return _Sums(sums.hermite, sums.moment + first, sums.derivative_moment + second, sums.nodes, sums.panels)


def _unfolded(sums: _Sums, parity: str) -> _Sums:
    """Twice the half line, for a function of known parity; the other parity's coefficients are 0."""
    kept = 0 if parity == "even" else 1
    hermite = [2 * a if k % 2 == kept else arb(0) for k, a in enumerate(sums.hermite)]
    return _Sums(hermite, 2 * sums.moment, 2 * sums.derivative_moment, sums.nodes, sums.panels)


def _with_tails(sums: _Sums, traits: ActivationTraits, s: arb, radius: Fraction) -> _Sums:
    """Adds what lies beyond R: to a_k at most sqrt(E[sigma^2; |t|>R]), by Cauchy-Schwarz for every k."""
    beyond = arb(0) if traits.growth is None else _tail(traits.growth, s, radius)
    growth = traits.derivative_growth if traits.derivative_refused is None else None
    slope = arb(0) if growth is None else _tail(growth, s, radius)
    error = beyond.sqrt().upper()
    kept = {"even": 0, "odd": 1, "none": None}[traits.parity]
    ball = arb(0, error)
    hermite = [a if kept is not None and k % 2 != kept else a + ball for k, a in enumerate(sums.hermite)]
    return _with_moments(
        _Sums(hermite, sums.moment, sums.derivative_moment, sums.nodes, sums.panels), _upto(beyond), _upto(slope)
    )


@lru_cache(maxsize=512)
def _legendre(nodes: int, precision: int) -> tuple[tuple[arb, arb], ...]:
    return tuple(arb.legendre_p_root(nodes, i, weight=True) for i in range(nodes))


def _summed(panels: list[Panel], last: int, s: arb, with_derivative: bool, *, fixed: bool) -> _Sums:
    """All integrals from one evaluation of sigma and sigma' at each node, by the three-term recurrence.

    `fixed`: the a_k are those at the middle of the ball s; the moments are always those on all of it.
    """
    hermite = [arb(0)] * (last + 1)
    moment = derivative_moment = arb(0)
    rise = [1 / arb(k + 1).sqrt() for k in range(last)]
    fall = [(arb(k) / (k + 1)).sqrt() for k in range(last)]
    middle = s.mid() if fixed else s
    unit, middle_unit = (1 / (x * (2 * arb.pi()).sqrt()) for x in (s, middle))
    count = 0
    for panel in panels:
        with ctx.workprec(ctx.prec + panel.extra_bits):
            centre, half = arb_of(panel.centre), arb_of(panel.half)
        for x, w in _legendre(panel.nodes, ctx.prec):
            with ctx.workprec(ctx.prec + panel.extra_bits):
                t = centre + half * x
                value, slope = panel.tape(acb(t))
            f = _real(value)
            z = t / s
            weight = half * w * unit * (-z * z / 2).exp()
            moment += weight * f * f
            if with_derivative:
                g = _real(slope)
                derivative_moment += weight * g * g  # not g ** 2, which is no number where the ball holds 0
            if fixed:
                z = t / middle
                weight = half * w * middle_unit * (-z * z / 2).exp()
            _accumulate(hermite, weight * f, z, rise, fall)
            count += 1
        _widen(hermite, panel.error)
        moment += arb(0, panel.moment_errors[0])
        derivative_moment += arb(0, panel.moment_errors[1])
    return _Sums(hermite, moment, derivative_moment, count, len(panels))


def _real(value: acb) -> arb:
    if not value.imag.overlaps(arb(0)):
        raise CertificationError("sigma took a complex value inside a piece that analysis found real")
    return value.real


def _accumulate(sums: list[arb], first: arb, z: arb, rise: list[arb], fall: list[arb]) -> None:
    """sums[k] += first * h_k(z)."""
    before, now = arb(0), first
    sums[0] += now
    for k in range(len(rise)):
        before, now = now, rise[k] * z * now - fall[k] * before
        sums[k + 1] += now


def _assembled(traits: ActivationTraits, variance: Variance, sums: _Sums, degree: int, bits: int) -> HermiteExpansion:
    q = arb_of(variance) if isinstance(variance, Fraction) else variance
    squares = [_square(a) for a in sums.hermite]
    zero_after = traits.polynomial_degree
    if zero_after is not None:
        squares = [c if k <= zero_after else arb(0) for k, c in enumerate(squares)]
    moment = sums.moment.intersection(arb(0).union(sums.moment.upper())) if sums.moment.contains(0) else sums.moment
    _require_doubles("E[sigma^2]", moment)
    kappa = SeriesExpansion(moment, tuple(squares[: degree + 1]), zero_after)
    kappa_dot = None
    if traits.derivative_refused is None:
        # b_k = sqrt(k+1) a_{k+1} / s (Stein): sigma is absolutely continuous and sigma' square integrable.
        if zero_after == 0:  # a constant: sigma' is exactly 0
            sums = replace(sums, derivative_moment=arb(0))
        if zero_after != 0:
            _require_doubles("E[sigma'^2]", sums.derivative_moment)
        derived = tuple((k + 1) * squares[k + 1] / q for k in range(degree + 1))
        after = None if zero_after is None else max(zero_after - 1, 0)
        kappa_dot = SeriesExpansion(sums.derivative_moment, derived, after)
        _check_derivative(kappa_dot)
    _check_sum(kappa)
    return HermiteExpansion(
        tuple(sums.hermite),
        kappa,
        kappa_dot,
        bits,
        sums.nodes,
        sums.panels,
        traits.growth is not None and traits.certain,
    )


def _require_doubles(what: str, moment: arb) -> None:
    """Refuse a kernel whose values doubles cannot hold, before anything is fitted to them.

    Raises:
        UnsupportedError: with the size and what would do.
    """
    if moment.is_finite() and not moment.upper() >= _SMALLEST:
        raise UnsupportedError(
            f"{what} is below {_SMALLEST:g}, outside the range of doubles; "
            "scale the activation or its argument up, or raise --variance"
        )
    if moment.is_finite() and not moment.lower() <= _LARGEST:
        raise _too_large(what)


def _too_large(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} is above {_LARGEST:g}, outside the range of doubles; "
        "scale the activation or its argument down, or lower --variance"
    )


def _square(a: arb) -> arb:
    """a^2 >= 0, without the negative half that a ball about 0 would bring in."""
    value = a * a
    return value if value > 0 else arb(0).union(value.upper()) if not value.is_zero() else value


def _check_sum(series: SeriesExpansion) -> None:
    """Bessel's inequality must hold: the kept sum cannot exceed the moment."""
    total = arb(0)
    for c in series.coefficients:
        total += c
    if total > series.moment:
        raise CertificationError("the Hermite coefficients' squares exceed E[sigma^2]")


def _check_derivative(series: SeriesExpansion) -> None:
    _check_sum(series)
    if not series.moment.is_finite():
        raise CertificationError("E[sigma'^2] is not finite although analysis proved it")
