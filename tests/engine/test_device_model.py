"""A device is a dictionary of rows and blocks, through restarts of every kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from store.device.block import BlockKey, encode_meta
from store.device.record import Kind, seal
from store.device.row import Flag, RowKey, decode_value, index_key
from store.engine.check import check_device
from store.engine.device import Device
from store.engine.options import Options
from tests.engine.devices import TABLE, on_device, row, write
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium

NAMES = [b"a", b"b", b"c", b"n" * 401, b"n" * 402]
OPTIONS = Options(64 * 1024, 0, spares=1)


@dataclass
class _Model:
    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    """None is a tombstone."""
    blocks: dict[int, bytes] = field(default_factory=dict)
    written: int = 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from([0, 10, 3000, 20_000])),
        st.tuples(st.just("put"), st.sampled_from(NAMES), st.sampled_from([0, 10, 3000, 20_000])),
        st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("forget"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("block"), st.just(b""), st.integers(0, 3)),
        st.tuples(st.just("link"), st.just(b""), st.integers(0, 15)),
        st.tuples(st.just("drop"), st.just(b""), st.integers(0, 3)),
        st.tuples(st.sampled_from(["flush", "compact"]), st.just(b""), st.just(0)),
    ),
    max_size=25,
)
ends = st.sampled_from(["close", "kill", "power"])


def _data_id(number: int) -> bytes:
    return number.to_bytes(16)


async def _take(device: Device, model: _Model, what: str, name: bytes, number: int) -> None:
    model.written += 1
    if what == "put":
        model.rows[name] = Random(model.written).randbytes(number)
        assert await write(device, row(name, model.written, model.rows[name] or b"")) == [None]
    elif what == "delete":
        model.rows[name] = None
        assert await write(device, row(name, model.written, flags=Flag.TOMBSTONE)) == [None]
    elif what == "forget" and name in model.rows and model.rows[name] is None:
        packed = index_key(row(name, 1).key)
        found = await device.find_row(packed)
        assert found is not None
        device.forget_row(packed, found.stamp)
        await device.flush()
        del model.rows[name]
    elif what == "block":
        data = model.blocks[number] = Random(model.written).randbytes(5000)
        key = BlockKey(_data_id(number), 0, 0)
        losses = device.data_losses
        device.submit_block(key, seal(Kind.BLOCK, encode_meta(key, RowKey(1, TABLE, 0, b"a")), data), _ignore)
        await device.sync_data(losses)
    elif what == "link" and (number >> 2) in model.blocks:
        model.blocks[number & 3] = model.blocks[number >> 2]
        key, source = BlockKey(_data_id(number & 3), 0, 0), BlockKey(_data_id(number >> 2), 0, 0)
        losses = device.data_losses
        device.submit_reference(key, source, RowKey(1, TABLE, 0, b"b"), _ignore, _ignore)
        await device.sync_data(losses)
    elif what == "drop":
        model.blocks.pop(number, None)
        device.submit_drop(_data_id(number), _ignore)
        await device.flush()
    elif what == "flush":
        await device.flush()
    elif what == "compact":
        await device.compact(0.9)


def _ignore(_error: object) -> None:
    """The answer is not waited for."""


async def _compare(device: Device, model: _Model) -> None:
    found = [decode_value(*e) for e in device.row_table.shard_entries(1, TABLE, 0, b"", None, 100, reverse=False)]
    assert [(each.name, each.live) for each in found] == [
        (name, model.rows[name] is not None) for name in sorted(model.rows)
    ]
    for each in found:
        whole = await device.load_row(index_key(row(each.name, 1).key), each, payload=True)
        assert bytes(whole.payload) == (model.rows[each.name] or b"")
    live = [data for data in model.rows.values() if data is not None]
    assert device.row_table.usage(1, TABLE, 0) == ({0: (len(live), sum(map(len, live)))} if live else {})
    for number in range(4):
        expected = [(0, 0)] if number in model.blocks else []
        assert await device.has_blocks(_data_id(number)) == expected
        if expected:
            key = BlockKey(_data_id(number), 0, 0)
            assert bytes(await device.read_block(key)) == model.blocks[number]
            assert bytes(await device.read_block(key, 100, 200)) == model.blocks[number][100:200]
    assert (await check_device(device)).problems == []
    assert device.in_sync


@settings(max_examples=150)
@given(st.lists(st.tuples(steps, ends), min_size=1, max_size=4))
def test_a_device_is_a_dictionary(lives: list[tuple[list[tuple[str, bytes, int]], str]]) -> None:
    medium, index, model = SimMedium(Random(1)), IndexMedium(), _Model()
    for life, end in [*lives, ([], "close")]:

        async def live(device: Device, life: list[tuple[str, bytes, int]] = life, end: str = end) -> None:
            await _compare(device, model)
            for what, name, number in life:
                await _take(device, model, what, name, number)
            await _compare(device, model)
            if end == "close":
                await device.close()

        on_device(medium, index, live, OPTIONS)
        if end == "power":
            medium.lose_power()
