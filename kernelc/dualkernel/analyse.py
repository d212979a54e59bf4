"""Analysis of a given dual kernel: symmetry, kappa and kappa_dot at the compiled variance, positivity."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import sympy

from kernelc.dualkernel.constants import is_plain, real_ball, sign_of
from kernelc.dualkernel.functions import BY_HEAD
from kernelc.dualkernel.positivity import Positivity, prove_positive
from kernelc.dualkernel.series import support
from kernelc.errors import InputError
from kernelc.model import Q11, Q12, Q22, RHO, DualKernelSpec, DualKernelTraits, Parity

#: Coefficients of kappa that are ever looked at.
LONGEST = 1026
_SIMPLIFIED = 120
_SAMPLES = ((Fraction(1, 2), Fraction(1, 4), Fraction(3)), (Fraction(7, 4), Fraction(-2, 3), Fraction(5, 8)))
_DEGREES = tuple(sympy.Rational(k, 2) for k in range(21))


def analyse_dual(spec: DualKernelSpec, variance: Fraction) -> DualKernelTraits:
    """What can be proved of the kernel, at variance q = `variance` for kappa.

    Raises:
        InputError: it holds a function that has no power series here, is not symmetric, or kappa(1) is not
            a finite real number.
    """
    _check_functions(spec.expression)
    q = sympy.Rational(variance.numerator, variance.denominator)
    symmetric = spec.variables == "correlation" or _is_symmetric(spec.expression)
    kappa = _on_the_sphere(spec, q)
    at_one = _at_one(kappa)
    if at_one.infinite or real_ball(at_one.value) is None:
        raise InputError(
            f"kappa(rho) = {kappa} has no finite real value at rho = 1, where it is E[sigma(u)^2]: it is no dual kernel"
        )
    derivative = sympy.diff(kappa, RHO) / q
    slope = _at_one(derivative)
    finite = not slope.infinite and real_ball(slope.value) is not None
    degree = max(int(sympy.Poly(kappa, RHO).degree()), 0) if kappa.is_polynomial(RHO) and kappa != 0 else None
    degree = 0 if kappa == 0 else degree
    powers = support(kappa, LONGEST)
    positive = prove_positive(kappa, LONGEST // 2) if degree is None else _polynomial(degree)
    exact = at_one.exact and (slope.exact or not finite)
    return DualKernelTraits(
        parity=_parity(powers),
        homogeneous_degree=sympy.S.One if spec.variables == "correlation" else _homogeneous_degree(spec.expression),
        kappa=kappa,
        kappa_dot=slope.form if finite else None,
        moment=at_one.value,
        derivative_moment=slope.value if finite else None,
        derivative_refused=None if finite else _REFUSED,
        polynomial_degree=degree,
        support=powers,
        positive=positive.method if positive is not None and exact and symmetric else None,
        proved_from=0 if positive is None else positive.proved_from,
        doubt=_doubt(positive, symmetric, exact),
        symmetric=symmetric,
    )


_REFUSED = (
    "the derivative of the dual kernel at rho = 1 is not finite, so sigma' is not square integrable and the NTK is "
    "infinite at rho = 1"
)


def _doubt(positive: Positivity | None, symmetric: bool, exact: bool) -> str | None:
    if not symmetric:
        return "T(q11, q12, q22) = T(q22, q12, q11) agrees at samples, but could not be proved"
    if not exact:
        return "the values at rho = 1 are limits that were not proved"
    if positive is None:
        return (
            "the computed coefficients are >= 0, but that all others are, and that the series converges at rho = 1, "
            "could not be proved from the formula's shape: the tail is not a bound"
        )
    return None


def _polynomial(degree: int) -> Positivity:
    """Every coefficient of a polynomial is looked at."""
    return Positivity("the kernel is a polynomial, all of whose coefficients are enclosed", degree + 1)


def _parity(powers: tuple[bool, ...]) -> Parity:
    if not any(powers[1::2]):
        return "even"
    return "none" if any(powers[0::2]) else "odd"


def _check_functions(expression: sympy.Expr) -> None:
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, sympy.Basic) and not node.args:
            continue
        known = node.is_Add or node.is_Mul or node.is_Pow or node.func in BY_HEAD or node.func is sympy.acos
        if not known and node.has(RHO, Q11, Q12, Q22):
            heads = ", ".join(sorted({head.__name__ for head in BY_HEAD} | {"acos", "sqrt"}))
            raise InputError(f"{node.func.__name__} is not accepted in a dual kernel; known: {heads}")


def _is_symmetric(expression: sympy.Expr) -> bool:
    """Whether it is proved to be; refused where two values differ."""
    mirrored = expression.subs({Q11: Q22, Q22: Q11}, simultaneous=True)
    difference = expression - mirrored
    if difference == 0 or sympy.expand(difference) == 0:
        return True
    for point in _SAMPLES:
        values = {s: sympy.Rational(x.numerator, x.denominator) for s, x in zip((Q11, Q12, Q22), point, strict=True)}
        if sign_of(difference.subs(values)) in (-1, 1):
            one, other = (float(sympy.N(e.subs(values), 8)) for e in (expression, mirrored))
            a, b, c = map(str, point)
            raise InputError(
                f"not symmetric, so no dual kernel: T({a}, {b}, {c}) = {one:.8g}, but T({c}, {b}, {a}) = {other:.8g}"
            )
    return bool(expression.count_ops() <= _SIMPLIFIED and sympy.simplify(difference) == 0)


def _on_the_sphere(spec: DualKernelSpec, q: sympy.Rational) -> sympy.Expr:
    """kappa(rho) = T(q, q rho, q), acos written as pi/2 - asin."""
    if spec.variables == "correlation":
        kappa = q * spec.expression
    else:
        kappa = spec.expression.subs({Q11: q, Q12: q * RHO, Q22: q}, simultaneous=True)
    kappa = kappa.replace(sympy.acos, lambda x: sympy.pi / 2 - sympy.asin(x))
    return sympy.expand(kappa) if kappa.is_polynomial(RHO) else kappa


@dataclass(frozen=True, slots=True)
class _Value:
    """A function's limit at rho = 1 from the left, and the form of the function that has it there.

    `exact`: it is the value of a form that is continuous there; not where it is SymPy's limit.
    """

    value: sympy.Expr
    form: sympy.Expr
    infinite: bool = False
    exact: bool = True


def _at_one(expression: sympy.Expr) -> _Value:
    """By substitution in a form in which nothing is 0/0 there, else as a limit."""
    for form in _forms(expression):
        value = form.subs(RHO, 1)
        if is_plain(value):
            return _Value(value, form)
        if value in (sympy.zoo, sympy.oo, -sympy.oo):
            return _Value(value, form, infinite=True)
    try:
        limit = sympy.limit(expression, RHO, 1, "-")
    except (NotImplementedError, ValueError, AttributeError, TypeError):
        limit = sympy.nan
    return _Value(limit, expression, infinite=not is_plain(limit) or not limit.is_number, exact=False)


def _forms(expression: sympy.Expr) -> list[sympy.Expr]:
    forms = [expression]
    if expression.count_ops() <= _SIMPLIFIED:
        forms += [sympy.expand(expression), sympy.simplify(expression), _without_roots_below(expression)]
    return list(dict.fromkeys(forms))


def _without_roots_below(expression: sympy.Expr) -> sympy.Expr:
    """(P + Q sqrt(b))/sqrt(b) as (P/b) sqrt(b) + Q where the polynomial b divides P: not 0/0 at a zero of b."""
    above, below = sympy.fraction(sympy.together(expression))
    for factor in sympy.Mul.make_args(below):
        base, power = factor.as_base_exp()
        if base.is_polynomial(RHO) and base.has(RHO) and power == sympy.Rational(1, 2):
            cleared = _divided_by_root(sympy.expand(above), base)
            above, below = (above, below) if cleared is None else (cleared, below / factor)
    return above / below


def _divided_by_root(above: sympy.Expr, base: sympy.Expr) -> sympy.Expr | None:
    """`above` / sqrt(base) without a denominator, None where that cannot be."""
    root = sympy.Dummy()
    opaque = {a: sympy.Dummy() for a in above.atoms(sympy.Function, sympy.Pow) if not a.is_polynomial(RHO)}
    opaque[sympy.sqrt(base)] = root
    total = sympy.S.Zero
    for (count,), coefficient in sympy.Poly(above.subs(opaque), root).terms():
        if count:
            total += coefficient * root ** (count - 1)
            continue
        quotient, rest = sympy.div(coefficient, base, RHO)
        if rest != 0:
            return None
        total += quotient * root
    return total.subs({dummy: a for a, dummy in opaque.items()})


def _homogeneous_degree(expression: sympy.Expr) -> sympy.Expr | None:
    """p with T(a^2 q11, a b q12, b^2 q22) = (a b)^p T, where that is proved."""
    a, b = sympy.symbols("a b", positive=True)
    scaled = expression.subs({Q11: a**2 * Q11, Q12: a * b * Q12, Q22: b**2 * Q22}, simultaneous=True)
    if expression.count_ops() > _SIMPLIFIED:
        return None
    point = {Q11: sympy.Rational(3, 2), Q12: sympy.Rational(1, 3), Q22: sympy.Rational(5, 4)}
    base, grown = expression.subs(point), scaled.subs({a: 4, b: 1}).subs(point)
    for degree in _DEGREES:
        if sign_of(grown - 4**degree * base) == 0:
            return degree if sympy.simplify(scaled - (a * b) ** degree * expression) == 0 else None
    return None
