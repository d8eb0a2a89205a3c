"""Servers as clients see them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from compute_plugin.lifecycle.status import status_of, task_state
from compute_plugin.networks.records.records import Records as NetworkRecords
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.scheduling.hosts import zone_of
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.servers.addresses import plain_addresses, shown_addresses, shown_groups

DELETE_ON_TERMINATION: Final = 3
LOCKED: Final = 9
HOST_STATUS: Final = 16
DESCRIPTION: Final = 19
TAGS: Final = 26
FLAVOR_INSIDE: Final = 47
CERTIFICATES: Final = 63
GROUPS: Final = 71
LOCKED_REASON: Final = 73
REBUILT: Final = 75
HOSTNAME: Final = 90
PINNED_ZONE: Final = 96
PROGRESS: Final = frozenset({"ACTIVE", "BUILD", "PASSWORD", "REBUILD", "RESIZE", "REBOOT", "HARD_REBOOT", "MIGRATING"})
FAULTS: Final = frozenset({"ERROR", "DELETED"})


@dataclass(frozen=True, slots=True)
class Sight:
    """What one request sees servers by."""

    call: Call
    records: Records
    networks: NetworkRecords
    attributes: bool
    """Whether it may see where servers are."""
    host_status: bool
    unknown_only: bool
    flavor_specs: bool
    """Whether it may see extra specs of flavors."""


async def sight_of(call: Call, project: str) -> Sight:
    """Of servers of a project, in most requests the caller's."""
    target = of(project)
    return Sight(
        call,
        await call.records(),
        call.service.network_records(),
        attributes=await call.may("os_compute_api:os-extended-server-attributes", target),
        host_status=await call.may("os_compute_api:servers:show:host_status", target),
        unknown_only=await call.may("os_compute_api:servers:show:host_status:unknown-only", target),
        flavor_specs=await call.may("os_compute_api:servers:show:flavor-extra-specs", target),
    )


def brief(call: Call, server: Server) -> dict[str, Any]:
    """As in a plain list."""
    return {"id": server.id, "name": server.name, "links": call.links(f"servers/{server.id}")}


def whole(sight: Sight, server: Server, *, single: bool = False, rebuilt: bool = False) -> dict[str, Any]:
    """All of it. `single`: as asked for by its id, not in a list. `rebuilt`: as answered to a rebuild or a change,
    which leave out some of it before microversion 2.75."""
    call = sight.call
    status = status_of(server)
    shown: dict[str, Any] = {
        **brief(call, server),
        "status": status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": dict(server.metadata),
        "hostId": host_id(server),
        "image": _image(call, server),
        "flavor": _flavor(sight, server),
        "created": _second(server.created_us),
        "updated": _second(server.updated_us),
        "addresses": shown_addresses(sight.networks, server),
        "accessIPv4": server.access4,
        "accessIPv6": server.access6,
        "OS-DCF:diskConfig": "AUTO" if server.auto_disk else "MANUAL",
    }
    if status in FAULTS and server.fault is not None:
        shown["fault"] = _fault(sight, server)
    elif status in PROGRESS:
        shown["progress"] = server.progress
    if call.since(DESCRIPTION):
        shown["description"] = server.description
    if call.since(LOCKED):
        shown["locked"] = bool(server.locked)
    if call.since(LOCKED_REASON):
        shown["locked_reason"] = server.locked_reason
    if call.since(TAGS):
        shown["tags"] = sorted(server.tags)
    if call.since(CERTIFICATES):
        shown["trusted_image_certificates"] = (
            list(server.trusted_certificates) if server.trusted_certificates is not None else None
        )
    if call.since(GROUPS) and (single or rebuilt):
        shown["server_groups"] = [server.group_id] if server.group_id else []
    if rebuilt and not call.since(REBUILT):
        return {**shown, "addresses": plain_addresses(sight.networks, server)}
    shown |= {
        "OS-EXT-AZ:availability_zone": _zone(sight, server),
        "config_drive": "True" if server.config_drive else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": time_of(server.launched_us),
        "OS-SRV-USG:terminated_at": time_of(server.terminated_us),
        "OS-EXT-STS:task_state": task_state(server),
        "OS-EXT-STS:vm_state": str(server.state),
        "OS-EXT-STS:power_state": server.power,
        "os-extended-volumes:volumes_attached": [
            {"id": disk.volume_id}
            | ({"delete_on_termination": disk.delete_on_termination} if call.since(DELETE_ON_TERMINATION) else {})
            for disk in server.disks
            if disk.volume_id
        ],
    }
    if groups := shown_groups(sight.networks, server):
        shown["security_groups"] = groups
    if sight.attributes:
        shown |= _attributes(call, server)
    elif call.since(HOSTNAME):
        shown["OS-EXT-SRV-ATTR:hostname"] = server.hostname
    if call.since(HOST_STATUS) and (status_ := host_status(sight, server)) is not None:
        shown["host_status"] = status_
    if call.since(PINNED_ZONE):
        shown["pinned_availability_zone"] = server.zone or None
    return shown


