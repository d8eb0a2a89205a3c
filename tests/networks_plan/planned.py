"""A wiring as `ip`, `bridge` and `nft` would tell it once it is there: for walks through what is only planned.

Of tables there are the chains, so that the way says where it is asked, and what routers translate.
"""

from __future__ import annotations

import ipaddress
from itertools import count
from typing import Any

from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import HOST, Bridge, Link, Space, Veth, Vxlan, Wiring
from compute_plugin.networks.trace.hosts import SeenHost

Row = dict[str, Any]


def planned_host(name: str, wiring: Wiring) -> SeenHost:
    numbers = count(1)
    indexes = {(space.name, link.name): next(numbers) for space in wiring.spaces for link in space.links}
    ends: dict[tuple[str, str], tuple[str, str]] = {}
    for link in wiring.host.links:
        if isinstance(link.form, Veth):
            here, there = (HOST, link.name), (link.form.space, link.form.peer)
            ends |= {here: there, there: here}
    told = {space.name: _space(space, indexes, ends) for space in wiring.spaces}
    return SeenHost(name, {"spaces": told})


def _space(space: Space, indexes: dict[Any, int], ends: dict[Any, Any]) -> Row:
    return {
        "links": [_link(space.name, link, indexes, ends) for link in space.links],
        "routes": [
            *({"dst": one.destination, "gateway": one.via, "dev": one.link} for one in space.routes),
            *({"dst": _network(one), "dev": link.name} for link in space.links for one in link.addresses),
        ],
        "fdb": [
            *({"mac": mac, "ifname": link.name, "master": link.master} for link in space.links for mac in link.macs),
            *(
                {"mac": mac, "ifname": link.name, "dst": host, "master": link.master}
                for link in space.links
                for mac, host in link.remotes
            ),
        ],
        "tables": [row for table in space.tables for row in _table(table)],
    }


def _network(address: str) -> str:
    return str(ipaddress.ip_interface(address).network)


def _link(space: str, link: Link, indexes: dict[Any, int], ends: dict[Any, Any]) -> Row:
    kind = {Bridge: "bridge", Vxlan: "vxlan", Veth: "veth"}.get(type(link.form), "")
    end = ends.get((space, link.name))
    return {
        "ifname": link.name,
        "ifindex": indexes[space, link.name],
        "link_index": indexes[end] if end is not None else 0,
        "address": link.mac or "",
        "flags": ["UP"] if link.up else [],
        "master": link.master or "",
        "addr_info": [
            {"local": one.partition("/")[0], "prefixlen": int(one.partition("/")[2])} for one in link.addresses
        ],
        "linkinfo": {"info_kind": kind, "info_data": {"id": getattr(link.form, "vni", 0)}},
    }


def _table(table: Table) -> list[Row]:
    rows: list[Row] = [
        {
            "chain": {
                "family": table.family,
                "table": table.name,
                "name": chain.name,
                "type": chain.hook.type,
                "hook": chain.hook.hook,
                "prio": chain.hook.priority,
                "policy": "accept",
            }
        }
        for chain in table.chains
        if chain.hook is not None
    ]
    for held in table.maps:
        if held.name in ("inwards", "outwards"):
            rows.append({"map": {"family": table.family, "table": table.name, "name": held.name,
                                 "elem": [list(pair) for pair in held.elements.items()]}})  # fmt: skip
            rows.append(_translation(table, held.name))
    return rows


def _translation(table: Table, name: str) -> Row:
    kind, field, chain = ("dnat", "daddr", "destinations") if name == "inwards" else ("snat", "saddr", "sources")
    looked_up = {"map": {"key": {"payload": {"protocol": "ip", "field": field}}, "data": f"@{name}"}}
    rule = {"family": table.family, "table": table.name, "chain": chain, "expr": [{kind: {"addr": looked_up}}]}
    return {"rule": rule}
