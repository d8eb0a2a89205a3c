"""The overlay is what entries say that were added and not removed, the last first; ranges included."""

from __future__ import annotations

from collections import deque
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from store.blocks import overlay as module
from store.blocks.frame import Entry, Kind
from store.blocks.overlay import Overlay
from store.blocks.place import BLOCK_BYTES

BLOCKS = 40
kinds = st.sampled_from(Kind)
ranges = st.tuples(st.integers(0, BLOCKS - 1), st.integers(1, BLOCKS)).map(lambda r: (r[0], min(r[1], BLOCKS - r[0])))
steps = st.lists(st.one_of(st.tuples(kinds, ranges), st.none()), max_size=30)


def page(number: int, at: int) -> bytes:
    return f"{number}.{at}.".encode().ljust(BLOCK_BYTES, b"#")


def said(overlay: Overlay, first: int, count: int) -> list[object]:
    """What it says of each block."""
    found: list[object] = []
    for part in overlay.look(first, count):
        assert part.first == first + len(found)
        if part.data is not None:
            assert part.kind is Kind.DATA
            assert len(part.data) == part.blocks * BLOCK_BYTES
            found += [bytes(part.data[at * BLOCK_BYTES :][:BLOCK_BYTES]) for at in range(part.blocks)]
        else:
            found += [part.kind] * part.blocks
    return found


@given(steps)
def test_it_says_what_was_added_last_of_what_was_not_removed(asked: list[tuple[Kind, tuple[int, int]] | None]) -> None:
    with mock.patch.object(module, "BLOCKS_MAX", 6):
        overlay = Overlay()
        added: deque[tuple[Entry, int, list[bytes]]] = deque()
        for number, step in enumerate(asked):
            if step is None:
                if added:
                    overlay.remove(*added.popleft()[:2])
            else:
                kind, (first, count) = step
                pages = [page(number, at) for at in range(count)] if kind in (Kind.DATA, Kind.MOVE) else []
                entry = Entry(kind, first, count)
                added.append((entry, overlay.add(entry, memoryview(b"".join(pages))), pages))
            model: list[object] = [None] * BLOCKS
            for entry, _, pages in added:
                for at in range(entry.blocks):
                    if entry.kind is not Kind.MOVE:
                        model[entry.first + at] = pages[at] if pages else entry.kind
            assert said(overlay, 0, BLOCKS) == model
            assert said(overlay, 3, 9) == model[3:12]
        while added:
            overlay.remove(*added.popleft()[:2])
        assert len(overlay) == 0
        assert said(overlay, 0, BLOCKS) == [None] * BLOCKS
