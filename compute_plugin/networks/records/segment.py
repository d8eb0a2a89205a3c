"""What administrators call the segments of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentNote(Standard):
    """Name and description of a network's one segment; its id is the network's. There is none where nobody said any."""


SEGMENT_NOTE_CODEC: Final = record_codec("segment note", SegmentNote)
