"""Sub-ports of trunks, as clients say them and as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.network import VLAN
from compute_plugin.networks.records.trunk import SubPort, Trunk
from compute_plugin.networks.v2.frame.attributes import invalid, wrong
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.readers import WrongValueError, table, text, uuid, whole
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.trunks.trunk_ports import require_sub_port

INHERIT: Final = "inherit"
"""The tag that the port's network has itself."""
TAG_MAX: Final = 4094
MOST: Final = 1000


class SaidSubPort(NamedTuple):
    """What is None was not said."""

    port_id: str
    segmentation_type: str | None
    segmentation_id: int | None


def sub_ports(value: Any) -> tuple[SaidSubPort, ...]:
    """Of a list of them. Each port and each tag is there once."""
    if not isinstance(value, list) or len(value) > MOST:
        raise WrongValueError(f"Invalid data format for subports: '{value}' is not a list of at most {MOST}")
    fields = {"port_id": uuid, "segmentation_type": text(32), "segmentation_id": whole(0, TAG_MAX)}
    read = table(fields, ("port_id",))
    found = []
    for one in value:
        held = read(one)
        found.append(SaidSubPort(held["port_id"], held.get("segmentation_type"), held.get("segmentation_id")))
    if len({one.port_id for one in found}) < len(found):
        raise WrongValueError("Invalid data format for subports: a port is named twice")
    tags = [one[1:] for one in found if one.segmentation_id is not None]
    if len(set(tags)) < len(tags):
        raise WrongValueError("Invalid data format for subports: a segmentation_id is named twice")
    return tuple(found)


def said_sub_ports(body: Row) -> tuple[SaidSubPort, ...]:
    """Of the body of an action. Raises BadRequestError."""
    try:
        return sub_ports(body.get("sub_ports"))
    except WrongValueError as error:
        raise wrong("sub_ports", str(error)) from error


def shown_sub_ports(trunk: Trunk) -> list[Row]:
    return [
        {
            "port_id": one.port_id,
            "segmentation_type": one.segmentation_type,
            "segmentation_id": one.segmentation_id,
        }
        for one in trunk.sub_ports
    ]


def added(change: Change, trunk: Trunk, said: Sequence[SaidSubPort]) -> tuple[SubPort, ...]:
    """Those that a trunk has, with those that are said. Raises what the client is to be told."""
    found = list(trunk.sub_ports)
    tags = {one.segmentation_id for one in found}
    parent = change.records.ports.require(trunk.port_id)
    most = change.records.networks.require(parent.network_id).mtu
    for one in said:
        port = require_sub_port(change, one.port_id, trunk.port_id)
        network = change.records.networks.require(port.network_id)
        if network.mtu > most:
            raise InUseError(
                "SubPortMtuGreaterThanTrunkPortMtu",
                f"MTU {network.mtu} of subport {port.id} cannot be greater than MTU {most} of trunk {trunk.id}.",
            )
        tag = _tag(one, network.network_type, network.segmentation_id)
        if tag in tags:
            raise InUseError(
                "DuplicateSubPort",
                f"segmentation_type {VLAN} and segmentation_id {tag} already in use on trunk {trunk.id}.",
            )
        tags.add(tag)
        found.append(SubPort(port.id, VLAN, tag))
    return tuple(found)


def _tag(said: SaidSubPort, network_type: str, number: int | None) -> int:
    kind, tag = said.segmentation_type, said.segmentation_id
    if kind == INHERIT:
        kind, tag = network_type, number
    if kind is None or tag is None:
        raise invalid(
            f"Invalid subport details '{said.port_id}': missing segmentation information. Must specify both "
            "segmentation_id and segmentation_type"
        )
    if kind != VLAN:
        raise invalid(f"Unknown segmentation_type '{kind}'")
    if not 1 <= tag <= TAG_MAX:
        raise invalid(f"Segmentation ID '{tag}' is not in range")
    return tag
