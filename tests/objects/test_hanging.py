"""A device that hangs delays nobody who can do without it; where too few are left, it is said in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import RetryableError
from store.device.port import DURABLE_SECONDS, SLOW_SECONDS, DevicePort
from store.engine.device import Device
from store.objects.hedge import HEDGE_SECONDS, READ_SECONDS
from store.objects.model import Container, ListingQuery, ObjectHead, Policy
from store.objects.quorum_write import WRITE_SECONDS
from store.objects.store import DeviceStore
from tests.device.delayed import DelayedDevice, never
from tests.replicator.clusters import key_of, media_of, opened, replicas_of, write
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode

pytestmark = pytest.mark.at_once("devices hang here in the middle")
CODE = (Policy(0, "code", default=True, k=2, m=2, codec="zfec"),)
HEAD = ObjectHead("t")
LARGE = Random(1).randbytes(9 * BLOCK_BYTES + 1)


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, node: SimNode, *numbers: int) -> Iterator[None]:
    """From now on these devices answer nothing; afterwards they are as new connections to them would be."""
    ports = node.store.devices

    def port(device: Device) -> DevicePort:
        return DelayedDevice(device, never) if device.id in numbers else device

    with monkeypatch.context() as patch:
        patch.setattr(ports, "_port", port)
        ports._ports.clear()  # type: ignore[attr-defined]
        yield
    ports._ports.clear()  # type: ignore[attr-defined]


async def took(work: Callable[[], Awaitable[object]]) -> float:
    began = trio.current_time()
    await work()
    return trio.current_time() - began


async def read(store: DeviceStore, container: Container, name: str) -> bytes:
    async with store.open(container, name) as found:
        return b"".join([bytes(piece) async for piece in found.read()])


async def copy(store: DeviceStore, container: Container, source: str, name: str) -> None:
    async with store.open(container, source) as found, store.upload(container, name) as upload:
        assert found.data is not None
        if not await upload.reflink(found.data):
            async for piece in found.read():
                await upload.write(piece)
        await upload.commit(HEAD)


@pytest.mark.parametrize("hangs", range(4))
@pytest.mark.parametrize("policies", [media_of(4).policies, CODE], ids=["copies", "code"])
async def test_a_device_that_hangs_delays_nobody_who_can_do_without_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, hangs: int, policies: tuple[Policy, ...]
) -> None:
    async with opened(media_of(4, policies)) as (node, container):
        store = node.store
        await write(store, container, "small", b"small")
        await write(store, container, "large", LARGE)
        await trio.sleep(5)
        with hanging(monkeypatch, node, hangs):
            blocks = len(LARGE) / BLOCK_BYTES
            assert await took(lambda: read(store, container, "small")) < 4 * HEDGE_SECONDS
            assert await read(store, container, "large") == LARGE
            assert await took(lambda: read(store, container, "large")) < (blocks + 4) * HEDGE_SECONDS
            assert await took(lambda: store.list_objects(container, ListingQuery(limit=10))) < 10 * HEDGE_SECONDS
            assert await took(lambda: store.container_usage(container)) < 10 * HEDGE_SECONDS
            assert await took(lambda: store.put(container, "new", b"new", HEAD)) < 1
            assert await took(lambda: copy(store, container, "large", "copy")) < SLOW_SECONDS + 5
            assert await took(lambda: write(store, container, "next", LARGE)) < SLOW_SECONDS + 5
            for name, data in (("new", b"new"), ("next", LARGE), ("copy", LARGE)):
                assert await read(store, container, name) == data
            assert await took(lambda: store.delete(container, "large")) < 10 * HEDGE_SECONDS
        await trio.sleep(120)
        await node.run_daemons()
        for name, data in (("new", b"new"), ("next", LARGE), ("copy", LARGE)):
            assert await read(store, container, name) == data


async def test_where_two_of_three_hang_a_writer_is_told_in_time_and_what_is_left_is_decided_later(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        store = node.store
        await trio.sleep(5)  # all replicas have the container's row, which is not looked at again once it is known
        await store.put(container, "o", b"old", HEAD)
        replicas = replicas_of(node, container, "o")
        with hanging(monkeypatch, node, *replicas[1:]):
            began = trio.current_time()
            with pytest.raises(RetryableError):
                await store.put(container, "o", b"new", HEAD)
            assert trio.current_time() - began == pytest.approx(WRITE_SECONDS)
            with pytest.raises(RetryableError):
                await store.put(container, "p", b"new", HEAD)
            assert trio.current_time() - began == pytest.approx(WRITE_SECONDS), "it is known that they hang"
            with pytest.raises(RetryableError):
                await store.head(container, "o")
            assert trio.current_time() - began < WRITE_SECONDS + READ_SECONDS + 1
            with pytest.raises(RetryableError):
                await write(store, container, "large", LARGE)
            assert trio.current_time() - began < WRITE_SECONDS + READ_SECONDS + DURABLE_SECONDS + 1
        await trio.sleep(10)
        packed = key_of(node, container, "o")[1]
        assert len({await node.devices[replica].find_stamp(packed) for replica in replicas}) == 1
        assert await read(store, container, "o") == b"new"


async def test_data_for_a_device_that_hangs_come_to_it_when_it_does_not(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, container):
        with hanging(monkeypatch, node, 1):
            await write(node.store, container, "o", LARGE)
        await trio.sleep(60)
        row = await node.devices[1].find_row(key_of(node, container, "o")[1])
        assert row is not None
        assert len(await node.devices[1].has_blocks(row.data_id)) == 10
