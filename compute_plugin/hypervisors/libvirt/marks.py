"""What we write into a domain's metadata: that it is a server's, and how far its start has come.

A transient domain is paused before its first instruction while its disks are made ready, and nobody knows from that
alone whether somebody paused it on purpose. So its XML says what is still to be done, until it is done.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import libvirt

from compute_plugin.hypervisors.interface import Guest
from compute_plugin.hypervisors.libvirt.connection import call
from compute_plugin.hypervisors.libvirt.elements import add, checked, one_line, parsed
from store.core.errors import DrystoneError

SERVER: Final = "urn:drystone:server"
RUN: Final = "urn:drystone:run"
ElementTree.register_namespace("server", SERVER)
ElementTree.register_namespace("run", RUN)


class ToDo(StrEnum):
    """What is still to be done before a guest runs as it should."""

    NOTHING = ""
    START = "start"
    """Make its disks ready, and have it run."""
    RENEW = "renew"
    """It was moved here: make its disks ready."""


def metadata(guest: Guest, to_do: ToDo) -> Element:
    """For a new domain."""
    root = Element("metadata")
    server = add(root, f"{{{SERVER}}}server")
    add(server, f"{{{SERVER}}}title", one_line(guest.title))
    add(server, f"{{{SERVER}}}project", one_line(guest.project_id))
    add(server, f"{{{SERVER}}}folder", checked("a path", guest.folder))
    add(root, f"{{{RUN}}}run", **{"to-do": to_do.value})
    return root


def set_to_do(domain_xml: Element, to_do: ToDo) -> None:
    """In the XML of a domain that we made."""
    run = domain_xml.find(f"metadata/{{{RUN}}}run")
    if run is not None:
        run.attrib.clear()
        run.set("to-do", to_do.value)


def is_ours(domain: Any) -> bool:
    """Whether it is a server's. Blocks; raises libvirtError."""
    try:
        domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, SERVER, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return False
        raise
    return True


def is_starting(domain: Any) -> bool:
    """Whether it is paused because its start has not come further. Blocks; raises libvirtError."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, RUN, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return False
        raise
    return f'"{ToDo.START}"' in text or f"'{ToDo.START}'" in text


async def to_do(domain: Any) -> ToDo:
    """Of a domain that runs. Raises NotFoundError where it does not any more."""
    return ToDo((await _run(domain)).get("to-do", ""))


async def done(domain: Any) -> None:
    """Nothing is to be done any more, as of now."""
    run = f"<run since='{int(time.time())}'/>"
    await call(
        domain.setMetadata,
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        run,
        "run",
        RUN,
        libvirt.VIR_DOMAIN_AFFECT_LIVE,
    )


async def uptime(domain: Any) -> int:
    """Seconds since it was started."""
    since = (await _run(domain)).get("since")
    return 0 if since is None else max(0, int(time.time()) - int(since))


async def _run(domain: Any) -> Element:
    try:
        text = await call(domain.metadata, libvirt.VIR_DOMAIN_METADATA_ELEMENT, RUN, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except DrystoneError as error:
        cause = error.__cause__
        if isinstance(cause, libvirt.libvirtError) and cause.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return Element("run")
        raise
    return parsed(text)
