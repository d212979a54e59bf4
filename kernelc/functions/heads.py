"""SymPy heads of our own, where SymPy's derivative has a removable singularity or a Piecewise in it."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.core.function import ArgumentIndexError


class Sinc(sympy.Function):  # type: ignore[misc]
    """sin(x)/x with value 1 at 0: entire, and so is its derivative."""

    @classmethod
    def eval(cls, x: Any) -> Any:
        """Evaluate at the arguments with a simple value (SymPy's hook)."""
        if x.is_zero:
            return sympy.Integer(1)
        if x.could_extract_minus_sign():
            return cls(-x)
        return None

    def fdiff(self, argindex: int = 1) -> Any:
        """The derivative in the argument (SymPy's hook)."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return SincDerivative(self.args[0])

    def _eval_is_real(self) -> Any:
        return self.args[0].is_real

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.sinc(self.args[0])._eval_evalf(prec)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        text = rf"\operatorname{{sinc}}\left({printer._print(self.args[0])}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


class SincDerivative(sympy.Function):  # type: ignore[misc]
    """d/dx sin(x)/x = -(x/3) 0F1(; 5/2; -x^2/4), DLMF 10.49.3 and 10.16.9."""

    @classmethod
    def eval(cls, x: Any) -> Any:
        """Evaluate at the arguments with a simple value (SymPy's hook)."""
        return sympy.Integer(0) if x.is_zero else None

    def fdiff(self, argindex: int = 1) -> Any:
        """The derivative in the argument (SymPy's hook)."""
        # The second derivative follows from x s'' + 2 s' + x s = 0.
        x = self.args[0]
        return -Sinc(x) - 2 * self / x

    def _eval_is_real(self) -> Any:
        return self.args[0].is_real


class LambertW0(sympy.Function):  # type: ignore[misc]
    """The principal branch of Lambert's W, whose derivative exp(-W)/(1 + W) is finite at 0."""

    @classmethod
    def eval(cls, x: Any) -> Any:
        """Evaluate at the arguments with a simple value (SymPy's hook)."""
        if x.is_zero:
            return sympy.Integer(0)
        return sympy.Integer(1) if x == sympy.E else None

    def fdiff(self, argindex: int = 1) -> Any:
        """The derivative in the argument (SymPy's hook)."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return sympy.exp(-self) / (1 + self)

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.LambertW(self.args[0])._eval_evalf(prec)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        text = rf"W\left({printer._print(self.args[0])}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"
