"""Settings of the whole test suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before NumPy loads: tests run side by side, a process for each core, and would wait for one another's BLAS threads.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from kernelc.model import NormFit

# The same examples on every run: a failure in CI is one that the next run shows again.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, print_blob=False)
settings.load_profile("repeatable")


@pytest.fixture(scope="module")
def no_norm_tables() -> Iterator[None]:
    """Compile without the tables for other norms, in this process: they have tests of their own, and take most time."""
    without = NormFit((0.25, 4.0), None, None, "not asked for", 0, 0, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kernelc.pipeline.fit_norms", lambda *_: without)
        yield
