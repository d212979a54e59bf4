"""dual and dual_dot of emitted packages at any variances, by their closed forms."""

from __future__ import annotations

import ast
import importlib
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

from kernelc.backends.numpy.closed_form import print_order, render
from kernelc.closedform import Q11, Q12, Q22
from kernelc.closedform.interpret import run
from kernelc.closedform.special import MPMATH_NAMES
from kernelc.model import VARIABLE
from kernelc.numerics._normal import scaled_quadrants
from kernelc.program import ClosedFormDual, ClosedFormProgram, FloatProgram, Instruction
from tests.backends.closed_forms import FORMULAS, JUMPS, WITH, WITHOUT, Derived, derivable, derived, derived_from
from tests.backends.conftest import import_folder

ROOT = Path(__file__).parents[2]
Load = Callable[[str], ModuleType]
COSINES = (1.0, 1 - 1e-13, 1 - 1e-6, 0.6, 0.0, -0.3, -0.95, -1 + 1e-9, -1.0)
#: mpmath's bivariate probabilities are slow; these forms are tested against it in tests/closedform
QUADRANTS = {"elu", "hard_tanh"}
BOTH = [(name, dot) for name in WITH for dot in (False, True) if not (dot and name in JUMPS)]

_ALONE = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"kernelc", "sympy", "mpmath", "scipy", "flint"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
package = importlib.import_module("anything")
print(repr(float(package.dual(2.0, -0.5, 0.25))), repr(float(package.dual_dot(2.0, -0.5, 0.25))))
"""


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("closed")
    loaded: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            loaded[name] = import_folder(write(folder / name, derived(name)), f"closed_{name}")
        return loaded[name]

    return load


def write(target: Path, activation: Derived) -> Path:
    target.mkdir()
    for path, text in activation.files().items():
        (target / path).write_text(text, encoding="utf-8", newline="\n")
    return target


def grid(name: str) -> list[tuple[float, float, float]]:
    """(q11, q12, q22), different variances, both signs, near rho = +-1."""
    top = min(dual.variances[1] for dual in (derived(name).dual, derived(name).dual_dot) if dual is not None)
    pairs = ((1.0, 1.0), (2.0, 0.25), (0.5, 8.0), (1e-3, 1e3), (1e-8, 1e-8), (20.0, 400.0), (1e8, 1e8), (1e-8, 1e8))
    served = [(a, b) for a, b in pairs if max(a, b) <= top]
    assert len(served) >= 3
    return [(a, c * a if a == b else c * math.sqrt(a * b), b) for a, b in served for c in COSINES]


def truth(formula: sympy.Expr, covariance: tuple[float, float, float]) -> mpmath.mpf:
    """The formula at the very doubles that are passed; on the boundary, or a rounding beyond, just inside it."""
    function = sympy.lambdify((Q11, Q12, Q22), formula, modules=[MPMATH_NAMES, "mpmath"])
    a, b, c = (mpmath.mpf(x) for x in covariance)
    if a * c <= b * b:
        b = mpmath.sign(b) * mpmath.sqrt(a * c) * (1 - mpmath.mpf(10) ** (8 - mpmath.mp.dps))
    return function(a, b, c)


def test_which_gallery_activations_have_one() -> None:
    assert {name for name in FORMULAS if not derivable(name)} == WITHOUT


@pytest.mark.parametrize(("name", "dot"), BOTH)
def test_against_the_float_program(closed: Load, name: str, dot: bool) -> None:
    package, float_dual = closed(name), derived(name).dual_dot if dot else derived(name).dual
    assert float_dual is not None
    points = np.array(grid(name))
    # more than one block, and roads mixed in every block
    many = np.tile(points, (10000 // len(points) + 1, 1))
    expected = float_dual(*many.T)
    values = (package.dual_dot if dot else package.dual)(*many.T)
    scale = np.sqrt(float_dual(many[:, 0], many[:, 0], many[:, 0]) * float_dual(many[:, 2], many[:, 2], many[:, 2]))
    least, most = (np.sqrt(pick(many[:, 0], many[:, 2])) for pick in (np.minimum, np.maximum))
    # a small row and one that is not have a road of their own where the program cancels
    own = package._closed_form.DUAL.mixed is not None and not dot
    same = (least * np.minimum(most, 1.0) >= package._closed._MIXED) | (most**2 <= 1.0 / 64.0) | (not own)
    assert np.all(np.abs(values - expected)[same] <= 1e-14 * scale[same])
    assert np.all(np.abs(values - expected) <= 1e-9 * scale)
    if derived(name).program.homogeneous_degree is None:
        np.testing.assert_array_equal(values[same], expected[same])


@pytest.mark.parametrize(("name", "dot"), [pair for pair in BOTH if pair[0] not in QUADRANTS])
def test_against_mpmath(closed: Load, name: str, dot: bool) -> None:
    activation = derived(name)
    formula = activation.form.dual_dot if dot else activation.form.dual
    assert formula is not None
    function = closed(name).dual_dot if dot else closed(name).dual
    if activation.expression.diff(VARIABLE) == 0:
        return
    with mpmath.workdps(110):
        for q11, q12, q22 in grid(name):
            scale = mpmath.sqrt(truth(formula, (q11, q11, q11)) * truth(formula, (q22, q22, q22)))
            error = abs(mpmath.mpf(float(function(q11, q12, q22))) - truth(formula, (q11, q12, q22)))
            assert error <= 1e-13 * scale, (q11, q12, q22)


@pytest.mark.parametrize("name", WITH)
def test_single_precision(closed: Load, name: str) -> None:
    package, activation = closed(name), derived(name)
    points = np.array([p for p in grid(name) if 1e-4 < p[0] < 1e4 and 1e-4 < p[2] < 1e4]).astype(np.float32)
    for function, reference in ((package.dual, activation.dual), (package.dual_dot, activation.dual_dot)):
        if reference is None:
            continue
        values = function(*points.T)
        assert values.dtype == np.float32
        wide = points.astype(np.float64)
        limit = np.sqrt(wide[:, 0] * wide[:, 2])
        expected = reference(wide[:, 0], np.clip(wide[:, 1], -limit, limit), wide[:, 2])
        scale = np.sqrt(reference(wide[:, 0], wide[:, 0], wide[:, 0]) * reference(wide[:, 2], wide[:, 2], wide[:, 2]))
        assert np.all(np.abs(values - expected) <= 3e-7 * scale)


@pytest.mark.parametrize("name", [name for name in WITH if name != "hard_tanh"])
def test_committed_modules_agree_with_kappa(name: str) -> None:
    package = importlib.import_module(f"generated.{name}")
    rho = np.concatenate([np.linspace(-1, 1, 41), 1 - 10.0 ** -np.arange(3, 16)])
    np.testing.assert_allclose(package.dual(1.0, rho, 1.0), package.kappa(rho), rtol=0, atol=1e-12 * package.kappa(1.0))
    if name in JUMPS:
        with pytest.raises(package.RefusedError):
            package.dual_dot(2.0, 0.5, 1.0)
        return
    error = np.abs(package.dual_dot(1.0, rho, 1.0) - package.kappa_dot(rho))
    assert np.all(error <= 1e-12 * package.kappa_dot(1.0))
    top = derived(name).dual.variances[1]
    assert np.isfinite(package.dual([0.5, 0.75], 0.25, min(2.0, top))).all()


def test_shapes_types_and_scalars(closed: Load) -> None:
    gelu = closed("gelu")
    single = np.ones(3, np.float32)
    assert gelu.dual(single[:, None], np.float32(0.5), single).shape == (3, 3)
    assert gelu.dual(single, 0.5, single).dtype == np.float64
    assert isinstance(gelu.dual(2, 1, 3), np.float64)
    with pytest.raises(ValueError, match="q11: expected at least one value"):
        gelu.dual_dot(np.zeros((0, 2)), 0.0, np.zeros(2))
    large = np.linspace(0.1, 3, 20000).reshape(100, 200)
    np.testing.assert_array_equal(gelu.dual(large.T, 0.1, 1.0), gelu.dual(large, 0.1, 1.0).T)


@pytest.mark.parametrize("which", ["dual", "dual_dot"])
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("gelu", (-1.0, 0.0, 1.0), "q11: a variance is >= 0"),
        ("gelu", (1.0, 0.0, -2.0), "q22: a variance is >= 0"),
        ("gelu", (2.0, 1.0, 0.25), r"q12: .q12. exceeds sqrt\(q11 q22\)"),
        ("gelu", (1.0, math.nan, 1.0), "q12: contains NaN"),
        ("gelu", (math.inf, 0.0, 1.0), "q11: contains NaN or infinity"),
        ("gelu", (np.ones(2), 0.0, np.ones(3)), "do not broadcast"),
        ("gelu", (1.0, 0.0, 1e17), r"q22: the closed form of gelu holds for variances from 0\.0 to 1e\+16, got 1e\+17"),
        ("exp", (1e8, 0.0, 1.0), r"q11: the closed form of exp holds for variances from 0\.0 to .*, got 100000000\.0"),
    ],
)
def test_refusals(closed: Load, which: str, name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(closed(name), which)(*arguments)


def test_a_rounding_beyond_the_boundary_is_clipped(closed: Load) -> None:
    package = closed("gelu")
    assert package.dual(3.0, 3.0 * (1 + 4e-16), 3.0) == pytest.approx(package.dual(3.0, 3.0, 3.0), rel=1e-14)
    q = np.float32(3.0)
    beyond = np.nextafter(q, np.float32(4.0))
    assert package.dual_dot(q, beyond, q) == pytest.approx(float(package.dual_dot(3.0, 3.0, 3.0)), rel=2e-7)


@pytest.mark.parametrize("name", [name for name in WITH if name not in JUMPS])
def test_variance_zero(closed: Load, name: str) -> None:
    package, expression = closed(name), derived(name).expression
    at_zero = float(expression.subs(VARIABLE, 0))
    # E[sigma(v)] by quadrature, split at the breakpoints
    sigma = sympy.lambdify(VARIABLE, expression, "mpmath")
    mean = mpmath.quad(lambda x: sigma(x) * mpmath.npdf(x), [-12, -6, -1, 0, 1, 6, 12])
    expected = [at_zero * at_zero, at_zero * float(mean), at_zero * float(mean)]
    values = package.dual([0.0, 0.0, 1.0], 0.0, [0.0, 1.0, 0.0])
    np.testing.assert_allclose(values, expected, rtol=1e-13, atol=1e-14)
    assert np.isfinite(package.dual_dot([0.0, 0.0, 1.0], 0.0, [0.0, 1.0, 0.0])).all()
    with pytest.raises(ValueError, match=r"q12: .q12. exceeds"):
        package.dual(0.0, 0.5, 1.0)


def test_a_jump_at_variance_zero_is_refused(closed: Load) -> None:
    step = closed("rectified_monomial_0")
    with pytest.raises(ValueError, match=r"q11, q22: at variance 0 .* depends on sigma\(0\)"):
        step.dual(0.0, 0.0, 1.0)
    assert step.dual(4.0, -1.0, 0.25) == pytest.approx(0.0, abs=1e-15)


def test_homogeneous_forms_hold_at_every_variance(closed: Load) -> None:
    relu = closed("relu")
    for q11, q22 in ((1e-300, 1e300), (1e250, 1e-20), (1e300, 1e300), (1e-300, 1e-300)):
        size = math.sqrt(q11) * math.sqrt(q22)
        assert relu.dual(q11, 0.6 * size, q22) == pytest.approx(relu.dual(1.0, 0.6, 1.0) * size, rel=1e-13)
        assert relu.dual_dot(q11, 0.6 * size, q22) == pytest.approx(relu.dual_dot(1.0, 0.6, 1.0), rel=1e-13)
    with pytest.raises(ValueError, match="q11, q22: dual overflows float64"):
        closed("monomial").dual(1e300, 0.0 + 1e300, 1e300)


@pytest.mark.parametrize("name", ["elu", "gelu", "hard_tanh", "leaky_sin", "raised_relu", "sin", "gaussian"])
def test_variances_whose_products_underflow(closed: Load, name: str) -> None:
    """There sigma is its first power: 1e-200 as 1e-80."""
    package = closed(name)
    form = package._closed_form
    for function, order in ((package.dual, form.DUAL.order), (package.dual_dot, form.DUAL_DOT.order)):
        for q11, share, q22 in ((1.0, 0.3, 2.0), (3.0, -0.9, 1.0), (1.0, 1.0, 1.0)):
            cross = share * math.sqrt(q11 * q22)
            small, smaller = (function(size * q11, size * cross, size * q22) for size in (1e-80, 1e-200))
            assert smaller / 1e-120**order == pytest.approx(small, rel=1e-13)
            # and beside an ordinary one
            small, smaller = (function(size**2 * q11, size * cross, q22) for size in (1e-40, 1e-100))
            assert smaller / 1e-60**order == pytest.approx(small, rel=1e-13)


@pytest.mark.parametrize("small", [1e-1, 1e-2, 1e-3, 1e-6, 1e-9, 1e-12])
def test_a_small_row_and_one_that_is_not(closed: Load, small: float) -> None:
    """Relative to both diagonals' roots nothing is lost: seen as smoothness, where roundings are not smooth."""
    elu = closed("elu")
    scale = np.linspace(1.0, 1.001, 41)
    for large, cosine in product((0.2, 1.0, 20.0, 1e4), (0.3, -0.9, 1.0 - 1e-6, 1.0)):
        values = elu.dual((small * scale) ** 2, small * scale * large * cosine, large**2)
        smooth = np.polynomial.Polynomial.fit(scale, values, 4)(scale)
        assert np.abs(values - smooth).max() <= 2e-13 * small * math.sqrt(elu.dual(large**2, large**2, large**2))


