"""Rows that another process wrote to devices of this one, and has not said to be settled: whether the other replicas
have them only the writer knows, and it may end. So before an index is written, which is what makes a row one that was
there before a crash, they are put in doubt; whoever settles them takes that back, unless another writer has the same
row in doubt, or has left it so: then it is taken back by that writer, or by the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from store.device.port import DevicePort


class Unsettled:
    """Those of one writer."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[bytes, bytes]] = {}
        self._noted: dict[int, dict[bytes, bytes]] = {}

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        """(device, packed key, stamp) of all, those that were put in doubt already, too."""
        for device, rows in chain(self._rows.items(), self._noted.items()):
            for packed_key, stamp in rows.items():
                yield device, packed_key, stamp

    def add(self, device: int, packed_key: bytes, stamp: bytes) -> None:
        """A row has taken effect."""
        self._rows.setdefault(device, {})[packed_key] = stamp

    def settle(self, device: int, packed_key: bytes, stamp: bytes) -> bool:
        """All replicas have this version or a newer one, or there are hints for those that lack it. Whether it was put
        in doubt, and this writer has nothing against that being taken back."""
        rows, noted = self._rows.get(device, {}), self._noted.get(device, {})
        if rows.get(packed_key, stamp) > stamp or noted.get(packed_key, stamp) > stamp:
            return False  # a newer version of the same writer is not
        rows.pop(packed_key, None)
        return noted.pop(packed_key, None) is not None

    def doubts(self, device: int, packed_key: bytes, stamp: bytes) -> bool:
        """Whether this version or a newer one was put in doubt and is not settled."""
        return self._noted.get(device, {}).get(packed_key, b"") >= stamp

    def leave(self, device: int, packed_key: bytes, stamp: bytes) -> None:
        """This version was put in doubt and will not be settled by who wrote it: nor is it by who settles it, or an
        older one, here."""
        for rows in (self._rows.get(device, {}), self._noted.get(device, {})):
            if packed_key in rows and rows[packed_key] <= stamp:
                del rows[packed_key]

    def note(self, device: DevicePort) -> None:
        """Put in doubt what is not settled."""
        rows = self._rows.pop(device.id, {})
        for packed_key in rows:
            device.note_in_doubt(packed_key)
        if rows:
            self._noted.setdefault(device.id, {}).update(rows)
