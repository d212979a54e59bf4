"""The rules that prove coefficients >= 0, against the coefficients themselves and against what must not be proved."""

from __future__ import annotations

import mpmath
import pytest
import sympy

from kernelc.dualkernel.positivity import prove_positive
from kernelc.dualkernel.series import support, taylor
from kernelc.model import RHO as r
from kernelc.parse import parse_dual

PROVED = [
    "exp(rho - 3)",
    "exp(exp(rho) - 1)",
    "1/(2 - rho)^(3/2)",
    "-log(1 - rho/2) + rho^5",
    "1 - sqrt(1 - rho^2)",
    "asin(rho) + sinh(rho)*cosh(rho)",
    "rho*asin(rho) + sqrt(1 - rho^2)",
    "tan(rho) + atanh(rho/2)",
    "erfi(rho^2/3)",
    "2^rho",
    "(1/2)^(-rho)",
    "exp(rho) - 1 - rho",
    "asin((1 + rho)/2)",
    "1/sqrt(1 - 2/3*rho - rho^2/4)",
]
NOT_PROVED = [
    "cos(rho)",
    "exp(-rho)",
    "exp(rho) - 2*sinh(rho)",
    "asin(2*rho)",
    "1/(1 - 2*rho)",
    "1/(1 + rho)",
    "sqrt(1 - rho)",
    "log(1 - rho)",
    "tan(2*rho)",
    "atan(rho)",
    "log(rho + 1)",
    "asin(rho - 1/2)",
    "sinh(rho - 1)",
]


def read(text: str) -> sympy.Expr:
    return parse_dual(text, name="k").expression


@pytest.mark.parametrize("text", PROVED)
def test_proved_series_have_coefficients_at_least_zero(text: str) -> None:
    expression = read(text)
    proof = prove_positive(expression, 40)
    assert proof is not None
    balls = taylor(expression, 40, 200)
    assert not any(c < 0 for c in balls[proof.proved_from :])
    # the whole series adds up to the value at 1
    assert float(sum(c.mid() for c in balls)) <= float(expression.subs(r, 1)) + 1e-12


@pytest.mark.parametrize("text", NOT_PROVED)
def test_what_has_a_negative_coefficient_or_leaves_its_series_is_not_proved(text: str) -> None:
    assert prove_positive(read(text), 40) is None


@pytest.mark.parametrize("text", [*PROVED, "cos(rho)*exp(rho^3)", "erf(rho) + erfc(rho/2)", "asinh(rho)*tanh(rho)"])
def test_balls_and_supports_hold_the_coefficients(text: str) -> None:
    expression = read(text)
    balls, powers = taylor(expression, 12, 128), support(expression, 12)
    function = sympy.lambdify(r, expression, "mpmath")
    with mpmath.workdps(60):
        nodes = [mpmath.expjpi(mpmath.mpf(2 * j) / 128) / 4 for j in range(128)]
        values = [function(z) for z in nodes]
        for k, (ball, may) in enumerate(zip(balls, powers, strict=True)):
            exact = mpmath.fsum(v / z**k for v, z in zip(values, nodes, strict=True)).real / 128
            assert abs(exact - mpmath.mpf(ball.mid().str(40, radius=False))) < 1e-30
            assert may or abs(exact) < 1e-30


@pytest.mark.parametrize(
    ("text", "powers"),
    [
        ("exp(rho^3)", {0, 3, 6, 9}),
        ("sinh(rho^3)", {3, 9}),
        ("cosh(rho^2)", {0, 4, 8}),
        ("rho*sqrt(1 - rho^2)", {1, 3, 5, 7, 9}),
        ("(rho + rho^4)^2", {2, 5, 8}),
        ("sinh(rho + 1)", set(range(10))),
    ],
)
def test_supports(text: str, powers: set[int]) -> None:
    assert {k for k, may in enumerate(support(read(text), 10)) if may} == powers
