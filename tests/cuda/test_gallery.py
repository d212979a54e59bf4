"""Every committed package with its CUDA kernels: they compile for GPUs, and run on a CPU as the NumPy code does."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kernelc.gallery import GALLERY
from tests.cuda.conftest import forget_device
from tests.cuda.nvrtc import ARCHITECTURES, compile_cubin
from tests.cuda.variants import variants
from tests.gpu import bench
from tests.gpu.agreement import CHECKS

GENERATED = Path(__file__).parents[2] / "generated"


@pytest.fixture
def package(request: pytest.FixtureRequest, cupy: ModuleType) -> Iterator[ModuleType]:
    """A committed package; what of it holds on to the stand-in is forgotten afterwards."""
    yield importlib.import_module(f"generated.{request.param}")
    forget_device(request.param)


@pytest.mark.parametrize("package", GALLERY, indirect=True)
@pytest.mark.parametrize("check", CHECKS)
def test_agreement(package: ModuleType, cupy: ModuleType, check: Callable[[ModuleType, ModuleType], None]) -> None:
    check(package, cupy)


@pytest.mark.parametrize("name", GALLERY)
def test_kernels_compile_for_gpus(name: str) -> None:
    source = (GENERATED / name / "_kernels.cu").read_text(encoding="utf-8")
    found = variants(source)
    # all of them take minutes (python -m tests.cuda.compile_all): one dtype an architecture, the largest kernels
    for single, architecture in enumerate(ARCHITECTURES):
        slope = int(any("-DTANGENT=1" in options for options in found))
        largest = {f"-DSINGLE={single}", f"-DTANGENT={slope}", "-DDEEP=1"}
        deep = next(
            options for options in found if largest <= {*options} and not {"-DCLOSED=1", "-DNORMS=1"} & {*options}
        )
        for options in (("--fmad=false", f"-DSINGLE={single}"), deep):
            cubin, log = compile_cubin(source, (f"-arch={architecture}", *options))
            assert log == ""
            assert all(kernel.encode() in cubin for kernel in found[options])


def test_the_benchmark_runs(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEATS", 1)
    lines, features = bench.table(cupy, 70, 8), bench.feature_table(cupy, 20, 8, 64)
    norms = bench.norm_table(cupy, 70, 8)
    for name in bench.ACTIVATIONS:
        forget_device(name)
    assert len(lines) == 4 + len(bench.ACTIVATIONS)
    assert len(features) == 4 + len(bench.ACTIVATIONS) * len(bench.SKETCHES)
    assert len(norms) == 4 + len(bench.NORM_ACTIVATIONS)
    for line in (*lines[4:], *norms[4:], *(line.partition("|")[2].partition("|")[2] for line in features[4:])):
        assert all(float(cell) > 0 for cell in line.split("|")[2:-1])
