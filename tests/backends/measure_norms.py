"""Errors of nngp and ntk of rows of different norms, for activations without a closed form, as a Markdown table.

    python -m tests.backends.measure_norms [--norms 1/4,4] [--depths 1,2,3,10] [--at 1,1.7] [--packages DIR] [NAME ...]

Not a test. Each is compiled (or read from DIR, where it is there); rows: a duplicate, an antipode, a multiple, rows
within 1e-7 and 1e-9 of those, a zero row; with `--at` the same directions, all of that norm. The truth is the recursion
with graded Gauss rules in doubles, 1 - rho carried from E[(sigma(u) / R - sigma(v) / R')^2] / 2; the rule itself is
compared with mpmath's nested quadrature at 20 digits. A cell is the largest error relative to the diagonal's roots of
the small matrix, and of the same pairs in a large matrix, large enough for one polynomial of the whole network to be
fitted.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

import kernelc

Wide = npt.NDArray[np.float64]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Activation:
    """A formula with sigma and sigma' for arrays and for mpmath."""

    formula: str
    value: Function
    slope: Function
    exact: Function
    exact_slope: Function
    #: beside 0
    kinks: tuple[float, ...] = ()


def _sech2(t: Any) -> Any:
    return 1 - np.tanh(t) ** 2


def _silu_slope(t: Any) -> Any:
    share = 1 / (1 + np.exp(-t))
    return share * (1 + t * (1 - share))


def _softplus(t: Any) -> Any:
    return np.maximum(t, 0) + np.log1p(np.exp(-np.abs(t)))


def _mish_slope(t: Any) -> Any:
    inner = np.tanh(_softplus(t))
    return inner + t * (1 - inner**2) / (1 + np.exp(-t))


def _mp_mish_slope(t: Any) -> Any:
    inner = mpmath.tanh(mpmath.log1p(mpmath.exp(t)))
    return inner + t * (1 - inner**2) / (1 + mpmath.exp(-t))


ACTIVATIONS = {
    "tanh": Activation("tanh(t)", np.tanh, _sech2, mpmath.tanh, lambda t: mpmath.sech(t) ** 2),
    "silu": Activation(
        "t/(1 + exp(-t))",
        lambda t: t / (1 + np.exp(-t)),
        _silu_slope,
        lambda t: t / (1 + mpmath.exp(-t)),
        lambda t: (1 + t / (1 + mpmath.exp(t))) / (1 + mpmath.exp(-t)),
    ),
    "mish": Activation(
        "t*tanh(log(1 + exp(t)))",
        lambda t: t * np.tanh(_softplus(t)),
        _mish_slope,
        lambda t: t * mpmath.tanh(mpmath.log1p(mpmath.exp(t))),
        _mp_mish_slope,
    ),
    "kinked_tanh": Activation(
        "Max(t, tanh(t))",
        lambda t: np.maximum(t, np.tanh(t)),
        lambda t: np.where(t > 0, 1, _sech2(t)),
        lambda t: max(t, mpmath.tanh(t)),
        lambda t: mpmath.mpf(1) if t > 0 else mpmath.sech(t) ** 2,
    ),
    "abs_tanh": Activation(
        "Abs(t)*tanh(t)",
        lambda t: np.abs(t) * np.tanh(t),
        lambda t: np.sign(t) * np.tanh(t) + np.abs(t) * _sech2(t),
        lambda t: abs(t) * mpmath.tanh(t),
        lambda t: mpmath.sign(t) * mpmath.tanh(t) + abs(t) * mpmath.sech(t) ** 2,
    ),
    "clipped_tanh": Activation(
        "tanh(t)*Min(Max(t + 1, 0), 2)",
        lambda t: np.tanh(t) * np.clip(t + 1, 0, 2),
        lambda t: _sech2(t) * np.clip(t + 1, 0, 2) + np.tanh(t) * ((t > -1) & (t < 1)),
        lambda t: mpmath.tanh(t) * min(max(t + 1, 0), 2),
        lambda t: mpmath.sech(t) ** 2 * min(max(t + 1, 0), 2) + mpmath.tanh(t) * (-1 < t < 1),
        (-1.0, 1.0),
    ),
    "cusped_tanh": Activation(
        "tanh(t)*Min(Max(t + 1, 0), 2) + exp(-Abs(t))",
        lambda t: np.tanh(t) * np.clip(t + 1, 0, 2) + np.exp(-np.abs(t)),
        lambda t: (
            _sech2(t) * np.clip(t + 1, 0, 2) + np.tanh(t) * ((t > -1) & (t < 1)) - np.sign(t) * np.exp(-np.abs(t))
        ),
        lambda t: mpmath.tanh(t) * min(max(t + 1, 0), 2) + mpmath.exp(-abs(t)),
        lambda t: (
            mpmath.sech(t) ** 2 * min(max(t + 1, 0), 2)
            + mpmath.tanh(t) * (-1 < t < 1)
            - mpmath.sign(t) * mpmath.exp(-abs(t))
        ),
        (-1.0, 1.0),
    ),
}
#: depth -> w_std, b_std
SETTINGS = {1: ((1.0, 0.0), (0.9, 0.3)), 2: ((1.1, 0.0),), 3: ((1.1, 0.3),), 10: ((1.15, 0.1),)}
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_RADIUS = 9.5
_FLOAT = np.float64
_PI = np.pi
_ROOT = np.sqrt(2 * _PI)


