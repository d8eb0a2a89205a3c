"""The libvirt XML of a container: a pure function. https://libvirt.org/drvlxc.html"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest
from compute_plugin.hypervisors.libvirt.elements import add, checked, text_of
from compute_plugin.hypervisors.libvirt.frame import begin
from compute_plugin.hypervisors.libvirt.marks import ToDo
from compute_plugin.hypervisors.libvirt.nic_xml import nic_element

INIT = "/sbin/init"


def domain_xml(guest: Guest, root_device: str) -> str:
    """Its root file system is on a block device of the host. Raises InvalidError for what no guest can be."""
    root = begin(guest, "lxc", ToDo.START)
    system = add(root, "os")
    add(system, "type", "exe", arch="x86_64")
    add(system, "init", INIT)
    # Without a network card it has no network, rather than that of the host.
    add(add(root, "features"), "privnet")
    add(root, "clock", offset="utc")
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        add(root, f"on_{event}", action)
    devices = add(root, "devices")
    files = add(devices, "filesystem", type="block", accessmode="passthrough")
    add(files, "source", dev=checked("a path", root_device))
    add(files, "target", dir="/")
    for nic in guest.nics:
        devices.append(_nic(nic_element(nic)))
    add(add(devices, "console", type="pty"), "target", type="lxc", port="0")
    return text_of(root)


def _nic(element: Element) -> Element:
    """It is one end of a pair, and no model of a card."""
    model = element.find("model")
    if model is not None:
        element.remove(model)
    return element
