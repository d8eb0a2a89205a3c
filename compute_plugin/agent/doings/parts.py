"""The parts of a server: its ports and its disks are made, and put away. Each stands being done twice."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Final

import structlog
import trio

from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.records.server import Server, ServerDisk, ServerNic
from gateway.rest.images import ImageFacts
from store.core.errors import CallerError, ConflictError, InvalidError

GIB: Final = 1 << 30
MIB: Final = 1 << 20
LOOK_S: Final = 0.2
"""How often a volume is looked at that is being made."""
VOLUME_S: Final = 600.0
"""How long that may take: where it is a copy, long."""
MARK: Final = "drystone:server-disk"
"""In the metadata of a volume that is made for a server: by it the volume is found again after a death."""

_log = structlog.get_logger(__name__)


async def make_ports(hands: Hands, work: Work) -> None:
    """Those that are not there yet; those that are, are the server's."""
    server = work.server
    zone = hands.settings.zone
    for at, nic in enumerate(server.nics):
        if nic.port_id:
            if not nic.own:
                await hands.networks.take_port(work.caller, nic.port_id, server.id, zone, server.hostname)
            continue
        taken = {one.port_id for one in work.server.nics}
        left = [
            one["id"]
            for one in await hands.networks.ports_of(server.id)
            if one["id"] not in taken and one["network_id"] == nic.network_id
        ]
        if left:  # made before a death
            made = left[0]
        else:
            groups = [await hands.networks.security_group(work.caller, one) for one in server.security_groups]
            port = await hands.networks.create_port(
                work.caller,
                server=server.id,
                network=nic.network_id,
                project=server.project_id,
                zone=zone,
                fixed_ip=nic.fixed_ip,
                groups=groups,
                name=server.hostname,
            )
            made = port["id"]
        await work.change(partial(Server.with_nic, at=at, port_id=made, own=True))


async def make_disks(hands: Hands, work: Work) -> None:
    """Those that are not there yet; volumes are the server's from now on."""
    for at, disk in enumerate(work.server.disks):
        if disk.destination == "volume":
            await _take_volume(hands, work, at)
        else:
            await _make_local(hands, work, at, disk)


async def _make_local(hands: Hands, work: Work, at: int, disk: ServerDisk) -> None:
    name = disk.store_name or f"server-{work.server.id}-{at}"
    if disk.source == "image":
        facts = await hands.images.wait_sealed(disk.source_id)
        await hands.disks.of_image(name, facts, disk.size * GIB)
    else:
        await hands.disks.empty(name, disk.size * GIB or disk.size_mib * MIB)
    await work.change(lambda server: server.with_disk(at, store_name=name))


async def _take_volume(hands: Hands, work: Work, at: int) -> None:
    volume = work.server.disks[at].volume_id or await _volume_of(hands, work, at)
    await work.change(lambda server: server.with_disk(at, volume_id=volume))
    await volume_made(hands, volume)
    if not work.server.disks[at].attachment_id:
        attachment = await hands.volumes.attachment_of(volume, work.server.id)
        if not attachment:
            attachment = await hands.volumes.reserve(work.caller, volume, work.server.id)
        await work.change(lambda server: server.with_disk(at, attachment_id=attachment))


async def _volume_of(hands: Hands, work: Work, at: int) -> str:
    """The volume that is to be made for a disk; the one that was made before a death."""
    server, disk = work.server, work.server.disks[at]
    mark = f"{server.id}/{at}"
    found = await hands.volumes.marked(work.caller, MARK, mark)
    if found:
        return found
    asked: dict[str, object] = {
        "name": "",
        "metadata": {MARK: mark},
        **({"volume_type": disk.volume_type} if disk.volume_type else {}),
    }
    size = disk.size
    if disk.source == "image":
        facts = await hands.images.wait_sealed(disk.source_id)
        asked["imageRef"], size = disk.source_id, size or _gib(facts)
    if disk.source == "snapshot":
        asked["snapshot_id"] = disk.source_id
    if size:
        asked["size"] = size
    return str((await hands.volumes.create(work.caller, asked))["id"])


async def volume_made(hands: Hands, volume: str) -> None:
    """Return when a volume has been made. Raises InvalidError where it cannot be."""
    with trio.move_on_after(VOLUME_S):
        while True:
            row = await hands.volumes.volume(COMPUTE, volume)
            status = str(row["status"])
            if status.startswith("error"):
                raise InvalidError(f"Volume {volume} could not be made: it is in status {status}.")
            if status not in ("creating", "downloading", "restoring-backup"):
                return
            await trio.sleep(LOOK_S)
    raise ConflictError(f"Volume {volume} is not made after {VOLUME_S:.0f} s.")


def _gib(facts: ImageFacts) -> int:
    return max(facts.min_disk, -(-facts.virtual_size // GIB))


async def put_away_ports(hands: Hands, server: Server) -> None:
    """Those that were made for it are gone, others are nobody's again; also those that no record names."""
    known = {nic.port_id: nic for nic in server.nics if nic.port_id}
    for id_ in known.keys() | {one["id"] for one in await hands.networks.ports_of(server.id)}:
        await give_back_port(hands, known.get(id_) or ServerNic(port_id=id_, own=True))


async def give_back_port(hands: Hands, nic: ServerNic) -> None:
    """It is gone where it was made for the server, and nobody's otherwise."""
    await (hands.networks.delete_port(nic.port_id) if nic.own else hands.networks.release_port(nic.port_id))


async def unbind_ports(hands: Hands, server: Server) -> None:
    """It keeps its ports, which are plugged in nowhere."""
    for nic in server.nics:
        if nic.port_id:
            await hands.networks.unbind_port(nic.port_id)


async def put_away_disks(hands: Hands, server: Server) -> None:
    """Volumes are available again, or gone where they go with their server. Its own disks are gone. Also what no record
    names: what was made, or reserved, before a death."""
    for at, disk in enumerate(server.disks):
        if disk.destination == "volume":
            await put_away_volume(hands, server, at, disk)
    for name in await hands.disks.of_server(server.id):
        await hands.disks.delete(name)
    for attachment in await hands.volumes.attachments_of(server.id):
        await hands.volumes.release(attachment)


async def put_away_left(hands: Hands, server: Server) -> None:
    """Disks of its own that it has no more, such as a transition has left that another one overtook."""
    kept = {disk.store_name for disk in server.disks}
    if server.rescue_disk is not None:
        kept.add(server.rescue_disk.store_name)
    for name in await hands.disks.of_server(server.id):
        if name not in kept:
            await hands.disks.delete(name)


async def put_away_volume(hands: Hands, server: Server, at: int, disk: ServerDisk) -> None:
    volume = disk.volume_id or await hands.volumes.marked(COMPUTE, MARK, f"{server.id}/{at}")
    if not volume:
        return
    attachment = disk.attachment_id or await hands.volumes.attachment_of(volume, server.id)
    if attachment:
        await hands.volumes.release(attachment)
    if disk.delete_on_termination:
        try:
            await hands.volumes.delete(volume)
        except CallerError as error:  # it has snapshots, or its project has other plans: the server goes all the same
            _log.warning("a volume does not go with its server", server=server.id, volume=volume, error=str(error))


async def forget_folder(hands: Hands, server: Server) -> None:
    """What this host keeps for a guest: its console's log, its saved memory."""
    folder = Path(hands.folder_of(server.id))
    await trio.to_thread.run_sync(lambda: rmtree(folder, ignore_errors=True))


def without_volume(server: Server, volume: str) -> Server:
    return replace(server, disks=tuple(one for one in server.disks if one.volume_id != volume))
