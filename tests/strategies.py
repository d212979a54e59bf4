"""Hypothesis strategies, all in one file: well-formed formulas with an evaluator of their own, and hostile text.

A `Formula` carries its text and a tree of plain tuples; `Formula.value` computes from the tree with mpmath
and nothing of kernelc or SymPy, so it is a second road to what the text means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import mpmath
from hypothesis import strategies as st

Tree = tuple[Any, ...]

#: Above this size a value in the evaluator is of no interest (exp(exp(exp(t)))).
LARGEST = 10**6
#: Nearer than this, a comparison or a kink is not decided by the evaluator.
TIE = mpmath.mpf("1e-15")
DIGITS = 40


class OutOfRangeError(Exception):
    """The independent evaluator leaves its range or stands on a kink: the example says nothing."""


@dataclass(frozen=True)
class Formula:
    """A formula as text, with the parameters it needs and the tree that it was spelled from."""

    text: str
    parameters: tuple[tuple[str, str], ...]
    tree: Tree

    def value(self, t: Fraction) -> mpmath.mpf:
        """The formula's value at t with 40 digits of working precision.

        Raises:
            OutOfRangeError: an intermediate value is above 1e6, or a condition is too near to call.
        """
        names = {"pi": mpmath.pi, "E": mpmath.e} | {name: _number(text) for name, text in self.parameters}
        with mpmath.workdps(DIGITS):
            names = {name: +value for name, value in names.items()}
            return _evaluate(self.tree, mpmath.mpf(t.numerator) / t.denominator, names)


def _number(text: str) -> mpmath.mpf:
    with mpmath.workdps(DIGITS):
        exact = Fraction(text)
        return mpmath.mpf(exact.numerator) / exact.denominator


def _away_from_zero(x: mpmath.mpf) -> mpmath.mpf:
    if abs(x) < TIE:
        raise OutOfRangeError
    return x


def _step(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.mpf(_away_from_zero(x) > 0)


def _sigmoid(x: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-x))


#: Functions that are defined on the whole real line: typed name -> what it means.
_SMOOTH: Mapping[str, Callable[..., mpmath.mpf]] = MappingProxyType(
    {
        "exp": mpmath.exp,
        "sin": mpmath.sin,
        "cos": mpmath.cos,
        "tanh": mpmath.tanh,
        "atan": mpmath.atan,
        "asinh": mpmath.asinh,
        "erf": mpmath.erf,
        "erfc": mpmath.erfc,
        "sigmoid": _sigmoid,
        "silu": lambda x: x * _sigmoid(x),
        "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
        "gelu": lambda x: x * mpmath.ncdf(x),
    }
)
_KINKED: Mapping[str, Callable[..., mpmath.mpf]] = MappingProxyType(
    {
        "Abs": abs,
        "abs": abs,
        "relu": lambda x: max(x, mpmath.mpf(0)),
        "sign": lambda x: mpmath.sign(_away_from_zero(x)),
        "Heaviside": _step,
        "step": _step,
        "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    }
)
_TWO_ARGUMENTS: Mapping[str, Callable[..., mpmath.mpf]] = MappingProxyType({"Max": max, "min": min})
_FUNCTIONS: Mapping[str, Callable[..., mpmath.mpf]] = MappingProxyType({**_SMOOTH, **_KINKED, **_TWO_ARGUMENTS})


def _bounded(value: mpmath.mpf) -> mpmath.mpf:
    if abs(value) > LARGEST:
        raise OutOfRangeError
    return value


def _evaluate(tree: Tree, t: mpmath.mpf, names: Mapping[str, mpmath.mpf]) -> mpmath.mpf:
    def at(branch: Tree) -> mpmath.mpf:
        return _evaluate(branch, t, names)

    match tree:
        case ("number", text):
            return _number(text)
        case ("name", name):
            return names.get(name, t)
        case ("-", operand):
            return -at(operand)
        case ("+", left, right):
            return _bounded(at(left) + at(right))
        case ("--", left, right):
            return _bounded(at(left) - at(right))
        case ("*", left, right):
            return _bounded(at(left) * at(right))
        case ("/", left, right):
            return _bounded(at(left) / at(right))
        case ("^", base, exponent):
            return _bounded(at(base) ** int(exponent))
        case ("call", name, *arguments):
            return _bounded(_FUNCTIONS[name](*[at(argument) for argument in arguments]))
        case ("if", condition, left, right):
            return at(left) if _holds(condition, t, names) else at(right)
    raise AssertionError(tree)


def _holds(condition: Tree, t: mpmath.mpf, names: Mapping[str, mpmath.mpf]) -> bool:
    match condition:
        case ("<" | "<=" | ">" | ">=" as sign, left, right):
            difference = _away_from_zero(_evaluate(left, t, names) - _evaluate(right, t, names))
            return bool(difference < 0 if "<" in sign else difference > 0)
        case ("and", left, right):
            # Both sides, so that a tie on either is noticed.
            return all([_holds(left, t, names), _holds(right, t, names)])
        case ("or", left, right):
            return any([_holds(left, t, names), _holds(right, t, names)])
        case ("not", operand):
            return not _holds(operand, t, names)
    raise AssertionError(condition)


# Spelling: (text, binding strength), brackets only where the grammar needs them.

_IF, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(6)


class _Speller:
    """Spells a tree as text; `draw` picks among spellings of the same meaning."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def _pick(self, *options: str) -> str:
        return str(self._draw(st.sampled_from(options)))

    def spell(self, tree: Tree, strength: int = _IF) -> str:
        text, own = self._spell(tree)
        return f"({text})" if own < strength else text

    def _spell(self, tree: Tree) -> tuple[str, int]:
        match tree:
            case ("number" | "name", text):
                return text, _ATOM
            case ("-", operand):
                return "-" + self.spell(operand, _UNARY), _UNARY
            case ("+" | "--" as sign, left, right):
                between = self._pick("{0}", " {0} ", "\n{0} ").format(sign[0])
                return self.spell(left, _SUM) + between + self.spell(right, _PRODUCT), _SUM
            case ("*" | "/" as sign, left, right):
                between = self._pick("{0}", " {0} ").format(sign)
                return self.spell(left, _PRODUCT) + between + self.spell(right, _UNARY), _PRODUCT
            case ("^", base, exponent):
                return self.spell(base, _ATOM) + self._pick("^", "**", " ^ ") + exponent, _POWER
            case ("call", name, *arguments):
                return name + "(" + ", ".join(self.spell(argument) for argument in arguments) + ")", _ATOM
            case ("if", condition, left, right):
                return self._choice(condition, left, right)
        raise AssertionError(tree)

    def _choice(self, condition: Tree, left: Tree, right: Tree) -> tuple[str, int]:
        if self._draw(st.booleans()):
            test, yes, no = self._condition(condition), self.spell(left), self.spell(right)
            return f"Piecewise(({yes}, {test}), ({no}, True))", _ATOM
        return f"{self.spell(left, _SUM)} if {self._condition(condition)} else {self.spell(right)}", _IF

    def _condition(self, condition: Tree) -> str:
        match condition:
            case ("<" | "<=" | ">" | ">=" as sign, left, right):
                return f"{self.spell(left, _SUM)} {sign} {self.spell(right, _SUM)}"
            case ("and" | "or" as word, left, right):
                one, two = self._condition(left), self._condition(right)
                mark = "&" if word == "and" else "|"
                return self._pick(
                    f"(({one}) {word} ({two}))", f"{word.title()}({one}, {two})", f"({one}) {mark} ({two})"
                )
            case ("not", operand):
                inner = self._condition(operand)
                return self._pick(f"(not ({inner}))", f"Not({inner})", f"~({inner})")
        raise AssertionError(condition)


