"""Machine instructions a pair of the elementwise stage, counted without a GPU: what they cost beside the memory's time.

A pair of a symmetric float32 matrix moves 12 bytes: one number is read, it and its mirror image are written. An H200
moves that at its 4.8 TB/s in the time in which its 132 multiprocessors, each with four schedulers, at 1.98 GHz issue 83
instructions for a pair. With more than that in the loop no measurement could come near the memory's speed; with fewer
it may. This is arithmetic on published figures, not a measurement.

Run: python -m tests.cuda.instructions [NAME ...]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from kernelc.backends.cupy.printer import runtime_text
from tests.cuda.nvrtc import compile_cubin, wheel_file
from tests.cuda.variants import Variant, variants

GENERATED = Path(__file__).parents[2] / "generated"
#: Pairs a round of the loop.
BATCH = int(re.findall(r"#define BATCH (\d+)", runtime_text("tiles.cuh"))[0])
#: Instructions in the time of the bytes, see above.
ISSUED = 12 / 4.8e12 * 132 * 4 * 32 * 1.98e9

_LABEL = re.compile(r"(\.L_x_\d+):")
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z0-9]+)(.*);")


def disassembled(cubin: bytes) -> list[str]:
    """The lines of nvdisasm, code alone."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(wheel_file("*/bin/nvdisasm")), "-c", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def loops(lines: list[str]) -> list[Counter[str]]:
    """The operations between each backward branch and its target."""
    codes: list[str] = []
    labels: dict[str, int] = {}
    found = []
    for line in lines:
        label, instruction = _LABEL.match(line.strip()), _INSTRUCTION.search(line)
        if label is not None:
            labels[label[1]] = len(codes)
        elif instruction is not None:
            codes.append(instruction[1])
            target = re.search(r"\.L_x_\d+", instruction[2]) if instruction[1] == "BRA" else None
            if target is not None and target[0] in labels:
                found.append(Counter(codes[labels[target[0]] :]))
    return found


def per_pair(name: str, options: Variant, architecture: str = "sm_90") -> float:
    """Instructions of the loop over a tile's pairs, of those tiles that lie inside the matrix."""
    source = (GENERATED / name / "_kernels.cu").read_text(encoding="utf-8")
    cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
    assert not log, log
    whole = [loop for loop in loops(disassembled(cubin)) if loop["STG"] == loop["STS"] == BATCH]
    return min(loop.total() for loop in whole) / BATCH


def tangent_of_one_layer(name: str) -> Variant:
    """How the package's float32 NTK of one hidden layer is compiled."""
    wanted = {"-DSINGLE=1", "-DTANGENT=1", "-DDEEP=0"}
    source = (GENERATED / name / "_kernels.cu").read_text(encoding="utf-8")
    return next(
        options for options in variants(source) if wanted <= {*options} and not {"-DCLOSED=1", "-DNORMS=1"} & {*options}
    )


def main(names: list[str]) -> int:
    """Print one line a package; 2 where one is named that there is none of."""
    unknown = [name for name in names if not (GENERATED / name / "_kernels.cu").exists()]
    if unknown:
        print(f"error: no CUDA kernels in generated/ of {', '.join(unknown)}", file=sys.stderr)
        return 2
    for path in sorted(GENERATED.glob("*/_kernels.cu")):
        name = path.parent.name
        if (names and name not in names) or "#define HAS_SLOPE 1" not in path.read_text(encoding="utf-8"):
            continue
        count = per_pair(name, tangent_of_one_layer(name))
        print(f"{name}: {count:.0f} instructions a pair, {count / ISSUED:.2f} of what the memory's time has room for")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
