"""The gallery's formulas against sigma written by hand in plain floating point."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import MappingProxyType

import pytest

from kernelc.errors import InputError
from kernelc.gallery import GALLERY, resolve
from kernelc.writer import check_name

SIGMA: dict[str, Callable[[float], float]] = {
    "rectified_monomial_0": lambda t: float(t > 0),
    "rectified_monomial_1": lambda t: max(t, 0.0),
    "rectified_monomial_2": lambda t: max(t, 0.0) ** 2,
    "rectified_monomial_3": lambda t: max(t, 0.0) ** 3,
    "erf": math.erf,
    "abrelu": lambda t: 1.5 * t if t > 0 else -0.25 * t,
    "exp": math.exp,
    "hermite_2": lambda t: (t * t - 1) / math.sqrt(math.factorial(2)),
    "hermite_3": lambda t: t * (t * t - 3) / math.sqrt(math.factorial(3)),
    "hermite_4": lambda t: (t**4 - 6 * t * t + 3) / math.sqrt(math.factorial(4)),
    "sin": lambda t: math.sin(t + 0.5),
    "gaussian": lambda t: math.exp(-t * t),
    "gelu": lambda t: t * 0.5 * math.erfc(-t / math.sqrt(2)),
    "elu": lambda t: t if t > 0 else math.expm1(t),
    "rbf": lambda t: math.sin(math.sqrt(2) * t) + math.cos(math.sqrt(2) * t),
    "gabor": lambda t: math.sin(t) / math.exp(t * t),
    "monomial": lambda t: t * t * t,
    "polynomial": lambda t: 1 + t * (2 + t * (-1 + t / 3)),
    "relu": lambda t: max(t, 0.0),
    "leaky_relu": lambda t: max(t, t / 100),
    "tanh": lambda t: math.expm1(2 * t) / (math.exp(2 * t) + 1),
    "sigmoid": lambda t: (1 + math.tanh(t / 2)) / 2,
    "silu": lambda t: t * (1 + math.tanh(t / 2)) / 2,
    "softplus": lambda t: max(t, 0.0) + math.log1p(math.exp(-abs(t))),
}


#: dual kernels whose activation is unknown, in rho
DUALS: dict[str, Callable[[float], float]] = {"normalized_gaussian": lambda rho: math.exp(rho) / math.e}


def heaviside(t: float) -> float:
    return 0.5 * (1 + math.copysign(1, t))


def piecewise(*pieces: tuple[float, bool]) -> float:
    return next(value for value, condition in pieces if condition)


NAMES = {
    **{name: getattr(math, name) for name in ("erf", "exp", "log", "pi", "sin", "sqrt", "tanh")},
    **{"Max": max, "Min": min, "Heaviside": heaviside, "Piecewise": piecewise},
    "sigmoid": lambda t: 1 / (1 + math.exp(-t)),
}


def evaluate(name: str, t: float, variable: str = "t") -> float:
    """The entry's formula at t: Python reads these formulas, which are ours, as the parser does."""
    entry = GALLERY[name]
    parameters = {key: float(eval(value)) for key, value in entry.parameters}
    return float(eval(entry.formula, {"__builtins__": {}}, NAMES | parameters | {variable: t}))


def test_every_entry_has_its_sigma_or_its_dual_kernel_here() -> None:
    assert [name for name, entry in GALLERY.items() if not entry.dual] == list(SIGMA)
    assert [name for name, entry in GALLERY.items() if entry.dual] == list(DUALS)


@pytest.mark.parametrize("name", DUALS)
def test_formula_is_the_dual_kernel(name: str) -> None:
    for rho in (-1.0, -0.25, 0.5, 1.0):
        assert evaluate(name, rho, "rho") == pytest.approx(DUALS[name](rho), rel=1e-14)


def test_all_fourteen_rows_of_the_table_are_there() -> None:
    assert len({entry.source for entry in GALLERY.values() if entry.source.startswith("Table 1: ")}) == 14


@pytest.mark.parametrize("name", SIGMA)
def test_formula_is_the_activation(name: str) -> None:
    for t in (-2.75, -1.0, -0.3, 0.2, 1.0, 3.1):
        assert evaluate(name, t) == pytest.approx(SIGMA[name](t), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("name", GALLERY)
def test_entries_are_frozen_and_named_as_modules(name: str) -> None:
    entry = GALLERY[name]
    assert check_name(name) == entry.name == name
    assert entry.description
    assert entry.source == "common" or entry.source.startswith("Table 1: ")
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.name = "other"  # type: ignore[misc]
    assert isinstance(GALLERY, MappingProxyType)


def test_resolve_leaves_a_formula_alone() -> None:
    assert resolve("A*t", {"A": "2"}) == ("A*t", {"A": "2"})


def test_resolve_overrides_defaults_and_refuses_what_is_unknown() -> None:
    assert resolve(" sin ", {"B": "2"}) == (GALLERY["sin"].formula, {"A": "1", "B": "2"})
    with pytest.raises(InputError, match="no parameter Q: its parameters are A, B"):
        resolve("sin", {"Q": "2"})
    with pytest.raises(InputError, match="it has none"):
        resolve("tanh", {"A": "2"})
