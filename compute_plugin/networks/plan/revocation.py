"""Whose connections have to be judged anew when one plan takes the place of another. Pure."""

from __future__ import annotations

import re

from compute_plugin.networks.plan.marks import hexadecimal
from compute_plugin.networks.plan.nft_script import entries, named
from compute_plugin.networks.plan.ruleset import Map, Table
from compute_plugin.networks.plan.wiring import Plug, Wiring

_SET = re.compile(r"@([0-9A-Za-z_-]+)")
_CALLED = re.compile(r"\b(?:jump|goto) ([0-9A-Za-z_-]+)")


def concerned(before: Wiring | None, after: Wiring) -> dict[int, set[str]]:
    """By zones: addresses of ports that may have lost something. None before: nothing is known, so all of them."""
    found: dict[int, set[str]] = {}
    for wiring in (before, after) if before is not None else (after,):
        for link, plug in wiring.plugs.items():
            zone = wiring.zones.get(plug.network, 0)
            if before is None or _plug(before, link) != _plug(after, link):
                found.setdefault(zone, set()).update(plug.addresses)
    if before is None:
        return found
    old, new = _inet(before), _inet(after)
    if old is None or new is None or old is new:
        return found
    lost = _lost_chains(old, new)
    old_ways, new_ways = _ways(old), _ways(new)
    for link, plug in after.plugs.items():
        number = hexadecimal(plug.number)
        if link in before.plugs and (old_ways.get(number) != new_ways.get(number) or old_ways.get(number) in lost):
            found.setdefault(after.zones.get(plug.network, 0), set()).update(plug.addresses)
    return found


def _plug(wiring: Wiring, link: str) -> tuple[Plug, int] | None:
    """And the zone of its connections."""
    plug = wiring.plugs.get(link)
    return (plug, wiring.zones.get(plug.network, 0)) if plug is not None else None


def _inet(wiring: Wiring) -> Table | None:
    return next((table for table in wiring.host.tables if table.family == "inet"), None)


def _ways(table: Table) -> dict[str, str]:
    """By numbers of ports: the chain that judges what they send. That of what they get says the same of them."""
    found = named(table).get("egress")
    return dict(found.elements) if isinstance(found, Map) else {}


def _lost_chains(old: Table, new: Table) -> set[str]:
    """Chains, as maps name them, that let less through than before, themselves or by what they call."""
    kept = {chain.name: set(chain.rules) for chain in new.chains}
    held, left = named(old), named(new)
    sets = {
        name
        for name, one in held.items()
        if name not in left or (left[name] is not one and not entries(one).items() <= entries(left[name]).items())
    }
    lost = {
        chain.name
        for chain in old.chains
        if not set(chain.rules) <= kept.get(chain.name, set())
        or any(name in sets for rule in chain.rules for name in _SET.findall(rule))
    }
    called = {chain.name: {name for rule in chain.rules for name in _CALLED.findall(rule)} for chain in old.chains}
    lost |= {name for name, names in called.items() if names & lost}
    return {f"goto {name}" for name in lost} | {
        f"goto from-{name.removeprefix('to-')}" for name in lost if name.startswith("to-")
    }
