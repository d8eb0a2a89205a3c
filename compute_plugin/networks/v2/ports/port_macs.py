"""MAC addresses of ports: one on a network is one machine's."""

from __future__ import annotations

from typing import Final

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.v2.frame.view import Change

BASE: Final = "fa:16:3e"
"""The first half of all that are made here, as everywhere in OpenStack."""


def free_mac(change: Change, network_id: str) -> str:
    """One that nobody on the network has."""
    while True:
        digits = change.new_id()[-6:]
        mac = ":".join((BASE, digits[:2], digits[2:4], digits[4:]))
        if not change.records.ports.has("mac", (network_id, mac)):
            return mac


def require_free_mac(records: Records, network_id: str, mac: str) -> None:
    """Raises InUseError."""
    if records.ports.has("mac", (network_id, mac)):
        raise InUseError(
            "MacAddressInUse",
            f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
        )
