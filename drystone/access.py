"""What commands find in their context. Imported by every command, so what only some need is imported when they do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from drystone.folder import DataFolder

if TYPE_CHECKING:
    from store.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


class Access:
    """The data folder, and its registry on request."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder

    def registry(self) -> AbstractAsyncContextManager[Registry]:
        from drystone.registry_access import open_registry

        return open_registry(self.folder)

    @property
    def cluster_key(self) -> bytes:
        """What placement is keyed with. Raises NotFoundError in a folder without a cluster."""
        from drystone.cluster import read_cluster

        return read_cluster(self.folder).key

    @property
    def node(self) -> str:
        """The name of this node; empty on a machine alone."""
        from drystone.node_identity import find_identity

        identity = find_identity(self.folder)
        return identity.name if identity else ""

    def check_device(self, label: str, number: int) -> None:
        """Raises InvalidError unless the device of this number, made for this cluster, lies there."""
        from drystone.cluster import read_cluster
        from drystone.device_folder import check_made

        check_made(self.folder.device(label), number, read_cluster(self.folder).id)


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
