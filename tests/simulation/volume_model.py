"""What a volume may be after a crash: what some prefix of its writes left, with all of them in it that must be."""

from __future__ import annotations

from typing import NamedTuple

from store.blocks.frame import Entry, Kind
from tests.simulation.engine_checks import WrongError

PAGE = 4096
Page = tuple[int, int]
"""(which write, which of its pages); (0, 0) is zeros."""
NOTHING: Page = (0, 0)


class Written(NamedTuple):
    """One entry of the log, and which write it is."""

    kind: Kind
    first: int
    blocks: int
    write: int
    page: int


class VolumeModel:
    """All entries that were appended, in their order."""

    def __init__(self, blocks: int, before: list[Page] | None = None) -> None:
        self._before: list[Page] = [NOTHING] * blocks if before is None else before
        """As all was before the first of `entries`."""
        self.entries: list[Written] = []
        self.flushed = 0
        """So many of them must be there whatever happens."""
        self.answered = 0
        """So many must be there unless devices fail, or the power."""

    def append(self, entry: Entry, data: memoryview) -> None:
        write, page = parse(data[:PAGE]) if entry.kind is Kind.DATA else (0, 0)
        self.entries.append(Written(entry.kind, entry.first, entry.blocks, write, page))

    def now(self) -> list[Page]:
        """What is read when all is in place."""
        pages = self._before[:]
        for entry in self.entries:
            _apply(pages, entry)
        return pages

    def state_at(self, found: list[Page], least: int, most: int) -> None:
        """Raises WrongError where this is not what the first `least` entries, or more of them up to `most`, had left.
        All of them must have been appended since the last `recover`."""
        pages = self._before[:]
        for count in range(most + 1):
            if count:
                _apply(pages, self.entries[count - 1])
            if count >= least and pages == found:
                return
        raise WrongError(f"a snapshot is no state of the volume between {least} and {most} writes")

    def check(self, found: list[Page]) -> None:
        """What is read now must be what is there. Raises WrongError."""
        self._compare("the volume", found, self.now())

    def recover(self, found: list[Page], *, lost: bool) -> None:
        """After a crash, and perhaps a loss of what was not flushed: go on with what is there. Raises WrongError where
        it is no prefix, or one that is too short."""
        least = self.flushed if lost else self.answered
        pages = self._before[:]
        first = None
        for count in range(len(self.entries) + 1):
            if count:
                _apply(pages, self.entries[count - 1])
            if pages == found:
                first = count
                if count >= least:
                    self._before, self.entries, self.flushed, self.answered = found, [], 0, 0
                    return
        if first is not None:
            raise WrongError(f"{first} of {len(self.entries)} writes are there, and {least} must be")
        pages = self._before[:]
        for entry in self.entries:
            _apply(pages, entry)
        self._compare("no prefix: what is there", found, pages)
        raise WrongError("what is there is no prefix of what was written")

    @staticmethod
    def _compare(what: str, found: list[Page], wanted: list[Page]) -> None:
        wrong = [
            (block, was, to_be) for block, (was, to_be) in enumerate(zip(found, wanted, strict=True)) if was != to_be
        ]
        if wrong:
            raise WrongError(f"{what}: {len(wrong)} blocks differ, (block, found, wanted): {wrong[:8]}")


def _apply(pages: list[Page], entry: Written) -> None:
    for at in range(entry.blocks):
        if entry.kind is Kind.DATA:
            pages[entry.first + at] = (entry.write, entry.page + at)
        elif entry.kind is not Kind.MOVE:
            pages[entry.first + at] = NOTHING


def content(write: int, blocks: int) -> bytes:
    """What a write writes: each page says which it is."""
    return b"".join(f"{write}.{page}.".encode().ljust(PAGE, b"#") for page in range(blocks))


def parse(page: bytes | memoryview) -> Page:
    """Which page of which write this is. Raises WrongError where it is none."""
    text = bytes(page)
    if not text.strip(b"\0"):
        return NOTHING
    try:
        write, number, _ = text[:40].split(b".", 2)
        found = int(write), int(number)
    except ValueError as error:
        raise WrongError(f"a page that nobody wrote: {text[:40]!r}") from error
    if text != f"{found[0]}.{found[1]}.".encode().ljust(PAGE, b"#"):
        raise WrongError(f"half a page: {text[:40]!r}")
    return found


def parse_all(data: bytes) -> list[Page]:
    """All pages of a volume."""
    return [parse(data[at : at + PAGE]) for at in range(0, len(data), PAGE)]
