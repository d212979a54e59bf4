"""Conformance of every registered function: its ball against mpmath, with and without `analytic`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import sympy
from flint import acb, arb, ctx
from mpmath import mpf

from kernelc.functions import ANALYTIC_FUNCTIONS, BY_HEAD, AnalyticFunction

#: Names that are kernelc's own, as mpmath spells them: (z) -> value, from the defining formula.
_OWN: dict[str, Callable[..., Any]] = {
    "kernelc_sinc_derivative": lambda z: mpmath.diff(mpmath.sinc, z),
    "kernelc_airyaiprime": lambda z: mpmath.airyai(z, derivative=1),
    "polygamma": mpmath.psi,
}


def reference(record: AnalyticFunction) -> Callable[..., Any]:
    own = _OWN.get(record.mpmath_name)
    return own if own is not None else getattr(mpmath, record.mpmath_name)


def exact(ball: arb) -> tuple[mpf, mpf]:
    """(middle, radius) of a ball without rounding, at the current mpmath precision."""
    (m, e), (r, s) = ball.mid().man_exp(), ball.rad().man_exp()
    return mpmath.ldexp(int(m), int(e)), mpmath.ldexp(int(r), int(s))


def assert_contains(ball: arb, value: mpf, slack: mpf) -> None:
    middle, radius = exact(ball)
    assert abs(middle - value) <= radius + slack, f"{mpmath.nstr(value, 30)} is not in {ball}"


CASES = [
    pytest.param(record, point, id=f"{record.head.__name__}({', '.join(point)})")
    for record in ANALYTIC_FUNCTIONS
    for point in record.check_points
]


def test_every_record_has_check_points_and_its_own_head() -> None:
    assert len(BY_HEAD) == len(ANALYTIC_FUNCTIONS)
    assert all(record.check_points for record in ANALYTIC_FUNCTIONS)


@pytest.mark.parametrize(("record", "point"), CASES)
@pytest.mark.parametrize("analytic", [False, True])
def test_balls_hold_the_value_of_mpmath_at_two_precisions(
    record: AnalyticFunction, point: tuple[str, ...], analytic: bool
) -> None:
    balls = []
    for bits in (64, 300):
        with ctx.workprec(bits):
            balls.append(record.ball([acb(arb(x)) for x in point], analytic))
    rough, fine = balls
    with mpmath.workdps(130):
        order = [int(x) for x in point[:-1]]
        value = mpmath.mpmathify(reference(record)(*order, mpf(point[-1])))
        with ctx.workprec(600):
            assert rough.overlaps(fine)
            assert fine.rad() < arb(2) ** -250
            assert rough.rad() < arb(2) ** -40
            # mpmath differentiates the sinc numerically: fewer of its digits are right.
            slack = abs(value) * mpf(10) ** (-60 if record.mpmath_name.startswith("kernelc_sinc") else -110)
            assert_contains(fine.real, mpmath.re(value), slack)
            assert_contains(rough.real, mpmath.re(value), slack)
            assert fine.imag.contains(0)


@pytest.mark.parametrize(("record", "point"), CASES)
def test_a_wide_box_holds_what_happens_inside(record: AnalyticFunction, point: tuple[str, ...]) -> None:
    """A complex box about a check point encloses the values at points of the box."""
    with ctx.workprec(128), mpmath.workdps(40):
        order = [acb(arb(x)) for x in point[:-1]]
        radius = arb("0.0625")
        box = acb(arb(arb(point[-1]).mid(), radius), arb(0, radius))
        value = record.ball([*order, box], True)
        assert value.is_finite()
        for dx, dy in ((0.0625, 0.0), (-0.03125, 0.0625), (0.0, -0.046875), (0.0625, 0.0625)):
            z = mpmath.mpc(mpf(point[-1]) + dx * (1 - mpf(2) ** -40), dy)
            inside = mpmath.mpc(reference(record)(*[int(x) for x in point[:-1]], z))
            slack = mpf(10) ** -12 * (1 + abs(inside))
            assert_contains(value.real, inside.real, slack)
            assert_contains(value.imag, inside.imag, slack)


_LAMBERT = next(head for head in BY_HEAD if head.__name__ == "LambertW0")

#: (function, orders, point on its cut): a small box about the point meets the cut.
CUTS: list[tuple[type[sympy.Function], tuple[str, ...], complex]] = [
    (sympy.log, (), -1.0 + 0j),
    (sympy.log, (), 0j),
    (sympy.asinh, (), 1.5j),
    (sympy.asinh, (), -1.5j),
    (sympy.asinh, (), 1j),
    (sympy.atan, (), 1.5j),
    (sympy.atan, (), -2j),
    (sympy.atan, (), -1j),
    (sympy.asin, (), 1.5 + 0j),
    (sympy.asin, (), -1.0 + 0j),
    (sympy.acos, (), -1.5 + 0j),
    (sympy.acos, (), 1.0 + 0j),
    (sympy.acosh, (), 0.5 + 0j),
    (sympy.acosh, (), -3.0 + 0j),
    (sympy.acosh, (), 1.0 + 0j),
    (sympy.atanh, (), 1.5 + 0j),
    (sympy.atanh, (), -1.0 + 0j),
    (sympy.loggamma, (), -0.5 + 0j),
    (sympy.loggamma, (), 0j),
    (sympy.besselj, ("0.5",), -1.5 + 0j),
    (sympy.besselj, ("0.25",), 0j),
    (sympy.besseli, ("1.5",), -2.0 + 0j),
    (sympy.besseli, ("0.5",), 0j),
    (_LAMBERT, (), -0.5 + 0j),
    (_LAMBERT, (), -0.3678794 + 0j),
    # Poles: meromorphic functions are not analytic on a box that holds one.
    (sympy.tan, (), 1.5707 + 0j),
    (sympy.gamma, (), 0j),
    (sympy.gamma, (), -3.0 + 0j),
    (sympy.polygamma, ("0",), -1.0 + 0j),
    (sympy.polygamma, ("1",), 0j),
]


def box_about(z: complex, radius: float = 2.0**-9) -> acb:
    return acb(arb(z.real, radius), arb(z.imag, radius))


@pytest.mark.parametrize(("head", "order", "point"), CUTS, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_box_across_a_cut_is_not_finite(head: type[sympy.Function], order: tuple[str, ...], point: complex) -> None:
    record = BY_HEAD[head]
    arguments = [acb(arb(x)) for x in order]
    assert not record.ball([*arguments, box_about(point)], True).is_finite()
    # Next to the cut, on either side, there is no complaint: the flag is not simply always off.
    beside = box_about(point + 0.3j if point.imag == 0 else point + 0.3, 2.0**-30)
    assert record.ball([*arguments, beside], True).is_finite()


def test_without_the_flag_the_functions_are_finite_on_their_cuts() -> None:
    """Where the flag is what decides, the same box is finite without it."""
    for head, z in ((sympy.log, -1.0), (sympy.asin, 1.5), (sympy.acosh, 0.5), (sympy.atanh, 1.5)):
        assert BY_HEAD[head].ball([box_about(complex(z))], False).is_finite()


@pytest.mark.parametrize("order", ["0", "1", "2"])
def test_bessel_functions_of_integer_order_have_no_cut(order: str) -> None:
    for head in (sympy.besselj, sympy.besseli):
        assert BY_HEAD[head].ball([acb(arb(order)), box_about(-1.5)], True).is_finite()


@pytest.mark.parametrize("record", ANALYTIC_FUNCTIONS, ids=lambda r: r.head.__name__)
def test_the_derivative_is_made_of_registered_heads(record: AnalyticFunction) -> None:
    """SymPy's derivative must stay inside the registry, or sigma' could not be evaluated."""
    x = sympy.Symbol("x", positive=True)
    orders = [sympy.Integer(p) for p in record.check_points[0][:-1]]
    derivative = record.head(*orders, x).diff(x)
    assert all(f.func in BY_HEAD for f in derivative.atoms(sympy.Function)), derivative
