"""What a certificate states of networks and of tables against the norm."""

from __future__ import annotations

from flint import ctx

import kernelc
from kernelc.certificate.norms import norm_statement
from kernelc.model import NormFit, NormTail
from kernelc.program import NormMoment, NormProgram


def test_a_network_is_certified_beside_its_layers() -> None:
    """sigma(t) = t: every kernel is rho, the NTK of two hidden layers 3 rho."""
    kernel = kernelc.compile("t", name="f", degree=3, depth=2)
    found = kernel.certificate["network"]
    assert found["depth"] == 2
    assert found["status"] == "certified"
    for name, size in (("nngp", 1.0), ("ntk", 3.0)):
        statement = found[name]
        with ctx.workprec(64):
            assert statement["coefficients"] == [0.0, size, 0.0, 0.0]
            assert statement["truncation_bound"] == 0.0
            assert statement["moment"] == size


def fit(program: NormProgram | None, reason: str | None, tails: tuple[NormTail, ...]) -> NormFit:
    return NormFit((0.25, 4.0), program, None if program is None else 1e-12, reason, 7, 3, tails)


def test_tables_are_stated_with_what_they_hold() -> None:
    nothing = norm_statement(fit(None, "not asked for", ()))
    assert nothing == {"declared": [0.25, 4.0], "served": None, "reason": "not asked for"}
    program = NormProgram(
        (0.25, 4.0), 0.0, 1.0, 0.0, 1.0, NormMoment(0, (0.0,)), None, ((1.0,), (0.5,)), None, None, None
    )
    alone = norm_statement(fit(program, "a kink off 0", (NormTail(0.25, 3.456e-5, None), NormTail(4.0, 1e-17, 0.0))))
    assert alone["served"] is None
    assert alone["hermite_served"] == [0.25, 4.0]
    assert alone["hermite_degree"] == 1
    assert "double integrals" not in alone["checked"]["how"]
    tails = alone["truncation_at"]
    assert [tails[0][key] for key in ("s", "kappa_estimate", "kappa_dot_estimate")] == [0.25, 3.46e-5, None]
    assert tails[1]["kappa_estimate"] == 1e-14
