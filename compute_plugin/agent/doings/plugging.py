"""Volumes and network cards come to a server that is there, and go."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from compute_plugin.agent.doings.parts import give_back_port, put_away_volume, volume_made, without_volume
from compute_plugin.agent.doings.running import bound_ports
from compute_plugin.agent.guest_plan import disk_of, nic_of
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.records.server import Server
from store.core.errors import NotFoundError


async def attach_volume(hands: Hands, work: Work) -> None:
    """What was reserved for it when it was asked for. Where it cannot be, the volume is as it was."""
    await work.step("attach")
    volume = str(work.arguments["volume"])
    disk = work.server.disks[_disk_at(work.server, volume)]
    await volume_made(hands, volume)
    if work.server.host:
        await hands.volumes.connect(disk.attachment_id, hands.host, f"/dev/{disk.target}")
        if await _has_guest(hands, work.server):
            await hands.hypervisor.attach_disk(work.server.id, disk_of(disk, hands.socket))
    # Of one that is shelved it is in use, too, though nothing is connected until that is unshelved.
    await hands.volumes.complete(disk.attachment_id)
    await work.end(changed=lambda server: server.with_disk(_disk_at(server, volume), plugged=True))


async def detach_volume(hands: Hands, work: Work) -> None:
    """The guest lets go of it first. Where it does not, it keeps the volume."""
    await work.step("detach")
    volume = str(work.arguments["volume"])
    disk = next((one for one in work.server.disks if one.volume_id == volume), None)
    if disk is not None:
        if work.server.host and await _has_guest(hands, work.server):
            with suppress(NotFoundError):  # the guest has ended meanwhile
                await hands.hypervisor.detach_disk(work.server.id, disk.target)
        await put_away_volume(hands, work.server, work.server.disks.index(disk), disk)
    await work.end(changed=lambda server: without_volume(server, volume))


async def extend_volume(hands: Hands, work: Work) -> None:
    """A volume has grown: its guest sees that."""
    await work.step("grow")
    volume = str(work.arguments["volume"])
    disk = next((one for one in work.server.disks if one.volume_id == volume), None)
    if disk is not None and work.server.host and await _has_guest(hands, work.server):
        await hands.hypervisor.grow_disk(work.server.id, disk.target, int(work.arguments["size"]) << 30)
    await work.end(changed=lambda server: _with_size(server, volume, int(work.arguments["size"])))


def _with_size(server: Server, volume: str, size: int) -> Server:
    disks = tuple(replace(one, size=size) if one.volume_id == volume else one for one in server.disks)
    return replace(server, disks=disks)


async def attach_interface(hands: Hands, work: Work) -> None:
    """A port that was made for it or found when it was asked for."""
    await work.step("attach")
    port = str(work.arguments["port"])
    nics = tuple(one for one in work.server.nics if one.port_id == port)
    if not nics:
        raise NotFoundError(f"Port {port} is none of the server's any more.")
    if await _has_guest(hands, work.server):
        for row in await bound_ports(hands, replace(work.server, nics=nics)):
            await hands.hypervisor.attach_nic(work.server.id, nic_of(work.server, row))
    await work.end(
        changed=lambda server: replace(
            server, nics=tuple(replace(one, plugged=True) if one.port_id == port else one for one in server.nics)
        )
    )


async def detach_interface(hands: Hands, work: Work) -> None:
    await work.step("detach")
    port = str(work.arguments["port"])
    nic = next((one for one in work.server.nics if one.port_id == port), None)
    if nic is not None:
        try:
            mac = str((await hands.networks.port(COMPUTE, port))["mac_address"])
        except NotFoundError:
            mac = ""
        if mac and await _has_guest(hands, work.server):
            with suppress(NotFoundError):  # the guest has ended meanwhile
                await hands.hypervisor.detach_nic(work.server.id, mac)
        await give_back_port(hands, nic)
    await work.end(changed=lambda server: _without_port(server, port))


async def _has_guest(hands: Hands, server: Server) -> bool:
    return server.id in await hands.hypervisor.guests()


def _disk_at(server: Server, volume: str) -> int:
    for at, disk in enumerate(server.disks):
        if disk.volume_id == volume:
            return at
    raise NotFoundError(f"Volume {volume} is none of the server's any more.")


def _without_port(server: Server, port: str) -> Server:
    return replace(server, nics=tuple(one for one in server.nics if one.port_id != port))
