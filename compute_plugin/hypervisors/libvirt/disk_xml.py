"""The libvirt XML of a guest's disk: a volume is a network disk of NBD over a Unix socket; a file is what it is.

https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import GuestDisk
from compute_plugin.hypervisors.libvirt.elements import add, checked, text_of
from store.core.errors import InvalidError

SOCKET_PATH_MAX: Final = 107
"""Bytes of a path at which a Unix socket can be reached (sun_path)."""
SERIAL_MAX: Final = 20
"""Bytes: virtio-blk gives a guest no more of it."""
_LETTERS: Final = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
_SERIAL: Final = re.compile(r"[A-Za-z0-9_.+-]*")


def disk_xml(disk: GuestDisk) -> str:
    """To attach it to a guest that runs. Raises InvalidError for what no disk can be."""
    return text_of(disk_element(disk))


def disk_element(disk: GuestDisk) -> Element:
    """For the <devices> of a domain. Raises InvalidError for what no disk can be."""
    check_disk(disk)
    cdrom = disk.device == "cdrom"
    root = Element("disk", type="network" if disk.export else "file", device=disk.device)
    driver = {"name": "qemu", "type": "raw"}
    if disk.export:
        # No page cache of the host: what the guest flushed is what the server has promised. An error stops the guest,
        # so that it never sees one, and what it asked is asked again when it goes on. Its discards give space back,
        # and zeros that it writes are not stored.
        driver |= {"cache": "none", "error_policy": "stop", "rerror_policy": "stop", "discard": "unmap"}
        driver |= {"detect_zeroes": "off" if disk.read_only or cdrom else "unmap"}
    add(root, "driver", **driver)
    if disk.export:
        source = add(root, "source", protocol="nbd", name=disk.export)
        add(source, "host", transport="unix", socket=disk.socket)
    else:
        add(root, "source", file=disk.file)
    add(root, "target", dev=disk.target, bus=disk.bus)
    if disk.shareable:
        add(root, "shareable")
    if disk.read_only or cdrom:
        add(root, "readonly")
    if disk.serial:
        add(root, "serial", disk.serial)
    if disk.boot is not None:
        add(root, "boot", order=str(disk.boot))
    return root


def check_disk(disk: GuestDisk) -> None:
    """Raises InvalidError for what no disk can be."""
    letters = _LETTERS.get(disk.bus)
    if letters is None:
        raise InvalidError(f"there is no bus {disk.bus!r} for disks, but {', '.join(_LETTERS)}")
    if not re.fullmatch(rf"{letters}[a-z]{{1,3}}", disk.target):
        raise InvalidError(
            f"a disk of bus {disk.bus} is not called {disk.target!r}: use vda for virtio, sda for scsi and sata, "
            "hda for ide"
        )
    if disk.device not in ("disk", "cdrom") or (disk.device == "cdrom" and disk.bus == "virtio"):
        raise InvalidError(f"there is no {disk.device!r} of bus {disk.bus}")
    if bool(disk.export) == bool(disk.file):
        raise InvalidError(f"disk {disk.target} is to be either an export of a server or a file")
    checked("the name of an export", disk.export)
    for path in (disk.socket if disk.export else disk.file,):
        if not path.startswith("/"):
            raise InvalidError(f"disk {disk.target} needs an absolute path, not {path!r}")
        checked("a path", path)
    if disk.export:
        check_socket_path(disk.socket)
    if len(disk.serial) > SERIAL_MAX or not _SERIAL.fullmatch(disk.serial):
        raise InvalidError(f"a serial has up to {SERIAL_MAX} letters, digits and any of _.+-, not {disk.serial!r}")
    if disk.boot is not None and disk.boot < 1:
        raise InvalidError("the order of booting counts from 1")


def check_socket_path(path: str) -> None:
    """Raises InvalidError where no Unix socket can be."""
    if len(path.encode()) > SOCKET_PATH_MAX:
        raise InvalidError(
            f"a socket cannot be reached at a path of more than {SOCKET_PATH_MAX} bytes: make a symbolic link to the "
            f"folder, and use a path through it, for {path}"
        )
