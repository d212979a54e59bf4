"""Sums that cancel far out, in a form that does not: 1 + erf(z) is erfc(-z), 1 - tanh(z)^2 is 1 / cosh(z)^2.

Where erf(z) is within 1e-100 of -1, a ball of 1 + erf(z), and a bound of it from those of its terms,
lose its sign; those of erfc(-z) keep it.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy


def without_cancelling(e: sympy.Add) -> sympy.Expr | None:
    """Another form of e, for the first two terms found that cancel near a limit of a function; None without such.

    It is to be evaluated as it stands: rebuilt by SymPy, it may become e again.
    """
    terms = set(e.args)
    polynomial = {term for term in terms if term.is_polynomial()}
    for companion in e.args:
        for factor in sympy.Mul.make_args(companion):
            for limit, value in _limits(factor):
                part = limit * (companion / factor)
                if part in terms:
                    return _sum(part * value, terms - {part, companion})
        together = _root_beside(companion, sympy.Add(*polynomial))
        if together is not None:
            return _sum(together, terms - polynomial - {companion})
    return None


def _sum(instead: sympy.Expr, rest: set[sympy.Expr]) -> sympy.Expr:
    return sympy.Add(instead, sympy.Add(*rest), evaluate=False) if rest else instead


def _limits(factor: sympy.Expr) -> Iterator[tuple[sympy.Expr, sympy.Expr]]:
    """Each (c, value) with c + factor = c value, where the factor tends to -c."""
    plus, minus = sympy.S.One, sympy.S.NegativeOne
    z = factor.args[0] if factor.args else factor
    if isinstance(factor, sympy.erf):
        yield plus, sympy.erfc(-z, evaluate=False)
        yield minus, sympy.erfc(z, evaluate=False)
    elif isinstance(factor, sympy.erfc):
        yield sympy.Integer(-2), sympy.erfc(-z, evaluate=False) / 2
    elif isinstance(factor, sympy.tanh):
        yield plus, 2 / (1 + sympy.exp(-2 * z))
        yield minus, 2 / (1 + sympy.exp(2 * z))
    elif isinstance(factor, sympy.Pow) and factor.args[1] == 2 and isinstance(z, sympy.tanh):
        yield minus, sympy.cosh(z.args[0]) ** -2
    elif isinstance(factor, sympy.Pow) and factor.args[1] == -1 and isinstance(z, sympy.Add) and plus in z.args:
        yield minus, (z - 1) / z


def _root_beside(companion: sympy.Expr, part: sympy.Expr) -> sympy.Expr | None:
    """companion + part as sign d exp(asinh(sign part / d)), if companion is sign sqrt(part^2 + d^2), d > 0 a number."""
    factor, root = companion.as_coeff_Mul()
    if not (isinstance(root, sympy.Pow) and root.args[1] == sympy.Rational(1, 2) and root.args[0].is_polynomial()):
        return None
    if not part.free_symbols or not part.is_polynomial():
        return None
    squared = sympy.expand(companion**2 - part**2)
    if not (squared.is_number and squared.is_positive and factor.is_real):
        return None
    sign, d = sympy.sign(factor), sympy.sqrt(squared)
    return sign * d * sympy.exp(sympy.asinh(sign * part / d))
