"""The emitted dual and dual_dot of many activations against their closed forms in balls: the worst error of each.

Run: python -m tests.closedform.measure_stability [NAME ...] [--pairs N]

Errors are relative to sqrt(T(q11, q11, q11) T(q22, q22, q22)), at random and extreme variances and at
correlations that are random, +-1 and within 1e-16 .. 1e-3 of +-1. "near": variances in [1e-3, 1e3], allowed
1e-13; "far": in [1e-8, 1e8], allowed 1e-10. Variances that the module refuses are counted; a value that is
not finite is an error. Exit status 1 where an error exceeds what is allowed.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import sympy
from flint import arb, ctx

from kernelc.closedform.cells import cut
from kernelc.closedform.special import BivariateNormalCdf
from kernelc.model import VARIABLE
from tests.backends.closed_forms import FORMULAS, WITHOUT, Derived, derived_from
from tests.backends.conftest import import_folder
from tests.closedform.exact import at_doubles

BEYOND: dict[str, tuple[str, dict[str, str]]] = {
    "selu": ("1.0507009873554805*Piecewise((t, t > 0), (1.6732632423543772*(exp(t) - 1), True))", {}),
    "celu": ("Max(t, 0) + Min(0, A*(exp(t/A) - 1))", {"A": "2"}),
    "relu6": ("Min(Max(t, 0), 6)", {}),
    "hard_tanh": ("Max(-1, Min(1, t))", {}),
    "hard_swish": ("t*Min(Max(t + 3, 0), 6)/6", {}),
    "cos": ("cos(t)", {}),
    "sinh": ("sinh(t)", {}),
    "t_gauss": ("t*exp(-t^2)", {}),
    "t_erf": ("t*erf(t)", {}),
    "squared_relu": ("relu(t)**2", {}),
    "mexican_hat": ("(1 - t^2)*exp(-t^2/2)", {}),
    "laplace": ("exp(-Abs(t))", {}),
    "relu_sin": ("relu(t) + sin(t)", {}),
    "abs": ("Abs(t)", {}),
    "cubic_relu_erf": ("t^2*relu(t) + erf(t)", {}),
    **{f"rectified_monomial_{q}": (f"t**{q}*Heaviside(t)", {}) for q in (5, 10)},
    **{f"monomial_{q}": (f"t**{q}", {}) for q in (0, 1, 2, 5, 10)},
    "hermite_10": ("(t^10 - 45*t^8 + 630*t^6 - 3150*t^4 + 4725*t^2 - 945)/sqrt(3628800)", {}),
}
ALL = {name: FORMULAS[name] for name in FORMULAS if name not in WITHOUT} | BEYOND
CORNERS_NEAR = [(1.0, 1.0), (1e-3, 1e-3), (1e3, 1e3), (1e-3, 1e3)]
CORNERS_FAR = [(1e-8, 1e-8), (1e8, 1e8), (1e-8, 1e8), (1e-8, 1.0), (1e8, 1.0)]
ALLOWED = {"near": 1e-13, "far": 1e-10}


@dataclass
class Worst:
    """The largest error of one kernel in one range of variances, and where."""

    error: float = 0.0
    at: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    points: int = 0
    refused: int = 0
    bad: list[tuple[float, float, float]] = field(default_factory=list)


def correlations(rng: np.random.Generator, quadrants: bool, equal: bool) -> Iterator[float]:
    """Random, at +-1 and near it.

    Balls for bivariate normal probabilities are slow at the very boundary: with these, +-1 itself is taken
    only where both variances are one, and then by quadrature in one dimension.
    """
    if quadrants:
        yield from (1.0, -1.0) if equal else ()
        yield from (1 - 10.0 ** -rng.uniform(3, 9), -1 + 10.0 ** -rng.uniform(3, 9), rng.uniform(-1, 1))
        return
    yield from (1.0, -1.0, 1 - 2.0**-53, 1 - 10.0 ** -rng.uniform(3, 15), -1 + 10.0 ** -rng.uniform(3, 15))
    yield from rng.uniform(-1, 1, 2)


def on_the_boundary(sigma: sympy.Expr, q: float, sign: float) -> arb:
    """E[sigma(s Z) sigma(sign s Z)], s^2 = q, by tanh-sinh quadrature in mpmath."""
    with mpmath.workdps(30):
        scale = mpmath.sqrt(mpmath.mpf(q))
        function = sympy.lambdify(VARIABLE, sigma, ["mpmath", {"Heaviside": lambda x, *_: mpmath.mpf(x > 0)}])
        kinks = [mpmath.mpf(str(sympy.N(point, 30))) / scale for point in cut(sigma).breakpoints]
        edges = {mpmath.mpf(x) for x in (-13, -9, -5, -2, 0, 2, 5, 9, 13)} | {y * x for x in kinks for y in (1, -1)}
        edges |= {y * mpmath.mpf(x) / scale for x in (1, 4, 16, 64) for y in (1, -1)}
        grid = sorted(x for x in edges if abs(x) <= 13)
        value = mpmath.quad(lambda x: function(scale * x) * function(sign * scale * x) * mpmath.npdf(x), grid)
        return arb(mpmath.nstr(value, 28))


def pairs(kind: str, count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    top = 3 if kind == "near" else 8
    drawn = [(10.0 ** rng.uniform(-top, top), 10.0 ** rng.uniform(-top, top)) for _ in range(count)]
    equal = [(q, q) for q in 10.0 ** rng.uniform(-top, top, max(1, count // 2))]
    return [*(CORNERS_NEAR if kind == "near" else CORNERS_FAR), *drawn, *((float(a), float(b)) for a, b in equal)]


@dataclass(frozen=True)
class Truth:
    """The exact value of one kernel, and its size."""

    sigma: sympy.Expr
    formula: sympy.Expr

    @property
    def quadrants(self) -> bool:
        return bool(self.formula.has(BivariateNormalCdf))

    def __call__(self, q11: float, q12: float, q22: float) -> arb:
        if self.quadrants and q11 == q22 == abs(q12):
            return on_the_boundary(self.sigma, q11, math.copysign(1.0, q12))
        return at_doubles(self.formula, q11, q12, q22)

    def size(self, q11: float, q22: float) -> arb:
        return (self(q11, q11, q11) * self(q22, q22, q22)).sqrt()


def measure(function: Any, truth: Truth, kind: str, count: int) -> Worst:
    """The worst error of one emitted function."""
    worst, rng = Worst(), np.random.default_rng(20)
    for q11, q22 in pairs(kind, count, rng):
        scale: arb | None = None
        for rho in correlations(rng, truth.quadrants, q11 == q22):
            q12 = float(rho) * (q11 if q11 == q22 else math.sqrt(q11) * math.sqrt(q22))
            try:
                value = float(function(q11, q12, q22))
            except ValueError:
                worst.refused += 1
                continue
            worst.points += 1
            with ctx.workprec(200):
                scale = truth.size(q11, q22) if scale is None else scale
                exact = truth(q11, q12, q22)
                if not math.isfinite(value) or not exact.is_finite():
                    worst.bad.append((q11, q12, q22))
                    continue
                error = float((abs(exact - arb(value)) / scale).upper()) if exact != arb(value) else 0.0
            if error > worst.error:
                worst.error, worst.at = error, (q11, q12, q22)
    return worst


def emitted(activation: Derived, folder: Path, name: str) -> ModuleType:
    target = folder / name
    target.mkdir()
    for path, text in activation.files().items():
        (target / path).write_text(text, encoding="utf-8", newline="\n")
    return import_folder(target, f"measured_{name}")


def main() -> int:
    """Measure and print; 1 where an error exceeds what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}")
    parser.add_argument("--pairs", type=int, default=6, help="random pairs of variances beside the corners")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or ALL:
            activation = derived_from(name, *ALL[name])
            module = emitted(activation, Path(folder), name)
            slope = sympy.diff(activation.expression, VARIABLE).replace(sympy.DiracDelta, lambda *_: sympy.S.Zero)
            kernels = (
                ("dual", activation.expression, activation.form.dual),
                ("dual_dot", slope, activation.form.dual_dot),
            )
            for which, sigma, formula in kernels:
                if formula is None or formula == 0:
                    continue
                for kind in ALLOWED:
                    worst = measure(getattr(module, which), Truth(sigma, formula), kind, arguments.pairs)
                    good = worst.error <= ALLOWED[kind] and not worst.bad
                    failed = failed or not good
                    where = ", ".join(f"{x:.17g}" for x in worst.at)
                    verdict = "ok  " if good else "FAIL"
                    print(
                        f"{verdict} {name:22} {which:8} {kind:4} worst {worst.error:8.2e} at ({where}), "
                        f"{worst.points} points, {worst.refused} refused"
                        + (f", not finite at {worst.bad[:3]}" if worst.bad else ""),
                        flush=True,
                    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