_GRADES = np.concatenate([[_FLOAT(0)], _FLOAT(3) ** np.arange(-22, 0), [_FLOAT(1)]])
_STEPS = np.arange(2, 22, dtype=_FLOAT)


def _density(x: Wide) -> Wide:
    density: Wide = np.exp(-x * x / 2) / _ROOT
    return density


def _rules(places: Wide) -> tuple[Wide, Wide]:
    """Nodes and weights (k, n) on [-R, R], panels graded by 3 towards each of `places` (k, m) and at most 1 long."""
    around = np.concatenate([-_GRADES[:0:-1], _GRADES])
    near = np.clip(places, -_RADIUS - 1, _RADIUS + 1)
    first = near[:, :1] + np.concatenate([-_STEPS[::-1], _STEPS])
    edges = np.concatenate([first, (near[:, :, None] + around).reshape(len(places), -1)], axis=1)
    edges = np.sort(np.clip(edges, -_RADIUS, _RADIUS), axis=1)
    half, middle = np.diff(edges, axis=1) / 2, (edges[:, 1:] + edges[:, :-1]) / 2
    nodes = (middle[:, :, None] + half[:, :, None] * _NODES).reshape(len(places), -1)
    return nodes, (half[:, :, None] * _WEIGHTS).reshape(len(places), -1)


def _line(places: tuple[float, ...], s: Any) -> tuple[Wide, Wide]:
    """Nodes and weights with the density for functions of s x that are kinked at `places`, and near 0."""
    scaled = [0.0, *(c / s for c in places if c and s > 0)]
    nodes, weights = _rules(np.array([scaled]))
    return nodes[0], weights[0] * _density(nodes[0])


def moment(f: Function, s: Any, places: tuple[float, ...] = ()) -> Any:
    """E[f(s Z)^2]."""
    nodes, weights = _line(places, s)
    return np.sum(weights * f(s * nodes) ** 2)


def mean(f: Function, s: Any, places: tuple[float, ...]) -> Any:
    """E[f(s Z)]."""
    nodes, weights = _line(places, s)
    return np.sum(weights * f(s * nodes))


