"""A replica: what it keeps of the row, and the rules by which it answers (docs/consistency.md, "A replica")."""

from __future__ import annotations

from tests.consistency.messages import (
    NEVER,
    Adopt,
    Barred,
    Done,
    Enforce,
    Look,
    Message,
    Newer,
    Promise,
    Release,
    Reply,
    Retire,
    Seen,
    Stale,
    Stamp,
    Took,
    Version,
    Write,
)


class Replica:
    """One device. What it answers is durable when it does; `fence` alone is lost in a crash."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.version: Version | None = None
        self.taken_in = 0
        """The epoch in which the version was taken."""
        self.promised = NEVER
        self.retired = False
        """Whether nothing but the stamp is left of the tombstone that is here. It is answered as the tombstone."""
        self.enforced = 0
        self.in_sync = True
        self.fence = NEVER
        """The highest promise given, or version found, since it was opened."""
        self.releasing = NEVER
        """The tombstone that it was told to release: it goes when the index is written that says so."""

    # -- what it says ------------------------------------------------------------------------------------------------

    @property
    def stamp(self) -> Stamp:
        return self.version.stamp if self.version is not None else NEVER

    @property
    def floor(self) -> Stamp:
        return max(self.stamp, self.promised)

    def answer(self, message: Message, epoch: int) -> Reply:
        if self._is_stale(epoch):
            return Stale()
        match message:
            case Look():
                return self._seen()
            case Write(version):
                return self._write(version, epoch)
            case Promise(stamp):
                return self._promise(stamp)
            case Retire(stamp):
                self.retired = self.retired or self._has_tombstone(stamp)
            case Release(stamp):
                if self.retired and self._has_tombstone(stamp):
                    self.releasing = stamp
            case Enforce():
                self.enforced = epoch
            case Adopt(since, known, newest):
                self._adopt(since, known, newest, epoch)
        return Done()

    def _has_tombstone(self, stamp: Stamp) -> bool:
        return self.version is not None and self.version.tombstone and self.stamp == stamp

    def _is_stale(self, epoch: int) -> bool:
        return epoch < self.enforced

    def _seen(self) -> Seen:
        return Seen(self.version, self.taken_in, self.floor, self.retired, self.in_sync)

    # -- what it takes -----------------------------------------------------------------------------------------------

    def _write(self, version: Version, epoch: int) -> Reply:
        if self._is_newer(version):
            return Newer(self.floor, self._covers(version))
        if self._is_barred(version):
            return Barred(self.floor)
        if version.stamp != self.stamp:
            self.version, self.taken_in, self.retired = version, epoch, False
        return Took()

    def _is_newer(self, version: Version) -> bool:
        """Whether what is here is newer than what came."""
        return self.stamp > version.stamp

    def _is_barred(self, version: Version) -> bool:
        return self.promised > version.stamp != self.stamp

    def _covers(self, version: Version) -> bool:
        """Whether the newer version here stands for the one that came: it came of a plain write that is newer, or of
        this very version, and no promise was given above it that may have let a conditional write pass it by."""
        return (
            self.version is not None
            and not self.retired
            and self.in_sync
            and self.version.root >= version.stamp
            and self.fence <= version.stamp
        )

    def _promise(self, stamp: Stamp) -> Reply:
        if self.floor > stamp or self.stamp == stamp:
            return Barred(self.floor)
        self.promised = stamp
        self.fence = max(self.fence, stamp)
        return self._seen()

    def _adopt(self, since: int, known: frozenset[Stamp], newest: Version | None, epoch: int) -> None:
        self.enforced = max(self.enforced, since)
        if self.version is not None and self.taken_in < since and self.stamp not in known:
            self.version, self.retired = None, False
        if newest is not None and newest.stamp > self.stamp:
            self.version, self.taken_in, self.retired = newest, epoch, False
        self.in_sync = True
        self.fence = self.floor

    # -- what becomes of it ------------------------------------------------------------------------------------------

    def write_index(self) -> None:
        """What it was told to release is gone for good."""
        if self.retired and self._has_tombstone(self.releasing):
            self.version, self.retired = None, False
        self.releasing = NEVER

    def crash(self) -> None:
        """It is opened anew. A promise that its version has reached needs not be kept."""
        self._forget_promise()
        self.fence = self.floor
        self.releasing = NEVER

    def _forget_promise(self) -> None:
        if self.promised <= self.stamp:
            self.promised = NEVER

    def replace(self, image: Image, epoch: int) -> None:
        """Another disk is in its place: an empty one, or one with what there was once. It is opened in a new epoch."""
        self.version, self.taken_in, self.promised, self.retired = image
        self.enforced = epoch
        self.in_sync = False
        self.fence = self.floor
        self.releasing = NEVER

    def image(self) -> Image:
        """All that its disk has of the row."""
        return self.version, self.taken_in, self.promised, self.retired


Image = tuple[Version | None, int, Stamp, bool]
EMPTY: Image = (None, 0, NEVER, False)
