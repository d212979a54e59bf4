"""How much of the code the tests reach, by lines and branches.

    python -m tests.trust.coverage            the modules that certify: below 100% the exit status is 1
    python -m tests.trust.coverage --all      the whole package by the whole suite: below 90% the exit status is 1

The modules that certify are those whose numbers are called bounds: they are reached by their own tests, in this
process; the whole suite runs in a process a core. What is copied into emitted packages (`kernelc/backends/*/runtime`)
is left out of the whole: tests run it in the copies, which no line of the original counts for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import coverage
import pytest

CERTIFYING = ("analysis", "balls", "certificate", "expansion", "functions")
_TESTS = (
    *(f"tests/{name}" for name in CERTIFYING),
    "tests/composition/test_network.py",
    "tests/dualkernel/test_compile.py",
    "tests/trust/test_bounds.py",
    "tests/trust/test_enclosures.py",
)
_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Exit status 1 where less is reached than there must be, or a test fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the whole package by the whole suite (half an hour)")
    options = parser.parse_args()
    least = 90.0 if options.all else 100.0
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "coverage.ini"
        config.write_text(_configuration(whole=options.all, folder=folder))
        measured = coverage.Coverage(data_file=f"{folder}/data", config_file=str(config))
        measured.start()
        tests = ["-n", "auto", "tests"] if options.all else ["-n", "0", *_TESTS]
        status = pytest.main(["-q", "-p", "no:cacheprovider", *tests])
        measured.stop()
        measured.save()
        if options.all:
            measured.combine(keep=True)
        reached = measured.report(show_missing=True, skip_covered=True)
    print(f"{reached:.2f}% reached, {least:g}% asked for")
    return 0 if status == pytest.ExitCode.OK and reached >= least else 1


def _configuration(*, whole: bool, folder: str) -> str:
    """Branches; with the whole package, processes that tests start as well."""
    source = "kernelc" if whole else ",".join(f"kernelc.{name}" for name in CERTIFYING)
    lines = ["[run]", "branch = true", f"source = {source}", f"data_file = {folder}/data"]
    if whole:
        lines += ["parallel = true", "patch = subprocess", "omit = */runtime/*"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
