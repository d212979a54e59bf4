"""Writes neural_tangents.json: NNGP and NTK matrices by neural-tangents 0.6.5, in an environment of its own.

    python3 -m venv ENV && ENV/bin/pip install -r tests/peers/requirements.txt
    ENV/bin/python tests/reference/make_neural_tangents.py

It takes some 3 GB of disk (neural-tangents pulls in tensorflow) and imports nothing of kernelc. Its `Dense` divides by
the fan-in d: W_std = w sqrt(d) in the first layer gives K_0 = w^2 <x, y> + b^2. Every matrix is float64, of rows of
different norms, none of them zero or parallel to another: there it returns NaN for some of these activations.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)

TABLE = Path(__file__).with_name("neural_tangents.json")
DIMENSION = 5
#: kernelc's name, its formula where that is no gallery activation, the peer's layer and its arguments.
LAYERS: tuple[tuple[str, str | None, str, dict[str, Any]], ...] = (
    ("relu", None, "Relu", {}),
    ("abrelu", None, "ABRelu", {"a": -0.25, "b": 1.5}),
    ("erf", None, "Erf", {}),
    ("gelu", None, "Gelu", {}),
    ("sin", None, "Sin", {"c": 0.5}),
    ("cos", "cos(t)", "Cos", {}),
    ("rbf", None, "Rbf", {}),
    ("gaussian", None, "Gaussian", {"a": 1, "b": -1}),
    ("exp", None, "Exp", {}),
    ("gabor", None, "Gabor", {}),
    ("monomial", None, "Monomial", {"degree": 3}),
    ("polynomial", None, "Polynomial", {"coef": (1.0, 2.0, -1.0, 1.0 / 3.0)}),
    ("rectified_monomial_0", None, "RectifiedMonomial", {"degree": 0}),
    ("rectified_monomial_1", None, "RectifiedMonomial", {"degree": 1}),
    ("rectified_monomial_2", None, "RectifiedMonomial", {"degree": 2}),
    ("rectified_monomial_3", None, "RectifiedMonomial", {"degree": 3}),
    ("normalized_gaussian", None, "ExpNormalized", {}),
)
#: (depth, w_std, b_std)
NETWORKS = ((1, 1.0, 0.0), (1, 1.25, 0.5), (3, 1.25, 0.5))
#: No deeper ones: out of the range in which digits can be compared, or NaN there (every rectified monomial).
SHALLOW = frozenset({"exp", "monomial", "polynomial", *(f"rectified_monomial_{k}" for k in range(4))})


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """(5, d) and (4, d) rows, norms from 0.25 to 2.5, dyadic entries: exact in JSON and everywhere."""
    generator = np.random.default_rng(20220906)
    rows = generator.standard_normal((9, DIMENSION))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows *= np.array([0.25, 0.5, 1.0, 1.5, 2.5, 0.3, 1.0, 2.0, 0.75])[:, None]
    rows = np.round(rows * 2**16) / 2**16
    return rows[:5], rows[5:]


def matrices(
    layer: str, arguments: dict[str, Any], depth: int, w_std: float, b_std: float
) -> dict[str, list[list[float]]]:
    """NNGP and NTK of `depth` hidden layers, w_std and b_std in the last layer too, as in kernelc's K_L."""
    first, second = inputs()
    layers: list[Any] = []
    for index in range(depth + 1):
        width = np.sqrt(DIMENSION) if index == 0 else 1.0
        layers.append(stax.Dense(1, W_std=w_std * width, b_std=b_std or None, parameterization="ntk"))
        if index < depth:
            layers.append(getattr(stax, layer)(**arguments))
    kernels = stax.serial(*layers)[2](first, second, ("nngp", "ntk"))
    return {name: np.asarray(getattr(kernels, name), dtype=np.float64).tolist() for name in ("nngp", "ntk")}


def main() -> int:
    """Write the table."""
    first, second = inputs()
    entries = []
    for name, formula, layer, arguments in LAYERS:
        for depth, w_std, b_std in NETWORKS:
            if depth > 1 and name in SHALLOW:
                continue
            found = matrices(layer, arguments, depth, w_std, b_std)
            if not all(np.isfinite(values).all() for values in map(np.array, found.values())):
                raise SystemExit(f"{layer} at depth {depth} is not finite")
            network = {"depth": depth, "w_std": w_std, "b_std": b_std}
            entries.append({"name": name, "formula": formula, "layer": layer, **network, **found})
            print(name, depth, w_std, b_std, flush=True)
    table = {
        "description": "NNGP and NTK by neural_tangents.stax, rows x1 against x2, float64",
        "command": "ENV/bin/python tests/reference/make_neural_tangents.py",
        "versions": {name: version(name) for name in ("neural-tangents", "jax", "jaxlib", "numpy")},
        "x1": first.tolist(),
        "x2": second.tolist(),
        "entries": entries,
    }
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
