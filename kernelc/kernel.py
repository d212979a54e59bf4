"""The compiled kernel that a person holds in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelc.backends.numpy.planning import planner_of
from kernelc.backends.numpy.runtime._plan import Plan
from kernelc.certificate import activation_curve
from kernelc.errors import InputError
from kernelc.model import ActivationCurve, ActivationSpec, Ball, EmittedModule, NetworkCoefficients
from kernelc.report import card, formula_latex, page, render
from kernelc.writer import check_target, write

#: Inputs and numbers of features for which a report shows plans.
_SHOWN_DIM, _SHOWN_FEATURES = 784, (1024, 4096, 16384)


def plans_to_show(files: Mapping[str, str], certificate: Mapping[str, Any]) -> list[Plan]:
    """The plans that a report of the emitted package `files` shows; none where it has no planner or cannot plan."""
    kernel = "nngp" if "refused" in (certificate.get("kappa_dot") or {}) else "ntk"
    try:
        plan = planner_of(files)
        return [plan(_SHOWN_DIM, features=count, kernel=kernel) for count in _SHOWN_FEATURES]
    except (KeyError, ValueError, AttributeError, SyntaxError):
        # An older package, or one that was edited: the page says all else.
        return []


class Certificate(dict[str, Any]):
    """A certificate as data: JSON-ready keys and values, that a notebook shows as a table of what is proved."""

    def _repr_latex_(self) -> str | None:
        latex = formula_latex(self)
        return None if latex is None else f"${latex}$"

    def _repr_html_(self) -> str:
        return card(self)


@dataclass(frozen=True, slots=True, repr=False)
class Kernel:
    """A compiled activation: coefficients in balls, certificate, and the module ready to be written."""

    module: EmittedModule

    @property
    def name(self) -> str:
        """The NAME it was compiled under."""
        return self.module.name

    @property
    def certificate(self) -> Certificate:
        """What certificate.json holds; a notebook shows it as a table."""
        return Certificate(self.module.kernel.certificate)

    @property
    def coefficients(self) -> tuple[Ball, ...]:
        """c_k of kappa(rho) = sum_k c_k rho^k: `.mid` the emitted double, `.rad` its proved distance from c_k."""
        return self.module.kernel.coefficients

    @property
    def derivative_coefficients(self) -> tuple[Ball, ...] | None:
        """The same for kappa_dot; None where it is refused (the certificate says why)."""
        return self.module.kernel.derivative_coefficients

    @property
    def network_coefficients(self) -> NetworkCoefficients | None:
        """`.nngp` and `.ntk`: coefficients of the composed kernels in balls; None without a depth above 1."""
        return self.module.kernel.network

    @property
    def closed_form(self) -> Mapping[str, Any] | None:
        """The derived closed form as the certificate states it, None where there is none."""
        form: Mapping[str, Any] | None = self.certificate.get("closed_form")
        return form

    def plan(
        self,
        dim: int,
        *,
        features: int | None = None,
        epsilon: float | None = None,
        kernel: str = "ntk",
        depth: int = 1,
        sketch: str = "auto",
        seed: int = 0,
        pairs: str = "unknown",
        norms: tuple[float, float] | None = None,
    ) -> Plan:
        """The feature map for rows of `dim` columns, and the error to expect: as the written module's `plan`.

        Give `features`, or `epsilon`, the relative error that chooses them. The plan is data (JSON-ready) that
        reads as text.

        Raises:
            InputError: naming the argument that cannot be met.
        """
        try:
            return planner_of(self.module.files)(
                dim,
                features=features,
                epsilon=epsilon,
                kernel=kernel,
                depth=depth,
                sketch=sketch,
                seed=seed,
                pairs=pairs,
                norm_range=norms,
            )
        except ValueError as error:
            raise InputError(str(error)) from error

    def report(self, format: str = "text") -> str:
        """The truncation error report; `format` is "text", "json", or "html" (one self-contained page).

        Raises:
            InputError: for another format.
        """
        if format == "html":
            return page(self.certificate, self.curve(), plans_to_show(self.module.files, self.certificate))
        return render(self.certificate, format)

    def curve(self) -> ActivationCurve | None:
        """sigma and sigma' on four standard deviations about 0, to be drawn: computed in mpmath, not proved.

        None where sigma is unknown.
        """
        kernel = self.module.kernel
        if not isinstance(kernel.spec, ActivationSpec):
            return None
        return activation_curve(
            kernel.spec.expression,
            float(kernel.options.variance) ** 0.5,
            [point["at"] for point in self.certificate["breakpoints"]],
            slopes=kernel.derivative_coefficients is not None,
        )

    def write(self, out: str | Path = "generated", force: bool = False) -> Path:
        """Write out/NAME/ whole or not at all, the module and its report.html; returns that folder.

        Raises:
            InputError: `out` cannot be written, or holds a folder of that name that kernelc did not write.
        """
        check_target(Path(out), self.name, force)
        return write(self.module, Path(out), force, self.report("html"))

    def __repr__(self) -> str:
        certificate = self.certificate
        return f"<kernelc.Kernel {self.name}: {certificate['status']}, degree {certificate['degree']}>"

    def _repr_latex_(self) -> str | None:
        return self.certificate._repr_latex_()

    def _repr_html_(self) -> str:
        return self.certificate._repr_html_()