def test_variances_are_not_scaled_where_the_first_power_does_not_rule(tmp_path: Path) -> None:
    """At 2^-200, to which tiny deviations are scaled, the square is 1e10 times the first power: refused below."""
    for path, text in derived_from("steep", "t + 10^70*t^2", {}).files().items():
        (tmp_path / path).write_text(text, encoding="utf-8", newline="\n")
    package = import_folder(tmp_path, "steep_beside_0")
    assert package.dual(1e-110, 1e-110, 1e-110) == pytest.approx(3e140 * 1e-220, rel=1e-12)
    assert package.dual(0.0, 0.0, 1.0) == 0.0
    with pytest.raises(ValueError, match=r"q11: the closed form of steep holds for variances from 3\.87"):
        package.dual(1e-130, 1e-130, 1e-130)


def test_the_series_at_0_ends_before_the_next_kink(closed: Load) -> None:
    """A kink at 1e-3: the small row reaches beyond it, however small it is beside the other."""
    bent = closed("bent_elu")
    assert bent._closed_form.DUAL.mixed is not None
    small, large = np.linspace(0.0045, 0.007, 41), np.full(41, 0.4)
    values = bent.dual(small**2, 0.3 * small * large, large**2)
    exact = run(derived("bent_elu").dual.program, small**2, 0.3 * small * large, large**2)[0]
    np.testing.assert_allclose(values, exact, rtol=0.0, atol=1e-14)


