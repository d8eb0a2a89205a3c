"""`drystone node`: who is of the cluster, and how nodes leave it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click
import trio

from drystone.access import Access, data_option
from drystone.cluster_commands import parse_time
from drystone.control_client import make_token
from drystone.device_records import load_records
from drystone.join_tokens import VALID_SECONDS
from drystone.node_identity import find_identity
from drystone.node_records import load_lives, load_nodes
from drystone.node_removal import drain as begin_drain
from drystone.node_removal import find_removal
from drystone.node_removal import remove as remove_node
from drystone.ring_commands import describe_plan
from drystone.words import table
from store.core.errors import ConflictError, DrystoneError
from store.registry import Registry


@click.group()
def node() -> None:
    """Which machines are of the cluster; empty one, remove one, replace one.

    \b
    One that is to go, in good order:
        drystone node drain n3        its devices are emptied; 'drystone ring show' says when that is done
        drystone node remove n3
    One that is dead and never comes back:
        drystone node remove --dead n3
    One that was made anew on an empty disk:
        drystone node replace n3      prints the line to type there
    """


def _run(access: Access, work: Callable[[Registry], Awaitable[str]]) -> None:
    async def main() -> str:
        async with access.registry() as registry:
            return await work(registry)

    try:
        click.echo(trio.run(main))
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error


@node.command("list")
@data_option
@click.pass_obj
def list_nodes(access: Access) -> None:
    """The nodes, where they are, and whether they run."""

    async def work(registry: Registry) -> str:
        nodes, lives, records = await load_nodes(registry), await load_lives(registry), await load_records(registry)
        if not nodes:
            return "This is a machine alone. 'drystone cluster init' makes it the first node of a cluster."
        owners = [record.node for record in records.values()]
        rows = [
            [
                name,
                record.state.value,
                lives[name].program if name in lives else "does not run",
                record.address,
                str(record.region),
                str(record.zone),
                record.machine,
                str(owners.count(name)),
            ]
            for name, record in sorted(nodes.items())
        ]
        return table(["node", "state", "program", "address", "region", "zone", "machine", "devices"], rows)

    _run(access, work)


@node.command()
@click.argument("name")
@data_option
@click.pass_obj
def drain(access: Access, name: str) -> None:
    """Begin to empty node NAME: what it has moves to the others, while everything is served.

    'drystone ring show' says when that is done; then 'drystone node remove NAME'. To call it off, give its devices
    their weights again ('drystone ring weight').
    """

    async def work(registry: Registry) -> str:
        moves = await begin_drain(registry, access.cluster_key, name)
        if moves is None:
            return f"Node {name} has no devices in use: 'drystone node remove {name}' when the ring has settled."
        return "\n\n".join([*describe_plan(moves), f"Node {name} is being emptied; see 'drystone ring show'."])

    _run(access, work)


@node.command()
@click.argument("name")
@click.option("--dead", is_flag=True, help="It does not run and never comes back: it is not asked, nor waited for.")
@click.option("--accept-loss", is_flag=True, help="Even though its devices held quorums of some partitions.")
@data_option
@click.pass_obj
def remove(access: Access, name: str, dead: bool, accept_loss: bool) -> None:
    """Remove node NAME, which is empty (see 'drain'), or --dead.

    Its certificate is refused from then on. What its devices had is made anew from the other copies.
    """
    identity = find_identity(access.folder)
    if identity is not None and name in (identity.name, identity.registry):
        why = "type this on another node" if name == identity.name else "it has the registry of all nodes"
        raise click.ClickException(f"node {name} cannot be removed here: {why}")

    async def work(registry: Registry) -> str:
        removal = await find_removal(registry, access.cluster_key, name)
        parts = [] if removal.plan is None else describe_plan(removal.plan)
        try:
            await remove_node(registry, access.cluster_key, removal, dead=dead, accept_loss=accept_loss)
        except ConflictError as error:
            raise ConflictError("\n\n".join([str(error), *parts])) from error
        return "\n\n".join([*parts, f"Node {name} is removed."])

    _run(access, work)


@node.command()
@click.argument("name")
@click.option("--valid", default=f"{VALID_SECONDS // 60}m", show_default=True, metavar="TIME", help="30s, 10m, 2h, 1d.")
@data_option
@click.pass_obj
def replace(access: Access, name: str, valid: str) -> None:
    """Print the line with which a machine that was made anew joins in the place of node NAME.

    Its devices are lost with it: on the new one 'drystone device add PATH --in-place-of N' for each.
    """
    click.echo(make_token(access.folder, parse_time(valid), name))
