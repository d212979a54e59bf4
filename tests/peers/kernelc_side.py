"""kernelc's emitted modules, measured: `python -m tests.peers.kernelc_side`. Imports nothing of kernelc itself."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from tests.peers.worker import serve


class Emitted:
    """The module in the folder that the request names."""

    def prepare(self, request: dict[str, Any]) -> None:
        """Import it."""
        if request["folder"] not in sys.path:
            sys.path.insert(0, request["folder"])
        self._module = importlib.import_module(request["name"])
        self._network = {"depth": request["depth"], "w_std": request["w_std"]}

    def matrix(self, kernel: str, x1: np.ndarray, x2: np.ndarray | None) -> np.ndarray:
        """Of x1 with itself where x2 is None."""
        result: np.ndarray = getattr(self._module, kernel)(x1, x2, **self._network)
        return result


if __name__ == "__main__":
    serve(Emitted())
