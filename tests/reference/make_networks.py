"""NNGP and NTK matrices by the recursion at 40 digits, written to networks.json.

`python -m tests.reference.make_networks [NAME ...]` makes all, or only those named again.

T and Tdot are the closed forms that SymPy derives, evaluated by mpmath (bivariate normal probabilities by
tanh-sinh quadrature). Rows: a duplicate, an antipode, a multiple, rows within 1e-7 and 1e-9 of those, and a zero
row. Slow: some minutes an activation.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import sympy

from kernelc.closedform import Q11, Q12, Q22
from kernelc.closedform.special import MPMATH_NAMES
from tests.backends.closed_forms import derived

TARGET = Path(__file__).with_name("networks.json")
NAMES = ("gelu", "sin", "hard_tanh", "elu")
#: depth, w_std, b_std
SETTINGS = ((1, 1.0, 0.0), (1, 1.3, 0.4), (2, 1.2, 0.0), (3, 1.1, 0.3), (10, 1.25, 0.05))
DIGITS = 40


def rows(depth: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The inputs, (9, 3); fewer for the deep network."""
    base = np.array([0.6, -0.3, 0.5])
    other = np.array([0.2, 1.1, -1.7])
    chosen = [base, base, -base, 1.5 * base, base + 1e-7 * other, other, 0.3 * other + base]
    if depth < 10:
        chosen += [np.zeros(3), -base + 1e-9 * other, 1.001 * base + 1e-5 * other]
    return np.array(chosen)


class Dual:
    """(T, Tdot) of one activation at 40 digits, remembered."""

    def __init__(self, name: str) -> None:
        form = derived(name).form
        modules = [MPMATH_NAMES, "mpmath"]
        self._dual = sympy.lambdify((Q11, Q12, Q22), form.dual, modules=modules)
        self._dot = sympy.lambdify((Q11, Q12, Q22), form.dual_dot, modules=modules)
        self._known: dict[tuple[str, str, str], tuple[mpmath.mpf, mpmath.mpf]] = {}

    def __call__(self, a: mpmath.mpf, b: mpmath.mpf, c: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
        key = (mpmath.nstr(a, 35), mpmath.nstr(b, 35), mpmath.nstr(c, 35))
        if key not in self._known:
            tiny = mpmath.mpf(10) ** -80
            a, c = max(a, tiny), max(c, tiny)
            limit = mpmath.sqrt(a * c) * (1 - mpmath.mpf(10) ** (8 - mpmath.mp.dps))
            b = max(-limit, min(limit, b))
            self._known[key] = mpmath.re(self._dual(a, b, c)), mpmath.re(self._dot(a, b, c))
        return self._known[key]


def matrices(dual: Dual, x: Any, depth: int, w_std: float, b_std: float) -> tuple[list[list[str]], list[list[str]]]:
    """The upper triangles of NNGP and NTK, as decimal strings."""
    weight, bias = mpmath.mpf(w_std) ** 2, mpmath.mpf(b_std) ** 2
    n = len(x)
    kernel = {
        (i, j): weight
        * mpmath.fsum(mpmath.mpf(float(a)) * mpmath.mpf(float(b)) for a, b in zip(x[i], x[j], strict=True))
        + bias
        for i in range(n)
        for j in range(i, n)
    }
    tangent = dict(kernel)
    for _ in range(depth):
        values = {(i, j): dual(kernel[i, i], kernel[i, j], kernel[j, j]) for i, j in kernel}
        kernel = {key: weight * value + bias for key, (value, _) in values.items()}
        tangent = {key: kernel[key] + weight * values[key][1] * tangent[key] for key in kernel}
    return _text(kernel, n), _text(tangent, n)


def _text(values: dict[tuple[int, int], mpmath.mpf], n: int) -> list[list[str]]:
    return [[mpmath.nstr(values[i, j], 20) for j in range(i, n)] for i in range(n)]


@cache
def make(name: str) -> list[dict[str, Any]]:
    """All settings of one activation."""
    found = []
    with mpmath.workdps(DIGITS):
        dual = Dual(name)
        for depth, w_std, b_std in SETTINGS:
            x = rows(depth)
            nngp, ntk = matrices(dual, x, depth, w_std, b_std)
            found.append({"depth": depth, "w_std": w_std, "b_std": b_std, "rows": x.tolist(), "nngp": nngp, "ntk": ntk})
            print(name, depth, w_std, b_std, flush=True)
    return found


def main() -> None:
    """Write the file, keeping what was not asked for."""
    known = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    for name in sys.argv[1:] or NAMES:
        known[name] = make(name)
        TARGET.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
