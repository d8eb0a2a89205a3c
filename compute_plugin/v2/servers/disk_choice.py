"""Which disks a server has: those that are asked for, the one that its image makes, and those of its flavor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import ServerDisk
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.servers.wanted import Wanted
from compute_plugin.v2.servers.wanted_disks import WantedDisk, check_order, invalid, of_mapping
from gateway.rest.errors import ForbiddenError
from gateway.rest.images import MAPPING, ImageFacts
from store.core.errors import InvalidError, NotFoundError

GIB: Final = 1 << 30
MULTIATTACH: Final = 60
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
DISKS_MAX: Final = 26
_PREFIXES: Final = {"virtio": "vd", "ide": "hd", "scsi": "sd", "sata": "sd", "usb": "sd"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The disks of a server, and what it boots from."""

    disks: tuple[ServerDisk, ...]
    image_id: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    """Of the image."""
    min_ram: int = 0


async def choose_disks(call: Call, wanted: Wanted, flavor: Flavor) -> Chosen:
    """Raises InvalidError for what cannot be, ForbiddenError where policy does not let it."""
    facts = await image_of(call, wanted.image) if wanted.image else None
    disks = list(wanted.disks)
    if facts is not None:
        require_active(facts)
        disks = _with_image(disks, facts, flavor)
    root = next((disk for disk in disks if disk.boot_index == 0), None)
    if root is None:
        if not disks:
            raise InvalidError("Invalid imageRef provided.")
        raise invalid("Boot sequence for the instance and image/block device mapping combination is not valid.")
    if sum(1 for disk in disks if disk.boot_index == 0) > 1:
        raise invalid("Boot sequence for the instance and image/block device mapping combination is not valid.")
    check_order(disks)
    properties, min_ram = await _booted(call, root, facts)
    if root.source == "image" and root.destination == "local":
        await _require_fits(call, facts, flavor)
    for disk in disks:
        await _require_there(call, disk)
    made = [_disk(disk, flavor, properties) for disk in disks]
    _require_flavor_room(disks, flavor)
    made += _of_flavor(disks, flavor, properties)
    if len(made) > DISKS_MAX:
        raise invalid(f"a server has at most {DISKS_MAX} disks")
    # What is made of an image's own mapping is shown as of no image, as in stock Nova.
    image = wanted.image if root.source == "image" and root.destination == "local" else ""
    return Chosen(tuple(targeted(made)), image, properties, min_ram)


async def image_of(call: Call, id_: str) -> ImageFacts:
    """Raises InvalidError where the caller sees no such image."""
    try:
        return await call.service.clients.images.find(id_, await call.credentials())
    except NotFoundError:
        raise InvalidError(f"Can not find requested image: image {id_} could not be found.") from None


def require_active(facts: ImageFacts) -> None:
    if facts.status != "active":
        raise InvalidError(f"Image {facts.id} is not active.")


def require_bytes(facts: ImageFacts) -> None:
    """Of an image that is to be on a disk as it is. Raises InvalidError."""
    require_active(facts)
    if facts.properties.get(MAPPING):
        raise InvalidError(
            f"Image {facts.id} is of a server whose disks are volumes, and has no bytes of its own: create one of it."
        )


def targeted(disks: Sequence[ServerDisk]) -> list[ServerDisk]:
    """Each with a name of its own within the guest, in their order; names that are asked for are as they are."""
    used = {disk.target for disk in disks if disk.target}
    found = []
    for disk in disks:
        target = disk.target or free_target(disk.bus, used)
        used.add(target)
        found.append(replace(disk, target=target))
    return found


def free_target(bus: str, used: Iterable[str]) -> str:
    """The first name that is free. Raises InvalidError where none is."""
    prefix, taken = _PREFIXES.get(bus, "vd"), set(used)
    for letter in LETTERS:
        if f"{prefix}{letter}" not in taken:
            return f"{prefix}{letter}"
    raise InvalidError("No free disk device names for the server.")


def _with_image(disks: list[WantedDisk], facts: ImageFacts, flavor: Flavor) -> list[WantedDisk]:
    """With what the image says of disks; the image itself where it says nothing and no other is the first."""
    if facts.properties.get(MAPPING):
        return [*of_mapping(facts.mapping()), *disks]
    if any(disk.boot_index == 0 for disk in disks):
        return disks
    root = WantedDisk(
        source="image",
        destination="local",
        id=facts.id,
        boot_index=0,
        delete_on_termination=True,
        size=flavor.disk,
    )
    return [root, *disks]


