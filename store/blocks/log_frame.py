"""A frame of a volume's log in memory: what is written at one time, from the first request that goes into it until it
is durable."""

from __future__ import annotations

import mmap
from typing import Final

import trio

from store.blocks.frame import HEADER_ALIGN, Entry, Frame, Kind, encode_header
from store.blocks.place import BLOCK_BYTES
from store.core.errors import DrystoneError
from store.core.limits import CHECK_BYTES
from store.device.record import Buffer

FRAME_PAGES: Final = 256
"""Of data, at most."""
FRAME_BLOCKS: Final = 1 << 18
"""That its entries are about, at most, those without data included: 1 GiB."""
SMALL_BYTES: Final = CHECK_BYTES
"""A frame that is no larger, with a page of header, shares that with the record that it is kept in."""
ENTRIES_MAX: Final = 120
"""With so many its header is a page at most, whatever they are."""
_PRIVATE: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_BLOCK: Final = Entry(Kind.DATA, 0, 1)


class LogFrame:
    """One frame. `object`, `block` and `first_page` say where it was sent last: it may be sent again elsewhere."""

    __slots__ = (
        "_blocks", "_buffer", "_used", "block", "durable", "entries", "failed", "first_page", "frame", "have",
        "header_bytes", "object", "payload", "sequence", "views", "written",
    )  # fmt: skip

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.entries: list[Entry] = []
        self.views: list[memoryview] = []
        """The data of each entry: empty where it has none."""
        self._buffer: mmap.mmap | None = None
        self._used = BLOCK_BYTES
        """Of the buffer: a page that ends with the header, and the data, which so begin with one."""
        self._blocks = 0
        self.frame: Frame | None = None
        """Set when nothing goes into it any more."""
        self.payload: Buffer = b""
        self.header_bytes = 0
        self.have: set[int] = set()
        """The homes that have it, of the object that it was sent to last."""
        self.object = self.block = self.first_page = 0
        self.written = trio.Event()
        self.durable = trio.Event()
        self.failed: DrystoneError | None = None
        """Why it will never be what an event says that is set."""

    @property
    def pages(self) -> int:
        """Of data."""
        return self._used // BLOCK_BYTES - 1

    def has_room(self, entry: Entry) -> bool:
        return (
            len(self.entries) < ENTRIES_MAX
            and self.pages + entry.pages <= FRAME_PAGES
            and self._blocks + entry.blocks <= FRAME_BLOCKS
        )

    @property
    def full(self) -> bool:
        """Whether it has no room for one more block."""
        return not self.has_room(_BLOCK)

    def add(self, entry: Entry, data: Buffer = b"") -> memoryview:
        """Another entry. Its data, `entry.pages` of them, are copied: the copy."""
        size = len(data)
        if size and self._buffer is None:
            # Untouched pages of it cost nothing. Of memory that malloc uses again all pages would be touched.
            self._buffer = mmap.mmap(-1, BLOCK_BYTES * (1 + FRAME_PAGES), _PRIVATE)
        view = memoryview(b"")
        if self._buffer is not None and size:
            view = memoryview(self._buffer)[self._used : self._used + size]
            view[:] = data
            self._used += size
        self._blocks += entry.blocks
        self.entries.append(entry)
        self.views.append(view)
        return view

    def close(self, epoch: int, time_us: int) -> None:
        """Nothing goes into it any more."""
        self.frame = Frame(epoch, self.sequence, time_us, self.entries)
        header = encode_header(self.frame, HEADER_ALIGN if self._used <= SMALL_BYTES else BLOCK_BYTES)
        self.header_bytes = len(header)
        assert self.header_bytes <= BLOCK_BYTES, "more entries than a header has room for"
        if self._buffer is None:
            self.payload = header
        else:
            start = BLOCK_BYTES - self.header_bytes
            self._buffer[start:BLOCK_BYTES] = header
            self.payload = memoryview(self._buffer)[start : self._used]

    def fail(self, error: DrystoneError) -> None:
        """It will be neither written nor durable."""
        self.failed = error
        self.written.set()
        self.durable.set()

    @property
    def moves(self) -> bool:
        """Whether it has nothing but what the cleaner moved: reads find that where it was, until it is durable."""
        return all(entry.kind is Kind.MOVE for entry in self.entries)
