"""Writes that a crash left at one home: whatever is shown after the start stays so."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.countdown import Countdown
from store.core.errors import NotFoundError
from store.engine.row import SYSTEM, Row
from store.engine.view import Applied
from store.objects.model import Container, ListingQuery, ObjectHead, Policy
from store.objects.rows import Rows, prepare
from store.objects.store import DeviceStore
from store.ring import ROWS
from tests.simulation.house import Machine, open_house
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.supply import PowerLoss, Supply

HEAD = ObjectHead("t")
SMALL, LARGE = b"small", Random(1).randbytes(3 * BLOCK_BYTES)


async def write(store: DeviceStore, container: Container, data: bytes) -> None:
    async with store.upload(container, "o") as upload:
        await upload.write(data)
        await upload.commit(HEAD)


async def shown(store: DeviceStore, container: Container) -> tuple[bytes | None, list[int], int]:
    """(data, sizes in the listing, bytes counted)"""
    try:
        async with store.open(container, "o") as opened:
            data = b"".join([bytes(piece) async for piece in opened.read()])
    except NotFoundError:
        data = None
    listed = await store.list_objects(container, ListingQuery(limit=10))
    return data, [entry.size for entry in listed], (await store.container_usage(container)).bytes  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", ["process", "power", "indexed"])
@pytest.mark.parametrize("home", range(3))
@pytest.mark.parametrize("before", [None, SMALL, LARGE], ids=["nothing", "small", "large"])
@pytest.mark.parametrize("after", [None, SMALL * 2, LARGE * 2], ids=["delete", "put", "upload"])
async def test_a_write_that_reached_one_home_is_decided_before_anyone_asks(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    before: bytes | None,
    after: bytes | None,
    home: int,
    cut: str,
) -> None:
    """An upload also where its one home has it in the index already."""
    if before is None and after is None:
        return
    if cut == "indexed" and after != LARGE * 2:
        return
    machine = Machine(Random(home), 4, (Policy(0, "copies", default=True),))
    supply = Supply()

    write_next = Rows.write_next

    async def reach_one(self: Rows, row: Row, packed: bytes) -> tuple[Row, Applied]:
        if row.key.name[:1] == SYSTEM:
            return await write_next(self, row, packed)
        row = row._replace(stamp=self.stamps.next(row.stamp))
        written = Countdown()
        written.add()
        device = self.devices[self.ring.homes_all(ROWS, row.key.place)[home]]
        device.submit_row(prepare(row, packed), lambda _, error: written.done(error))
        await written.wait()
        if cut == "indexed":
            await device.flush()
        supply.cut()
        raise PowerLoss

    async def life() -> None:
        async with open_house(machine, supply) as house:
            await house.store.put_account("a", {})
            container, _ = await house.store.put_container("a", "c", {})
            if before is not None:
                await write(house.store, container, before)
            await trio.sleep(5)  # all homes have everything
            monkeypatch.setattr(Rows, "write_next", reach_one)
            if after is None:
                await house.store.delete(container, "o")
            else:
                await write(house.store, container, after)

    with small_limits():
        with pytest.raises(BaseExceptionGroup):
            await life()
        monkeypatch.undo()
        if cut != "process":
            machine.lose_power()
        async with open_house(machine, Supply()) as house:
            container = await house.store.container("a", "c")
            first = await shown(house.store, container)
            assert first[0] == after
            assert first[1:] == (([], 0) if after is None else ([len(after)], len(after)))
            await house.settle()
            assert await shown(house.store, container) == first
