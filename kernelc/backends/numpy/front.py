"""The text of a generated package's `__init__.py`: its header, its functions and their docstrings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from string import Template

from kernelc.backends.numpy.scope import dual_reach, features_reach, method, network_reach
from kernelc.program import KernelProgram

WIDTH = 100

#: Of modules compiled with a depth.
NETWORK_FUNCTIONS = ("network_kappa", "network_series")
NETWORK_CONSTANTS = ("NETWORK_COEFFICIENTS",)
#: Public functions of every generated module, in the order in which they are documented.
FUNCTIONS = (
    "kappa",
    "kappa_dot",
    "kappa_series",
    "kappa_dot_series",
    "dual",
    "dual_dot",
    "nngp",
    "ntk",
    "features",
    "plan",
)
CLASSES = ("Plan", "RefusedError", "Sketch")
CONSTANTS = ("CERTIFICATE", "COEFFICIENTS", "DERIVATIVE_COEFFICIENTS")

_BODY = Template('''\
"""Dual kernel, NNGP and NTK of the activation $name, compiled by kernelc at variance $variance.

It needs NumPy alone. float32 in, float32 out; float64 in, float64 out; integers, booleans and float16
become float64. NaN, infinity, wrong shapes and empty inputs are a ValueError that names the argument.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

${closed_import}${network_import}from ._dispatch import by_array
from ._dual import evaluate_dual, evaluate_dual_dot
from ._evaluation import derivative, evaluate_direct, evaluate_series, full_coefficients
from ._features import FeatureSketch, compute_features, compute_plan
from ._inputs import RefusedError
${network_tables}from ._networks import kernel_matrix
${norms_import}from ._plan import Plan
from ._tables import TABLES

__all__ = [
$exports]

#: What is proved of these numbers: the content of certificate.json.
CERTIFICATE: dict[str, Any] = json.loads(Path(__file__).with_name("certificate.json").read_text(encoding="utf-8"))

#: Coefficients of kappa's power series, degree 0 first: float64, shape ($length,), read-only.
COEFFICIENTS: npt.NDArray[np.float64] = full_coefficients(TABLES.kappa.series, $length)

#: Coefficients of kappa_dot's power series in the same form; None where kappa_dot is refused.
DERIVATIVE_COEFFICIENTS: npt.NDArray[np.float64] | None = $derivative_coefficients


@by_array
def kappa(rho: npt.ArrayLike) -> Any:
    """E[sigma(u) sigma(v)] for Var u = Var v = $variance and correlation rho, $kappa_method.

    Args:
        rho: any shape, in [-1, 1]; up to 4 spacings of its dtype outside are clipped.

    Returns:
        The same shape; float32 for float32, else float64; the exact moments at rho = 1 and rho = -1.

    Raises:
        ValueError: naming rho, outside [-1, 1], NaN, infinite, complex or no number.

    Error: CERTIFICATE["kappa"].
    """
    return evaluate_direct(TABLES.kappa, "rho", rho)


@by_array
def kappa_dot(rho: npt.ArrayLike) -> Any:
    """E[sigma'(u) sigma'(v)] at correlation rho, $kappa_dot_method.

    Arguments, result and errors are those of `kappa`.

    Raises:
        RefusedError: (a ValueError) where sigma' is not square integrable, so that kappa_dot(1) is infinite.

    Error: CERTIFICATE["kappa_dot"].
    """
    return evaluate_direct(derivative(TABLES), "rho", rho)


@by_array
def kappa_series(rho: npt.ArrayLike) -> Any:
    """The truncated power series of kappa, of degree $degree: the one that the certificate bounds.

    Arguments, result and errors are those of `kappa`. Error: CERTIFICATE["kappa"]["total_bound"].
    """
    return evaluate_series(TABLES.kappa, "rho", rho)


@by_array
def kappa_dot_series(rho: npt.ArrayLike) -> Any:
    """The truncated power series of kappa_dot: the one that the certificate bounds.

    Arguments, result and errors are those of `kappa_dot`. Error: CERTIFICATE["kappa_dot"]["total_bound"].
    """
    return evaluate_series(derivative(TABLES), "rho", rho)


@by_array
def dual(q11: npt.ArrayLike, q12: npt.ArrayLike, q22: npt.ArrayLike) -> Any:
    """T(q11, q12, q22) = E[sigma(u) sigma(v)] for a centred Gaussian pair with these covariances.

    $dual_reach

    Args:
        q11, q22: variances >= 0. q12: covariance, q12^2 <= q11 q22. Shapes broadcast together.

    Returns:
        The broadcast shape; float32 where all three are, else float64.

    Raises:
        ValueError: naming the argument.
    """
    return evaluate_dual(TABLES, $closed_dual, $norms, q11, q12, q22)


