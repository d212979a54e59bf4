"""The ways in which one `_kernels.cu` is compiled: as the run-time does, read off its own options."""

from __future__ import annotations

import itertools
import re

#: Each kernel with the options of one compilation that defines it.
Variant = tuple[str, ...]


def variants(source: str) -> dict[Variant, tuple[str, ...]]:
    """Options -> the kernels that this compilation must hold."""
    found: dict[Variant, tuple[str, ...]] = {}
    facts = {name: int(value) for name, value in re.findall(r"#define (\w+) ([01])\n", source)}
    closed = facts["CLOSED_DUAL"] and not facts["HOMOGENEOUS"]
    for single in (0, 1):
        doubles = ("duals", *(("norm_basis",) if facts["NORM_PAIRS"] else ()))
        kernels = ("row_norms", "unit_rows", "values", *(() if single else doubles))
        found["--fmad=false", f"-DSINGLE={single}"] = kernels
        for tangent, deep in itertools.product(range(1 + facts["HAS_SLOPE"]), (0, 1)):
            options = (f"-DSINGLE={single}", f"-DTANGENT={tangent}", f"-DDEEP={deep}")
            found[(*(("--prec-sqrt=false",) if single else ()), *options)] = ("pairs",)
            if facts["NORM_PAIRS"] and (facts["HAS_SLOPE"] or not tangent):
                found[(*(("--prec-sqrt=false",) if single else ()), *options, "-DNORMS=1")] = ("pairs",)
            if closed and (facts["CLOSED_SLOPE"] or not tangent):
                found["--fmad=false", *options, "-DCLOSED=1"] = ("pairs",)
    return found


def sketch_variants() -> dict[Variant, tuple[str, ...]]:
    """The same of `_sketch.cu`, which is equal in all packages."""
    rows = ("row_norms", "sparse_norms", "directions", "scattered", "counted", "split", "radial_weights", "growths")
    maps = ("harmonics", "padded", "hadamard", "hadamard_step", "zonal", "sampled", "joined", "spectrum")
    found: dict[Variant, tuple[str, ...]] = {}
    for single in (0, 1):
        found[(f"-DSINGLE={single}",)] = (*rows, *maps)
        found[f"-DSINGLE={single}", "-DFAST=1"] = ("zonal",)
    return found
