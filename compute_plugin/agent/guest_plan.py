"""A server as its hypervisor has to know it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Any, Final

from compute_plugin.hypervisors.interface import Guest, GuestDisk, GuestNic
from compute_plugin.records.server import Server, ServerDisk

TAP: Final = "tap"
TAP_CHARACTERS: Final = 11
"""Of a port's id in the name of its tap: what the agent of networks looks for."""
SERIAL_CHARACTERS: Final = 20


def guest_of(
    server: Server,
    nics: Sequence[Mapping[str, Any]],
    *,
    folder: str,
    socket: str,
    config_drive: str = "",
    kernel: str = "",
    ramdisk: str = "",
) -> Guest:
    """`nics`: the ports of its network cards in their order, each with the `mtu` of its network. `config_drive`: the
    path of that, "" for none."""
    disks = disks_of(server, socket)
    if config_drive:
        bus = server.image_properties.get("hw_cdrom_bus", "sata" if _is_q35(server) else "ide")
        target = "hdd" if bus == "ide" else "sdz"
        disks.append(GuestDisk(target, file=config_drive, bus=bus, device="cdrom", read_only=True))
    return Guest(
        id=server.id,
        name=f"instance-{server.number:08x}",
        title=server.name,
        project_id=server.project_id,
        memory_mib=server.flavor.ram,
        vcpus=server.flavor.vcpus,
        disks=tuple(disks),
        nics=tuple(nic_of(server, port) for port in nics),
        folder=folder,
        kernel=kernel,
        ramdisk=ramdisk,
        command_line=server.image_properties.get("os_command_line", ""),
        properties=server.image_properties,
        extra_specs=server.flavor.extra_specs,
    )


def disks_of(server: Server, socket: str) -> list[GuestDisk]:
    """In the order of their boot indexes, those without one behind. Where it is rescued, what rescues it is the first,
    and called so: guests number disks in the order of their names, and systems look for theirs on the first."""
    found = list(server.disks)
    found.sort(key=lambda one: (one.boot_index is None or one.boot_index < 0, one.boot_index or 0))
    order = 0
    made: list[GuestDisk] = []
    for disk in [*([server.rescue_disk] if server.rescue_disk is not None else []), *found]:
        if not export_of(disk):
            continue
        boots = disk.boot_index is not None and disk.boot_index >= 0
        order += boots
        made.append(disk_of(disk, socket, order if boots else None))
    return made if server.rescue_disk is None else _named_anew(made)


def _named_anew(disks: list[GuestDisk]) -> list[GuestDisk]:
    """By their order, those of each bus."""
    counts: dict[str, int] = {}
    found = []
    for disk in disks:
        prefix = disk.target[:2]
        counts[prefix] = counts.get(prefix, 0) + 1
        found.append(replace(disk, target=f"{prefix}{ascii_lowercase[counts[prefix] - 1]}"))
    return found


def disk_of(disk: ServerDisk, socket: str, boot: int | None = None) -> GuestDisk:
    return GuestDisk(
        target=disk.target,
        export=export_of(disk),
        socket=socket,
        bus=disk.bus or "virtio",
        device=disk.device,
        serial=(disk.volume_id or disk.store_name.removeprefix("server-"))[:SERIAL_CHARACTERS],
        read_only=disk.read_only or disk.device == "cdrom",
        boot=boot,
        shareable=disk.shareable,
    )


def export_of(disk: ServerDisk) -> str:
    """By which the NBD server knows it; "" as long as it is not made."""
    if disk.destination == "volume":
        return f"attachment-{disk.attachment_id}" if disk.attachment_id else ""
    return disk.store_name


def nic_of(server: Server, port: Mapping[str, Any]) -> GuestNic:
    return GuestNic(
        tap=tap_of(str(port["id"])),
        mac=str(port["mac_address"]),
        mtu=int(port.get("mtu") or 1500),
        model=server.image_properties.get("hw_vif_model", "virtio"),
    )


def tap_of(port: str) -> str:
    return TAP + port[:TAP_CHARACTERS]


def _is_q35(server: Server) -> bool:
    return "q35" in server.image_properties.get("hw_machine_type", "")
