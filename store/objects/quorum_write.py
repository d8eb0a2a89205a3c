"""A quorum write: one write of a row to the replicas of every live layout, and the wait for its quorums.

A replica counts that took the version, or has a newer one that stands for it (`Applied.covers`). Where others have
something newer that does not, have promised to take nothing so old, or refuse the ring, it may not be placed though all
have answered: then `write` says None, and the coordinator finds out what is to be done.

What a device takes only the device knows (`DevicePort`, admission). So replicas that are known to refuse are left out
first, and where the others are too few, nothing is written anywhere. Where that is found out later, or too few answer
in time, the outcome is unknown, and the writer is told so: the replicas that have the row keep hints for those that
lack it, and whoever reads it brings it to a quorum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import trio

from store.core.deadline import Patience
from store.core.errors import (
    BarredError,
    BusyError,
    ConflictError,
    DeviceError,
    DrystoneError,
    FullError,
    QuorumError,
    StaleEpochError,
)
from store.device.port import Applied, DevicePort, RowWrite
from store.device.row import Flag
from store.ring import quorum

HOLD_SECONDS = 5.0
"""A writer is held back so long by devices whose indexes are far behind; then it goes on without them."""
WRITE_SECONDS = 20.0
"""After this a writer is told that the outcome is unknown. A device that has not answered others for so long is not
asked."""


class QuorumWrite:
    """Used once. `on_ended` is called when the last replica has answered, which may be long after the write has."""

    __slots__ = (
        "_applied", "_counted", "_failures", "_needed", "_newer", "_on_ended", "_open", "_patience", "_replicas",
        "_sets", "_task", "_untold", "_write", "begun", "packed", "row", "stamp",
    )  # fmt: skip

    def __init__(
        self,
        sets: tuple[tuple[int, ...], ...],
        write: RowWrite,
        patience: Patience,
        on_ended: Callable[[QuorumWrite], None],
    ) -> None:
        """`patience` is that of whoever waits, of WRITE_SECONDS."""
        self._sets = sets
        self._needed = quorum(len(sets[0]))
        self.row, self.packed, self.stamp = write.row, write.packed_key, write.value.stamp
        self._write = write
        self._on_ended = on_ended
        self._patience = patience
        self._replicas: tuple[int, ...] = ()
        self._applied: dict[int, Applied] = {}
        """Those that have it, or a newer one."""
        self._counted: list[int] = []
        """Those that have it, or what stands for it."""
        self._failures: dict[int, BaseException] = {}
        self._newer: list[int] = []
        self._untold = False
        """Whether one that was asked has failed and may have it all the same: its link broke, or its disk was late."""
        self._open = 0
        self._task: trio.lowlevel.Task | None = None
        self.begun = False
        """Whether replicas were asked to take it: then `on_ended` is called."""

    async def write(self, devices: Mapping[int, DevicePort], hanging: Collection[int], *, new: bool) -> Applied | None:
        """What became of the row at a quorum of every layout; None where it is not placed. Where one that is not `new`
        has not room at a quorum, it goes into the reserve. `hanging` are devices that have not answered others for
        WRITE_SECONDS. Raises as `Rows.place`."""
        replicas = self._sets[0] if len(self._sets) == 1 else tuple(dict.fromkeys(h for s in self._sets for h in s))
        self._replicas = replicas
        willing = self._willing(replicas, devices, hanging)
        if len(willing) < len(replicas):
            crowded = [
                device for replica in replicas if (device := devices.get(replica)) is not None and device.crowded
            ]
            if crowded:
                await _hold_back(crowded)
                self._failures.clear()
                willing = self._willing(replicas, devices, hanging)
        if self._are_quorums(willing):
            replicas = willing
        elif new:
            return self._outcome()
        else:
            self._failures.clear()  # there is no quorum without the reserve
        self.begun = True
        self._open = len(replicas) + 1  # held until all are asked: answers may come at once
        for replica in replicas:
            try:
                devices[replica].submit_row(self._write, partial(self._answered, replica), reserve=not new)
            except (KeyError, DrystoneError) as error:
                self._failed(replica, error)
                self._open -= 1
        self._one_less()
        if self._open and not self._are_quorums(self._counted) and (self._may_be_placed() or self._is_refused()):
            await self._wait()
        return self._outcome()

    async def _wait(self) -> None:
        """Until there are quorums, or all have answered, or it has been long enough. Whoever waits is not to be
        cancelled: the key's lock must not be let go before the row has arrived, as far as it does."""
        self._task = trio.lowlevel.current_task()
        self._patience.begin(self._go_on)
        await trio.lowlevel.wait_task_rescheduled(_never)
        self._patience.end(self._go_on)

    def _go_on(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    def having(self) -> tuple[int, ...]:
        """The replicas that have this version, or a newer one."""
        return tuple(self._applied)

    @property
    def is_everywhere(self) -> bool:
        """Whether all replicas have taken just this version, so that what it ends is ended at each."""
        return len(self._applied) - len(self._newer) == len(self._replicas)

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

    def _willing(
        self, replicas: tuple[int, ...], devices: Mapping[int, DevicePort], hanging: Collection[int]
    ) -> tuple[int, ...]:
        """The replicas that are not known to refuse the row."""
        always = self.row.flags & (Flag.TOMBSTONE | Flag.ABORT)
        for replica in replicas:
            device = devices.get(replica)
            if device is None or device.failed is not None or device.crowded or (not always and device.full):
                break
        else:
            if not hanging:
                return replicas
        willing = []
        for replica in replicas:
            refusal = _refusal(replica, devices.get(replica), hanging, needs_room=not always)
            if refusal is None:
                willing.append(replica)
            else:
                self._failed(replica, refusal)
        return tuple(willing)

    def _failed(self, replica: int, error: BaseException) -> None:
        self._failures[replica] = error

    def _answered(self, replica: int, applied: Applied | None, error: DrystoneError | None) -> None:
        if applied is None or applied.refused or applied.barred:
            if applied is None and not isinstance(error, StaleEpochError | BarredError):
                self._untold = True
            self._failed(replica, error or refusal_of(applied) or DeviceError("no answer"))
        else:
            self._applied[replica] = applied
            if applied.stamp == self.stamp:
                self._counted.append(replica)
            else:
                self._newer.append(replica)
                if applied.covers:
                    self._counted.append(replica)
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        if self._task is not None and (
            not self._open or self._are_quorums(self._counted) or not (self._may_be_placed() or self._is_refused())
        ):
            self._go_on()
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

    def _may_be_placed(self) -> bool:
        """Whether it may be yet, for all that has been answered."""
        if len(self._applied) == len(self._counted) and not self._failures:
            return True
        return self._are_quorums(
            [h for h in self._replicas if h in self._counted or (h not in self._applied and h not in self._failures)]
        )

    def _is_refused(self) -> bool:
        """Whether some refuse the ring: if all do, nothing was done, so that is worth waiting for."""
        return any(isinstance(error, StaleEpochError) for error in self._failures.values())

    def _outcome(self) -> Applied | None:
        if self._are_quorums(self._counted):
            # The highest stamp tells whether a newer version was anywhere; what it displaced, what is garbage.
            return max(self._applied.values(), key=lambda applied: applied.stamp)
        failures = list(self._failures.values())
        told = not self._open and not self._applied
        for error in failures:
            if isinstance(error, ConflictError) or (isinstance(error, StaleEpochError) and told and not self._untold):
                raise error
        in_the_way = any(isinstance(error, BarredError | StaleEpochError) for error in failures)
        if len(self._counted) < len(self._applied) or in_the_way:
            return None
        if told and len({type(error) for error in failures}) == 1 and isinstance(failures[0], DrystoneError):
            raise failures[0]
        needed = max(quorum(len(replicas)) for replicas in self._sets)
        silent = {h: BusyError("it has not answered") for h in self._replicas if h not in self._applied}
        raise QuorumError("writing a row", needed, len(self._applied), {**silent, **self._failures})


def refusal_of(applied: Applied | None) -> DrystoneError | None:
    """Why a device that has answered has neither taken a row nor a newer version."""
    if applied is None:
        return None
    if applied.refused:
        return ConflictError(f"refused: {applied.refused}")
    if applied.barred:
        return BarredError("it has promised to take nothing so old")
    return None


def _never(_raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


async def _hold_back(crowded: Collection[DevicePort]) -> None:
    """Have the indexes of these devices come closer to their logs; not of one that hangs."""
    with trio.move_on_after(HOLD_SECONDS):
        for device in crowded:
            if device.slow < HOLD_SECONDS:
                await device.wait_for_index()


def _refusal(
    number: int, device: DevicePort | None, hanging: Collection[int], *, needs_room: bool
) -> DrystoneError | None:
    """Why a device will not take a row, as far as is known without asking it."""
    if device is None:
        return DeviceError(f"device {number} is not there")
    if device.failed is not None:
        return device.failed
    if device.crowded:
        return BusyError(f"the index of device {number} is far behind its log")
    if number in hanging:
        return BusyError(f"device {number} has not answered for {WRITE_SECONDS:.0f} s")
    if needs_room and device.full:
        return device.failed or FullError(f"device {number} is full")
    return None
