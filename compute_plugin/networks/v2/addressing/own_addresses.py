"""Addresses that machines make themselves, of all ports of a network: more than one change has room for.

A subnet that gives such addresses is there first, and its ports have them as soon as it is answered that it was made. A
process that dies between leaves ports without: the next that starts gives them theirs (`complete`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from compute_plugin.networks.addresses.eui64 import eui64_address
from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import DHCP, FixedIp, Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.store import ROOM, NetworkStore
from compute_plugin.networks.v2.addressing.subnet_kinds import is_automatic, is_for, makes_own
from store.core.clock import Clock


def _lacking(records: Records, subnet: Subnet) -> Iterator[tuple[Port, FixedIp]]:
    """Ports that have to have an address of a subnet, with it. Not where a router was given it meanwhile: the machine
    cannot use it then."""
    for port in records.ports.by("network", subnet.network_id):
        owner = port.device_owner
        if owner != DHCP and makes_own(subnet, owner) and is_for(subnet, owner):
            own = FixedIp(subnet.id, eui64_address(subnet.cidr, port.mac))
            if not records.ports.has("address", own):
                yield port, own


def give_some(records: Records, subnet_id: str, now_us: int) -> bool:
    """Give them, as far as the change has room. Whether some still lack theirs."""
    subnet = records.subnets.get(subnet_id)
    if subnet is None or not is_automatic(subnet):
        return False
    for port, own in _lacking(records, subnet):
        if records.changed() >= ROOM:
            return True
        after = replace(port, fixed_ips=(*port.fixed_ips, own), revision=port.revision + 1, updated_us=now_us)
        records.ports.put(after)
    return False


async def complete(store: NetworkStore, clock: Clock) -> None:
    """Of all subnets, once: others may be about to delete one. Raises RetryableError."""
    records = await store.fresh()
    for subnet in [one for one in records.subnets if is_automatic(one)]:
        lacking = sum(1 for _ in _lacking(records, subnet))
        for _ in range(0, lacking, ROOM):
            await store.change(partial(give_some, subnet_id=subnet.id, now_us=clock.wall_us()))
