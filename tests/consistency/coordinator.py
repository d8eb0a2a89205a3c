"""A coordinator: one process that reads and writes the row at its replicas (docs/consistency.md, "A coordinator").

Each operation is a generator of rounds: it yields what it asks of whom, and is given the replies. What it does not get
in time it does not get; the round ends when there is enough, or when nobody will answer any more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping
from typing import NamedTuple

from tests.consistency.messages import (
    NEVER,
    Barred,
    Look,
    Message,
    Newer,
    Promise,
    Reply,
    Seen,
    Stale,
    Stamp,
    Took,
    Version,
    Write,
)
from tests.consistency.ring import Ring

Replies = Mapping[int, Reply]
TRIES = 12


class Round(NamedTuple):
    """A message to some replicas, under the epoch of a ring, and when the replies are enough."""

    message: Message
    to: tuple[int, ...]
    epoch: int
    enough: Callable[[Replies], bool]


class Found(NamedTuple):
    """The newest version that a quorum had. One that is `retired` is nothing any more but the stamp of what every
    replica once had: a version that is there beside it is newer, whatever its stamp."""

    version: Version
    retired: bool

    @property
    def value(self) -> Hashable:
        return self.version.value

    @property
    def root(self) -> Stamp:
        """That of what takes its place, and depends on it."""
        return NEVER if self.retired else self.version.root

    def may_be_older(self, first: Stamp) -> bool:
        """Whether nobody can tell if a plain write came before this, or is newer."""
        return self.retired or (self.version.root == NEVER and self.version.base >= first)

    @property
    def there(self) -> Stamp:
        """What must still be there for a conditional write to replace it: what is retired may go at any time."""
        return NEVER if self.retired else self.version.stamp


NOTHING = Found(Version(NEVER, None, NEVER), retired=False)


class UnknownError(Exception):
    """Nobody can tell now what became of the operation: it may take effect, or have done so, or never will."""


class Coordinator:
    """One process. `wall` is its clock, which nobody sets right."""

    def __init__(self, writer: int, wall: Callable[[], int], fetch: Callable[[], Ring]) -> None:
        self.writer = writer
        self._wall = wall
        self._fetch = fetch
        self.ring = fetch()
        self._last = 0

    # -- stamps and rings --------------------------------------------------------------------------------------------

    def next_stamp(self, seen: Stamp) -> Stamp:
        """Above all that was given out here, and above `seen`."""
        self._last = max(self._wall(), self._last + 1, seen[0] + 1)
        return self._last, self.writer

    def refresh(self) -> None:
        self.ring = self._fetch()

    def _is_told_off(self, replies: Replies) -> bool:
        """Whether a replica enforces a newer ring; it is fetched then."""
        if any(isinstance(reply, Stale) for reply in replies.values()):
            self.refresh()
            return True
        return False

    def _goes_on(self, begun: int) -> None:
        """Whether a version that was first sent under this epoch may be sent again. Raises UnknownError."""
        if begun < self.ring.collected:
            raise UnknownError

    # -- rounds --------------------------------------------------------------------------------------------------------

    def _look(self) -> Generator[Round, Replies, dict[int, Seen] | None]:
        """What a quorum of the read set has; None where the ring has moved on. Raises UnknownError."""
        ring = self.ring
        replies = yield Round(Look(), ring.read_set, ring.epoch, lambda replies: self._enough_seen(ring, replies))
        if self._enough_seen(ring, replies):
            return believed(ring, replies)
        if self._is_told_off(replies):
            return None
        raise UnknownError

    def _enough_seen(self, ring: Ring, replies: Replies) -> bool:
        return ring.is_read_quorum(believed(ring, replies))

    def place(self, version: Version) -> Generator[Round, Replies, bool]:
        """Write a version to all replicas; whether a quorum of each live layout has it, or what stands for it."""
        ring = self.ring
        replies = yield Round(Write(version), ring.replicas, ring.epoch, lambda replies: self._is_placed(ring, replies))
        self._is_told_off(replies)
        return self._is_placed(ring, replies)

    def _is_placed(self, ring: Ring, replies: Replies) -> bool:
        return ring.is_quorum(counting(replies))

    def promise(self, seen: Stamp) -> Generator[Round, Replies, tuple[Stamp, Found | None]]:
        """Have a quorum of each live layout promise to take nothing below a new stamp: the stamp, and the newest
        version that they had. Raises UnknownError."""
        for _ in range(TRIES):
            ring = self.ring
            stamp = self.next_stamp(seen)

            def enough(replies: Replies, ring: Ring = ring) -> bool:
                promised = [device for device, reply in replies.items() if isinstance(reply, Seen)]
                return ring.is_quorum(promised) and ring.is_read_quorum(believed(ring, replies))

            replies = yield Round(Promise(stamp), ring.replicas, ring.epoch, enough)
            if enough(replies):
                return stamp, _newest(believed(ring, replies))
            floors = [reply.floor for reply in replies.values() if isinstance(reply, Barred)]
            if not self._is_told_off(replies) and not floors:
                raise UnknownError
            seen = max(floors, default=seen)
        raise UnknownError

    # -- operations ----------------------------------------------------------------------------------------------------

    def read(self) -> Generator[Round, Replies, Found | None]:
        """The newest version, which a quorum has when this returns, if it is not retired: then all had it."""
        for _ in range(TRIES):
            seen = yield from self._look()
            if seen is None:
                continue
            newest = _newest(seen)
            if newest is None or newest.retired or self._is_everywhere(newest.version, seen):
                return newest
            if (yield from self._write_back(newest.version)):
                return newest
            settled, newest = yield from self.settle()
            if settled:
                return newest
        raise UnknownError

    def _is_everywhere(self, newest: Version, seen: Mapping[int, Seen]) -> bool:
        """Whether all who answered have this version, and had it before there was another layout to have it as well."""
        ring = self.ring
        return all(
            reply.version is not None
            and reply.version.stamp == newest.stamp
            and (len(ring.live) == 1 or reply.taken_in < ring.since)
            for reply in seen.values()
        )

    def _write_back(self, version: Version) -> Generator[Round, Replies, bool]:
        return (yield from self.place(version))

    def settle(self) -> Generator[Round, Replies, tuple[bool, Found | None]]:
        """Have the newest version be at a quorum above all that was promised; whether it is, and which."""
        stamp, newest = yield from self.promise(NEVER)
        if newest is None:
            return True, None
        return (yield from self.place(_again(newest, stamp))), newest

    def write(self, value: Hashable) -> Generator[Round, Replies, None]:
        """A plain write; of None, a delete."""
        for _ in range(TRIES):
            seen = yield from self._look()
            if seen is not None:
                break
        else:
            raise UnknownError
        begun = self.ring.epoch
        first = self.next_stamp(max(reply.floor for reply in seen.values()))
        version = Version(first, value, root=first)
        if not (yield from self.place(version)):
            yield from self._finish(version, begun)

    def _finish(self, version: Version, begun: int) -> Generator[Round, Replies, None]:
        """Finish a plain write that not all have taken who should: a quorum promises a stamp above it. If what they
        have comes of it or of a newer plain write, it has taken effect; else it never will, and is written anew."""
        first = version.stamp
        for _ in range(TRIES):
            self._goes_on(begun)
            stamp, newest = yield from self.promise(version.stamp)
            self._goes_on(begun)
            if newest is not None and newest.may_be_older(first):
                raise UnknownError
            if newest is not None and newest.version.root >= first:
                version = _again(newest, stamp)
            else:
                version = Version(stamp, version.value, root=stamp)
            if (yield from self.place(version)):
                return
        raise UnknownError

    def compare_and_set(self, expected: Hashable, value: Hashable) -> Generator[Round, Replies, bool]:
        """Write a value if the row has the one expected; whether it was so."""
        for _ in range(TRIES):
            found = yield from self.read()
            if (None if found is None else found.value) != expected:
                return False
            seen = Version(NEVER, None, NEVER) if found is None else found.version
            stamp, newest = yield from self.promise(seen.stamp)
            if (NEVER if newest is None else newest.there) != (NEVER if found is None else found.there):
                continue
            begun = self.ring.epoch
            known = [each for each in (found, newest) if each is not None]
            last = max(known, key=lambda each: each.version.stamp, default=NOTHING)
            version = Version(stamp, value, last.root, base=last.version.stamp)
            if (yield from self.place(version)) or (yield from self._was_made(version, begun)):
                return True
        raise UnknownError

    def _was_made(self, version: Version, begun: int) -> Generator[Round, Replies, bool]:
        """Whether a conditional write has taken effect that not all have taken who should; if not, it never will.
        What a quorum has as it promises a higher stamp is brought to one, and so is decided. Raises UnknownError."""
        made = version.stamp
        mine = {made}
        for _ in range(TRIES):
            self._goes_on(begun)
            stamp, found = yield from self.promise(made)
            self._goes_on(begun)
            found = found or NOTHING
            newest = found.version
            taken = newest.stamp in mine or newest.base in mine
            if not taken and newest.stamp > made and (newest.plain or newest.base > made):
                raise UnknownError
            if taken:
                mine |= {newest.stamp, stamp}
            if (yield from self.place(_again(found, stamp))):
                return taken
        raise UnknownError


def _again(found: Found, stamp: Stamp) -> Version:
    """The same version under a promise that was given since."""
    return Version(stamp, found.value, found.root, base=found.version.stamp)


def believed(ring: Ring, replies: Replies) -> dict[int, Seen]:
    """Of the read set, those who have all that they should."""
    return {
        device: reply
        for device, reply in replies.items()
        if device in ring.read_set and isinstance(reply, Seen) and reply.believed
    }


def counting(replies: Replies) -> list[int]:
    """The replicas that have a version, or what stands for it."""
    return [
        device
        for device, reply in replies.items()
        if isinstance(reply, Took) or (isinstance(reply, Newer) and reply.covers)
    ]


def _newest(seen: Mapping[int, Seen]) -> Found | None:
    found = [Found(reply.version, reply.retired) for reply in seen.values() if reply.version is not None]
    return max(found, key=lambda each: (not each.retired, each.version.stamp), default=None)
