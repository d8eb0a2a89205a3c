"""Trunks: ports through which a server has several networks, each with a VLAN tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import each, record_codec


class SubPort(NamedTuple):
    """What has a tag on a trunk."""

    port_id: str
    segmentation_type: str
    segmentation_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk(Standard):
    """`port_id` is the parent: what it sends without a tag is on its own network."""

    port_id: str
    admin_state_up: bool = True
    sub_ports: tuple[SubPort, ...] = ()


TRUNK_CODEC: Final = record_codec("trunk", Trunk, sub_ports=each(SubPort))
