"""The last stage: put an emitted module on disk, whole or not at all, and read its certificate back.

A kernel folder `out/NAME` is replaced as one: the new files are written and synced in a staging folder
beside it, and the two names are exchanged by one system call (Linux `renameat2`). Whenever the process is
killed, `out/NAME` is the whole old kernel or the whole new one. Where the exchange is not to be had, two
renames stand in for it, and the next write repairs what a kill between them left.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import keyword
import os
import shutil
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kernelc.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from kernelc.model import EmittedModule

CERTIFICATE_FILE = "certificate.json"
#: The page about a kernel: it lies beside the module, is made from the certificate alone, and may be missing.
PAGE_FILE = "report.html"

_STAGING_PREFIX = ".kernelc-new-"
_RETIRED_PREFIX = ".kernelc-old-"
_MAX_NAME_LENGTH = 100
_LOCK_PATIENCE_SECONDS = 30.0
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write(module: EmittedModule, out: Path, force: bool = False, page: str | None = None) -> Path:
    """Write `module` as the folder `out/NAME` and return that path; an older kernel there is replaced.

    `out` is made where it is missing. `page` is the text of the report.html that goes with it, if any.
    `force` also replaces a folder that kernelc did not generate.
    On any error, and on an interrupt, `out/NAME` is the whole old kernel; it is the whole new one where all that
    failed came after it had taken its place (the last flush to the disk, the removal of the old files).

    Raises:
        InputError: the name, a file path or `out` is unusable, or the disk refuses.
        UnsupportedError: `out/NAME` holds what kernelc did not write and `force` is False, or another
            kernelc has been writing in `out` for longer than 30 seconds.
    """
    out = Path(out)
    name = check_name(module.name)
    files = {_inner_path(path): text for path, text in module.files.items()}
    if page is not None:
        files[PAGE_FILE] = page
    try:
        _check_target(out, name, force, files)
        with _folder(out), _locked(out):
            _clear_leftovers(out)
            _check_target(out, name, force, files)
            _replace(out, name, files)
    except OSError as error:
        raise InputError(f"cannot write {out / name}: {error.strerror or error}") from error
    return out / name


def write_page(out: Path, name: str, page: str) -> Path:
    """Put `page` as report.html into the folder of the compiled kernel `out/name`, whole or not at all.

    Raises:
        InputError: there is no such kernel, or the disk refuses.
        UnsupportedError: another kernelc has been writing in `out` for longer than 30 seconds.
    """
    certificate_text(out, name)
    target = Path(out) / name / PAGE_FILE
    try:
        with _locked(Path(out)):
            _put(target, Path(out) / f"{_STAGING_PREFIX}{name}", page)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}; --output FILE writes elsewhere") from error
    return target


def write_file(path: Path, text: str) -> Path:
    """Write one file that the user named, whole or not at all; an older file there is replaced.

    Raises:
        InputError: it is a folder or a link, its folder is missing, or the disk refuses.
    """
    if path.is_symlink() or path.is_dir():
        raise InputError(f"{path} is a {'symbolic link' if path.is_symlink() else 'folder'}; name a file")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}; make it, or write elsewhere")
    try:
        _put(path, path.parent / f"{_STAGING_PREFIX}{os.getpid()}-{path.name}", text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _put(target: Path, staging: Path, text: str) -> None:
    """Fill `staging`, on the same disk as `target`, and give it that name in one step."""
    try:
        with staging.open("wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        staging.replace(target)
        _sync(target.parent)
    finally:
        staging.unlink(missing_ok=True)


def check_name(name: str) -> str:
    """Return `name` if it can be a kernel's name, hence a folder's and a module's.

    Raises:
        InputError: it is no Python identifier, a keyword, of the form `__x__`, over 100 characters, or
            not in the form (Unicode NFKC) in which Python's `import` would look for it.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(f"the name {name!r} must be a Python identifier and no keyword, such as my_silu")
    if name.startswith("__") and name.endswith("__"):
        raise InputError(f"the name {name!r} is reserved by Python; take one such as my_silu")
    if len(name.encode()) > _MAX_NAME_LENGTH:
        raise InputError(f"the name is {len(name.encode())} bytes long; at most {_MAX_NAME_LENGTH} are accepted")
    if unicodedata.normalize("NFKC", name) != name:
        raise InputError(f"Python would import the name {name!r} as {unicodedata.normalize('NFKC', name)!r}: use that")
    return name


def check_target(out: Path, name: str, force: bool = False, files: Iterable[str] = ()) -> None:
    """Refuse, touching nothing, if writing kernel `name` into `out` would destroy what kernelc did not write.

    `files` are the paths about to be written; other files in the folder must say that kernelc generated them.

    Raises:
        InputError: `out` or `out/name` is no folder of its own (a file, a symbolic link).
        UnsupportedError: the folder holds something else and `force` is False.
    """
    try:
        _check_target(Path(out), check_name(name), force, files)
    except OSError as error:
        raise InputError(f"cannot look at {Path(out) / name}: {error.strerror or error}") from error


