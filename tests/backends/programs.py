"""Kernel programs built by hand from closed forms, so that the backends are tested without the compiler.

Closed forms: the arc-cosine kernels of Cho and Saul (2009), eq. 4-6; Williams (1997) for erf; the
others follow from them by E[f(u) f(v)] of a sum of half-lines, or are moments of a Gaussian pair.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import mpmath
import numpy as np
import numpy.typing as npt

from kernelc.backends import BACKENDS, emit
from kernelc.economy import shortened
from kernelc.model import VARIABLE, ActivationSpec, CertifiedKernel, CompileOptions
from kernelc.program import DualProgram, Evaluation, KernelProgram, Parity, PowerSeries, Provenance, ThetaChebyshev

#: kappa as a function of theta at mpmath's working precision.
Angular = Callable[[mpmath.mpf], mpmath.mpf]


@dataclass(frozen=True)
class Case:
    """A program and the closed forms that it must reproduce, both at variance 1."""

    program: KernelProgram
    kappa: Angular
    kappa_dot: Angular | None


def theta_chebyshev(function: Angular, degree: int, edges: tuple[float, ...]) -> ThetaChebyshev:
    """Interpolation at Chebyshev nodes on each panel, computed at 40 digits and rounded once."""
    with mpmath.workdps(40):
        tables = []
        for left, right in itertools.pairwise(edges):
            nodes = [mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * degree + 2)) for i in range(degree + 1)]
            values = [function((mpmath.mpf(left) * (1 - x) + mpmath.mpf(right) * (1 + x)) / 2) for x in nodes]
            row = []
            for j in range(degree + 1):
                total = mpmath.fsum(v * mpmath.chebyt(j, x) for v, x in zip(values, nodes, strict=True))
                row.append(float(total * (1 if j == 0 else 2) / (degree + 1)))
            tables.append(tuple(row))
    return ThetaChebyshev(edges, tuple(tables))


def _series_of(function: Angular, degree: int, parity: Parity) -> PowerSeries:
    """Taylor coefficients at rho = 0 of a function of theta = acos(rho)."""
    with mpmath.workdps(60):
        coefficients = [float(value) for value in mpmath.taylor(lambda rho: function(mpmath.acos(rho)), 0, degree)]
    if parity != "none":
        skip = 1 if parity == "even" else 0
        coefficients[skip::2] = [0.0] * len(coefficients[skip::2])
    return PowerSeries(tuple(coefficients), parity)


def _flip(parity: Parity) -> Parity:
    return {"even": "odd", "odd": "even", "none": "none"}[parity]  # type: ignore[return-value]


def _dual(function: Angular, parity: Parity, direct: Evaluation | None) -> DualProgram:
    series = _series_of(function, 9, parity)
    with mpmath.workdps(40):
        one, minus_one = float(function(mpmath.mpf(0))), float(function(+mpmath.pi))
    return DualProgram(direct or series, series, one, minus_one)


def build(
    name: str,
    kappa: Angular,
    kappa_dot: Angular | None,
    *,
    parity: Parity,
    homogeneous_degree: float | None,
    direct: Callable[[Angular, Parity], Evaluation | None],
) -> Case:
    """One case; `direct` makes the best evaluation of kappa and of kappa_dot (None: the series)."""
    program = KernelProgram(
        name=name,
        variance=1.0,
        homogeneous_degree=homogeneous_degree,
        kappa=_dual(kappa, parity, direct(kappa, parity)),
        kappa_dot=None if kappa_dot is None else _dual(kappa_dot, _flip(parity), direct(kappa_dot, _flip(parity))),
        derivative_refused=None if kappa_dot is not None else "sigma jumps at 0, so that E[sigma'^2] is infinite",
        provenance=Provenance(
            command=f'kernelc compile "{name}" --name {name}',
            expression=f"{name}(t) \u03c3 \"quoted\" \\ '''",
            versions=(("kernelc", "0.0"), ("numpy", "2")),
            statements=("|kappa - kappa_series| <= 1e-3 for every rho in [-1, 1], certified.",),
        ),
    )
    return Case(program, kappa, kappa_dot)


def certified(case: Case) -> CertifiedKernel:
    """A stand-in for the certificate stage's object."""
    program = case.program
    return CertifiedKernel(
        spec=ActivationSpec(program.name, program.name, VARIABLE),
        options=CompileOptions(program.name, Fraction(1)),
        coefficients=(),
        derivative_coefficients=None,
        certificate={"name": program.name, "status": "certified", "kappa": {"total_bound": {"float64": 1e-15}}},
    )


def angular(degree: int, edges: tuple[float, ...] = (0.0, math.pi)) -> Callable[[Angular, Parity], Evaluation]:
    """The best evaluation is a Chebyshev series in theta."""
    return lambda function, parity: theta_chebyshev(function, degree, edges)


def power(degree: int) -> Callable[[Angular, Parity], Evaluation]:
    """The best evaluation is a power series of that degree."""
    return lambda function, parity: _series_of(function, degree, parity)


def relu_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    return (mpmath.sin(theta) + (mpmath.pi - theta) * mpmath.cos(theta)) / (2 * mpmath.pi)


def relu_dot(theta: mpmath.mpf) -> mpmath.mpf:
    return (mpmath.pi - theta) / (2 * mpmath.pi)


def relu_square(theta: mpmath.mpf) -> mpmath.mpf:
    sine, cosine = mpmath.sin(theta), mpmath.cos(theta)
    return (3 * sine * cosine + (mpmath.pi - theta) * (1 + 2 * cosine**2)) / (2 * mpmath.pi)


