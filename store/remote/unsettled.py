"""Rows that another process wrote to devices of this one, and has not said to be settled: whether the other replicas
have them only the writer knows, and it may end. So before an index is written, which is what makes a row one that was
there before a crash, they are put in doubt; whoever settles them takes that back."""

from __future__ import annotations

from store.device.port import DevicePort


class Unsettled:
    """Those of one writer."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[bytes, bytes]] = {}
        self._noted: dict[int, dict[bytes, bytes]] = {}

    def add(self, device: int, packed_key: bytes, stamp: bytes) -> None:
        """A row has taken effect."""
        self._rows.setdefault(device, {})[packed_key] = stamp

    def settle(self, device: DevicePort, packed_key: bytes, stamp: bytes) -> None:
        """All replicas have this version or a newer one, or there are hints for those that lack it."""
        rows, noted = self._rows.get(device.id, {}), self._noted.get(device.id, {})
        if rows.get(packed_key, stamp) > stamp or noted.get(packed_key, stamp) > stamp:
            return  # a newer version of the same writer is not
        rows.pop(packed_key, None)
        if noted.pop(packed_key, None) is not None:
            device.forget_in_doubt(packed_key)

    @property
    def in_doubt(self) -> bool:
        """Whether any was put in doubt and is not settled."""
        return any(self._noted.values())

    def note(self, device: DevicePort) -> None:
        """Put in doubt what is not settled."""
        rows = self._rows.pop(device.id, {})
        for packed_key in rows:
            device.note_in_doubt(packed_key)
        if rows:
            self._noted.setdefault(device.id, {}).update(rows)
