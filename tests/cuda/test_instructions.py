"""What keeps the elementwise stage near the memory's speed, as far as it can be told without a GPU."""

from __future__ import annotations

import pytest

from tests.cuda.instructions import ISSUED, per_pair, tangent_of_one_layer


@pytest.mark.parametrize("name", ["gelu", "relu", "tanh"])
def test_instructions_take_less_than_the_memory(name: str) -> None:
    """A quarter is left for the mirror image, the tile's own arithmetic and waits."""
    assert per_pair(name, tangent_of_one_layer(name)) < 0.75 * ISSUED
