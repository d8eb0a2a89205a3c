"""`Watcher`: what guests do by themselves is seen, and the records say it.

A guest that ended is a server that is stopped. One that no record names, or that is another host's by now, is ended:
it could only be in the way. What is being done with a server is left to whoever does it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from shutil import rmtree
from typing import Final
from uuid import UUID

import structlog
import trio

from compute_plugin.agent.hands import Hands
from compute_plugin.hypervisors.interface import GuestState, Power
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from store.core.errors import DrystoneError, RetryableError

LOOK_S: Final = 30.0
"""How often all guests are looked at, whatever was told meanwhile: libvirt does not tell everything (`changes`)."""
AGAIN_S: Final = 2.0
RUNS: Final = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED})
RESTS: Final = frozenset({VmState.STOPPED, VmState.SUSPENDED, VmState.SHELVED, VmState.OFFLOADED, VmState.SOFT_DELETED})

_log = structlog.get_logger(__name__)


def folders_in(folder: str) -> list[str]:
    """The names of those in a folder that are ids."""
    try:
        return [entry.name for entry in os.scandir(folder) if is_id(entry.name)]
    except FileNotFoundError:
        return []


def is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


class Watcher:
    """Of the guests of one host."""

    def __init__(self, hands: Hands, is_doing: Callable[[str], bool]) -> None:
        """`is_doing`: whether something is done with a server here."""
        self._hands = hands
        self._is_doing = is_doing
        self._put_off: set[str] = set()
        """Guests whose state changed while something was done with their servers."""
        self._soon = False
        self._pause = trio.CancelScope()

    async def run(self) -> None:
        """Until cancelled. The hypervisor may go away and come back."""
        said = False
        while True:
            try:
                async with self._hands.hypervisor.changes() as changes:
                    if said:
                        _log.info("the hypervisor answers again")
                        said = False
                    while True:
                        self._soon = False
                        await self.look()
                        with trio.move_on_after(0 if self._soon else LOOK_S) as self._pause:
                            self._told(await changes.next())
            except RetryableError as error:
                if not said:
                    _log.warning("the hypervisor does not answer", error=str(error))
                    said = True
                await trio.sleep(AGAIN_S)

    def _told(self, id_: str) -> None:
        """A guest's state changed. Where something is done with its server that is looked at again at the end of it."""
        if self._is_doing(id_):
            self._put_off.add(id_)

    def ended(self, server: str) -> None:
        """Nothing is done with a server any more."""
        if server in self._put_off:
            self._put_off.discard(server)
            self._soon = True
            self._pause.cancel()

    async def look(self) -> None:
        """Once over all guests. Raises RetryableError where the hypervisor does not answer."""
        store = self._hands.store
        before = {one.id: one for one in self._resting(await store.fresh())}
        guests = await self._hands.hypervisor.guests()
        records = await store.fresh()
        for id_ in guests:
            if self._is_strange(records, id_):
                _log.warning("a guest is ended: no server of this host has it", guest=id_)
                await self._hands.hypervisor.stop(id_, 0)
        for server in self._resting(records):
            if before.get(server.id) == server:  # else it may have been started or stopped while guests were told
                await self._settle(server, guests)
        await self._forget_folders(records)

    def _resting(self, records: Records) -> list[Server]:
        """Those of this host with which nothing is done."""
        return [
            one
            for one in records.servers.by("host", self._hands.host)
            if one.host == self._hands.host and one.transition is None and not self._is_doing(one.id)
        ]

    async def _forget_folders(self, records: Records) -> None:
        """Of servers that are none of this host's: they went while its agent was away."""
        names = await trio.to_thread.run_sync(folders_in, self._hands.folder)
        for name in names:
            if self._is_strange(records, name) and not self._is_doing(name):
                await trio.to_thread.run_sync(partial(rmtree, self._hands.folder_of(name), ignore_errors=True))

    def _is_strange(self, records: Records, id_: str) -> bool:
        """Whether a guest is of nobody here."""
        server = records.servers.get(id_)
        if server is None:
            return True
        held = {host for host, _ in server.claims}
        arriving = server.transition is not None and server.transition.arguments.get("target") == self._hands.host
        return self._hands.host not in held and not arriving

    async def _settle(self, server: Server, guests: Mapping[str, GuestState]) -> None:
        seen = guests.get(server.id)
        power = Power.SHUTDOWN if seen is None else seen.power
        ended = power in (Power.SHUTDOWN, Power.CRASHED)
        if not ended and server.state in RESTS:
            _log.warning("a guest is ended: its server is stopped", server=server.id)
            await self._hands.hypervisor.stop(server.id, 0)
            return
        state = VmState.STOPPED if ended and server.state in RUNS else server.state
        if state is not server.state or power != server.power:
            await self._is_now(server, state, power)

    async def _is_now(self, server: Server, state: VmState, power: Power) -> None:
        now_us = self._hands.clock.wall_us()

        def step(records: Records) -> None:
            held = records.servers.get(server.id)
            if held is not None and held.transition is None and held.state is server.state:
                records.servers.put(replace(held, state=state, power=int(power), updated_us=now_us))

        try:
            await self._hands.store.change(step)
        except DrystoneError as error:
            _log.info("what a guest does is told later", server=server.id, why=str(error))
            return
        if state is not server.state:
            _log.info("a guest has ended by itself", server=server.id)
