"""A transition has failed: what it had made besides is put away, and the records say what is so. Each stands being done
twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import structlog

from compute_plugin.agent.doings.parts import forget_folder, give_back_port, unbind_ports, without_volume
from compute_plugin.agent.doings.resizing import drop_snapshots
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.lifecycle.migrations import migration_is
from compute_plugin.records.server import Server
from store.core.errors import CallerError, DrystoneError

Changed = Callable[[Server], Server]
Undo = Callable[[Hands, Work], Awaitable[Changed]]

_log = structlog.get_logger(__name__)


async def fail(hands: Hands, work: Work, message: str) -> None:
    """Raises RetryableError, LostError."""
    changed = await _undone(hands, work)
    migration, now = str(work.arguments.get("migration", "")), hands.clock.wall_us()
    await work.fail(message, changed=changed, also=lambda records, _: migration_is(records, migration, "error", now))


async def _undone(hands: Hands, work: Work) -> Changed:
    """What cannot be put away is left: the server is to be told that it failed."""
    undo = UNDO.get(work.transition.what)
    if undo is None:
        return _same
    try:
        return await undo(hands, work)
    except DrystoneError as error:
        _log.warning("what a server left is not put away", server=work.server.id, error=str(error))
        return _AT_LEAST.get(work.transition.what, _same)


def _same(server: Server) -> Server:
    return server


def _of_no_host(server: Server) -> Server:
    return replace(server, host="")


def _went_back(server: Server) -> Server:
    """What had not left its host is there; what had left it is where it went."""
    before, doing = server.before, server.transition
    if before is None:
        return server
    if doing is not None and not doing.arguments.get("left"):
        server = replace(server, host=before.host, flavor=before.flavor)
    return replace(server, before=None)


async def _off_host(hands: Hands, work: Work) -> Changed:
    """It is on no host."""
    await hands.hypervisor.stop(work.server.id, 0)
    await unbind_ports(hands, work.server)
    await forget_folder(hands, work.server)
    return _of_no_host


async def _resize(hands: Hands, work: Work) -> Changed:
    if work.arguments.get("left"):
        await hands.hypervisor.stop(work.server.id, 0)
        await drop_snapshots(hands, work)
    return _went_back


async def _live_migrate(_: Hands, __: Work) -> Changed:
    """It runs where it is, and takes nothing of another host."""
    return lambda server: replace(server, before=None)


async def _attach_volume(hands: Hands, work: Work) -> Changed:
    volume = str(work.arguments["volume"])
    for disk in work.server.disks:
        if disk.volume_id == volume and disk.attachment_id:
            try:
                await hands.hypervisor.detach_disk(work.server.id, disk.target)
            except DrystoneError:
                _log.info("a disk that was not attached is not detached", server=work.server.id, volume=volume)
            await hands.volumes.release(disk.attachment_id)
    return lambda server: without_volume(server, volume)


async def _detach_volume(hands: Hands, work: Work) -> Changed:
    try:
        await hands.volumes.rollback_detaching(COMPUTE, str(work.arguments["volume"]))
    except CallerError as error:
        _log.info("a volume is not as before it was to be detached", server=work.server.id, error=str(error))
    return _same


async def _attach_interface(hands: Hands, work: Work) -> Changed:
    port = str(work.arguments["port"])
    for nic in work.server.nics:
        if nic.port_id == port:
            await give_back_port(hands, nic)
    return lambda server: replace(server, nics=tuple(one for one in server.nics if one.port_id != port))


async def _create_image(hands: Hands, work: Work) -> Changed:
    await abandon_image(hands, work.server, work.arguments, "The server could not be made an image.")
    return _same


async def abandon_image(hands: Hands, server: Server, made: Mapping[str, Any], why: str) -> None:
    """An image that was begun of a server gets no bits. `made`: of the arguments of the transition."""
    image = str(made.get("image", ""))
    if not image:
        return
    await hands.images.abandon(image, why)
    for disk in server.disks:
        if disk.store_name:
            await hands.disks.drop_snapshot(disk.store_name, f"image-{image}")
    for snapshot in dict(made.get("snapshots", {})).values():
        await hands.volumes.delete_snapshot(str(snapshot))


UNDO: Final[Mapping[str, Undo]] = MappingProxyType(
    {
        "build": _off_host,
        "unshelve": _off_host,
        "resize": _resize,
        "migrate": _resize,
        "live-migrate": _live_migrate,
        "attach-volume": _attach_volume,
        "detach-volume": _detach_volume,
        "attach-interface": _attach_interface,
        "create-image": _create_image,
    }
)
"""By the table's `what`; others leave nothing."""
_AT_LEAST: Final[Mapping[str, Changed]] = MappingProxyType(
    {"build": _of_no_host, "unshelve": _of_no_host, "resize": _went_back, "migrate": _went_back}
)
"""What the records say at any rate. A guest that is left is ended by the watcher of its host."""