def expectations(f: list[Function], s1: Any, s2: Any, theta: Any, kinks: tuple[Any, Any] = ((), ())) -> list[Any]:
    """E[g(u, v)] of each g, u = s1 x, v = s2 (cos(theta) x + sin(theta) y), in doubles.

    `kinks` beside 0 of functions of u and of v.
    """
    cosine, sine = np.cos(theta), np.sin(theta)
    own = [0.0, *(c / s1 for c in kinks[0])]
    # where v's kinks are met by y = 0
    met = [c / (s2 * cosine) for c in kinks[1] if abs(cosine) > 0.1]
    nodes, weights = _rules(np.array([own + met]))
    x, density = nodes[0], weights[0] * _density(nodes[0])
    kept = density > 0
    x, density = x[kept], density[kept]
    total = [_FLOAT(0)] * len(f)
    for start in range(0, x.size, 64):
        part = slice(start, start + 64)
        # the kinks of v, as seen from each x, cut into the line of y
        at = [(c / s2 - cosine * x[part]) / sine if sine > 0 else np.full_like(x[part], np.inf) for c in (0, *kinks[1])]
        y, weight = _rules(np.stack(at, axis=1))
        u, v = s1 * x[part, None], s2 * (cosine * x[part, None] + sine * y)
        outer = density[part, None] * weight * _density(y)
        for index, g in enumerate(f):
            total[index] = total[index] + np.sum(outer * g(u, v))
    return total


@dataclass
class Pair:
    """Two rows through the layers: their s, theta with a small relative error, Theta."""

    s1: Any
    s2: Any
    theta: Any
    tangent: Any


def _next(activation: Activation, pair: Pair, w: Any, b: Any, own: bool) -> tuple[Pair, Any]:
    f, g = activation.value, activation.slope
    kinks = activation.kinks
    r1, r2 = np.sqrt(moment(f, pair.s1, kinks)), np.sqrt(moment(f, pair.s2, kinks))
    if own or (pair.theta == 0 and pair.s1 == pair.s2):
        value, slope, gap = r1 * r2, moment(g, pair.s1, kinks), _FLOAT(0)
    elif pair.s1 == 0 or pair.s2 == 0:
        value, slope = (mean(h, pair.s1, kinks) * mean(h, pair.s2, kinks) for h in (f, g))
        gap = 1 - value / (r1 * r2) if r1 > 0 and r2 > 0 else _FLOAT(1)
    else:
        far = pair.theta > 1.6
        sign = -1 if far else 1
        theta = _PI - pair.theta if far else pair.theta
        value, slope, apart = expectations(
            [
                lambda u, v: f(u) * f(sign * v),
                lambda u, v: g(u) * g(sign * v),
                lambda u, v: (f(u) / r1 - f(sign * v) / r2) ** 2 / 2,
            ],
            pair.s1,
            pair.s2,
            theta,
            (kinks, tuple(sign * c for c in kinks)),
        )
        gap = apart
    kernel = w * w * value + b * b
    t1, t2 = np.sqrt(w * w * r1 * r1 + b * b), np.sqrt(w * w * r2 * r2 + b * b)
    # 1 - rho' = w^2 r1 r2 gap / (t1 t2) + 2 sin((phi1 - phi2) / 2)^2
    phi = np.arctan2(b, w * r1) - np.arctan2(b, w * r2)
    scale = t1 * t2 if t1 > 0 and t2 > 0 else _FLOAT(1)
    near = w * w * r1 * r2 * gap / scale + 2 * np.sin(phi / 2) ** 2
    theta = 2 * np.arcsin(np.sqrt(np.clip(near / 2, 0, 1)))
    return Pair(t1, t2, theta, kernel + w * w * slope * pair.tangent), kernel