_NUMBERS = st.sampled_from(("0", "1", "2", "3", "0.5", ".25", "1.5e-1", "0.1", "7"))
#: Parameter values: text that both Fraction and the parser read.
_VALUES = st.sampled_from(("1", "2", "-1/2", "0.3", "3/7", "1e-2"))
_COMPARISONS = st.sampled_from(("<", "<=", ">", ">="))


def _leaves(variable: str, parameters: tuple[str, ...]) -> st.SearchStrategy[Tree]:
    names = st.sampled_from((variable, variable, *parameters, "pi", "E")).map(lambda name: ("name", name))
    return st.one_of(names, _NUMBERS.map(lambda text: ("number", text)))


def _grow(branch: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    comparison = st.tuples(_COMPARISONS, _flat(branch), _flat(branch))
    condition = st.one_of(
        comparison,
        st.tuples(st.sampled_from(("and", "or")), comparison, comparison),
        comparison.map(lambda operand: ("not", operand)),
    )
    return st.one_of(
        st.tuples(st.sampled_from(("+", "--", "*")), branch, branch),
        branch.map(lambda operand: ("-", operand)),
        # A divisor of at least one: a pole is another test's business.
        st.tuples(st.just("/"), branch, branch.map(lambda x: ("+", ("number", "1"), ("^", x, "2")))),
        st.tuples(st.just("^"), branch, st.sampled_from(("1", "2", "3", "5"))),
        st.tuples(st.just("call"), st.sampled_from((*_SMOOTH, *_KINKED)), branch),
        st.tuples(st.just("call"), st.sampled_from(tuple(_TWO_ARGUMENTS)), branch, branch),
        st.tuples(st.just("if"), condition, branch, branch),
    )


def _flat(branch: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    """Sides of a comparison: no choice inside, which the parser refuses."""
    return branch.filter(lambda tree: not _has_choice(tree))


def _has_choice(tree: Tree) -> bool:
    return tree[0] == "if" or any(_has_choice(part) for part in tree if isinstance(part, tuple))


def _names_in(tree: Tree) -> set[str]:
    found = {str(tree[1])} if tree[0] == "name" else set()
    return found.union(*[_names_in(part) for part in tree if isinstance(part, tuple)])


@st.composite
def formulas(draw: Callable[[st.SearchStrategy[Any]], Any], max_leaves: int = 8) -> Formula:
    """Well-formed formulas: compositions, products, powers, kinks, choices, parameters, many spellings."""
    variable = draw(st.sampled_from(("t", "x", "z1", "theta", "u")))
    parameters = ("A", "beta")
    tree = draw(st.recursive(_leaves(variable, parameters), _grow, max_leaves=max_leaves))
    used = sorted(_names_in(tree) & set(parameters))
    return Formula(_Speller(draw).spell(tree), tuple((name, draw(_VALUES)) for name in used), tree)


# Activations: what the soundness campaign compiles

_SCALES = ("0.001", "0.01", "0.1", "0.25", "0.5", "0.7", "1.5", "2", "3", "10", "100", "1000")
_SHIFTS = ("0", "0.3", "0.5", "1", "1.25", "2", "3", "0.001", "5")
_ONE_ARGUMENT = (
    *("exp", "sin", "cos", "tanh", "atan", "asinh", "erf", "erfc", "sigmoid", "silu", "softplus", "gelu"),
    *("sinc", "sinh", "cosh", "airyai", "Abs", "relu", "sign", "Heaviside", "step", "cbrt", "elu"),
)
#: p of |x|^p: roots, odd powers with a kink, singular but square integrable, and not square integrable.
_POWERS = ("1/2", "3/2", "5/2", "2/3", "4/3", "3/4", "1/10", "-1/10", "-1/5", "-1/3", "-1/2", "3")

_Draw = Callable[[st.SearchStrategy[Any]], Any]


def _called(name: str, *arguments: Tree) -> Tree:
    return ("call", name, *arguments)


def _number_tree(text: str) -> Tree:
    return ("number", text)


_ONE: Tree = ("number", "1")


def _affine(draw: _Draw, variable: str) -> Tree:
    """c t + d, with c from 1e-3 to 1e3 and either left out at times; a parameter may stand for c."""
    t: Tree = ("name", variable)
    scaled: Tree
    match draw(st.integers(0, 9)):
        case 0 | 1 | 2 | 3:
            return t
        case 4:
            scaled = ("*", ("name", draw(st.sampled_from(("A", "beta")))), t)
        case 5:
            scaled = ("-", t)
        case _:
            scaled = ("*", _number_tree(draw(st.sampled_from(_SCALES))), t)
    shift = draw(st.sampled_from(_SHIFTS))
    return scaled if shift == "0" else (draw(st.sampled_from(("+", "--"))), scaled, _number_tree(shift))


def _of_one(draw: _Draw, x: Tree) -> Tree:
    """One function of x: smooth, kinked, with a jump, singular at a point, or one that must be refused."""
    square: Tree = ("^", x, "2")
    match draw(st.integers(0, 19)):
        case 0 | 1 | 2 | 3 | 4 | 5:
            return _called(draw(st.sampled_from(_ONE_ARGUMENT)), x)
        case 6:
            return _called(draw(st.sampled_from(("Max", "Min"))), x, _number_tree(draw(st.sampled_from(_SHIFTS))))
        case 7:
            return ("^", x, draw(st.sampled_from(("2", "3", "4", "5"))))
        case 8:
            return ("^", _called("Abs", x), f"({draw(st.sampled_from(_POWERS))})")
        case 9:
            return _called("log", ("+", _ONE, square))
        case 10:
            return _called("sqrt", ("+", _ONE, square))
        case 11:
            return ("/", x, ("+", _ONE, draw(st.sampled_from((square, _called("Abs", x))))))
        case 12:
            return _called("exp", ("-", draw(st.sampled_from((square, _called("Abs", x))))))
        case 13:
            return _called("log", _called("Abs", x))
        case 14:
            return _called("besselj", _number_tree(draw(st.sampled_from(("0", "1", "2")))), x)
        case 15:
            condition = (draw(_COMPARISONS), x, _number_tree(draw(st.sampled_from(_SHIFTS))))
            return ("if", condition, draw(st.sampled_from((x, square, _called("sin", x)))), _affine(draw, _only(x)))
        case 16:
            return _called("exp", ("/", square, _number_tree(draw(st.sampled_from(("3", "5", "8", "40"))))))
        case 17:
            return _called("elu", x, _number_tree(draw(st.sampled_from(("0.5", "2")))))
        case 18:
            return _called(draw(st.sampled_from(("sqrt", "acosh", "log", "tan", "gamma", "lambertw"))), x)
        case _:
            return _called("lambertw", draw(st.sampled_from((square, _called("Abs", x), _called("exp", x)))))


def _only(tree: Tree) -> str:
    """The variable of a tree."""
    return next(iter(_names_in(tree) - {"A", "beta", "pi", "E"}), "t")


def _activation_tree(draw: _Draw, variable: str, depth: int) -> Tree:
    if depth == 0:
        return _of_one(draw, _affine(draw, variable))
    match draw(st.integers(0, 9)):
        case 0 | 1:
            return _of_one(draw, _affine(draw, variable))
        case 2 | 3:
            # A composition: of another function's scaled value.
            inner = _activation_tree(draw, variable, depth - 1)
            if draw(st.booleans()):
                inner = ("*", _number_tree(draw(st.sampled_from(_SCALES))), inner)
            return _of_one(draw, inner)
        case 4 | 5:
            return ("*", _activation_tree(draw, variable, depth - 1), _activation_tree(draw, variable, depth - 1))
        case 6 | 7:
            sign = draw(st.sampled_from(("+", "--")))
            return (sign, _activation_tree(draw, variable, depth - 1), _activation_tree(draw, variable, depth - 1))
        case 8:
            left, right = (_activation_tree(draw, variable, depth - 1) for _ in range(2))
            if _has_choice(left) or _has_choice(right):
                return ("+", left, right)
            return _called(draw(st.sampled_from(("Max", "Min"))), left, right)
        case _:
            edge = _of_one(draw, _affine(draw, variable))
            if _has_choice(edge):
                return edge
            condition = (draw(_COMPARISONS), edge, _number_tree(draw(st.sampled_from(_SHIFTS))))
            left, right = (_activation_tree(draw, variable, depth - 1) for _ in range(2))
            return ("if", condition, left, right)


@st.composite
def activations(draw: _Draw) -> Formula:
    """Activations with scales from 1e-3 to 1e3 inside and outside: most are compiled, some must be refused."""
    if draw(st.integers(0, 7)) == 0:
        return draw(formulas())  # type: ignore[no-any-return]
    variable = draw(st.sampled_from(("t", "x", "u")))
    tree = _activation_tree(draw, variable, draw(st.integers(0, 2)))
    if draw(st.integers(0, 5)) == 0:
        tree = ("*", _number_tree(draw(st.sampled_from(_SCALES))), tree)
    used = sorted(_names_in(tree) & {"A", "beta"})
    return Formula(_Speller(draw).spell(tree), tuple((name, draw(_VALUES)) for name in used), tree)


# Hostile text

#: Text that has broken parsers of formulas, or that would run, fill the memory or never end if it got far.
NASTY_TEXTS: tuple[str, ...] = (
    "9**9**9*t",
    "9^9^9^9^9*t",
    "((((t^256)^256)^256)^256)^256",
    "(((10^300*t)^200)^200)^200",
    "exp(10**9*log(2))*t",
    "exp(10**9*log(2) + t)",
    "2**(t + 10**9)*2**(-t)",
    "2**(10**9*log(3)/log(2))*t",
    # SymPy asks whether a tower of constants is whole, at a cost that doubles with each storey.
    "t*" + "(1/3)^(" * 30 + "1/3" + ")" * 30,
    "t*" + "2^cos(" * 25 + "1" + ")" * 25,
    "gamma(10**9)*t",
    "gamma(gamma(gamma(5)))*t",
    "loggamma(10**15)*t",
    "digamma(10**15)*t",
    "besselj(10**9, 10**9)*t",
    "exp(exp(exp(exp(100))))*t",
    "sin(exp(exp(exp(9))))*t",
    "E**E**E**E**E**E*t",
    "1/(sin(1)**2 + cos(1)**2 - 1)*t",
    "10**300*10**300*10**300*t",
    "+".join(f"1/{p}**200" for p in range(1001, 1300)) + "*t",
    "+".join(f"t/{p}**200" for p in range(1001, 1300)),
    "(" * 3000 + "t" + ")" * 1000,
    "-" * 4000 + "t",
    "not " * 1000 + "t",
    "t" + "**t" * 1000,
    "t" + "+t" * 2000,
    "t" + "*t" * 2000,
    "sin(" * 60 + "t" + ")" * 60,
    "gelu(" * 40 + "t" + ")" * 40,
    "abs(1-" * 55 + "t" + ")" * 55,
    "max(0,1-" * 55 + "t" + ")" * 55,
    "max(" + ",".join(f"sin({k}*t)-{k}" for k in range(32)) + ")",
    "sqrt(abs(sin(t)-" * 25 + "t" + "))" * 25,
    "t if t>0 else " * 60 + "0",
    # SymPy splits these into real and imaginary parts, multiplying powers out, to find a sign.
    "step(gelu(acos(t)^200))",
    "elu(sinh(softplus(atanh(-2*t/5)^200)))",
    "besseli(1/2, sin(log((swish(t) + pi)^200, 3 + (1 if t > 3 else t))))",
    # SymPy folds a Piecewise inside a condition: twice as many cases a level, and mpmath overflows on a piece.
    "elu(elu(t, besseli(1, erfi(-1 if t < 0 else 10^9))), 2)",
    "elu(" * 20 + "t" + ")" * 20,
    "acos(atan(tan(1e300)))*t",
    "Piecewise(" + ",".join(f"(t,t>{k}*sin(t))" for k in range(150)) + ",(0,True))",
    "9" * 4000,
    "1e" + "9" * 4000,
    "0." + "1" * 4000,
    "t" * 5000,
    "",
    " ",
    "\n\t",
    "\x00",
    "t\x00",
    "t\ud800",
    "\N{FULLWIDTH LATIN SMALL LETTER E}xp(t)",
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "exp.__globals__",
    "(lambda: t)()",
    "[t for t in (1, 2)]",
    "f'{t}'",
    "(t := 1)",
    "exec(t)",
    "eval(t)",
    "open(t)",
    "print(t)",
    "t; import os",
    "t\nimport os",
    "t#comment",
    "t\\\n+1",
    "*t",
    "exp(*t)",
    "exp(**t)",
    "exp(x=t)",
    "True",
    "None",
    "...",
    "t if True",
    "t<t<t",
    "Piecewise((t, t))",
    "Piecewise((t, True), 3)",
    "Piecewise(((t, True), True))",
    "And()",
    "Not(t>0)",
    "I",
    "oo - oo",
    "zoo",
    "nan",
    "1j",
    "0**0*t",
    "0**(-1)*t",
    "(-8)**(1/3)*t",
    "t**(1/10**50)",
    "Heaviside(0)*t",
    "Max()",
    "lambertw(-1)*t",
    "acosh(0.5)*t",
)

_CHARACTERS = tuple("0123456789.,()+-*/^<>=!&|~ \n'\"[]{}:;@#%$?_\\tx")
_WORDS = (
    "**",
    "//",
    "t",
    "exp(",
    "sin(",
    "log(",
    "gamma(",
    "Max(",
    "Piecewise((",
    ",True))",
    "sqrt(",
    "abs(",
    "9**9",
    "10**9",
    "1e300",
    "pi",
    "E",
    "I",
    "oo",
    "nan",
    "True",
    "t>0",
    "if",
    "else",
    "and",
    "not",
    "lambda",
)
_PIECES = st.sampled_from(_CHARACTERS + tuple(f" {word} " for word in _WORDS))


def hostile_texts() -> st.SearchStrategy[str]:
    """Arbitrary text, soups of the grammar's pieces, known bad texts, and good formulas with a piece put in."""
    soup = st.lists(_PIECES, max_size=25).map("".join)
    broken = st.builds(
        lambda formula, piece, place: (
            formula.text[: place % (len(formula.text) + 1)] + piece + formula.text[place % (len(formula.text) + 1) :]
        ),
        formulas(),
        _PIECES,
        st.integers(0, 10**6),
    )
    return st.one_of(st.text(max_size=80), soup, broken, st.sampled_from(NASTY_TEXTS))
