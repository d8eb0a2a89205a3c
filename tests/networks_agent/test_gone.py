"""When everything is deleted, nothing is left on the host."""

from __future__ import annotations

import json
from functools import partial

from compute_plugin.networks.plan import names
from compute_plugin.networks.records.records import Records
from tests.networks_agent.cloud import Cloud, Host, until, until_async
from tests.networks_agent.routing import OUTSIDE, floating, lab, lan, lan6, router
from tests.networks_plan.made import Made

RUN = "/run/drystone/networks"
PROGRAMS = ("dnsmasq", "radvd")


def everything_goes(made: Made) -> None:
    """But for the groups, and servers' links, which whoever made them takes away."""
    records: Records = made.records
    for table in (records.floating_ips, records.ports, records.routers, records.subnets, records.networks):
        for one in list(table):
            table.delete(one.id)


def links(host: Host) -> dict[str, str]:
    """And what they are plugged into."""
    return {one["ifname"]: one.get("master", "") for one in json.loads(host.run("ip", "-j", "link"))}


def programs(host: Host) -> set[str]:
    """That run; nobody waits for those that have ended there."""
    rows = [one.split() for one in host.run("ps", "-e", "-o", "stat=,comm=").splitlines()]
    return {row[1] for row in rows if row[1] in PROGRAMS and row[0][0] != "Z"}


async def test_nothing_is_left_of_what_was_deleted(cloud: Cloud) -> None:
    made = await lab(cloud, 2)
    before = [links(host) for host in made.hosts]
    await made.change(
        partial(lan, name="net", number=1),
        partial(lan6, name="net", number=1),
        lambda records: records.dhcp("net", {"net 4": "10.1.0.2", "net 6": "fd00:1::2"}),
        lambda records: router(records, "net"),
        partial(floating, address="203.0.113.50", server="one", fixed="10.1.0.11"),
    )
    one = await made.guest("one", "net")
    two = await made.guest("two", "net", 12, made.hosts[1])
    await until_async(lambda: one.pings(OUTSIDE), cloud.said)
    await until_async(lambda: two.pings("10.1.0.11"), cloud.said)
    await until_async(lambda: made.outside.pings("203.0.113.50"), cloud.said)
    place = await made.place()
    await until(lambda: programs(place) == {*PROGRAMS}, cloud.said)
    await made.change(everything_goes)
    for host in made.hosts:
        await until(lambda host=host: not left(host), lambda host=host: f"{left(host)}\n{cloud.said()}")  # type: ignore[misc]
    await until(lambda: not [*cloud.states.states.ports, *cloud.states.states.routers], cloud.said)
    for guest in (one, two):
        guest.run("ip", "link", "delete", "eth0")
    assert [links(host) for host in made.hosts] == before


def left(host: Host) -> list[str]:
    """What there is of networks, as far as the agent makes it."""
    return [
        *(one for one, master in links(host).items() if names.is_ours(one) or master),
        *(one for one in host.run("ls", "/run/netns").split() if names.is_our_space(one)),
        *(one for one in host.run("nft", "list", "tables").splitlines() if "drystone" in one),
        *programs(host),
        *host.run("find", RUN, "-mindepth", "1").split(),
    ]
