"""`drystone registry recover`: from devices alone to a cloud that starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import trio

from drystone.access import Access, data_option
from drystone.cluster import read_cluster
from drystone.recovery import recover as recover_registry
from drystone.registry_snapshot import Snapshot, encode_snapshot, take_snapshot, write_snapshot
from store.core.clock import SystemClock
from store.core.errors import DrystoneError

T = TypeVar("T")


@click.group()
def registry() -> None:
    """Small state: the ring, devices, users and projects."""


@registry.command()
@click.argument("file", type=click.Path(dir_okay=False))
@data_option
@click.pass_obj
def backup(access: Access, file: str) -> None:
    """Have a snapshot of the registry in FILE: users, projects, nodes, the ring. The process may run.

    Any node of a cluster gives it. 'drystone registry recover --from-snapshot FILE' makes a registry of it. Whoever can
    read it can become a node and read everything: keep it like a password.
    """

    async def work() -> Snapshot:
        async with access.registry() as opened:
            snapshot = await take_snapshot(opened, read_cluster(access.folder).id, SystemClock())
        write_snapshot(file, encode_snapshot(snapshot))
        return snapshot

    snapshot = _run(work)
    click.echo(f"{file} has {len(snapshot.items)} items of the registry at revision {snapshot.revision}.")


@registry.command()
@click.option(
    "--device",
    "paths",
    multiple=True,
    metavar="PATH",
    type=click.Path(file_okay=False),
    help="The folder of a device that is not below the data folder. May be repeated.",
)
@click.option(
    "--project-id",
    metavar="ID",
    help="Of the accounts found, the one that the project 'admin' is to own.  [default: the only one]",
)
@click.option("--accept-missing", is_flag=True, help="Even though devices of the ring were not found.")
@data_option
@click.pass_obj
def recover(access: Access, paths: tuple[str, ...], project_id: str | None, accept_missing: bool) -> None:
    """Make cluster.json and the registry anew where they are lost, from what every device keeps.

    All accounts and objects are there afterwards. Users and projects were kept in the registry only: there is a new
    administrator, who may use every account that is found. Nothing that exists is overwritten.
    """

    async def work() -> list[str]:
        return await recover_registry(access.folder, paths, project_id, accept_missing=accept_missing)

    click.echo("\n".join(_run(work)))


def _run(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return trio.run(work)
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error
