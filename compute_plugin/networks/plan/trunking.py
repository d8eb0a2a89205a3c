"""Trunks: through a server's port come frames of other networks, too, each with a tag.

A sub-port is plugged in by a VLAN link on its parent's plug: the kernel hands it what has its tag before the parent's
bridge sees it. From there on it is a port as any other, of its own network, guarded by its own addresses and groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compute_plugin.networks.plan import names
from compute_plugin.networks.records.network import VLAN
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records


@dataclass(frozen=True, slots=True)
class Tagged:
    """How a sub-port is plugged in."""

    plug: str
    """Its parent's link."""
    number: int
    up: bool
    """Whether the parent lets anything pass: with it down, all that is tagged is."""


def tagged_ports(records: Records, ports: Iterable[Port], problems: dict[str, str]) -> dict[str, Tagged]:
    """Of some ports those that are sub-ports, by ids. `problems`: gets those that cannot be plugged in, and why."""
    found: dict[str, Tagged] = {}
    if not len(records.trunks):
        return found
    for port in ports:
        for trunk in records.trunks.by("sub_port", port.id):
            parent = records.ports.get(trunk.port_id)
            said = next(one for one in trunk.sub_ports if one.port_id == port.id)
            network = records.networks.get(parent.network_id) if parent is not None else None
            if parent is None or network is None or parent.host != port.host:
                problems[port.id] = "the parent of its trunk is not on its host"
            elif said.segmentation_type != VLAN or not 1 <= said.segmentation_id <= 4094:
                problems[port.id] = f"no tag: {said.segmentation_type[:32]!r} {said.segmentation_id}"
            else:
                up = parent.admin_state_up and network.admin_state_up
                found[port.id] = Tagged(names.plug(parent.id), said.segmentation_id, up)
    return found


def plug_of(records: Records, port: str) -> str:
    """The name of the link of a port, by its id."""
    return names.sub_plug(port) if records.trunks.has("sub_port", port) else names.plug(port)


def link_of(port: Port, tagged: Mapping[str, Tagged]) -> str:
    """The name of a server's port's link."""
    return names.sub_plug(port.id) if port.id in tagged else names.plug(port.id)
