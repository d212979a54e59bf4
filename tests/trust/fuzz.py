"""Hostile text into the parser and the command line: 200,000 inputs and more, in this process.

    python -m tests.trust.fuzz --count 200000 --seed 1

Every input must end in a value or an `InputError` (parser), in exit status 0, 1 or 2 with at most one `error:` line
(command line), within its time, within the memory, with no file opened for writing outside the output folder, no
process started, no code made from text and no socket opened (Python's own audit events tell).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from kernelc import pipeline as real_pipeline
from kernelc.cli import main as command_line
from kernelc.deadline import TimeLimitReached, time_limit
from kernelc.errors import InputError, UnsupportedError
from kernelc.gallery import GALLERY
from kernelc.options import make_options
from kernelc.parse import parse_activation
from tests.cli.stub import StubKernel
from tests.strategies import NASTY_TEXTS

_MEMORY = 4 * 2**30
#: The parser's own limit is five seconds; a busy machine may stretch what follows it.
_SECONDS = 40.0
_GENERATED = Path(__file__).resolve().parents[2] / "generated"
_TOKENS = (
    *("t", "x", "u", "A", "beta", "pi", "E", "I", "oo", "nan", "zoo", "True", "False", "None", "lambda", "__import__"),
    *("exp(", "log(", "sqrt(", "sin(", "gamma(", "loggamma(", "besselj(", "Max(", "Min(", "abs(", "sign(", "erf("),
    *("Piecewise((", "Heaviside(", "elu(", "gelu(", "lambertw(", "cbrt(", "sinc(", "airyai(", "acosh(", "tan("),
    *("+", "-", "*", "/", "**", "^", "//", "%", "@", "<", "<=", ">", ">=", "==", "!=", "&", "|", "~", "!", "=", ":="),
    *("(", ")", "[", "]", "{", "}", ",", ".", ";", ":", "'", '"', "#", "\\", "\n", "\t", " ", "\0", "\u202e", "\ud800"),
    *("0", "1", "2", "3", "0.5", "1e3", "1e300", "1e-300", "9" * 30, "10**9", "1/3", "0x10", "1_000", "1j", "2.", ".5"),
    *(" if ", " else ", " and ", " or ", " not ", ",True))", ",t<0),", ")^200", "^(1/2)", "os", "().__class__"),
)
_NAMES = (
    "f",
    "my_f",
    "",
    " ",
    "a b",
    "../x",
    "/tmp/x",
    "class",
    "__init__",
    "a" * 300,
    "f\0",
    "ﬁ",
    "f\n",
    "-",
    "--",
    ".",
)
_NUMBERS = ("1", "0", "-1", "1e400", "nan", "inf", "1/3", "9**9**9", "t", "", " ", "0x1", "1e-9", "sqrt(2)", "1" * 5000)


class _Pipeline(ModuleType):
    """Reads the formula and the options as the compiler does, and compiles nothing."""

    def __init__(self) -> None:
        super().__init__("kernelc.pipeline")

    @staticmethod
    def compile_activation(expression: str, *, name: str, **options: Any) -> StubKernel:
        if not isinstance(expression, str):
            raise InputError("the expression is text")
        make_options(
            name, options["variance"], options["degree"], options["tol"], options["precision"], options["backends"]
        )
        parse_activation(expression, name=name, parameters=options["parameters"])
        return StubKernel(name)

    @staticmethod
    def check(name: str, out: Path, deep: bool, progress: Any) -> Any:
        return real_pipeline.check(name, out, False, progress)


@dataclass
class Findings:
    """What went wrong, and how many inputs of each kind there were."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: dict[str, tuple[float, str]] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)

    def fail(self, kind: str, what: str, given: Any) -> None:
        self.failures.append(f"{kind}: {what}: {given!r}"[:2000])


