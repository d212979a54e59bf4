"""The normal probabilities that closed forms are written in, as SymPy functions.

`NormalCdf(x)` is P(Z <= x) and `BivariateNormalCdf(h, k, r)` is P(X <= h, Y <= k) for standard normal
X, Y of correlation r. SymPy's own `erfc` rewrites erfc(-x) to 2 - erfc(x), which cancels in a tail;
these two never rewrite their arguments.
"""

from __future__ import annotations

from typing import Any

import mpmath
import sympy


class NormalCdf(sympy.Function):  # type: ignore[misc]
    """P(Z <= x) of a standard normal Z, x real."""

    nargs = (1,)
    is_real = True

    @classmethod
    def eval(cls, x: sympy.Expr) -> sympy.Expr | None:
        """The values that are exact: at 0 and at both infinities."""
        if x.is_zero:
            return sympy.Rational(1, 2)
        if x is sympy.oo:
            return sympy.S.One
        return sympy.S.Zero if x is sympy.S.NegativeInfinity else None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The normal density."""
        return sympy.exp(-(self.args[0] ** 2) / 2) / sympy.sqrt(2 * sympy.pi)

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return self._in_mpmath(prec, mpmath.ncdf)

    def _in_mpmath(self, prec: int, function: Any) -> sympy.Expr:
        with mpmath.workprec(prec + 20):
            arguments = [sympy.N(a, mpmath.mp.dps) for a in self.args]
            if not all(a.is_number and a.is_real for a in arguments):
                return self
            return sympy.Float(function(*(mpmath.mpf(a) for a in arguments)), precision=prec)

    def _latex(self, printer: Any) -> str:
        return rf"\Phi\left({printer._print(self.args[0])}\right)"


class BivariateNormalCdf(sympy.Function):  # type: ignore[misc]
    """P(X <= h, Y <= k) for standard normals of correlation r, -1 < r < 1.

    Derivatives by its gradient: d/dh = phi(h) Phi((k - r h)/sqrt(1 - r^2)), d/dr = phi2(h, k; r)
    (Plackett, Biometrika 41 (1954), 351-360).
    """

    nargs = (3,)
    is_real = True

    @classmethod
    def eval(cls, h: sympy.Expr, k: sympy.Expr, r: sympy.Expr) -> sympy.Expr | None:
        """Exact where the probability is elementary: at the centre, without correlation."""
        if h.is_zero and k.is_zero:
            return sympy.Rational(1, 4) + sympy.asin(r) / (2 * sympy.pi)
        return NormalCdf(h) * NormalCdf(k) if r.is_zero else None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """Plackett's gradient."""
        h, k, r = self.args
        spread = sympy.sqrt(1 - r**2)
        if argindex == 3:
            return sympy.exp(-(h**2 - 2 * r * h * k + k**2) / (2 * spread**2)) / (2 * sympy.pi * spread)
        first, other = (h, k) if argindex == 1 else (k, h)
        density = sympy.exp(-(first**2) / 2) / sympy.sqrt(2 * sympy.pi)
        return density * NormalCdf((other - r * first) / spread)

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return NormalCdf._in_mpmath(self, prec, bivariate_normal)

    def _latex(self, printer: Any) -> str:
        h, k, r = (printer._print(a) for a in self.args)
        return rf"\Phi_2\left({h}, {k}; {r}\right)"


def bivariate_normal(h: Any, k: Any, r: Any) -> mpmath.mpf:
    """P(X <= h, Y <= k) in mpmath at the working precision (an estimate, by tanh-sinh quadrature).

    One-dimensional: E[1{X <= h} Phi((k - r X)/sqrt(1 - r^2))], split where the inner argument vanishes
    and a few of its widths around, so that no |r| near 1 hides the step.
    """
    h, k, r = mpmath.mpf(h), mpmath.mpf(k), mpmath.mpf(r)
    if abs(r) >= 1:
        if r > 0:
            return mpmath.ncdf(min(h, k))
        return max(mpmath.ncdf(h) - mpmath.ncdf(-k), mpmath.mpf(0))
    spread = mpmath.sqrt((1 - r) * (1 + r))
    reach = mpmath.sqrt(2 * mpmath.log(10) * (mpmath.mp.dps + 5))
    low, high = -reach, min(h, reach)
    if high <= low:
        low = high - reach
    edges = {low, high}
    if r != 0:
        centre, width = k / r, spread / abs(r)
        edges |= {centre + j * width for j in (-8, -3, 0, 3, 8)}
    edges |= {mpmath.mpf(j) for j in range(-12, 13, 3)}
    grid = sorted(e for e in edges if low <= e <= high)
    return mpmath.quad(lambda x: mpmath.npdf(x) * mpmath.ncdf((k - r * x) / spread), grid)


#: What `sympy.lambdify` needs to evaluate closed forms in mpmath.
MPMATH_NAMES = {"NormalCdf": mpmath.ncdf, "BivariateNormalCdf": bivariate_normal}
