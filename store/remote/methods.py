"""The names of the methods of a device, and the order of their arguments: `service` answers what `device` asks.

The first argument is always the device's number. The others are those of the call of `DevicePort`, in its order, but
where something else is said here.
"""

from __future__ import annotations

from typing import Any, Final

NEWS: Final = "device.news"
"""A stream of how devices are: [numbers] -> items of `State`."""
ROW: Final = "device.row"
"""[device, epoch, reserve, sums, meta], the row's payload -> Applied."""
PROMISE: Final = "device.promise"
"""[device, epoch, reserve, meta] -> Seen."""
SETTLED: Final = "device.settled"
"""A note: [device, [[packed key, stamp]...]]."""
WAIT_FOR_INDEX: Final = "device.wait-for-index"
FIND: Final = "device.find"
"""-> the index value."""
LOOK: Final = "device.look"
"""-> Seen."""
FIND_ROW: Final = "device.find-row"
FIND_STAMP: Final = "device.find-stamp"
LOAD: Final = "device.load"
"""-> [sums, meta], the row's payload."""
VERSION: Final = "device.version"
"""-> as LOAD."""
LIST: Final = "device.list"
WALK_ROWS: Final = "device.walk-rows"
WALK_KEYS: Final = "device.walk-keys"
USAGE: Final = "device.usage"
FORGET_ROW: Final = "device.forget-row"
DISCARD_ROW: Final = "device.discard-row"
EXPIRED: Final = "device.expired"
FORGET_EXPIRY: Final = "device.forget-expiry"
GARBAGE: Final = "device.garbage"
FORGET_GARBAGE: Final = "device.forget-garbage"
TOMBSTONES: Final = "device.tombstones"
RETIRE_TOMBSTONE: Final = "device.retire-tombstone"
RETIRED_TOMBSTONES: Final = "device.retired-tombstones"
RETIRED_STAMP: Final = "device.retired-stamp"
RELEASE_TOMBSTONE: Final = "device.release-tombstone"
UPLOADS: Final = "device.uploads"
IN_DOUBT: Final = "device.in-doubt"
NOTE_IN_DOUBT: Final = "device.note-in-doubt"
FORGET_IN_DOUBT: Final = "device.forget-in-doubt"
NOTE_HINT: Final = "device.note-hint"
HINTS: Final = "device.hints"
FORGET_HINT: Final = "device.forget-hint"
HINTED: Final = "device.hinted"
BLOCK: Final = "device.block"
"""[device, block key, cached, sums, meta], the block's payload."""
REFERENCE: Final = "device.reference"
"""[device, block key, source, owner]"""
SYNC: Final = "device.sync"
"""-> the ids of the requests of references that have lost what they share since the sync before."""
READ: Final = "device.read"
"""-> the payload."""
VERIFY_BLOCK: Final = "device.verify-block"
HAS_BLOCKS: Final = "device.has-blocks"
OWNERS: Final = "device.owners"
DROP: Final = "device.drop"
FLUSH: Final = "device.flush"
DRAIN: Final = "device.drain"
SET_IN_SYNC: Final = "device.set-in-sync"
"""-> State."""
ENFORCE: Final = "device.enforce"
"""-> State."""

_PAGE: Final = (bytes, int)
"""Behind which key, and how many."""
TYPES: Final[dict[str, tuple[Any, ...]]] = {
    ROW: (int, bool, bytes, bytes),
    PROMISE: (int, bool, bytes),
    SETTLED: (list,),
    WAIT_FOR_INDEX: (),
    FIND: (bytes, int),
    LOOK: (bytes, int),
    FIND_ROW: (bytes,),
    FIND_STAMP: (bytes, bool),
    LOAD: (bytes, list, bool),
    VERSION: (bytes, bytes, bool),
    LIST: (int, bytes, int, bytes, bytes | None, int, int, bool, bool),
    WALK_ROWS: _PAGE,
    WALK_KEYS: _PAGE,
    USAGE: (int, bytes, int, int),
    FORGET_ROW: (bytes, bytes),
    DISCARD_ROW: (bytes,),
    EXPIRED: (int, int, list | None),
    FORGET_EXPIRY: (int, bytes),
    GARBAGE: _PAGE,
    FORGET_GARBAGE: (bytes,),
    TOMBSTONES: _PAGE,
    RETIRE_TOMBSTONE: (bytes, bytes),
    RETIRED_TOMBSTONES: _PAGE,
    RETIRED_STAMP: (bytes, bool),
    RELEASE_TOMBSTONE: (bytes, bytes),
    UPLOADS: _PAGE,
    IN_DOUBT: _PAGE,
    NOTE_IN_DOUBT: (bytes,),
    FORGET_IN_DOUBT: (bytes,),
    NOTE_HINT: (int, bytes, int),
    HINTS: (int, bytes, int),
    FORGET_HINT: (int, bytes, int),
    HINTED: (),
    BLOCK: (list, bool, bytes, bytes),
    REFERENCE: (list, list, list),
    SYNC: (int,),
    READ: (list, int, int | None),
    VERIFY_BLOCK: (list,),
    HAS_BLOCKS: (bytes,),
    OWNERS: _PAGE,
    DROP: (bytes,),
    FLUSH: (),
    DRAIN: (),
    SET_IN_SYNC: (bool,),
    ENFORCE: (int,),
}
"""What the arguments behind the device's number are."""
