"""What a domain's XML says of those of its disks that are volumes."""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.etree import ElementTree

from compute_plugin.hypervisors.libvirt.connection import call
from compute_plugin.hypervisors.libvirt.elements import parsed
from store.core.errors import NotFoundError


class DomainDisk(NamedTuple):
    """A disk of a domain that is an export of an NBD server, over a Unix socket."""

    volume: str
    socket: str
    target: str
    alias: str
    """libvirt's name for the device, that events have; "" where the domain does not run."""
    node_index: str
    """libvirt's number of the source, by which it names QEMU's block nodes; "" where the domain does not run."""
    read_only: bool
    driver: dict[str, str]
    """Attributes of <driver>: cache, discard, detect_zeroes ..."""
    xml: str


async def volume_disks(domain: Any) -> list[DomainDisk]:
    """Of a domain as it runs, or as it is defined where it does not. Raises NotFoundError where it is gone."""
    return parse_disks(await call(domain.XMLDesc, 0))


async def find_disk(domain: Any, target: str) -> DomainDisk:
    """Raises NotFoundError."""
    for disk in await volume_disks(domain):
        if disk.target == target:
            return disk
    raise NotFoundError(f"domain {domain.name()} has no volume at {target}")


def parse_disks(xml: str) -> list[DomainDisk]:
    """Those of a domain's XML, in its order."""
    found: list[DomainDisk] = []
    for disk in parsed(xml).iterfind("devices/disk[@type='network']"):
        source, target, alias = disk.find("source[@protocol='nbd']"), disk.find("target"), disk.find("alias")
        host = None if source is None else source.find("host[@transport='unix']")
        if source is None or host is None or target is None:
            continue
        driver = disk.find("driver")
        found.append(
            DomainDisk(
                volume=source.get("name", ""),
                socket=host.get("socket", ""),
                target=target.get("dev", ""),
                alias="" if alias is None else alias.get("name", ""),
                node_index=source.get("index", ""),
                read_only=disk.find("readonly") is not None,
                driver={} if driver is None else dict(driver.attrib),
                xml=ElementTree.tostring(disk, encoding="unicode"),
            )
        )
    return found
