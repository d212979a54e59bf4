"""The command line as a process: whatever comes of a command becomes an exit status and at most one line.

Exit status: 0 done, 1 a check failed, 2 refused input, 70 a defect of kernelc, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence

import click

from kernelc.cli.commands import command_line
from kernelc.cli.status import CHECK_FAILED, DONE, INTERNAL_ERROR, INTERRUPTED, REFUSED, one_line
from kernelc.errors import CertificationError, KernelcError


def _fail(message: str, status: int) -> int:
    click.echo(f"error: {one_line(message)}", err=True)
    return status


def _internal_error(error: Exception) -> int:
    if os.environ.get("KERNELC_TRACEBACK") == "1":
        traceback.print_exception(error)
    return _fail(
        f"internal error: {type(error).__name__}: {error} -- this is a defect of kernelc, not of your input; please "
        "report it with the command and what it prints under KERNELC_TRACEBACK=1",
        INTERNAL_ERROR,
    )


def _invoke(arguments: list[str]) -> int:
    try:
        with command_line.make_context("kernelc", arguments) as context:
            result = command_line.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    sys.stdout.flush()
    return result if isinstance(result, int) else DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kernelc` on `arguments` (default: the process's own) and return the exit status; never raises."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    # Where it cannot keep a cache, what draws the report would say so in the middle of the output.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    try:
        return _invoke(list(sys.argv[1:] if arguments is None else arguments))
    except click.ClickException as error:
        return _fail(error.format_message(), REFUSED)
    except CertificationError as error:
        return _fail(str(error), CHECK_FAILED)
    except KernelcError as error:
        return _fail(str(error), REFUSED)
    except BrokenPipeError:
        # The reader has gone: say nothing more, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; the output folder holds no half-written kernel", INTERRUPTED)
    except Exception as error:
        return _internal_error(error)
