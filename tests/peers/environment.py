"""The peer's environment: made once, in the user's cache folder, from requirements.txt by pip."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def default_folder() -> Path:
    """Where it lies unless said otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kernelc-peers"


def peer_python(folder: Path) -> Path:
    """The environment's interpreter; makes the environment (some 3 GB, some minutes) where it is not there yet."""
    python, made = folder / "bin" / "python", folder / "requirements.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if python.is_file() and made.is_file() and made.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the peer's environment in {folder}: some 3 GB and some minutes", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", REQUIREMENTS], check=True)
    made.write_text(wanted, encoding="utf-8")
    return python
