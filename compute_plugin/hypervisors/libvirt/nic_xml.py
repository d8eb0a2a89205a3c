"""The libvirt XML of a guest's network card: libvirt makes the tap as the guest starts, and it goes with the guest.

https://libvirt.org/formatdomain.html#generic-ethernet-connection
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import GuestNic
from compute_plugin.hypervisors.libvirt.elements import add, text_of
from store.core.errors import InvalidError

MODELS: Final = frozenset({"virtio", "e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "vmxnet3", "netfront"})
_TAP: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def nic_xml(nic: GuestNic) -> str:
    """To attach it to a guest that runs. Raises InvalidError."""
    return text_of(nic_element(nic))


def nic_element(nic: GuestNic) -> Element:
    """For the <devices> of a domain. Raises InvalidError for what no card can be."""
    check_nic(nic)
    root = Element("interface", type="ethernet")
    add(root, "mac", address=nic.mac)
    add(root, "target", dev=nic.tap)
    add(root, "model", type=nic.model)
    add(root, "mtu", size=str(nic.mtu))
    return root


def check_nic(nic: GuestNic) -> None:
    """Raises InvalidError for what no card can be."""
    if not _TAP.fullmatch(nic.tap) or nic.tap in (".", ".."):
        raise InvalidError(f"no tap is called {nic.tap!r}")
    if not _MAC.fullmatch(nic.mac) or int(nic.mac[:2], 16) & 1:
        raise InvalidError(f"{nic.mac!r} is no address of a network card, such as fa:16:3e:00:00:01")
    if not 68 <= nic.mtu <= 65535:
        raise InvalidError(f"a packet has 68 to 65535 bytes at most, not {nic.mtu}")
    if nic.model not in MODELS:
        raise InvalidError(f"there is no network card {nic.model!r}, but {', '.join(sorted(MODELS))}")
