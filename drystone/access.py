"""What commands find in their context."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import click

from drystone.control import open_registry
from drystone.folder import DataFolder
from store.core.errors import NotFoundError
from store.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


class Access:
    """The data folder, and its registry on request."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder

    def registry(self) -> AbstractAsyncContextManager[Registry]:
        return open_registry(self.folder)

    @property
    def cluster_key(self) -> bytes:
        """What placement is keyed with. Raises NotFoundError in a folder without a cluster."""
        cluster = self.folder.cluster()
        if cluster is None:
            raise NotFoundError(f"there is no Drystone in {self.folder.path}: start one with 'drystone up'")
        return cluster.key


def data_option(command: F) -> F:
    """`--data` behind a command's name as well: `drystone up --data DIR` and `drystone --data DIR up` say the same."""

    def choose(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.obj = Access(DataFolder(value))

    return click.option(
        "--data",
        metavar="DIR",
        type=click.Path(file_okay=False),
        expose_value=False,
        callback=choose,
        help="The data folder, if not given before.",
    )(command)
