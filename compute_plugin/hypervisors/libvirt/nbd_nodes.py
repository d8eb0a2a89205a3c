"""A new connection of a disk to its server, below a guest that runs; and one that waits for a server that is away.

libvirt gives a disk two of QEMU's block nodes: `libvirt-N-format` (raw), which the guest's device has, and below it
`libvirt-N-storage`, which is the NBD client. libvirt 9 cannot say `reconnect-delay`: without it the first request after
the connection is lost fails at once. And a client learns a new size only from a new connection. So the node below is
replaced by one of the same name, which libvirt knows, over a third:

    format -> storage                as libvirt made it
    format -> spare                  a new connection of ours
    format -> storage                a new one under the old name, with what we want

Each step is done by QEMU without a request being lost. If we are stopped between two of them, the guest goes on as it
is, and the next call begins from there.
"""

from __future__ import annotations

from typing import Any, Final

import trio

from compute_plugin.hypervisors.libvirt.domain_disks import DomainDisk, find_disk
from compute_plugin.hypervisors.libvirt.monitor import MonitorError, execute
from store.core.errors import ConflictError, RetryableError

HOLD_SECONDS: Final = 20
"""Longer than a server takes to start again; less than the 30 s after which a guest's SCSI layer gives a request up."""
OPEN_SECONDS: Final = 10
"""While QEMU connects the whole guest stands still: for no longer than this. Where it may try so long, it also tries
again so long where nobody listens; so that is looked at first."""


async def renew(domain: Any, target: str, hold_seconds: int = HOLD_SECONDS) -> None:
    """Give a disk of a domain that runs a new connection: it has the volume's size of now. When it is lost later,
    requests wait for so many seconds until it is there again; then they fail. 0: they fail at once, as by libvirt.

    To be done again after the guest was started, migrated, or the disk attached: libvirt makes nodes as it knows them.
    Raises RetryableError where no server answers now, MonitorError where it has no such volume (all is as before),
    NotFoundError, ConflictError.
    """
    disk = await find_disk(domain, target)
    nodes = await _node_names(domain)
    format_, storage, spare = (f"libvirt-{disk.node_index}-format", f"libvirt-{disk.node_index}-storage", _spare(disk))
    if format_ not in nodes:
        raise ConflictError(
            f"QEMU has no node {format_}: the domain does not run, or this libvirt names nodes otherwise"
        )
    await check_server(disk.socket)
    if spare in nodes:  # somebody was stopped in the midst of this
        nodes -= await _dropped(domain, spare)
    if spare not in nodes:
        await execute(domain, "blockdev-add", **_client(disk, spare, hold_seconds))
        await _put_below(domain, disk, format_, spare)
    if storage in nodes:
        await execute(domain, "blockdev-del", node_name=storage)
    await execute(domain, "blockdev-add", **_client(disk, storage, hold_seconds))
    await _put_below(domain, disk, format_, storage)
    await execute(domain, "blockdev-del", node_name=spare)


async def check_server(path: str) -> None:
    """Raises RetryableError where nobody listens at this socket, or who does says nothing: it hangs, or was stopped."""
    greeting = b""
    try:
        with trio.move_on_after(OPEN_SECONDS):
            async with await trio.open_unix_socket(path) as stream:
                greeting = await stream.receive_some(1)
    except (OSError, trio.BrokenResourceError) as error:
        raise RetryableError(f"no server of volumes is at {path}: {error}") from error
    if not greeting:
        raise RetryableError(f"the server of volumes at {path} does not answer")


async def drop_spare(domain: Any, disk: DomainDisk) -> None:
    """Remove what `renew` left of a disk that is gone, if it was stopped in the midst of it."""
    if _spare(disk) in await _node_names(domain):
        await execute(domain, "blockdev-del", node_name=_spare(disk))


def _spare(disk: DomainDisk) -> str:
    return f"drystone-{disk.node_index}-spare"


async def _node_names(domain: Any) -> set[str]:
    return {node["node-name"] for node in await execute(domain, "query-named-block-nodes", flat=True)}


async def _dropped(domain: Any, node: str) -> set[str]:
    """A node that is in use stays."""
    try:
        await execute(domain, "blockdev-del", node_name=node)
    except MonitorError:
        return set()
    return {node}


def _client(disk: DomainDisk, node: str, hold_seconds: int) -> dict[str, Any]:
    return {
        "driver": "nbd",
        "node_name": node,
        "server": {"type": "unix", "path": disk.socket},
        "export": disk.volume,
        "reconnect_delay": hold_seconds,
        "open_timeout": OPEN_SECONDS,
        "read_only": disk.read_only,
        **_caching(disk),
    }


async def _put_below(domain: Any, disk: DomainDisk, format_: str, node: str) -> None:
    # Whatever is not said goes back to QEMU's default.
    options = {
        "driver": "raw",
        "node-name": format_,
        "file": node,
        "read-only": disk.read_only,
        "detect-zeroes": disk.driver.get("detect_zeroes", "off"),
        **_caching(disk),
    }
    await execute(domain, "blockdev-reopen", options=[options])


def _caching(disk: DomainDisk) -> dict[str, Any]:
    """As libvirt says it to both nodes."""
    cache = disk.driver.get("cache", "default")
    return {
        "cache": {"direct": cache in ("none", "directsync"), "no-flush": cache == "unsafe"},
        "discard": disk.driver.get("discard", "unmap"),
    }
