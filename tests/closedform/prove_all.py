"""The slow proof: every row to many digits at many points.

Run: python -m tests.closedform.prove_all [DIGITS] [SAMPLES]
"""

from __future__ import annotations

import sys
import time

import mpmath

from kernelc.closedform import ClosedForm, derive, prove
from tests.closedform.rows import ALL, JUMPS


def main(digits: int = 25, samples: int = 5) -> None:
    """Print the worst relative discrepancy of each row; raises at the first that is not proved."""
    for name, expression in {**ALL, **JUMPS}.items():
        start = time.perf_counter()
        form = derive(expression)
        assert isinstance(form, ClosedForm)
        derived = time.perf_counter()
        worst = prove(form, expression, samples, digits)
        print(
            f"{name:22} derived {derived - start:5.2f} s, proved {time.perf_counter() - derived:6.1f} s, "
            f"worst {mpmath.nstr(worst, 3)}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
