"""The agent of servers over a node: what it is told of this machine, and that the process outlives what goes wrong."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import structlog
import trio

from compute_plugin.agent.agent import ComputeAgent
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.standing import Standing, hypervisor_uuid
from compute_plugin.hypervisors.interface import Hypervisor, Inventory
from compute_plugin.records.states import HostState
from compute_plugin.service import ComputeService
from drystone.kept_running import keep_running
from drystone.network_owner import FILE as CLOUD
from drystone.network_owner import lock_host, own
from drystone.node import Node
from drystone.node_records import split_address
from drystone.server_guests import GuestAnswers
from store.core.entropy import PooledRandom
from store.core.errors import RetryableError

log = structlog.get_logger()

GUESTS: Final = "guests"
"""The folder of the data folder in which each guest has one."""
RUN: Final = "/run/drystone"
SERVERS: Final = f"{RUN}/servers"
"""Whose guests run here."""
AGAIN_S: Final = 5.0
"""How often it is tried to run servers while another process does."""
SOCKET_PATH_MAX: Final = 107
SOCKET_NAME_MAX: Final = 52
"""Of what is behind the folder: a server's id, and the longest name of a socket."""


class HostServers:
    """Runs servers on this machine."""

    def __init__(self, node: Node, service: ComputeService, name: str, guests: GuestAnswers) -> None:
        self._node = node
        self._service = service
        self._name = name
        self._guests = guests

    async def run(self) -> None:
        """Until cancelled."""
        await keep_running("the agent of servers", self._run, self._say_why_not, self._node.clock)

    async def _run(self) -> None:
        if os.geteuid() != 0:
            await self._say_why_not("servers are run where drystone is root: it plugs them into networks")
        try:
            # Where nobody runs servers, nothing of libvirt has to be installed.
            from drystone.hypervisor_opening import opened
        except ImportError as error:
            await self._say_why_not(f"libvirt's Python side is not installed ({error}): see README, 'Servers'")
            return
        with await self._locked():
            async with opened(self._service.settings.hypervisor) as hypervisor:
                await self._own(hypervisor)
                async with self._working(hypervisor) as hands:
                    await ComputeAgent(hands, self._standing(hypervisor.inventory)).run()

    async def _locked(self) -> BinaryIO:
        """Once no other process runs servers on this machine: each would end the other's guests."""
        lock = lock_host(SERVERS)
        if lock is not None:
            return lock
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._say_why_not, "another Drystone runs servers on this machine")
            while lock is None:
                await trio.sleep(AGAIN_S)
                lock = lock_host(SERVERS)
            nursery.cancel_scope.cancel()
        return lock

    async def _own(self, hypervisor: Hypervisor) -> None:
        """This machine's guests are this cloud's from now on; unless those of another one run here."""
        cloud, said = self._node.cluster.id.hex(), Path(SERVERS) / CLOUD
        before = await trio.to_thread.run_sync(lambda: said.read_text().strip() if said.exists() else cloud)
        if before != cloud and await hypervisor.guests():
            await self._say_why_not(
                f"guests of another cloud run on this machine: end them ('virsh list'), or remove {said} to have them "
                "ended here"
            )
        await trio.to_thread.run_sync(own, SERVERS, cloud)

    @asynccontextmanager
    async def _working(self, hypervisor: Hypervisor) -> AsyncIterator[Hands]:
        node, service = self._node, self._service
        clients = service.clients
        folder = node.folder.at(GUESTS)
        await trio.to_thread.run_sync(partial(os.makedirs, folder, mode=0o700, exist_ok=True))
        self._guests.of = Hands(
            host=self._name,
            store=service.store,
            states=lambda: service.states.states,
            hypervisor=hypervisor,
            volumes=clients.volumes,
            networks=clients.networks,
            disks=clients.disks,
            images=clients.images,
            image_records=clients.image_records,
            settings=service.settings,
            clock=node.clock,
            random=PooledRandom(),
            new_id=service.new_id,
            folder=short(folder, SOCKET_NAME_MAX),
            socket=short(node.folder.nbd, 0),
        )
        try:
            yield self._guests.of
        finally:
            self._guests.of = None

    async def _say_why_not(self, why: str) -> None:
        """Until cancelled."""

        async def nothing() -> Inventory:
            raise RetryableError(why)

        try:
            await self._standing(nothing).run()
        except* Exception:
            log.exception("it cannot be told that servers are not run here")
            await trio.sleep_forever()

    def _standing(self, inventory: Callable[[], Awaitable[Inventory]]) -> Standing:
        node, service = self._node, self._service
        listens = node.together.identity.address if node.together is not None else ""
        address = split_address(listens)[0] if listens else "127.0.0.1"
        state = HostState(
            id=self._name,
            uuid=hypervisor_uuid(node.cluster.id.hex(), self._name),
            address=address,
            migration_uri=service.settings.migration_uri.replace("%s", address),
        )
        return Standing(
            node.registry,
            inventory,
            node.clock,
            lambda: service.states.states,
            partial(room, node),
            state,
        )


async def room(node: Node) -> tuple[int, int]:
    """Bytes that servers' disks may have on this machine's devices, and those that are free: each is kept in as many
    copies as there are."""
    folders = [node.membership.path(number) for number in node.membership.own]

    def look() -> tuple[int, int]:
        held = {os.stat(folder).st_dev: os.statvfs(folder) for folder in folders if os.path.isdir(folder)}
        total = sum(one.f_frsize * one.f_blocks for one in held.values())
        free = sum(one.f_frsize * one.f_bavail for one in held.values())
        return total, free

    total, free = await trio.to_thread.run_sync(look)
    copies = max(min((policy.replicas for policy in node.cluster.policies if policy.replicas), default=1), 1)
    return total // copies, free // copies


def short(path: str, more: int) -> str:
    """A path of the same that is short enough for sockets: itself, or one through a link."""
    if len(path.encode()) + more <= SOCKET_PATH_MAX:
        return path
    link = Path(RUN) / f"at-{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    link.parent.mkdir(exist_ok=True)
    for one in link.parent.glob("at-*"):  # guests use them while nobody serves; those of folders that are gone, nobody
        if not one.exists():
            one.unlink(missing_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return str(link)
