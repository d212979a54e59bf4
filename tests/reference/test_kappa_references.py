"""The reference table is complete, consistent with itself, and what its closed forms say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mpmath import mp

from tests.reference.closed_forms import Dual
from tests.reference.formula import check_formula
from tests.reference.make_references import ACTIVATIONS, LEAST_DIGITS, RHO, TABLE
from tests.reference.quadrature import WORK_DPS
from tests.reference.registry import Activation

ENTRIES: dict[tuple[str, str], dict[str, Any]] = {
    (e["name"], e["variance"]): e for e in json.loads(TABLE.read_text(encoding="utf-8"))["entries"]
}
KEYS = [(a, v) for a in ACTIVATIONS for v in a.variances]
IDS = [f"{a.name}-{v}" for a, v in KEYS]


def significant_digits(text: str) -> int:
    """Digits of a decimal string from the first non-zero one on."""
    return len(text.split("e")[0].replace("-", "").replace(".", "").lstrip("0"))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.name)
def test_sigma_and_derivative_are_the_formula(activation: Activation) -> None:
    with mp.workdps(WORK_DPS):
        check_formula(activation)


@pytest.mark.parametrize(("activation", "variance"), KEYS, ids=IDS)
def test_entry_is_complete(activation: Activation, variance: str) -> None:
    entry = ENTRIES[activation.name, variance]
    assert (entry["formula"], entry["parameters"]) == (activation.formula, activation.parameters)
    assert entry["kappa_dot"].get("refused") == activation.refused
    for part, closed in ((entry["kappa"], activation.kappa), (entry["kappa_dot"], activation.kappa_dot)):
        if "refused" in part:
            continue
        assert tuple(part["values"]) == RHO
        moment = mp.mpf(part["moment"])
        assert mp.mpf(part["error_estimate_relative_to_moment"]) < mp.mpf(10) ** -35
        for text in part["values"].values():
            value = mp.mpf(text)
            # Cauchy-Schwarz
            assert abs(value) <= moment * (1 + mp.mpf(10) ** -14)
            # trailing zeros are not written, and values far below the moment carry fewer digits
            terminates = closed is not None or value * 10**6 % 1 == 0
            assert terminates or significant_digits(text) >= LEAST_DIGITS or abs(value) < moment / 1000


@pytest.mark.parametrize(("activation", "variance"), KEYS, ids=IDS)
def test_closed_forms_give_the_table(activation: Activation, variance: str) -> None:
    entry = ENTRIES[activation.name, variance]
    pairs: tuple[tuple[str, Dual | None], ...] = (("kappa", activation.kappa), ("kappa_dot", activation.kappa_dot))
    with mp.workdps(WORK_DPS):
        for part, closed in pairs:
            if closed is None:
                continue
            moment = mp.mpf(entry[part]["moment"])
            for rho in ("-0.7", "0.3", "1"):
                stored = mp.mpf(entry[part]["values"][rho])
                assert abs(closed(mp.mpf(variance), mp.mpf(rho)) - stored) <= moment * mp.mpf(10) ** -31
