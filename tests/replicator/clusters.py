"""What tests of daemons have in common: a small store, and devices that go away and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

from store.core.errors import DeviceError, NotFoundError
from store.engine.row import RowKey, index_key
from store.objects.model import Container, ObjectHead, Policy
from store.objects.store import DeviceStore
from store.ring import ROWS
from tests.simulation.house import House, Machine, open_house
from tests.simulation.limits import small_limits
from tests.simulation.supply import Supply

COPIES = (Policy(0, "copies", default=True),)
HEAD = ObjectHead("t", {"mark": "m"})


def machine_of(count: int, policies: Sequence[Policy] = COPIES, seed: int = 1) -> Machine:
    return Machine(Random(seed), count, policies)


@asynccontextmanager
async def opened(machine: Machine) -> AsyncIterator[tuple[House, Container]]:
    """One life of a machine, and its container, made in the first."""
    with small_limits():
        async with open_house(machine, Supply()) as house:
            await house.store.put_account("a", {})
            yield house, (await house.store.put_container("a", "c", {}))[0]


async def close(house: House) -> None:
    """Everything durable and in the index."""
    for device in house.devices.values():
        await device.close()


def put_out(house: House, number: int) -> None:
    house.devices[number]._fail(DeviceError("it is away"))


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


def key_of(house: House, container: Container, name: str) -> tuple[RowKey, bytes]:
    key = house.store.rows.key(container.id, container.shards, name.encode())
    return key, index_key(key)


def homes_of(house: House, container: Container, name: str) -> tuple[int, ...]:
    return house.store.rows.ring.homes_all(ROWS, key_of(house, container, name)[0].place)


async def stamps_of(house: House, container: Container, name: str) -> list[bytes | None]:
    """At each of its replicas."""
    packed = key_of(house, container, name)[1]
    return [await house.devices[home].find_stamp(packed) for home in homes_of(house, container, name)]
