"""Options that several commands share, and the two kinds of words that click reads otherwise than kernelc must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

DEFAULT_TIMEOUT_SECONDS = 600.0
_DEFAULT_OUT = Path("generated")


class FormulaCommand(click.Command):
    """A command whose formula may begin with a minus sign: kernelc has no one-letter options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move the first token that looks like `-t...` behind `--`, where click takes no token for an option."""
        takes_value = {
            text
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for text in option.opts
        }
        index = 0
        while index < len(args) and args[index] != "--":
            if args[index].startswith("-") and not args[index].startswith("--") and len(args[index]) > 1:
                return super().parse_args(ctx, [*args[:index], *args[index + 1 :], "--", args[index]])
            index += 2 if args[index] in takes_value else 1
        return super().parse_args(ctx, args)


class Folder(click.Path):
    """The path of a folder; one that no path can be is refused, where click asks the system first."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if "\0" in str(value):
            self.fail("a path holds no null character", param, ctx)
        return super().convert(value, param, ctx)


out_option = click.option(
    "--out", type=Folder(), default=_DEFAULT_OUT, show_default=True, help="Folder of the kernels."
)
quiet_option = click.option("--quiet", is_flag=True, help="Print nothing but errors.")
timeout_option = click.option(
    "--timeout",
    type=float,
    default=DEFAULT_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Give up on a kernel after this time; 0 for no limit.",
)
