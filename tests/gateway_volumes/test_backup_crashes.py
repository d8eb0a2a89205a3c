"""A process that dies while a backup is made, restored or deleted: the next one finishes it or undoes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from gateway.rest.quotas import RESERVED_S
from gateway.rest.task_records import State
from gateway.volumes.work import backup_hashes, backup_writing
from store.core.errors import NotFoundError
from store.objects.model import ListingQuery
from store.registry import Registry
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.gateway_volumes.cloud import PATIENCE_S, Cloud
from tests.gateway_volumes.test_backups import backup, volume_bytes

MIB = 1 << 20
AFTER_DEATH_US = 60 * 1_000_000


class Scene:
    """What outlives processes."""

    def __init__(self) -> None:
        self.first = Cloud()
        self.clock = self.first.clock
        self.registry: Registry = self.first.registry
        self.store, self.objects = self.first.store, self.first.objects

    def cloud(self, registry: Registry | None = None) -> Cloud:
        return Cloud(registry or self.registry, self.first)

    async def life(self, work: Callable[[Cloud], Awaitable[None]], registry: Registry | None = None) -> None:
        """Of one process, until the work is done."""
        async with trio.open_nursery() as nursery:
            cloud = self.cloud(registry)
            await nursery.start(cloud.service.run)
            await work(cloud)
            nursery.cancel_scope.cancel()

    async def names(self) -> list[str]:
        try:
            found = await self.objects.container("AUTH_blue", "volumebackups")
        except NotFoundError:
            return []
        return await self.objects.list_names(found, ListingQuery(1000))


async def idle(cloud: Cloud) -> None:
    """Once every task has ended."""
    with trio.fail_after(PATIENCE_S):
        while any(task.state is State.RUNNING for task in await cloud.service.tasks.every()):
            await trio.testing.wait_all_tasks_blocked()


async def only(cloud: Cloud, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await cloud.ask("GET", f"/{kind}/detail")).json[kind]
    return found


async def delete_all(cloud: Cloud) -> None:
    while backups := await only(cloud, "backups"):
        for one in backups:
            await cloud.ask("DELETE", f"/backups/{one['id']}")
        await idle(cloud)
    for one in await only(cloud, "volumes"):
        assert (await cloud.ask("DELETE", f"/volumes/{one['id']}")).status == 202
    await idle(cloud)


@pytest.mark.parametrize("answered", [True, False], ids=["before a write", "in a write"])
async def test_whatever_is_being_done(monkeypatch: pytest.MonkeyPatch, answered: bool) -> None:
    monkeypatch.setattr(backup_writing, "CHUNK", 512 * MIB)
    monkeypatch.setattr(backup_hashes, "COUNT_MAX", 512)
    died = set()
    for what in ("create", "restore", "restore over", "delete"):
        for writes in range(100):
            if not await _dies(what, writes, answered):
                break
            died.add(what)
        else:
            raise AssertionError("it never ends")
    assert len(died) == 4


async def _dies(what: str, writes: int, answered: bool) -> bool:
    """Whether the process died that had so many writes left; all is right afterwards."""
    scene = Scene()
    mortal = MortalRegistry(scene.registry, None, answered=answered)
    ids: dict[str, str] = {}

    async def first(cloud: Cloud) -> None:
        ids["volume"] = (await cloud.create())["id"]
        await cloud.write(ids["volume"], b"full")
        ids["full"] = (await backup(cloud, ids["volume"]))["id"]
        await cloud.write(ids["volume"], b"more")
        if what != "create":
            ids["more"] = (await backup(cloud, ids["volume"], incremental=True))["id"]
        await idle(cloud)
        mortal.writes_left = writes
        if what == "create":
            await cloud.ask("POST", "/backups", {"backup": {"volume_id": ids["volume"], "incremental": True}})
        elif what == "delete":
            await cloud.ask("DELETE", f"/backups/{ids['more']}")
        else:
            asked = {"volume_id": ids["volume"]} if what == "restore over" else {}
            await cloud.ask("POST", f"/backups/{ids['full']}/restore", {"restore": asked})
        await idle(cloud)

    died = False
    try:
        await scene.life(first, mortal)
    except BaseExceptionGroup as group:
        if group.split(DeadError)[1] is not None:
            raise
        died = True
    scene.clock.now_us += AFTER_DEATH_US

    async def second(cloud: Cloud) -> None:
        await idle(cloud)
        await _check(scene, cloud, ids)

    await scene.life(second)
    return died


async def _check(scene: Scene, cloud: Cloud, ids: dict[str, str]) -> None:
    for one in await only(cloud, "volumes"):
        assert one["status"] == "available", one
        assert await volume_bytes(cloud, one["id"], 0, 4) in (b"full", b"more")
    backups = await only(cloud, "backups")
    names = await scene.names()
    assert all(any(one["id"] in name for one in backups) for name in names), "objects of no backup"
    for one in backups:
        assert one["status"] == "available", one
        answer = await cloud.ask("POST", f"/backups/{one['id']}/restore", {"restore": {}})
        await idle(cloud)
        restored = await cloud.show(answer.json["restore"]["volume_id"])
        assert restored["status"] == "available"
        data = await volume_bytes(cloud, restored["id"], 0, 4)
        assert data == (b"full" if one["id"] == ids["full"] else b"more")
    held = [row.name for row in await cloud.store.snapshots(f"volume-{ids['volume']}")]
    assert len(held) <= 1
    await delete_all(cloud)
    assert await scene.names() == []
    assert scene.store.volumes == {}
    cloud.clock.now_us += 2 * RESERVED_S * 1_000_000
    await cloud.service.quotas.sweep(cloud.service.tasks.goes_on)
    for standing in (await cloud.service.quotas.show("blue")).values():
        assert (standing.in_use, standing.reserved) == (0, 0)