def absolute_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    return relu_kappa(theta) * 2 + relu_kappa(mpmath.pi - theta) * 2


def sign_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    return 1 - 2 * theta / mpmath.pi


def signed_square(theta: mpmath.mpf) -> mpmath.mpf:
    return 2 * (relu_square(theta) - relu_square(mpmath.pi - theta))


def erf_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    return 2 / mpmath.pi * mpmath.asin(2 * mpmath.cos(theta) / 3)


def erf_dot(theta: mpmath.mpf) -> mpmath.mpf:
    return 4 / mpmath.pi / mpmath.sqrt(9 - 4 * mpmath.cos(theta) ** 2)


def exponential_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    """sigma = exp: E[exp(u + v)] = exp(1 + rho), and the same for its derivative."""
    return mpmath.exp(1 + mpmath.cos(theta))


def cube_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    return 9 * mpmath.cos(theta) + 6 * mpmath.cos(theta) ** 3


def cube_dot(theta: mpmath.mpf) -> mpmath.mpf:
    return 9 + 18 * mpmath.cos(theta) ** 2


PANELS = (0.0, 0.05, 0.6, 2.4, 3.0, math.pi)


def bump_kappa(theta: mpmath.mpf) -> mpmath.mpf:
    """sigma = exp(-7 t^2 / 2)."""
    return 1 / mpmath.sqrt(64 - 49 * mpmath.cos(theta) ** 2)


def bump_dot(theta: mpmath.mpf) -> mpmath.mpf:
    return 49 * mpmath.cos(theta) * bump_kappa(theta) ** 3


def economised_bump(function: Angular, parity: Parity) -> Evaluation:
    """sum_k binom(2 k, k) / 4^k (49 / 64)^k rho^(2 k) / 8, with fewer terms."""
    halves = [math.comb(2 * k, k) / 4**k * (49 / 64) ** k / 8 for k in range(150)]
    found = shortened(PowerSeries.of(tuple(value for half in halves for value in (half, 0.0))), 2.0**-59)
    assert found is not None
    return found[0]


def mixed(case: Case, degree: int = 40) -> Case:
    """The same with kappa_dot read at theta, kappa from its power series."""
    dot = case.program.kappa_dot
    assert dot is not None
    assert case.kappa_dot is not None
    direct = theta_chebyshev(case.kappa_dot, degree, (0.0, math.pi))
    return replace(case, program=replace(case.program, kappa_dot=replace(dot, direct=direct)))


def all_cases() -> dict[str, Case]:
    """Every case by name; smooth, kinked, jumping, of each parity and each kind of table."""
    cases = (
        build("relu", relu_kappa, relu_dot, parity="none", homogeneous_degree=1.0, direct=angular(20)),
        build("relu_panels", relu_kappa, relu_dot, parity="none", homogeneous_degree=1.0, direct=angular(16, PANELS)),
        build("relu_fixed", relu_kappa, relu_dot, parity="none", homogeneous_degree=None, direct=angular(20)),
        build("absolute", absolute_kappa, sign_kappa_four, parity="even", homogeneous_degree=1.0, direct=angular(20)),
        build("step", relu_dot, None, parity="none", homogeneous_degree=0.0, direct=angular(4)),
        build("sign", sign_kappa, None, parity="odd", homogeneous_degree=0.0, direct=angular(4)),
        build(
            "signed_square",
            signed_square,
            lambda theta: 4 * absolute_kappa(theta),
            parity="odd",
            homogeneous_degree=2.0,
            direct=angular(24),
        ),
        build("erf", erf_kappa, erf_dot, parity="odd", homogeneous_degree=None, direct=power(91)),
        # slow decay: stays in the Chebyshev basis
        build("erf_slow", erf_kappa, erf_dot, parity="odd", homogeneous_degree=None, direct=angular(64)),
        build(
            "exponential",
            exponential_kappa,
            exponential_kappa,
            parity="none",
            homogeneous_degree=None,
            direct=power(40),
        ),
        mixed(
            build(
                "exponential_mixed",
                exponential_kappa,
                exponential_kappa,
                parity="none",
                homogeneous_degree=None,
                direct=power(40),
            )
        ),
        # economised to a polynomial whose powers of rho cancel: the drop of kappa has to do without them
        mixed(
            build("bump_mixed", bump_kappa, bump_dot, parity="even", homogeneous_degree=None, direct=economised_bump),
            degree=96,
        ),
        mixed(build("cube_mixed", cube_kappa, cube_dot, parity="odd", homogeneous_degree=3.0, direct=power(3))),
        build("cube", cube_kappa, cube_dot, parity="odd", homogeneous_degree=3.0, direct=power(3)),
    )
    return {case.program.name: case for case in cases}


#: The same, made once for all tests that only read them.
shared_cases = cache(all_cases)


def sign_kappa_four(theta: mpmath.mpf) -> mpmath.mpf:
    """kappa_dot of |t|: E[sign(u) sign(v)]."""
    return sign_kappa(theta)


def write_package(folder: Path, case: Case) -> Path:
    """The emitted package of one case, written below `folder`."""
    target = folder / case.program.name
    target.mkdir(exist_ok=True)
    for path, text in emit(case.program, certified(case), tuple(BACKENDS)).files.items():
        (target / path).write_text(text, encoding="utf-8", newline="\n")
    return target


def unit_rows(n: int, d: int, seed: int) -> npt.NDArray[np.float64]:
    """Random rows of norm 1."""
    rows: npt.NDArray[np.float64] = np.random.default_rng(seed).standard_normal((n, d))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    return rows
