"""The libvirt XML of a guest of Xen: a pure function. https://libvirt.org/drvxen.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest, GuestDisk
from compute_plugin.hypervisors.libvirt.disk_xml import check_disk
from compute_plugin.hypervisors.libvirt.elements import add, checked, text_of
from compute_plugin.hypervisors.libvirt.frame import begin
from compute_plugin.hypervisors.libvirt.kernel_xml import add_kernel
from compute_plugin.hypervisors.libvirt.marks import ToDo
from compute_plugin.hypervisors.libvirt.nic_xml import nic_element
from store.core.errors import InvalidError

MODES: Final = {"hvm": ("hvm", "xenfv"), "xen": ("linux", "xenpv")}
"""By the image's property vm_mode: the type of system, and its machine. Full virtualisation where nothing is said."""
NO_SCRIPT: Final = "/bin/true"
"""Xen runs a script for each card, which by default wants a bridge; the agent of networks takes the card in."""


def domain_xml(guest: Guest, devices: Mapping[str, str]) -> str:
    """`devices`: the block device of the host for each disk that is a volume, by its target. Raises InvalidError for
    what no guest can be."""
    mode = guest.properties.get("vm_mode", "hvm")
    if mode not in MODES:
        raise InvalidError(f"vm_mode is one of {', '.join(MODES)}, not {mode!r}")
    if mode == "xen" and not guest.kernel:
        raise InvalidError("vm_mode xen boots a kernel of the image: it has none")
    root = begin(guest, "xen", ToDo.START)
    root.append(_os(guest, *MODES[mode]))
    if mode == "hvm":
        features = add(root, "features")
        for name in ("acpi", "apic", "pae"):
            add(features, name)
    add(root, "clock", offset="utc", adjustment="reset")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        add(root, f"on_{event}", action)
    below = add(root, "devices")
    for disk in guest.disks:
        below.append(_disk(disk, devices, xen_only=mode == "xen"))
    for nic in guest.nics:
        element = nic_element(nic)
        if nic.model == "virtio":  # what Xen has of its own in its place
            element.find("model").set("type", "netfront")  # type: ignore[union-attr]
        add(element, "script", path=NO_SCRIPT)
        below.append(element)
    if mode == "hvm":
        port = add(below, "serial", type="file")
        add(port, "source", path=f"{_folder(guest)}/console.log")
        add(port, "target", port="0")
        add(below, "input", type="tablet", bus="usb")
        add(add(below, "video"), "model", type="vga")
    else:
        add(add(below, "console", type="pty"), "target", type="xen", port="0")
    add(add(below, "graphics", type="vnc", autoport="yes"), "listen", type="address", address="127.0.0.1")
    add(below, "memballoon", model="xen")
    return text_of(root)


def _os(guest: Guest, kind: str, machine: str) -> Element:
    root = Element("os")
    add(root, "type", kind, arch="x86_64", machine=machine)
    add_kernel(root, guest)
    if not guest.kernel and any(disk.boot is not None for disk in guest.disks):
        first = min((disk for disk in guest.disks if disk.boot is not None), key=lambda disk: disk.boot or 0)
        add(root, "boot", dev="cdrom" if first.device == "cdrom" else "hd")
    return root


def _disk(disk: GuestDisk, devices: Mapping[str, str], *, xen_only: bool) -> Element:
    check_disk(disk)
    device = devices.get(disk.target, "") if disk.export else ""
    if disk.export and not device:
        raise InvalidError(f"volume {disk.export} is no block device of the host")
    root = Element("disk", type="block" if device else "file", device=disk.device)
    add(root, "driver", name="phy" if device else "qemu", type="raw")
    if device:
        add(root, "source", dev=checked("a path", device))
    else:
        add(root, "source", file=disk.file)
    # The names of Xen's own bus, which is what its guests have in place of virtio.
    target, bus = disk.target, disk.bus
    if bus == "virtio" or xen_only:
        target, bus = f"xvd{target[2:]}", "xen"
    add(root, "target", dev=target, bus=bus)
    if disk.shareable:
        add(root, "shareable")
    if disk.read_only or disk.device == "cdrom":
        add(root, "readonly")
    return root


def _folder(guest: Guest) -> str:
    if not guest.folder.startswith("/"):
        raise InvalidError(f"a guest needs a folder with an absolute path, not {guest.folder!r}")
    return checked("a path", guest.folder)
