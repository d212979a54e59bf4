"""The loop of one measured process: requests as JSON lines on stdin, answers on stdout. NumPy alone."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Side(Protocol):
    """One of the two libraries."""

    def prepare(self, request: dict[str, Any]) -> None:
        """Get ready for a case: load, trace, compile."""

    def matrix(self, kernel: str, x1: np.ndarray, x2: np.ndarray | None) -> np.ndarray:
        """The kernel matrix, complete and in memory when it returns."""


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def measured(call: Callable[[], np.ndarray]) -> dict[str, float]:
    """Wall time of one call, and by how much it raised the resident memory at its peak, in results' sizes."""
    ctypes.CDLL(None).malloc_trim(0)  # what the allocator kept of earlier calls is not held by this one
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "matrices": max(0.0, (_status("VmHWM") - before) / result.nbytes)}


def rows(request: dict[str, Any]) -> np.ndarray:
    """Seeded rows, their norms evenly spread over the radii asked for."""
    x = np.random.default_rng(1).standard_normal((request["rows"], request["columns"]))
    low, high = request["radii"]
    x *= (np.linspace(low, high, request["rows"]) / np.linalg.norm(x, axis=1))[:, None]
    return x.astype(request["dtype"])


def serve(side: Side) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    x = np.empty((0, 0))
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if request["do"] == "prepare":
            side.prepare(request)
            x = rows(request)
            side.matrix("ntk", x, None)
        elif request["do"] == "time":
            answer = measured(partial(side.matrix, "ntk", x, None))
        else:
            side.prepare(request)
            first, second = (np.array(request[key], dtype=request["dtype"]) for key in ("x1", "x2"))
            for kernel in ("nngp", "ntk"):
                answer[kernel] = side.matrix(kernel, first, second)[0].astype(np.float64).tolist()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
