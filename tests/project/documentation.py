"""Build the API's pages from the docstrings: python -W error -m tests.project.documentation FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import pdoc

import kernelc

MODULES = (
    "kernelc",
    "kernelc.dask",
    "kernelc.errors",
    "kernelc.gallery",
    "kernelc.kernel",
    "kernelc.loading",
    "kernelc.model",
    "kernelc.pipeline",
    "kernelc.program",
    "kernelc.report",
    "kernelc.sklearn",
    "kernelc.writer",
)


def build(folder: Path) -> None:
    """Write one HTML page a module; a warning of the generator is an error where Python is told so by -W error."""
    for name in kernelc.__all__:
        # What is imported on first use is not in the module before.
        vars(kernelc)[name] = getattr(kernelc, name)
    pdoc.render.configure(docformat="google")
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
