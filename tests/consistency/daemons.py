"""What keeps the promises over time: rejoin of a device that came back without its memory, the steps of a layout
change, the collection of tombstones in two steps. Each gives up where it is not answered, and is begun again
later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator

from tests.consistency.coordinator import NOTHING, Coordinator, Replies, Round
from tests.consistency.messages import (
    NEVER,
    Adopt,
    Done,
    Enforce,
    Look,
    Message,
    Release,
    Retire,
    Seen,
    Stamp,
    Version,
)
from tests.consistency.ring import Ring

Step = Callable[[Callable[[Ring], Ring]], None]
"""Takes one step on the registry's ring."""
Daemon = Generator[Round, Replies, None]


def rejoin(coordinator: Coordinator, device: int) -> Daemon:
    """Bring a device in sync that came back without its memory: all others are asked, once they refuse what was begun
    before it came."""
    coordinator.refresh()
    ring = coordinator.ring
    others = [other for other in ring.replicas if other != device]
    if not (yield from _all(Enforce(), others, ring)):
        return
    seen = yield from _looks(others, ring)
    if len(seen) == len(others) and all(reply.believed for reply in seen.values()):
        yield from _all(_adopt(ring.returned[device], seen.values()), [device], ring)


def sync(coordinator: Coordinator, device: int, step: Step) -> Daemon:
    """Bring a device to the newest layout: a quorum of those who are read is asked, once they refuse what was begun
    before the layout was published."""
    coordinator.refresh()
    ring = coordinator.ring
    replies = yield Round(Enforce(), ring.read_set, ring.epoch, lambda replies: len(replies) == len(ring.read_set))
    enforcing = [other for other, reply in replies.items() if isinstance(reply, Done)]
    seen = {other: reply for other, reply in (yield from _looks(enforcing, ring)).items() if reply.believed}
    if ring.is_read_quorum(seen) and (yield from _all(_adopt(ring.since, seen.values()), [device], ring)):
        step(lambda now: now.mark_synced(device).cleaned(device) if now.since == ring.since else now)


def retire_layout(coordinator: Coordinator, step: Step) -> Daemon:
    """Leave the old layout behind, once its devices refuse all who still read it."""
    coordinator.refresh()
    ring = coordinator.ring
    if _is_synced(ring) and (yield from _all(Enforce(), ring.replicas, ring)):
        step(lambda now: now.retire() if now.reads_since == ring.reads_since else now)


def _is_synced(ring: Ring) -> bool:
    """Whether the newest layout is read."""
    return ring.reads == len(ring.live) - 1


def collect(coordinator: Coordinator, step: Step) -> Daemon:
    """Forget a tombstone that all have: all retire it; then nobody may go on with what was begun before; then all
    release it, if by then each has its stamp, or something newer. What one lacks is settled first."""
    coordinator.refresh()
    ring = coordinator.ring
    if len(ring.live) > 1 or ring.unclean:
        return
    seen = yield from _looks(ring.replicas, ring)
    if not _are_enough(seen, ring):
        return
    stamp = _collectable(seen.values())
    if stamp == NEVER:
        yield from _settle_promise(coordinator, seen.values())
    elif any(_stamp(reply) < stamp for reply in seen.values()):
        yield from _settle(coordinator)
    elif (yield from _all(Retire(stamp), list(seen), ring)):
        step(Ring.collect)
        coordinator.refresh()
        if (yield from _all(Enforce(), list(seen), coordinator.ring)):
            now = yield from _looks(list(seen), coordinator.ring)
            if len(now) == len(seen) and all(_is_kept_out(reply, stamp) for reply in now.values()):
                yield from _all(Release(stamp), list(seen), coordinator.ring)


def _stamp(seen: Seen) -> Stamp:
    return NEVER if seen.version is None else seen.version.stamp


def _is_kept_out(seen: Seen, stamp: Stamp) -> bool:
    """Whether nothing below a stamp is taken, though no version has just this."""
    return _stamp(seen) > stamp or (seen.retired and _stamp(seen) == stamp)


def _are_enough(seen: dict[int, Seen], ring: Ring) -> bool:
    return len(seen) == len(ring.replicas) and all(reply.believed for reply in seen.values())


def _collectable(seen: Collection[Seen]) -> Stamp:
    """The tombstone that all have, or that was retired here and there; NEVER where there is none."""
    stamps = {_stamp(reply) for reply in seen}
    retired = {reply.version.stamp for reply in seen if reply.version is not None and reply.retired}
    tombstones = {reply.version.stamp for reply in seen if reply.version is not None and reply.version.tombstone}
    return max(stamps & tombstones if len(stamps) == 1 else retired, default=NEVER)


def _settle_promise(coordinator: Coordinator, seen: Collection[Seen]) -> Daemon:
    """A promise that led to nothing would keep its key for ever: something is put above it."""
    if any(reply.floor > _stamp(reply) for reply in seen):
        yield from _settle(coordinator)


def _settle(coordinator: Coordinator) -> Daemon:
    stamp, newest = yield from coordinator.promise(NEVER)
    found = newest or NOTHING
    yield from coordinator.place(Version(stamp, found.value, found.root, base=found.version.stamp))


def _all(message: Message, to: Collection[int], ring: Ring) -> Generator[Round, Replies, bool]:
    replies = yield Round(message, tuple(to), ring.epoch, lambda replies: len(replies) == len(to))
    return len(replies) == len(to) and all(isinstance(reply, Done) for reply in replies.values())


def _looks(to: Collection[int], ring: Ring) -> Generator[Round, Replies, dict[int, Seen]]:
    replies = yield Round(Look(), tuple(to), ring.epoch, lambda replies: len(replies) == len(to))
    return {device: reply for device, reply in replies.items() if isinstance(reply, Seen)}


def _adopt(since: int, seen: Collection[Seen]) -> Adopt:
    versions = [reply.version for reply in seen if reply.version is not None and not reply.retired]
    newest = max(versions, key=lambda version: version.stamp, default=None)
    return Adopt(since, frozenset(version.stamp for version in versions), newest)
