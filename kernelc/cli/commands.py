"""The commands: each reads its options, calls the pipeline, prints; every decision about mathematics is elsewhere."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from kernelc import report
from kernelc._version import __version__
from kernelc.cli.compiler import CheckOutcome, CompiledKernel, load_pipeline
from kernelc.cli.options import (
    DEFAULT_TIMEOUT_SECONDS,
    FormulaCommand,
    out_option,
    quiet_option,
    timeout_option,
)
from kernelc.cli.status import CHECK_FAILED, DONE, one_line
from kernelc.deadline import TimeLimitReached, time_limit
from kernelc.errors import InputError
from kernelc.gallery import GALLERY, resolve
from kernelc.program import BACKEND_NAMES
from kernelc.progress import PartialProgress, Progress, for_terminal
from kernelc.writer import (
    certificate_text,
    check_target,
    compiled_names,
    load_certificate,
    write_file,
    write_page,
)

_DEFAULT_NORMS = "1/4,4"

_Result = TypeVar("_Result")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kernelc")
@click.pass_context
def command_line(context: click.Context) -> None:
    """Compile an activation function into a certified module of its dual kernel, NNGP and NTK."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command_line.command("compile", cls=FormulaCommand)
@click.argument("expression", metavar="EXPR", required=False)
@click.option("--dual", metavar="KERNEL", help="In place of EXPR: a dual kernel in rho, or in q11, q12, q22.")
@click.option("--name", help="Name of the kernel and of its module.  [default: EXPR where it is a gallery activation]")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of EXPR; may be repeated.")
@click.option("--variance", default="1", show_default=True, help="Variance q at which kappa is compiled.")
@click.option("--degree", type=int, help="Last kept degree of the power series.")
@click.option("--tol", type=float, help="Choose the degree so that kappa's truncation bound is at most this.")
@click.option(
    "--depth", type=int, default=1, show_default=True, help="Add NNGP and NTK of this many hidden layers as one series."
)
@click.option("--backend", "backends", multiple=True, help="Backend to print for; may be repeated.  [default: all]")
@click.option("--precision", type=int, metavar="BITS", help="Least working precision in bits.  [default: chosen]")
@click.option(
    "--norms",
    default=_DEFAULT_NORMS,
    show_default=True,
    metavar="LOW,HIGH",
    help="Norms of inputs to serve where EXPR is not homogeneous.",
)
@click.option("--force", is_flag=True, help="Also replace a folder that kernelc did not generate.")
@out_option
@timeout_option
@quiet_option
def compile_command(
    expression: str | None,
    dual: str | None,
    name: str | None,
    params: tuple[str, ...],
    variance: str,
    degree: int | None,
    tol: float | None,
    depth: int,
    backends: tuple[str, ...],
    precision: int | None,
    norms: str,
    force: bool,
    out: Path,
    timeout: float,
    quiet: bool,
) -> int:
    """Compile EXPR, a formula such as "t*sigmoid(t)" or the name of a gallery activation, and show its report."""
    if degree is not None and tol is not None:
        raise InputError("--degree and --tol exclude each other: give the degree, or the error that chooses it")
    if (expression is None) == (dual is None):
        raise InputError("give either EXPR, an activation such as 't*sigmoid(t)', or a dual kernel by --dual")
    formula, given, parameters = _meant(expression, dual, _parameters(params))
    kernel_name = name or (expression.strip() if expression is not None and expression.strip() in GALLERY else None)
    if kernel_name is None:
        raise InputError("the kernel needs a name: add --name NAME, such as --name my_silu")
    check_target(out, kernel_name, force)

    def work(progress: Progress) -> CompiledKernel:
        return load_pipeline().compile_activation(
            formula,
            name=kernel_name,
            dual=given,
            parameters=parameters,
            variance=variance,
            degree=degree,
            tol=tol,
            precision=precision,
            norms=norms,
            backends=tuple(dict.fromkeys(backends)) or BACKEND_NAMES,
            depth=depth,
            progress=progress,
        )

    kernel = _run_bounded(work, timeout, quiet=quiet, or_else=", or ask for less by --degree or --tol")
    folder = kernel.write(out, force=force)
    if not quiet:
        _print_report(kernel.certificate)
        click.echo(f"\nwritten: {folder}")
    return DONE


