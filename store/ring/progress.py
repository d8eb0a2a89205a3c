"""How far a change of layout has come, and the steps by which it gets there.

A change passes through three rings, each with its own epoch:

1. *published*: writes reach a quorum of the old layout and one of the new; reads ask the old.
2. *synced*: every device of the new layout has all that was ever acknowledged under the old; reads ask the new.
3. *retired*: no device would answer anybody who still reads by the old layout; writes leave it out.

After the third, devices may still hold rows of partitions that they lost. Until a device has said that it is clean, a
tombstone may be all that keeps such a row from coming back, so none is collected.

A step of its own is *collected*: tombstones that all their replicas have retired are released behind it, once these
enforce its epoch. What is still under way by an older ring could bring back what was deleted, and is refused by then.

Step 3 needs step 2 to be known everywhere first. Otherwise a reader that slept through step 2 could still find a quorum
of old replicas after writers had stopped writing to them, and miss an acknowledged write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from store.core.codec import Codec


@dataclass(frozen=True)
class Progress:
    """`epoch` counts the steps since the cluster began; every request carries its sender's, and a device refuses a
    request whose epoch is below the one that it enforces.

    `synced` maps a live layout's version to the devices that hold all they must of it. `reads` is the version that
    reads ask, and `reads_since` the epoch that made it so. `enforced` maps a device to the epoch below which it
    refuses. `unclean` are the devices of retired layouts that may hold rows which are not theirs any more. `collected`
    is the epoch of the last step behind which tombstones were released; 0: none yet.
    """

    epoch: int = 1
    reads: int = 1
    reads_since: int = 1
    synced: Mapping[int, frozenset[int]] = field(default_factory=dict)
    enforced: Mapping[int, int] = field(default_factory=dict)
    unclean: frozenset[int] = frozenset()
    collected: int = 0

    @property
    def position(self) -> tuple[int, int]:
        """Grows with every step that is taken: the epoch, and what devices have said in it."""
        synced = sum(map(len, self.synced.values()))
        return self.epoch, synced + sum(self.enforced.values()) - len(self.unclean)

    def published(self) -> Progress:
        return replace(self, epoch=self.epoch + 1)

    def with_synced(self, version: int, device: int) -> Progress:
        known = self.synced.get(version, frozenset())
        return replace(self, synced={**self.synced, version: known | {device}})

    def with_reads(self, version: int) -> Progress:
        return replace(self, epoch=self.epoch + 1, reads=version, reads_since=self.epoch + 1)

    def with_enforced(self, device: int, epoch: int) -> Progress:
        return replace(self, enforced={**self.enforced, device: max(epoch, self.enforced.get(device, 0))})

    def retired(self, members: frozenset[int], devices: frozenset[int]) -> Progress:
        """After all layouts older than `reads`, with these `members`, are gone; keeps what concerns later ones and
        known `devices`."""
        return replace(
            self,
            epoch=self.epoch + 1,
            synced={version: done for version, done in self.synced.items() if version > self.reads},
            enforced={device: epoch for device, epoch in self.enforced.items() if device in devices},
            unclean=(self.unclean | members) & devices,
        )

    def with_collected(self) -> Progress:
        return replace(self, epoch=self.epoch + 1, collected=self.epoch + 1)

    def with_clean(self, devices: frozenset[int]) -> Progress:
        return replace(self, unclean=self.unclean - devices)


def _fields(progress: Progress) -> Sequence[Any]:
    return [
        progress.epoch,
        progress.reads,
        progress.reads_since,
        [[version, sorted(devices)] for version, devices in sorted(progress.synced.items())],
        [[device, epoch] for device, epoch in sorted(progress.enforced.items())],
        sorted(progress.unclean),
        progress.collected,
    ]


def _read_1(fields: Sequence[Any]) -> Progress:
    """Version 1 did not say who is clean: nobody who took part in a change is believed to be."""
    return _read_2([*fields, [device for device, _ in fields[4]]])


def _read_2(fields: Sequence[Any]) -> Progress:
    """Version 2 knew no step by which tombstones are collected."""
    return _read_3([*fields, 0])


def _read_3(fields: Sequence[Any]) -> Progress:
    epoch, reads, reads_since, synced, enforced, unclean, collected = fields
    return Progress(
        epoch,
        reads,
        reads_since,
        {version: frozenset(devices) for version, devices in synced},
        {device: since for device, since in enforced},  # noqa: C416 (checks that each is a pair)
        frozenset(unclean),
        collected,
    )


PROGRESS_CODEC: Final = Codec[Progress]("ring progress", 3, _fields, {1: _read_1, 2: _read_2, 3: _read_3})
"""The stored form, described field by field in docs/ring.md."""
