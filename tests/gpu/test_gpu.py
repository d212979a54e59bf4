"""The committed packages on a GPU. Without pytest: `python -m tests.gpu.agreement`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from tests.gpu.agreement import GPU_CHECKS, missing, packages

_REASON = missing()
if _REASON is not None:
    pytest.skip(f"needs a GPU: {_REASON}", allow_module_level=True)

cupy = importlib.import_module("cupy")


@pytest.mark.parametrize("name", packages())
@pytest.mark.parametrize("check", GPU_CHECKS)
def test_agreement(name: str, check: Callable[[ModuleType, ModuleType], None]) -> None:
    check(importlib.import_module(f"generated.{name}"), cupy)


def test_everything_is_on_the_current_stream() -> None:
    package = importlib.import_module("generated.relu")
    x = cupy.random.default_rng(0).standard_normal((3000, 64), dtype=np.float32)
    expected = package.ntk(x)
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        # what runs on the default stream would read these before they are written
        late = cupy.zeros_like(x)
        for _ in range(50):
            cupy.matmul(expected, expected)
        late += x
        result = package.ntk(late)
    stream.synchronize()
    cupy.testing.assert_array_equal(result, expected)
