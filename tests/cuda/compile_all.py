"""Compile every kernel of every committed package, in every way in which the run-time does, for every architecture.

Run: python -m tests.cuda.compile_all [NAME ...]
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from kernelc.backends.cupy.printer import sketch_source
from tests.cuda.nvrtc import ARCHITECTURES, compile_cubin
from tests.cuda.variants import Variant, sketch_variants, variants

GENERATED = Path(__file__).parents[2] / "generated"


def main(names: list[str]) -> int:
    """Print one line a package, and one for the sketches that all share; 1 where something does not compile cleanly."""
    failed = _compiled("_sketch.cu", sketch_source(), sketch_variants())
    for path in sorted(GENERATED.glob("*/_kernels.cu")):
        if names and path.parent.name not in names:
            continue
        source = path.read_text(encoding="utf-8")
        failed += _compiled(path.parent.name, source, variants(source))
    return int(failed > 0)


def _compiled(name: str, source: str, found: dict[Variant, tuple[str, ...]]) -> int:
    """How many compilations have something to say."""
    problems = []
    for architecture, (options, kernels) in itertools.product(ARCHITECTURES, found.items()):
        cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
        if log or not all(kernel.encode() in cubin for kernel in kernels):
            problems.append(f"  {architecture} {' '.join(options)}: {log or 'a kernel is missing'}")
    count = len(ARCHITECTURES) * len(found)
    print(f"{name}: {count} compilations, {len(problems)} with complaints", *problems, sep="\n", flush=True)
    return len(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
