"""A process that dies while something is done with a group: the next one finishes it or undoes it."""

from __future__ import annotations

import pytest

from gateway.rest.quotas import RESERVED_S
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.gateway_volumes.cloud import Cloud
from tests.gateway_volumes.test_backup_crashes import AFTER_DEATH_US, Scene, idle, only
from tests.gateway_volumes.test_groups import group, group_snapshot

DELETE = {"delete": {"delete-volumes": True}}


@pytest.mark.parametrize("answered", [True, False], ids=["before a write", "in a write"])
@pytest.mark.parametrize("what", ["snapshot", "delete snapshot", "group of snapshot", "group of group", "delete"])
async def test_whatever_is_being_done(what: str, answered: bool) -> None:
    for writes in range(100):
        if not await _dies(what, writes, answered):
            assert writes > 2
            return
    raise AssertionError("it never ends")


async def _dies(what: str, writes: int, answered: bool) -> bool:
    scene = Scene()
    mortal = MortalRegistry(scene.registry, None, answered=answered)

    async def first(cloud: Cloud) -> None:
        id_ = await group(cloud)
        for _ in range(2):
            await cloud.create(volume_type="standard", group_id=id_)
        snapshot = await group_snapshot(cloud, id_) if what in ("delete snapshot", "group of snapshot") else ""
        await idle(cloud)
        mortal.writes_left = writes
        method, path, body = {
            "snapshot": ("POST", "/group_snapshots", {"group_snapshot": {"group_id": id_}}),
            "delete snapshot": ("DELETE", f"/group_snapshots/{snapshot}", None),
            "group of snapshot": ("POST", "/groups/action", {"create-from-src": {"group_snapshot_id": snapshot}}),
            "group of group": ("POST", "/groups/action", {"create-from-src": {"source_group_id": id_}}),
            "delete": ("POST", f"/groups/{id_}/action", DELETE),
        }[what]
        assert (await cloud.ask(method, path, body)).status == 202
        await idle(cloud)

    died = False
    try:
        await scene.life(first, mortal)
    except BaseExceptionGroup as error:
        if error.split(DeadError)[1] is not None:
            raise
        died = True
    scene.clock.now_us += AFTER_DEATH_US
    await scene.life(_check)
    assert scene.store.volumes == {}
    return died


async def _check(cloud: Cloud) -> None:
    await idle(cloud)
    for kind in ("groups", "group_snapshots", "volumes", "snapshots"):
        assert {one["status"] for one in await only(cloud, kind)} <= {"available"}, kind
    members = [one["group_snapshot_id"] for one in await only(cloud, "snapshots")]
    for one in await only(cloud, "group_snapshots"):
        assert members.count(one["id"]) == 2
        assert (await cloud.ask("DELETE", f"/group_snapshots/{one['id']}")).status == 202
    await idle(cloud)
    for one in await only(cloud, "groups"):
        assert (await cloud.ask("POST", f"/groups/{one['id']}/action", DELETE)).status == 202
    await idle(cloud)
    for kind in ("groups", "group_snapshots", "volumes", "snapshots"):
        assert await only(cloud, kind) == []
    cloud.clock.now_us += 2 * RESERVED_S * 1_000_000
    await cloud.service.quotas.sweep(cloud.service.tasks.goes_on)
    for standing in (await cloud.service.quotas.show("blue")).values():
        assert (standing.in_use, standing.reserved) == (0, 0)
