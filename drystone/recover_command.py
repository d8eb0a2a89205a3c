"""`drystone registry recover`: from devices alone to a cloud that starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import click
import trio

from drystone.access import Access, data_option
from drystone.cluster import read_cluster
from drystone.registry_recovery import Source, Wish
from drystone.registry_recovery import recover as recover_registry
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
@click.option("--from-survivor", is_flag=True, help="From the etcd of this node, which goes on alone with what it has.")
@click.option(
    "--from-snapshot",
    "snapshot",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="From what 'drystone registry backup' wrote, or a file of registry-snapshots/ of a device.",
)
@click.option("--from-devices", is_flag=True, help="From the newest snapshot on the devices that are found.")
@click.option(
    "--without-snapshot", is_flag=True, help="From the devices alone, without users and projects. On a machine alone."
)
@click.option(
    "--at",
    "address",
    metavar="ADDR:PORT",
    help="By the node that listens there the registry was recovered: have this one ask it.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Where the data folder is lost, too: be this node of the snapshot, with a new certificate.",
)
@click.option(
    "--registry",
    "kept",
    type=click.Choice(["embedded", "etcd"]),
    default="etcd",
    show_default=True,
    help="With --name: who kept the registry, as of 'cluster init'.",
)
@click.option(
    "--project-id",
    metavar="ID",
    help="With --without-snapshot: of the accounts found, the one that the project 'admin' is to own.  "
    "[default: the only one]",
)
@click.option(
    "--accept-missing", is_flag=True, help="Even though devices of the ring, or other members of etcd, were not found."
)
@data_option
@click.pass_obj
def recover(
    access: Access,
    paths: tuple[str, ...],
    from_survivor: bool,
    snapshot: str | None,
    from_devices: bool,
    without_snapshot: bool,
    address: str | None,
    name: str | None,
    kept: str,
    project_id: str | None,
    accept_missing: bool,
) -> None:
    """Make cluster.json and the registry anew where they are lost, from what every device keeps.

    Where devices have a snapshot of the registry, as they do from the second minute on, it is made of the newest:
    users, projects and nodes are as they were then. Where there is none, accounts and objects are there all the same,
    with a new administrator who may use every account that is found. Nothing that exists is overwritten.

    Where etcd has lost its majority for good, say on one node --from-survivor, or --from-snapshot or --from-devices
    where no member is left; all other nodes are to be stopped. Then --at on each of them.
    """
    chosen = [
        source
        for source, said in (
            (Source.SURVIVOR, from_survivor),
            (Source.FILE, snapshot is not None),
            (Source.DEVICES, from_devices),
            (Source.NO_SNAPSHOT, without_snapshot),
            (Source.NODE, address is not None),
        )
        if said
    ]
    if len(chosen) > 1:
        raise click.UsageError("give one of --from-survivor, --from-snapshot, --from-devices, --without-snapshot, --at")
    wish = Wish(
        chosen[0] if chosen else Source.ANY,
        snapshot or address or "",
        paths,
        project_id,
        accept_missing,
        name,
        kept == "etcd",
    )
    click.echo("\n".join(_run(partial(recover_registry, access.folder, wish))))


def _run(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return trio.run(work)
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error
