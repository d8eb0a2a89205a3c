"""Guests that an I/O error of a volume has paused go on when the volume is there again.

QEMU stops a guest at a request that fails (error_policy "stop"), and asks it again when the guest is resumed: so
nothing is lost, however long that takes. Of no room (ENOSPC) nobody hears when it ends, so it is tried every now and
then: a guest that still finds none is stopped at the same request again, before it could do anything.
"""

from __future__ import annotations

from typing import Any, Final

import libvirt
import structlog
import trio

from compute_plugin.hypervisors.libvirt.connection import call, events
from compute_plugin.hypervisors.libvirt.domain_disks import volume_disks
from store.core.errors import DrystoneError, NotFoundError

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.2
"""Whether there is a server again is looked for so often: a connect to a Unix socket."""
FIRST_SECONDS: Final = 0.5
LAST_SECONDS: Final = 10.0
"""A guest that was resumed is looked at after so long, and at most; twice as long each time it was paused again."""


async def keep_running(connection: Any, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Resume guests that I/O errors of volumes have paused, for ever: also those that were paused before this began.
    Guests that somebody paused on purpose stay so. Raises DrystoneError when the connection is lost."""
    agent = _Agent()
    async with (
        trio.open_nursery() as nursery,
        events(connection, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE) as heard,
    ):
        task_status.started()
        for domain in await call(connection.listAllDomains, libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED):
            agent.look(domain, nursery)
        while True:
            _, domain, event, detail = await heard.next()
            if (event, detail) == (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR):
                agent.look(domain, nursery)


class _Agent:
    def __init__(self) -> None:
        self._again: dict[str, bool] = {}
        """Guests that are seen to, by UUID: whether one was paused anew since its state was last asked for."""

    def look(self, domain: Any, nursery: trio.Nursery) -> None:
        uuid: str = domain.UUIDString()
        if uuid not in self._again:
            nursery.start_soon(self._see_to, uuid, domain)
        self._again[uuid] = True

    async def _see_to(self, uuid: str, domain: Any) -> None:
        try:
            while self._again[uuid]:
                await self._bring_back(uuid, domain)
        except NotFoundError:
            log.info("a guest that was paused is gone", guest=domain.name())
        finally:
            del self._again[uuid]

    async def _bring_back(self, uuid: str, domain: Any) -> None:
        """Until it runs, or somebody else has paused or stopped it."""
        seconds = FIRST_SECONDS
        while True:
            self._again[uuid] = False
            if not await _is_paused_by_error(domain):
                return
            disks = await volume_disks(domain)
            if not disks:
                return
            if seconds == FIRST_SECONDS:
                log.warning("an I/O error has paused a guest", guest=domain.name(), volumes=[d.volume for d in disks])
            for disk in disks:
                await _until_served(disk.socket)
            if not await _is_paused_by_error(domain):
                return
            try:
                await call(domain.resume)
                log.info("a guest goes on", guest=domain.name())
            except NotFoundError:
                raise
            except DrystoneError as error:
                log.warning("a guest cannot be resumed now", guest=domain.name(), why=str(error))
            await trio.sleep(seconds)
            seconds = min(2 * seconds, LAST_SECONDS)


async def _is_paused_by_error(domain: Any) -> bool:
    state, reason = await call(domain.state)
    return bool(state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR)


async def _until_served(path: str) -> None:
    """Until somebody listens there."""
    while True:
        try:
            async with await trio.open_unix_socket(path):
                return
        except OSError:
            await trio.sleep(LOOK_SECONDS)
