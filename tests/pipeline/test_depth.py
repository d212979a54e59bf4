"""Modules compiled with a depth: evaluated as a user would, against closed forms layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import kernelc
from kernelc.kernel import Kernel
from kernelc.pipeline import check
from tests.composition.layers import erf, hard_tanh, network, normalized_gaussian, relu, step
from tests.pipeline.loading import load

#: What is compiled for other norms is tested elsewhere: as little of it as possible.
_NORMS = "99/100,101/100"
_RHOS = (-1.0, -0.999, -0.5, 0.0, 0.7, 0.99, 0.9999999, 1.0)


@pytest.fixture(scope="module")
def kernels() -> dict[str, Kernel]:
    return {
        "relu": kernelc.compile("Max(t, 0)", name="relu", degree=20, depth=10),
        "erf": kernelc.compile("erf(t)", name="erf", degree=20, depth=3, norms=_NORMS),
        "hard_tanh": kernelc.compile("Max(-1, Min(1, t))", name="hard_tanh", degree=20, depth=2, norms=_NORMS),
        "normalized_gaussian": kernelc.compile(dual="exp(rho - 1)", name="normalized_gaussian", degree=20, depth=3),
        "step": kernelc.compile("Heaviside(t)", name="step", degree=20, depth=2),
    }


@pytest.fixture(scope="module")
def modules(kernels: dict[str, Kernel], tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModuleType]:
    out = tmp_path_factory.mktemp("out")
    return {name: load(kernel, out) for name, kernel in kernels.items()}


@pytest.mark.parametrize(
    ("name", "layer", "depth", "error"),
    [
        ("relu", relu, 10, 1e-12),
        ("erf", erf, 3, 1e-14),
        ("normalized_gaussian", normalized_gaussian, 3, 1e-14),
        ("hard_tanh", hard_tanh, 2, 2e-13),
    ],
)
def test_network_kappa_is_the_composed_kernel(
    modules: dict[str, ModuleType], name: str, layer: object, depth: int, error: float
) -> None:
    module = modules[name]
    rhos = _RHOS if name != "hard_tanh" else (-0.5, 0.99, 1.0)
    for index, kernel in enumerate(("nngp", "ntk")):
        found = module.network_kappa(np.array(rhos), kernel=kernel)
        facts = module.CERTIFICATE["network"][kernel]
        with mpmath.workdps(20):
            true = [network(layer, depth, mpf(rho))[index] for rho in rhos]  # type: ignore[arg-type]
        gaps = [abs(float(mpf(float(x)) - y)) / facts["moment"] for x, y in zip(found, true, strict=True)]
        assert max(gaps) <= error
        # what the certificate says of the evaluation is not less than what it is
        direct = facts["direct"]
        assert max(gaps) <= 20 * direct.get("error_bound", direct.get("error_estimate"))
        assert gaps[-1] <= 2.3e-16


def test_network_series_is_the_certified_one(modules: dict[str, ModuleType]) -> None:
    module = modules["erf"]
    for index, kernel in enumerate(("nngp", "ntk")):
        facts = module.CERTIFICATE["network"][kernel]
        coefficients = module.NETWORK_COEFFICIENTS[kernel]
        assert coefficients.shape == (21,)
        assert coefficients.tolist() == facts["coefficients"]
        assert not coefficients.flags.writeable
        rho = np.linspace(-1, 1, 41)
        np.testing.assert_allclose(
            module.network_series(rho, kernel=kernel), np.polynomial.polynomial.polyval(rho, coefficients), rtol=1e-13
        )
        for value in (-1.0, 0.3, 1.0):
            with mpmath.workdps(30):
                true = network(erf, 3, mpf(value))[index]
                assert true is not None
                gap = abs(mpf(float(module.network_series(value, kernel=kernel))) - true)
            assert gap <= facts["total_bound"]["float64"]
        assert module.network_series(np.float32(0.5), kernel=kernel).dtype == np.float32


def test_it_is_what_the_module_computes_layer_by_layer(modules: dict[str, ModuleType]) -> None:
    module = modules["relu"]
    x = np.random.default_rng(3).standard_normal((6, 4))
    norms = np.linalg.norm(x, axis=1)
    rho = np.clip(x @ x.T / np.outer(norms, norms), -1, 1)
    np.fill_diagonal(rho, 1.0)
    for kernel in ("nngp", "ntk"):
        flat = module.network_kappa(rho, kernel=kernel) * np.outer(norms, norms)
        np.testing.assert_allclose(getattr(module, kernel)(x, depth=10), flat, rtol=1e-11)
    assert module.network_kappa(0.3) == module.network_kappa(0.3, kernel="ntk")
    assert module.CERTIFICATE["network"]["homogeneous_degree"] == "1"


def test_an_ntk_that_is_infinite_is_refused(modules: dict[str, ModuleType]) -> None:
    module = modules["step"]
    with mpmath.workdps(25):
        assert float(module.network_kappa(0.5, kernel="nngp")) == pytest.approx(
            float(network(step, 2, mpf("0.5"))[0]), rel=1e-13
        )
    assert module.NETWORK_COEFFICIENTS["ntk"] is None
    assert "jumps" in module.CERTIFICATE["network"]["ntk"]["refused"]
    for call in (module.network_kappa, module.network_series):
        with pytest.raises(module.RefusedError, match=r"2 hidden layers is refused: .*jumps"):
            call(0.5)
        with pytest.raises(ValueError, match="kernel: expected 'nngp' or 'ntk'"):
            call(0.5, kernel="cntk")
        with pytest.raises(ValueError, match="rho"):
            call(1.5, kernel="nngp")


def test_the_request_is_kept_and_checked(kernels: dict[str, Kernel], tmp_path: Path) -> None:
    kernel = kernels["erf"]
    assert kernel.certificate["request"]["depth"] == 3
    assert kernel.network_coefficients is not None
    assert kernel.network_coefficients.ntk is not None
    assert [b.mid for b in kernel.network_coefficients.ntk] == kernel.certificate["network"]["ntk"]["coefficients"]
    folder = kernel.write(tmp_path)
    assert "--depth 3" in (folder / "__init__.py").read_text()
    assert check("erf", tmp_path).ok
    certificate = json.loads((folder / "certificate.json").read_text())
    certificate["network"]["nngp"]["truncation_bound"] *= 0.5
    (folder / "certificate.json").write_text(json.dumps(certificate, indent=2) + "\n")
    outcome = check("erf", tmp_path)
    assert not outcome.ok
    assert any("certificate.json" in message for message in outcome.messages)


def test_the_report_shows_the_network(kernels: dict[str, Kernel]) -> None:
    text = kernels["step"].report()
    assert "Network of 2 hidden layers" in text
    assert "The ntk is refused: " in text


def test_without_a_depth_there_is_none_of_it(tmp_path: Path) -> None:
    kernel = kernelc.compile("Max(t, 0)", name="k", degree=5)
    assert "network" not in kernel.certificate
    assert "depth" not in kernel.certificate["request"]
    assert kernel.network_coefficients is None
    module = load(kernel, tmp_path)
    assert not [name for name in (*dir(module), *kernel.module.files) if "network_" in name or "deep" in name]


def test_a_dual_kernel_of_many_variances_takes_no_depth() -> None:
    with pytest.raises(kernelc.InputError, match="give this one in rho"):
        kernelc.compile(dual="exp(q12 - (q11 + q22)/2)", name="k", depth=2)


@pytest.mark.parametrize("depth", [0, -1, 33, True, 2.0, "2"])
def test_depths_that_are_none_are_refused(depth: object) -> None:
    with pytest.raises(kernelc.InputError, match="--depth must be a whole number from 1 to 32"):
        kernelc.compile("erf(t)", name="k", depth=depth)  # type: ignore[arg-type]
