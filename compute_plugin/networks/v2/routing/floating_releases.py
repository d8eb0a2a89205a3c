"""What becomes of floating addresses when what they stand for, or the network that they are on, goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.port import Port
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import FloatingIp, PortForwarding
from compute_plugin.networks.records.store import ROOM
from compute_plugin.networks.v2.frame.view import Change


def release_port(change: Change, port: Port) -> None:
    """The port goes: floating addresses stand for nothing from then on, and its port forwardings go with it. Raises
    InUseError where somebody else's floating address stands for it."""
    records = change.records
    for floating in records.floating_ips.by("port", port.id):
        if not change.is_trusted and floating.project_id != change.project:
            raise InUseError(
                "FipAssociated",
                f"Unable to complete the operation on port {port.id} because the port still has an associated floating "
                "IP.",
            )
        change.put(records.floating_ips, replace(floating, port_id=None, fixed_ip=None, router_id=None))
    drop_forwardings(change, records.port_forwardings.by("port", port.id))


def release_addresses(change: Change, after: Port) -> None:
    """Port forwardings to addresses that the port has no longer go."""
    held = {one.address for one in after.fixed_ips}
    forwardings = change.records.port_forwardings.by("port", after.id)
    drop_forwardings(change, (one for one in forwardings if one.internal_ip not in held))


def drop_forwardings(change: Change, forwardings: Iterable[PortForwarding]) -> None:
    """A floating address whose last port forwarding goes is free for anything."""
    records = change.records
    for one in forwardings:
        records.port_forwardings.delete(one.id)
        floating = records.floating_ips.get(one.floating_ip_id)
        if floating is not None and not records.port_forwardings.has("floating_ip", floating.id):
            change.put(records.floating_ips, replace(floating, router_id=None))


def thin_out_forwardings(change: Change, port: Port) -> bool:
    """See `Collection.thin_out`. Each may be the last one of its floating address."""
    forwardings = change.records.port_forwardings.by("port", port.id)
    drop_forwardings(change, forwardings[: ROOM // 2] if len(forwardings) > ROOM // 2 else ())
    return len(forwardings) > ROOM // 2


def drop_floating(change: Change, floating: FloatingIp) -> None:
    """With its own port outside."""
    change.records.ports.delete(floating.floating_port_id)
    change.records.floating_ips.delete(floating.id)


def idle(records: Records, network: Network) -> list[FloatingIp]:
    """Those that stand for nothing, which a network takes along that goes."""
    held = records.floating_ips.by("network", network.id)
    return [one for one in held if one.port_id is None and one.router_id is None]
