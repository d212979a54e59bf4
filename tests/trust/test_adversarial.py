"""Hostile numbers into every committed module: the right answer or a ValueError that names the argument.

Right means: what the same numbers give as plain float64 (or float32) arrays, and what must hold between entries
(symmetry, equal rows, antipodes, the diagonal, homogeneity). That the plain answers are right is shown elsewhere.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

_GENERATED = Path(__file__).resolve().parents[2] / "generated"
NAMES = sorted(path.parent.name for path in _GENERATED.glob("*/certificate.json"))
#: Of one argument on [-1, 1], and matrices of rows.
OF_RHO = ("kappa", "kappa_dot", "kappa_series", "kappa_dot_series")
OF_COVARIANCES = ("dual", "dual_dot")
OF_ROWS = ("nngp", "ntk")

Array = npt.NDArray[Any]


@pytest.fixture(params=NAMES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"generated.{request.param}")


def functions(module: ModuleType, names: tuple[str, ...]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Those that the module does not refuse as a whole."""
    refused = "refused" in module.CERTIFICATE["kappa_dot"]
    for name in names:
        if not (refused and ("dot" in name or name == "ntk")):
            yield name, getattr(module, name)


def unit_rows(module: ModuleType, n: int = 7, d: int = 4) -> Array:
    """Rows at the compiled variance: a duplicate, an antipode, one next to each, a unit vector."""
    x = np.random.default_rng(5).standard_normal((n, d))
    x[1], x[2] = x[0], -x[0]
    x[3], x[4] = x[0] + 1e-9 * x[5], -x[0] + 1e-9 * x[5]
    x[6] = np.eye(d)[0]
    x *= np.sqrt(float(Fraction(module.CERTIFICATE["variance"]))) / np.linalg.norm(x, axis=1)[:, None]
    return x


def shapes_of(x: Array, folder: Path) -> Iterator[tuple[str, Any, np.dtype[Any]]]:
    """The same numbers in other clothes, and the dtype in which the answer is expected."""
    double, single = np.dtype(np.float64), np.dtype(np.float32)
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen, double
    yield "Fortran order", np.asfortranarray(x), double
    yield "byte-swapped", x.astype(x.dtype.newbyteorder()), double
    yield "byte-swapped float32", x.astype(np.dtype(np.float32).newbyteorder()), single
    wide = np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)
    yield "every other", wide[::2, ::3], double
    yield "backwards twice", np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1], double
    padded = np.zeros((len(x), x.shape[1] + 1), dtype=[("a", np.int8), ("v", np.float64)])
    padded["v"][:, : x.shape[1]] = x
    yield "unaligned field of a packed record", padded["v"][:, : x.shape[1]], double
    yield "nested lists", x.tolist(), double
    yield "tuple of arrays", tuple(x), double
    path = folder / "x.bin"
    x.tofile(path)
    yield "memory map", np.memmap(path, dtype=np.float64, mode="r", shape=x.shape), double


def same(found: Any, expected: Any) -> bool:
    """Equal up to the last bits: blocks may be summed in another order."""
    return bool(np.allclose(found, expected, rtol=1e-13, atol=1e-13 * float(np.abs(expected).max())))


def test_kernel_matrices_of_any_layout_are_those_of_the_plain_array(module: ModuleType, tmp_path: Path) -> None:
    x = unit_rows(module)
    for _, function in functions(module, OF_ROWS):
        plain = {np.dtype(t): function(x.astype(t)) for t in (np.float64, np.float32)}
        for what, value, dtype in shapes_of(x, tmp_path):
            before = np.array(value, copy=True)
            found = function(value)
            assert found.dtype == dtype, what
            assert same(found, plain[dtype]) if dtype == np.float64 else np.allclose(found, plain[dtype], 1e-4, 1e-5)
            assert np.array_equal(found, found.T), what
            assert before.tobytes() == np.array(value).tobytes(), what
            crossed = function(value, x[:2].astype(dtype))
            assert crossed.shape == (len(x), 2), what
            assert np.allclose(crossed, plain[dtype][:, :2], 1e-4, 1e-5), what


def test_functions_of_rho_of_any_layout(module: ModuleType, tmp_path: Path) -> None:
    rho = np.linspace(-1, 1, 12).reshape(4, 3)
    for _, function in functions(module, OF_RHO):
        plain = {np.dtype(t): function(rho.astype(t)) for t in (np.float64, np.float32)}
        for what, value, dtype in shapes_of(rho, tmp_path):
            before = np.array(value, copy=True)
            found = function(value)
            assert found.dtype == dtype, what
            assert found.shape == rho.shape, what
            assert np.allclose(found, plain[dtype], 1e-13, 1e-13 * abs(function(1.0))), what
            assert before.tobytes() == np.array(value).tobytes(), what


