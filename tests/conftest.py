"""Settings of the whole test suite."""

from __future__ import annotations

from collections.abc import Iterator

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
