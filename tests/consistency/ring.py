"""Live layouts and epochs, as far as one row is concerned (docs/ring.md). The registry has one, which is changed step
by step; everybody else has a copy that may be old."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

Layout = tuple[int, ...]


def quorum(count: int) -> int:
    return count // 2 + 1


@dataclass(frozen=True)
class Ring:
    live: tuple[Layout, ...]
    """Oldest first."""
    epoch: int = 1
    reads: int = 0
    """Which of them is asked."""
    since: int = 1
    """The epoch of the newest layout."""
    reads_since: int = 1
    """The epoch since which it is asked."""
    collected: int = 1
    """What was begun under an epoch before this may meet tombstones that are released: its outcome is unknown."""
    synced: frozenset[int] = frozenset()
    """Devices that have come to the newest layout."""
    returned: Mapping[int, int] = field(default_factory=dict)
    """The epochs in which devices came back without their memory."""
    unclean: frozenset[int] = frozenset()
    """Devices that may keep rows of a partition that they lost."""

    @property
    def read_set(self) -> Layout:
        return self.live[self.reads]

    @property
    def replicas(self) -> Layout:
        """Those of all live layouts, the read set's first."""
        return tuple(dict.fromkeys([*self.read_set, *(device for layout in self.live for device in layout)]))

    def is_quorum(self, devices: Collection[int]) -> bool:
        """Whether they are a quorum of each live layout."""
        return all(sum(device in devices for device in layout) >= quorum(len(layout)) for layout in self.live)

    def is_read_quorum(self, devices: Collection[int]) -> bool:
        return sum(device in devices for device in self.read_set) >= quorum(len(self.read_set))

    # -- steps -------------------------------------------------------------------------------------------------------

    def publish(self, layout: Layout) -> Ring:
        epoch = self.epoch + 1
        return replace(self, live=(*self.live, layout), epoch=epoch, since=epoch, synced=frozenset())

    def mark_synced(self, device: int) -> Ring:
        synced = self.synced | {device}
        if not synced.issuperset(self.live[-1]):
            return replace(self, synced=synced)
        epoch = self.epoch + 1
        return replace(self, synced=synced, reads=len(self.live) - 1, epoch=epoch, reads_since=epoch)

    def retire(self) -> Ring:
        """Leave out all layouts but the one that reads ask."""
        gone = frozenset(device for layout in self.live for device in layout) - frozenset(self.read_set)
        return replace(self, live=(self.read_set,), reads=0, epoch=self.epoch + 1, unclean=self.unclean | gone)

    def cleaned(self, device: int) -> Ring:
        return replace(self, unclean=self.unclean - {device})

    def collect(self) -> Ring:
        """Tombstones are about to be released: what was begun before is refused from now on."""
        epoch = self.epoch + 1
        return replace(self, epoch=epoch, collected=epoch)

    def came_back(self, device: int) -> Ring:
        """A device is there without its memory."""
        epoch = self.epoch + 1
        return replace(self, epoch=epoch, returned={**self.returned, device: epoch})
