"""Full disks, no permission, kills at every kind of step: the folder holds a whole kernel, which loads and checks."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelc import writer
from kernelc.errors import InputError
from kernelc.kernel import Kernel
from kernelc.pipeline import check, compile_activation
from tests.pipeline.loading import load
from tests.writer.faults import Trial, Way, die, files_in, trials, write_in_a_process
from tests.writer.modules import emitted

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("name", "trial"), list(trials()), ids=[name for name, _ in trials()])
def test_a_fault_at_any_step_leaves_a_whole_kernel_or_none(name: str, trial: Trial, tmp_path: Path) -> None:
    """Each fifth call to the system, each seventeenth line; the command in `faults` goes through all of them."""
    found = trial.run(tmp_path, stride=5 if trial.way.calls else 17, first=2)
    assert found.total() >= 3
    if trial.act is die:
        assert all(key.endswith("status 9") for key in found)
    elif trial.way.calls:
        assert not any(key.endswith("status 70") for key in found), "a full disk is no traceback"


@pytest.fixture(scope="module")
def square() -> tuple[Kernel, Kernel]:
    """Two real kernels of one name."""
    old, new = (compile_activation("t^2", name="square", degree=degree) for degree in (2, 4))
    return old, new


def test_what_a_kill_leaves_loads_and_checks(tmp_path: Path, square: tuple[Kernel, Kernel]) -> None:
    old, new = square
    old.write(tmp_path / "whole")
    status, steps = write_in_a_process(new.module, tmp_path / "whole", 0, die, Way())
    assert status == 0
    found = []
    for at in (steps // 4, steps - 30, steps - 5):
        out = tmp_path / str(at)
        old.write(out)
        status, _ = write_in_a_process(new.module, out, at, die, Way())
        assert status == 9
        left = files_in(out / "square")
        assert left in (old.module.files, new.module.files)
        kernel = old if left == old.module.files else new
        assert load(kernel, tmp_path / "again" / str(at)).kappa(0.5) == 1.5
        found.append("old" if kernel is old else "new")
    assert found[0] == "old"
    assert found[-1] == "new"
    assert check("square", tmp_path / str(steps // 4)).ok
    assert check("square", tmp_path / str(steps - 5)).ok


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """What the system says here (EFBIG) it says while the bytes are written, as it does on a full disk."""
    writer.write(emitted(body="old = 1\n"), tmp_path / "out")
    before = files_in(tmp_path)
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limit[1]))
        with pytest.raises(InputError, match="cannot write"):
            writer.write(emitted(body="new = 1\n" * 100), tmp_path / "out")
        with pytest.raises(InputError, match="cannot write"):
            writer.write(emitted(body="new = 1\n" * 100), tmp_path / "elsewhere" / "deep")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert files_in(tmp_path) == before
    assert os.listdir(tmp_path / "out") == ["my_silu"]
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this process may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or unmount is None:
        pytest.skip("only root mounts")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no mounts here")
    yield folder
    subprocess.run([unmount, folder], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    writer.write(emitted(body="old = 1\n" * 2000), small_disk)
    before = files_in(small_disk)
    with pytest.raises(InputError, match="No space left"):
        writer.write(emitted(body="new = 1\n" * 6000), small_disk)
    assert files_in(small_disk) == before
    assert os.listdir(small_disk) == ["my_silu"]


_AS_SOMEBODY_ELSE = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from kernelc import cli, writer
from tests.writer.modules import emitted
from pathlib import Path
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    writer.write(emitted(body="new = 1"), Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
sys.exit(cli.main(["report", "my_silu", "--out", sys.argv[1], "--format", "json"]))
"""


@pytest.mark.parametrize("mode", [0o555, 0o444, 0o000])
def test_a_folder_that_may_not_be_written(mode: int) -> None:
    # Not in pytest's folder, into which nobody else may look.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        _refused_to_somebody_else(Path(folder) / "out", mode)


def _refused_to_somebody_else(out: Path, mode: int) -> None:
    writer.write(emitted(body="old = 1\n"), out)
    before = files_in(out)
    out.chmod(mode)
    command = [sys.executable, "-c", _AS_SOMEBODY_ELSE, str(_REPOSITORY), str(out)]
    # A measurement of coverage could not write its data either, and would say so.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    out.chmod(0o755)
    assert result.stdout.startswith("InputError cannot"), result
    assert "Permission denied" in result.stdout
    assert "Traceback" not in result.stderr
    assert result.returncode == (0 if mode == 0o555 else 2), result
    assert files_in(out) == before
    assert os.listdir(out) == ["my_silu"]


def test_two_compiles_of_one_name_at_once(tmp_path: Path, square: tuple[Kernel, Kernel]) -> None:
    def start(degree: int) -> subprocess.Popen[str]:
        options = ["--name", "square", "--degree", str(degree), "--out", str(tmp_path), "--quiet"]
        command = [sys.executable, "-m", "kernelc", "compile", "t^2", *options]
        return subprocess.Popen(command, cwd=_REPOSITORY, stderr=subprocess.PIPE, text=True)

    processes = [start(2), start(4)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert os.listdir(tmp_path) == ["square"]
    assert files_in(tmp_path / "square") in [kernel.module.files for kernel in square]
