"""The expirer: what is due goes at its very second, and what has been written anew since stays."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import NotFoundError
from store.device.row import RowKey
from store.objects.model import ObjectHead
from store.objects.store import DeviceStore
from tests.replicator.clusters import HEAD, exists, media_of, opened, stamps_of
from tests.simulation.world import DAWN_US

DAWN = DAWN_US // 1_000_000
LATER = 600


def ending(at: int) -> ObjectHead:
    return ObjectHead("t", {}, expires_at=at)


async def test_an_object_goes_in_its_very_second(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, container):
        end = DAWN + LATER
        await node.store.put(container, "o", b"data", ending(end))
        await node.store.put(container, "next", b"data", ending(end + 1))
        await trio.sleep_until(LATER - 0.25)
        await node.replicator.expirer.expire()
        assert (await node.store.head(container, "o", expired=True)).head.expires_at == end
        await trio.sleep_until(LATER)
        await node.replicator.expirer.expire()
        with pytest.raises(NotFoundError):
            await node.store.head(container, "o", expired=True)
        assert await exists(node.store, container, "next")


@pytest.mark.parametrize("anew", ["without an end", "with a later end", "deleted"])
@pytest.mark.at_once("about moments between the steps of two who write")
async def test_what_was_written_since_it_was_found_due_stays(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, anew: str
) -> None:
    """The expirer finds it on one device; before it has the object's turn somebody else writes."""
    async with opened(media_of(3)) as (node, container):
        await node.store.put(container, "o", b"old", ending(DAWN + LATER))
        delete = DeviceStore.delete_expired
        outcomes: list[bool] = []

        async def slow(self: DeviceStore, key: RowKey, packed: bytes, now: int) -> bool:
            if anew == "deleted":
                assert await delete(self, key, packed, now)
            else:
                head = HEAD if anew == "without an end" else ending(now + LATER)
                await node.store.put(container, "o", b"new", head)
            await trio.sleep(1)
            before = await stamps_of(node, container, "o")
            outcomes.append(await delete(self, key, packed, now))
            await trio.sleep(1)
            assert await stamps_of(node, container, "o") == before
            return outcomes[-1]

        monkeypatch.setattr(DeviceStore, "delete_expired", slow)
        await trio.sleep_until(LATER + 15)
        assert outcomes == [False]
        assert await exists(node.store, container, "o") == (anew != "deleted")
