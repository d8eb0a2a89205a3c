"""A group of commands whose modules are imported when one of them is run: the whole program takes half a second."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Lazy(NamedTuple):
    """Where a command is (`module:name`), or what makes it, and its line in the help of the group."""

    where: str
    help: str


class LazyGroup(click.Group):
    """A group that knows its commands by name, and the first line of their help."""

    def __init__(self, *arguments: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lazy = lazy

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), *self._lazy])

    def get_command(self, context: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(context, cmd_name)
        module, _, name = self._lazy[cmd_name].where.partition(":")
        found = getattr(import_module(module), name)
        command: click.Command = found if isinstance(found, click.Command) else found()
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        lines = {name: lazy.help for name, lazy in self._lazy.items()}
        for name in super().list_commands(context):
            command = super().get_command(context, name)
            assert command is not None
            lines[name] = command.get_short_help_str(limit=80)
        with formatter.section("Commands"):
            formatter.write_dl(sorted(lines.items()))
