"""The HTML report: complete, escaped, self-contained, the same bytes each time, and sane to keyboard and ear."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kernelc.gallery import GALLERY
from kernelc.model import ActivationCurve
from kernelc.pipeline import page_of
from kernelc.report import FORMATS, is_page_of, page, render
from kernelc.report.page.charts import Chart, charts
from kernelc.report.page.formulas import mathml
from kernelc.report.page.words import commands, verdict
from kernelc.writer import certificate_text, compiled_names, load_certificate
from tests.report import samples
from tests.report.browser import chromium, picture, visit

GENERATED = Path(__file__).resolve().parents[2] / "generated"
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Outline(HTMLParser):
    """Elements with attributes, headings, ids; complains of elements closed in the wrong order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


@cache
def gallery_page(name: str) -> str:
    return page_of(load_certificate(GENERATED, name), GENERATED / name)


def chart(name: str, key: str) -> Chart:
    return charts(load_certificate(GENERATED, name), None)[key]


@pytest.mark.parametrize("name", ["silu", "elu", "rectified_monomial_0", "hermite_3"])
def test_a_page_is_whole_small_and_asks_for_nothing(name: str) -> None:
    text = gallery_page(name)
    outline = Outline(text)
    assert len(text.encode()) < 2_000_000
    assert not list(outline.all("script"))
    for _, attributes in outline.elements:
        for key in ("src", "href", "xlink:href", "data", "poster", "action"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
    assert "url(h" not in text
    assert "@import" not in text
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in text
    identifiers = Counter(a["id"] for _, a in outline.elements if "id" in a)
    assert max(identifiers.values()) == 1
    assert {a["href"] for a in outline.all("a")} <= {f"#{i}" for i in identifiers}
    for attributes in (a for _, a in outline.elements):
        for key in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(key) or "").split()) <= set(identifiers)


def test_a_page_has_headings_in_order_and_figures_with_words() -> None:
    outline = Outline(gallery_page("silu"))
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    drawings = list(outline.all("svg"))
    assert len(drawings) == 7
    assert all(d["role"] == "img" and d["aria-labelledby"] for d in drawings)
    assert all(cell.get("scope") in {"row", "col"} for cell in outline.all("th"))
    assert next(outline.all("html"))["lang"] == "en"
    assert next(outline.all("a"))["href"] == "#content"
    assert len(list(outline.all("math"))) == 1


def test_the_same_certificate_gives_the_same_bytes_and_names_it() -> None:
    text = gallery_page("silu")
    assert page_of(load_certificate(GENERATED, "silu"), GENERATED / "silu") == text
    assert is_page_of(text.encode(), certificate_text(GENERATED, "silu"))
    assert not is_page_of(text.encode(), certificate_text(GENERATED, "relu"))


def test_everything_of_a_stranger_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    certificate = samples.certificate()

    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poisoned(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poisoned(item) for item in value]
        return value + evil if isinstance(value, str) else value

    text = page(poisoned(certificate) | {"latex": rf"\text{{{evil}}} \href{{javascript:alert(1)}}{{x}}"})
    assert "<script" not in text
    assert "javascript:" not in text.replace("javascript:alert(1)", "", 0) or 'href="javascript' not in text
    Outline(text)
    evil_part = copy.deepcopy(certificate)
    evil_part["kappa"]["coefficients"] = ["<b>", 1.0]
    evil_part["kappa"]["samples"] = {"rho": evil, "value": [1]}
    for key in ("breakpoints", "parameters", "growth", "closed_form", "request", "versions", "mpmath"):
        evil_part[key] = evil
    assert "<script" not in page(evil_part)


@pytest.mark.parametrize("key", sorted(samples.certificate()))
def test_an_absent_key_leaves_a_page_without_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelc.report.page.compose.draw", lambda chart: f"<svg><title>{chart.title}</title></svg>")
    certificate = samples.certificate()
    del certificate[key]
    Outline(page(certificate))


