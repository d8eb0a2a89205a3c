"""Block device mappings as bodies have them, in both forms. Sans-I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import flag_in, is_uuid, text, whole, wrong
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

VOLUME_TYPE: Final = 67
TAG_SINCE: Final = (32, 33, 42)
"""Tags were there in 2.32, and again from 2.42 on."""
KNOWN: Final = frozenset(
    {
        "boot_index", "delete_on_termination", "destination_type", "device_name", "device_type", "disk_bus",
        "guest_format", "image_id", "no_device", "snapshot_id", "source_type", "uuid", "volume_id", "volume_size",
    }
)  # fmt: skip
SOURCES: Final = ("volume", "image", "snapshot", "blank")
BUSES: Final = ("virtio", "scsi", "sata", "ide", "usb", "fdc", "xen", "lxc", "uml")
_DEVICE: Final = re.compile(r"(/dev/)?[a-zA-Z0-9._-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDisk:
    """A disk that is asked for."""

    source: str
    destination: str
    id: str = ""
    size: int = 0
    boot_index: int | None = None
    delete_on_termination: bool = False
    target: str = ""
    bus: str = ""
    device: str = "disk"
    format: str = ""
    volume_type: str = ""
    tag: str | None = None


def read_disks(call: Call, asked: Sequence[Fields]) -> tuple[WantedDisk, ...]:
    """Of `block_device_mapping_v2`. Raises InvalidError."""
    known = set(KNOWN)
    if call.since(VOLUME_TYPE):
        known.add("volume_type")
    if (call.since(TAG_SINCE[0]) and not call.since(TAG_SINCE[1])) or call.since(TAG_SINCE[2]):
        known.add("tag")
    found = tuple(_read(one, known) for one in asked if not _is_none(one))
    check_order(found)
    return found


def read_old_disks(asked: Sequence[Fields], has_image: bool) -> tuple[WantedDisk, ...]:
    """Of `block_device_mapping`, the form that knows volumes and snapshots alone."""
    found: list[WantedDisk] = []
    for one in asked:
        if _is_none(one):
            continue
        volume, snapshot = one.value("volume_id"), one.value("snapshot_id")
        id_ = volume or snapshot
        if not isinstance(id_, str) or not is_uuid(id_):
            raise invalid("neither volume_id nor snapshot_id is an id")
        target = _target(one)
        root = not has_image and not any(disk.boot_index == 0 for disk in found) and target in ("", "vda", "sda")
        found.append(
            WantedDisk(
                source="volume" if volume else "snapshot",
                destination="volume",
                id=id_,
                size=_size(one),
                boot_index=0 if root else None,
                delete_on_termination=flag_in(one, "delete_on_termination"),
                target=target,
            )
        )
    return tuple(found)


def of_mapping(mapping: Sequence[dict[str, Any]]) -> tuple[WantedDisk, ...]:
    """Of an image's property, which another server's image has left. Raises InvalidError."""
    return tuple(
        _read(Fields({name: value for name, value in one.items() if value is not None}), KNOWN | {"volume_type", "tag"})
        for one in mapping
    )


def check_order(disks: Sequence[WantedDisk]) -> None:
    """Raises InvalidError where the order of booting is none."""
    order = sorted(disk.boot_index for disk in disks if disk.boot_index is not None and disk.boot_index >= 0)
    if order and order != list(range(len(order))):
        raise invalid("Boot sequence for the instance and image/block device mapping combination is not valid.")
    tags = [disk.tag for disk in disks if disk.tag is not None]
    if len(set(tags)) != len(tags):
        raise invalid("Block device tags must be unique.")


def invalid(why: str) -> InvalidError:
    return InvalidError(f"Block Device Mapping is Invalid: {why}")


def _is_none(one: Fields) -> bool:
    return one.value("no_device") not in (None, "", False, "false", "False")


def _read(one: Fields, known: set[str] | frozenset[str]) -> WantedDisk:
    one.refuse_others(known)
    source = one.value("source_type")
    if source is None and (one.value("volume_id") or one.value("snapshot_id") or one.value("image_id")):
        source = next(name for name in ("volume", "snapshot", "image") if one.value(f"{name}_id"))
    if source not in SOURCES:
        raise wrong("block_device_mapping_v2.source_type", f"one of {', '.join(SOURCES)}")
    destination = one.value("destination_type")
    if destination is None:
        destination = "local" if source in ("image", "blank") else "volume"
    if destination not in ("local", "volume"):
        raise wrong("block_device_mapping_v2.destination_type", "local or volume")
    id_ = one.value("uuid") or one.value(f"{source}_id") or ""
    if source != "blank" and not (isinstance(id_, str) and is_uuid(id_)):
        raise invalid(f"a {source} is named by its uuid.")
    index = one.value("boot_index")
    boot = None if index is None or index == "None" else whole("boot_index", index, -(2**31))
    if destination == "local" and source in ("volume", "snapshot"):
        raise invalid(
            "Mapping volume to local is not supported." if source == "volume" else "Invalid snapshot mapping."
        )
    if destination == "local" and source == "image" and boot != 0:
        raise invalid("Mapping image to local is not supported.")
    size = _size(one)
    if destination == "volume" and source == "blank" and not size:
        raise invalid("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
    bus = one.value("disk_bus") or ""
    if bus and bus not in BUSES:
        raise invalid(f"disk_bus {bus!a} is not known")
    device = one.value("device_type") or "disk"
    if device not in ("disk", "cdrom", "floppy", "lun"):
        raise invalid("device_type: disk or cdrom")
    return WantedDisk(
        source=source,
        destination=destination,
        id=id_ if source != "blank" else "",
        size=size,
        boot_index=None if boot is not None and boot < 0 else boot,
        delete_on_termination=flag_in(one, "delete_on_termination"),
        target=_target(one),
        bus=bus,
        device="cdrom" if device == "cdrom" else "disk",
        format=text(one, "guest_format") if one.value("guest_format") else "",
        volume_type=text(one, "volume_type") if one.value("volume_type") else "",
        tag=text(one, "tag", 60) if one.value("tag") is not None else None,
    )


def _size(one: Fields) -> int:
    value = one.value("volume_size")
    return 0 if value in (None, "") else whole("volume_size", value, 0, 64 * 1024)


def _target(one: Fields) -> str:
    return target_of("block_device_mapping_v2.device_name", one.value("device_name") or None)


def target_of(name: str, value: Any) -> str:
    """The name of a disk within the guest; "" where none is said. Raises InvalidError."""
    if value is None:
        return ""
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise wrong(name, "the name of a device such as /dev/vdb")
    return value.removeprefix("/dev/")
