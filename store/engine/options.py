"""What of a device may be chosen: sizes and times."""

from __future__ import annotations

from dataclasses import dataclass

from store.engine.segment import LOG_SEGMENT_BYTES, SPARES_MAX

FLUSH_SECONDS = 1.0
"""How long the index may lag behind the log: bounds what a start reads again."""
ROOM_BYTES_MIN = 64 * 1024 * 1024
"""With less than this for data a new device would be full as soon as it is used."""


@dataclass
class Options:
    """What tests and small disks change. `reserve_bytes` is kept free for deletes, compaction, rows that some
    replicas have and others not, and the rows by which a volume is taken over and its log sealed."""

    log_bytes: int = LOG_SEGMENT_BYTES
    reserve_bytes: int = 128 * 1024 * 1024
    compact_below: float = 0.5
    flush_seconds: float = FLUSH_SECONDS
    spares: int = SPARES_MAX

    @property
    def log_bytes_min(self) -> int:
        """What log segments take however little is stored: the current one, the next, and spares."""
        return (2 + self.spares) * self.log_bytes

    @property
    def disk_bytes_min(self) -> int:
        """The free space that a file system must have for a device to be made there."""
        return self.reserve_bytes + self.log_bytes_min + ROOM_BYTES_MIN
