"""Damage on one device: whatever byte is flipped and whatever is missing, what is read is right or an error, and what
was read around is repaired."""

from __future__ import annotations

from random import Random

import pytest
import trio

from store.core.errors import DrystoneError
from store.objects.model import Container, ListingQuery, ObjectHead
from store.objects.store import DeviceStore
from tests.objects.conftest import POLICIES
from tests.simulation.crash_point import CrashPoint
from tests.simulation.limits import BLOCK_BYTES, small_limits
from tests.simulation.mutations import damage_cut
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.object_checks import read_value
from tests.simulation.world import run

OBJECTS = {f"o{number}": Random(number).randbytes(size) for number, size in enumerate([0, 10, 2000, 3000, 40_000] * 3)}


async def _fill(node: SimNode) -> None:
    for container in await _containers(node.store):
        for name, data in OBJECTS.items():
            async with node.store.upload(container, name) as upload:
                await upload.write(data)
                await upload.commit(ObjectHead("t", {"mark": name}))


async def _containers(store: DeviceStore) -> list[Container]:
    await store.put_account("a", {})
    return [(await store.put_container("a", policy.name, {}, policy.index))[0] for policy in POLICIES]


async def _read_all(node: SimNode, *, errors: bool = False) -> None:
    for container in await _containers(node.store):
        for name, data in OBJECTS.items():
            try:
                assert await read_value(node.store, container, name) == (name, data)
            except DrystoneError:
                if not errors:
                    raise
        listed = await node.store.list_objects(container, ListingQuery(100))
        assert [entry.name for entry in listed] == sorted(OBJECTS)


def _made(seed: int, *, flush: bool) -> SimMedia:
    """A machine with objects of all kinds on it, closed in order or killed."""
    media = SimMedia(Random(seed), 3, POLICIES)

    async def main() -> None:
        async with open_node(media, CrashPoint()) as node:
            await _fill(node)
        if flush:
            for device in node.devices.values():
                await device.close()

    run(main, Random(seed))
    for medium in media.disks.values():
        medium.settle()
    return media


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_are_never_read(seed: int, flush: bool) -> None:
    random = Random(seed)
    with small_limits():
        media = _made(seed, flush=flush)
        victim = media.disks[random.choice(sorted(media.disks))]
        for name in victim.files(".log") + victim.files(".bulk"):
            data = victim.names[name].now
            used = len(data.rstrip(b"\0"))
            for _ in range(20):
                victim.flip(name, random.randrange(4096, max(4097, used)), 1 << random.randrange(8))

        async def main() -> None:
            async with open_node(media, CrashPoint()) as node:
                await _read_all(node)
                await node.run_daemons()
                found = sum(device.health.damages for device in node.devices.values())
                assert found > 0
                await _read_all(node)
                assert sum(device.health.damages for device in node.devices.values()) == found, "not repaired"

        run(main, random)


def test_damage_taken_for_a_torn_tail_would_be_noticed() -> None:
    with damage_cut(), pytest.raises(ExceptionGroup):  # noqa: PT012 - some seed of these
        for seed in range(12):
            test_flipped_bytes_are_never_read(seed, flush=False)


def test_an_empty_device_in_ring_hash_of_a_lost_one() -> None:
    with small_limits():
        media = _made(1, flush=True)
        media.disks[1].wipe()
        media.indexes[1].wipe()
        media.replaced.add(1)

        async def main() -> None:
            async with open_node(media, CrashPoint()) as node:
                assert not node.devices[1].in_sync
                await _read_all(node)
                await node.run_daemons()
                await _read_all(node)
                await trio.sleep(2)
                assert len(media.disks[1].files()) > 1

        run(main, Random(1))


def test_one_broken_disk_is_no_loss() -> None:
    assert BLOCK_BYTES
    with small_limits():
        media = _made(2, flush=False)

        async def main() -> None:
            async with open_node(media, CrashPoint()) as node:
                media.disks[0].broken = True
                await _read_all(node)

        run(main, Random(2))
