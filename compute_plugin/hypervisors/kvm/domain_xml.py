"""The libvirt XML of a guest that QEMU runs: a pure function. What images and flavors may ask for is what Nova takes
and libvirt can do.

https://libvirt.org/formatdomain.html, https://docs.openstack.org/glance/latest/admin/useful-image-properties.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest
from compute_plugin.hypervisors.kvm.topology import topology
from compute_plugin.hypervisors.libvirt.disk_xml import check_socket_path, disk_element
from compute_plugin.hypervisors.libvirt.elements import add, checked, text_of
from compute_plugin.hypervisors.libvirt.frame import begin
from compute_plugin.hypervisors.libvirt.kernel_xml import add_kernel
from compute_plugin.hypervisors.libvirt.marks import ToDo
from compute_plugin.hypervisors.libvirt.nic_xml import nic_element
from store.core.errors import InvalidError

ROOT_PORTS: Final = 16
"""Of a q35 machine: so many cards and disks can be attached while it runs."""
SCSI_CONTROLLERS: Final = 4
"""For the disks sda to sdz, and two more."""
MENU_MILLISECONDS: Final = 5000
BALLOON_SECONDS: Final = 10
VIDEO: Final = frozenset({"bochs", "cirrus", "none", "qxl", "ramfb", "vga", "virtio", "vmvga", "xen"})
WATCHDOG: Final = frozenset({"none", "pause", "poweroff", "reset"})
_MACHINE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_YES: Final = frozenset({"1", "on", "t", "true", "y", "yes"})


@dataclass(frozen=True, slots=True)
class Host:
    """What the XML needs to know of where it runs."""

    accelerator: str = "qemu"
    """`kvm`, or `qemu` for emulation."""
    cpu: str = "host-model"
    """Under KVM: `host-model`, which can be moved to a newer processor, or `host-passthrough`."""
    owner: str = ""
    """Whom QEMU runs as, `+0:+0`: who may open the sockets of volumes. "" as libvirt is set up."""


def domain_xml(guest: Guest, host: Host, to_do: ToDo = ToDo.START) -> str:
    """Raises InvalidError for what no guest can be."""
    machine = guest.properties.get("hw_machine_type", "pc")
    if not _MACHINE.fullmatch(machine):
        raise InvalidError(f"hw_machine_type: there is no machine {machine!r}")
    root = begin(guest, host.accelerator, to_do)
    root.extend(_tuning(guest))
    root.append(_os(guest, machine))
    features = add(root, "features")
    add(features, "acpi")
    add(features, "apic")
    root.append(_cpu(guest, host))
    root.append(_clock(guest))
    add(root, "on_poweroff", "destroy")
    add(root, "on_reboot", "restart")
    add(root, "on_crash", "destroy")
    root.append(_devices(guest, machine))
    if host.owner:
        label = add(root, "seclabel", type="static", model="dac", relabel="no")
        add(label, "label", host.owner)
    return text_of(root)


def _tuning(guest: Guest) -> list[Element]:
    """Shares of processors."""
    root = Element("cputune")
    for spec, tag in (("cpu_shares", "shares"), ("cpu_period", "period"), ("cpu_quota", "quota")):
        if value := guest.extra_specs.get(f"quota:{spec}"):
            add(root, tag, _number(f"quota:{spec}", value))
    return [root] if len(root) else []


def _os(guest: Guest, machine: str) -> Element:
    firmware = guest.properties.get("hw_firmware_type", "bios")
    if firmware not in ("bios", "uefi"):
        raise InvalidError(f"hw_firmware_type is bios or uefi, not {firmware!r}")
    root = Element("os", {"firmware": "efi"} if firmware == "uefi" else {})
    add(root, "type", "hvm", arch="x86_64", machine=machine)
    if firmware == "uefi":
        add(root, "nvram", checked("a path", f"{guest.folder}/nvram.fd"))
    add_kernel(root, guest)
    menu = guest.properties.get("hw_boot_menu", guest.extra_specs.get("hw:boot_menu", ""))
    if menu.lower() in _YES:
        add(root, "bootmenu", enable="yes", timeout=str(MENU_MILLISECONDS))
    return root


def _cpu(guest: Guest, host: Host) -> Element:
    policy = guest.extra_specs.get("hw:cpu_policy", guest.properties.get("hw_cpu_policy", "shared"))
    if policy != "shared":
        raise InvalidError(f"hw:cpu_policy {policy!r}: no processors are set apart for guests")
    # An emulated processor is libvirt's default: nothing of the host's would make it faster.
    root = Element("cpu", {"mode": host.cpu, "check": "none"} if host.accelerator == "kvm" else {})
    sockets, cores, threads = topology(guest.vcpus, guest.properties, guest.extra_specs)
    add(root, "topology", sockets=str(sockets), cores=str(cores), threads=str(threads))
    return root


def _clock(guest: Guest) -> Element:
    windows = guest.properties.get("os_type") == "windows"
    root = Element("clock", offset="localtime" if windows else "utc")
    add(root, "timer", name="pit", tickpolicy="delay")
    add(root, "timer", name="rtc", tickpolicy="catchup")
    add(root, "timer", name="hpet", present="yes" if windows else "no")
    return root


def _devices(guest: Guest, machine: str) -> Element:
    root = Element("devices")
    for disk in guest.disks:
        element = disk_element(disk)
        boot = element.find("boot")
        if boot is not None and guest.kernel:
            element.remove(boot)  # the kernel is what is booted
        root.append(element)
    root.extend(_controllers(guest, machine))
    for nic in guest.nics:
        root.append(nic_element(nic))
    _consoles(root, guest)
    if guest.properties.get("hw_qemu_guest_agent", "").lower() in _YES:
        channel = add(root, "channel", type="unix")
        add(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    add(root, "input", type="tablet", bus="usb")
    video = guest.properties.get("hw_video_model", "vga")
    if video not in VIDEO:
        raise InvalidError(f"hw_video_model: there is no {video!r}, but {', '.join(sorted(VIDEO))}")
    add(add(root, "video"), "model", type=video)
    _watchdog(root, guest)
    _random(root, guest)
    add(add(root, "memballoon", model="virtio"), "stats", period=str(BALLOON_SECONDS))
    return root


def _controllers(guest: Guest, machine: str) -> list[Element]:
    found = [Element("controller", type="usb", model="qemu-xhci")]
    if "scsi" in {guest.properties.get("hw_disk_bus"), *(disk.bus for disk in guest.disks)}:
        # libvirt has places for seven disks on each, and would make further ones of a model that few systems know.
        found += [
            Element("controller", type="scsi", index=str(index), model="virtio-scsi")
            for index in range(SCSI_CONTROLLERS)
        ]
    if machine.startswith(("q35", "pc-q35")):
        found.append(Element("controller", type="pci", model="pcie-root"))
        found += [Element("controller", type="pci", model="pcie-root-port") for _ in range(ROOT_PORTS)]
    return found


def _consoles(root: Element, guest: Guest) -> None:
    """The serial one is a socket, and written to a log as well; the screen is a socket."""
    folder = checked("a path", guest.folder)
    if not folder.startswith("/"):
        raise InvalidError(f"a guest needs a folder with an absolute path, not {folder!r}")
    serial, screen = f"{folder}/serial.sock", f"{folder}/vnc.sock"
    for path in (serial, screen):
        check_socket_path(path)
    port = add(root, "serial", type="unix")
    add(port, "source", mode="bind", path=serial)
    add(port, "log", file=f"{folder}/console.log", append="off")
    add(port, "target", port="0")
    add(add(root, "graphics", type="vnc"), "listen", type="socket", socket=screen)


def _watchdog(root: Element, guest: Guest) -> None:
    action = guest.properties.get("hw_watchdog_action", guest.extra_specs.get("hw:watchdog_action", "disabled"))
    if action == "disabled":
        return
    if action not in WATCHDOG:
        raise InvalidError(f"hw_watchdog_action is disabled, {', '.join(sorted(WATCHDOG))}, not {action!r}")
    add(root, "watchdog", model="i6300esb", action=action)


def _random(root: Element, guest: Guest) -> None:
    model = guest.properties.get("hw_rng_model", "virtio")
    if model != "virtio":
        raise InvalidError(f"hw_rng_model is virtio, not {model!r}")
    if guest.extra_specs.get("hw_rng:allowed", "true").lower() not in _YES:
        return
    device = add(root, "rng", model="virtio")
    if rate := guest.extra_specs.get("hw_rng:rate_bytes"):
        period = guest.extra_specs.get("hw_rng:rate_period", "1000")
        add(
            device,
            "rate",
            bytes=_number("hw_rng:rate_bytes", rate),
            period=_number("hw_rng:rate_period", period),
        )
    add(device, "backend", "/dev/urandom", model="random")


def _number(name: str, value: str) -> str:
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise InvalidError(f"{name} is a number, not {value!r}")
    return value