@by_array
def dual_dot(q11: npt.ArrayLike, q12: npt.ArrayLike, q22: npt.ArrayLike) -> Any:
    """Tdot(q11, q12, q22) = E[sigma'(u) sigma'(v)] = dT/dq12, arguments as in `dual`.

    $dual_dot_reach

    Raises:
        RefusedError: (a ValueError) where sigma' is not square integrable.
        ValueError: naming the argument.
    """
    return evaluate_dual_dot(TABLES, $closed_dual_dot, $norms, q11, q12, q22)


@by_array
def nngp(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike | None = None,
    *,
    depth: SupportsIndex = 1,
    w_std: SupportsFloat = 1.0,
    b_std: SupportsFloat = 0.0,
    out: npt.NDArray[Any] | None = None,
    progress: Callable[[float], object] | None = None,
) -> Any:
    """NNGP kernel K_L of a network of `depth` hidden layers: K_l = w_std^2 T(K_{l-1}) + b_std^2.

    K_0 = w_std^2 <x, y> + b_std^2, with no division by the input dimension.
    $reach

    Args:
        x1: (n1, d) inputs, one a row. x2: (n2, d); None for x1 itself.
        out: an (n1, n2) array of the result's dtype to write into, which is then returned.
        progress: called from this thread with the fraction done, at most about 100 times.

    Returns:
        (n1, n2) covariances; float32 where both inputs are, else float64; exactly symmetric for x1 with itself.

    Raises:
        ValueError: naming the argument.
    """
    return kernel_matrix(TABLES, $closed, $norms, "nngp", x1, x2, (depth, w_std, b_std), out, progress)


@by_array
def ntk(
    x1: npt.ArrayLike,
    x2: npt.ArrayLike | None = None,
    *,
    depth: SupportsIndex = 1,
    w_std: SupportsFloat = 1.0,
    b_std: SupportsFloat = 0.0,
    out: npt.NDArray[Any] | None = None,
    progress: Callable[[float], object] | None = None,
) -> Any:
    """Neural tangent kernel Theta_L = K_L + w_std^2 Tdot(K_{L-1}) Theta_{L-1}, Theta_0 = K_0.

    Arguments, result and errors are those of `nngp`.

    Raises:
        RefusedError: (a ValueError) where sigma' is not square integrable: the NTK is infinite at x = y.
        ValueError: naming the argument.
    """
    return kernel_matrix(TABLES, $closed, $norms, "ntk", x1, x2, (depth, w_std, b_std), out, progress)


class Sketch(FeatureSketch):
    """A feature map to fit, plan and apply; arguments and methods are those of `FeatureSketch`."""

    _tables = TABLES
    _norm_tables = $norms
    _matrices = MappingProxyType({"nngp": nngp, "ntk": ntk})


@by_array
def features(
    x: Any,
    *,
    kernel: str = "ntk",
    depth: SupportsIndex = 1,
    features: SupportsIndex = 4096,
    seed: SupportsIndex = 0,
    sketch: str = "auto",
) -> Any:
    """Random features of the NNGP or NTK in time linear in the rows: features(x) @ features(x).T ~ the kernel.

    The same as `Sketch(...).fit(x).transform(x)`. A row's features depend on that row, the arguments and
    the number of columns alone. Same seed, same features. `plan` tells the error beforehand.
    $features_reach

    Args:
        x: (n, d) inputs, one a row; an array or a SciPy CSR matrix. kernel: "ntk" or "nngp".
        features: how many. sketch: "auto", "zonal", "polysketch" or "tensorsketch".

    Returns:
        (n, features); float32 for float32, else float64.

    Raises:
        RefusedError: for the NTK, where sigma' is not square integrable.
        ValueError: naming the argument.
    """
    return compute_features(Sketch, x, kernel, depth, features, seed, sketch)


def plan(
    dim: SupportsIndex,
    *,
    features: SupportsIndex | None = None,
    epsilon: SupportsFloat | None = None,
    kernel: str = "ntk",
    depth: SupportsIndex = 1,
    sketch: str = "auto",
    seed: SupportsIndex = 0,
    pairs: str = "unknown",
    norms: tuple[float, float] | None = None,
) -> Plan:
    """What `features` would do with rows of `dim` columns, and the error to expect: data that reads as text.

    Args:
        features: how many (4096 where `epsilon` is None), or epsilon: the relative error that chooses them.
        pairs: "unknown" or "isotropic" data. norms: (low, high) of the inputs, where it matters.
        The other arguments are those of `features`.

    Raises:
        RefusedError: for the NTK, where sigma' is not square integrable.
        ValueError: naming the argument.
    """
    return compute_plan(
        TABLES,
        $norms,
        dim,
        features=features,
        epsilon=epsilon,
        kernel=kernel,
        depth=depth,
        sketch=sketch,
        seed=seed,
        pairs=pairs,
        norm_range=norms,
    )
''')


_NETWORK = Template('''

