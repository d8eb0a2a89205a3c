"""What a listing looks at: no more than it must."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from store.device.row import ListedRow
from store.objects.listing import PAGE_MAX
from store.objects.model import ListingQuery, Subdir
from store.objects.shards import Shards
from tests.replicator.clusters import HEAD, media_of, opened

pytestmark = pytest.mark.quorum_suffices


@pytest.mark.parametrize("reverse", [False, True])
async def test_what_a_folded_name_covers_is_stepped_over(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, *, reverse: bool
) -> None:
    looked_at = 0
    page_of: Any = Shards.page

    async def counting(self: Shards, *span: Any, **order: bool) -> tuple[list[ListedRow], bytes | None]:
        nonlocal looked_at
        page: list[ListedRow]
        page, end = await page_of(self, *span, **order)
        looked_at += len(page)
        return page, end

    async with opened(media_of(3)) as (node, container):
        for folder in ("a", "b"):
            for number in range(4 * PAGE_MAX):
                await node.store.put(container, f"{folder}/{number:04}", b"", HEAD)
        monkeypatch.setattr(Shards, "page", counting)
        page = await node.store.list_objects(container, ListingQuery(limit=10, delimiter="/", reverse=reverse))
        names = ["a/", "b/"]
        assert page == [Subdir(name) for name in (reversed(names) if reverse else names)]
        assert looked_at <= 4 * PAGE_MAX  # of twice as many
