"""Elementary functions: what a person may type, and what the compiler knows of each."""

from __future__ import annotations

from kernelc.functions.analytic import ANALYTIC_FUNCTIONS
from kernelc.functions.record import AnalyticFunction, ParserEntry
from kernelc.functions.syntax import PARSER_ENTRIES

BY_HEAD: dict[type, AnalyticFunction] = {f.head: f for f in ANALYTIC_FUNCTIONS}

__all__ = ["ANALYTIC_FUNCTIONS", "BY_HEAD", "PARSER_ENTRIES", "AnalyticFunction", "ParserEntry"]