@command_line.command("report")
@click.argument("name")
@click.option("--format", "format_", type=click.Choice(report.FORMATS), default="text", show_default=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE instead; html on a terminal goes to report.html beside the module.",
)
@click.option("--open", "open_", is_flag=True, help="Write the HTML report and show it in the browser.")
@out_option
def report_command(name: str, format_: str, output: Path | None, open_: bool, out: Path) -> int:
    """Show the truncation error report of the compiled kernel NAME: as text, as JSON or as a page."""
    certificate = load_certificate(out, name)
    if open_ or format_ == "html":
        _report_page(certificate, name, output, out, open_=open_)
    elif output is not None:
        text = certificate_text(out, name) if format_ == "json" else report.render(certificate)
        click.echo(f"written: {write_file(output, text)}")
    elif format_ == "json":
        click.echo(certificate_text(out, name), nl=False)
    else:
        try:
            _print_report(certificate)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The certificate is a file that anyone may have changed.
            raise InputError(
                f"the certificate of {name} in {out} is not as kernelc wrote it ({type(error).__name__}: {error}); "
                f"compile {name} again"
            ) from error
    return DONE


def _report_page(certificate: Mapping[str, Any], name: str, output: Path | None, out: Path, *, open_: bool) -> None:
    """The page to a pipe as it is; nobody reads HTML on a terminal, so there it becomes a file."""
    text = _run_bounded(lambda _: load_pipeline().page_of(certificate, out / name), DEFAULT_TIMEOUT_SECONDS, quiet=True)
    if output is None and not open_ and not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    path = write_file(output, text) if output is not None else write_page(out, name, text)
    click.echo(f"written: {path}")
    if open_ and click.launch(path.resolve().as_uri()) != 0:
        click.echo("no browser could be started; open the file by hand", err=True)


