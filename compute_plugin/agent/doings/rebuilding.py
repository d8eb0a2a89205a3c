"""A server begins anew from an image, or is mended from another system."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from compute_plugin.agent.doings.parts import GIB, MIB, put_away_left, volume_made
from compute_plugin.agent.doings.running import run_guest
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.hypervisors.interface import Power
from compute_plugin.records.server import Server, ServerDisk, VmState

RESCUE: Final = "rescue"


async def rebuild(hands: Hands, work: Work) -> None:
    """Its own disks are made anew under the next name; a volume that it boots from becomes the image."""
    runs = bool(work.arguments["runs"])
    await work.step("end")
    await hands.hypervisor.stop(work.server.id, 0)
    await work.step("disks")
    for at, disk in enumerate(work.server.disks):
        if disk.destination == "local" and (disk.boot_index == 0 or not work.arguments.get("keep_ephemeral")):
            await _anew(hands, work, at, disk)
        elif disk.boot_index == 0 and work.arguments.get("reimage"):
            await _reimage(hands, work, at)
    await put_away_left(hands, work.server)
    if runs:
        await work.step("start")
        await run_guest(hands, work)
    else:
        await work.change(lambda server: replace(server, power=Power.SHUTDOWN))
    await work.end(VmState.ACTIVE if runs else VmState.STOPPED)


async def _anew(hands: Hands, work: Work, at: int, disk: ServerDisk) -> None:
    new = f"server-{work.server.id}-{at}_{work.transition.id[:8]}"
    if disk.store_name == new:
        return
    if disk.boot_index == 0:
        facts = await hands.images.wait_sealed(work.server.image_id)
        await hands.disks.of_image(new, facts, disk.size * GIB)
    else:
        await hands.disks.empty(new, disk.size * GIB or disk.size_mib * MIB)
    await work.change(lambda server: server.with_disk(at, store_name=new))


async def _reimage(hands: Hands, work: Work, at: int) -> None:
    """The volume service does it to a volume that nobody has open: the server keeps it by an attachment that is not
    connected."""
    disk = work.server.disks[at]
    if not work.arguments.get("reserved"):
        kept = await hands.volumes.reserve(COMPUTE, disk.volume_id, work.server.id)
        await work.change(lambda server: server.with_disk(at, attachment_id=kept))
        await work.remember(reserved=True)
    for one in await hands.volumes.attachments_of(work.server.id, disk.volume_id):
        if one != work.server.disks[at].attachment_id:
            await hands.volumes.release(one)
    await volume_made(hands, disk.volume_id)  # it is made already where that was begun before a death
    if not work.arguments.get("reimaged"):
        await hands.volumes.reimage(disk.volume_id, str(work.arguments["image"]))
        await work.remember(reimaged=True)
        await volume_made(hands, disk.volume_id)


async def rescue(hands: Hands, work: Work) -> None:
    """It boots from a disk of the rescue image; its own are behind that."""
    await work.step("end")
    await hands.hypervisor.stop(work.server.id, 0)
    await work.step("disks")
    facts = await hands.images.wait_sealed(str(work.arguments["image"]))
    name = f"server-{work.server.id}-{RESCUE}_{work.transition.id[:8]}"
    await put_away_left(hands, work.server)
    await hands.disks.of_image(name, facts, 0)
    await work.change(lambda server: _rescued(server, name, facts.id))
    await work.step("start")
    await run_guest(hands, work)
    await work.end()


def _rescued(server: Server, name: str, image: str) -> Server:
    used = {one.target for one in server.disks}
    bus = server.disks[0].bus if server.disks else "virtio"
    letters = {"virtio": "vd", "ide": "hd"}.get(bus, "sd")
    target = next(f"{letters}{letter}" for letter in "zyxwvutsrqponmlkjihgfedcba" if f"{letters}{letter}" not in used)
    disk = ServerDisk(
        source="image", source_id=image, store_name=name, boot_index=0, target=target, bus=bus, plugged=True
    )
    return replace(server, rescue_disk=disk, rescue_image_id=image)


async def unrescue(hands: Hands, work: Work) -> None:
    """It boots from its own disks again."""
    await work.step("end")
    await hands.hypervisor.stop(work.server.id, 0)
    await work.step("disks")
    await work.change(lambda server: replace(server, rescue_disk=None, rescue_image_id=""))
    await put_away_left(hands, work.server)
    await work.step("start")
    await run_guest(hands, work)
    await work.end()