@pytest.mark.parametrize("name", compiled_names(GENERATED))
@pytest.mark.parametrize("format_name", FORMATS)
def test_every_compiled_kernel_has_a_report_in_every_format(
    name: str, format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelc.report.page.compose.draw", lambda chart: f"<svg><title>{chart.title}</title></svg>")
    certificate = load_certificate(GENERATED, name)
    report = render(certificate, format_name)
    assert certificate["name"] in report
    if format_name == "html":
        assert len(list(Outline(report).all("svg"))) >= 2


def test_errors_by_degree_lie_on_their_bound_until_doubles_end() -> None:
    curves = {curve.label: curve for curve in chart("silu", "degree").curves}
    bound, seen = curves["κ: proved bound"], curves["κ: observed"]
    pairs = [(b, s) for b, s in zip(bound.y, seen.y, strict=True) if b > 1e-13]
    assert len(pairs) > 8
    assert all(0.9 * b < s <= b + 1e-15 for b, s in pairs)
    assert max(bound.x) < 100


def test_errors_against_rho_stay_under_the_bound() -> None:
    curves = {curve.label: curve for curve in chart("elu", "rho").curves}
    bound = dict(zip(curves["κ: proved bound"].x, curves["κ: proved bound"].y, strict=True))
    observed = curves["κ: observed"]
    assert bound[1.0] == pytest.approx(8.03e-7, rel=0.01)
    for rho, error in zip(observed.x, observed.y, strict=True):
        outward = math.copysign(min(1.0, math.ceil(abs(rho) * 100) / 100), rho)
        assert math.isnan(error) or error <= bound[outward] + 1e-15
    assert observed.y[-1] == pytest.approx(bound[1.0], rel=0.01)


def test_the_ntk_is_drawn_from_both_kernels() -> None:
    kappa, kappa_dot, ntk = chart("hermite_2", "kernel").curves
    # sigma = h_2: kappa = rho^2, kappa_dot = 2 rho
    for rho, k, d, n in zip(kappa.x, kappa.y, kappa_dot.y, ntk.y, strict=True):
        assert (k, d, n) == pytest.approx((rho**2, 2 * rho, 3 * rho**2), abs=1e-14)


def test_homogeneous_activations_have_their_error_against_the_norm() -> None:
    curve = next(c for c in chart("rectified_monomial_2", "norm").curves if c.label.startswith("κ:"))
    at = dict(zip(curve.x, curve.y, strict=True))
    # kappa of a degree-2 activation grows like the fourth power of the norm
    assert at[2.0] == pytest.approx(16 * at[1.0])
    tabulated = chart("silu", "norm")
    assert "estimated, not proved" in tabulated.caption
    assert tabulated.y_label == "relative error"


def test_a_jump_is_drawn_as_a_gap_at_its_breakpoint() -> None:
    curve = ActivationCurve((-1.0, -1e-6, 0.0, 1e-6, 1.0), (0.0, 0.0, math.nan, 1.0, 1.0), ())
    drawn = charts(samples.certificate() | {"breakpoints": [{"at": 0.0, "kind": "jump"}]}, curve)["activation"]
    assert drawn.marks == (0.0,)
    assert "σ′" not in drawn.caption


def test_formulas_become_mathml_and_nothing_else() -> None:
    assert "<mfrac>" in str(mathml(r"\frac{t}{1 + e^{- t}}"))
    assert "cases" in str(mathml(r"\begin{cases} t & \text{for}\: t \geq 0 \\0 & \text{otherwise} \end{cases}"))
    assert mathml(r"\href{javascript:alert(1)}{x}") is None or "javascript" not in str(mathml(r"\href{a}{x}"))
    assert mathml(None) is None
    assert mathml("x" * 100_000) is None


def test_words_say_proved_only_where_it_is() -> None:
    certificate = samples.certificate()
    assert verdict(certificate).word == "Certified"
    estimated = verdict(certificate | {"status": "estimated", "status_reason": "no growth bound"})
    assert estimated.word == "Estimated"
    assert "no growth bound" in " ".join(estimated.sentences)
    assert verdict(certificate | {"mpmath": {"agrees": False}}).kind == "bad"
    assert any("faster road" in sentence for sentence in verdict(certificate).sentences)
    certificate["kappa"]["direct"]["status"] = certificate["kappa_dot"]["direct"]["status"] = "certified"
    assert not any("faster road" in sentence for sentence in verdict(certificate).sentences)


def test_the_first_command_compiles_the_same_request() -> None:
    certificate = samples.certificate() | {
        "request": {"expression": "A*t", "parameters": {"A": "1/3"}, "variance": "2", "degree": 5, "tol": None}
    }
    assert commands(certificate)[0][1] == ("kernelc compile 'A*t' --name my_silu --param A=1/3 --variance 2 --degree 5")


def test_paper_leaves_out_what_cannot_be_used_there_alone() -> None:
    style = gallery_page("silu").split("@media print", 1)[1].split("</style>", 1)[0]
    hidden = re.findall(r"([^{};]+)\{[^}]*display: none", style)
    assert {part.strip() for group in hidden for part in group.split(",")} == {"nav", ".skip", "details", ".long math"}


def test_render_knows_the_format() -> None:
    assert render(samples.certificate(), "html").startswith("<!DOCTYPE html>")


@pytest.mark.skipif(chromium() is None, reason="needs Chromium (apt-get install chromium)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_renders_it_without_a_word_and_without_the_network(tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(gallery_page("elu"), encoding="utf-8")
    preferred = f"--blink-settings=preferredColorScheme={('dark', 'light').index(scheme)}"
    visited = visit(file, tmp_path, preferred)
    assert visited.console == ()
    assert visited.requests == ()
    assert visited.dom.count("<svg") == 7
    assert "</html>" in visited.dom
    picture(file, tmp_path, tmp_path / "page.png", preferred, "--window-size=900,1400")
    assert (tmp_path / "page.png").stat().st_size > 20_000


@pytest.mark.skipif(chromium() is None, reason="needs Chromium (apt-get install chromium)")
def test_the_browser_would_tell_of_both(tmp_path: Path) -> None:
    file = tmp_path / "loud.html"
    file.write_text('<script>console.error("loud")</script><img src="http://kernelc.invalid/x.png">', encoding="utf-8")
    visited = visit(file, tmp_path)
    assert any("loud" in line for line in visited.console)
    assert visited.requests == ("http://kernelc.invalid/x.png",)


def test_the_gallery_is_there() -> None:
    assert {"silu", "elu", "rectified_monomial_0", "hermite_3", "hermite_2"} <= set(GALLERY)
