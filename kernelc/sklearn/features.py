"""Random features of a neural kernel as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from kernelc.kernel import Kernel
from kernelc.loading import Source
from kernelc.sklearn.cloning import KeepsModules
from kernelc.sklearn.rows import is_zero, scaled, scales_rows, source_for

_MOST_SEED = 2**31 - 1
_MOST_SKETCHES = 4


class NeuralKernelFeatures(KeepsModules, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features whose inner products approximate the NTK or NNGP of a network with any activation.

    A linear model on them is the kernel machine of the infinitely wide network, in time linear in the rows.

    Parameters:
        activation: a formula ("t*sigmoid(t)"), a gallery name ("gelu"), a `kernelc.compile` result, or a compiled
            package. Formulas are compiled at the first fit, once a process.
        kernel: "ntk" or "nngp". depth: hidden layers, >= 1.
        n_components: features of the result. The relative error falls like 1 / sqrt(n_components).
        sketch: "auto", or one of the module's sketches by name.
        normalize: "auto": rows as they are where the activation is homogeneous (ReLU and its relatives: every norm
            has its kernel), else scaled to the norm the kernel is compiled at, so that directions are compared.
            True or False: always or never scaled. Zero rows have no direction: scaled, their features are 0.
        parameters: values of the formula's parameters, such as {"A": "1/5"}.
        random_state: int, RandomState or None; the same int gives the same features.

    It computes with NumPy arrays and SciPy CSR matrices; arrays of other libraries are not dispatched on (the tag
    array_api_support is False), and NumPy's stay right where scikit-learn's array_api_dispatch is on.

    Attributes:
        n_features_in_, feature_names_in_: as scikit-learn defines them.
        source_: the compiled package. seed_: of the features.
    """

    def __init__(
        self,
        activation: str | Kernel | ModuleType = "relu",
        *,
        kernel: str = "ntk",
        depth: int = 1,
        n_components: int = 1024,
        sketch: str = "auto",
        normalize: str | bool = "auto",
        parameters: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.activation = activation
        self.kernel = kernel
        self.depth = depth
        self.n_components = n_components
        self.sketch = sketch
        self.normalize = normalize
        self.parameters = parameters
        self.random_state = random_state

    def fit(self, X: Any, y: object = None) -> Self:
        """Plan the features for rows such as those of X (n, d), dense or sparse; only d matters.

        Raises:
            ValueError: X is not such a matrix, or naming the parameter that is wrong.
        """
        validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32])
        self.seed_ = int(check_random_state(self.random_state).randint(_MOST_SEED))
        self.source_ = source_for(self.activation, self.parameters, self.depth, self.normalize)
        self._scales = scales_rows(self.source_.module(), self.normalize)
        sketch = self._sketch()
        self._n_features_out = sketch.transform(_probe(self.source_.module(), self.n_features_in_)).shape[1]
        return self

    def transform(self, X: Any) -> Any:
        """The features of each row of X (n, d): (n, n_components), float32 for float32, else float64.

        Raises:
            ValueError: X has other columns than in fit, or a norm that the kernel does not serve.
        """
        check_is_fitted(self, "source_")
        rows = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        if not self._scales:
            return self._sketch().transform(rows)
        zero = is_zero(rows)
        if not zero.any():
            return self._sketch().transform(scaled(self.source_.module(), rows))
        result = np.zeros((rows.shape[0], self._n_features_out), rows.dtype)
        if not zero.all():
            result[~zero] = self._sketch().transform(scaled(self.source_.module(), rows[~zero]))
        return result

    def _sketch(self) -> Any:
        return _sketch(
            self.source_, self.n_features_in_, self.kernel, self.depth, self.n_components, self.seed_, self.sketch
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@lru_cache(maxsize=_MOST_SKETCHES)
def _sketch(source: Source, columns: int, kernel: str, depth: int, features: int, seed: int, sketch: str) -> Any:
    """The fitted sketch; it is not kept in the estimator, so that a pickle needs no module of this process."""
    module = source.module()
    made = module.Sketch(kernel=kernel, depth=depth, features=features, seed=seed, sketch=sketch)
    return made.fit(_probe(module, columns))


def _probe(module: ModuleType, columns: int) -> Any:
    """One row at the compiled norm."""
    row = np.zeros((1, columns))
    row[0, 0] = 1.0
    return scaled(module, row)
