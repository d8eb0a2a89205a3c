"""A quorum write: one write of a row to the replicas of every live layout, and the wait for its quorums."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import trio

from store.core.errors import ConflictError, DrystoneError, QuorumError
from store.device.port import Applied, DevicePort, RowWrite
from store.ring import quorum

HOLD_SECONDS = 5.0
"""A writer is held back so long by a device whose index is far behind; then it goes on without that device."""


class QuorumWrite:
    """Used once. `on_ended` is called when the last replica has answered, which may be long after the write has."""

    def __init__(
        self, sets: tuple[tuple[int, ...], ...], write: RowWrite, on_ended: Callable[[QuorumWrite], None]
    ) -> None:
        self._sets = sets
        self._needed = quorum(len(sets[0]))
        self.row, self.packed = write.row, write.packed_key
        self._write = write
        self._on_ended = on_ended
        self._replicas: tuple[int, ...] = ()
        self._applied: dict[int, Applied] = {}
        self._failures: dict[int, BaseException] = {}
        self._newer: list[int] = []
        self._open = 0
        self._task: trio.lowlevel.Task | None = None
        self.begun = False
        """Whether replicas were asked to take it: then `on_ended` is called."""

    async def write(self, devices: Mapping[int, DevicePort], *, new: bool) -> Applied:
        """What became of the row at a quorum of every layout. Where one that is not `new` has not room at a quorum, it
        goes into the reserve. Raises as `Rows.write`."""
        replicas = self._sets[0] if len(self._sets) == 1 else tuple(dict.fromkeys(h for s in self._sets for h in s))
        self._replicas = replicas
        for replica in replicas:
            device = devices.get(replica)
            if device is not None and device.crowded:
                with trio.move_on_after(HOLD_SECONDS):
                    await device.wait_for_index()
        admitting = self._admitting(replicas, devices)
        if admitting or new:
            replicas = admitting
        else:
            self._failures.clear()  # there is no quorum without the reserve
        self.begun = True
        self._open = len(replicas) + 1  # held until all are asked: answers may come at once
        for replica in replicas:
            try:
                devices[replica].submit_row(self._write, partial(self._answered, replica))
            except (KeyError, DrystoneError) as error:
                self._failures[replica] = error
                self._open -= 1
        self._one_less()
        if self._open and not self._are_quorums(self._applied):
            self._task = trio.lowlevel.current_task()
            # Not to be cancelled: the row is on its way, and the key's turn must not end before it has arrived.
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        return self._outcome()

    def having(self) -> tuple[int, ...]:
        """The replicas that have this version, or a newer one."""
        return tuple(self._applied)

    def lacking(self) -> tuple[int, ...]:
        """The replicas that should have this version, or a newer one, since others do, and may have it not: also those
        that name a newer one, which may be a tombstone that they have forgotten, as others have for longer."""
        if not self._applied or not (self._failures or self._newer):
            return ()
        newer = self._newer if len(self._newer) < len(self._applied) else []
        failures = self._failures.items()
        failed = (
            replica for replica, error in failures if replica in self._replicas and not isinstance(error, ConflictError)
        )
        return (*failed, *newer)

    def late(self) -> tuple[int, ...]:
        """While not all replicas have answered: those that may lack a write which others have, be it that they have not
        answered, or that they have failed."""
        if not self._applied:
            return ()
        unanswered = (h for h in self._replicas if h not in self._applied and h not in self._failures)
        return (*unanswered, *self.lacking())

    def _admitting(self, replicas: tuple[int, ...], devices: Mapping[int, DevicePort]) -> tuple[int, ...]:
        """The replicas that take the row now: none, where they are too few."""
        admitting = []
        for replica in replicas:
            try:
                devices[replica].admit_row(self.row)
            except (KeyError, DrystoneError) as error:
                self._failures[replica] = error
            else:
                admitting.append(replica)
        return tuple(admitting) if self._are_quorums(admitting) else ()

    def _answered(self, replica: int, applied: Applied | None, error: DrystoneError | None) -> None:
        if applied is None or applied.refused:
            reason = f"refused: {applied.refused}" if applied is not None else ""
            self._failures[replica] = error or ConflictError(reason)
        else:
            self._applied[replica] = applied
            if applied.stamp != self._write.value.stamp:
                self._newer.append(replica)
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        if self._task is not None and (not self._open or self._are_quorums(self._applied)):
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)
        if not self._open:
            self._on_ended(self)

    def _are_quorums(self, some: Collection[int]) -> bool:
        if len(self._sets) == 1:  # as nearly always: all of them are of it
            return len(some) >= self._needed
        for replicas in self._sets:
            count = 0
            for replica in replicas:
                if replica in some:
                    count += 1
            if count < quorum(len(replicas)):
                return False
        return True

    def _outcome(self) -> Applied:
        if self._are_quorums(self._applied):
            # The highest stamp tells whether a newer version was anywhere; what it displaced, what is garbage.
            return max(self._applied.values(), key=lambda applied: applied.stamp)
        refusals = [error for error in self._failures.values() if isinstance(error, ConflictError)]
        if refusals:
            raise refusals[0]
        failures = list(self._failures.values())
        if len({type(error) for error in failures}) == 1 and isinstance(failures[0], DrystoneError):
            raise failures[0]
        needed = max(quorum(len(replicas)) for replicas in self._sets)
        raise QuorumError("writing a row", needed, len(self._applied), self._failures)
