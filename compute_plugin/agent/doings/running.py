"""A server's guest is made to run: with its ports here, its volumes connected, its config drive written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import trio

from compute_plugin.agent.guest_plan import guest_of
from compute_plugin.agent.hands import CONFIG_DRIVE, Hands
from compute_plugin.agent.work import Work
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.hypervisors.interface import Guest, Power
from compute_plugin.metadata.config_drive import write_config_drive
from compute_plugin.metadata.documents import drive_documents
from compute_plugin.records.server import Server
from store.core.errors import NotFoundError

Row = dict[str, Any]
SEED_BYTES: Final = 512


async def run_guest(hands: Hands, work: Work, *, saved: bool = False) -> None:
    """Have the server's guest run here. `saved`: from its memory that was written to a file."""
    ports = await bound_ports(hands, work.server)
    await connect_disks(hands, work.server)
    guest = await prepared(hands, work.server, ports)
    memory = hands.saved(work.server.id)
    if not saved:  # what was saved before is older than what its disks have been since
        await trio.to_thread.run_sync(lambda: Path(memory).unlink(missing_ok=True))
    await hands.hypervisor.start(guest, saved=memory if saved else "")
    await complete_disks(hands, work.server)
    if saved:
        await trio.to_thread.run_sync(lambda: Path(memory).unlink(missing_ok=True))
    await work.change(lambda server: runs(server, hands.clock.wall_us()))


def runs(server: Server, now_us: int) -> Server:
    """The server once its guest runs."""
    return replace(
        server,
        power=Power.RUNNING,
        saved=False,
        launched_us=server.launched_us or now_us,
        disks=tuple(replace(one, plugged=True) for one in server.disks),
        nics=tuple(replace(one, plugged=True) for one in server.nics),
    )


async def bound_ports(hands: Hands, server: Server) -> list[Row]:
    """The ports of its network cards, which are plugged in here from now on; see plugged_ports."""
    for nic in server.nics:
        with suppress(NotFoundError):
            await hands.networks.bind_port(nic.port_id, hands.host)
    return await plugged_ports(hands, server)


async def plugged_ports(hands: Hands, server: Server) -> list[Row]:
    """The ports of its network cards, each with the `mtu` and the `subnets` of its network. One that somebody has
    deleted is left out."""
    found: list[Row] = []
    for nic in server.nics:
        with suppress(NotFoundError):
            port = await hands.networks.port(COMPUTE, nic.port_id)
            network = await hands.networks.network(COMPUTE, port["network_id"])
            found.append({**port, "mtu": network["mtu"], "subnets": await hands.networks.subnets(port["network_id"])})
    return found


async def connect_disks(hands: Hands, server: Server) -> None:
    """The volume service knows that they are used here."""
    for disk in server.disks:
        if disk.attachment_id:
            await hands.volumes.connect(disk.attachment_id, hands.host, f"/dev/{disk.target}")


async def complete_disks(hands: Hands, server: Server) -> None:
    for disk in server.disks:
        if disk.attachment_id:
            await hands.volumes.complete(disk.attachment_id)


async def prepared(hands: Hands, server: Server, ports: list[Row]) -> Guest:
    """What the hypervisor is told, with the folder and the files that the guest needs on this host."""
    folder = hands.folder_of(server.id)
    await trio.to_thread.run_sync(lambda: Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True))
    drive = ""
    if server.config_drive:
        drive = f"{folder}/{CONFIG_DRIVE}"
        documents = drive_documents(server, ports, hands.settings, hands.random.bytes(SEED_BYTES))
        await trio.to_thread.run_sync(write_config_drive, drive, documents)
    kernels: Mapping[str, str] = {
        name: await kernel_file(hands, server, folder, name) for name in ("kernel", "ramdisk")
    }
    return guest_of(server, ports, folder=folder, socket=hands.socket, config_drive=drive, **kernels)


async def kernel_file(hands: Hands, server: Server, folder: str, what: str) -> str:
    """The path of a kernel or ramdisk that the server's image names (`kernel_id`, `ramdisk_id`), brought from the image
    registry; "" where it names none."""
    image = server.image_properties.get(f"{what}_id", "")
    if not image:
        return ""
    path = f"{folder}/{what}-{image}"
    if not await trio.to_thread.run_sync(lambda: Path(path).exists()):
        facts = await hands.images.wait_sealed(image)
        await hands.disks.write_file(f"{facts.volume}@{facts.snapshot}", facts.size, path)
    return path