def _check_target(out: Path, name: str, force: bool, files: Iterable[str]) -> None:
    target = out / name
    if os.path.lexists(out) and not out.is_dir():
        raise InputError(f"the output folder {out} is not a folder")
    if target.is_symlink():
        raise InputError(f"{target} is a symbolic link; kernelc does not write through links: remove it")
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{target} is a file; kernelc writes a folder there: remove it or take another --name")
    if force or not any(target.iterdir()):
        return
    if not _is_ours(target):
        raise UnsupportedError(f"{target} was not generated by kernelc; take another --name, or replace it by --force")
    foreign = _foreign_files(target, set(files))
    if foreign:
        raise UnsupportedError(
            f"{target} holds files that kernelc did not write ({', '.join(foreign[:3])}); "
            "move them away, or delete them by --force"
        )


def certificate_text(out: Path, name: str) -> str:
    """The text of `out/name/certificate.json`.

    Raises:
        InputError: there is no such kernel; the message lists those that there are.
    """
    path = Path(out) / check_name(name) / CERTIFICATE_FILE
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(_not_there(Path(out), name)) from error


def _not_there(out: Path, name: str) -> str:
    """What to do about a kernel that is not in `out`."""
    if not out.is_dir():
        return f"there is no folder {out}, where the kernel {name!r} would be; kernelc compile makes it"
    there = compiled_names(out)
    near = get_close_matches(name, there, 1)
    hint = f"did you mean {near[0]!r}? " if near else "kernelc compile makes it; "
    return f"no kernel {name!r} in {out}; {hint}compiled there: {', '.join(there) if there else 'nothing yet'}"


def load_certificate(out: Path, name: str) -> dict[str, Any]:
    """The certificate of the kernel `out/name`, as the JSON object that it is.

    Raises:
        InputError: there is no such kernel, or its certificate is not one of kernelc's.
    """
    certificate = _parse(certificate_text(out, name))
    if certificate is None:
        raise InputError(f"{Path(out) / name / CERTIFICATE_FILE} is not a certificate of kernelc; compile {name} again")
    return certificate


def compiled_names(out: Path) -> tuple[str, ...]:
    """The kernels in `out`, sorted: every folder with an importable name that holds a certificate."""
    try:
        entries = sorted(entry.name for entry in Path(out).iterdir() if (entry / CERTIFICATE_FILE).is_file())
    except OSError:
        return ()
    return tuple(name for name in entries if name.isidentifier())


def _parse(text: str) -> dict[str, Any] | None:
    """The certificate in `text`, None if it is not one: the marks are `schema` and the version of kernelc."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("schema"), int):
        return None
    versions = value.get("versions")
    return value if isinstance(versions, dict) and "kernelc" in versions else None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _is_ours(folder: Path) -> bool:
    try:
        text = (folder / CERTIFICATE_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    certificate = _parse(text)
    return certificate is not None and certificate.get("name") == folder.name


def _foreign_files(folder: Path, files: set[str]) -> list[str]:
    """Paths in `folder` that are neither about to be rewritten, nor bytecode, nor marked as generated by kernelc."""
    foreign = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_symlink():
            foreign.append(relative.as_posix())
        elif path.is_dir() or "__pycache__" in relative.parts or relative.as_posix() in files:
            continue
        elif relative.as_posix() != CERTIFICATE_FILE and not _says_generated(path):
            foreign.append(relative.as_posix())
    return foreign


def _says_generated(path: Path) -> bool:
    """Whether a file names kernelc near its start, or is empty (py.typed): nothing of a user is lost with it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(1000)
    return not start or b"kernelc" in start


def _inner_path(path: str) -> str:
    """`path` if it stays inside the kernel's folder."""
    for part in path.split("/"):
        if part in {"", ".", ".."} or "\\" in part or "\0" in part:
            raise InputError(f"the file path {path!r} would leave the kernel's folder")
    return path


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Make `out` and its missing parents; take away again those that are left empty by an error."""
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            try:
                folder.rmdir()
            except OSError:
                break
        raise


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the advisory lock on the folder `out` itself: no lock file, and the kernel frees it at a kill."""
    handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise UnsupportedError(f"another kernelc has been writing in {out} for too long") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _clear_leftovers(out: Path) -> None:
    """Repair what killed writes left in `out`. The lock is held, so no staging folder is in use."""
    for entry in sorted(out.iterdir()):
        if entry.name.startswith(_STAGING_PREFIX):
            _remove(entry)
        elif entry.name.startswith(_RETIRED_PREFIX):
            target = out / entry.name.removeprefix(_RETIRED_PREFIX)
            if os.path.lexists(target):
                _remove(entry)
            else:
                entry.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replace(out: Path, name: str, files: Mapping[str, str]) -> None:
    """Fill a staging folder, then give it the kernel's name; what had the name before is removed."""
    staging, target = out / f"{_STAGING_PREFIX}{name}", out / name
    try:
        _fill(staging, files)
        if not target.exists():
            staging.rename(target)
        elif not _exchange(staging, target):
            _replace_in_two_steps(staging, target, out / f"{_RETIRED_PREFIX}{name}")
        _sync(out)
    finally:
        if os.path.lexists(staging):
            _remove(staging)


def _fill(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for relative, text in sorted(files.items()):
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
    for inner in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        _sync(inner)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one system call; False where the system or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        return False
    raise OSError(code, os.strerror(code), str(second))


def _replace_in_two_steps(staging: Path, target: Path, retired: Path) -> None:
    """Retire the old folder, name the new one; a kill in between is repaired by `_clear_leftovers`."""
    try:
        target.rename(retired)
        staging.rename(target)
    except BaseException:
        # An interrupt may come between the two, and after both.
        if os.path.lexists(retired) and not os.path.lexists(target):
            retired.rename(target)
        raise
    _remove(retired)
