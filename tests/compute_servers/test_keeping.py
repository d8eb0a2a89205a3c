"""Servers that were deleted can be restored for a while, and are deleted then; what is told of servers goes at last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from compute_plugin.agent.keeping import LOOK_S, Keeper
from compute_plugin.lifecycle.forgetting import ACTIONS_MOST, DAY_US, MIGRATIONS_MOST, forget
from compute_plugin.records.action import Migration, ServerAction
from compute_plugin.records.console import ConsoleToken
from compute_plugin.records.records import Records
from compute_plugin.settings import Settings
from tests.compute_servers.cloud import Cloud

ADMIN = "admin@blue"
RECLAIM_S = 3600


@pytest.fixture
async def keeping(tmp_path: Path, autojump_clock: MockClock) -> AsyncIterator[Cloud]:
    """A cloud that keeps what is deleted for an hour."""
    async with trio.open_nursery() as nursery:
        cloud = Cloud(tmp_path, settings=Settings(reclaim_s=RECLAIM_S, limits={"instances": 2}))
        await nursery.start(cloud.run)
        await cloud.flavors()
        await cloud.host()
        yield cloud
        nursery.cancel_scope.cancel()


async def deleted(cloud: Cloud) -> str:
    id_ = await cloud.server(await cloud.image(), networks=[{"uuid": await cloud.network()}])
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "SOFT_DELETED")
    return id_


async def test_what_was_deleted_is_restored(keeping: Cloud) -> None:
    id_ = await deleted(keeping)
    assert not keeping.hypervisors["one"].running
    assert (await keeping.done("GET", f"/servers/{id_}"))["server"]["status"] == "SOFT_DELETED"
    assert (await keeping.done("GET", "/servers"))["servers"] == []
    rows = (await keeping.done("GET", "/servers?status=SOFT_DELETED&deleted=1", token=ADMIN))["servers"]
    assert [row["id"] for row in rows] == [id_]
    for action in ("os-start", "pause", "os-stop", "shelve"):
        await keeping.refused(409, "POST", f"/servers/{id_}/action", {action: None})
    await keeping.act(id_, "restore")
    shown = await keeping.settled(id_, "ACTIVE")
    assert shown["OS-SRV-USG:terminated_at"] is None
    assert id_ in keeping.hypervisors["one"].running
    await keeping.refused(409, "POST", f"/servers/{id_}/action", {"restore": None})


async def test_what_is_restored_counts_again(keeping: Cloud) -> None:
    """What is deleted counts no more, so others may have taken its room."""
    id_ = await deleted(keeping)
    image = await keeping.image()
    for _ in range(2):
        await keeping.server(image)
    said = await keeping.refused(403, "POST", f"/servers/{id_}/action", {"restore": None})
    assert said.startswith("Quota exceeded for instances")
    assert (await keeping.show(id_))["status"] == "SOFT_DELETED"


async def test_it_is_deleted_for_good_when_it_was_kept_for_long_enough(
    keeping: Cloud, autojump_clock: MockClock
) -> None:
    id_ = await deleted(keeping)
    await trio.sleep(3 * LOOK_S)
    assert (await keeping.show(id_))["status"] == "SOFT_DELETED"
    keeping.clock.advance(RECLAIM_S + 1)
    await keeping.host("one")  # the old agent's lease has ended
    await trio.sleep(3 * LOOK_S)
    await keeping.settled(id_, "gone")
    assert not [name for name in keeping.store.volumes if name.startswith("server-")]
    assert not keeping.networks.store.records.ports.by("device", id_)


async def test_it_is_deleted_for_good_when_somebody_says_so(keeping: Cloud) -> None:
    id_ = await deleted(keeping)
    await keeping.act(id_, "forceDelete")
    await keeping.settled(id_, "gone")


async def test_a_deletion_again_changes_nothing(keeping: Cloud) -> None:
    id_ = await deleted(keeping)
    await keeping.done("DELETE", f"/servers/{id_}")
    await keeping.settled(id_, "SOFT_DELETED")
    await keeping.act(id_, "restore")
    await keeping.settled(id_, "ACTIVE")


def action(server: str, number: int, at_us: int) -> ServerAction:
    return ServerAction(
        id=f"{server}/req-{number:04}", server_id=server, request_id=f"req-{number:04}", action="reboot",
        project_id="p", user_id="u", started_us=at_us, updated_us=at_us,
    )  # fmt: skip


def migration(server: str, number: int, at_us: int) -> Migration:
    return Migration(
        id=f"{server}-{number}", number=number, server_id=server, project_id="p", user_id="u", type="resize",
        status="confirmed", source="one", target="two", old_flavor_id="1", new_flavor_id="2", created_us=at_us,
        updated_us=at_us,
    )  # fmt: skip


def test_what_is_old_of_servers_that_are_gone_goes() -> None:
    records = Records()
    for day in (1, 20):
        records.actions.put(action("young", day, day * DAY_US))
        records.actions.put(action("old", day, (day - 19) * DAY_US))
        records.migrations.put(migration("young", day, 20 * DAY_US))
        records.migrations.put(migration("old", day, day * DAY_US))
    records.console_tokens.put(ConsoleToken(id="a", server_id="s", type="novnc", until_us=40 * DAY_US))
    records.console_tokens.put(ConsoleToken(id="b", server_id="s", type="novnc", until_us=32 * DAY_US))
    assert forget(records, 31 * DAY_US, 100) == 3
    assert {one.server_id for one in records.actions} == {"young"}
    assert [one.id for one in records.migrations if one.server_id == "old"] == ["old-20"]
    assert len(list(records.console_tokens)) == 2
    assert forget(records, 32 * DAY_US, 100) == 1
    assert [one.id for one in records.console_tokens] == ["a"]
    assert forget(records, 60 * DAY_US, 2) == 2
    assert forget(records, 60 * DAY_US, 100) > 0
    assert not list(records.actions) + list(records.migrations) + list(records.console_tokens)


async def test_of_a_server_that_is_there_the_newest_stay(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    begun = cloud.clock.wall_us()

    def step(records: Records, first: int) -> None:
        for number in range(first, first + 50):
            records.actions.put(action(id_, number, begun + number))
            records.migrations.put(migration(id_, number, begun + number))

    for first in range(0, ACTIONS_MOST + 100, 50):
        await cloud.compute.store.change(lambda records, first=first: step(records, first))  # type: ignore[misc]
    await Keeper(cloud.hosts["one"].hands).forget()
    records = cloud.compute.store.records
    kept = sorted(one.started_us for one in records.actions.by("server", id_))
    assert len(kept) == ACTIONS_MOST
    assert kept[-1] == begun + ACTIONS_MOST + 99
    assert len(records.migrations.by("server", id_)) == MIGRATIONS_MOST


async def test_actions_of_a_server_that_is_gone_are_told_for_a_month(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")
    rows = (await cloud.done("GET", f"/servers/{id_}/os-instance-actions"))["instanceActions"]
    assert [row["action"] for row in rows] == ["delete", "create"]
    keeper = Keeper(cloud.hosts["one"].hands)
    cloud.clock.advance(29 * 24 * 3600)
    await keeper.forget()
    assert len(cloud.compute.store.records.actions.by("server", id_)) == 2
    cloud.clock.advance(2 * 24 * 3600)
    await keeper.forget()
    await cloud.refused(404, "GET", f"/servers/{id_}/os-instance-actions")