@pytest.mark.parametrize("dtype", ["i1", "i8", "u2", "?", "f2", ">i4"])
def test_whole_numbers_and_short_floats_become_float64(module: ModuleType, dtype: str) -> None:
    basis = np.eye(4)[[0, 1, 1, 3]]
    rho = np.array([0, 1, 1, 0])
    if dtype not in ("?", "u2"):
        basis[2] = -basis[2]
        rho[2] = -1
    for _, function in functions(module, OF_ROWS):
        found = function(basis.astype(dtype))
        assert found.dtype == np.float64
        assert np.array_equal(found, function(basis))
    for _, function in functions(module, OF_RHO):
        found = function(rho.astype(dtype))
        assert found.dtype == np.float64
        assert np.array_equal(found, function(rho.astype(np.float64)))
    for _, function in functions(module, OF_COVARIANCES):
        one = np.ones(4, dtype=dtype)
        found = function(one, rho.astype(dtype), one)
        assert found.dtype == np.float64
        assert np.array_equal(found, function(np.ones(4), rho.astype(np.float64), np.ones(4)))


def test_equal_rows_antipodes_and_the_diagonal(module: ModuleType) -> None:
    x = unit_rows(module)
    for name, function in functions(module, OF_ROWS):
        for dtype, goal in ((np.float64, 1e-12), (np.float32, 3e-6)):
            found = function(x.astype(dtype)).astype(float)
            size = found[0, 0]
            q = float(np.dot(x[0], x[0]))
            at_one, at_minus_one = module.dual(q, q, q), module.dual(q, -q, q)
            if name == "ntk":
                at_one += q * module.dual_dot(q, q, q)
                at_minus_one -= q * module.dual_dot(q, -q, q)
            assert abs(found[0, 0] - at_one) <= goal * size, (name, dtype)
            assert np.array_equal(found[0], found[1]) or np.allclose(found[0], found[1], 0, goal * size)
            assert abs(found[0, 1] - at_one) <= goal * size
            assert abs(found[0, 2] - at_minus_one) <= goal * size
            assert np.isfinite(found).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(module: ModuleType, bad: float) -> None:
    x = unit_rows(module)
    spoiled = x.copy()
    spoiled[3, 2] = bad
    for _, function in functions(module, OF_ROWS):
        refuses("x1", function, spoiled)
        refuses("x1", function, spoiled.astype(np.float32), x)
        refuses("x2", function, x, spoiled)
        refuses("w_std", function, x, w_std=bad)
        refuses("b_std", function, x, b_std=bad)
        refuses("depth", function, x, depth=bad)
    for _, function in functions(module, OF_RHO):
        refuses("rho", function, bad)
        refuses("rho", function, [0.0, bad])
    for _, function in functions(module, OF_COVARIANCES):
        refuses("q11", function, bad, 0.5, 1.0)
        refuses("q12", function, 1.0, bad, 1.0)
        refuses("q22", function, 1.0, 0.5, [1.0, bad])


