"""Tracked connections: those that nothing lets through any more are deleted, the others go on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import structlog

from compute_plugin.networks.agent.running import run
from compute_plugin.networks.plan.judge import Connection, Judge
from compute_plugin.networks.plan.protocols import ICMP, ICMPV6
from compute_plugin.networks.plan.wiring import Wiring
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records

_WORD: Final = re.compile(r"(src|dst|sport|dport|type|code|id|zone)=(\S+)")
ZONES_ALONE: Final = 2
_log = structlog.get_logger(__name__)


async def cut(zones: Mapping[int, set[str]], wiring: Wiring, records: Records) -> int:
    """Judge the connections of some addresses by the records; how many were deleted."""
    judge = Judge(records)
    ports = _ports(wiring, records)
    gone: list[Connection] = []
    for family in (4, 6):
        concerned = {zone for zone, held in zones.items() if any((":" in one) == (family == 6) for one in held)}
        for one in await _tracked(concerned, family):
            addresses = zones.get(one.zone, set())
            if one.source not in addresses and one.target not in addresses:
                continue
            source, target = ports.get((one.zone, one.source)), ports.get((one.zone, one.target))
            known = source is not None or target is not None
            if not known or not judge.lets_through(one, source, target):
                gone.append(one)
    await _delete(gone)
    return len(gone)


def _ports(wiring: Wiring, records: Records) -> dict[tuple[int, str], Port]:
    found: dict[tuple[int, str], Port] = {}
    for plug in wiring.plugs.values():
        port = records.ports.get(plug.port)
        if port is not None:
            found |= {(wiring.zones.get(plug.network, 0), address): port for address in plug.addresses}
    return found


async def _tracked(zones: Collection[int], family: int) -> list[Connection]:
    """Those of some zones; of others, too, where asking for all is less work."""
    each = [["-w", str(zone)] for zone in zones] if len(zones) <= ZONES_ALONE else [[]]
    found: list[Connection] = []
    for where in each:
        ended = await run(["conntrack", "-L", "-f", f"ipv{family}", *where])
        found += [one for one in (parse(text, family) for text in ended.output.splitlines()) if one is not None]
    return found


def parse(text: str, family: int) -> Connection | None:
    """A line of `conntrack -L`. What is said twice is said first as the connection was begun."""
    words = text.split()
    if len(words) < 3 or not words[1].isdigit():
        return None
    said: dict[str, str] = {}
    for name, value in _WORD.findall(text):
        said.setdefault(name, value)
    if "src" not in said or "dst" not in said:
        return None
    protocol = int(words[1])
    is_icmp = protocol in (ICMP, ICMPV6)
    return Connection(
        int(said.get("zone", "0")),
        family,
        protocol,
        str(ipaddress.ip_address(said["src"])),
        str(ipaddress.ip_address(said["dst"])),
        _number(said.get("sport")),
        _number(said.get("type" if is_icmp else "dport")),
        _number(said.get("code")),
        _number(said.get("id")),
    )


def line(one: Connection) -> str:
    """For `conntrack --load-file`: deletes a connection."""
    words = [f"-D -f ipv{one.family} -w {one.zone} -p {one.protocol} --orig-src {one.source} --orig-dst {one.target}"]
    if one.protocol in (ICMP, ICMPV6):
        name = "icmp" if one.protocol == ICMP else "icmpv6"
        words.append(f"--{name}-type {one.target_port} --{name}-code {one.code} --{name}-id {one.identity}")
    elif one.source_port is not None and one.target_port is not None:
        words.append(f"--orig-port-src {one.source_port} --orig-port-dst {one.target_port}")
    return " ".join(words)


async def _delete(connections: Iterable[Connection]) -> None:
    lines = [line(one) for one in connections]
    if not lines:
        return
    ended = await run(["conntrack", "--load-file", "-"], "".join(f"{one}\n" for one in lines))
    if ended.status != 0:
        _log.warning("connections that were revoked could not all be deleted", errors=ended.errors[-500:])


def _number(text: str | None) -> int | None:
    return int(text) if text is not None else None
