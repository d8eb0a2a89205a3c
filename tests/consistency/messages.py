"""What goes between coordinators and replicas. Every request carries the epoch of its sender's ring."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

Stamp = tuple[int, int]
"""Time, then writer."""
NEVER: Stamp = (0, 0)


class Version(NamedTuple):
    """One version of the row. `root` is the stamp of the plain write that it came of: its own, or that of the version
    which the first of a chain of conditional writes replaced. `base` is what a conditional write replaced."""

    stamp: Stamp
    value: Hashable
    root: Stamp
    base: Stamp = NEVER

    @property
    def plain(self) -> bool:
        return self.root == self.stamp

    @property
    def tombstone(self) -> bool:
        return self.value is None


class Look(NamedTuple):
    """What do you have?"""


class Write(NamedTuple):
    """Take this version."""

    version: Version


class Promise(NamedTuple):
    """Take nothing below this stamp from now on, and say what you have."""

    stamp: Stamp


class Retire(NamedTuple):
    """All have this tombstone: keep no more of it than its stamp."""

    stamp: Stamp


class Release(NamedTuple):
    """Nothing older than this tombstone is left or on its way."""

    stamp: Stamp


class Enforce(NamedTuple):
    """Refuse older epochs than that of this request from now on."""


class Adopt(NamedTuple):
    """Be in line with those whose word counts: lose what was here before this epoch and is not `known`, take the
    `newest`. Whoever was not in sync is so then."""

    since: int
    known: frozenset[Stamp]
    newest: Version | None


Message = Look | Write | Promise | Retire | Release | Enforce | Adopt


class Seen(NamedTuple):
    """The version here, the epoch under which it was taken, and the stamp below which nothing is taken; whether the
    version is a tombstone that is retired, and whether that there is none proves anything."""

    version: Version | None
    taken_in: int
    floor: Stamp
    retired: bool
    believed: bool


class Took(NamedTuple):
    """It is here, durably."""


class Newer(NamedTuple):
    """A newer version is here. `covers`: it may stand for the one that came."""

    floor: Stamp
    covers: bool


class Barred(NamedTuple):
    """A promise keeps it out."""

    floor: Stamp


class Done(NamedTuple):
    """So it is."""


class Stale(NamedTuple):
    """The request's epoch is below the one that is enforced here."""


Reply = Seen | Took | Newer | Barred | Done | Stale
