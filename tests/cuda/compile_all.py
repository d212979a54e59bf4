"""Compile every kernel of every committed package, in every way in which the run-time does, for every architecture.

Run: python -m tests.cuda.compile_all [NAME ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cuda.nvrtc import ARCHITECTURES, compile_cubin
from tests.cuda.variants import variants

GENERATED = Path(__file__).parents[2] / "generated"


def main(names: list[str]) -> int:
    """Print one line a package; 1 where something does not compile, or not without a warning."""
    failed = 0
    for path in sorted(GENERATED.glob("*/_kernels.cu")):
        if names and path.parent.name not in names:
            continue
        source, problems, count = path.read_text(encoding="utf-8"), [], 0
        for architecture in ARCHITECTURES:
            for options, kernels in variants(source).items():
                cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
                count += 1
                if log or not all(kernel.encode() in cubin for kernel in kernels):
                    problems.append(f"  {architecture} {' '.join(options)}: {log or 'a kernel is missing'}")
        print(f"{path.parent.name}: {count} compilations, {len(problems)} with complaints", *problems, sep="\n")
        failed += len(problems)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
