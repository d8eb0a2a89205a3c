"""`Process`: this process as one that receives bits, known to the others as long as it lives."""

from __future__ import annotations

import structlog
import trio

from image_registry import keys
from store.core.entropy import Random
from store.core.errors import BusyError, NotFoundError, RetryableError
from store.registry import Lease, Put, Registry

LEASE_S = 15
"""How long after its last sign of life a process is taken for dead: what it was receiving is dropped then."""

_log = structlog.get_logger(__name__)


class Process:
    """`run` while bits are received."""

    def __init__(self, registry: Registry, random: Random) -> None:
        self._registry = registry
        self._random = random
        self._id = ""

    @property
    def id(self) -> str:
        """Raises BusyError where this process is not known to the others at the moment."""
        if not self._id:
            raise BusyError("Images are not received now; try again.")
        return self._id

    async def living(self) -> frozenset[str]:
        """The processes that live."""
        items = await self._registry.range(keys.PROCESSES)
        return frozenset(item.key.removeprefix(keys.PROCESSES.start).decode() for item in items)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Raises RetryableError where the registry is away at the beginning."""
        lease = await self._enter()
        task_status.started()
        try:
            while True:
                await trio.sleep(LEASE_S / 3)
                try:
                    await lease.keep_alive()
                except NotFoundError:
                    _log.warning("this process was taken for dead: what it was receiving is dropped")
                    self._id = ""
                    lease = await self._enter_again()
                except RetryableError as error:
                    _log.warning("the registry is not told now that this process lives", error=str(error))
        finally:
            self._id = ""
            with trio.CancelScope(shield=True), trio.move_on_after(LEASE_S):
                await lease.revoke()

    async def _enter(self) -> Lease:
        lease = await self._registry.lease(LEASE_S)
        id_ = self._random.bytes(16).hex()
        await self._registry.transact((), [Put(keys.process(id_), b"", lease.id)])
        self._id = id_
        return lease

    async def _enter_again(self) -> Lease:
        while True:
            try:
                return await self._enter()
            except (RetryableError, NotFoundError) as error:
                _log.warning("the registry is not told now that this process lives", error=str(error))
                await trio.sleep(LEASE_S / 3)