class _Watch:
    """An audit hook that notes what no input may bring about. It stays, as hooks do; `active` turns it off."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self.active = False
        self.seen: list[str] = []
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path, mode, flags = arguments[0], arguments[1], arguments[2]
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            if writes and not self._inside(path):
                self.seen.append(f"opened for writing: {path!r}")
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "shutil.rmtree"):
            if not all(self._inside(p) for p in arguments[:2] if isinstance(p, (str, bytes, Path))):
                self.seen.append(f"{event} {arguments!r}")
        elif event.startswith(("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.")):
            self.seen.append(f"{event} {arguments!r}"[:300])
        elif event == "exec" and _is_made_from_text(arguments[0]):
            self.seen.append(f"executed code from {arguments[0].co_filename}")

    def _inside(self, path: Any) -> bool:
        if isinstance(path, int) or path == os.devnull:
            return True
        return os.path.realpath(os.fsdecode(path)).startswith(self._folder)


def _is_made_from_text(code: Any) -> bool:
    """Whether code comes from no file. mpmath writes its loops for hypergeometric sums itself, by their kinds alone."""
    name = getattr(code, "co_filename", "")
    if not name.startswith("<") or name.startswith("<frozen"):
        return False
    return not all(part.startswith("hypsum_") for part in code.co_names)


def texts(draw: random.Random) -> str:
    """A formula, or what is left of one."""
    corpus = (*NASTY_TEXTS, *(entry.formula for entry in GALLERY.values()))
    match draw.randrange(6):
        case 0:
            return "".join(draw.choices(_TOKENS, k=draw.randrange(1, 14)))
        case 1:
            return "".join(
                chr(draw.choice((draw.randrange(32, 127), draw.randrange(0x2FFF)))) for _ in range(draw.randrange(40))
            )
        case 2 | 3:
            return _mutated(draw, draw.choice(corpus[-len(GALLERY) :]))
        case 4:
            one, two = draw.choice(corpus), draw.choice(corpus)
            return one[: draw.randrange(len(one) + 1)][:300] + two[draw.randrange(len(two) + 1) :][:300]
        case _:
            return _balanced(draw, draw.randrange(1, 5))


def _mutated(draw: random.Random, text: str) -> str:
    for _ in range(draw.randrange(1, 5)):
        at, end = draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)
        match draw.randrange(4):
            case 0:
                text = text[:at] + draw.choice(_TOKENS) + text[at:]
            case 1:
                text = text[:at] + text[max(at, end) :]
            case 2:
                text = text[:at] + text[min(at, end) : max(at, end)] + text[at:]
            case _:
                text = text[:at] + draw.choice(_TOKENS) + text[at + 1 :]
    return text[:4200]


def _balanced(draw: random.Random, depth: int) -> str:
    """Mostly well formed."""
    if depth == 0:
        return draw.choice(("t", "t", "x", "1", "0.5", "A", "pi", "-t", "2*t", "t^2", "1e5", "0"))
    inner = _balanced(draw, depth - 1)
    match draw.randrange(6):
        case 0:
            return draw.choice([token for token in _TOKENS if token.endswith("(")]) + inner + ")"
        case 1:
            return f"({inner}){draw.choice(('+', '-', '*', '/', '**', '^'))}({_balanced(draw, depth - 1)})"
        case 2:
            return f"({inner})^{draw.choice(('2', '3', '-1', '200', '0.5', '(1/3)', '-0.5', 't'))}"
        case 3:
            condition = f"t {draw.choice(('<', '>', '<=', '>='))} {_balanced(draw, 0)}"
            return f"({inner} if {condition} else {_balanced(draw, depth - 1)})"
        case 4:
            return f"Max({inner}, {_balanced(draw, depth - 1)})"
        case _:
            return f"Piecewise(({inner}, {_balanced(draw, 0)} < 1), ({_balanced(draw, depth - 1)}, True))"


def _parameters(draw: random.Random) -> dict[str, Any]:
    names = ("A", "beta", "t", "exp", "pi", "a b", "", "__class__", "x" * 80, "\u03b1")
    values = (*_NUMBERS, 1, 0.5, float("nan"), float("inf"), True, None, 10**5000, [1])
    return {draw.choice(names): draw.choice(values) for _ in range(draw.choice((0, 0, 1, 1, 2)))}


def into_parser(draw: random.Random, found: Findings) -> None:
    """One text, perhaps with parameters, into the parser."""
    text, parameters = texts(draw), _parameters(draw)
    try:
        parse_activation(text, name="f", parameters=parameters)
    except InputError as error:
        if not str(error).isprintable():
            found.fail("parser", "a message that is no printable line", text)


def arguments_of(draw: random.Random) -> list[str]:
    """Arguments for the command line, often nearly right."""
    command = draw.choice(("compile",) * 5 + ("report", "check", "list", "gallery2", "--version", "", "plan"))
    arguments = [command]
    if command in ("compile", "report", "check", "plan"):
        arguments.append(texts(draw) if command == "compile" else draw.choice((*_NAMES, "relu", "hostile")))
    options = (
        ("--name", _NAMES + ("f",) * 20),
        ("--param", ("A=1", "A", "=1", "A=", "A=1e999", "t=2", "A=t", "A=1=2", "é=1", "A=\0")),
        ("--variance", _NUMBERS + ("1",) * 10),
        ("--degree", ("8", "-1", "x", "1e3", "99999999999999999999")),
        ("--tol", ("1e-3", "0", "-1", "nan", "inf", "x")),
        ("--precision", ("128", "1", "x", "99999999")),
        ("--backend", ("numpy", "x", "")),
        ("--out", ("out",) * 20 + ("out/a", "file", "link", "", "out\0")),
        ("--timeout", ("10", "-1", "nan", "x", "inf")),
        ("--format", ("text", "json", "x")),
    )
    for _ in range(draw.choice((1, 2, 2, 3))):
        key, values = draw.choice(options)
        arguments += [key, draw.choice(values)]
    if command == "compile" and "--name" not in arguments:
        arguments += ["--name", draw.choice(_NAMES[:3])]
    arguments += draw.choice(([], [], ["--quiet"], ["--force"], ["--bogus"], ["--help"], ["--", "-t"]))
    return arguments


def into_command_line(draw: random.Random, found: Findings, arguments: list[str] | None = None) -> None:
    """One command, in this process, over the pipeline that compiles nothing."""
    chosen = arguments_of(draw) if arguments is None else arguments
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command_line(chosen)
    lines = err.getvalue().splitlines()
    found.counts[f"exit {status}"] += 1
    if status not in (0, 1, 2):
        found.fail("command line", f"exit {status}, {err.getvalue()[:300]}", chosen)
    if status == 2 and (len(lines) != 1 or not lines[0].startswith("error: ") or not lines[0].isprintable()):
        found.fail("command line", f"not one error line: {lines[:3]}", chosen)


_HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 10**400, 1e308, "", "\u202e", "x" * 10_000, "\x1b[31m", [], {}, [[[]]], {"a": {"b": []}},
    "__import__('os').system('true')", "../../etc/passwd", "9**9**9", ["numpy"] * 1000, [1, "a", None], -0.0, "\ud800",
)  # fmt: skip


def _spoiled(draw: random.Random, value: Any) -> Any:
    """A certificate with something hostile somewhere in it."""
    if draw.random() < 0.25 or not isinstance(value, (dict, list)) or not value:
        return draw.choice(_HOSTILE)
    copy = dict(value) if isinstance(value, dict) else list(value)
    key = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
    if isinstance(copy, dict) and draw.random() < 0.2:
        del copy[key]
    elif isinstance(copy, dict) and draw.random() < 0.1:
        copy[draw.choice(("schema", "name", "\x1b", "request", ""))] = draw.choice(_HOSTILE)
    else:
        copy[key] = _spoiled(draw, value[key])
    return copy


def into_certificates(draw: random.Random, found: Findings, certificates: list[Any]) -> None:
    """A hostile certificate on disk, and the commands that read it."""
    folder = Path("out/hostile")
    folder.mkdir(parents=True, exist_ok=True)
    certificate = draw.choice(certificates)
    if draw.random() < 0.8:
        certificate = {**certificate, "name": "hostile"}
        for _ in range(draw.randrange(1, 4)):
            certificate = _spoiled(draw, certificate)
        text = json.dumps(certificate)
    else:
        text = _mutated(draw, json.dumps(certificate)[: draw.randrange(1, 4000)])
    (folder / "certificate.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    options = draw.choice(
        (["report", "hostile"], ["report", "hostile", "--format", "json"], ["list"], ["check", "hostile"])
    )
    into_command_line(draw, found, [*options, "--out", "out"])


def _limited_compile(expression: Any, **options: Any) -> Any:
    _Pipeline.compile_activation(expression, **{key: value for key, value in options.items() if key != "progress"})
    raise UnsupportedError("nothing is compiled here")


@contextlib.contextmanager
def sandbox() -> Iterator[_Watch]:
    """An empty folder to work in, the pipeline that compiles nothing, a limit on memory, and the watch."""
    before, limit = Path.cwd(), resource.getrlimit(resource.RLIMIT_AS)
    original = real_pipeline.compile_activation
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        (Path(folder) / "file").write_text("mine")
        (Path(folder) / "link").symlink_to(folder)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, limit[1]))
        sys.modules["kernelc.pipeline"] = _Pipeline()
        real_pipeline.compile_activation = _limited_compile  # type: ignore[assignment]
        watch = _Watch(Path(folder))
        try:
            watch.active = True
            yield watch
        finally:
            watch.active = False
            sys.modules["kernelc.pipeline"] = real_pipeline
            real_pipeline.compile_activation = original
            resource.setrlimit(resource.RLIMIT_AS, limit)
            os.chdir(before)


def fuzz(seed: int, count: int, report: Callable[[int, Findings], None] = lambda done, found: None) -> Findings:
    """`count` inputs, the same for the same seed; four of five for the parser."""
    found = Findings()
    certificates = [json.loads(path.read_text()) for path in sorted(_GENERATED.glob("*/certificate.json"))]
    kinds: Mapping[str, Callable[[random.Random], None]] = {
        "parser": lambda draw: into_parser(draw, found),
        "command line": lambda draw: into_command_line(draw, found),
        "certificates": lambda draw: into_certificates(draw, found, certificates),
    }
    with sandbox() as watch:
        for index in range(count):
            draw = random.Random(f"{seed}/{index}")
            kind = draw.choices(tuple(kinds), (80, 14, 6))[0]
            start = time.process_time()
            try:
                with time_limit(_SECONDS):
                    kinds[kind](draw)
            except TimeLimitReached:
                found.fail(kind, "hang", f"seed {seed}, input {index}")
            except BaseException as error:
                found.fail(kind, f"{type(error).__name__}: {error}", f"seed {seed}, input {index}")
            seconds = time.process_time() - start
            if seconds > found.slowest.get(kind, (0.0, ""))[0]:
                found.slowest[kind] = (seconds, f"seed {seed}, input {index}")
            found.counts[kind] += 1
            if watch.seen:
                found.forbidden += [f"seed {seed}, input {index}: {what}" for what in watch.seen]
                watch.seen.clear()
            if index % 500 == 499:
                report(index + 1, found)
                shutil.rmtree("out", ignore_errors=True)
        # The default folder, and f or my_f where the folder asked for is this one.
        left = sorted(os.listdir("."))
        if not set(left) <= {"file", "link", "out", "generated", "f", "my_f"} or Path("file").read_text() != "mine":
            found.forbidden.append(f"files left: {left}")
    return found


def main() -> int:
    """Exit status 1 where any input did what none may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    def report(done: int, found: Findings) -> None:
        if done % 5000 == 0:
            wrong = len(found.failures) + len(found.forbidden)
            print(f"{done} inputs, {wrong} wrong, slowest {max(found.slowest.values())}", flush=True)

    found = fuzz(options.seed, options.count, report)
    print(dict(found.counts), found.slowest)
    print(f"{len(found.failures)} failures, {len(found.forbidden)} forbidden acts")
    print("\n".join([*found.failures[:100], *found.forbidden[:100]]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")
    return 1 if found.failures or found.forbidden else 0


if __name__ == "__main__":
    sys.exit(main())
