"""`python -m tests.composition.every_depth`: bound against true error of composed kernels at every depth up to 10.

The truth is mpmath's, layer by layer; takes some minutes. Exit status 1 where a bound is below the true error or,
at rho = 1, more than 1.01 of it.
"""

from __future__ import annotations

import sys

import mpmath
from mpmath import mpf

from tests.composition.layers import ACTIVATIONS, network
from tests.composition.test_network import layers_of, statement_of

_RHOS = {"-1": None, "-0.99": "0.99", "-0.5": "0.5", "0.5": "0.5", "0.9": "0.9", "0.99": "0.99", "1": None}


def _ratios(name: str) -> tuple[float, float, int]:
    """(the largest true error / bound, the largest bound / true error at rho = 1, statements looked at)."""
    activation = ACTIVATIONS[name]
    depth = 4 if name == "half_exponential" else 10
    layers, _ = layers_of(activation.formula, depth, activation.degree)
    over, loose, count = mpf(0), mpf(0), 0
    for number in range(1, depth + 1):
        statement, _ = statement_of(layers[:number], activation.degree)
        for text, key in _RHOS.items():
            rho = mpf(text)
            for kernel, true in zip(("nngp", "ntk"), network(activation.layer, number, rho), strict=True):
                facts = statement[kernel]
                if true is None:
                    continue
                series = mpmath.fsum(mpf(c) * rho**k for k, c in enumerate(facts["coefficients"]))
                truncation = facts["truncation_bound"] if key is None else facts["truncation_bound_at"][key]
                bound = mpf(truncation) + mpf(facts["literal_rounding_bound"])
                over = max(over, abs(true - series) / bound)
                if text == "1":
                    loose = max(loose, bound / abs(true - series))
                count += 1
    return float(over), float(loose), count


def main() -> int:
    """Print one line an activation."""
    failed = False
    for name in ACTIVATIONS:
        with mpmath.workdps(24 if name == "hard_tanh" else 50):
            over, loose, count = _ratios(name)
        failed = failed or over > 1 or loose > 1.01
        print(f"{name:18} {count:4} bounds; error / bound at most {over:.6f}; bound / error at rho = 1 {loose:.6f}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
