"""Guests of all kinds, whose XML is kept in `golden`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from compute_plugin.hypervisors.esx.domain_xml import Place
from compute_plugin.hypervisors.esx.domain_xml import domain_xml as esx_xml
from compute_plugin.hypervisors.interface import Guest, GuestDisk, GuestNic
from compute_plugin.hypervisors.kvm.domain_xml import Host, domain_xml
from compute_plugin.hypervisors.lxc.domain_xml import domain_xml as lxc_xml
from compute_plugin.hypervisors.xen.domain_xml import domain_xml as xen_xml

ID: Final = "9f1c8d53-52c5-4a0c-9d0f-0f6a4d1f7a55"
SOCKET: Final = "/srv/drystone/nbd.sock"
PLACE: Final = Place("ds 1", "VM Network")
HOSTILE: Final = "</title><devices><x a='&\"]]>\x00\x08\ud800\ufffe\nend"
"""Text that people may give, and that is no XML."""


def plain() -> Guest:
    return Guest(
        id=ID,
        name="instance-00000001",
        title="web 1",
        project_id="0f6a4d1f7a55",
        memory_mib=512,
        vcpus=1,
        disks=(GuestDisk("vda", "volume-1", SOCKET, serial="volume-1", boot=1),),
        nics=(GuestNic("tap0123456789a", "fa:16:3e:00:00:01", 1450),),
        folder="/srv/guests/1",
    )


def everything() -> Guest:
    """All that images and flavors may ask for, but for what excludes it."""
    disks = (
        GuestDisk("sda", "volume-1", SOCKET, bus="scsi", serial="volume-1", boot=1),
        GuestDisk("vda", "volume-2", SOCKET, serial="volume-2", boot=2, shareable=True),
        GuestDisk("sdb", "volume-3", SOCKET, bus="sata", read_only=True),
        GuestDisk("hdb", "volume-4", SOCKET, bus="ide", device="cdrom", boot=3),
        GuestDisk("hdd", file="/srv/guests/1/config.iso", bus="ide", device="cdrom"),
    )
    nics = (GuestNic("tap0", "fa:16:3e:00:00:01"), GuestNic("tap1", "fa:16:3e:00:00:02", 9000, "e1000"))
    properties = {
        "hw_disk_bus": "scsi",
        "hw_video_model": "qxl",
        "hw_rng_model": "virtio",
        "hw_qemu_guest_agent": "yes",
        "hw_cpu_cores": "2",
        "hw_cpu_threads": "2",
        "hw_watchdog_action": "poweroff",
        "hw_boot_menu": "true",
    }
    specs = {
        "hw:cpu_sockets": "2",
        "hw:cpu_max_threads": "2",
        "hw:watchdog_action": "reset",
        "quota:cpu_shares": "512",
        "quota:cpu_period": "20000",
        "quota:cpu_quota": "10000",
        "hw_rng:rate_bytes": "64",
    }
    return replace(plain(), vcpus=8, disks=disks, nics=nics, properties=properties, extra_specs=specs)


def q35_efi() -> Guest:
    properties = {"hw_machine_type": "q35", "hw_firmware_type": "uefi", "hw_video_model": "virtio"}
    return replace(plain(), properties=properties)


def direct() -> Guest:
    """A kernel is booted."""
    return replace(
        plain(),
        kernel="/srv/guests/1/kernel",
        ramdisk="/srv/guests/1/ramdisk",
        properties={"os_command_line": "console=ttyS0 root=/dev/vda"},
    )


def hostile() -> Guest:
    return replace(
        plain(),
        title=HOSTILE,
        project_id=HOSTILE,
        kernel="/srv/<a>&'\"",
        command_line="a='<b>' \"&amp;\" ]]>",
        disks=(GuestDisk("vda", "v'\"<&>", "/srv/'\"<&>.sock"),),
    )


def xen_everything() -> Guest:
    disks = (
        GuestDisk("vda", "volume-1", SOCKET, boot=1),
        GuestDisk("sda", "volume-2", SOCKET, bus="scsi", shareable=True),
        GuestDisk("hdd", file="/srv/guests/1/config.iso", bus="ide", device="cdrom"),
    )
    nics = (GuestNic("tap0", "fa:16:3e:00:00:01"), GuestNic("tap1", "fa:16:3e:00:00:02", model="e1000"))
    return replace(plain(), vcpus=4, disks=disks, nics=nics)


def esx_everything() -> Guest:
    disks = (
        GuestDisk("sda", file="[ds 1] web/root.vmdk", bus="scsi", boot=1),
        GuestDisk("sdb", file="[ds 1] web/data.vmdk", bus="scsi"),
        GuestDisk("hdc", file="[ds 1] web/config.iso", bus="ide", device="cdrom"),
    )
    nics = (GuestNic("tap0", "fa:16:3e:00:00:01"), GuestNic("tap1", "fa:16:3e:00:00:02", model="e1000"))
    return replace(plain(), vcpus=4, disks=disks, nics=nics, properties={"vmware_ostype": "debian11-64"})


def _xen(guest: Guest) -> str:
    return xen_xml(guest, {disk.target: f"/dev/loop{place}" for place, disk in enumerate(guest.disks)})


def _emulated(guest: Guest) -> str:
    return domain_xml(guest, Host())


def _kvm(guest: Guest) -> str:
    return domain_xml(guest, Host("kvm", "host-passthrough", "+0:+0"))


SCENES: Final[dict[str, Callable[[], str]]] = {
    "qemu-plain": lambda: _emulated(plain()),
    "qemu-direct": lambda: _emulated(direct()),
    "qemu-hostile": lambda: _emulated(hostile()),
    "kvm-plain": lambda: _kvm(plain()),
    "kvm-everything": lambda: _kvm(everything()),
    "kvm-q35-efi": lambda: _kvm(q35_efi()),
    "lxc-plain": lambda: lxc_xml(plain(), "/dev/loop0"),
    "lxc-hostile": lambda: lxc_xml(hostile(), "/dev/'\"<&>"),
    "xen-plain": lambda: _xen(plain()),
    "xen-everything": lambda: _xen(xen_everything()),
    "xen-paravirtual": lambda: _xen(replace(direct(), properties={"vm_mode": "xen"})),
    "xen-hostile": lambda: _xen(hostile()),
    "esx-everything": lambda: esx_xml(esx_everything(), PLACE),
    "esx-hostile": lambda: esx_xml(replace(hostile(), disks=(), kernel=""), PLACE),
}
