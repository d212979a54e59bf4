"""neural-tangents, measured: `ENV/bin/python -m tests.peers.peer_side`, in its own environment, without kernelc."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from neural_tangents import stax

from tests.peers.cases import BY_NAME, NUMERICAL_DEGREE
from tests.peers.worker import serve

jax.config.update("jax_enable_x64", True)
warnings.filterwarnings("ignore")

FUNCTIONS = {
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "hard_tanh": lambda x: jnp.clip(x, -1.0, 1.0),
}


class NeuralTangents:
    """`stax.serial` of dense layers and the activation, jitted once a shape."""

    def prepare(self, request: dict[str, Any]) -> None:
        """Build the network; its Dense divides by the fan-in, which the first W_std takes back."""
        case = BY_NAME[request["name"]]
        layers: list[Any] = []
        for index in range(request["depth"] + 1):
            width = request["columns"] ** 0.5 if index == 0 else 1.0
            layers.append(stax.Dense(1, W_std=request["w_std"] * width, b_std=None, parameterization="ntk"))
            if index < request["depth"]:
                layers.append(self._activation(case.layer, case.arguments, case.numerical))
        kernel_fn = stax.serial(*layers)[2]
        self._jitted = {
            kernel: jax.jit(lambda x1, x2, kernel=kernel: kernel_fn(x1, x2, kernel)) for kernel in ("nngp", "ntk")
        }

    @staticmethod
    def _activation(layer: str, arguments: dict[str, Any], numerical: str | None) -> Any:
        if numerical is None:
            return getattr(stax, layer)(**arguments)
        return stax.ElementwiseNumerical(FUNCTIONS[numerical], deg=NUMERICAL_DEGREE)

    def matrix(self, kernel: str, x1: np.ndarray, x2: np.ndarray | None) -> np.ndarray:
        """Of x1 with itself where x2 is None."""
        return np.asarray(self._jitted[kernel](x1, x2).block_until_ready())


if __name__ == "__main__":
    serve(NeuralTangents())