def truth(activation: Activation, x: npt.NDArray[np.float64], depth: int, w: float, b: float) -> tuple[Any, Any]:
    """(NNGP, NTK) in doubles."""
    wide, n = x.astype(_FLOAT), len(x)
    w, b = _FLOAT(w), _FLOAT(b)
    kernels = np.zeros((2, n, n), _FLOAT)
    rows = np.concatenate([w * wide, np.full((n, 1), b)], axis=1)
    size = np.sqrt(np.sum(rows * rows, axis=1))
    for i in range(n):
        for j in range(i, n):
            inner = np.sum(rows[i] * rows[j])
            theta = _FLOAT(0)
            if size[i] > 0 and size[j] > 0 and i != j:
                one, other = rows[i] / size[i], rows[j] / size[j]
                theta = 2 * np.arctan2(np.sqrt(np.sum((one - other) ** 2)), np.sqrt(np.sum((one + other) ** 2)))
            pair, value = Pair(size[i], size[j], theta, inner), inner
            for _ in range(depth):
                pair, value = _next(activation, pair, w, b, i == j)
            kernels[0, i, j] = kernels[0, j, i] = value
            kernels[1, i, j] = kernels[1, j, i] = pair.tangent
    return kernels[0], kernels[1]


def rule_error(activation: Activation, low: float, high: float) -> float:
    """The largest relative difference of T and Tdot from mpmath's nested quadrature, at one pair."""
    worst = 0.0
    with mpmath.workdps(20):
        for s1, s2, theta in ((low, high, 0.7),):
            found = expectations(
                [
                    lambda u, v: activation.value(u) * activation.value(v),
                    lambda u, v: activation.slope(u) * activation.slope(v),
                ],
                _FLOAT(s1),
                _FLOAT(s2),
                _FLOAT(theta),
                (activation.kinks, activation.kinks),
            )
            for index, f in enumerate((activation.exact, activation.exact_slope)):
                exact = _nested(f, s1, s2, theta, activation.kinks)
                size = float(
                    np.sqrt(
                        np.prod(
                            [
                                moment((activation.value, activation.slope)[index], _FLOAT(s), activation.kinks)
                                for s in (s1, s2)
                            ]
                        )
                    )
                )
                worst = max(worst, abs(float(mpmath.mpf(str(found[index])) - exact)) / size)
    return worst


def _nested(f: Function, s1: float, s2: float, theta: float, kinks: tuple[float, ...]) -> Any:
    cosine, sine = mpmath.cos(theta), mpmath.sin(theta)
    near = [-mpmath.mpf(1), -mpmath.mpf(1) / 8, mpmath.mpf(0), mpmath.mpf(1) / 8, mpmath.mpf(1)]
    ends = sorted({-mpmath.mpf(12), *near, *(mpmath.mpf(c) / s1 for c in kinks if abs(c / s1) < 12), mpmath.mpf(12)})

    def inner(x: Any) -> Any:
        places = [(mpmath.mpf(c) / s2 - cosine * x) / sine for c in (0, *kinks)]
        around = [*places, *(places[0] + e for e in near)]
        cuts = sorted({mpmath.mpf(-13), *(p for p in around if abs(p) < 13), mpmath.mpf(13)})
        return mpmath.quad(lambda y: f(s2 * (cosine * x + sine * y)) * mpmath.npdf(y), cuts, maxdegree=4)

    return mpmath.quad(lambda x: f(s1 * x) * mpmath.npdf(x) * inner(x), ends, maxdegree=4)


def inputs(low: float, high: float, w: float, b: float, zero: bool) -> npt.NDArray[np.float64]:
    """Rows whose first scales hypot(w |x|, b) lie in [low, high], and a zero row."""
    base, other = np.array([0.6, -0.3, 0.5]), np.array([0.2, 1.1, -1.7])
    top = np.sqrt(high**2 - b**2) / w * 0.999
    bottom = np.sqrt(max(low**2 - b**2, 0.0)) / w * 1.001
    base = base / np.linalg.norm(base)
    middle = np.sqrt(top * max(bottom, 0.01 * top))
    rows = [
        middle * base,
        middle * base,
        -middle * base,
        top * base,
        middle * base + 1e-7 * other,
        top * other / np.linalg.norm(other),
        max(bottom, 0.02 * top) * (0.3 * other + base) / np.linalg.norm(0.3 * other + base),
        1e-9 * other - middle * base,
    ]
    return np.array([*rows, np.zeros(3)] if zero else rows)


