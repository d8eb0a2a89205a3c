"""How the XML of every kind of domain begins."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID
from xml.etree.ElementTree import Element

from compute_plugin.hypervisors.interface import Guest
from compute_plugin.hypervisors.libvirt.elements import add, one_line
from compute_plugin.hypervisors.libvirt.marks import ToDo, metadata
from store.core.errors import InvalidError

_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


def check_guest(guest: Guest) -> None:
    """Raises InvalidError for what no guest can be."""
    if not _NAME.fullmatch(guest.name):
        raise InvalidError(f"a guest's name is of up to 64 letters, digits and '-', not {guest.name!r}")
    try:
        is_id = str(UUID(guest.id)) == guest.id
    except ValueError:
        is_id = False
    if not is_id:
        raise InvalidError(f"a guest's id is a UUID, not {guest.id!r}")
    if guest.vcpus < 1 or guest.memory_mib < 1:
        raise InvalidError(f"a guest has a processor and memory, not {guest.vcpus} and {guest.memory_mib} MiB")


def begin(guest: Guest, type_: str, to_do: ToDo) -> Element:
    """Names, memory and processors. Raises InvalidError."""
    check_guest(guest)
    root = Element("domain", type=type_)
    add(root, "name", guest.name)
    add(root, "uuid", guest.id)
    if title := one_line(guest.title):
        add(root, "title", title)
    root.append(metadata(guest, to_do))
    add(root, "memory", str(guest.memory_mib), unit="MiB")
    add(root, "currentMemory", str(guest.memory_mib), unit="MiB")
    add(root, "vcpu", str(guest.vcpus), placement="static")
    return root