def refuses(argument: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """A ValueError, nothing else, whose message begins with the argument (or a list with it), on one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=rf"^([\w, ]*\b)?{argument}\b") as raised:
            function(*arguments, **options)
    assert "\n" not in str(raised.value)


def unless_refused(argument: str, function: Callable[..., Any], value: Array) -> Any:
    """The answer, None where `argument` was refused by name."""
    try:
        return function(value)
    except ValueError as error:
        if not str(error).startswith(argument):
            raise
        return None


#: What no array of rows is; for nothing of it may anything but a ValueError come.
NO_ROWS: tuple[Any, ...] = (
    None,
    1.0,
    [1.0, 2.0],
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    np.zeros((0, 0)),
    np.zeros((2, 2, 2)),
    np.zeros(()),
    [],
    [[]],
    [[1.0, 2.0], [3.0]],
    "text",
    [["1", "2"]],
    b"bytes",
    [[None, 1.0]],
    [[1.0 + 2.0j, 1.0]],
    np.zeros((2, 2), dtype="M8[s]"),
    np.zeros((2, 2), dtype="m8[s]"),
    np.zeros((2, 2), dtype="f8,f8"),
    np.zeros((2, 2), dtype=object),
    np.zeros((2, 2), dtype="V8"),
    np.ma.masked_array(np.ones((2, 2)), mask=[[True, False], [False, False]]),
    np.ones((2, 2), dtype=np.longdouble),
    [[Fraction(1, 2), Decimal("0.5")]],
    [[10**400, 1]],
    {"a": 1},
    {1.0, 2.0},
    object(),
    float,
    lambda: None,
)


def test_what_is_no_array_of_rows(module: ModuleType) -> None:
    x = unit_rows(module)
    for _, function in functions(module, OF_ROWS):
        for value in NO_ROWS:
            refuses("x1", function, value)
            if value is not None:
                refuses("x2", function, x, value)
        refuses("x2", function, x, x[:, :-1])
        for depth in (0, -1, 1.5, True, "2", None, 2.0):
            refuses("depth", function, x, depth=depth)
        for value in ("a", None, -1.0, 1j, [1.0, 2.0], np.array([1.0, 2.0]), object(), 10**400, 1e200):
            refuses("w_std", function, x, w_std=value)
            refuses("b_std", function, x, b_std=value)
        refuses("w_std", function, x, w_std=0.0)


def test_what_is_no_correlation_and_no_covariance(module: ModuleType) -> None:
    for _, function in functions(module, OF_RHO):
        for value in (
            1.0 + 1e-9,
            -1.5,
            1e300,
            -(10**400),
            "a",
            None,
            0.5j,
            [[0.1], [0.2, 0.3]],
            object(),
            {},
            [],
            np.zeros((0, 3)),
        ):
            refuses("rho", function, value)
        assert function(np.float64(1.0) + 2 * np.finfo(float).eps) == function(1.0)
        for tiny in (0.0, -0.0, 5e-324, -5e-324, 1e-310):
            assert abs(function(tiny) - function(0.0)) <= 1e-300
    for _, function in functions(module, OF_COVARIANCES):
        for value in ("a", None, 0.5j, object(), {}, [[0.1], [0.2, 0.3]], 10**400):
            refuses("q11", function, value, 0.0, 1.0)
            refuses("q12", function, 1.0, value, 1.0)
            refuses("q22", function, 1.0, 0.0, value)
        refuses("q11", function, -1.0, 0.0, 1.0)
        refuses("q22", function, 1.0, 0.0, -1e-300)
        refuses("q12", function, 1.0, 1.0 + 1e-9, 1.0)
        refuses("q11", function, np.ones(2), np.ones(3), np.ones(3))


#: Norms from the smallest number to the largest.
NORMS = (5e-324, 1e-310, 1e-200, 1e-160, 1e-100, 1e-8, 1e8, 1e100, 1e153, 1e200, 1e300, 1.7e308)


@pytest.mark.parametrize("norm", NORMS)
def test_tiny_and_huge_rows_are_right_or_named(module: ModuleType, norm: float) -> None:
    direction = np.array([[0.6, 0.8, 0.0], [0.8, -0.6, 0.0], [-0.6, -0.8, 0.0]])
    x = np.concatenate([direction * norm, direction])
    text = module.CERTIFICATE["homogeneous_degree"]
    for name, function in functions(module, OF_ROWS):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = unless_refused("x1", function, x)
        if found is None:
            continue
        assert np.isfinite(found).all(), name
        assert np.array_equal(found, found.T)
        if text is not None:
            degree, base = float(Fraction(text)), function(direction)
            # At 5e-324 the rows have no digits left to have a direction by.
            if norm > 1e-300:
                assert np.allclose(found[3:, 3:], base, 1e-12, 1e-14)
                scaled = base * np.float64(norm) ** degree
                assert np.allclose(found[:3, 3:], scaled, 1e-10, 1e-13 * abs(scaled).max())


def test_zero_rows(module: ModuleType) -> None:
    x = np.concatenate([np.zeros((2, 4)), unit_rows(module)])
    for _, function in functions(module, OF_ROWS):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = unless_refused("x1", function, x)
        if found is None:
            continue
        assert np.isfinite(found).all()
        # the diagonal comes from the moments, the rest from the evaluation of pairs
        assert np.allclose(found[:2, :2], found[0, 0], rtol=1e-12, atol=0.0)
        alone = function(x[2:])
        assert np.allclose(found[2:, 2:], alone, rtol=1e-10, atol=1e-10 * float(np.abs(alone).max()))
        if float(Fraction(module.CERTIFICATE["homogeneous_degree"] or "0")) > 0:
            assert not found[:2].any()


def test_one_row_and_one_column(module: ModuleType) -> None:
    for _, function in functions(module, OF_ROWS):
        x = np.array([[np.sqrt(float(Fraction(module.CERTIFICATE["variance"])))]])
        assert function(x).shape == (1, 1)
        assert same(function(x, -x), function(np.concatenate([x, -x]))[:1, 1:])
        assert same(function(np.broadcast_to(x, (5, 1))), np.full((5, 5), function(x)[0, 0]))
