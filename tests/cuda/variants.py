"""The ways in which one `_kernels.cu` is compiled: as the run-time does, read off its own options."""

from __future__ import annotations

import itertools
import re

#: Each kernel with the options of one compilation that defines it.
Variant = tuple[str, ...]


def variants(source: str) -> dict[Variant, tuple[str, ...]]:
    """Options -> the kernels that this compilation must hold."""
    found: dict[Variant, tuple[str, ...]] = {}
    slope = re.search(r"#define HAS_SLOPE (\d)", source)
    assert slope is not None
    for single in (0, 1):
        kernels = ("row_norms", "unit_rows", "values", *(() if single else ("duals",)))
        found["--fmad=false", f"-DSINGLE={single}"] = kernels
        for tangent, deep in itertools.product(range(1 + int(slope[1])), (0, 1)):
            found[f"-DSINGLE={single}", f"-DTANGENT={tangent}", f"-DDEEP={deep}"] = ("pairs",)
    return found
