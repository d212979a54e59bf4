"""The gallery: every built-in activation, one entry each.

To add one, add one `GalleryEntry` to `_ENTRIES` and run `kernelc gallery`. Sources "Table 1: ..." name the rows
of Table 1 in Han, Zandieh, Lee, Novak, Xiao, Karbasi, "Fast Neural Kernel Embeddings for General
Activations", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from kernelc.errors import InputError

_COMMON = "common"


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """One built-in activation: a formula in t, and its named parameters with their default values as text.

    `dual`: the activation is unknown, and the formula is its dual kernel in rho or in q11, q12, q22.
    """

    name: str
    formula: str
    description: str
    source: str
    parameters: tuple[tuple[str, str], ...] = ()
    dual: bool = False


_ENTRIES = (
    GalleryEntry(
        "rectified_monomial_0", "Heaviside(t)", "step: rectified monomial of degree 0", "Table 1: rectified monomials"
    ),
    GalleryEntry(
        "rectified_monomial_1",
        "t*Heaviside(t)",
        "ReLU, as the rectified monomial of degree 1",
        "Table 1: rectified monomials",
    ),
    GalleryEntry(
        "rectified_monomial_2", "t**2*Heaviside(t)", "rectified monomial of degree 2", "Table 1: rectified monomials"
    ),
    GalleryEntry(
        "rectified_monomial_3", "t**3*Heaviside(t)", "rectified monomial of degree 3", "Table 1: rectified monomials"
    ),
    GalleryEntry("erf", "erf(t)", "error function", "Table 1: error function"),
    GalleryEntry(
        "abrelu",
        "A*Min(t, 0) + B*Max(t, 0)",
        "ABReLU: slope A below 0, B above",
        "Table 1: ABReLU",
        (("A", "-1/4"), ("B", "3/2")),
    ),
    GalleryEntry("exp", "exp(A*t)", "exponential", "Table 1: exponential", (("A", "1"),)),
    GalleryEntry(
        "hermite_2", "(t**2 - 1)/sqrt(2)", "normalized Hermite polynomial h_2", "Table 1: Hermite polynomials"
    ),
    GalleryEntry(
        "hermite_3", "(t**3 - 3*t)/sqrt(6)", "normalized Hermite polynomial h_3", "Table 1: Hermite polynomials"
    ),
    GalleryEntry(
        "hermite_4", "(t**4 - 6*t**2 + 3)/sqrt(24)", "normalized Hermite polynomial h_4", "Table 1: Hermite polynomials"
    ),
    GalleryEntry(
        "sin", "sin(A*t + B)", "sine of frequency A and phase B", "Table 1: sinusoid", (("A", "1"), ("B", "1/2"))
    ),
    GalleryEntry("gaussian", "exp(-A*t**2)", "Gaussian bump", "Table 1: Gaussian", (("A", "1"),)),
    GalleryEntry("gelu", "t/2*(1 + erf(t/sqrt(2)))", "GELU, exact form", "Table 1: GELU"),
    GalleryEntry("elu", "Piecewise((t, t >= 0), (A*(exp(t) - 1), True))", "ELU", "Table 1: ELU", (("A", "1"),)),
    GalleryEntry(
        "normalized_gaussian",
        "exp(A*(rho - 1))",
        "normalized Gaussian: a dual kernel, its activation unknown",
        "Table 1: normalized Gaussian",
        (("A", "1"),),
        dual=True,
    ),
    GalleryEntry(
        "rbf",
        "sqrt(2)*sin(sqrt(2*A)*t + pi/4)",
        "its dual kernel is the RBF kernel exp(-A*|x-y|^2)",
        "Table 1: RBF",
        (("A", "1"),),
    ),
    GalleryEntry("gabor", "exp(-t**2)*sin(t)", "Gabor function", "Table 1: Gabor"),
    GalleryEntry("monomial", "t**3", "monomial of degree 3", "Table 1: monomials"),
    GalleryEntry(
        "polynomial",
        "A + B*t + C*t**2 + D*t**3",
        "cubic polynomial",
        "Table 1: polynomials",
        (("A", "1"), ("B", "2"), ("C", "-1"), ("D", "1/3")),
    ),
    GalleryEntry("relu", "Max(t, 0)", "ReLU", _COMMON),
    GalleryEntry("leaky_relu", "Max(t, 0) + A*Min(t, 0)", "leaky ReLU of slope A below 0", _COMMON, (("A", "1/100"),)),
    GalleryEntry("tanh", "tanh(t)", "hyperbolic tangent", _COMMON),
    GalleryEntry("sigmoid", "1/(1 + exp(-t))", "logistic sigmoid", _COMMON),
    GalleryEntry("silu", "t*sigmoid(t)", "SiLU (swish)", _COMMON),
    GalleryEntry("softplus", "log(1 + exp(t))", "softplus", _COMMON),
)

#: Every built-in activation by name, in the order in which `kernelc list` shows them.
GALLERY: Mapping[str, GalleryEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def resolve(expression: str, parameters: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The formula and parameters meant by `expression`, which may be the name of a gallery activation.

    A gallery activation's default parameters are overridden by `parameters`; any other text comes back
    unchanged.

    Raises:
        InputError: a parameter is given that the gallery activation does not have, or the text is nearly a gallery
            activation's name, which as a formula would be the identity in a variable of that name.
    """
    entry = GALLERY.get(expression.strip())
    if entry is None:
        _refuse_misspelled(expression.strip())
        return expression, dict(parameters)
    defaults = dict(entry.parameters)
    unknown = sorted(set(parameters) - set(defaults))
    if unknown:
        there = f"its parameters are {', '.join(defaults)}" if defaults else "it has none"
        raise InputError(f"the activation {entry.name} has no parameter {unknown[0]}: {there}")
    return entry.formula, defaults | dict(parameters)


def _refuse_misspelled(text: str) -> None:
    """Nobody means the identity in a variable called gelo."""
    near = get_close_matches(text.lower(), GALLERY, 1, 0.75) if text.isidentifier() and len(text) > 2 else []
    if near:
        raise InputError(
            f"there is no built-in activation {text!r}; did you mean {near[0]!r}? For the identity write t, and see "
            "kernelc list"
        )
