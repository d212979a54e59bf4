"""Run a notebook from the top, and bring it to the form in which it is committed.

python -m tests.notebooks.running NOTEBOOK ...    runs the named notebooks and writes them back with their outputs
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

_SECONDS = 300
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(notebook: Any) -> Any:
    """The notebook with the outputs of a run in an empty folder.

    Raises:
        CellExecutionError: a cell raises.
    """
    # The front end's event loop and the kernel's ports are Jupyter's own affair.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = NotebookClient(
            notebook,
            timeout=_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONHASHSEED": "0"}
        return asyncio.run(client.async_execute(env=environment))


def normalised(notebook: Any) -> Any:
    """Without what differs from run to run: times, ids by chance, versions of the machine's Python."""
    notebook.metadata = nbformat.from_dict(_METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [_plain(output) for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def _plain(output: Any) -> Any:
    if "metadata" in output:
        output["metadata"] = nbformat.from_dict({})
    if "image/png" in output.get("data", {}):
        # a picture says more than the address of the object that drew it
        output["data"]["text/plain"] = "<Figure>"
    return output


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        nbformat.write(normalised(executed(nbformat.read(path, as_version=4))), path)
