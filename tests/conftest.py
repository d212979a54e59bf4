"""Settings of the whole test suite."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every run: a failure in CI is one that the next run shows again.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, print_blob=False)
settings.load_profile("repeatable")
