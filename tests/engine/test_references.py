"""Blocks that share a payload: whichever is dropped, the others keep it, and its space comes back with the last."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from random import Random

import pytest

from store.core.errors import DamageError
from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.device.row import RowKey
from store.engine.check import check_device
from store.engine.device import Device
from tests.engine.devices import TABLE, on_device
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium

DATA = Random(7).randbytes(200_000)
FIRST, SECOND, THIRD = (BlockKey(bytes([number]) * 16, 0, 0) for number in range(3))
OWNERS = {key: RowKey(1, TABLE, 0, b"owner %d" % key.data_id[0]) for key in (FIRST, SECOND, THIRD)}


def _ignore(_error: object) -> None:
    """The answer is not waited for."""


async def reflink(device: Device) -> None:
    """One block, a reference to it, and a reference to that."""
    losses = device.data_losses
    device.submit_block(FIRST, seal(Kind.BLOCK, encode_meta(FIRST, OWNERS[FIRST]), DATA), _ignore)
    await device.sync_data(losses)
    for key, source in ((SECOND, FIRST), (THIRD, SECOND)):
        device.submit_reference(key, source, OWNERS[key], _ignore, _ignore)
        await device.sync_data(losses)


async def drop(device: Device, key: BlockKey) -> None:
    device.submit_drop(key.data_id, _ignore)
    await device.flush()


@pytest.mark.parametrize("order", list(permutations((FIRST, SECOND, THIRD))))
@pytest.mark.parametrize("restarted", [False, True])
def test_the_payload_stays_until_the_last_is_dropped(order: tuple[BlockKey, ...], *, restarted: bool) -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    on_device(medium, index, reflink)

    async def drop_nth(device: Device, nth: int) -> None:
        await drop(device, order[nth])
        for key in order[nth + 1 :]:
            assert bytes(await device.read_block(key)) == DATA
        for key in order[: nth + 1]:
            with pytest.raises(DamageError):
                await device.read_block(key)
        assert (await check_device(device)).problems == []
        space = sum(device.segment_usage.live.values())
        assert space > len(DATA) if nth < 2 else space == 0

    async def drop_all(device: Device) -> None:
        for nth in range(3):
            await drop_nth(device, nth)

    if restarted:
        for nth in range(3):
            on_device(medium, index, partial(drop_nth, nth=nth))
    else:
        on_device(medium, index, drop_all)


def test_a_lost_index_finds_the_payload_of_links_whose_original_was_dropped() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    on_device(medium, index, reflink)

    async def drop_two(device: Device) -> None:
        await drop(device, FIRST)
        await drop(device, SECOND)

    on_device(medium, index, drop_two)

    async def use(device: Device) -> None:
        assert not device.in_sync
        assert bytes(await device.read_block(THIRD)) == DATA
        assert (await check_device(device)).problems == []
        # The original is back, as data whose row is gone, and names its owner to whoever clears up.
        owners, _ = await device.owners(b"", 10)
        assert dict(owners) == {FIRST.data_id: OWNERS[FIRST], THIRD.data_id: OWNERS[THIRD]}
        await drop(device, FIRST)
        assert bytes(await device.read_block(THIRD)) == DATA
        await drop(device, THIRD)
        assert sum(device.segment_usage.live.values()) == 0

    on_device(medium, IndexMedium(), use)


def test_a_source_that_is_not_here_is_refused() -> None:
    async def use(device: Device) -> None:
        with pytest.raises(DamageError):
            device.submit_reference(SECOND, FIRST, OWNERS[SECOND], _ignore, _ignore)

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_a_damaged_payload_is_damage_to_all_who_share_it() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    on_device(medium, index, reflink)

    async def use(device: Device) -> None:
        at = device.blocks.find(FIRST)
        assert at is not None
        medium.flip(device.segments.path(at.location.segment), at.location.offset + at.payload_at + 5)
        for key in (FIRST, SECOND, THIRD):
            with pytest.raises(DamageError):
                await device.read_block(key)
        # One of them is written anew; the others are repaired each by itself.
        losses = device.data_losses
        device.submit_block(SECOND, seal(Kind.BLOCK, encode_meta(SECOND, OWNERS[SECOND]), DATA), _ignore)
        await device.sync_data(losses)
        assert bytes(await device.read_block(SECOND)) == DATA
        with pytest.raises(DamageError):
            await device.read_block(THIRD)

    on_device(medium, index, use)


def test_a_damaged_count_frees_nothing() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    on_device(medium, index, reflink)

    async def use(device: Device) -> None:
        await device.flush()
        for key in [key for key in index.entries if key.startswith(b"l")]:
            index.entries[key] = b"?" + index.entries[key][1:]
        await drop(device, SECOND)
        await drop(device, FIRST)
        assert bytes(await device.read_block(THIRD)) == DATA
        assert device.health.damages

    on_device(medium, index, use)


def test_a_link_is_reported_lost_where_its_source_was_being_written_anew() -> None:
    """Not where it comes before: then the payload is kept for it."""

    async def use(device: Device) -> None:
        losses = device.data_losses
        device.submit_block(FIRST, seal(Kind.BLOCK, encode_meta(FIRST, OWNERS[FIRST]), DATA), _ignore)
        await device.sync_data(losses)
        lost: list[object] = []
        device.submit_reference(SECOND, FIRST, OWNERS[SECOND], _ignore, lost.append)
        device.submit_block(FIRST, seal(Kind.BLOCK, encode_meta(FIRST, OWNERS[FIRST]), DATA), _ignore)
        await device.sync_data(losses)
        assert bytes(await device.read_block(SECOND)) == DATA
        assert not lost
        device.submit_block(FIRST, seal(Kind.BLOCK, encode_meta(FIRST, OWNERS[FIRST]), DATA), _ignore)
        device.submit_reference(THIRD, FIRST, OWNERS[THIRD], _ignore, lost.append)
        await device.sync_data(losses)
        with pytest.raises(DamageError):
            await device.read_block(THIRD)
        assert [type(error) for error in lost] == [DamageError]
        await device.flush()
        assert (await check_device(device)).problems == []

    on_device(SimMedium(Random(1)), IndexMedium(), use)


def test_a_source_whose_count_is_damaged_is_refused() -> None:
    medium, index = SimMedium(Random(1)), IndexMedium()
    on_device(medium, index, reflink)

    async def use(device: Device) -> None:
        await device.flush()
        for key in [key for key in index.entries if key.startswith(b"l")]:
            index.entries[key] = b"?" + index.entries[key][1:]
        with pytest.raises(DamageError):
            device.submit_reference(THIRD, FIRST, OWNERS[THIRD], _ignore, _ignore)

    on_device(medium, index, use)
