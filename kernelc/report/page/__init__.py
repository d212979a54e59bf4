"""The HTML report: one file that needs no network, for people who look and for people who listen."""

from __future__ import annotations

from kernelc.report.page.compose import render

__all__ = ["render"]
