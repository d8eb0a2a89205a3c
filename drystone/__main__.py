"""`drystone`: the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from drystone.access import Access, data_option
from drystone.control_client import read_status, start_scrub
from drystone.folder import DataFolder
from drystone.lazy_group import Lazy, LazyGroup
from drystone.status import describe
from store.core.errors import DrystoneError

COMMANDS = {
    "up": Lazy("drystone.up:up", "Start the whole cloud on this machine."),
    "ring": Lazy("drystone.ring_commands:ring_group", "Devices, weights, and what lives where."),
    "user": Lazy("drystone.identity_commands:user_group", "Who may log in, and with which roles in which projects."),
    "auth": Lazy("drystone.auth_commands:auth_group", "Logins by others' word: OpenID providers."),
    "keys": Lazy("drystone.key_commands:key_group", "The keys that tokens, and stored secrets, are sealed with."),
    "policy": Lazy("drystone.policy_commands:policy_group", "Who may do what, and changes of that."),
    "project": Lazy("drystone.identity_commands:project_group", "What owns accounts, volumes and servers."),
    "device": Lazy("drystone.device_commands:device", "Make a device, check it, or look into it."),
    "cluster": Lazy("drystone.cluster_commands:cluster", "Make one cluster of several machines."),
    "join": Lazy("drystone.cluster_commands:join", "Make this machine a node of a cluster."),
    "node": Lazy("drystone.node_commands:node", "The machines of the cluster: list, empty, remove, replace them."),
    "volume": Lazy("drystone.volume_commands:volume", "Virtual disks: make, list, grow, delete them, and their URIs."),
    "network": Lazy("drystone.network_commands:network", "What is wired where, and the way of a packet through it."),
    "registry": Lazy(
        "drystone.recover_command:registry", "Back up the small state that all agree on, or make it anew."
    ),
}


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="drystone")
@click.option(
    "--data",
    default="data",
    show_default=True,
    envvar="DRYSTONE_DATA",
    type=click.Path(file_okay=False),
    help="The data folder: everything that is kept, in one place.",
)
@click.pass_context
def main(context: click.Context, data: str) -> None:
    """A storage-first cloud.

    \b
    drystone up                 start everything in ./data on http://127.0.0.1:8080
    drystone status             what is running, and how it is
    drystone user add alice --project music
    drystone ring show          where things live
    """
    context.obj = Access(DataFolder(data))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@data_option
@click.pass_obj
def status(access: Access, as_json: bool) -> None:
    """What is running, how its devices are, and what its loops are doing."""
    found: dict[str, Any] = read_status(access.folder)
    click.echo(json.dumps(found, indent=2) if as_json else describe(found))


@main.command()
@data_option
@click.pass_obj
def scrub(access: Access) -> None:
    """Read and verify everything now; what is bad or missing is repaired. 'drystone status' shows how far it is.

    The running process does this by itself every two weeks.
    """
    start_scrub(access.folder)
    click.echo("Scrubbing has begun; see the loops 'scrub' and 'repair' in 'drystone status'.")


def run() -> None:
    """The entry point: errors that are expected become one line and exit status 1."""
    try:
        main(standalone_mode=True)
    except DrystoneError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    run()
