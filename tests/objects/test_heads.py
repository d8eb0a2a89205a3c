"""A HEAD needs no read of the log where an object's headers are few."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.engine.device import Device
from store.objects.model import ObjectHead
from tests.objects.conftest import POLICIES
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, open_node


@pytest.mark.parametrize(("headers", "reads"), [({}, 0), ({"x-color": "grey"}, 0), ({"x-color": "grey" * 100}, 1)])
async def test_few_headers_are_in_the_index(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], reads: int
) -> None:
    load = Device.submit_load
    loaded = []

    def count(self: Device, packed_key: bytes, *rest: object, **options: object) -> None:
        loaded.append(packed_key)
        load(self, packed_key, *rest, **options)  # type: ignore[arg-type]

    async with open_node(SimMedia(Random(1), 3, POLICIES), CrashPoint()) as node:
        store = node.store
        await store.put_account("a", {})
        container, _ = await store.put_container("a", "c", {})
        put = await store.put(container, "o", b"data", ObjectHead("t", headers))
        await trio.sleep(5)  # all replicas have it, and nothing is left to be done in the background
        monkeypatch.setattr(Device, "submit_load", count)
        for _ in range(2):
            loaded.clear()
            assert await store.head(container, "o") == put
            assert len(loaded) == reads
            for device in node.devices.values():
                await device.flush()
