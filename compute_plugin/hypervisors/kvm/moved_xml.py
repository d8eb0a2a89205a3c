"""The XML of a guest that goes on elsewhere, or later: a pure function.

Its devices have to stay where they are on its buses, also those that were attached while it ran. So the XML is the one
that libvirt has of it, and what belongs to the host is put in anew: sockets, files, taps, folders.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest, GuestDisk
from compute_plugin.hypervisors.kvm.domain_xml import Host
from compute_plugin.hypervisors.libvirt.disk_xml import check_disk, check_socket_path
from compute_plugin.hypervisors.libvirt.elements import add, parsed, text_of
from compute_plugin.hypervisors.libvirt.marks import SERVER, ToDo, set_to_do
from store.core.errors import ConflictError


def moved_xml(xml: str, guest: Guest, host: Host, to_do: ToDo) -> str:
    """`xml` is that of the domain, as libvirt gives it for a migration, or keeps it with saved memory. Raises
    ConflictError where `guest` has not the same disks and cards, InvalidError for what no guest can be."""
    root = parsed(xml)
    set_to_do(root, to_do)
    _put(root, f"metadata/{{{SERVER}}}server/{{{SERVER}}}folder", guest.folder)
    _put(root, "os/kernel", guest.kernel)
    _put(root, "os/initrd", guest.ramdisk)
    if root.find("os/nvram") is not None:
        _put(root, "os/nvram", f"{guest.folder}/nvram.fd")
    disks = {disk.target: disk for disk in guest.disks}
    found = root.findall("devices/disk")
    _same("disks", {_attribute(disk, "target", "dev") for disk in found}, set(disks))
    for element in found:
        _connect(element, disks[_attribute(element, "target", "dev")])
    nics = {nic.mac: nic for nic in guest.nics}
    cards = root.findall("devices/interface")
    _same("network cards", {_attribute(card, "mac", "address") for card in cards}, set(nics))
    for card in cards:
        _set(card, "target", "dev", nics[_attribute(card, "mac", "address")].tap)
    _consoles(root, guest.folder)
    label = root.find("seclabel[@model='dac']/label")
    if label is not None and host.owner:
        label.text = host.owner
    return text_of(root)


def _connect(element: Element, disk: GuestDisk) -> None:
    check_disk(disk)
    source = element.find("source")
    if source is None or (element.get("type") == "network") != bool(disk.export):
        raise ConflictError(f"disk {disk.target} of the guest is of another kind")
    if disk.export:
        source.set("name", disk.export)
        _set(source, "host", "socket", disk.socket)
    else:
        source.set("file", disk.file)


def _consoles(root: Element, folder: str) -> None:
    serial, screen = f"{folder}/serial.sock", f"{folder}/vnc.sock"
    for path in (serial, screen):
        check_socket_path(path)
    for kind in ("serial", "console"):
        for port in root.findall(f"devices/{kind}[@type='unix']"):
            _set(port, "source", "path", serial)
            _set(port, "log", "file", f"{folder}/console.log")
            _set(port, "log", "append", "on")
    for graphics in root.findall("devices/graphics[@type='vnc']"):
        # What libvirt gives for a migration says nothing of the socket: the screen would be at a port of TCP then.
        graphics.attrib.clear()
        for listen in graphics.findall("listen"):
            graphics.remove(listen)
        graphics.set("type", "vnc")
        add(graphics, "listen", type="socket", socket=screen)


def _same(what: str, here: set[str], wanted: set[str]) -> None:
    if here != wanted:
        raise ConflictError(f"the guest has the {what} {sorted(here)}, and is to go on with {sorted(wanted)}")


def _put(root: Element, path: str, text: str) -> None:
    element = root.find(path)
    if element is not None and text:
        element.text = text


def _set(parent: Element, tag: str, attribute: str, value: str) -> None:
    element = parent.find(tag)
    if element is not None:
        element.set(attribute, value)


def _attribute(parent: Element, tag: str, attribute: str) -> str:
    element = parent.find(tag)
    return "" if element is None else element.get(attribute, "")
