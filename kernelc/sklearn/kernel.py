"""The exact kernel, for Gaussian processes, support vector machines and kernel ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

import kernelc.kernel
from kernelc.errors import InputError
from kernelc.sklearn.cloning import KeepsModules
from kernelc.sklearn.gradients import difference, exponent, homogeneous_nngp
from kernelc.sklearn.rows import scaled, scales_rows, source_for

Matrix = NDArray[np.floating[Any]]

_DIAGONAL_ROWS = 32


class NeuralKernel(KeepsModules, Kernel):  # type: ignore[misc]
    """NTK or NNGP of a network with any activation, as a scikit-learn kernel.

    It goes into `GaussianProcessRegressor(kernel=...)`, alone or in sums and products, into `SVC(kernel=...)` and
    `KernelRidge(kernel=...)`, and `NeuralKernel(...)(X)` is the matrix that kernel="precomputed" takes.

    Parameters:
        activation: a formula ("t*sigmoid(t)"), a gallery name ("gelu"), a `kernelc.compile` result, or a compiled
            package. kernel: "ntk" or "nngp". depth: hidden layers, >= 1.
        w_std, b_std: standard deviations of weights (> 0) and biases (>= 0). w_std_bounds, b_std_bounds: a pair for
            the search of hyper-parameters, or "fixed"; b_std = 0 is always fixed.
        normalize: "auto": rows as they are where the activation is homogeneous, else scaled to the norm at which
            the kernel is compiled. True or False: always or never.
        parameters: values of the formula's parameters, such as {"A": "1/5"}.
    """

    def __init__(
        self,
        activation: str | kernelc.kernel.Kernel | ModuleType = "relu",
        *,
        kernel: str = "ntk",
        depth: int = 1,
        w_std: float = 1.0,
        b_std: float = 0.0,
        w_std_bounds: tuple[float, float] | str = (1e-2, 1e2),
        b_std_bounds: tuple[float, float] | str = "fixed",
        normalize: str | bool = "auto",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.activation = activation
        self.kernel = kernel
        self.depth = depth
        self.w_std = w_std
        self.b_std = b_std
        self.w_std_bounds = w_std_bounds
        self.b_std_bounds = b_std_bounds
        self.normalize = normalize
        self.parameters = parameters

    @property
    def hyperparameter_w_std(self) -> Hyperparameter:
        """The weights' standard deviation."""
        return Hyperparameter("w_std", "numeric", self.w_std_bounds)

    @property
    def hyperparameter_b_std(self) -> Hyperparameter:
        """The biases' standard deviation; fixed where it is 0, whose logarithm is not searched."""
        return Hyperparameter("b_std", "numeric", self.b_std_bounds if self.b_std > 0 else "fixed")

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """The kernel of X (n1, d) with Y (n2, d) or with itself: (n1, n2); of two single rows (d,): one number.

        With `eval_gradient` also its derivative by theta = (log w_std, log b_std), those not fixed: (n1, n1, k).
        It is exact (to rounding) for the NNGP of a homogeneous activation, for w_std without bias, and for w_std of
        one hidden layer whose rows are scaled; else by differences of sixth order, whose relative error was at most
        1e-9 where it was compared (measured, not proved), and which warn where their two orders differ by more
        than 1e-6.

        Raises:
            ValueError: X or Y is no such matrix, has a norm that the kernel does not serve, or Y is given with
                `eval_gradient`.
        """
        if np.ndim(X) == 1:
            return self._matrix(np.atleast_2d(X), np.atleast_2d(X if Y is None else Y), self.w_std, self.b_std)[0, 0]
        if Y is not None and eval_gradient:
            raise ValueError("Gradient can only be evaluated when Y is None.")
        matrix = self._matrix(X, Y, self.w_std, self.b_std)
        return (matrix, self._gradient(X, matrix)) if eval_gradient else matrix

    def diag(self, X: Any) -> Any:
        """The kernel of each row of X (n, d) with itself, (n,)."""
        rows = np.asarray(X)
        blocks = [rows[start : start + _DIAGONAL_ROWS] for start in range(0, len(rows), _DIAGONAL_ROWS)]
        return np.concatenate([np.diagonal(self._matrix(block, None, self.w_std, self.b_std)) for block in blocks])

    def is_stationary(self) -> bool:
        """False: it is a function of more than X - Y."""
        return False

    def __repr__(self) -> str:
        name = self.activation if isinstance(self.activation, str) else _name_of(self.activation)
        return (
            f"NeuralKernel({name!r}, kernel={self.kernel!r}, depth={self.depth}, "
            f"w_std={self.w_std:.3g}, b_std={self.b_std:.3g})"
        )

    def _module(self) -> ModuleType:
        return source_for(self.activation, self.parameters, self.depth, self.normalize).module()

    def _matrix(self, first: Any, second: Any, w_std: float, b_std: float) -> Matrix:
        module = self._module()
        if self.kernel not in ("ntk", "nngp"):
            raise InputError(f"kernel: expected 'ntk' or 'nngp', got {self.kernel!r}")
        function: Callable[..., Matrix] = getattr(module, self.kernel)
        if scales_rows(module, self.normalize):
            first = scaled(module, np.asarray(first, dtype=float), w_std, b_std)
            second = None if second is None else scaled(module, np.asarray(second, dtype=float), w_std, b_std)
        return function(first, second, depth=self.depth, w_std=w_std, b_std=b_std)

    def _gradient(self, rows: Any, matrix: Matrix) -> Matrix:
        free = [hyperparameter.name for hyperparameter in self.hyperparameters if not hyperparameter.fixed]
        exact = self._exact_gradient(rows, matrix) if free else {}
        columns = [exact[name] if name in exact else self._difference(rows, name) for name in free]
        return np.stack(columns, axis=-1) if columns else np.empty((*matrix.shape, 0))

    def _exact_gradient(self, rows: Any, matrix: Matrix) -> dict[str, Matrix]:
        """The derivatives that need no differences, by name."""
        module = self._module()
        certificate = module.CERTIFICATE
        if scales_rows(module, self.normalize):
            # rows are scaled as w_std changes, so that the first layer's covariances do not: K = w^2 (...) + b^2
            return {"w_std": 2.0 * (matrix - self.b_std**2)} if self.depth == 1 and np.all(np.any(rows, axis=1)) else {}
        if certificate["homogeneous_degree"] is None:
            return {}
        if self.b_std == 0.0:
            return {"w_std": exponent(module, self.depth) * matrix}
        if self.kernel == "nngp" and "refused" not in certificate["kappa_dot"]:
            by_weight, by_bias = homogeneous_nngp(module, rows, self.depth, self.w_std, self.b_std)
            return {"w_std": by_weight, "b_std": by_bias}
        return {}

    def _difference(self, rows: Any, name: str) -> Matrix:
        """The derivative by log w_std or log b_std."""

        def at(step: float) -> Matrix:
            factor = float(np.exp(step))
            w_std, b_std = (factor * self.w_std, self.b_std) if name == "w_std" else (self.w_std, factor * self.b_std)
            return self._matrix(rows, None, w_std, b_std)

        return difference(at)


def _name_of(activation: kernelc.kernel.Kernel | ModuleType) -> str:
    return activation.__name__ if isinstance(activation, ModuleType) else activation.name
