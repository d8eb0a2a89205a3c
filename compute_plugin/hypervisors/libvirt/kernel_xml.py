"""A guest that boots a kernel of its image, with no boot loader: https://libvirt.org/formatdomain.html#direct-kernel-boot"""

from __future__ import annotations

from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest
from compute_plugin.hypervisors.libvirt.elements import add, checked


def add_kernel(os: Element, guest: Guest) -> None:
    """To the domain's <os>; nothing where the guest has no kernel. Raises InvalidError."""
    if not guest.kernel:
        return
    add(os, "kernel", checked("a path", guest.kernel))
    if guest.ramdisk:
        add(os, "initrd", checked("a path", guest.ramdisk))
    line = guest.command_line or guest.properties.get("os_command_line", "")
    if line:
        add(os, "cmdline", checked("a kernel's command line", line))