@pytest.mark.parametrize(("small", "large", "cosine"), [(1e-3, 20.0, -0.9), (1e-6, 0.2, 0.99)])
def test_a_small_row_and_one_that_is_not_by_quadrature(closed: Load, small: float, large: float, cosine: float) -> None:
    def sigma(t: mpmath.mpf) -> mpmath.mpf:
        return t if t > 0 else mpmath.expm1(t)

    def given(z: mpmath.mpf) -> mpmath.mpf:
        edge = max(min(-cosine * z / sine, mpmath.mpf(9)), mpmath.mpf(-9))
        return mpmath.quad(lambda w: sigma(small * (cosine * z + sine * w)) * mpmath.npdf(w), [-9, edge, 9])

    with mpmath.workdps(20):
        sine = mpmath.sqrt(1 - mpmath.mpf(cosine) ** 2)
        truth = mpmath.quad(lambda z: sigma(large * z) * given(z) * mpmath.npdf(z), [-10, -3, -1, 0, 1, 3, 10])
        found = closed("elu").dual(small**2, small * large * cosine, large**2)
        assert abs(found - truth) <= 1e-14 * small * large


@pytest.mark.parametrize("name", ["gelu", "elu", "hard_tanh"])
def test_text(name: str, tmp_path: Path) -> None:
    activation = derived(name)
    files = activation.files()
    assert files == activation.files()
    derived.cache_clear()
    assert files == derived(name).files()
    carried = {"_arithmetic.py"}
    carried |= {"_normal.py", "_normal_tables.py"} if name != "gelu" else set()
    carried |= {"_homogeneous.py"} if name == "elu" else set()
    runtime = {
        path for path in (ROOT / "kernelc" / "numerics").iterdir() if path.name.startswith("_") and path.stem[1] != "_"
    }
    assert {path.name for path in runtime} & files.keys() == carried
    for path in carried:
        assert files[path] == (ROOT / "kernelc" / "numerics" / path).read_text(encoding="utf-8")
    assert files["_closed_form.py"].isascii()
    numbers = {n.value for n in ast.walk(ast.parse(files["_closed_form.py"])) if isinstance(n, ast.Constant)}
    series = activation.dual.series
    if series is not None:
        assert {abs(c) for c in (*series.plus, *series.minus)} <= numbers
    folder = write(tmp_path / "anything", activation)
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("ruff is not installed")
    for arguments in (["check"], ["format", "--check"]):
        command = [ruff, *arguments, "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_long_sums_are_broken_into_lines(tmp_path: Path) -> None:
    activation = derived_from("long", "t**10*Heaviside(t)", {})
    text = activation.files()["_closed_form.py"]
    assert max(map(len, text.splitlines())) <= 120
    package = import_folder(write(tmp_path / "long", activation), "closed_long")
    # E[Z^20]/2 and, u and v opposite, 0; the derivative's is 100 E[Z^18]/2
    assert package.dual(1.0, [1.0, -1.0], 1.0) == pytest.approx([654729075 / 2, 0.0], rel=1e-14, abs=1e-7)
    assert package.dual_dot(1.0, 1.0, 1.0) == pytest.approx(50 * 34459425, rel=1e-14)


def test_quadrants_are_printed_together_where_none_needs_another() -> None:
    inputs = [Instruction("input", name=name) for name in ("q11", "q12", "q22")]
    quadrants = [Instruction("scaled_quadrant", (0, 1, 2, 0, 0, 0, 0, last)) for last in (1, 2)]
    # a third reads the sum of the two
    then = [Instruction("add", (3, 4)), Instruction("scaled_quadrant", (5, 1, 2, 0, 0, 0, 0, 0))]
    program = FloatProgram((*inputs, *quadrants, *then, Instruction("exp", (1,))), (6, 7))
    assert print_order(program) == ([0, 1, 2, 7], [3, 4], [5, 6])
    alone = FloatProgram((*inputs, quadrants[0], Instruction("exp", (3,))), (4,))
    assert print_order(alone) == ([0, 1, 2, 3, 4], [], [])


def test_more_quadrants_than_a_statement_holds() -> None:
    inputs = [Instruction("input", name=name) for name in ("q11", "q12", "q22")]
    # arguments that are written out, too long for one line together
    inputs += [Instruction("const", value=0.1 + 2.0**-40), Instruction("add", (1, 3)), Instruction("mul", (3, 0))]
    quadrants = [Instruction("scaled_quadrant", (*places, 3, 3, 3, 3)) for places in permutations(range(4))][:7]
    longest = Instruction("scaled_quadrant", (4, 5, *[3] * 6))
    program = FloatProgram((*inputs, *quadrants, longest), tuple(range(6, 14)))
    text = render(ClosedFormProgram(ClosedFormDual(program, None, None, (0.0, 1.0), False, True), None))
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("scaled_quadrants(") == 2
    body = text[text.index("def dual") : text.index("DUAL = ")]
    names: dict[str, Any] = {"Array": np.ndarray, "np": np, "scaled_quadrants": scaled_quadrants}
    exec(body, names)
    q = np.linspace(0.1, 0.9, 5), np.linspace(-0.2, 0.1, 5), np.linspace(0.8, 0.2, 5)
    assert np.array_equal(names["dual"](*q), run(program, *q)[0])


@pytest.mark.parametrize("name", ["gelu", "elu"])
def test_alone_with_numpy(name: str, tmp_path: Path) -> None:
    write(tmp_path / "anything", derived(name))
    command = [sys.executable, "-W", "error", "-c", _ALONE]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    dot = derived(name).dual_dot
    assert dot is not None
    expected = [float(dual(2.0, -0.5, 0.25)) for dual in (derived(name).dual, dot)]
    assert [float(word) for word in result.stdout.split()] == expected
