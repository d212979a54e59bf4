"""What a certificate means, said to somebody who has never seen one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelc.report.facts import kernels, part_of, quantity, quantity_at
from kernelc.report.numbers import bound_text, is_number, plain_text


@dataclass(frozen=True, slots=True)
class Verdict:
    """The certificate's status: the badge's word, its kind for the style sheet, and sentences that explain it."""

    word: str
    kind: str
    sentences: tuple[str, ...]


def verdict(certificate: Mapping[str, Any]) -> Verdict:
    """The status, what it promises, and what it does not."""
    if certificate.get("status") == "certified":
        sentences = [
            "Certified means proved. The compiler computed with intervals instead of single numbers, so that each step "
            "carries its own error along; every number called a bound on this page is a proved limit, and the true "
            "error is never larger.",
        ]
        word, kind = "Certified", "good"
    else:
        reason = plain_text(certificate.get("status_reason") or "the certificate does not say")
        sentences = [
            "Estimated means computed with care and not proved. Treat each error on this page as a good guess: "
            f"the true one can be larger. Why there is no proof: {reason}.",
        ]
        word, kind = "Estimated", "fair"
    sentences += _promise(certificate)
    sentences += _direct(certificate)
    check = certificate.get("mpmath")
    if isinstance(check, Mapping) and not check.get("agrees"):
        return Verdict("Check failed", "bad", ("The second computation does not agree: do not use this kernel.",))
    return Verdict(word, kind, tuple(sentences))


def _promise(certificate: Mapping[str, Any]) -> list[str]:
    sentences = []
    total, kind = quantity_at(part_of(certificate, "kappa"), "total", "float64")
    degree = certificate.get("degree")
    if is_number(total) and is_number(degree):
        verb = "is off by at most" if kind == "bound" else "is thought to be off by at most"
        sentences.append(
            f"The power series of degree {degree}, summed in double precision, {verb} {bound_text(total)} "
            "for every correlation ρ in [−1, 1]."
        )
    refused = part_of(certificate, "kappa_dot").get("refused")
    if refused is not None:
        sentences.append(
            f"There is no neural tangent kernel, and none is made up: {plain_text(refused)}. The NNGP kernel is there."
        )
    return sentences


def _direct(certificate: Mapping[str, Any]) -> list[str]:
    """Whether what `kappa` evaluates is covered by the proof."""
    unproved = [name for name, part in kernels(certificate) if _status_of_direct(part) == "estimated"]
    if not unproved or certificate.get("status") != "certified":
        return []
    names = " and ".join(unproved)
    return [
        f"The module evaluates {names} by a faster road than that series. How far it is from the truth was measured "
        "and is stated below as an estimate; it is not part of the proof."
    ]


def _status_of_direct(part: Mapping[str, Any]) -> str:
    direct = part.get("direct")
    return str(direct.get("status")) if isinstance(direct, Mapping) else ""


def tiles(certificate: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The few numbers that most readers want: (label, value, remark)."""
    found = [("Degree", plain_text(certificate.get("degree", "?")), "last power of ρ that is kept")]
    for name, part in kernels(certificate):
        error, kind = quantity(part, "truncation")
        if is_number(error):
            symbol = "κ" if name == "kappa" else "κ̇"
            remark = "proved, for every ρ" if kind == "bound" else "an estimate, not proved"
            found.append((f"Truncation error of {symbol}", bound_text(error), remark))
    total, kind = quantity_at(part_of(certificate, "kappa"), "total", "float64")
    if is_number(total):
        remark = "truncation and all rounding, float64" + ("" if kind == "bound" else "; an estimate")
        found.append(("Total error of κ", bound_text(total), remark))
    return found


def commands(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The command lines that make this kernel again and check it, with what each is for."""
    name = str(certificate.get("name", "NAME"))
    request = certificate.get("request")
    found = []
    if isinstance(request, Mapping):
        found.append(("compile it again", shlex.join(_compile_words(name, request))))
    found += [
        ("derive everything again and compare byte by byte", shlex.join(["kernelc", "check", name])),
        ("the same, with quadrature in two dimensions", shlex.join(["kernelc", "check", name, "--deep"])),
        (
            "plan random features for inputs with 784 columns",
            shlex.join(["kernelc", "plan", name, "--dim", "784", "--features", "4096"]),
        ),
        ("this page", shlex.join(["kernelc", "report", name, "--format", "html"])),
    ]
    return found


def _compile_words(name: str, request: Mapping[str, Any]) -> list[str]:
    """The request as options: each key is an option's name, lists repeat it."""
    expression, dual = request.get("expression"), request.get("dual")
    formula = [plain_text(expression or "")] if dual is None else ["--dual", plain_text(dual)]
    words = ["kernelc", "compile", *formula, "--name", name]
    parameters = request.get("parameters")
    for key, value in parameters.items() if isinstance(parameters, Mapping) else ():
        words += ["--param", f"{plain_text(key)}={plain_text(value)}"]
    for key, value in request.items():
        if key in {"expression", "dual", "parameters"} or value is None or (key == "variance" and str(value) == "1"):
            continue
        if key == "backends":
            many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
            words += [word for item in many for word in ("--backend", plain_text(item))]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            words += [f"--{key}", ",".join(plain_text(item) for item in value)]
        else:
            words += [f"--{plain_text(key)}", plain_text(value)]
    return words


GLOSSARY: tuple[tuple[str, str], ...] = (
    ("activation σ", "the function that each unit of a neural network applies to its input"),
    ("correlation ρ", "the cosine of the angle between two inputs: 1 for the same direction, −1 for opposite ones"),
    (
        "κ(ρ), the dual kernel",
        "the mean of σ(u)σ(v) over two Gaussian numbers u, v with correlation ρ: what an infinitely wide random layer "
        "makes of two inputs",
    ),
    ("κ̇(ρ)", "the same for the derivative σ′; with κ it makes the neural tangent kernel"),
    ("NNGP, NTK", "the kernels of an infinitely wide network before training, and of its training by gradient descent"),
    ("bound", "a limit that is proved: the true error is never larger"),
    ("estimate, observed", "computed or measured, and not proved"),
    ("variance q", "the variance of u and v: for a row x of the data, its squared norm"),
)
