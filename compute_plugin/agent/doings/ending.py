"""A server goes, for good or for a while."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import trio

from compute_plugin.agent.doings.parts import put_away_disks, put_away_ports, unbind_ports
from compute_plugin.agent.doings.power import stop_patience
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import Power
from compute_plugin.records.server import Server


async def delete(hands: Hands, work: Work) -> None:
    """With all that is its own: nothing of it is left anywhere. The guest first, so that it uses nothing that goes."""
    await work.step("end")
    await hands.hypervisor.stop(work.server.id, 0)
    await work.step("ports")
    await put_away_ports(hands, work.server)
    await work.step("disks")
    await put_away_disks(hands, work.server)
    await forget_folder(hands, work.server)
    await work.remove()


async def soft_delete(hands: Hands, work: Work) -> None:
    """It can be restored until it is reclaimed."""
    await work.step("stop")
    await hands.hypervisor.stop(work.server.id, stop_patience(hands, work))
    now = hands.clock.wall_us()
    await work.end(changed=lambda server: replace(server, power=Power.SHUTDOWN, terminated_us=now))


async def shelve(hands: Hands, work: Work) -> None:
    """It takes nothing of any host: its disks are in the store, where they were all the time."""
    await work.step("stop")
    await hands.hypervisor.stop(work.server.id, stop_patience(hands, work))
    await offload(hands, work)


async def offload(hands: Hands, work: Work) -> None:
    await work.step("release")
    await hands.hypervisor.stop(work.server.id, 0)
    await unbind_ports(hands, work.server)
    await forget_folder(hands, work.server)
    await work.end(changed=_of_no_host)


def _of_no_host(server: Server) -> Server:
    return replace(server, host="", power=Power.SHUTDOWN, saved=False)


async def forget_folder(hands: Hands, server: Server) -> None:
    """What this host keeps for a guest: its console's log, its saved memory."""
    folder = Path(hands.folder_of(server.id))
    await trio.to_thread.run_sync(lambda: rmtree(folder, ignore_errors=True))