def of_one_norm(x: npt.NDArray[np.float64], norm: float) -> npt.NDArray[np.float64]:
    """The same directions at one norm, and one more at an angle of 1e-3."""
    rows = np.concatenate([x, x[:1] + 1e-3 * np.linalg.norm(x[0]) * np.array([[0.3, 0.9, -0.2]])])
    unit: npt.NDArray[np.float64] = norm * rows / np.linalg.norm(rows, axis=1)[:, None]
    return unit


def errors(package: Any, activation: Activation, x: Any, depth: int, w: float, b: float) -> list[list[float]]:
    """float64 and float32, each: NNGP, NTK, and both in a large matrix."""
    exact = truth(activation, x, depth, w, b)
    count = 520
    filler = np.random.default_rng(1).standard_normal((count, 3))
    sizes = np.linalg.norm(x, axis=1)
    least = sizes[sizes > 0].min()
    filler *= (np.geomspace(least, sizes.max(), count) / np.linalg.norm(filler, axis=1))[:, None]
    found = []
    for dtype in (np.float64, np.float32):
        small = x.astype(dtype)
        if dtype is np.float32:
            exact = truth(activation, small.astype(np.float64), depth, w, b)
        row = []
        for rows in (small, np.concatenate([small, filler.astype(dtype)])):
            for kernel, true in zip((package.nngp, package.ntk), exact, strict=True):
                result = kernel(rows, depth=depth, w_std=w, b_std=b)
                assert (result == result.T).all()
                scale = np.sqrt(np.diag(true))
                scale = np.multiply.outer(scale, scale)
                block = np.abs(result[: len(x), : len(x)] - true)
                row.append(float(np.max(np.divide(block, scale, out=np.zeros_like(block), where=scale > 0))))
        found.append(row)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--norms", default="1/4,4")
    parser.add_argument("--depths", default="1,2,3,10")
    parser.add_argument("--at", default="")
    parser.add_argument("--packages")
    parser.add_argument("names", nargs="*", default=list(ACTIVATIONS))
    options = parser.parse_args()
    low, high = (float(Fraction(text)) for text in options.norms.split(","))
    with tempfile.TemporaryDirectory() as folder:
        sys.path[:0] = [folder, *([options.packages] if options.packages else [])]
        print("| activation | depth, w_std, b_std | dtype | nngp | ntk | nngp, large | ntk, large |")
        print("|---|---|---|---|---|---|---|")
        for name in options.names:
            activation = ACTIVATIONS[name]
            print(f"{name}: the rule differs from mpmath by {rule_error(activation, low, high):.0e}", flush=True)
            if options.packages is None or not (Path(options.packages) / name).is_dir():
                kernelc.compile(activation.formula, name=name, norms=(low, high)).write(folder)
            package = importlib.import_module(name)
            for depth in map(int, options.depths.split(",")):
                for w, b in SETTINGS[depth]:
                    alone = [float(text) for text in options.at.split(",") if text]
                    apart = inputs(low, high, w, b, zero=not alone)
                    for norm, x in {norm: of_one_norm(apart, norm) for norm in alone}.items() or ((None, apart),):
                        label = f"{name} | {depth}, {w}, {b}" + ("" if norm is None else f", norm {norm}")
                        try:
                            rows = errors(package, activation, x, depth, w, b)
                        except ValueError as error:  # a layer leaves the range that was compiled
                            print(f"| {label} | refused: {error} |", flush=True)
                            continue
                        for dtype, row in zip(("float64", "float32"), rows, strict=True):
                            cells = " | ".join(f"{value:.0e}" for value in row)
                            print(f"| {label} | {dtype} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
