"""Compute the Chebyshev coefficients and Gauss-Legendre nodes of `_normal_tables`, in mpmath.

Run: python -m kernelc.numerics.make_coefficients > kernelc/numerics/_normal_tables.py
Sources: the variable (x - K)/(x + K) and the factor 1 + 2x of erfcx are those of Shepherd and Laframboise,
Math. Comp. 36 (1981), 249-253; the coefficients are computed here, at 60 digits, by Chebyshev interpolation.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath

#: erfcx is fitted in t = (x - POLE)/(x + POLE)
POLE = mpmath.mpf("3.75")
_HEADER = "# Part of the runtime that kernelc copies, unchanged, into every module it generates that has a closed form."


def chebyshev(function: Callable[[mpmath.mpf], mpmath.mpf], points: int, cut: float) -> list[mpmath.mpf]:
    """Chebyshev coefficients on [-1, 1] (the first halved), up to the last above `cut`."""
    angles = [mpmath.pi * (j + mpmath.mpf(1) / 2) / points for j in range(points)]
    values = [function(mpmath.cos(angle)) for angle in angles]
    coefficients = [
        2 * mpmath.fsum(v * mpmath.cos(k * a) for v, a in zip(values, angles, strict=True)) / points
        for k in range(points)
    ]
    coefficients[0] /= 2
    last = max(k for k, c in enumerate(coefficients) if abs(c) > cut)
    return coefficients[: last + 1]


def scaled_erfc(t: mpmath.mpf) -> mpmath.mpf:
    """(1 + 2x) exp(x^2) erfc(x) at x = POLE (1 + t)/(1 - t)."""
    x = POLE * (1 + t) / (1 - t)
    if x > 400:  # asymptotic series, terms below 10^-60 here
        terms = [(-1) ** k * mpmath.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(14)]
        return (1 + 2 * x) / (x * mpmath.sqrt(mpmath.pi)) * mpmath.fsum(terms)
    return (1 + 2 * x) * mpmath.exp(x * x) * mpmath.erfc(x)


def erf_over_x(t: mpmath.mpf) -> mpmath.mpf:
    """erf(x)/x at x^2 = (1 + t)/2."""
    x = mpmath.sqrt((1 + t) / 2)
    return mpmath.erf(x) / x


def _legendre_slope(count: int, x: mpmath.mpf) -> mpmath.mpf:
    return count * (x * mpmath.legendre(count, x) - mpmath.legendre(count - 1, x)) / (x * x - 1)


def gauss_legendre(count: int) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Nodes in increasing order and weights on [0, 1]."""
    nodes, weights = [], []
    for k in range(count, 0, -1):
        x = mpmath.cos(mpmath.pi * (k - mpmath.mpf(1) / 4) / (count + mpmath.mpf(1) / 2))
        for _ in range(8):  # Newton's steps double the digits of a start good to three
            x -= mpmath.legendre(count, x) / _legendre_slope(count, x)
        nodes.append((x + 1) / 2)
        weights.append(1 / ((1 - x * x) * _legendre_slope(count, x) ** 2))
    return nodes, weights


def printed(name: str, comment: str, values: list[mpmath.mpf]) -> str:
    """One tuple of doubles that round-trip."""
    rows = "".join(f"    {float(v)!r},\n" for v in values)
    return f"#: {comment}\n{name} = (\n{rows})\n"


def main() -> None:
    """Print the module."""
    mpmath.mp.dps = 60
    print(_HEADER)
    print('"""Tables computed by `python -m kernelc.numerics.make_coefficients`; do not edit."""\n')
    print(
        printed(
            "ERFCX",
            "(1 + 2x) erfcx(x), x >= 0, in Chebyshev polynomials of (x - 3.75)/(x + 3.75)",
            chebyshev(scaled_erfc, 120, 2e-18),
        )
    )
    print(printed("ERF", "erf(x)/x, |x| <= 1, in Chebyshev polynomials of 2 x^2 - 1", chebyshev(erf_over_x, 60, 2e-18)))
    for count in (14, 36):
        nodes, weights = gauss_legendre(count)
        print(printed(f"NODES_{count}", f"Gauss-Legendre nodes on [0, 1], {count} of them", nodes))
        print(printed(f"WEIGHTS_{count}", "their weights", weights), end="\n" if count == 14 else "")


if __name__ == "__main__":
    main()
