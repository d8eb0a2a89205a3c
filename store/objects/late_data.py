"""Rows whose data some devices have yet to make durable. Who commits a row waits for enough devices, and not for all:
that a row is there does not say that its data are wherever they should be. Until that is known, or hints say which
devices lack them, nobody is told that the row is settled: its writer may end, and then whoever has the row in doubt
looks for its data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

Settle = Callable[[bytes, bytes, Collection[int]], None]
"""Called with (packed key, stamp, the replicas that have this version)."""


class Expected:
    """The data of one row that is to be committed. `lacking` shrinks as devices have them, or hints are noted."""

    __slots__ = ("lacking", "packed", "ring_hash")

    def __init__(self, packed: bytes, ring_hash: int, lacking: Collection[int]) -> None:
        self.packed = packed
        self.ring_hash = ring_hash
        self.lacking = lacking


class _Version(NamedTuple):
    stamp: bytes
    replicas: Collection[int]


class LateData:
    """All of a process."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._expected: dict[bytes, list[Expected]] = {}
        self._withheld: dict[bytes, list[_Version]] = {}

    def __iter__(self) -> Iterator[Expected]:
        for some in self._expected.values():
            yield from some

    def expect(self, expected: Expected) -> None:
        """From now on no version of this row is settled. To be called before it is written anywhere."""
        self._expected.setdefault(expected.packed, []).append(expected)

    def settle(self, packed: bytes, stamp: bytes, replicas: Collection[int]) -> None:
        """All replicas of a row have answered: it is settled, now or when its data are."""
        if packed in self._expected:
            self._withheld.setdefault(packed, []).append(_Version(stamp, replicas))
        else:
            self._settle(packed, stamp, replicas)

    def known(self, expected: Expected) -> None:
        """No device is left of which it is not known whether it has the data, or hints have been noted for those."""
        some = self._expected.get(expected.packed, [])
        if expected in some:
            some.remove(expected)
            if not some:
                del self._expected[expected.packed]
                for version in self._withheld.pop(expected.packed, ()):
                    self._settle(expected.packed, *version)
