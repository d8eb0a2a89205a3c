"""Planted mistakes: each leaves out one rule of docs/consistency.md for the length of a context. The exploration must
notice every one of them within a bounded number of seeds (`test_mistakes`); a model that does not is no proof."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import NamedTuple
from unittest import mock

from tests.consistency import coordinator, daemons, world
from tests.consistency.coordinator import Coordinator, Found, Replies, Round, UnknownError, believed, counting
from tests.consistency.messages import NEVER, Message, Reply, Seen, Version
from tests.consistency.replica import Image, Replica
from tests.consistency.ring import Ring, quorum


def older_stamp_taken() -> AbstractContextManager[object]:
    """A replica takes whatever comes last."""
    return mock.patch.object(Replica, "_is_newer", return_value=False)


def one_reply_is_a_read() -> AbstractContextManager[object]:
    """One replica less is enough for a look."""
    return mock.patch.object(Coordinator, "_enough_seen", lambda self, ring, replies: bool(believed(ring, replies)))


def one_replica_is_a_write() -> AbstractContextManager[object]:
    """One replica less is enough for a write."""

    def is_placed(self: Coordinator, ring: Ring, replies: Replies) -> bool:
        having = counting(replies)
        return all(sum(device in having for device in layout) >= quorum(len(layout)) - 1 for layout in ring.live)

    return mock.patch.object(Coordinator, "_is_placed", is_placed)


def layout_alike_in_one_is_enough() -> AbstractContextManager[object]:
    """A version that a quorum of the layout which is read has alike is answered, whether or not the others have it."""

    def is_everywhere(self: Coordinator, newest: Version, seen: dict[int, Seen]) -> bool:
        return all(reply.version is not None and reply.version.stamp == newest.stamp for reply in seen.values())

    return mock.patch.object(Coordinator, "_is_everywhere", is_everywhere)


def write_back_missing() -> AbstractContextManager[object]:
    """A read answers with the newest of what it sees."""
    return mock.patch.object(Coordinator, "_write_back", _nothing_written)


def promise_lost_in_a_crash() -> AbstractContextManager[object]:
    """A promise is answered before it is durable."""

    def forget(self: Replica) -> None:
        self.promised = NEVER

    return mock.patch.object(Replica, "_forget_promise", forget)


def promise_not_for_plain_writes() -> AbstractContextManager[object]:
    """Only conditional writes look at promises."""
    is_barred = Replica._is_barred

    def barred(self: Replica, version: Version) -> bool:
        return not version.plain and is_barred(self, version)

    return mock.patch.object(Replica, "_is_barred", barred)


def tombstone_collected_by_a_quorum() -> AbstractContextManager[object]:
    """Two of three have it: enough to forget it."""

    def are_enough(seen: dict[int, Seen], ring: Ring) -> bool:
        return ring.is_read_quorum(seen)

    return mock.patch.object(daemons, "_are_enough", are_enough)


def tombstone_forgotten_in_one_step() -> AbstractContextManager[object]:
    """No stamp is left of a tombstone that is retired."""
    answer = Replica.answer

    def forget(self: Replica, message: Message, epoch: int) -> Reply:
        reply = answer(self, message, epoch)
        if self.retired:
            self.version, self.retired = None, False
        return reply

    return mock.patch.object(Replica, "answer", forget)


def tombstone_released_in_the_same_epoch() -> AbstractContextManager[object]:
    """What was begun before a tombstone was released may still arrive."""
    return mock.patch.object(Ring, "collect", lambda self: self)


def retired_tombstone_is_a_version() -> AbstractContextManager[object]:
    """The highest stamp is the newest version, though nothing but the stamp may be left of that, at one replica."""

    def newest(seen: dict[int, Seen]) -> Found | None:
        found = [Found(reply.version, reply.retired) for reply in seen.values() if reply.version is not None]
        return max(found, key=lambda each: each.version.stamp, default=None)

    return mock.patch.object(coordinator, "_newest", newest)


def retried_above_at_once() -> AbstractContextManager[object]:
    """A write that met something newer is sent again with a higher stamp."""

    def finish(self: Coordinator, version: Version, begun: int) -> Generator[Round, Replies, None]:
        for _ in range(8):
            stamp = self.next_stamp(version.stamp)
            version = Version(stamp, version.value, root=stamp)
            if (yield from self.place(version)):
                return
        raise UnknownError

    return mock.patch.object(Coordinator, "_finish", finish)


def written_without_a_look() -> AbstractContextManager[object]:
    """A writer trusts its clock."""

    def write(self: Coordinator, value: Hashable) -> Generator[Round, Replies, None]:
        stamp = self.next_stamp(NEVER)
        version = Version(stamp, value, root=stamp)
        begun = self.ring.epoch
        if not (yield from self.place(version)):
            yield from self._finish(version, begun)

    return mock.patch.object(Coordinator, "write", write)


def anything_newer_counts() -> AbstractContextManager[object]:
    """A newer version stands for any older one, conditional writes or not."""
    return mock.patch.object(Replica, "_covers", return_value=True)


def conditional_write_repeated() -> AbstractContextManager[object]:
    """A conditional write that met something newer is tried again from the beginning."""
    return mock.patch.object(Coordinator, "_was_made", _not_made)


def layout_read_before_it_is_synced() -> AbstractContextManager[object]:
    """A device says that it is synced, and has not the row."""

    def sync(coordinator: Coordinator, device: int, step: daemons.Step) -> daemons.Daemon:
        step(lambda ring: ring.mark_synced(device).cleaned(device))
        yield from ()

    return mock.patch.object(world, "sync", sync)


def layout_retired_early() -> AbstractContextManager[object]:
    """The old layout goes while its devices still answer who reads it."""

    def retire(coordinator: Coordinator, step: daemons.Step) -> daemons.Daemon:
        step(lambda ring: ring.retire() if ring.reads else ring)
        yield from ()

    return mock.patch.object(world, "retire_layout", retire)


def older_epochs_answered() -> AbstractContextManager[object]:
    """Replicas answer whatever ring they were chosen by."""
    return mock.patch.object(Replica, "_is_stale", return_value=False)


def stale_disk_believed() -> AbstractContextManager[object]:
    """An old copy of a disk counts as the disk."""
    replace = Replica.replace

    def believed(self: Replica, image: Image, epoch: int) -> None:
        replace(self, image, epoch)
        self.in_sync = True

    return mock.patch.object(Replica, "replace", believed)


def disk_back_in_the_same_epoch() -> AbstractContextManager[object]:
    """A device that lost its memory comes back, and what it had answered before still counts."""

    def came_back(self: Ring, device: int) -> Ring:
        return replace(self, returned={**self.returned, device: self.epoch})

    return mock.patch.object(Ring, "came_back", came_back)


def lost_rows_kept() -> AbstractContextManager[object]:
    """A device that comes in line keeps what nobody else knows."""
    adopt = Replica._adopt

    def keep(self: Replica, _since: int, known: frozenset[object], newest: Version | None, epoch: int) -> None:
        adopt(self, 0, known, newest, epoch)  # type: ignore[arg-type]

    return mock.patch.object(Replica, "_adopt", keep)


@contextmanager
def reply_to_another_request() -> Iterator[None]:
    """A late reply counts for whatever is asked now."""
    with (
        mock.patch.object(world._Task, "_answers", return_value=True),
        mock.patch.object(world._Process, "whose", lambda self, task: self.latest),
    ):
        yield


def _nothing_written(self: Coordinator, version: Version) -> Generator[Round, Replies, bool]:
    yield from ()
    return True


def _not_made(self: Coordinator, version: Version, begun: int) -> Generator[Round, Replies, bool]:
    yield from ()
    return False


class Planted(NamedTuple):
    """A mistake, and the weather in which it must be noticed."""

    plant: Callable[[], AbstractContextManager[object]]
    weather: str


MISTAKES = {
    planted.plant.__name__: planted
    for planted in (
        Planted(older_stamp_taken, "crowded"),
        Planted(one_reply_is_a_read, "crowded"),
        Planted(one_replica_is_a_write, "crowded"),
        Planted(write_back_missing, "crowded"),
        Planted(promise_lost_in_a_crash, "crashes"),
        Planted(promise_not_for_plain_writes, "crowded"),
        Planted(tombstone_collected_by_a_quorum, "deletes"),
        Planted(tombstone_forgotten_in_one_step, "late deletes"),
        Planted(tombstone_released_in_the_same_epoch, "late deletes"),
        Planted(retired_tombstone_is_a_version, "releases"),
        Planted(retried_above_at_once, "crowded"),
        Planted(written_without_a_look, "crowded"),
        Planted(anything_newer_counts, "crowded"),
        Planted(conditional_write_repeated, "crowded"),
        Planted(layout_alike_in_one_is_enough, "late layouts"),
        Planted(layout_read_before_it_is_synced, "layouts"),
        Planted(layout_retired_early, "late layouts"),
        Planted(older_epochs_answered, "late layouts"),
        Planted(stale_disk_believed, "old disks"),
        Planted(disk_back_in_the_same_epoch, "disks"),
        Planted(lost_rows_kept, "old disks"),
        Planted(reply_to_another_request, "crowded"),
    )
}
