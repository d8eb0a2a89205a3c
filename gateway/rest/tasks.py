"""`Tasks`: long work as records in the registry, each with one owner at a time.

    task/<service>/<id>         a task
    task-owner/<service>/<id>   an owner that lives: the key is attached to its lease, and goes when that ends

An owner is a process that has said so (`enter`) and keeps its lease alive. Whoever finds an unfinished task of an owner
that is no more takes it over; every write asks in its transaction that the record is the one that was read and that the
writer still lives, so an owner that slept through its end changes nothing any more. What else such an owner may be
doing at that moment is for the work itself to fence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.rest.task_records import MESSAGE_CHARACTERS_MAX, TASK_CODEC, State, Task
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import ConflictError, DrystoneError, NotFoundError
from store.registry import Compare, Delete, Get, Item, Lease, Put, Registry, Span

LEASE_S: Final = 15
"""How long after its last sign of life an owner is taken for dead."""
KEPT_S: Final = 48 * 3600
"""How long ended tasks can be asked about."""


class LostTaskError(DrystoneError):
    """The task is another's by now, or has ended: whoever works on it here is to stop and undo nothing."""


class Tasks:
    """Of one service, as one process knows them."""

    def __init__(self, registry: Registry, service: str, clock: Clock, random: Random) -> None:
        self._registry = registry
        self._prefix = f"task/{service}/".encode()
        self._owner_prefix = f"task-owner/{service}/".encode()
        self._clock = clock
        self._random = random
        self._owner = ""
        self._lease: Lease | None = None

    # -- who owns ------------------------------------------------------------------------------------------------

    async def enter(self) -> None:
        """Become an owner, anew if this process was one before: what it had is then for whoever takes it over."""
        lease = await self._registry.lease(LEASE_S)
        owner = self._random.bytes(16).hex()
        await self._registry.transact((), [Put(self._owner_key(owner), b"", lease.id)])
        self._owner, self._lease = owner, lease

    async def keep_alive(self) -> None:
        """To be called every few seconds. Raises NotFoundError where the lease has ended: `enter` again."""
        assert self._lease is not None, "enter comes first"
        await self._lease.keep_alive()

    async def leave(self) -> None:
        """What is unfinished here is for others at once."""
        if self._lease is not None:
            await self._lease.revoke()

    def new_id(self) -> str:
        """Of a task that is yet to be started."""
        return self._random.bytes(16).hex()

    # -- work ----------------------------------------------------------------------------------------------------

    async def start(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        operations: Sequence[Put | Delete] = (),
        compares: Sequence[Compare] = (),
        id_: str | None = None,
    ) -> Task:
        """A new task of this owner; in the same moment `operations` are done, where `compares` hold. `id_`: from
        new_id, where something had to know it before. Raises ConflictError where they do not, LostTaskError where this
        owner is none any more."""
        now = self._clock.wall_us()
        task = Task(id_ or self.new_id(), kind, dict(arguments), self._owner, now, now)
        alive = Compare.exists(self._owner_key(self._owner))
        put = Put(self._key(task.id), TASK_CODEC.encode(task))
        result = await self._registry.transact([alive, Compare.absent(put.key), *compares], [put, *operations])
        if not result.succeeded:
            await self._require_alive()
            raise ConflictError("What the task is about has changed meanwhile.")
        return task

    async def progress(
        self,
        task: Task,
        *,
        step: str | None = None,
        percent: int | None = None,
        message: str | None = None,
        operations: Sequence[Put | Delete] = (),
    ) -> Task:
        """It has come so far; in the same moment `operations` are done. The task as it is now. Raises LostTaskError."""
        percent = task.percent if percent is None else min(max(percent, 0), 100)
        message = task.message if message is None else message[:MESSAGE_CHARACTERS_MAX]
        step = task.step if step is None else step
        return await self._write(task, replace(task, step=step, percent=percent, message=message), operations)

    async def require_own(self, task: Task) -> None:
        """Raises LostTaskError where it is another's by now or has ended, or this owner is taken for dead: to be asked
        before what would undo what another has done since."""
        key, alive = self._key(task.id), Compare.exists(self._owner_key(task.owner))
        result = await self._registry.transact([alive], [Get(key)])
        item = result.answers[0] if result.succeeded else None
        if isinstance(item, Item):
            now = TASK_CODEC.decode(item.value)
            if now.state is State.RUNNING and now.owner == task.owner:
                return
        raise LostTaskError(f"task {task.id} is another's, or has ended")

    async def finish(self, task: Task, message: str = "", operations: Sequence[Put | Delete] = ()) -> Task:
        """It is done. Raises LostTaskError."""
        message = message[:MESSAGE_CHARACTERS_MAX]
        return await self._write(task, replace(task, percent=100, message=message, state=State.FINISHED), operations)

    async def fail(self, task: Task, message: str, operations: Sequence[Put | Delete] = ()) -> Task:
        """It will not be done; `message` says why, to whoever asked for it. Raises LostTaskError."""
        message = message[:MESSAGE_CHARACTERS_MAX]
        return await self._write(task, replace(task, message=message, state=State.FAILED), operations)

    # -- what there is -------------------------------------------------------------------------------------------

    async def get(self, id_: str) -> Task:
        """Raises NotFoundError."""
        item = await self._registry.get(self._key(id_))
        if item is None:
            raise NotFoundError(f"Could not find task: {id_}.")
        return TASK_CODEC.decode(item.value)

    async def goes_on(self, id_: str) -> bool:
        """Whether it is unfinished, whoever does it: what quotas ask before they take back what it reserved."""
        item = await self._registry.get(self._key(id_))
        return item is not None and TASK_CODEC.decode(item.value).state is State.RUNNING

    async def every(self) -> list[Task]:
        """In the order of their ids, ended ones too."""
        return [TASK_CODEC.decode(item.value) for item in await self._registry.range(Span.prefix(self._prefix))]

    async def abandoned(self) -> list[Task]:
        """Unfinished ones whose owner is no more."""
        unfinished = [task for task in await self.every() if task.state is State.RUNNING]
        # Read after the tasks: the owner of each of them was there before it.
        owners = await self._registry.range(Span.prefix(self._owner_prefix))
        living = {item.key.removeprefix(self._owner_prefix).decode() for item in owners}
        return [task for task in unfinished if task.owner not in living]

    async def own(self) -> list[Task]:
        """Unfinished ones of this owner."""
        return [task for task in await self.every() if task.state is State.RUNNING and task.owner == self._owner]

    async def take_over(self, task: Task) -> Task:
        """It is this owner's now. Raises LostTaskError where another was faster or its owner lives."""
        dead = Compare.absent(self._owner_key(task.owner))
        return await self._write(task, replace(task, owner=self._owner), compares=[dead])

    async def forget_ended(self) -> None:
        """Drop those that ended KEPT_S ago."""
        before_us = self._clock.wall_us() - KEPT_S * 1_000_000
        for task in await self.every():
            if task.state is not State.RUNNING and task.changed_us <= before_us:
                await self._registry.transact((), [Delete(self._key(task.id))])

    # -- one transaction -----------------------------------------------------------------------------------------

    async def _write(
        self, before: Task, after: Task, operations: Sequence[Put | Delete] = (), compares: Sequence[Compare] = ()
    ) -> Task:
        if before.state is not State.RUNNING:
            raise LostTaskError(f"task {before.id} has ended")
        after = replace(after, changed_us=self._clock.wall_us())
        key = self._key(before.id)
        same = Compare.value_is(key, TASK_CODEC.encode(before))
        alive = Compare.exists(self._owner_key(after.owner))
        put = Put(key, TASK_CODEC.encode(after))
        result = await self._registry.transact([same, alive, *compares], [put, *operations])
        if not result.succeeded:
            raise LostTaskError(f"task {before.id} is another's, or has ended")
        return after

    async def _require_alive(self) -> None:
        if await self._registry.get(self._owner_key(self._owner)) is None:
            raise LostTaskError("this process was taken for dead; it has to enter again")

    def _key(self, id_: str) -> bytes:
        return self._prefix + id_.encode()

    def _owner_key(self, owner: str) -> bytes:
        return self._owner_prefix + owner.encode()
