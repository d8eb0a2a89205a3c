"""What a device may hold: of each row the versions that are possible, of each piece of data the blocks.

A write is possible from the moment it is handed over, and certain once it is acknowledged. What a restart shows is
decided: whatever else was possible before can never appear again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from store.device.block import BlockKey
from store.device.row import Row


@dataclass
class RowHistory:
    """One row."""

    possible: dict[bytes, Row] = field(default_factory=dict)
    """By stamp."""
    floor: bytes = b""
    """The newest stamp that was acknowledged or seen: nothing older may be shown."""
    may_be_gone: bool = True
    """Whether its absence is right: nothing acknowledged, or forgotten on purpose."""
    promised: bytes = b""
    """The highest promise that was acknowledged: nothing below is taken, whatever happens."""
    forgotten: int = 0
    """How often it was forgotten on purpose, and with it what a promise had become of."""

    def attempt(self, row: Row) -> None:
        self.possible[row.stamp.pack()] = row

    def acknowledge(self, stamp: bytes) -> None:
        if stamp >= self.floor:
            self.floor = stamp
            self.may_be_gone = False

    def promise(self, stamp: bytes) -> None:
        self.promised = max(self.promised, stamp)

    def forget(self) -> None:
        self.may_be_gone = True
        self.floor = self.promised = b""
        self.forgotten += 1

    def judge(self, seen: Row | None) -> str:
        """What is wrong with seeing this; "" if nothing is."""
        if seen is None:
            return "" if self.may_be_gone else f"is gone, with stamp {self.floor.hex()} acknowledged"
        stamp = seen.stamp.pack()
        if stamp < self.floor:
            return f"shows stamp {stamp.hex()}, older than {self.floor.hex()}"
        written = self.possible.get(stamp)
        if written is None:
            return f"shows stamp {stamp.hex()}, which nobody wrote, or which was gone before"
        if written._replace(payload=bytes(written.payload)) != seen._replace(payload=bytes(seen.payload)):
            return f"shows stamp {stamp.hex()} with other bytes than were written"
        return ""

    def decide(self, seen: Row | None) -> None:
        """A restart showed this: now nothing else is possible."""
        self.possible = {} if seen is None else {seen.stamp.pack(): seen}
        self.floor = b"" if seen is None else seen.stamp.pack()
        self.may_be_gone = seen is None


@dataclass
class DataHistory:
    """All blocks of one piece of data."""

    written: dict[BlockKey, bytes] = field(default_factory=dict)
    certain: set[BlockKey] = field(default_factory=set)
    dropped: bool = False
    """The drop was acknowledged."""

    def decide(self, seen: set[BlockKey]) -> None:
        self.written = {key: payload for key, payload in self.written.items() if key in seen}
        self.certain = set(seen)


@dataclass
class FenceHistory:
    """The fences of one piece of data."""

    tried: set[int] = field(default_factory=set)
    """Epochs that were asked for."""
    epoch: int = 0
    """The highest that was answered or seen: no block is taken below it."""
    first: int = 0
    """What was said to be the first; 0 while nothing was."""
    blocks: dict[BlockKey, int] = field(default_factory=dict)
    """Of which epoch each block is that anybody tried to write. No number is used twice."""
    forgotten: int = 0
    """How often it was forgotten on purpose."""
    over: bool = False
    """The data were to be dropped."""

    def answered(self, epoch: int, first: int) -> None:
        if first not in self.tried or (self.first and first != self.first):
            raise AssertionError(f"the first fence is said to be of epoch {first}, not {self.first or self.tried}")
        self.epoch, self.first = max(self.epoch, epoch), first

    def forget(self) -> None:
        self.epoch = self.first = 0
        self.forgotten += 1


@dataclass
class Model:
    """Everything on one device, by index key and by data id."""

    rows: dict[bytes, RowHistory] = field(default_factory=dict)
    data: dict[bytes, DataHistory] = field(default_factory=dict)
    fences: dict[bytes, FenceHistory] = field(default_factory=dict)

    def row(self, packed: bytes) -> RowHistory:
        return self.rows.setdefault(packed, RowHistory())
