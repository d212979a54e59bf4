"""Every reference value, computed elsewhere by another road (tests/reference), against the emitted module."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import mpmath
import pytest

import kernelc
from kernelc.closedform import state_closed_form
from tests.pipeline.loading import load

_TABLE = Path(__file__).parents[1] / "reference" / "kappa_references.json"
_ENTRIES: list[dict[str, Any]] = json.loads(_TABLE.read_text())["entries"]
_RELATIVE = 1e-12

pytestmark = pytest.mark.usefixtures("no_norm_tables", "closed_forms_once")


def _label(entry: dict[str, Any]) -> str:
    return f"{entry['name']}-q{entry['variance']}"


@pytest.fixture(scope="module")
def closed_forms_once() -> Iterator[None]:
    """A closed form holds for all variances, and its proof takes half of a compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kernelc.pipeline.state_closed_form", lru_cache(maxsize=None)(state_closed_form))
        yield


@pytest.mark.parametrize("entry", _ENTRIES, ids=_label)
def test_emitted_values_and_bounds(entry: dict[str, Any], tmp_path: Path) -> None:
    """kappa and kappa_dot to 1e-12 of their value at 1; the truncation bound holds and is tight at rho = 1."""
    kernel = kernelc.compile(
        entry["formula"], name=entry["name"], parameters=entry["parameters"], variance=entry["variance"]
    )
    module = load(kernel, tmp_path)
    for which in ("kappa", "kappa_dot"):
        reference, statement = entry[which], kernel.certificate[which]
        assert ("refused" in reference) == ("refused" in statement)
        if "refused" in reference:
            with pytest.raises(ValueError, match="sigma"):
                module.kappa_dot(0.5)
            continue
        _check_values(getattr(module, which), reference)
        _check_bounds(getattr(module, f"{which}_series"), reference, statement, kernel.certificate["degree"])


def _check_values(function: Any, reference: dict[str, Any]) -> None:
    size = float(reference["moment"])
    for rho, value in reference["values"].items():
        assert abs(float(function(float(rho))) - float(value)) <= _RELATIVE * size, f"rho = {rho}"


def _check_bounds(series: Any, reference: dict[str, Any], statement: dict[str, Any], degree: int) -> None:
    with mpmath.workdps(60):
        moment = mpmath.mpf(reference["moment"])
        assert abs(moment - statement["moment"]) <= 4e-16 * abs(moment)
        kept = mpmath.fsum(mpmath.mpf(c) for c in statement["coefficients"])
        slack = mpmath.fsum(mpmath.mpf(r) for r in statement["coefficient_radii"]) + abs(moment) * mpmath.mpf(10) ** -32
        true_error, bound = moment - kept, mpmath.mpf(statement["truncation_bound"])
        # The kept doubles differ from the true coefficients by at most their radii.
        assert bound >= true_error - slack
        assert bound <= mpmath.mpf("1.01") * (true_error + slack)
        for rho, value in reference["values"].items():
            gap = abs(mpmath.mpf(float(series(float(rho)))) - mpmath.mpf(value))
            shrink = abs(mpmath.mpf(rho)) ** (degree + 1)
            rounding = statement["literal_rounding_bound"] + statement["evaluation_bound"]["float64"]
            # The reference is at the decimal rho, the module at the nearest double.
            nearby = abs(mpmath.mpf(rho) - mpmath.mpf(float(rho))) * degree**2 * moment
            assert gap <= bound * shrink + rounding + nearby + moment * mpmath.mpf(10) ** -30, f"rho = {rho}"
