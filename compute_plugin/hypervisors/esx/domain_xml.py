"""The libvirt XML of a guest of ESX: a pure function. https://libvirt.org/drvesx.html"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest, GuestDisk, GuestNic
from compute_plugin.hypervisors.libvirt.elements import add, checked, one_line, text_of
from compute_plugin.hypervisors.libvirt.frame import check_guest
from compute_plugin.hypervisors.libvirt.nic_xml import check_nic
from store.core.errors import InvalidError

MARK: Final = "server of Drystone:"
"""In front of the server's id in the notes of a guest: ESX keeps no metadata of others."""
MEMORY_STEP_MIB: Final = 4
_PATH: Final = re.compile(r"\[[^\[\]/]+\] [^/].*")
_MODELS: Final = {"virtio": "vmxnet3", "e1000": "e1000", "e1000e": "e1000e", "vmxnet3": "vmxnet3"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where guests of a host are."""

    datastore: str
    network: str
    """A port group of the host's virtual switch."""


def domain_xml(guest: Guest, place: Place) -> str:
    """Raises InvalidError for what no guest can be."""
    check_guest(guest)
    if guest.kernel:
        raise InvalidError("ESX boots no kernel directly")
    root = Element("domain", type="vmware")
    add(root, "name", guest.name)
    add(root, "uuid", guest.id)
    if title := one_line(guest.title):
        add(root, "title", title)
    add(root, "description", f"{MARK} {guest.id}")
    # ESX gives memory in such steps.
    memory = -(-guest.memory_mib // MEMORY_STEP_MIB) * MEMORY_STEP_MIB
    add(root, "memory", str(memory), unit="MiB")
    add(root, "currentMemory", str(memory), unit="MiB")
    add(root, "vcpu", str(guest.vcpus))
    add(add(root, "os"), "type", "hvm", arch="x86_64")
    add(root, "clock", offset="utc")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        add(root, f"on_{event}", action)
    devices = add(root, "devices")
    for disk in guest.disks:
        devices.append(_disk(disk))
    if any(disk.bus == "scsi" for disk in guest.disks):
        add(devices, "controller", type="scsi", index="0", model=guest.properties.get("vmware_adaptertype", "vmpvscsi"))
    for nic in guest.nics:
        devices.append(_nic(nic, place))
    port = add(devices, "serial", type="file")
    add(port, "source", path=f"[{_datastore(place)}] {guest.name}/console.log")
    add(port, "target", port="0")
    add(add(devices, "video"), "model", type="vmvga")
    return text_of(root)


def _disk(disk: GuestDisk) -> Element:
    if disk.export:
        raise InvalidError(f"ESX cannot use volume {disk.export}: it reaches no socket of another host")
    if not _PATH.fullmatch(checked("a path", disk.file)):
        raise InvalidError(f"a disk of ESX is a file such as '[datastore] folder/disk.vmdk', not {disk.file!r}")
    if disk.bus not in ("scsi", "ide"):
        raise InvalidError(f"a disk of ESX is of bus scsi or ide, not {disk.bus!r}")
    root = Element("disk", type="file", device=disk.device)
    add(root, "source", file=disk.file)
    add(root, "target", dev=disk.target, bus=disk.bus)
    return root


def _nic(nic: GuestNic, place: Place) -> Element:
    check_nic(nic)
    if nic.model not in _MODELS:
        raise InvalidError(f"ESX has no network card {nic.model!r}")
    root = Element("interface", type="bridge")
    # Addresses that VMware gave out itself are checked by it; these are ours.
    add(root, "mac", address=nic.mac, type="static", check="no")
    add(root, "source", bridge=checked("a port group", place.network))
    add(root, "model", type=_MODELS[nic.model])
    return root


def _datastore(place: Place) -> str:
    if not re.fullmatch(r"[^\[\]/\x00-\x1f]+", place.datastore):
        raise InvalidError(f"no datastore is called {place.datastore!r}")
    return place.datastore
