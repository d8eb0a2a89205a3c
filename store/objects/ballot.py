"""A ballot: one write of a row to the replicas of every live layout, and the wait for its quorums."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import trio

from store.core.errors import ConflictError, DrystoneError, QuorumError, ReplacedError
from store.engine.device import Device, RowWrite
from store.engine.view import Applied
from store.ring import quorum

HOLD_SECONDS = 5.0
"""A writer is held back so long by a device whose index is far behind; then it goes on without that device."""


class Ballot:
    """Used once. `on_ended` is called when the last home has answered, which may be long after the write has."""

    def __init__(self, sets: tuple[tuple[int, ...], ...], write: RowWrite, on_ended: Callable[[Ballot], None]) -> None:
        self._sets = sets
        self._needed = quorum(len(sets[0]))
        self.row, self.packed = write.row, write.packed_key
        self._write = write
        self._on_ended = on_ended
        self._homes: tuple[int, ...] = ()
        self._applied: dict[int, Applied] = {}
        self._failures: dict[int, BaseException] = {}
        self._newer: list[int] = []
        self._open = 0
        self._task: trio.lowlevel.Task | None = None
        self.begun = False
        """Whether homes were asked to take it: then `on_ended` is called."""

    async def write(self, devices: Mapping[int, Device], standing: Callable[[], bool] | None) -> Applied:
        """What became of the row at a quorum of every layout. `standing` says, of a version that is not new, whether a
        home has it still; it is asked last. Raises as `Rows.write`."""
        homes = self._sets[0] if len(self._sets) == 1 else tuple(dict.fromkeys(h for s in self._sets for h in s))
        self._homes = homes
        for home in homes:
            device = devices.get(home)
            if device is not None and device.crowded:
                with trio.move_on_after(HOLD_SECONDS):
                    await device.wait_for_index()
        admitting = self._admitting(homes, devices)
        if admitting or standing is None:
            homes = admitting
        else:
            self._failures.clear()  # there is no quorum without the reserve
        if standing is not None and not standing():
            raise ReplacedError("the version that was to be brought to others is not there any more")
        self.begun = True
        self._open = len(homes) + 1  # held until all are asked: answers may come at once
        for home in homes:
            try:
                devices[home].submit_row(self._write, partial(self._answered, home))
            except (KeyError, DrystoneError) as error:
                self._failures[home] = error
                self._open -= 1
        self._one_less()
        if self._open and not self._are_quorums(self._applied):
            self._task = trio.lowlevel.current_task()
            # Not to be cancelled: the row is on its way, and the key's turn must not end before it has arrived.
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        return self._outcome()

    def having(self) -> tuple[int, ...]:
        """The homes that have this version, or a newer one."""
        return tuple(self._applied)

    def lacking(self) -> tuple[int, ...]:
        """The homes that should have this version, or a newer one, since others do, and may have it not: also those
        that name a newer one, which may be a tombstone that they have forgotten, as others have for longer."""
        if not self._applied or not (self._failures or self._newer):
            return ()
        newer = self._newer if len(self._newer) < len(self._applied) else []
        failures = self._failures.items()
        failed = (home for home, error in failures if home in self._homes and not isinstance(error, ConflictError))
        return (*failed, *newer)

    def late(self) -> tuple[int, ...]:
        """While not all homes have answered: those that may lack a write which others have, be it that they have not
        answered, or that they have failed."""
        if not self._applied:
            return ()
        unanswered = (h for h in self._homes if h not in self._applied and h not in self._failures)
        return (*unanswered, *self.lacking())

    def _admitting(self, homes: tuple[int, ...], devices: Mapping[int, Device]) -> tuple[int, ...]:
        """The homes that take the row now: none, where they are too few."""
        admitting = []
        for home in homes:
            try:
                devices[home].admit_row(self.row)
            except (KeyError, DrystoneError) as error:
                self._failures[home] = error
            else:
                admitting.append(home)
        return tuple(admitting) if self._are_quorums(admitting) else ()

    def _answered(self, home: int, applied: Applied | None, error: DrystoneError | None) -> None:
        if applied is None or applied.refused:
            reason = f"refused: {applied.refused}" if applied is not None else ""
            self._failures[home] = error or ConflictError(reason)
        else:
            self._applied[home] = applied
            if applied.stamp != self._write.value.stamp:
                self._newer.append(home)
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
        for homes in self._sets:
            count = 0
            for home in homes:
                if home in some:
                    count += 1
            if count < quorum(len(homes)):
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
        needed = max(quorum(len(homes)) for homes in self._sets)
        raise QuorumError("writing a row", needed, len(self._applied), self._failures)
