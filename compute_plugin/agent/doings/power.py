"""Guests are started and stopped, paused and saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import trio

from compute_plugin.agent.doings.running import run_guest
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work
from compute_plugin.hypervisors.interface import Power
from compute_plugin.records.server import VmState
from store.core.errors import ConflictError, NotFoundError


async def start(hands: Hands, work: Work) -> None:
    await work.step("start")
    await run_guest(hands, work)
    await work.end()


async def stop(hands: Hands, work: Work) -> None:
    await work.step("stop")
    await hands.hypervisor.stop(work.server.id, stop_patience(hands, work))
    await work.end(changed=lambda server: replace(server, power=Power.SHUTDOWN))


def stop_patience(hands: Hands, work: Work) -> float:
    """How long its system may take to end."""
    said = work.server.image_properties.get("os_shutdown_timeout", "")
    if work.server.state is VmState.ERROR:
        return 0.0
    return float(said) if said.isdecimal() and len(said) < 6 else hands.settings.stop_s


async def reboot(hands: Hands, work: Work) -> None:
    """Asked for in the guest; where that does nothing, it is ended and begun anew."""
    await work.step("ask")
    try:
        done = await hands.hypervisor.reboot(work.server.id, hands.settings.stop_s)
    except NotFoundError:
        done = False
    if not done:
        await work.step("start")
        await hands.hypervisor.stop(work.server.id, 0)
        await run_guest(hands, work)
    await work.end()


async def hard_reboot(hands: Hands, work: Work) -> None:
    await work.step("end")
    await hands.hypervisor.stop(work.server.id, 0)
    await work.step("start")
    await run_guest(hands, work)
    await work.end()


async def pause(hands: Hands, work: Work) -> None:
    await work.step("pause")
    await hands.hypervisor.pause(work.server.id)
    await work.end(changed=lambda server: replace(server, power=Power.PAUSED))


async def unpause(hands: Hands, work: Work) -> None:
    await work.step("unpause")
    await hands.hypervisor.unpause(work.server.id)
    await work.end(changed=lambda server: replace(server, power=Power.RUNNING))


async def suspend(hands: Hands, work: Work) -> None:
    """Its memory goes to a file of the host. A death in it leaves the guest running, or the file whole."""
    await work.step("save")
    if work.server.id in await hands.hypervisor.guests():
        await hands.hypervisor.save(work.server.id, hands.saved(work.server.id))
    elif not await trio.to_thread.run_sync(Path(hands.saved(work.server.id)).exists):
        raise ConflictError(f"Instance {work.server.id} does not run: there is nothing to be saved.")
    await work.end(changed=lambda server: replace(server, power=Power.SHUTDOWN, saved=True))


async def resume(hands: Hands, work: Work) -> None:
    await work.step("start")
    await run_guest(hands, work, saved=work.server.saved)
    await work.end()


async def interrupt(hands: Hands, work: Work) -> None:
    await work.step("interrupt")
    await hands.hypervisor.interrupt(work.server.id)
    await work.end()


async def set_password(hands: Hands, work: Work) -> None:
    await work.step("password")
    user = work.server.image_properties.get("os_admin_user", "")
    windows = work.server.image_properties.get("os_type") == "windows"
    await hands.hypervisor.set_password(
        work.server.id, user or ("Administrator" if windows else "root"), str(work.arguments["password"])
    )
    await work.end()
