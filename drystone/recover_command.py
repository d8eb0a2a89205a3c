"""`drystone registry recover`: from devices alone to a cloud that starts."""

from __future__ import annotations

import click
import trio

from drystone.access import Access, data_option
from drystone.recovery import recover as recover_registry
from store.core.errors import DrystoneError


@click.group()
def registry() -> None:
    """Small state: the ring, devices, users and projects."""


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

    try:
        click.echo("\n".join(trio.run(work)))
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error
