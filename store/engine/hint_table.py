"""The hint table: what other devices are known to lack, kept by a device that has it.

w...   a hint    `w` + device (2, big-endian) + what it lacks -> when that was noted (microseconds, u64 be)

What it lacks is named by an index key: a row's (`r`...), so that this device's version of the row, and the blocks that
it places on the other, are brought there; or that of data (`d` + data id), which the other has not dropped yet.
"""

from __future__ import annotations

import struct

from store.engine.merged_index import MergedIndex

_DEVICE = struct.Struct(">cH")
_NOTED = struct.Struct(">Q")


class HintTable:
    """All hints that one device keeps for others."""

    def __init__(self, index: MergedIndex) -> None:
        self._index = index

    def note(self, device: int, key: bytes, noted_us: int) -> None:
        """`device` lacks this."""
        self._index.put(_DEVICE.pack(b"w", device) + key, _NOTED.pack(noted_us))

    def page(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        """(key, when it was noted) of what `device` lacks, behind the key `after`."""
        found = self._index.range(*hints_for(device, after), limit)
        return [(key[_DEVICE.size :], _NOTED.unpack(value)[0]) for key, value in found]

    def forget(self, device: int, key: bytes, noted_us: int) -> None:
        """`device` has it now, unless it has missed something since."""
        packed = _DEVICE.pack(b"w", device) + key
        value = self._index.get(packed)
        if value is not None and _NOTED.unpack(value)[0] <= noted_us:
            self._index.put(packed, None)

    def devices(self) -> list[int]:
        """For whom there are hints, in order."""
        found = []
        start = b"w"
        while page := self._index.range(start, b"x", 1):
            device = _DEVICE.unpack_from(page[0][0])[1]
            found.append(device)
            start = b"w" + (device + 1).to_bytes(2) if device < 0xFFFF else b"x"
        return found


def hints_for(device: int, after: bytes) -> tuple[bytes, bytes]:
    """The index keys between which the hints for a device lie that are behind the key `after`."""
    prefix = _DEVICE.pack(b"w", device)
    return prefix + after + b"\0", prefix + b"\xff"
