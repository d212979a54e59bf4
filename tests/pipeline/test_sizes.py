"""Kernels next to the ends of the range of doubles: all of it works, or says what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import kernelc
from tests.backends.conftest import import_folder
from tests.cuda.conftest import forget


@pytest.mark.parametrize(("formula", "name"), [("1e139*exp(t)", "huge"), ("1e-139*exp(t)", "tiny")])
def test_a_kernel_near_the_ends_of_the_range(formula: str, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sizes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel = kernelc.compile(formula, name=name, degree=6)
        kernel.write(folder)
        assert "<svg" in kernel.report("html")
        module = import_folder(folder / name, f"sizes_{name}")
        rho = np.linspace(-1.0, 1.0, 41)
        error = kernel.certificate["kappa"]["direct"]["error_bound"]
        np.testing.assert_allclose(
            module.kappa(rho) / module.kappa(1.0), np.exp(rho - 1.0), rtol=0.0, atol=error + 1e-15
        )
        with pytest.raises(ValueError, match=r"features: errors are planned from squares.*scale the activation"):
            module.features(np.eye(3), features=64)
    forget([f"sizes_{name}"])
