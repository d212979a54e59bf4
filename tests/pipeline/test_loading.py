"""Compiled packages in memory."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType

import numpy as np
import pytest

import kernelc
from kernelc.errors import InputError
from kernelc.loading import Source, source_of


def test_a_formula_is_compiled_once_and_its_package_works() -> None:
    source = source_of("A*Max(t, 0)", {"A": "2"})
    assert source_of("A*Max(t, 0)", {"A": 2}) is source
    assert source.module() is pickle.loads(pickle.dumps(source)).module()
    assert source.module().kappa(1.0) == pytest.approx(2.0)
    assert source.module().__name__ in sys.modules


def test_a_kernel_and_its_package_have_one_source() -> None:
    kernel = kernelc.compile("Max(t, 0)", name="k")
    source = source_of(kernel)
    again = source_of(source.module())
    assert dict(again.files)["_tables.py"] == dict(source.files)["_tables.py"]
    x = np.eye(3)
    assert np.array_equal(again.module().ntk(x), source.module().ntk(x))


def test_a_package_that_fails_is_not_kept() -> None:
    broken = Source((("__init__.py", "raise RuntimeError('no')"),))
    before = set(sys.modules)
    with pytest.raises(RuntimeError):
        broken.module()
    assert {name for name in set(sys.modules) - before if name.startswith("kernelc_compiled")} == set()


@pytest.mark.parametrize(
    ("activation", "parameters", "message"),
    [(3, None, "expected a formula"), (np, None, "not compiled by kernelc"), ("t/", None, "column")],
)
def test_what_is_wrong_is_said(activation: str | ModuleType, parameters: dict[str, str] | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source_of(activation, parameters)
