"""Functions of the angle alone that are made at call time: rows of one norm, at every norm and every angle."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelc
from kernelc.backends.numpy.runtime._interpolation import fit_theta
from tests.backends.conftest import import_folder
from tests.backends.programs import unit_rows

Array = npt.NDArray[np.float64]
TOLERANCE = np.array([2e-15, 2e-15])


@pytest.fixture(scope="module")
def clipped(tmp_path_factory: pytest.TempPathFactory, no_norm_tables: None) -> ModuleType:
    """Hard tanh: long tables at the compiled norm, a closed form at others."""
    folder: Path = tmp_path_factory.mktemp("angles")
    kernelc.compile("Min(Max(t, -1), 1)", name="clipped").write(folder)
    return import_folder(folder / "clipped", "clipped_at_all_angles")


def test_long_tables_over_all_angles(clipped: ModuleType) -> None:
    """No short polynomial serves rows in the plane, which meet at every angle, where the tables have 97 terms."""
    x, few = unit_rows(520, 2, 5), np.array([0, 3, 7, 150, 519])
    for kernel in (clipped.nngp, clipped.ntk):
        for depth in (1, 3):
            result, direct = kernel(x, depth=depth), kernel(x[few], x, depth=depth)
            assert float(np.abs(result[few] - direct).max()) <= 2e-14 * float(result[0, 0])


@pytest.mark.parametrize("norm", [0.01, 30.0, 1000.0])
@pytest.mark.parametrize("n", [60, 520])
def test_a_saturated_activation(clipped: ModuleType, norm: float, n: int) -> None:
    """Within 1 / norm of 0 and pi the kernel is another than between: panels go there, through the samples' noise."""
    # the closed form's own roundings grow like the norm
    for dtype, allowed in ((np.float64, 2e-13 + 2e-15 * norm), (np.float32, 1e-5)):
        rows = (norm * unit_rows(n, 2, 5)).astype(dtype)
        wide = rows.astype(np.float64)
        angle = np.arctan2(wide[:, 1], wide[:, 0])
        rho, q = np.cos(angle[:, None] - angle), norm * norm
        # next to the ends rho has lost the angle
        inside = np.abs(rho) < 1.0 - 1e-3
        values, slopes = clipped.dual(q, q * rho, q), clipped.dual_dot(q, q * rho, q)
        for found, exact in ((clipped.nngp(rows), values), (clipped.ntk(rows), values + q * rho * slopes)):
            error = np.abs(found - exact)[inside].max() / float(found[0, 0])
            assert float(error) <= allowed
            assert (found == found.T).all()


def _fitted(f: Any, noise: float = 0.0) -> tuple[float, Any]:
    """The largest error of a fit of (f, 0) at 2000 angles, and the fit."""
    random = np.random.default_rng(3)

    def sample(theta: Array) -> Array:
        values = f(theta) + noise * random.standard_normal(theta.shape)
        return np.array([values, np.zeros_like(values)])

    fit = fit_theta(sample, TOLERANCE, (1.2, 1.9))
    theta = np.concatenate([np.geomspace(1e-6, 1.0, 1000), np.linspace(1.0, np.pi, 1000)])
    index = np.clip(np.searchsorted(fit.edges, theta, side="right") - 1, 0, len(fit.rows) - 1)
    worst = 0.0
    for i, row in enumerate(fit.rows):
        here = theta[index == i]
        local = (2.0 * here - fit.edges[i] - fit.edges[i + 1]) / (fit.edges[i + 1] - fit.edges[i])
        if here.size:
            worst = max(worst, float(np.abs(np.polynomial.chebyshev.chebval(local, row[0]) - f(here)).max()))
    return worst, fit


@pytest.mark.parametrize("noise", [0.0, 3e-14, 2e-13])
@pytest.mark.parametrize("width", [1e-1, 1e-3, 1e-5])
def test_panels_go_where_the_function_changes(width: float, noise: float) -> None:
    """However much noise there is next to 0, which used up all panels before they had come to the other end."""
    worst, fit = _fitted(lambda theta: np.exp(-theta / width) + np.exp((theta - np.pi) / width), noise)
    assert fit.serves
    assert fit.edges[0] == 0.0
    assert fit.edges[-1] == np.pi
    # the angles next to pi are rounded
    assert worst <= 1e-14 + 10.0 * noise + 1e-15 / width


def test_what_no_panels_resolve_is_said() -> None:
    worst, fit = _fitted(lambda theta: np.sin(3000.0 * theta))
    assert worst > 1e-3
    assert not fit.serves


def test_rows_whose_fit_does_not_serve_go_pair_by_pair(clipped: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    x = 30.0 * unit_rows(40, 3, 5)
    expected = clipped.ntk(x, depth=2)
    monkeypatch.setattr(clipped._interpolation, "_MAX_PANELS", 4)
    np.testing.assert_allclose(clipped.ntk(x, depth=2), expected, rtol=0.0, atol=2e-13 * float(expected[0, 0]))


@pytest.mark.parametrize("depth", [1, 3, 10])
@pytest.mark.parametrize("norm", [3.0, 30.0, 300.0])
def test_one_norm_and_pair_by_pair(clipped: ModuleType, depth: int, norm: float) -> None:
    """One row of another norm sends all pairs another way: next to 0 and pi q12 alone has lost their angles."""
    x = unit_rows(40, 4, 5)
    x[1], x[2], x[3], x[5], x[7] = x[0], -x[0], x[0] + 1e-6 * x[4], 1e-3 * x[6] - x[0], x[0] + 1e-4 * x[4]
    x *= norm / np.linalg.norm(x, axis=1)[:, None]
    alone = clipped.ntk(x, depth=depth, w_std=1.1, b_std=0.2)
    among = clipped.ntk(np.concatenate([x, 1.3 * x[:1]]), depth=depth, w_std=1.1, b_std=0.2)[:40, :40]
    np.testing.assert_allclose(among, alone, rtol=0.0, atol=1e-12 * float(alone[0, 0]))
