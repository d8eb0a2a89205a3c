"""`drystone cluster` and `drystone join`: how several machines become one cluster."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import trio

from drystone import logs
from drystone.access import Access, data_option
from drystone.cluster_init import check_init, init_cluster
from drystone.control_client import make_token
from drystone.etcd_node import client_url
from drystone.founding import DEVICES_DEFAULT, REPLICAS_DEFAULT, Wish, found, is_new
from drystone.founding import plan as plan_founding
from drystone.join_tokens import VALID_SECONDS, parse_token
from drystone.joining import Joined, Newcomer
from drystone.joining import join as join_cluster
from drystone.node_identity import NodeIdentity
from drystone.recovery import URL
from store.core.clock import SystemClock
from store.core.entropy import SystemRandom
from store.core.errors import DrystoneError, InvalidError
from store.core.network import SystemNetwork

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _placed(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say who a node is, and where it stands."""
    for option in (
        click.option("--machine", default=None, metavar="NAME", help="The machine.  [default: its host name]"),
        click.option(
            "--zone", type=click.IntRange(0), default=1, show_default=True, help="What fails together: a rack."
        ),
        click.option("--region", type=click.IntRange(0), default=1, show_default=True),
        click.option(
            "--listen", "address", required=True, metavar="ADDR:PORT", help="Where other nodes reach this one."
        ),
        click.option("--name", required=True, metavar="NAME", help="Of this node, like n1: unique in the cluster."),
    ):
        command = option(command)
    return command


@click.group()
def cluster() -> None:
    """Make one cluster of several machines.

    \b
    On the first machine:
        drystone cluster init --name n1 --listen 10.0.0.1:7400
        drystone up --listen 10.0.0.1:8080          (leave it running)
        drystone cluster token                      (prints the line for another machine)
    On each other:
        drystone join 10.0.0.1:7400 --token TOKEN --name n2 --listen 10.0.0.2:7400
        drystone up --listen 10.0.0.2:8080          (leave it running)
        drystone device add /mnt/disk1
    Then, on any, until nothing moves any more:
        drystone ring plan
        drystone ring apply
    """


@cluster.command()
@_placed
@click.option(
    "--devices",
    default=None,
    metavar="N",
    type=click.IntRange(1, 256),
    help=f"As of 'up'.  [default: {DEVICES_DEFAULT}]",
)
@click.option("--device", "paths", multiple=True, metavar="PATH", type=click.Path(file_okay=False), help="As of 'up'.")
@click.option(
    "--replicas",
    default=None,
    metavar="N",
    type=click.IntRange(1, 16),
    help=f"As of 'up': they cannot change later.  [default: {REPLICAS_DEFAULT}]",
)
@click.option("--policy", "policies", multiple=True, metavar="NAME=N|K+M", help="As of 'up'.")
@click.option(
    "--registry",
    type=click.Choice(["embedded", "etcd"]),
    default="embedded",
    show_default=True,
    help="Who keeps the ring, users and projects: this node, for all; or etcd on the first three nodes (at the two "
    "ports above that of --listen), which survives the loss of one of them.",
)
@data_option
@click.pass_obj
def init(
    access: Access,
    name: str,
    address: str,
    region: int,
    zone: int,
    machine: str | None,
    devices: int | None,
    paths: tuple[str, ...],
    replicas: int | None,
    policies: tuple[str, ...],
    registry: str,
) -> None:
    """Have this data folder be the first node of a cluster that others can join.

    A new folder is made as 'drystone up' would make it, with its devices. One that is in use goes on with all that it
    has; stop its process first. Other nodes reach this one at --listen, encrypted and with certificates of the cluster,
    whose authority is made here.
    """
    folder = access.folder
    identity = NodeIdentity(name, address, region, zone, machine or socket.gethostname(), name, address)
    if registry == "etcd":
        identity = replace(identity, registry="", registry_address="", etcd=(client_url(address),))
    wish = Wish(devices, paths, replicas, policies, region, zone, identity.machine)

    async def work() -> None:
        check_init(folder, identity)
        if is_new(folder):
            await found(folder, *plan_founding(folder, wish), URL)
        elif wish.paths or wish.devices or wish.replicas or wish.policies:
            raise InvalidError(f"{folder.path} is in use: its devices and policies stay as they are")
        await init_cluster(folder, identity, SystemClock())

    _run(work)
    click.echo(
        f"This is node {name} of a new cluster, reached at {address}. Next:\n"
        f"  drystone --data {folder.path} up --listen ADDR:PORT     for clients; leave it running\n"
        f"  drystone --data {folder.path} cluster token             for each machine that is to join"
    )


@cluster.command()
@click.option(
    "--valid",
    default=f"{VALID_SECONDS // 60}m",
    show_default=True,
    metavar="TIME",
    help="For so long: 30s, 10m, 2h, 1d.",
)
@data_option
@click.pass_obj
def token(access: Access, valid: str) -> None:
    """Print the line with which one machine may join, once.

    Whoever has it can become a node and read everything: hand it over like a password.
    """
    click.echo(make_token(access.folder, parse_time(valid), ""))


@click.command()
@click.argument("seed", metavar="ADDR:PORT")
@click.option("--token", "token_text", required=True, help="What 'drystone cluster token' printed there.")
@_placed
@click.option(
    "--replace",
    "takes_over",
    is_flag=True,
    help="In the place of a node of this name that is gone: it never comes back.",
)
@data_option
@click.pass_obj
def join(
    access: Access,
    seed: str,
    token_text: str,
    name: str,
    address: str,
    region: int,
    zone: int,
    machine: str | None,
    takes_over: bool,
) -> None:
    """Make this machine a node of the cluster whose node listens at ADDR:PORT.

    'drystone cluster token' there prints this line. The data folder must be new. Nothing is left of a join that fails:
    say it again when its reason is gone, with a new token if that was used.
    """
    logs.configure("auto", "error")
    newcomer = Newcomer(name, address, region, zone, machine or socket.gethostname(), takes_over)
    folder = access.folder

    async def work() -> Joined:
        return await join_cluster(folder, seed, parse_token(token_text), newcomer, SystemNetwork(), SystemRandom())

    joined = _run(work)
    if joined.trouble:
        click.echo(f"(The registry could not be told yet: {joined.trouble}. The first start does it.)", err=True)
    click.echo(
        f"This is node {name} now. Next:\n"
        f"  drystone --data {folder.path} up --listen ADDR:PORT     for clients; leave it running\n"
        f"  drystone --data {folder.path} device add PATH           for each disk, mounted and empty\n"
        f"  drystone --data {folder.path} ring plan                 what would move; then 'ring apply'"
    )


def _run(work: Callable[[], Any]) -> Any:
    try:
        return trio.run(work)
    except (DrystoneError, OSError) as error:
        raise click.ClickException(str(error)) from error


def parse_time(text: str) -> int:
    """Seconds. Raises ClickException for what is no time of a second to a day."""
    number, unit = text[:-1], text[-1:]
    seconds = int(number) * _UNITS[unit] if number.isascii() and number.isdigit() and unit in _UNITS else 0
    if not 1 <= seconds <= _UNITS["d"]:
        raise click.ClickException(f"{text!r} is no time of 1s to 1d, like 30s, 10m or 2h")
    return seconds
