"""References whose payload is lost: who asked for one hears of it, whatever syncs and links do meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import MockClock

from store.core.errors import DrystoneError
from store.device.block import BlockKey
from store.device.port import Done
from store.device.row import RowKey
from store.engine.device import Device
from store.remote.device import RemoteDevice
from store.wire.client import WireClient
from tests.remote.test_service import served

KEY, SOURCE = BlockKey(b"e" * 16, 0, 0), BlockKey(b"d" * 16, 0, 0)
OWNER = RowKey(1, b"t" * 16, 0, b"o")


class Shared:
    """References and syncs of a device, answered by the test."""

    def __init__(self, device: Device) -> None:
        self.lost: list[Done] = []
        self.syncs: list[Done] = []
        device.submit_reference = self._reference  # type: ignore[method-assign]
        device.submit_sync = self._sync  # type: ignore[method-assign]

    def _reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        self.lost.append(lost)
        done(None)

    def _sync(self, losses: int, done: Done) -> None:
        self.syncs.append(done)


class Asked:
    """References and syncs over a link, and what is told of them in its order."""

    def __init__(self, remote: RemoteDevice) -> None:
        self._remote = remote
        self.told: list[str] = []

    def _says(self, what: str) -> Callable[[DrystoneError | None], None]:
        return lambda error: self.told.append(what if error is None else f"{what} failed")

    def reference(self) -> None:
        self._remote.submit_reference(KEY, SOURCE, OWNER, lambda _error: None, self._says("reference"))

    def sync(self, name: str) -> None:
        self._remote.submit_sync(0, self._says(name))


async def settle() -> None:
    await trio.sleep(0.3)


async def cut(client: WireClient) -> None:
    assert client._link is not None
    await trio.aclose_forcefully(client._link._stream)


async def test_a_loss_that_an_earlier_sync_tells_is_that_of_a_later_reference(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        shared, asked = Shared(device), Asked(over_wire.remote)
        asked.sync("first")
        asked.reference()
        asked.sync("second")
        await settle()
        shared.lost[0](DrystoneError("lost"))
        shared.syncs[0](None)
        shared.syncs[1](None)
        await settle()
        assert asked.told == ["reference failed", "first", "second"]


async def test_a_sync_that_fails_takes_no_loss_with_it(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        shared, asked = Shared(device), Asked(over_wire.remote)
        asked.reference()
        asked.sync("of another upload")
        asked.sync("its own")
        await settle()
        shared.lost[0](DrystoneError("lost"))
        shared.syncs[0](DrystoneError("blocks written before were lost"))
        shared.syncs[1](None)
        await settle()
        assert asked.told == ["of another upload failed", "reference failed", "its own"]


async def test_who_heard_nothing_since_a_link_broke_takes_its_references_for_lost(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        shared, asked = Shared(device), Asked(over_wire.remote)
        asked.reference()
        await settle()
        await cut(over_wire.process._data)
        await trio.sleep(2)
        shared.lost[0](DrystoneError("lost"))
        asked.sync("over another link")
        await settle()
        shared.syncs[0](None)
        await settle()
        assert asked.told == ["reference failed", "over another link"]


async def test_a_link_of_rows_that_breaks_takes_no_loss_with_it(autojump_clock: MockClock) -> None:
    async with served() as (device, over_wire):
        shared, asked = Shared(device), Asked(over_wire.remote)
        asked.reference()
        asked.sync("its own")
        await settle()
        await cut(over_wire.process._rows)
        await settle()
        shared.lost[0](DrystoneError("lost"))
        shared.syncs[0](None)
        await settle()
        assert asked.told == ["reference failed", "its own"]
