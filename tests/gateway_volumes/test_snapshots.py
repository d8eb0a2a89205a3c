"""Snapshots, what is made of them, and volumes that are what they were."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.rest.times import shown_us
from store.core.errors import ConflictError
from tests.gateway_volumes.cloud import Cloud


async def test_a_snapshot_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    volume = await cloud.create(size=2)
    snapshot = await cloud.snapshot(volume["id"], name="s", description="d", metadata={"k": "v"})
    assert (snapshot["name"], snapshot["size"], snapshot["status"]) == ("s", 2, "available")
    assert snapshot["os-extended-snapshot-attributes:project_id"] == "blue"
    assert snapshot["os-extended-snapshot-attributes:progress"] == "100%"
    assert await cloud.used() == {"volumes": 1, "snapshots": 1, "gigabytes": 4}
    (row,) = await cloud.store.snapshots(f"volume-{volume['id']}")
    assert row.name == f"snapshot-{snapshot['id']}"
    path = f"/snapshots/{snapshot['id']}"
    assert (await cloud.ask("PUT", path, {"snapshot": {"name": "t"}})).json["snapshot"]["name"] == "t"
    assert (await cloud.ask("PUT", path, {"snapshot": {}})).status == 400
    assert (await cloud.ask("POST", f"{path}/metadata", {"metadata": {"x": "y"}})).status == 200
    assert (await cloud.ask("GET", f"/snapshot/{snapshot['id']}/metadata/x")).json == {"meta": {"x": "y"}}
    assert (await cloud.ask("GET", path, token="member@red")).status == 404
    assert (await cloud.ask("DELETE", path, token="reader@blue")).status == 403
    assert (await cloud.ask("DELETE", path)).status == 202
    await cloud.gone(snapshot["id"], "snapshot")
    assert await cloud.used() == {"volumes": 1, "gigabytes": 2}
    assert await cloud.store.snapshots(f"volume-{volume['id']}") == []


async def test_fields_by_microversion(cloud: Cloud) -> None:
    path = f"/snapshots/{(await cloud.snapshot((await cloud.create())['id']))['id']}"
    plain = (await cloud.ask("GET", path, version="3.0")).json["snapshot"]
    newest = (await cloud.ask("GET", path)).json["snapshot"]
    assert newest.keys() - plain.keys() == {"group_snapshot_id", "user_id", "consumes_quota"}
    (short,) = (await cloud.ask("GET", "/snapshots")).json["snapshots"]
    assert plain.keys() - short.keys() == {
        "os-extended-snapshot-attributes:project_id", "os-extended-snapshot-attributes:progress",
    }  # fmt: skip


async def test_lists(cloud: Cloud) -> None:
    first, second = await cloud.create(), await cloud.create()
    ids = [
        (await cloud.snapshot(first["id"], name="a"))["id"],
        (await cloud.snapshot(second["id"], name="b", metadata={"k": "v"}))["id"],
    ]
    for query, found in (
        ("", ids[::-1]),
        ("?sort=name:asc", ids),
        ("?name=a", ids[:1]),
        (f"?volume_id={second['id']}", ids[1:]),
        ("?metadata={'k':'v'}", ids[1:]),
        ("?status=error", []),
        ("?limit=1", ids[1:]),
        (f"?marker={ids[1]}", ids[:1]),
    ):
        answer = await cloud.ask("GET", f"/snapshots/detail{query}")
        assert [one["id"] for one in answer.json["snapshots"]] == found, query
    assert (await cloud.ask("GET", "/snapshots", token="member@red")).json == {"snapshots": []}


async def test_of_a_volume_in_use(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.act(id_, "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    for version, force, status in (("3.65", None, 400), ("3.65", True, 202), ("3.66", None, 202), ("3.66", False, 400)):
        asked = {"volume_id": id_, **({} if force is None else {"force": force})}
        answer = await cloud.ask("POST", "/snapshots", {"snapshot": asked}, version=version)
        assert answer.status == status, (version, force)


async def test_a_volume_with_snapshots_is_deleted_only_with_them(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    snapshots = [(await cloud.snapshot(id_))["id"] for _ in range(2)]
    assert (await cloud.ask("DELETE", f"/volumes/{id_}")).status == 400
    assert (await cloud.ask("DELETE", f"/volumes/{id_}?cascade=True")).status == 202
    await cloud.gone(id_)
    for snapshot in snapshots:
        await cloud.gone(snapshot, "snapshot")
    assert await cloud.used() == {}


async def test_a_volume_of_a_snapshot_is_a_clone(cloud: Cloud) -> None:
    source = await cloud.create()
    await cloud.write(source["id"], b"before")
    snapshot = await cloud.snapshot(source["id"])
    await cloud.write(source["id"], b"behind")
    clone = await cloud.create(snapshot_id=snapshot["id"], size=2)
    assert (clone["size"], clone["snapshot_id"]) == (2, snapshot["id"])
    assert await cloud.read(f"volume-{clone['id']}", 6) == b"before"
    same = await cloud.ask("POST", "/volumes", {"volume": {"snapshot_id": snapshot["id"]}})
    assert same.json["volume"]["size"] == 1
    wider = await cloud.snapshot(clone["id"])
    answer = await cloud.ask("POST", "/volumes", {"volume": {"snapshot_id": wider["id"], "size": 1}})
    assert answer.status == 400
    foreign = {"volume": {"snapshot_id": snapshot["id"]}}
    assert (await cloud.ask("POST", "/volumes", foreign, "member@red")).status == 404


async def test_a_volume_of_a_volume(cloud: Cloud) -> None:
    source = await cloud.create(name="a")
    await cloud.write(source["id"], b"bytes")
    clone = await cloud.create(source_volid=source["id"])
    assert await cloud.read(f"volume-{clone['id']}", 5) == b"bytes"
    assert await cloud.store.snapshots(f"volume-{source['id']}") == []


async def test_under_another_policy_it_is_copied(cloud: Cloud) -> None:
    source = await cloud.create()
    await cloud.write(source["id"], b"bytes")
    clone = await cloud.create(source_volid=source["id"], volume_type="fast")
    assert (await cloud.store.row(f"volume-{clone['id']}")).policy == "fast"
    assert await cloud.read(f"volume-{clone['id']}", 5) == b"bytes"


async def test_revert(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    assert (await cloud.act(id_, "revert", {"snapshot_id": None})).status == 400
    older = await cloud.snapshot(id_)
    await cloud.write(id_, b"before")
    snapshot = await cloud.snapshot(id_)
    await cloud.write(id_, b"behind")
    assert (await cloud.act(id_, "revert", {"snapshot_id": older["id"]})).status == 400
    assert (await cloud.act(id_, "revert", {"snapshot_id": snapshot["id"]}, version="3.39")).status == 404
    assert (await cloud.act(id_, "revert", {"snapshot_id": snapshot["id"]})).status == 202
    assert (await cloud.settled(id_))["status"] == "available"
    assert await cloud.read(f"volume-{id_}", 6) == b"before"
    assert (await cloud.show(snapshot["id"], kind="snapshot"))["status"] == "available"
    clone = await cloud.create(snapshot_id=snapshot["id"])
    assert await cloud.read(f"volume-{clone['id']}", 6) == b"before"
    await cloud.ask("DELETE", f"/volumes/{clone['id']}")
    await cloud.gone(clone["id"])
    for one in (older, snapshot):
        await cloud.ask("DELETE", f"/snapshots/{one['id']}")
        await cloud.gone(one["id"], "snapshot")
    assert set(cloud.store.volumes) == {f"volume-{id_}"}
    assert await cloud.used() == {"volumes": 1, "gigabytes": 1}


async def test_rewind_and_clone_at_a_time(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    now = shown_us(cloud.clock.wall_us())
    past = shown_us(cloud.clock.now_us - 3600 * 1_000_000)
    for action in ("drystone-rewind", "drystone-clone-at"):
        assert (await cloud.act(id_, action, {"time": past})).status == 400
        assert (await cloud.act(id_, action, {"time": now}, "reader@blue")).status == 403
    answer = await cloud.act(id_, "drystone-clone-at", {"time": now, "name": "was"})
    assert answer.status == 202
    clone = await cloud.settled(answer.json["volume"]["id"])
    assert (clone["name"], clone["source_volid"], clone["status"]) == ("was", id_, "available")
    assert (await cloud.act(id_, "drystone-rewind", {"time": now})).status == 202
    assert (await cloud.settled(id_))["status"] == "available"
    assert set(cloud.store.volumes) == {f"volume-{id_}", f"volume-{clone['id']}"}
    assert await cloud.used() == {"volumes": 2, "gigabytes": 2}


async def test_what_an_administrator_declares(cloud: Cloud) -> None:
    id_ = (await cloud.snapshot((await cloud.create())["id"]))["id"]

    async def act(name: str, asked: dict[str, str], token: str = "admin@ops") -> int:
        return (await cloud.ask("POST", f"/snapshots/{id_}/action", {name: asked}, token)).status

    assert await act("os-reset_status", {"status": "error"}, "member@blue") == 403
    assert await act("os-reset_status", {"status": "fine"}) == 400
    assert await act("os-reset_status", {"status": "creating"}) == 202
    assert (await cloud.show(id_, kind="snapshot"))["status"] == "creating"
    assert await act("os-update_snapshot_status", {"status": "creating", "progress": "80%"}, "member@blue") == 202
    assert (await cloud.show(id_, kind="snapshot"))["os-extended-snapshot-attributes:progress"] == "80%"
    assert await act("os-update_snapshot_status", {"status": "deleting"}) == 400
    assert (await cloud.ask("DELETE", f"/snapshots/{id_}")).status == 400
    assert await act("os-force_delete", {}) == 202
    await cloud.gone(id_, "snapshot")


@pytest.mark.parametrize(
    ("asked", "status"),
    [({}, 400), ({"volume_id": "x"}, 400), ({"volume_id": None}, 404), ({"volume_id": "0" * 32}, 404)],
)
async def test_what_is_wrong(cloud: Cloud, asked: dict[str, Any], status: int) -> None:
    assert (await cloud.ask("POST", "/snapshots", {"snapshot": asked})).status == status
    assert await cloud.used() == {}


async def test_the_quota(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.service.quotas.set_limits("blue", {"snapshots": 0})
    answer = await cloud.ask("POST", "/snapshots", {"snapshot": {"volume_id": id_}})
    assert (answer.status, list(answer.json)) == (413, ["overLimit"])
    assert await cloud.used() == {"volumes": 1, "gigabytes": 1}


async def test_another_node_is_cut_off_only_where_nobody_is_attached(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (await cloud.create())["id"], (await cloud.create())["id"]
    await cloud.act(second, "os-attach", {"host_name": "h", "mountpoint": "/x"})
    snapshot = cloud.store.snapshot

    async def held(name: str, made: str, time_us: int | None = None, *, take_over: bool = False) -> None:
        if not take_over:
            raise ConflictError(f"volume {name} is open on node n9")
        await snapshot(name, made, time_us)

    monkeypatch.setattr(cloud.store, "snapshot", held)
    assert (await cloud.snapshot(first))["status"] == "available"
    failed = await cloud.snapshot(second)
    assert failed["status"] == "error"
    (message,) = (await cloud.ask("GET", "/messages")).json["messages"]
    assert (message["resource_uuid"], "n9" in message["user_message"]) == (failed["id"], False)