#: Coefficients of the power series of the $depth-layer "nngp" and "ntk", degree 0 first: float64, read-only;
#: None where the NTK is refused.
NETWORK_COEFFICIENTS: dict[str, npt.NDArray[np.float64] | None] = network_series_coefficients(NETWORK)


@by_array
def network_kappa(rho: npt.ArrayLike, *, kernel: str = "ntk") -> Any:
    """NNGP or NTK of $depth hidden layers (w_std = 1, b_std = 0) of two inputs at correlation rho.

    By the best evaluation there is. $scope

    Args:
        rho: as for `kappa`. kernel: "nngp" or "ntk".

    Returns:
        As `kappa`; exact at rho = 1.

    Raises:
        RefusedError: (a ValueError) for an NTK that is infinite at rho = 1.
        ValueError: naming the argument.

    Error: CERTIFICATE["network"][kernel]["direct"].
    """
    return evaluate_direct(network_dual(NETWORK, kernel), "rho", rho)


@by_array
def network_series(rho: npt.ArrayLike, *, kernel: str = "ntk") -> Any:
    """The truncated power series of `network_kappa`: the one that the certificate bounds.

    Arguments, result and errors are those of `network_kappa`. Error: CERTIFICATE["network"][kernel]["total_bound"].
    """
    return evaluate_series(network_dual(NETWORK, kernel), "rho", rho)
''')


def _network(program: KernelProgram) -> str:
    """The functions of a deep network's composed kernels, where a depth was asked for."""
    network = program.network
    if network is None:
        return ""
    scope = f"Both inputs have squared norm {program.variance!r}."
    if program.homogeneous_degree is not None:
        power = program.homogeneous_degree**network.depth
        scope += f" Other norms: times (|x| |y| / {program.variance!r})^p with p = {power!r}."
    return _NETWORK.substitute(depth=network.depth, scope=scope)


def _comment(text: str) -> list[str]:
    """`text` as comment lines, printable ASCII alone: it may hold what a stranger typed."""
    plain = text.encode("unicode_escape").decode("ascii")
    lines = textwrap.wrap(plain, WIDTH - 2, subsequent_indent="    ", break_on_hyphens=False)
    return [f"# {line}".rstrip() for line in lines] or ["#"]


def header(program: KernelProgram, purpose: str) -> str:
    """The comment that opens a generated file: what made it, of what, with which versions and bounds."""
    facts = program.provenance
    lines: list[str] = [*_comment(f"{program.name}: {purpose}"), "# Generated by kernelc, do not edit.", "#"]
    lines += _comment(f"command:    {facts.command}")
    lines += _comment(f"expression: {facts.expression}")
    lines += _comment(f"versions:   {', '.join(f'{name} {version}' for name, version in facts.versions)}")
    return "\n".join([*lines, ""])


def _bounds(statements: Iterable[str]) -> str:
    lines: list[str] = []
    for statement in statements:
        lines += _comment(statement)
    return "\n".join([*(["#"] if lines else []), *lines, ""])


def render(program: KernelProgram) -> str:
    """The whole of `__init__.py`."""
    dual, dot, form = program.kappa, program.kappa_dot, program.closed_form
    length = 0 if dot is None else len(dot.series.coefficients)
    constants, functions = [*CONSTANTS], [*FUNCTIONS]
    if program.network is not None:
        constants += NETWORK_CONSTANTS
        functions += NETWORK_FUNCTIONS
    exports = sorted(constants) + sorted(CLASSES) + sorted(functions)
    body = _BODY.substitute(
        name=program.name,
        variance=repr(program.variance),
        exports="".join(f'    "{name}",\n' for name in exports),
        length=len(dual.series.coefficients),
        degree=len(dual.series.coefficients) - 1,
        derivative_coefficients="None" if dot is None else f"full_coefficients(derivative(TABLES).series, {length})",
        kappa_method=method(dual.direct, None),
        kappa_dot_method=method(None if dot is None else dot.direct, program.derivative_refused),
        reach=network_reach(program),
        features_reach=features_reach(program),
        dual_reach=dual_reach(program, None if form is None else form.dual),
        dual_dot_reach=dual_reach(program, None if form is None else form.dual_dot),
        closed_import="" if form is None else "from ._closed_form import DUAL, DUAL_DOT\n",
        network_import=""
        if program.network is None
        else "from ._deep import network_dual, network_series_coefficients\n",
        network_tables="" if program.network is None else "from ._network_tables import NETWORK\n",
        norms_import="" if program.norms is None else "from ._norm_tables import NORMS\n",
        norms="None" if program.norms is None else "NORMS",
        closed="None" if form is None else "(DUAL, DUAL_DOT)",
        closed_dual="None" if form is None else "DUAL",
        closed_dual_dot="None" if form is None else "DUAL_DOT",
    )
    return (
        header(program, "dual kernel, NNGP and NTK.")
        + _bounds(program.provenance.statements)
        + body
        + _network(program)
    )
