"""`drystone network`: what is wired where, and the way of a packet through it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import click

from drystone.access import Access, data_option
from drystone.asking import answer, asked
from drystone.network_clear import clear


@click.group()
def network() -> None:
    """What of networks is wired on which host, and the way of a packet through it.

    Networks are made with 'openstack network create' and the like; here is what has come of them.
    """


network.add_command(clear)


@network.command()
@click.option("--drops", is_flag=True, help="Instead, how many packets were dropped on this machine, and why.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@data_option
@click.pass_obj
def show(access: Access, drops: bool, as_json: bool) -> None:
    """Hosts, the ports that are plugged in there, the routers that they have, and what is wrong."""
    if drops:
        _show_drops(asked(access, lambda folder: answer(folder, "/networks/drops")), as_json)
        return
    rows = asked(access, lambda folder: answer(folder, "/networks/hosts"))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        raise click.ClickException("No host wires networks. That wants root: see 'drystone up --help'.")
    for row in rows:
        _show_host(row)


def _show_drops(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['reason']:<20} {row['packets']:>10} packets {row['octets']:>12} bytes")
    if not rows:
        click.echo("Nothing is wired here.")


def _show_host(row: dict[str, Any]) -> None:
    up = sum(1 for one in row["ports"] if one["up"])
    where = f" at {row['address']}" if row["address"] else ""
    wires = f", physical networks {', '.join(row['physical_networks'])}" if row["physical_networks"] else ""
    click.echo(f"{row['host']}{where}: {up} ports wired, {len(row['routers'])} routers{wires}")
    for problem in (*row["problems"], *row["warnings"]):
        click.echo(f"  ! {problem}")
    for one in row["ports"]:
        if one["problem"] or not one["up"]:
            click.echo(f"  port {one['id']}: {one['problem'] or 'not wired'}")
    for router in row["routers"]:
        click.echo(f"  router {router}")


@network.command()
@click.argument("sender", metavar="A")
@click.argument("receiver", metavar="B")
@click.option("--protocol", default="icmp", show_default=True, help="icmp (an echo request), tcp, udp and the like.")
@click.option("--port", "number", default=0, type=click.IntRange(0, 65_535), help="That it is sent to.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@data_option
@click.pass_obj
def trace(access: Access, sender: str, receiver: str, protocol: str, number: int, as_json: bool) -> None:
    """The way that a packet from port A to B would take through what really is on the hosts, and where it ends.

    A is a port, by its id, name or address; B one, too, or any other address, such as a floating one. Nothing is sent.
    The links, bridges, routes and nftables of the hosts are read, whoever made them; a packet that is dropped says by
    which rule. Exits with 1 where it does not arrive.

    \b
    drystone network trace web db --protocol tcp --port 5432
    drystone network trace web 203.0.113.7
    """
    query = urlencode({"from": sender, "to": receiver, "protocol": protocol, "port": number})
    way = asked(access, lambda folder: answer(folder, f"/networks/trace?{query}"))
    if as_json:
        click.echo(json.dumps(way, indent=2))
    else:
        _show_way(way)
    if not way["arrives"]:
        raise SystemExit(1)


def _show_way(way: dict[str, Any]) -> None:
    place = ""
    for step in way["steps"]:
        here = f"{step['host']} {step['space']}".strip()
        if here != place:
            click.echo(here)
            place = here
        click.echo(f"  {step['link']:<15}  {step['text']}")
    if way["arrives"]:
        click.echo("It arrives.")
    elif way["dropped"]:
        click.echo(f"It does not arrive: {way['dropped']}.")
    else:
        click.echo(f"It arrives at {way['end']}, which is not where it was to go.")
