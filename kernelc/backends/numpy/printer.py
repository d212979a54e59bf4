"""The NumPy printer: a KernelProgram as a package that needs NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from kernelc.backends.numpy import closed_form, front, norms, tables
from kernelc.program import KernelProgram

_RUNTIME = "kernelc.backends.numpy.runtime"
_NUMERICS = "kernelc.numerics"

#: Source files that every generated package carries, byte for byte.
RUNTIME_FILES = (
    "_activation.py",
    "_bulk.py",
    "_bulkfit.py",
    "_bulknorms.py",
    "_bulksamples.py",
    "_bundles.py",
    "_closed.py",
    "_composition.py",
    "_dispatch.py",
    "_distances.py",
    "_dual.py",
    "_evaluation.py",
    "_features.py",
    "_gaps.py",
    "_harmonics.py",
    "_inputs.py",
    "_interpolation.py",
    "_judged.py",
    "_knotted.py",
    "_layers.py",
    "_line.py",
    "_lowrank.py",
    "_neartable.py",
    "_networks.py",
    "_normroads.py",
    "_norms.py",
    "_normseries.py",
    "_nystrom.py",
    "_pairs.py",
    "_plan.py",
    "_plans.py",
    "_polysketch.py",
    "_powers.py",
    "_radial.py",
    "_recentre.py",
    "_ridge.py",
    "_roads.py",
    "_rows.py",
    "_sources.py",
    "_tensorsketch.py",
    "_tileplan.py",
    "_tiles.py",
    "_transforms.py",
    "_zonal.py",
    "_zonal_plan.py",
)


#: What tables with knots need of `kernelc.numerics`.
_KNOTTED = ("_arithmetic.py", "_knots.py", "_normal.py", "_normal_tables.py")


def runtime_text(name: str, package: str = _RUNTIME) -> str:
    """The source of one run-time file, with the line ends it is written with on every platform."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


class NumpyPrinter:
    """Prints the front of the package, its tables and its run-time part."""

    name = "numpy"

    def files(self, program: KernelProgram) -> Mapping[str, str]:
        """Relative path -> text. Deterministic: a function of the program and of this source alone."""
        return {
            "__init__.py": front.render(program),
            "_tables.py": self._tables(program),
            **self._closed_form(program),
            **self._network(program),
            **self._norms(program),
            **{name: runtime_text(name) for name in RUNTIME_FILES},
            "py.typed": "",
        }

    def _closed_form(self, program: KernelProgram) -> dict[str, str]:
        """The closed form, where there is one, and what it needs of `kernelc.numerics`, byte for byte."""
        form = program.closed_form
        if form is None:
            return {}
        header = front.header(program, "its closed form. Every literal reads back as the double it was written from.")
        files = {name: runtime_text(name, _NUMERICS) for name in closed_form.runtime_files(form)}
        if closed_form.mixes(form):
            files["_mixed.py"] = runtime_text("_mixed.py")
        return {"_closed_form.py": header + closed_form.render(form), **files}

    def _network(self, program: KernelProgram) -> dict[str, str]:
        """The composed kernels of a deep network, where a depth was asked for."""
        network = program.network
        if network is None:
            return {}
        names = ", ".join(tables.network_imports(network))
        text = (
            front.header(program, "its network's tables. Every literal reads back as the double it was written from.")
            + f'"""Kernels of {network.depth} hidden layers; see the run-time for how they are evaluated."""\n\n'
            + "from __future__ import annotations\n\n"
            + f"from ._deep import NetworkTables\nfrom ._evaluation import {names}\n\n"
            + tables.render_network(program.name, network)
        )
        return {"_network_tables.py": text, "_deep.py": runtime_text("_deep.py")}

    def _norms(self, program: KernelProgram) -> dict[str, str]:
        """The tables for a range of norms, where there are any."""
        if program.norms is None:
            return {}
        header = front.header(program, "tables for inputs of other norms. Every literal reads back as its double.")
        files = [] if program.norms.knots is None else _KNOTTED
        return {
            "_norm_tables.py": header + norms.render(program.norms),
            **{name: runtime_text(name, _NUMERICS) for name in files},
        }

    def _tables(self, program: KernelProgram) -> str:
        names = "".join(f"{name}, " for name in tables.imports(program)).rstrip(", ")
        return (
            front.header(program, "tables. Every literal reads back as the double it was written from.")
            + '"""Tables of the dual kernel; see the run-time modules for how they are evaluated."""\n\n'
            + "from __future__ import annotations\n\n"
            + f"from ._evaluation import {names}\n\n"
            + tables.render(program)
        )
