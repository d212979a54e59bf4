"""A real headless browser: what a page says to its console, what it asks the network for, and its picture."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 90
_NO_ORIGIN = "not an origin"


def chromium() -> str | None:
    """Where Chromium is, None where it is not installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(frozen=True)
class Visit:
    """What came of opening a page."""

    dom: str
    console: tuple[str, ...]
    requests: tuple[str, ...]


def visit(page: Path, folder: Path, *options: str) -> Visit:
    """Open a file; `folder` takes the browser's own files."""
    log = folder / "network.json"
    shown = _run(page, folder, "--dump-dom", "--enable-logging=stderr", f"--log-net-log={log}", *options)
    console = tuple(line for line in shown.stderr.splitlines() if ":CONSOLE" in line)
    return Visit(shown.stdout, console, _requests(json.loads(log.read_text(encoding="utf-8"))))


def picture(page: Path, folder: Path, target: Path, *options: str) -> None:
    """Write the page's picture, PNG, or PDF where `target` says so."""
    kind = "--print-to-pdf" if target.suffix == ".pdf" else "--screenshot"
    _run(page, folder, f"{kind}={target}", "--hide-scrollbars", *options)


def _run(page: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = chromium()
    assert program is not None
    # Root may not use the sandbox, and an image builder's /dev/shm is small.
    always = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"]
    # Its own questions, for the time and for hints, are not the page's.
    quiet += ["--disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,Translate"]
    quiet += ["--disable-domain-reliability", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command = [program, *always, *quiet, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)


def _requests(log: dict[str, Any]) -> tuple[str, ...]:
    """Every URL that the page asked for, from the browser's own log of its network stack."""
    urls: list[str] = []
    events: Sequence[dict[str, Any]] = log["events"]
    for event in events:
        parameters = event.get("params", {})
        url = parameters.get("url")
        # What a page asks for has an origin (of a file: an opaque one); what the browser asks for itself has none.
        if isinstance(url, str) and parameters.get("initiator", _NO_ORIGIN) != _NO_ORIGIN:
            urls.append(url)
    return tuple(dict.fromkeys(urls))
