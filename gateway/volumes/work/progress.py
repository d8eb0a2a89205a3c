"""`Progress`: a record during the task that does something with it, and at its end.

A task changes the record first and ends then: whoever takes it over in between finds that the record is not its any
more, and has nothing to do. Quota goes with the record, in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Generic, TypeVar
from uuid import UUID

from gateway.rest.quotas import Quotas
from gateway.rest.task_records import Task
from gateway.volumes.backup_records import Backup
from gateway.volumes.group_records import Group, GroupSnapshot
from gateway.volumes.message_records import KEPT_US, Message, MessageTable
from gateway.volumes.records import Doing, Snapshot, Volume
from gateway.volumes.status import error_of
from gateway.volumes.table import Found, Table
from store.core.clock import Clock
from store.core.errors import BusyError, ConflictError, NotFoundError
from store.registry import Delete, Put, Registry

R = TypeVar("R", Volume, Snapshot, Backup, Group, GroupSnapshot)
"""Other kinds that have a `doing` and an `error` join here."""
ATTEMPTS: Final = 32

Along = Callable[[R], Sequence[Put | Delete]]


class Progress(Generic[R]):
    """Of records of one kind."""

    def __init__(
        self, registry: Registry, table: Table[R], quotas: Quotas, clock: Clock, messages: MessageTable, noun: str
    ) -> None:
        """`noun`: what messages call it, such as `VOLUME`."""
        self._registry = registry
        self._table: Table[R] = table
        self._quotas = quotas
        self._clock = clock
        self._messages = messages
        self._noun = noun

    async def current(self, id_: str, task: Task) -> Found[R] | None:
        """The record; None where it is gone, or not this task's any more."""
        try:
            found = await self._table.find(id_)
        except NotFoundError:
            return None
        doing = found.record.doing
        return found if doing is not None and doing.task == task.id else None

    async def end(
        self,
        id_: str,
        task: Task,
        step: Callable[[R], R],
        along: Along[R] = lambda _: (),
        frees: Mapping[str, int] | None = None,
    ) -> None:
        """It is done: the record is what `step` makes of it, what was reserved is in use and what `frees` says no more,
        and `along` is done."""
        for _ in range(ATTEMPTS):
            found = await self.current(id_, task)
            if found is None:
                return
            after: R = step(replace(found.record, doing=None, updated_us=self._clock.wall_us()))
            operations = [self._table.put(after), *along(after)]
            with suppress(ConflictError):
                await self._commit(found, operations, frees=frees)
                return
        raise BusyError("others keep changing the record")

    async def fail(self, id_: str, task: Task, why: str, *, keep: bool = False) -> None:
        """It could not be done, and a message says why. `keep`: what was reserved is in use all the same, as of a
        volume that came to be in error and is there until it is deleted."""
        for _ in range(ATTEMPTS):
            found = await self.current(id_, task)
            if found is None:
                return
            if not keep:
                await self._take_back(_of(found.record.doing).reservation)
            with suppress(ConflictError):
                await self._commit(found, self._failed(found.record, task, why), reserved=keep)
                return
        raise BusyError("others keep changing the record")

    async def remove(
        self, id_: str, task: Task, amounts: Mapping[str, int], along: Sequence[Put | Delete] = ()
    ) -> None:
        """The record goes, with what it takes of the quota. What was reserved for it was never in use."""
        for _ in range(ATTEMPTS):
            found = await self.current(id_, task)
            if found is None:
                return
            record: R = found.record
            doing = record.doing
            assert doing is not None
            operations = [*self._table.deletes(record), *along]
            with suppress(ConflictError):
                await self._take_back(doing.reservation)
                if doing.counted:
                    await self._quotas.free(record.project_id, amounts, operations, [found.same])
                else:
                    await self._transact(found, operations)
                return
        raise BusyError("others keep changing the record")

    def _failed(self, record: R, task: Task, why: str) -> list[Put]:
        """The record as it is then, and the message."""
        now: int = self._clock.wall_us()
        what: str = _of(record.doing).what
        after: R = replace(record, doing=None, error=error_of(what) or record.error, updated_us=now)
        return [
            self._table.put(after),
            *self._messages.puts(_message(task, self._noun, record.project_id, record.id, what, why, now)),
        ]

    async def _commit(
        self,
        found: Found[R],
        operations: Sequence[Put | Delete],
        *,
        reserved: bool = True,
        frees: Mapping[str, int] | None = None,
    ) -> None:
        doing = found.record.doing
        assert doing is not None
        if reserved and doing.reservation:
            with suppress(NotFoundError):  # swept: then what is there is what counts
                reservation = await self._quotas.reservation(doing.reservation)
                await self._quotas.commit(reservation, operations, [found.same], frees)
                return
        await self._transact(found, operations)

    async def _transact(self, found: Found[R], operations: Sequence[Put | Delete]) -> None:
        if not (await self._registry.transact([found.same], operations)).succeeded:
            raise ConflictError("the record has changed meanwhile")

    async def _take_back(self, id_: str) -> None:
        if id_:
            with suppress(NotFoundError):  # by whoever did this step before
                await self._quotas.take_back(await self._quotas.reservation(id_))


def _of(doing: Doing | None) -> Doing:
    assert doing is not None, "current says that it is the task's"
    return doing


def _message(task: Task, noun: str, project: str, id_: str, what: str, why: str, now_us: int) -> Message:
    """With an id of the task's: there is one message of it, however often it is said."""
    return Message(str(UUID(task.id)), project, noun, id_, what, why, now_us, now_us + KEPT_US)
