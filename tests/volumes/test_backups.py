"""Backups of volumes that are stored, over simulated devices."""

from __future__ import annotations

from typing import cast
from unittest import mock

import trio
from trio.testing import MockClock

from gateway.volumes.work import backup_writing
from tests.blocks.conftest import media, node_of
from tests.gateway_volumes.cloud import Cloud
from tests.gateway_volumes.test_backups import backup, contents, restored, volume_bytes, write
from tests.twins.volumes import MemoryVolumes
from tests.volumes.test_volumes import served

MIB = 1 << 20
POLICY = "copies"


async def test_incremental_backups_of_a_volume_of_the_store(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, trio.open_nursery() as nursery:
        with mock.patch.object(backup_writing, "CHUNK", 4 * MIB):
            cloud = Cloud(store=cast(MemoryVolumes, volumes), policies=(POLICY,))
            await nursery.start(cloud.service.run)
            volume = (await cloud.create())["id"]
            for at in range(0, 24 * MIB, 4 * MIB):
                await write(cloud, volume, at, bytes([at // MIB + 1]) * MIB)
            full = await backup(cloud, volume)
            assert await contents(cloud, full["id"]) == [(at, MIB) for at in range(0, 24 * MIB, 4 * MIB)]
            await write(cloud, volume, 9 * MIB, b"new")
            async with volumes.open(f"volume-{volume}") as disk:
                await disk.discard(12 * MIB, MIB)
            second = await backup(cloud, volume, incremental=True)
            assert await contents(cloud, second["id"]) == [(9 * MIB, 32 * 1024)]
            assert [row.name for row in await volumes.snapshots(f"volume-{volume}")] == [f"backup-{second['id']}"]
            new = await restored(cloud, second["id"])
            assert new["status"] == "available"
            assert await volume_bytes(cloud, new["id"], 9 * MIB, 3) == b"new"
            assert await volume_bytes(cloud, new["id"], 12 * MIB, 3) == bytes(3)
            assert await volume_bytes(cloud, new["id"], 16 * MIB, 3) == bytes([17]) * 3
            nursery.cancel_scope.cancel()
