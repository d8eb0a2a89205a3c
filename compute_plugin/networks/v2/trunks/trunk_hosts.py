"""Sub-ports are where their parent is: whoever plugs the parent in has plugged them in, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.trunk import Trunk
from compute_plugin.networks.v2.frame.view import Change

SUB_PORT: Final = "trunk:subport"
"""The owner of a sub-port whose parent is on a host."""


def place_sub_ports(change: Change, trunk: Trunk) -> None:
    """On the host of the parent; on none where that is on none."""
    parent = change.records.ports.get(trunk.port_id)
    host = parent.host if parent is not None else ""
    for one in trunk.sub_ports:
        _place(change, one.port_id, host, SUB_PORT if host else "")


def follow_parent(change: Change, before: Port, after: Port) -> None:
    """A port has another host: its trunk's sub-ports have, too."""
    if before.host != after.host:
        for trunk in change.records.trunks.by("port", after.id):
            place_sub_ports(change, trunk)


def release_sub_ports(change: Change, ports: Iterable[str]) -> None:
    """Ports that are part of a trunk no more are nowhere."""
    for port_id in ports:
        _place(change, port_id, "", "")


def _place(change: Change, port_id: str, host: str, owner: str) -> None:
    port = change.records.ports.get(port_id)
    if port is not None and (port.host, port.device_owner) != (host, owner):
        change.put(change.records.ports, replace(port, host=host, device_owner=owner))
