from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.console import Console

from kernelc.errors import InputError
from kernelc.report import FORMATS, render, renderable
from tests.report import samples


def line_with(report: str, text: str) -> str:
    found = [line for line in report.splitlines() if text in line]
    assert len(found) == 1, report
    return found[0]


def test_names_the_kernel_and_its_formula_first() -> None:
    first = render(samples.certificate()).splitlines()[0]
    assert "my_silu" in first
    assert "sigma(t) = t*sigmoid(t)" in first


def test_bounds_are_shown_for_both_kernels_and_rounded_up() -> None:
    line = line_with(render(samples.certificate()), "truncation: all dropped terms")
    assert line.split()[-2:] == ["1.24e-7", "1.24e-7"]


def test_degrees_needed_are_proved_or_said_to_be_estimates() -> None:
    report = render(samples.certificate())
    assert line_with(report, "error of 1e-3").split()[-1] == "17"
    assert "about 1.2e+05 (estimate)" in line_with(report, "error of 1e-6")
    assert "not known" in line_with(report, "error of 1e-9")


def test_certified_and_estimated_read_differently() -> None:
    certificate = samples.certificate()
    assert "Certified." in render(certificate)
    certificate |= {"status": "estimated", "status_reason": "no growth bound was derived"}
    report = render(certificate, width=300)
    assert "Estimated, not proved." in report
    assert "no growth bound was derived" in report
    assert "Certified." not in report


def test_an_estimate_in_the_place_of_a_bound_is_marked_on_its_line() -> None:
    certificate = samples.certificate()
    kappa: dict[str, Any] = certificate["kappa"]
    kappa["truncation_estimate"] = kappa.pop("truncation_bound")
    line = line_with(render(certificate), "truncation: all dropped terms")
    assert "(estimate)" in line


def test_refused_derivative_shows_its_reason_and_no_column() -> None:
    report = render(samples.certificate(refused=True), width=300)
    assert f"kappa_dot and the NTK are refused: {samples.REFUSAL}" in report
    assert "jump at 1" in report
    assert "kappa_dot bound" not in report


def test_direct_evaluation_says_what_is_only_estimated() -> None:
    certificate = samples.certificate()
    report = render(certificate, width=300)
    assert "Chebyshev series in theta = arccos(rho), 31 terms; error about 3.00e-15, estimated and not proved" in report
    certificate["kappa"]["direct"] = {
        "method": "power_series",
        "terms": 41,
        "status": "certified",
        "error_bound": 1e-15,
    }
    assert "the power series in rho, 41 terms; error at most 1.01e-15, proved" in render(certificate, width=300)


def test_a_check_that_disagrees_is_loud() -> None:
    certificate = samples.certificate()
    certificate["mpmath"]["agrees"] = False
    assert "mpmath DOES NOT AGREE" in render(certificate)


def test_bars_shrink_with_the_bound_on_a_log_scale() -> None:
    lines = render(samples.certificate(refused=True)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.lstrip().startswith("degree ") and "kappa bound" in line)
    rows = [(int(line.split()[0]), line.count("█")) for line in lines[start:] if "█" in line]
    assert len(rows) == 17
    # The certificate's 0.3 * 0.7^k falls from 1e0 to 1e-7 in a straight line on a logarithmic scale.
    for degree, cells in rows:
        assert abs(cells - 14 * (1 + math.log10(0.3 * 0.7**degree) / 7)) <= 0.5 + 1e-9


def test_observed_errors_stand_beside_their_bounds() -> None:
    certificate = samples.certificate(refused=True)
    lines = render(certificate, width=200).splitlines()
    start = next(i for i, line in enumerate(lines) if "observed" in line.split())
    rows = [line.split() for line in lines[start:] if "█" in line]
    seen = dict(certificate["kappa"]["observed_by_degree"])
    assert len(rows) == 17
    for degree, bound, observed, *_ in rows:
        assert float(observed) == pytest.approx(seen[int(degree)], rel=0.01)
        assert float(observed) < float(bound)


def test_without_observations_there_is_no_note_about_them() -> None:
    certificate = samples.certificate(refused=True)
    assert "a check, not a bound" in render(certificate)
    del certificate["kappa"]["observed_by_degree"]
    assert "a check, not a bound" not in render(certificate)


def test_piped_text_is_plain() -> None:
    report = render(samples.certificate())
    assert "\x1b" not in report
    assert all(len(line) <= 100 for line in report.splitlines())


def test_an_ascii_terminal_gets_ascii_only() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=stream, width=100).print(renderable(samples.certificate()))
    stream.flush()


@pytest.mark.parametrize("key", sorted(samples.certificate()))
def test_an_absent_key_leaves_out_its_line(key: str) -> None:
    certificate = samples.certificate()
    del certificate[key]
    assert render(certificate)


@pytest.mark.parametrize("key", sorted(samples.kernel_part()))
def test_an_absent_key_of_kappa_leaves_out_its_line(key: str) -> None:
    certificate = samples.certificate()
    del certificate["kappa"][key]
    assert render(certificate)


def test_markup_and_control_characters_of_a_stranger_are_shown_and_not_obeyed() -> None:
    certificate = samples.certificate() | {"expression": "[red]t[/red]\x1b[2J\x07"}
    report = render(certificate)
    assert "[red]t[/red]\\x1b[2J\\x07" in report


def test_zero_bounds_of_a_polynomial_have_no_bar() -> None:
    certificate = samples.certificate(refused=True)
    certificate["kappa"] |= {"bound_by_degree": [[0, 1.0], [1, 0.0]], "truncation_bound": 0.0}
    report = render(certificate)
    assert line_with(report, "truncation: all dropped terms").split()[-1] == "0"
    assert report.count("█") > 0


def test_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=", ".join(FORMATS)):
        render({}, "yaml")
