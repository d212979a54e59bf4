"""The name of an activation: a Python identifier that can be a folder anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from kernelc.errors import InputError
from kernelc.parse import check_name, parse_activation


@pytest.mark.parametrize("name", ["gelu", "my_silu", "A", "t2", "Relu6", "match", "con_", "com", "com10", "a" * 64])
def test_accepted(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a-b",
        "2a",
        "a.b",
        "../evil",
        "a/b",
        "a\\b",
        "/etc",
        "~",
        ".",
        "..",
        "a\n",
        "a\x00",
        "class",
        "None",
        "lambda",
        "_private",
        "__init__",
        "__pycache__",
        "_",
        "con",
        "NUL",
        "Com1",
        "lpt9",
        "a" * 65,
        "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n",
        "\N{MATHEMATICAL ITALIC SMALL A}",
        "\N{FULLWIDTH LATIN SMALL LETTER A}",
        "a\N{SUPERSCRIPT TWO}",
        None,
        3,
        b"a",
    ],
)
def test_refused(name: Any) -> None:
    with pytest.raises(InputError) as caught:
        check_name(name)
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


def test_the_parser_checks_the_name() -> None:
    with pytest.raises(InputError, match="name"):
        parse_activation("t", name="../evil")
