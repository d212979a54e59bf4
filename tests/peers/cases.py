"""What is measured side by side: activations by kernelc's name and by the peer's layer. Both sides read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One activation: its committed module, or the `formula` to compile; its entry among the stored references.

    `layer` and `arguments` name the peer's closed form; without one, `numerical` names the function that its
    two-dimensional Gauss-Hermite rule of 25 x 25 nodes is given.
    """

    name: str
    reference: str
    layer: str = "ElementwiseNumerical"
    arguments: dict[str, Any] = field(default_factory=dict)
    formula: str | None = None
    numerical: str | None = None


CASES = (
    Case("relu", "relu", "Relu"),
    Case("leaky_relu", "leaky_relu", "LeakyRelu", {"alpha": 0.01}),
    Case("abrelu", "abrelu", "ABRelu", {"a": -0.25, "b": 1.5}),
    Case("erf", "erf", "Erf"),
    Case("gelu", "gelu", "Gelu"),
    Case("sin", "sin", "Sin", {"c": 0.5}),
    Case("rbf", "rbf", "Rbf"),
    Case("gaussian", "gaussian", "Gaussian", {"a": 1, "b": -1}),
    Case("exp", "exp", "Exp"),
    Case("gabor", "gabor", "Gabor"),
    Case("monomial", "cube", "Monomial", {"degree": 3}),
    Case("polynomial", "polynomial", "Polynomial", {"coef": (1.0, 2.0, -1.0, 1.0 / 3.0)}),
    Case("rectified_monomial_2", "rectified_square", "RectifiedMonomial", {"degree": 2}),
    Case("rectified_monomial_3", "rectified_cube", "RectifiedMonomial", {"degree": 3}),
    Case("tanh", "tanh", numerical="tanh"),
    Case("silu", "silu", numerical="silu"),
    Case("elu", "elu", numerical="elu"),
    Case("hard_tanh", "hard_tanh", formula="Max(-1, Min(1, t))", numerical="hard_tanh"),
)
BY_NAME = {case.name: case for case in CASES}
NUMERICAL_DEGREE = 25
