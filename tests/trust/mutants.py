"""Mutants of the code that certifies: each must make a test fail.

    python -m tests.trust.mutants            all of them, a process each; exit status 1 where one survives
    python -m tests.trust.mutants --list     their names

A mutant is one change of one line, made while the module is imported: no file is touched.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import flint  # noqa: F401 - loaded once, before the processes part
import mpmath  # noqa: F401
import numpy  # noqa: F401
import pytest
import sympy  # noqa: F401

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 600.0


@dataclass(frozen=True)
class Mutant:
    """In `module`, `old` (which stands there once) becomes `new`."""

    module: str
    old: str
    new: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.module.removeprefix('kernelc.')}: {self.old.strip()} -> {self.new.strip()}"

    @property
    def tests(self) -> list[str]:
        """The tests that answer for the module, quick ones first."""
        # what stands by itself is answered for by the stage that it serves
        package = {"economy": "fitting"}.get(self.module.split(".")[1], self.module.split(".")[1])
        quick = [f"tests/{package}/test_corners.py", "tests/trust/test_bounds.py", "tests/trust/test_enclosures.py"]
        return [*quick, f"tests/{package}"]


_ROUNDING, _SERIES, _CERTIFY = (f"kernelc.certificate.{name}" for name in ("rounding", "series", "certify"))
_ECONOMY, _FIT = "kernelc.economy", "kernelc.fitting.fit"
_DOUBLES, _LOCAL, _ROOTS, _TAPE = (f"kernelc.balls.{name}" for name in ("doubles", "local", "roots", "tape"))
_APPROACH, _TRAITS, _PIECES = "kernelc.balls.approach", "kernelc.analysis.traits", "kernelc.analysis.pieces"
_ENVELOPE, _ANALYTIC = "kernelc.functions.envelope", "kernelc.functions.analytic"
_COMPLEMENT, _STRUCTURE = "kernelc.functions.complement", "kernelc.functions.structure"
_PANELS, _HERMITE = (f"kernelc.expansion.{name}" for name in ("panels", "hermite"))

# A change that only makes a bound larger, or refuses more, is none: so is to ask of a box no more than that the real
# part is not 0 (balls that are no numbers overlap 0).
MUTANTS = (
    Mutant(_ROUNDING, "return n / (1 - n) if n < 1 else", "return n if n < 1 else"),
    Mutant(_ROUNDING, "if n < 1 else arb.pos_inf()", "if n < 1 else arb(0)"),
    Mutant(_ROUNDING, "return 3 * degree + 4", "return degree + 1"),
    Mutant(_ROUNDING, '+ (1 if dtype == "float32" else 0)', "+ 0"),
    Mutant(_ROUNDING, "* size + n * len(coefficients) * _SMALLEST[dtype]", "* size"),
    Mutant(_ROUNDING, '"float32": arb(2) ** -24', '"float32": arb(2) ** -53'),
    Mutant(_ROUNDING, '"float64": arb(2) ** -53}', '"float64": arb(2) ** -60}'),
    Mutant(_ROUNDING, "size + moved) * carried", "size) * carried"),
    Mutant(_ROUNDING, "operations = 2 * degree + ends + 2", "operations = degree + ends"),
    Mutant(_ROUNDING, "2 * degree + ends + 2", "2 * degree"),
    Mutant(_ROUNDING, "3 * unit * j * size", "unit * j * size"),
    Mutant(_SERIES, "direct.error + rounding, math.inf)", "rounding, math.inf)"),
    Mutant(_ECONOMY, "allowed - left + rounding", "rounding"),
    Mutant(_ECONOMY, "allowed - left + rounding", "allowed - left"),
    Mutant(_ECONOMY, "abs(kept[-1]) <= left", "kept[-1] <= left"),
    Mutant(_ECONOMY, "rising=series.squared,", "rising=False,"),
    Mutant(_ECONOMY, "factor = 2 if series.squared else 1", "factor = 1"),
    Mutant(_ECONOMY, "[*map(Fraction, series.head), sum(rest, Fraction(0))]", "[*map(Fraction, series.head)]"),
    Mutant(_FIT, "tail.upper() + literals + left_out", "tail.upper() + literals"),
    Mutant(_SERIES, "    upper = tail.upper()", "    upper = arb(tail.mid())"),
    Mutant(_SERIES, "tail = series.moment - total(series.coefficients[: degree + 1])",
           "tail = series.moment - total(series.coefficients[: degree + 2])"),
    Mutant(_SERIES, "and degree >= series.tail_is_zero_after:", "and degree >= series.tail_is_zero_after - 1:"),
    Mutant(_SERIES, "and k >= series.tail_is_zero_after", "and k >= series.tail_is_zero_after - 1"),
    Mutant(_SERIES, "upper = (series.moment - partial).upper()", "upper = arb((series.moment - partial).mid())"),
    Mutant(_SERIES, "return Ball(mid, double_above(abs(c - arb(mid)))", "return Ball(mid, double_above(c.rad())"),
    Mutant(_SERIES, "rounding = total([abs(c - arb(x)) for c, x in zip(series.coefficients, doubles, strict=False)])",
           "rounding = arb(0)"),
    Mutant(_SERIES, "double_above(truncation + rounding + e)", "double_above(truncation + e)"),
    Mutant(_SERIES, "truncation * arb(r) ** (degree + 1)", "truncation * arb(r) ** (degree + 2)"),
    Mutant(_SERIES, "        if tail <= tolerance:\n            return {", "        if tail <= 2 * tolerance:\n            return {"),
    Mutant(_SERIES, 'kind = "bound" if proved else "estimate"', 'kind = "bound"'),
    Mutant(_SERIES, "direct.error + rounding + left_out", "direct.error + left_out"),
    Mutant(_SERIES, '"certified" if direct.proved else "estimated"', '"certified"'),
    Mutant(_CERTIFY, "    if not inputs.expansion.proved:", "    if False:"),
    Mutant(_CERTIFY, "            if tail <= tolerance:", "            if tail.mid() <= 2 * tolerance:"),
    Mutant(_CERTIFY, "float(growth.scale) * (1 + 2**-50)", "float(growth.scale)"),
    Mutant(_DOUBLES, "math.nextafter(value, math.inf) if value < top else value", "value"),
    Mutant(_DOUBLES, "    if not x.is_finite():\n        return math.inf", "    if not x.is_finite():\n        return 0.0"),
    Mutant(_DOUBLES, "return 0.0 if x.contains(0) else", "return"),
    Mutant(_DOUBLES, "    except OverflowError:\n        return math.inf", "    except OverflowError:\n        return 0.0"),
    Mutant(_APPROACH, "arb_of(width) * arb(1).exp()", "arb_of(width)"),
    Mutant(_APPROACH, "if size is None or size.a2 > 0:", "if size is None:"),
    Mutant(_APPROACH, "-a1, ceil(max(size.power, _ZERO))", "-a1, 0"),
    Mutant(_APPROACH, "(arb_of(found.high) * unit)", "(arb_of(found.low) * unit)"),
    Mutant(_APPROACH, "(arb_of(found.low) * unit)", "(arb_of(found.high) * unit)"),
    Mutant(_APPROACH, "Quadratic(a0=found.low if k == 0 else _ZERO)", "Quadratic(a0=found.low)"),
    Mutant(_APPROACH, "if found.sign == 0:", "if False:"),
    Mutant(_APPROACH, "-size.a2 * m**2", "_ZERO"),
    Mutant(_APPROACH, "max(b + _FASTEST, -_LARGEST)", "max(b, -_LARGEST)"),
    Mutant(_APPROACH, "Quadratic(floor.scale * floor.a1**2 / 2,", "Quadratic(floor.scale * floor.a1**2 * 2,"),
    Mutant(_APPROACH, "floor.a1 <= 0 or floor.a2 < 0", "floor.a1 <= 0"),
    Mutant(_APPROACH, "return -size.a1 if size.a1 == floor.a1 and floor.scale > 0 else None", "return -size.a1"),
    Mutant(_ENVELOPE, "self.a0 - self.a1**2 / (4 * self.a2) >= c", "self.a0 >= c"),
    Mutant(_ENVELOPE, "lower.a0 + lower.a1 + lower.a2", "lower.a0 + 2 * lower.a1 + lower.a2"),
    Mutant(_ENVELOPE, "round_down(f.floor.scale - c / least)", "round_down(f.floor.scale)"),
    Mutant(_ENVELOPE, "else q.a0 - q.a1**2 / (4 * q.a2))", "else q.a0)"),
    Mutant(_ENVELOPE, "round_down(g.floor.scale / (1 + g.floor.scale))", "g.floor.scale"),
    Mutant(_ENVELOPE, "-f.size.a1 - power / 2, -f.size.a2)", "-f.size.a1, -f.size.a2)"),
    Mutant(_ANALYTIC, "Size(fall.scale / 2,", "Size(fall.scale * 4,"),
    Mutant(_ANALYTIC, "is None or g.floor.a1 < 0 or g.floor.a2 < 0:", "is None:"),
    Mutant(_ANALYTIC, "if order == (Fraction(0), Fraction(0)) else", "if order is not None else"),
    Mutant(_ENVELOPE, "(g.nonnegative and not signed) else f.lower", "(g.nonnegative and not signed) else g.lower"),
    Mutant(_COMPLEMENT, "part = limit * (companion / factor)", "part = companion / factor"),
    Mutant(_COMPLEMENT, "yield plus, sympy.erfc(-z, evaluate=False)", "yield plus, sympy.erfc(z, evaluate=False)"),
    Mutant(_COMPLEMENT, "yield minus, 2 / (1 + sympy.exp(2 * z))", "yield minus, 1 / (1 + sympy.exp(2 * z))"),
    Mutant(_COMPLEMENT, "evaluate=False) / 2", "evaluate=False)"),
    Mutant(_COMPLEMENT, "factor.args[1] == -1 and", "factor.args[1] == -2 and"),
    Mutant(_COMPLEMENT, "factor.args[1] == 2 and", "factor.args[1] == 3 and"),
    Mutant(_COMPLEMENT, "yield minus, (z - 1) / z", "yield minus, 1 / z"),
    Mutant(_COMPLEMENT, "sympy.Add(*rest), evaluate=False) if rest else instead", "sympy.S.Zero, evaluate=False)"),
    Mutant(_COMPLEMENT, "terms - polynomial - {companion}", "terms - {companion}"),
    Mutant(_COMPLEMENT, "squared.is_number and squared.is_positive", "squared.is_number"),
    Mutant(_COMPLEMENT, "sympy.expand(companion**2 - part**2)", "sympy.expand(root**2 - part**2)"),
    Mutant(_COMPLEMENT, "sympy.sqrt(squared)", "squared"),
    Mutant(_COMPLEMENT, "sympy.asinh(sign * part / d)", "sympy.asinh(part / d)"),
    Mutant(_STRUCTURE, "reduce(Size.union, known) + Size(spread)", "reduce(Size.union, known)"),
    Mutant(_STRUCTURE, "if not all(of(a).nonnegative for a in g.args):", "if False:"),
    Mutant(_STRUCTURE, "divisor.base ** (divisor.exp + 1)", "divisor.base ** divisor.exp"),
    Mutant(_STRUCTURE, "constant * sympy.exp(-grown.args[0]) + factor", "sympy.exp(-grown.args[0]) + factor"),
    Mutant(_STRUCTURE, "if constant != 0 and power == grown:", "if power.has(grown):"),
    Mutant(_STRUCTURE, "if len(known) < len(sizes):", "if not known:"),
    Mutant(_ANALYTIC, "grown.size + Size(largest)", "grown.size"),
    Mutant(_ANALYTIC, "square.scaled(Fraction(1, 64)) + top.scaled(Fraction(16, 5))", "square.scaled(Fraction(1, 64)) + top"),
    Mutant(_APPROACH, "-max(other.power, _ZERO) / 2", "_ZERO"),
    Mutant(_APPROACH, "arb_of(other.scale) * arb(2) ** arb_of(max(other.power, _ZERO))", "arb_of(other.scale)"),
    Mutant(_APPROACH, "total += arb", "total = arb"),
    Mutant(_APPROACH, "other.a2 > floor.a2 or", "False or"),
    Mutant(_APPROACH, "return all(self.has_no_zero", "return any(self.has_no_zero"),
    Mutant(_PIECES, "self.is_certain = self.is_certain and a.lower <= b.upper and b.lower <= a.upper", "pass"),
    Mutant(_PIECES, "(root.simple or self._is_edge(root, g, cell))", "True"),
    Mutant(_PIECES, "a.is_one and b.is_one and _is_one(a, b)", "True"),
    Mutant(_PIECES, "not end.is_one and self._is_special", "False and self._is_special"),
    Mutant(_PIECES, "return vanishes_at(VARIABLE - a.root.exact, VARIABLE, b.root.exact)", "return True"),
    Mutant(_PIECES, "known.root.exact is not None and any(", "known.root.exact is not None or any("),
    Mutant(_PIECES, "(g if exponent.has(VARIABLE) else base)", "base"),
    Mutant(_PIECES, "width = root.upper - edge.root.lower if", "width = _TINY**2 if"),
    Mutant(_PIECES, "else edge.root.upper - root.lower", "else _TINY**2"),
    Mutant(_TRAITS, "above.power >= below.power", "True"),
    Mutant(_TRAITS, "if before != after or before", "if before"),
    Mutant(_LOCAL, "low = fraction_of(value.abs_lower().lower()) / factorial(k)",
           "low = fraction_of(value.abs_lower().lower())"),
    Mutant(_LOCAL, "return Order(k, low, _upper(value) / factorial(k), sign", "return Order(k, low, _upper(value) / factorial(k + 1), sign"),
    Mutant(_LOCAL, "sign * self._end.side**k", "sign"),
    Mutant(_LOCAL, "edge = arb_of(high if p > 0 else low)", "edge = arb_of(low if p > 0 else high)"),
    Mutant(_LOCAL, "return least_exponent(f) > -1", "return least_exponent(f) >= -1"),
    Mutant(_LOCAL, "Term(Fraction(k), Fraction(0), 1)", "Term(Fraction(1), Fraction(0), 1)"),
    Mutant(_LOCAL, "Fraction(0), 1), Term(largest,", "Fraction(0), 1), Term(Fraction(0),"),
    Mutant(_LOCAL, "largest = max(_upper(acb(arb_of(low).log())), ", "largest = min(_upper(acb(arb_of(low).log())), "),
    Mutant(_LOCAL, "fraction_of(edge.upper())), k * p, 0)", "fraction_of(edge.upper())), Fraction(k), 0)"),
    Mutant(_LOCAL, "high = self.upper + self.width if self.side > 0", "high = self.upper if self.side > 0"),
    Mutant(_LOCAL, "low = self.lower if self.side > 0 else self.lower - self.width", "low = self.lower"),
    Mutant(_LOCAL, "weight = factorial(term.logs) // factorial(term.logs - j)", "weight = 1"),
    Mutant(_LOCAL, "e = arb_of(term.exponent) + 1", "e = arb_of(term.exponent) + 2"),
    Mutant(_LOCAL, "best = (Term(_upper(value) / factorial(k), Fraction(k), 0),)",
           "best = (Term(_upper(value) / factorial(k), Fraction(k + 1), 0),)"),
    Mutant(_LOCAL, "            if not self._vanishes(derivative):\n                break",
           "            if False:\n                break"),
    Mutant(_LOCAL, "a.exponent + b.exponent, a.logs + b.logs) for a in f for b in f)",
           "a.exponent + b.exponent, a.logs) for a in f for b in f)"),
    Mutant(_LOCAL, "return None if span is None else (Term(max(abs(span[0]), abs(span[1]))",
           "return None if span is None else (Term(min(abs(span[0]), abs(span[1]))"),
    Mutant(_ROOTS, "return 1 if value > 0 else -1 if value < 0 else 0", "return 1 if value > 0 else -1"),
    Mutant(_ROOTS, "                if left * right > 0:", "                if left * right >= 0:"),
    Mutant(_ROOTS, "found[-1] = RealRoot(None, found[-1].lower, b, monotone and found[-1].simple)",
           "found[-1] = RealRoot(None, found[-1].lower, b, True)"),
    Mutant(_ROOTS, "found.append(RealRoot(None, a, b, monotone))", "found.append(RealRoot(None, a, b, True))"),
    Mutant(_ROOTS, "whole if down or whole == scaled else whole + 1", "whole"),
    Mutant(_ROOTS, "lo, hi = max(a, fraction_of(step.lower())), min(b, fraction_of(step.upper()))",
           "lo = hi = fraction_of(step.mid())"),
    Mutant(_ROOTS, "if upper < root.lower or lower > root.upper:", "if False:"),
    Mutant(_ROOTS, "        elif b - a < floor_width:\n            yield a, b, False", "        elif b - a < floor_width:\n            pass"),
    Mutant(_ROOTS, "middle, radius = (a + b) / 2, (b - a) / 2", "middle, radius = (a + b) / 2, (b - a) / 4"),
    Mutant(_TAPE, "lambda v, a: v[b].sqrt(analytic=a)", "lambda v, a: v[b].sqrt()"),
    Mutant(_TAPE, "v[b].rsqrt(analytic=a), (b,))", "v[b].rsqrt(), (b,))"),
    Mutant(_TAPE, "v[b] ** n * v[b].sqrt(analytic=a)", "v[b] ** n * v[b].sqrt()"),
    Mutant(_TAPE, "lambda: v[g].log1p()", "lambda: v[g]"),
    Mutant(_TAPE, "v[whole].log(analytic=a)", "v[whole].log()"),
    Mutant(_TAPE, "real_power(v[b], v[p], a)", "real_power(v[b], v[p], False)"),
    Mutant(_TAPE, "if self._cache[0] != ctx.prec:", "if self._cache[0] == -1:"),
    Mutant(_TAPE, "rule([v[i] for i in arguments], a), arguments)", "rule([v[i] for i in arguments], False), arguments)"),
    Mutant(_TAPE, "n = int(exponent - sympy.Rational(1, 2))", "n = int(exponent + sympy.Rational(1, 2))"),
    Mutant(_PANELS, "r ** (-2 * nodes) / (1 - r**-2)", "r ** (-2 * nodes - 2) / (1 - r**-2)"),
    Mutant(_PANELS, "/ (1 - r**-2)).upper()", ").upper()"),
    Mutant(_PANELS, "return (2 * arb_of(scale) ** 2 *", "return (arb_of(scale) ** 2 *"),
    Mutant(_PANELS, "if not (gamma > 0 and slope < 0):", "if not (gamma > 0):"),
    Mutant(_PANELS, "n, a1, a2 = (2 * arb_of(x) for x in", "n, a1, a2 = (arb_of(x) for x in"),
    Mutant(_PANELS, "g = -gamma * z * z + a1 * r + n * (1 + r).log()", "g = -gamma * z * z + a1 * r"),
    Mutant(_PANELS, "slope = -2 * gamma * z + a1 * s + n * s / (1 + r)", "slope = -4 * gamma * z + a1 * s + n * s / (1 + r)"),
    Mutant(_PANELS, "y_axis = half * (rho - 1 / rho) / 2", "y_axis = half * (rho - 1 / rho) / 8"),
    Mutant(_PANELS, "x_axis = half * (rho + 1 / rho) / 2", "x_axis = half / 2"),
    Mutant(_PANELS, "x = max(abs(centre) - x_axis, Fraction(0))", "x = abs(centre) + x_axis"),
    Mutant(_PANELS, "phi = ((y_squared - x_squared) / 2).exp()", "phi = ((-x_squared) / 2).exp()"),
    Mutant(_PANELS, "(size**2 * phi).upper(),\n            (slope_size**2", "(size * phi).upper(),\n            (slope_size**2"),
    Mutant(_PANELS, "power = (-arb(k) / 2 * r.log()).exp()", "power = arb(1)"),
    Mutant(_PANELS, "y_squared / (2 * (1 - r))).exp()", "y_squared / 2).exp()"),
    Mutant(_PANELS, "return (power * (1 - r * r) ** (arb(-1) / 4) *", "return (power *"),
    Mutant(_PANELS, "self.closures.append(Closure(sizes[0], (sizes[1], sizes[2])))\n        return True\n\n    @property",
           "return True\n\n    @property"),
    Mutant(_PANELS, "self.closures.append(Closure(sizes[0], (sizes[1], sizes[2])))\n        return True\n\n\ndef",
           "return True\n\n\ndef"),
    Mutant(_PANELS, "width + (end.upper - end.lower), end.zero_of)", "width, end.zero_of)"),
    Mutant(_PANELS, "contributions = [found, squared(found), squared(slope) if slope else ()]",
           "contributions = [found, found, squared(slope) if slope else ()]"),
    Mutant(_PANELS, "box, True)", "box, False)"),
    Mutant(_PANELS, "f.abs_upper() * (near / 4).exp()", "f.abs_upper() * (near / 2).exp()"),
    Mutant(_PANELS, "(weight * f.abs_upper() ** 2 *", "(weight * f.abs_upper() *"),
    Mutant(_PANELS, "weight * slope_size**2 *", "weight * slope_size *"),
    Mutant(_PANELS, "arb_of(min(abs(a), abs(b)))", "arb_of(max(abs(a), abs(b)))"),
    Mutant(_PANELS, "not required and not all(", "not required and not any("),
    Mutant(_PANELS, "        if not all(size < self._limit", "        if not any(size < self._limit"),
    Mutant(_HERMITE, "hermite = [2 * a if k % 2 == kept", "hermite = [a if k % 2 == kept"),
    Mutant(_HERMITE, "        _widen(hermite, panel.error)", "        pass"),
    Mutant(_HERMITE, "        moment += arb(0, panel.moment_errors[0])", "        pass"),
    Mutant(_HERMITE, "        derivative_moment += arb(0, panel.moment_errors[1])", "        pass"),
    Mutant(_HERMITE, "        _widen(sums.hermite, closure.error)", "        pass"),
    Mutant(_HERMITE, "sums = _with_moments(sums, _upto(closure.moments[0]), _upto(closure.moments[1]))", "pass"),
    Mutant(_HERMITE, "    ball = arb(0, error)\n", "    ball = arb(0)\n"),
    Mutant(_HERMITE, "nodes, sums.panels), _upto(beyond), _upto(slope)", "nodes, sums.panels), arb(0), arb(0)"),
    Mutant(_HERMITE, "    return arb(0).union(x)\n\n\ndef _widen", "    return x\n\n\ndef _widen"),
    Mutant(_HERMITE, "(k + 1) * squares[k + 1] / q", "(k + 1) * squares[k] / q"),
    Mutant(_HERMITE, "squares[k + 1] / q for", "squares[k + 1] for"),
    Mutant(_HERMITE, "traits.growth is not None and traits.certain,", "traits.growth is not None,"),
    Mutant(_HERMITE, "traits.growth is not None and traits.certain,", "traits.certain,"),
    Mutant(_HERMITE, "    if radius < growth.beyond:", "    if False:"),
    Mutant(_HERMITE, "    if total > series.moment:", "    if False:"),
    Mutant(_HERMITE, "return value if value > 0 else arb(0).union(value.upper())", "return value if value > 0 else arb(value.mid())"),
    Mutant(_HERMITE, "[c if k <= zero_after else arb(0)", "[c if k < zero_after else arb(0)"),
    Mutant(_HERMITE, "if not value.imag.overlaps(arb(0)):", "if False:"),
    Mutant(_HERMITE, "after = None if zero_after is None else max(zero_after - 1, 0)",
           "after = None if zero_after is None else max(zero_after - 2, 0)"),
    Mutant(_HERMITE, "if moment.is_finite() and not moment.upper()", "if False and not moment.upper()"),
    Mutant(_HERMITE, "if moment.is_finite() and not moment.lower()", "if False and not moment.lower()"),
)  # fmt: skip


class _Loader(importlib.machinery.SourceFileLoader):
    """Reads one module's source with the change made."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> Any:
        source = Path(self.path).read_text()
        return compile(changed(source, self._mutant), self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        location = str(path_of(self._mutant))
        return importlib.util.spec_from_file_location(fullname, location, loader=_Loader(self._mutant, location))


def path_of(mutant: Mutant) -> Path:
    """The file that a mutant changes."""
    return _ROOT / (mutant.module.replace(".", "/") + ".py")


def changed(source: str, mutant: Mutant) -> str:
    """The mutant's source.

    Raises:
        ValueError: the text to change does not stand there exactly once.
    """
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: stands there {source.count(mutant.old)} times")
    return source.replace(mutant.old, mutant.new)


def is_killed(mutant: Mutant, *, quietly: bool = True) -> bool:
    """Whether a test fails, or does not end, over the mutant; tests run in a process of their own."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            signal.alarm(int(_SECONDS))
            os.chdir(_ROOT)
            sys.meta_path.insert(0, _Finder(mutant))
            sink = io.StringIO()
            with contextlib.redirect_stdout(sink) if quietly else contextlib.nullcontext():
                options = ["-x", "-q", "-p", "no:cacheprovider", "-n", "0", f"--basetemp=/tmp/mutant-{os.getpid()}"]
                status = int(pytest.main([*options, *(t for t in mutant.tests if Path(t).exists())]))
        except BaseException:
            status = 70
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    # Failed tests, or no end: what keeps the tests from being run at all kills nothing.
    return os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    """Exit status 1 where a mutant survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", default="", help="those whose name holds this")
    parser.add_argument("--loud", action="store_true")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    for mutant in chosen:
        changed(path_of(mutant).read_text(), mutant)
    if options.list:
        print("\n".join(mutant.name for mutant in chosen))
        return 0
    survivors = []
    for mutant in chosen:
        start = time.monotonic()
        if not is_killed(mutant, quietly=not options.loud):
            survivors.append(mutant.name)
            print(f"SURVIVES ({time.monotonic() - start:.0f} s): {mutant.name}", flush=True)
        else:
            print(f"killed ({time.monotonic() - start:.0f} s): {mutant.name}", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
