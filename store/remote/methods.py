"""The names of the methods of a device, and the order of their arguments: `service` answers what `device` asks.

The first argument is always the device's number. The others are those of the call of `DevicePort`, in its order, but
where something else is said here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from store.device.row import KEY_BYTES_MAX

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
FENCED_BLOCK: Final = "device.fenced-block"
"""The same of data that are fenced: [device, block key, cached, the writer's epoch, sums, meta], the block's payload.
A method of its own, since older programs know no epochs and must not take such a block for one that anybody may
write."""
FENCE: Final = "device.fence"
"""-> Fenced."""
FORGET_FENCE: Final = "device.forget-fence"
"""A note."""
REFERENCE: Final = "device.reference"
"""[device, block key, source, owner]"""
SYNC: Final = "device.sync"
"""-> the ids of the requests of references that have lost what they share since the last that succeeded: those of later
references, too, if their loss came first."""
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

_DATA_ID_BYTES: Final = 16


def number(argument: Any) -> bool:
    """None is below zero, and none needs more than 63 bits."""
    return isinstance(argument, int) and 0 <= argument < 1 << 63


def number_or_none(argument: Any) -> bool:
    return argument is None or number(argument)


def flag(argument: Any) -> bool:
    return isinstance(argument, bool)


def octets(argument: Any) -> bool:
    return isinstance(argument, bytes)


def octets_or_none(argument: Any) -> bool:
    return argument is None or octets(argument)


def key(argument: Any) -> bool:
    """What an index can have as a key: a longer one would put the device out when the index is written."""
    return isinstance(argument, bytes) and 0 < len(argument) <= KEY_BYTES_MAX


def data_id(argument: Any) -> bool:
    """A whole one: a shorter one would be the beginning of those of others."""
    return isinstance(argument, bytes) and len(argument) == _DATA_ID_BYTES


def fields(argument: Any) -> bool:
    return isinstance(argument, list)


def fields_or_none(argument: Any) -> bool:
    return argument is None or fields(argument)


_PAGE: Final = (octets, number)
"""Behind which key, and how many."""
ARGUMENTS: Final[dict[str, tuple[Callable[[Any], bool], ...]]] = {
    ROW: (number, flag, octets, octets),
    PROMISE: (number, flag, octets),
    SETTLED: (fields,),
    WAIT_FOR_INDEX: (),
    FIND: (key, number),
    LOOK: (key, number),
    FIND_ROW: (key,),
    FIND_STAMP: (key, flag),
    LOAD: (key, fields, flag),
    VERSION: (key, octets, flag),
    LIST: (number, octets, number, octets, octets_or_none, number, number, flag, flag),
    WALK_ROWS: _PAGE,
    WALK_KEYS: _PAGE,
    USAGE: (number, octets, number, number),
    FORGET_ROW: (key, octets),
    DISCARD_ROW: (key,),
    EXPIRED: (number, number, fields_or_none),
    FORGET_EXPIRY: (number, key),
    GARBAGE: _PAGE,
    FORGET_GARBAGE: (data_id,),
    TOMBSTONES: _PAGE,
    RETIRE_TOMBSTONE: (key, octets),
    RETIRED_TOMBSTONES: _PAGE,
    RETIRED_STAMP: (key, flag),
    RELEASE_TOMBSTONE: (key, octets),
    UPLOADS: _PAGE,
    IN_DOUBT: _PAGE,
    NOTE_IN_DOUBT: (key,),
    FORGET_IN_DOUBT: (key,),
    NOTE_HINT: (number, key, number),
    HINTS: (number, octets, number),
    FORGET_HINT: (number, key, number),
    HINTED: (),
    BLOCK: (fields, flag, octets, octets),
    FENCED_BLOCK: (fields, flag, number, octets, octets),
    FENCE: (data_id, number),
    FORGET_FENCE: (data_id,),
    REFERENCE: (fields, fields, fields),
    SYNC: (number,),
    READ: (fields, number, number_or_none),
    VERIFY_BLOCK: (fields,),
    HAS_BLOCKS: (data_id,),
    OWNERS: _PAGE,
    DROP: (data_id,),
    FLUSH: (),
    DRAIN: (),
    SET_IN_SYNC: (flag,),
    ENFORCE: (number,),
}
"""What the arguments behind the device's number are."""
