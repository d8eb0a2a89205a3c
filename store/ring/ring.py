"""The ring: where a row or a piece of data lives now, while layouts change underneath.

Every request passes through here, so answers are remembered for each (width, partition) and shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

from store.core.errors import ConflictError, InvalidError
from store.ring.device import Device
from store.ring.handoff import handoff_order
from store.ring.layout import Layout
from store.ring.progress import Progress
from store.ring.ring_hash import RING_HASH_BITS, RingHasher, partition_of

LIVE_LAYOUTS_MAX = 4
"""Each live layout is one more quorum for every write. A change may be overtaken by the next (a device died in the
middle of it), but not without end."""

_Replicas = tuple[int, ...]


class Ring:
    """All live layouts, oldest first, and how far each device has come with them. Immutable: transitions give a new
    ring. Not bound to a thread; what it remembers is only ever filled in with the same answers."""

    def __init__(self, cluster_key: bytes, live: tuple[Layout, ...], progress: Progress | None = None) -> None:
        """`progress` None is for a ring that was just made, of one layout.

        Raises ValueError where layouts are out of order or progress speaks of none of them.
        """
        if not live or any(a.version >= b.version for a, b in pairwise(live)):
            raise ValueError("a ring has live layouts, oldest first")
        self.live: Final = live
        self.progress: Final = progress or Progress(reads=live[0].version)
        if self.progress.reads not in {layout.version for layout in live}:
            raise ValueError(f"reads ask layout {self.progress.reads}, which is not live")
        self._cluster_key = cluster_key
        self.ring_hash: Final = RingHasher(cluster_key).ring_hash
        self._shift = RING_HASH_BITS - max(layout.part_power for layout in live)
        self._writes: dict[tuple[int, int], tuple[_Replicas, ...]] = {}
        self._reads: dict[tuple[int, int], _Replicas] = {}
        self._all: dict[tuple[int, int], _Replicas] = {}
        self._in_sync: dict[tuple[int, int], _Replicas] = {}

    # What it is

    @property
    def epoch(self) -> int:
        """Grows with every step of a layout change; goes with every request (see Progress)."""
        return self.progress.epoch

    @property
    def newest(self) -> Layout:
        return self.live[-1]

    @property
    def reading(self) -> Layout:
        """The newest layout that is fully synced."""
        return next(layout for layout in self.live if layout.version == self.progress.reads)

    @property
    def row_width(self) -> int:
        """Replicas of a row in the newest layout, for status. Look rows up with ROWS, never with this number."""
        return self.newest.row_width

    @property
    def devices(self) -> dict[int, Device]:
        """Every device of every live layout; the newest layout's word counts."""
        return {id_: device for layout in self.live for id_, device in layout.devices.items()}

    # Where things live

    def write_sets(self, width: int, ring_hash: int) -> tuple[tuple[int, ...], ...]:
        """The replicas in each live layout, oldest first; of equal sets the newest, so that the last is the newest
        layout's. A write counts when each set has a quorum.

        Layouts without this width are left out: nothing can have been written under it while they were the newest.
        Raises InvalidError where no live layout has it.
        """
        key = (width, ring_hash >> self._shift)
        sets = self._writes.get(key)
        if sets is None:
            having = self._having(width)
            # Equal means equal in order too: copies of an erasure code differ by their index.
            newest_first = dict.fromkeys(layout.replicas(width, ring_hash) for layout in reversed(having))
            sets = self._writes[key] = tuple(newest_first)[::-1]
        return sets

    def read_set(self, width: int, ring_hash: int) -> tuple[int, ...]:
        """The replicas in the newest fully synced layout: a quorum of them knows every acknowledged write.

        A width younger than that layout is read by the first layout that has it. Raises InvalidError as write_sets.
        """
        key = (width, ring_hash >> self._shift)
        replicas = self._reads.get(key)
        if replicas is None:
            having = self._having(width)
            synced = [layout for layout in having if layout.version <= self.progress.reads]
            replicas = self._reads[key] = (synced[-1] if synced else having[0]).replicas(width, ring_hash)
        return replicas

    def replicas_all(self, width: int, ring_hash: int) -> tuple[int, ...]:
        """The distinct replicas in all live layouts, the read set's first: everywhere that a thing may be by right."""
        key = (width, ring_hash >> self._shift)
        replicas = self._all.get(key)
        if replicas is None:
            newest_first = [replica for sets in reversed(self.write_sets(width, ring_hash)) for replica in sets]
            replicas = self._all[key] = tuple(dict.fromkeys([*self.read_set(width, ring_hash), *newest_first]))
        return replicas

    def in_sync(self, width: int, ring_hash: int) -> _Replicas:
        """The replicas whose word counts: those of the layout that reads ask and of the oldest live one, which reads
        asked before, and of others the devices that have synced. The rest are written to, but what they hold from
        before may be stale: of a partition that they had under a layout long retired, say."""
        key = (width, ring_hash >> self._shift)
        replicas = self._in_sync.get(key)
        if replicas is None:
            found = dict.fromkeys(self.read_set(width, ring_hash))
            for layout in self._having(width):
                synced = self.progress.synced.get(layout.version, frozenset())
                known = layout.version in (self.live[0].version, self.progress.reads)
                found |= dict.fromkeys(
                    replica for replica in layout.replicas(width, ring_hash) if known or replica in synced
                )
            replicas = self._in_sync[key] = tuple(found)
        return replicas

    def handoffs(self, width: int, ring_hash: int) -> Iterator[int]:
        """The other devices of the newest layout, spread over domains, the same for everyone who asks. For data only: a
        handoff never counts towards a row's quorum."""
        known = self.devices
        replicas = [known[replica] for replica in self.replicas_all(width, ring_hash)]
        return handoff_order(partition_of(ring_hash, self.newest.part_power), self.newest.devices.values(), replicas)

    def _having(self, width: int) -> list[Layout]:
        having = [layout for layout in self.live if width in layout.tables]
        if not having:
            known = ", ".join(map(str, self.newest.widths)) or "none"
            raise InvalidError(f"the ring has no table for {width} copies (it has: {known}); a new layout must add it")
        return having

    # How it changes

    def publish(self, layout: Layout) -> Ring:
        """The ring with one more live layout. A device syncs from quorums of the layout that reads ask, and only from
        replicas that enforce at least the new epoch, so that no write made by the old ring slips past it.

        Raises InvalidError for a version that is not the next, ConflictError when too many layouts are live.
        """
        if layout.version != self.newest.version + 1:
            raise InvalidError(f"the next layout is {self.newest.version + 1}, not {layout.version}")
        if len(self.live) >= LIVE_LAYOUTS_MAX:
            raise ConflictError(f"{len(self.live)} layouts are live already; wait until the devices have synced")
        return Ring(self._cluster_key, (*self.live, layout), self.progress.published())._advanced()

    def mark_synced(self, version: int, device: int) -> Ring:
        """`device` holds, of every partition that layout `version` gives it, all that older layouts acknowledged.

        To say it again, or of a layout that retired since, changes nothing.
        """
        layout = next((layout for layout in self.live if layout.version == version), None)
        if layout is None or device not in layout.members or version <= self.progress.reads:
            return self
        return Ring(self._cluster_key, self.live, self.progress.with_synced(version, device))._advanced()

    def mark_enforced(self, device: int, epoch: int) -> Ring:
        """`device` refuses, from now on and after a restart, every request that carries an epoch below `epoch`."""
        if epoch > self.epoch:
            raise InvalidError(f"epoch {epoch} is yet to come; the ring is at {self.epoch}")
        if device not in self.newest.devices or self.progress.enforced.get(device, 0) >= epoch:
            return self
        return Ring(self._cluster_key, self.live, self.progress.with_enforced(device, epoch))._advanced()

    def mark_clean(self, device: int) -> Ring:
        """`device` has forgotten, for good, every row that no live layout gives it."""
        if device not in self.unclean:
            return self
        return Ring(self._cluster_key, self.live, self.progress.with_clean(frozenset({device})))

    def collect(self) -> Ring:
        """The ring behind which tombstones are released that all their replicas have retired before: as soon as these
        enforce its epoch. Everything is where it was."""
        return Ring(self._cluster_key, self.live, self.progress.with_collected())

    @property
    def collected(self) -> int:
        """The epoch by which tombstones were last released; 0: never. A version that was first sent under an older one
        is not to be sent again: what deleted it may be forgotten."""
        return self.progress.collected

    def is_behind(self, other: Ring) -> bool:
        """Whether the other has come of this one, by whatever step."""
        return self.progress.position < other.progress.position

    def places_as(self, other: Ring) -> bool:
        """Whether nothing but tombstones was collected between the two rings: then there is nothing to move."""
        mine, its = (replace(ring.progress, epoch=0, collected=0) for ring in (self, other))
        return mine == its and [layout.version for layout in self.live] == [layout.version for layout in other.live]

    @property
    def unclean(self) -> frozenset[int]:
        """The devices that may hold rows of partitions which they lost with a retired layout. No tombstone may be
        collected while there are any."""
        return self.progress.unclean

    def unsynced(self, version: int) -> frozenset[int]:
        """The devices that layout `version` still waits for; empty when it waits for none."""
        for layout in self.live:
            if layout.version == version > self.progress.reads:
                return layout.members - self.progress.synced.get(version, frozenset())
        return frozenset()

    def unenforced(self) -> frozenset[int]:
        """The devices whose word is missing before layouts older than the one that reads ask can retire.

        A device that the newest layout no longer knows is gone, and not waited for.
        """
        old = [layout.members for layout in self.live if layout.version < self.progress.reads]
        return frozenset(
            device
            for device in frozenset().union(*old)
            if device in self.newest.devices and self.progress.enforced.get(device, 0) < self.progress.reads_since
        )

    def _advanced(self) -> Ring:
        """Takes every step that has become due."""
        live, progress = self.live, self.progress
        synced = [
            layout.version for layout in live if layout.version > progress.reads and not self.unsynced(layout.version)
        ]
        if synced:
            return Ring(self._cluster_key, live, progress.with_reads(synced[-1]))._advanced()
        if live[0].version < progress.reads and not self.unenforced():
            kept = tuple(layout for layout in live if layout.version >= progress.reads)
            members = frozenset().union(*(layout.members for layout in live if layout.version < progress.reads))
            return Ring(self._cluster_key, kept, progress.retired(members, frozenset(self.newest.devices)))
        return self
