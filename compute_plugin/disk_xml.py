"""The libvirt XML of a volume as a guest's disk: a network disk of NBD over the Unix socket of the data folder.

https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree import ElementTree

from store.core.errors import InvalidError

Bus = Literal["virtio", "scsi"]

SOCKET_PATH_MAX: Final = 107
"""Bytes of a path at which a Unix socket can be reached (sun_path)."""
SERIAL_MAX: Final = 20
"""Bytes: virtio-blk gives a guest no more of it."""
_TARGETS: Final = {"virtio": re.compile(r"vd[a-z]{1,3}"), "scsi": re.compile(r"sd[a-z]{1,3}")}
_SERIAL: Final = re.compile(r"[A-Za-z0-9_.+-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class VolumeDisk:
    """A volume as a disk of a guest. Raises InvalidError for what no disk can be."""

    volume: str
    """Its name: that of the export."""
    socket: str
    """Path of the NBD server's socket, as the hypervisor's host has it."""
    target: str
    """The disk's name within the domain: vda for virtio, sda for scsi. Guests may number otherwise: they find a disk by
    its serial (/dev/disk/by-id/virtio-SERIAL)."""
    bus: Bus = "virtio"
    serial: str = ""
    read_only: bool = False
    boot: int | None = None
    """Place in the order in which the firmware looks for a system, from 1. Not for direct boot of a kernel."""

    def __post_init__(self) -> None:
        if not _TARGETS[self.bus].fullmatch(self.target):
            raise InvalidError(
                f"a disk of bus {self.bus} is not called {self.target!r}: use vda for virtio, sda for scsi"
            )
        if not self.volume or _CONTROL.search(self.volume):
            raise InvalidError(f"no volume is called {self.volume!r}")
        if not self.socket.startswith("/") or _CONTROL.search(self.socket):
            raise InvalidError(f"the socket needs an absolute path, not {self.socket!r}")
        if len(self.socket.encode()) > SOCKET_PATH_MAX:
            raise InvalidError(
                f"a socket cannot be reached at a path of more than {SOCKET_PATH_MAX} bytes: make a symbolic link to "
                "the data folder, and use a path through it"
            )
        if len(self.serial) > SERIAL_MAX or not _SERIAL.fullmatch(self.serial):
            raise InvalidError(f"a serial has up to {SERIAL_MAX} letters, digits and any of _.+-, not {self.serial!r}")
        if self.boot is not None and self.boot < 1:
            raise InvalidError("the order of booting counts from 1")


def disk_xml(disk: VolumeDisk) -> str:
    """For the <devices> of a domain, or to attach it to one that runs."""
    root = ElementTree.Element("disk", type="network", device="disk")
    # No page cache of the host: what the guest flushed is what the server has promised. An error stops the guest, so
    # that it never sees one, and what it asked is asked again when it goes on. Its discards give space back, and
    # zeros that it writes are not stored.
    ElementTree.SubElement(
        root,
        "driver",
        name="qemu",
        type="raw",
        cache="none",
        error_policy="stop",
        rerror_policy="stop",
        discard="unmap",
        detect_zeroes="off" if disk.read_only else "unmap",
    )
    source = ElementTree.SubElement(root, "source", protocol="nbd", name=disk.volume)
    ElementTree.SubElement(source, "host", transport="unix", socket=disk.socket)
    ElementTree.SubElement(root, "target", dev=disk.target, bus=disk.bus)
    if disk.read_only:
        ElementTree.SubElement(root, "readonly")
    if disk.serial:
        ElementTree.SubElement(root, "serial").text = disk.serial
    if disk.boot is not None:
        ElementTree.SubElement(root, "boot", order=str(disk.boot))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
