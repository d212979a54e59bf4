"""`python -m kernelc`, and what the console command `kernelc` starts.

Next to nothing is imported here: an interrupt while the rest loads must end in one line too.
"""

from __future__ import annotations

import _thread
import importlib
import os
import signal
import sys
from types import TracebackType
from typing import Protocol

from kernelc.deadline import TimeLimitReached

__all__ = ["main"]

_INTERRUPTED = 130
#: Read by the BLAS when NumPy loads. A compile multiplies small matrices: threads over each gain nothing alone, and
#: two commands at once wait for one another's threads (50 s where one thread each takes 20).
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


class _Unraisable(Protocol):
    """What Python says of an exception in a place that cannot pass it on: a finalizer, a callback of C code."""

    exc_type: type[BaseException]
    exc_value: BaseException | None
    exc_traceback: TracebackType | None
    err_msg: str | None
    object: object


def _again(unraisable: _Unraisable) -> None:
    """An interrupt that came where it could not be raised comes once more, a time limit does so by itself."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _thread.interrupt_main()
    elif not issubclass(unraisable.exc_type, TimeLimitReached):
        sys.__unraisablehook__(unraisable)


def main() -> int:
    """Run `kernelc` on the process's arguments and return the exit status; from then on the process only ends."""
    try:
        sys.unraisablehook = _again
        for variable in _BLAS_THREADS:
            os.environ.setdefault(variable, "1")
        status = int(importlib.import_module("kernelc.cli").main())
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        status = _INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return status


if __name__ == "__main__":
    sys.exit(main())