def host_id(server: Server) -> str:
    """The same for a project's servers on one host, and telling nobody which that is."""
    return host_id_of(server.project_id, server.host) if server.host else ""


def host_id_of(project: str, host: str) -> str:
    """What a project is told of a host."""
    return hashlib.sha224((project + host).encode()).hexdigest()


def host_status(sight: Sight, server: Server) -> str | None:
    """Whether its host is up; None where the caller may not know."""
    if not (sight.host_status or sight.unknown_only):
        return None
    if not server.host:
        return "" if sight.host_status else None
    note = sight.records.host_notes.get(server.host)
    living = sight.call.service.states.states.hosts.get(server.host) is not None
    if note is not None and note.forced_down:
        found = "DOWN"
    elif not living:
        found = "UNKNOWN"
    else:
        found = "MAINTENANCE" if note is not None and note.disabled else "UP"
    return found if sight.host_status or found == "UNKNOWN" else None


def _attributes(call: Call, server: Server) -> dict[str, Any]:
    prefix = "OS-EXT-SRV-ATTR:"
    shown: dict[str, Any] = {
        f"{prefix}host": server.host or None,
        f"{prefix}hypervisor_hostname": server.host or None,
        f"{prefix}instance_name": f"instance-{server.number:08x}",
    }
    if call.since(3):
        root = next((disk for disk in server.disks if disk.boot_index == 0), None)
        shown |= {
            f"{prefix}reservation_id": server.reservation_id,
            f"{prefix}launch_index": server.index,
            f"{prefix}hostname": server.hostname,
            f"{prefix}kernel_id": server.image_properties.get("kernel_id", ""),
            f"{prefix}ramdisk_id": server.image_properties.get("ramdisk_id", ""),
            f"{prefix}root_device_name": f"/dev/{root.target}" if root is not None else None,
            f"{prefix}user_data": server.user_data or None,
        }
    return shown


def _image(call: Call, server: Server) -> Any:
    if not server.image_id:
        return ""
    href = f"{call.bookmark}/images/{server.image_id}"
    return {"id": server.image_id, "links": [{"rel": "bookmark", "href": href}]}


def _flavor(sight: Sight, server: Server) -> dict[str, Any]:
    flavor = server.flavor
    if not sight.call.since(FLAVOR_INSIDE):
        href = f"{sight.call.bookmark}/flavors/{flavor.id}"
        return {"id": flavor.id, "links": [{"rel": "bookmark", "href": href}]}
    shown: dict[str, Any] = {
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": flavor.ephemeral,
        "swap": flavor.swap,
        "original_name": flavor.name,
    }
    return shown | {"extra_specs": flavor.extra_specs} if sight.flavor_specs else shown


def _fault(sight: Sight, server: Server) -> dict[str, Any]:
    fault = server.fault
    assert fault is not None
    shown: dict[str, Any] = {"code": fault.code, "created": _second(fault.created_us), "message": fault.message}
    return shown | {"details": fault.details} if fault.details and sight.attributes else shown


def _zone(sight: Sight, server: Server) -> str:
    if not server.host:
        return server.zone if server.state is VmState.OFFLOADED else ""
    return zone_of(tuple(sight.records.aggregates.by("host", server.host)), sight.call.service.settings)


def _second(us: int) -> str:
    return (time_of(us - us % 1_000_000) or "").partition(".")[0] + "Z"
