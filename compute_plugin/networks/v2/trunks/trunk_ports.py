"""Which ports may be part of a trunk, and what becomes of those that are."""

from __future__ import annotations

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.sights import seen
from compute_plugin.networks.v2.frame.view import Change
from compute_plugin.networks.v2.ports.ports import Ports


def require_parent(change: Change, port_id: str) -> Port:
    """A port that is nowhere yet. Raises MissingError, InUseError."""
    port = _own(change, port_id)
    _require_no_sub_port(change.records, port.id)
    if change.records.trunks.has("port", port.id) or port.host or port.device_owner.startswith("network:"):
        raise _parent_in_use(port.id)
    return port


def require_sub_port(change: Change, port_id: str, parent_id: str) -> Port:
    """A port that nobody uses. Raises MissingError, InUseError."""
    if port_id == parent_id:
        raise _parent_in_use(port_id)
    port = _own(change, port_id)
    _require_no_sub_port(change.records, port.id)
    if change.records.trunks.has("port", port.id):
        raise _parent_in_use(port.id)
    if port.device_id:
        raise InUseError(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
        )
    return port


def _own(change: Change, port_id: str) -> Port:
    port = seen(Ports(), change, port_id)
    if port.project_id != change.project and not change.is_admin:
        raise change.records.ports.missing(port_id)
    return port


def _require_no_sub_port(records: Records, port_id: str) -> None:
    if records.trunks.has("sub_port", port_id):
        raise InUseError("TrunkPortInUse", f"Port {port_id} is in use by another trunk.")


def _parent_in_use(port_id: str) -> InUseError:
    return InUseError(
        "ParentPortInUse", f"Port {port_id} is currently in use and is not eligible for use as a parent port."
    )
