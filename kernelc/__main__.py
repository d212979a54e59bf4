"""`python -m kernelc`, and what the console command `kernelc` starts."""

from __future__ import annotations

import sys

from kernelc.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
