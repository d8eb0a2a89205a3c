"""What containers say on their consoles is written down, while we run: libvirt keeps no log of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import structlog
import trio

from compute_plugin.hypervisors.console_log import LOG
from compute_plugin.hypervisors.libvirt.connection import call
from compute_plugin.hypervisors.libvirt.driver import LibvirtHypervisor
from compute_plugin.hypervisors.libvirt.elements import parsed
from compute_plugin.hypervisors.libvirt.link import AGAIN_SECONDS, Link
from compute_plugin.hypervisors.libvirt.marks import SERVER
from store.core.errors import DrystoneError

log = structlog.get_logger()

LONGEST: Final = 2 << 20
"""Bytes of a log, as of virtlogd."""
CHUNK: Final = 4096

Console = tuple[str, int]
"""Of a container, and the number that it has until it ends: the next that it starts with is another console, and may be
there before the end of this one is seen."""


async def record(hypervisor: LibvirtHypervisor, link: Link) -> None:
    """Of all containers, for ever; also of those that ran before."""
    recorded: set[Console] = set()
    async with trio.open_nursery() as nursery:
        while True:
            try:
                async with hypervisor.changes() as changes:
                    for id_ in await hypervisor.guests():
                        await _begin(id_, link, recorded, nursery)
                    while True:
                        await _begin(await changes.next(), link, recorded, nursery)
            except DrystoneError as error:
                log.info("consoles of containers are looked for anew", why=str(error))
            await trio.sleep(AGAIN_SECONDS)


async def _begin(id_: str, link: Link, recorded: set[Console], nursery: trio.Nursery) -> None:
    try:
        domain = await call((await link.connection()).lookupByUUIDString, id_)
        console = id_, await call(domain.ID)
        if console in recorded:
            return
        found = place_of(await call(domain.XMLDesc, 0))
    except DrystoneError:
        return  # it is gone, or the daemon is
    if found is not None:
        recorded.add(console)
        nursery.start_soon(_record, console, *found, recorded)


def place_of(xml: str) -> tuple[str, Path] | None:
    """The terminal of a container, and where its log belongs; None for what is no server's."""
    root = parsed(xml)
    console = root.find("devices/console[@type='pty']/source")
    folder = root.findtext(f"metadata/{{{SERVER}}}server/{{{SERVER}}}folder", "")
    if console is None or not folder:
        return None
    return console.get("path", ""), Path(folder) / LOG


async def _record(console: Console, terminal: str, path: Path, recorded: set[Console]) -> None:
    try:
        descriptor = os.open(terminal, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        async with trio.lowlevel.FdStream(descriptor) as stream:
            while part := await stream.receive_some(CHUNK):
                await trio.to_thread.run_sync(_append, path, part)
    except (OSError, trio.BrokenResourceError):
        pass  # the container is gone
    finally:
        recorded.discard(console)


def _append(path: Path, part: bytes) -> None:
    with path.open("ab") as file:
        file.write(part)
        long = file.tell() > LONGEST
    if long:
        path.replace(path.with_name(f"{LOG}.0"))


def forget(folder: str) -> None:
    """A log of before, of one that starts anew."""
    (Path(folder) / LOG).unlink(missing_ok=True)
