"""Every error kernelc raises on purpose, split by who has to act.

`InputError` and its children blame the input and say what would be accepted;
`CertificationError` blames kernelc itself: two roads to one number disagree.
"""

from __future__ import annotations


class KernelcError(Exception):
    """Base of every error that kernelc raises on purpose."""


class InputError(KernelcError, ValueError):
    """The text, a name or an option is not something kernelc accepts.

    `column` is the 1-based column of the offending text in the formula, where one is known.
    """

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message if column is None else f"column {column}: {message}")
        self.column = column


class NotSquareIntegrableError(InputError):
    """sigma(sZ) is not square integrable (or could not be shown to be), so no dual kernel exists."""


class UnsupportedError(InputError):
    """The request is well formed, but lies outside what kernelc can do, with the reason."""


class CertificationError(KernelcError):
    """Two independent derivations disagree: nothing is emitted. This is a defect of kernelc."""
