"""What tests of daemons have in common: a small store, and devices that go away and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio

from store.core.errors import DeviceError, DrystoneError, NotFoundError
from store.core.stamp import StampSource
from store.device.port import FindReply
from store.device.row import RowKey, index_key
from store.engine.device import Device
from store.objects.model import Container, ObjectHead, Policy
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.ring import ROWS
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import small_limits
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.worker import SimWorker
from tests.simulation.world import SeededRandom, SimClock

COPIES = (Policy(0, "copies", default=True),)
HEAD = ObjectHead("t", {"mark": "m"})


def media_of(count: int, policies: Sequence[Policy] = COPIES, seed: int = 1) -> SimMedia:
    return SimMedia(Random(seed), count, policies)


@asynccontextmanager
async def opened(media: SimMedia) -> AsyncIterator[tuple[SimNode, Container]]:
    """One life of a machine, and its container, made in the first."""
    with small_limits():
        async with open_node(media, CrashPoint()) as node:
            await node.store.put_account("a", {})
            yield node, (await node.store.put_container("a", "c", {}))[0]


async def close(node: SimNode) -> None:
    """Everything durable and in the index."""
    for device in node.devices.values():
        await device.close()


def slow_at(
    monkeypatch: pytest.MonkeyPatch,
    chosen: Callable[[Device], bool],
    packed: bytes,
    meanwhile: Callable[[], Awaitable[object]],
) -> list[int]:
    """The first look at a row on a chosen device takes so long that something else is done from its beginning to its
    end. The devices that were slow."""
    calls: list[int] = []

    def is_slow(device: Device, key: bytes) -> bool:
        slow = chosen(device) and key == packed and not calls
        if slow:
            calls.append(device.id)
        return slow

    def wrapped(name: str) -> None:
        look = getattr(Device, name)

        async def slowly(self: Device, key: bytes, **more: bool) -> object:
            if is_slow(self, key):
                await meanwhile()
            return await look(self, key, **more)

        monkeypatch.setattr(Device, name, slowly)

    find = Device.submit_find

    def submitted(self: Device, key: bytes, epoch: int, reply: FindReply) -> None:
        async def later() -> None:
            await meanwhile()
            try:
                find(self, key, epoch, reply)
            except DrystoneError as error:
                reply(self.id, None, error)

        if is_slow(self, key):
            trio.lowlevel.spawn_system_task(later)
        else:
            find(self, key, epoch, reply)

    wrapped("find_row")
    wrapped("find_stamp")
    monkeypatch.setattr(Device, "submit_find", submitted)
    return calls


def put_out(node: SimNode, number: int) -> None:
    node.devices[number]._fail(DeviceError("it is away"))


def another(node: SimNode, writer: int, *, skew_us: int = 0, without: Collection[int] = ()) -> DeviceStore:
    """The store of a process that is not alone, over the same devices but those that it does not reach."""
    devices = {number: device for number, device in node.store.devices.items() if number not in without}
    clock = SimClock(skew_us)
    rows = Rows(node.store.rows.ring, devices, StampSource(clock, writer), alone=False)
    workers = [SimWorker(node.turns), SimWorker(node.turns)]
    return DeviceStore(rows, devices, node.store.policies, clock, SeededRandom(Random(writer)), workers)


async def write(store: DeviceStore, container: Container, name: str, data: bytes, head: ObjectHead = HEAD) -> None:
    async with store.upload(container, name) as upload:
        await upload.write(data)
        await upload.commit(head)


async def exists(store: DeviceStore, container: Container, name: str) -> bool:
    try:
        await store.head(container, name)
    except NotFoundError:
        return False
    return True


def key_of(node: SimNode, container: Container, name: str) -> tuple[RowKey, bytes]:
    key = node.store.rows.key(container.id, container.shards, name.encode())
    return key, index_key(key)


def replicas_of(node: SimNode, container: Container, name: str) -> tuple[int, ...]:
    return node.store.rows.ring.replicas_all(ROWS, key_of(node, container, name)[0].ring_hash)


async def stamps_of(node: SimNode, container: Container, name: str) -> list[bytes | None]:
    """At each of its replicas."""
    packed = key_of(node, container, name)[1]
    return [await node.devices[replica].find_stamp(packed) for replica in replicas_of(node, container, name)]