async def _booted(call: Call, root: WantedDisk, facts: ImageFacts | None) -> tuple[dict[str, str], int]:
    """The properties of the image that is in the first disk, and the memory that it wants, in MiB."""
    if root.source == "image":
        found = facts if facts is not None and facts.id == root.id else await image_of(call, root.id)
        require_active(found)
        return _properties(found.properties), found.min_ram
    clients, caller = call.service.clients, await call.credentials()
    try:
        if root.source == "snapshot":
            snapshot = await clients.volumes.snapshot(caller, root.id)
            volume = await clients.volumes.volume(caller, snapshot["volume_id"])
        elif root.source == "volume":
            volume = await clients.volumes.volume(caller, root.id)
        else:
            return _properties(facts.properties if facts is not None else {}), 0
    except NotFoundError:
        raise invalid(f"failed to get {root.source} {root.id}.") from None
    if root.source == "volume" and str(volume.get("bootable")).lower() != "true":
        raise invalid(f"Volume {root.id} is not bootable.")
    held: Mapping[str, Any] = volume.get("volume_image_metadata") or {}
    return _properties(held), int(held.get("min_ram") or 0)


def _properties(held: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in held.items() if name != MAPPING}


async def _require_fits(call: Call, facts: ImageFacts | None, flavor: Flavor) -> None:
    assert facts is not None
    if flavor.disk == 0:
        line = "os_compute_api:servers:create:zero_disk_flavor"
        if not await call.may(line, {"project_id": await call.project()}):
            raise ForbiddenError(line)
        return
    if flavor.disk * GIB < facts.virtual_size or flavor.disk < facts.min_disk:
        least = max(facts.min_disk * GIB, facts.virtual_size)
        raise InvalidError(
            "Flavor's disk is too small for requested image. Flavor disk is "
            f"{flavor.disk * GIB} bytes, image is {least} bytes."
        )


async def _require_there(call: Call, disk: WantedDisk) -> None:
    """Raises InvalidError where what a disk is made of is not there, or in no state for that."""
    if disk.destination != "volume" or disk.source == "blank":
        return
    clients, caller = call.service.clients, await call.credentials()
    try:
        if disk.source == "volume":
            row = await clients.volumes.volume(caller, disk.id)
            shared = bool(row.get("multiattach"))
            if shared and not call.since(MULTIATTACH):
                raise InvalidError(f"Volume {disk.id} has 'multiattach' set, which is not supported for this request.")
            if row["status"] not in (("available", "in-use") if shared else ("available",)):
                raise invalid(f"volume {disk.id} is in status {row['status']}, and not available.")
        elif disk.source == "snapshot":
            await clients.volumes.snapshot(caller, disk.id)
        else:
            facts = await image_of(call, disk.id)
            require_active(facts)
            if disk.boot_index == 0 and not disk.size and not facts.virtual_size:
                raise invalid("the size of a volume is needed that is made of an image.")
    except NotFoundError:
        raise invalid(f"failed to get {disk.source} {disk.id}.") from None


def _disk(disk: WantedDisk, flavor: Flavor, properties: Mapping[str, str]) -> ServerDisk:
    local_root = disk.destination == "local" and disk.boot_index == 0
    return ServerDisk(
        source=disk.source,
        source_id=disk.id,
        destination=disk.destination,
        volume_id=disk.id if disk.source == "volume" else "",
        volume_type=disk.volume_type,
        size=flavor.disk if local_root else disk.size,
        size_mib=flavor.swap if disk.format == "swap" and not disk.size else 0,
        boot_index=disk.boot_index,
        target=disk.target,
        bus=disk.bus or properties.get("hw_cdrom_bus" if disk.device == "cdrom" else "hw_disk_bus", "virtio"),
        device=disk.device,
        format=disk.format,
        delete_on_termination=disk.delete_on_termination or disk.destination == "local",
        tag=disk.tag,
    )


def _of_flavor(disks: Sequence[WantedDisk], flavor: Flavor, properties: Mapping[str, str]) -> list[ServerDisk]:
    """The empty disk and the swap of a flavor, where none are asked for."""
    bus = properties.get("hw_disk_bus", "virtio")
    local = [disk for disk in disks if disk.source == "blank" and disk.destination == "local"]
    made = []
    if flavor.ephemeral and not any(disk.format != "swap" for disk in local):
        made.append(ServerDisk(source="blank", size=flavor.ephemeral, bus=bus, delete_on_termination=True))
    if flavor.swap and not any(disk.format == "swap" for disk in local):
        made.append(
            ServerDisk(source="blank", size_mib=flavor.swap, bus=bus, format="swap", delete_on_termination=True)
        )
    return made


def _require_flavor_room(disks: Sequence[WantedDisk], flavor: Flavor) -> None:
    """Raises InvalidError where empty disks are asked for that are larger than the flavor has."""
    local = [disk for disk in disks if disk.source == "blank" and disk.destination == "local"]
    if sum(disk.size for disk in local if disk.format != "swap") > flavor.ephemeral:
        raise invalid("Ephemeral disks requested are larger than the instance type allows.")
    swaps = [disk for disk in local if disk.format == "swap"]
    if len(swaps) > 1:
        raise invalid("Swap drive requested is more than one.")
    if any(disk.size * 1024 > flavor.swap for disk in swaps):
        raise invalid("Swap drive requested is larger than instance type allows.")
    for disk in local:
        if disk.format != "swap" and not disk.size:
            raise invalid("Blank disks need a size.")
