"""What ports have to do with trunks."""

from __future__ import annotations

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.collection import Row


def trunk_details(records: Records, port: Port) -> Row | None:
    """What is shown of a parent: whoever plugs it in has to know the tags. None for any other port."""
    found = records.trunks.by("port", port.id)
    if not found:
        return None
    rows: list[Row] = []
    for one in found[0].sub_ports:
        sub = records.ports.get(one.port_id)
        rows.append(
            {
                "port_id": one.port_id,
                "segmentation_type": one.segmentation_type,
                "segmentation_id": one.segmentation_id,
                "mac_address": sub.mac if sub is not None else "",
            }
        )
    return {"trunk_id": found[0].id, "sub_ports": rows}


def require_no_trunk(records: Records, port: Port) -> None:
    """A port that is to go. Raises InUseError."""
    for trunk in records.trunks.by("sub_port", port.id):
        raise InUseError("PortInUseAsSubPort", f"Port {port.id} is currently a subport for trunk {trunk.id}.")
    for trunk in records.trunks.by("port", port.id):
        raise InUseError("PortInUseAsTrunkParent", f"Port {port.id} is currently a parent port for trunk {trunk.id}.")
