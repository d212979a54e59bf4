"""Kernels and certificates in a notebook."""

from __future__ import annotations

import json

from kernelc.kernel import Certificate
from kernelc.report import card, formula_latex
from tests.report import samples


def test_a_certificate_shows_its_formula_its_errors_and_stays_data() -> None:
    certificate = Certificate(samples.certificate())
    shown = certificate._repr_html_()
    assert "t*sigmoid(t)" in shown
    assert "certified" in shown
    assert "1.24e-7" in shown
    assert json.loads(json.dumps(certificate)) == samples.certificate()


def test_latex_has_its_left_side() -> None:
    assert formula_latex({"latex": "t^2"}) == r"\sigma(t) = t^2"
    assert formula_latex({"latex": r"\rho", "dual_kernel": {"variables": ["rho"]}}) == r"k(\rho) = \rho"
    assert formula_latex({"latex": "x", "dual_kernel": {"variables": ["q11"]}}) == "T(q_{11}, q_{12}, q_{22}) = x"
    assert Certificate({"latex": "t"})._repr_latex_() == r"$\sigma(t) = t$"
    assert Certificate({})._repr_latex_() is None


def test_a_strangers_certificate_is_escaped() -> None:
    certificate = samples.certificate() | {"name": "<img src=x>", "expression": "<script>", "parity": "<b>"}
    shown = card(certificate)
    assert "<img" not in shown
    assert "<script" not in shown
    assert "<b>&lt;img" in shown
