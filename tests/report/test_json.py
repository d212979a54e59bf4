from __future__ import annotations

import json

import pytest

from kernelc.report import render
from tests.report import samples


def test_json_is_the_certificate() -> None:
    assert json.loads(render(samples.certificate(), "json")) == samples.certificate()


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render({"moment": float("nan")}, "json")