@command_line.command("plan")
@click.argument("name")
@click.option("--dim", type=int, required=True, help="Columns of the inputs.")
@click.option("--features", type=int, help="How many features.")
@click.option("--epsilon", type=float, help="The relative error that chooses how many.")
@click.option("--kernel", type=click.Choice(["ntk", "nngp"]), default="ntk", show_default=True)
@click.option("--depth", type=int, default=1, show_default=True, help="Hidden layers.")
@click.option(
    "--sketch",
    type=click.Choice(["auto", "zonal", "polysketch", "tensorsketch"]),
    default="auto",
    show_default=True,
    help="Kind of random features.",
)
@click.option("--pairs", type=click.Choice(["unknown", "isotropic"]), default="unknown", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@out_option
def plan_command(
    name: str,
    dim: int,
    features: int | None,
    epsilon: float | None,
    kernel: str,
    depth: int,
    sketch: str,
    pairs: str,
    seed: int,
    as_json: bool,
    out: Path,
) -> int:
    """Plan random features of the compiled kernel NAME: which sketch, which degrees, and the error to expect."""
    if (features is None) == (epsilon is None):
        raise InputError("give either --features M or --epsilon E: the number of features, or the error to reach")
    module = _load_module(out, name)
    try:
        plan = module.plan(
            dim,
            features=features,
            epsilon=epsilon,
            kernel=kernel,
            depth=depth,
            sketch=sketch,
            pairs=pairs,
            seed=seed,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    click.echo(plan.json() if as_json else str(plan), nl=not as_json)
    return DONE


def _load_module(out: Path, name: str) -> Any:
    """The compiled package out/name, imported from its folder."""
    certificate_text(out, name)
    folder = (out / name).resolve()
    spec = importlib.util.spec_from_file_location(
        f"_kernelc_planned_{name}", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None or not (folder / "_plan.py").is_file():
        raise InputError(f"{folder} has no planner; compile {name} again")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@command_line.command("check")
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@click.option("--deep", is_flag=True, help="Also compare with two-dimensional quadrature at sampled rho (slow).")
@out_option
@timeout_option
@quiet_option
def check_command(names: tuple[str, ...], deep: bool, out: Path, timeout: float, quiet: bool) -> int:
    """Re-derive the named kernels (all by default) and compare with what lies on disk; exit 1 where it differs."""
    chosen = tuple(dict.fromkeys(names)) or _all_folders(out)
    for name in names:
        certificate_text(out, name)
    failed = False
    for name in chosen:
        outcome = _run_bounded(_check_work(name, out, deep), timeout, quiet=quiet)
        failed = failed or not outcome.ok
        if not outcome.ok:
            click.echo(f"error: {name}: {one_line('; '.join(outcome.messages) or 'differs')}", err=True)
        elif not quiet:
            click.echo(f"{name}: ok" + "".join(f"; {one_line(message)}" for message in outcome.messages))
    if not chosen and not quiet:
        click.echo(f"nothing to check in {out}")
    return CHECK_FAILED if failed else DONE


@command_line.command("list")
@out_option
def list_command(out: Path) -> int:
    """List the gallery (every built-in activation) and what is compiled in the output folder."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is not a folder")
    compiled = compiled_names(out)
    width = max(map(len, GALLERY))
    click.echo(f"Gallery, * = compiled in {out}:")
    for entry in GALLERY.values():
        mark = "*" if entry.name in compiled else " "
        defaults = ", ".join(f"{key}={value}" for key, value in entry.parameters)
        formula = entry.formula + (f"   [{defaults}]" if defaults else "")
        click.echo(f" {mark} {entry.name:{width}}  {formula}   {entry.description} ({entry.source})")
    others = [name for name in compiled if name not in GALLERY]
    if others:
        click.echo(f"Also compiled in {out}:")
        for name in others:
            click.echo(f" * {name:{width}}  {_formula_of(out, name)}")
    return DONE


@command_line.command("gallery")
@click.option("--force", is_flag=True, help="Also replace folders that kernelc did not generate.")
@out_option
@timeout_option
@quiet_option
def gallery_command(force: bool, out: Path, timeout: float, quiet: bool) -> int:
    """Compile, or compile again, every built-in activation at its default parameters."""
    for name in GALLERY:
        check_target(out, name, force)
    for index, name in enumerate(GALLERY):
        share = (index / len(GALLERY), (index + 1) / len(GALLERY))
        kernel = _run_bounded(_gallery_work(name, share), timeout, quiet=quiet)
        folder = kernel.write(out, force=force)
        if not quiet:
            click.echo(f"{folder}: {one_line(str(kernel.certificate.get('status', '')))}")
    return DONE


def _meant(
    expression: str | None, dual: str | None, parameters: Mapping[str, str]
) -> tuple[str | None, str | None, dict[str, str]]:
    """The activation or the dual kernel that is meant (the other is None), and the parameters."""
    if expression is None:
        return None, dual, dict(parameters)
    formula, values = resolve(expression, parameters)
    entry = GALLERY.get(expression.strip())
    return (None, formula, values) if entry is not None and entry.dual else (formula, None, values)


def _gallery_work(name: str, share: tuple[float, float]) -> Callable[[Progress], CompiledKernel]:
    formula, given, parameters = _meant(name, None, {})

    def work(progress: Progress) -> CompiledKernel:
        return load_pipeline().compile_activation(
            formula,
            name=name,
            dual=given,
            parameters=parameters,
            variance="1",
            degree=None,
            tol=None,
            precision=None,
            norms=_DEFAULT_NORMS,
            backends=BACKEND_NAMES,
            depth=1,
            progress=PartialProgress(progress, name, *share),
        )

    return work


def _check_work(name: str, out: Path, deep: bool) -> Callable[[Progress], CheckOutcome]:
    def work(progress: Progress) -> CheckOutcome:
        return load_pipeline().check(name, out, deep, progress)

    return work


def _run_bounded(work: Callable[[Progress], _Result], seconds: float, *, quiet: bool, or_else: str = "") -> _Result:
    """Do `work` with a progress display and within `seconds`; the display is gone however it ends.

    `or_else`: what a message about the time proposes besides more of it.
    """
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise InputError("--timeout takes a number of seconds >= 0; 0 means no limit")
    progress = for_terminal(quiet=quiet)
    try:
        with time_limit(seconds):
            return work(progress)
    except TimeLimitReached:
        raise InputError(f"not done within {seconds:g} s; allow more by --timeout{or_else}") from None
    finally:
        progress.close()


def _parameters(params: Sequence[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for text in params:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not key.isidentifier() or not equals or not value:
            raise InputError(f"--param takes NAME=VALUE, such as A=1.5, not {text!r}")
        if key in parameters:
            raise InputError(f"--param {key} is given twice")
        parameters[key] = value
    return parameters


def _all_folders(out: Path) -> tuple[str, ...]:
    """Every folder of `out` that could be a kernel: one without its certificate is a failed check, not skipped."""
    if not out.is_dir():
        raise InputError(f"there is no folder {out}; kernelc compile makes it")
    names = sorted(entry.name for entry in out.iterdir() if entry.is_dir())
    return tuple(name for name in names if name.isidentifier() and not name.startswith("__"))


def _formula_of(out: Path, name: str) -> str:
    try:
        return one_line(str(load_certificate(out, name).get("expression", "?")))
    except InputError as error:
        return one_line(str(error))


def _print_report(certificate: Mapping[str, Any]) -> None:
    """In colours and at the terminal's width on a terminal, plain and 100 columns wide elsewhere."""
    if sys.stdout.isatty():
        Console(highlight=False).print(report.renderable(certificate))
    else:
        click.echo(report.render(certificate), nl=False)
