"""Groups of volumes, their types, and snapshots of all that is in one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway_volumes.cloud import Cloud

CONSISTENT = {"consistent_group_snapshot_enabled": "<is> True"}


async def group_type(cloud: Cloud, name: str = "t", specs: dict[str, str] | None = None, **asked: Any) -> str:
    body = {"group_type": {"name": name, "group_specs": CONSISTENT if specs is None else specs, **asked}}
    answer = await cloud.ask("POST", "/group_types", body, "admin@blue")
    assert answer.status == 202, answer.body
    return str(answer.json["group_type"]["id"])


async def group(cloud: Cloud, type_: str | None = None, **asked: Any) -> str:
    """A group for volumes of the type `standard`."""
    type_ = type_ or await group_type(cloud)
    body = {"group": {"group_type": type_, "volume_types": ["standard"], "name": "g", **asked}}
    answer = await cloud.ask("POST", "/groups", body)
    assert answer.status == 202, answer.body
    return str(answer.json["group"]["id"])


async def show(cloud: Cloud, id_: str, kind: str = "group", query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = (await cloud.ask("GET", f"/{kind}s/{id_}{query}")).json[kind]
    return found


async def group_snapshot(cloud: Cloud, id_: str, **asked: Any) -> str:
    answer = await cloud.ask("POST", "/group_snapshots", {"group_snapshot": {"group_id": id_, **asked}})
    assert answer.status == 202, answer.body
    return str(answer.json["group_snapshot"]["id"])


async def test_group_types(cloud: Cloud) -> None:
    id_ = await group_type(cloud, description="d")
    path = f"/group_types/{id_}"
    assert (await cloud.ask("GET", path, token="admin@blue")).json["group_type"] == {
        "id": id_, "name": "t", "description": "d", "is_public": True, "group_specs": CONSISTENT,
    }  # fmt: skip
    assert "group_specs" not in (await cloud.ask("GET", path)).json["group_type"]
    hidden = await group_type(cloud, "hidden", is_public=False)
    for token, query, names in (
        ("member@blue", "", {"t", "default_cgsnapshot_type"}),
        ("member@blue", "?is_public=None", {"t", "default_cgsnapshot_type"}),
        ("admin@blue", "?is_public=None", {"t", "hidden", "default_cgsnapshot_type"}),
        ("admin@blue", "?is_public=False", {"hidden"}),
    ):
        answer = await cloud.ask("GET", f"/group_types{query}", token=token)
        assert {one["name"] for one in answer.json["group_types"]} == names, (token, query)
    for method, where, body, token, status in (
        ("GET", f"/group_types/{hidden}", None, "member@blue", 404),
        ("GET", "/group_types/default", None, "member@blue", 404),
        ("POST", "/group_types", {"group_type": {"name": "t"}}, "admin@blue", 409),
        ("POST", "/group_types", {"group_type": {"name": "u"}}, "member@blue", 403),
        ("PUT", path, {"group_type": {}}, "admin@blue", 400),
        ("PUT", path, {"group_type": {"name": "hidden"}}, "admin@blue", 409),
        ("PUT", path, {"group_type": {"name": "n"}}, "member@blue", 403),
        ("PUT", path, {"group_type": {"name": "n"}}, "admin@blue", 200),
        ("POST", "/group_types", {"group_type": {"name": "t"}}, "admin@blue", 202),
        ("DELETE", path, None, "member@blue", 403),
        ("DELETE", path, None, "admin@blue", 202),
        ("DELETE", path, None, "admin@blue", 404),
    ):
        assert (await cloud.ask(method, where, body, token)).status == status, (method, where, body, token)
    assert (await cloud.ask("GET", "/group_types", version="3.10")).status == 404


async def test_specs_of_group_types(cloud: Cloud) -> None:
    path = f"/group_types/{await group_type(cloud, specs={})}/group_specs"
    for method, where, body, token, status, found in (
        ("POST", "", {"group_specs": {"a": "1", "b": "2"}}, "admin@blue", 202, {"group_specs": {"a": "1", "b": "2"}}),
        ("PUT", "/b", {"b": "3"}, "admin@blue", 200, {"b": "3"}),
        ("PUT", "/b", {"c": "3"}, "admin@blue", 400, None),
        ("GET", "/b", None, "admin@blue", 200, {"b": "3"}),
        ("GET", "/c", None, "admin@blue", 404, None),
        ("DELETE", "/a", None, "admin@blue", 202, None),
        ("DELETE", "/a", None, "admin@blue", 404, None),
        ("GET", "", None, "admin@blue", 200, {"group_specs": {"b": "3"}}),
        ("GET", "", None, "member@blue", 403, None),
        ("POST", "", {"group_specs": {"a": "1"}}, "member@blue", 403, None),
    ):
        answer = await cloud.ask(method, path + where, body, token)
        assert answer.status == status, (method, where)
        assert found is None or answer.json == found


async def test_a_group_is_made_filled_and_deleted(cloud: Cloud) -> None:
    type_ = await group_type(cloud)
    id_ = await group(cloud, type_, description="d")
    first = await cloud.create(volume_type="standard", group_id=id_)
    second = await cloud.create()
    fast = await cloud.create(volume_type="fast")
    assert first["group_id"] == id_
    shown = await show(cloud, id_, query="?list_volume=True")
    assert (shown["status"], shown["group_type"], shown["volumes"]) == ("available", type_, [first["id"]])
    assert (await cloud.service.quotas.show("blue"))["groups"].in_use == 1
    path = f"/groups/{id_}"
    for body, status in (
        ({}, 400),
        ({"name": "n", "add_volumes": second["id"]}, 202),
        ({"add_volumes": fast["id"]}, 400),
        ({"add_volumes": "none"}, 400),
        ({"remove_volumes": fast["id"]}, 400),
        ({"add_volumes": first["id"], "remove_volumes": first["id"]}, 400),
    ):
        assert (await cloud.ask("PUT", path, {"group": body})).status == status, body
    assert (await cloud.show(second["id"]))["group_id"] == id_
    other = await group(cloud, type_)
    assert (await cloud.ask("PUT", f"/groups/{other}", {"group": {"add_volumes": second["id"]}})).status == 400
    assert (await cloud.ask("PUT", path, {"group": {"remove_volumes": second["id"]}})).status == 202
    assert (await cloud.show(second["id"]))["group_id"] is None
    assert (await show(cloud, id_))["name"] == "n"
    assert (await cloud.ask("DELETE", f"/volumes/{first['id']}")).status == 400, "it is in a group"
    assert (await cloud.ask("POST", f"{path}/action", {"delete": {}})).status == 400
    assert (await cloud.ask("POST", f"{path}/action", {"delete": {"delete-volumes": True}})).status == 202
    await cloud.gone(id_, "group")
    await cloud.gone(first["id"])
    assert await cloud.used() == {"volumes": 2, "gigabytes": 2, "groups": 1}
    assert (await cloud.ask("DELETE", f"/group_types/{type_}", token="admin@blue")).status == 400
    assert (await cloud.ask("POST", f"/groups/{other}/action", {"delete": {"delete-volumes": False}})).status == 202
    await cloud.gone(other, "group")
    assert (await cloud.ask("DELETE", f"/group_types/{type_}", token="admin@blue")).status == 202


async def test_what_a_group_cannot_be_made_of(cloud: Cloud) -> None:
    type_ = await group_type(cloud)
    hidden = await group_type(cloud, "hidden", is_public=False)
    for change, status in (
        ({"group_type": "none"}, 404),
        ({"group_type": hidden}, 404),
        ({"group_type": "default_cgsnapshot_type"}, 400),
        ({"volume_types": []}, 400),
        ({"volume_types": ["none"]}, 404),
        ({"volume_types": ["standard", "standard"]}, 400),
        ({"availability_zone": "none"}, 400),
        ({"unknown": 1}, 400),
    ):
        asked = {"group_type": type_, "volume_types": ["standard"], **change}
        assert (await cloud.ask("POST", "/groups", {"group": asked})).status == status, change
    id_ = await group(cloud, type_)
    for volume, status in (
        ({"volume_type": "fast"}, 400),
        ({}, 400),
    ):
        asked = {"size": 1, "group_id": id_, **volume}
        assert (await cloud.ask("POST", "/volumes", {"volume": asked})).status == status, volume
    await cloud.service.quotas.set_limits("blue", {"groups": 1})
    asked = {"group_type": type_, "volume_types": ["standard"]}
    assert (await cloud.ask("POST", "/groups", {"group": asked})).status == 413


async def test_a_snapshot_of_a_group_is_of_one_moment(cloud: Cloud) -> None:
    id_ = await group(cloud)
    ids = [(await cloud.create(volume_type="standard", group_id=id_))["id"] for _ in range(3)]
    await cloud.act(ids[0], "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    made = await group_snapshot(cloud, id_, name="s", description="d")
    shown = await cloud.settled(made, kind="group_snapshot")
    assert (shown["status"], shown["name"], shown["group_id"]) == ("available", "s", id_)
    assert {name for name, _ in cloud.store.cuts} == {f"volume-{one}" for one in ids}
    (moment,) = {time_us for _, time_us in cloud.store.cuts}
    assert moment is not None
    snapshots = (await cloud.ask("GET", "/snapshots/detail")).json["snapshots"]
    assert {one["volume_id"] for one in snapshots} == {*ids}
    assert {(one["status"], one["name"], one["group_snapshot_id"]) for one in snapshots} == {("available", "s", made)}
    assert (await cloud.used())["snapshots"] == 3
    assert (await cloud.ask("DELETE", f"/snapshots/{snapshots[0]['id']}")).status == 400, "it is of a group's"
    assert (await cloud.ask("POST", f"/groups/{id_}/action", {"delete": {"delete-volumes": True}})).status == 400
    assert (await cloud.ask("DELETE", f"/group_snapshots/{made}")).status == 202
    await cloud.gone(made, "group_snapshot")
    assert (await cloud.ask("GET", "/snapshots")).json["snapshots"] == []
    assert "snapshots" not in await cloud.used()


@pytest.mark.parametrize("consistent", [True, False])
async def test_a_volume_without_a_past_has_no_such_moment(cloud: Cloud, consistent: bool) -> None:
    id_ = await group(cloud, await group_type(cloud, specs=CONSISTENT if consistent else {}))
    volume = (await cloud.create(volume_type="standard", group_id=id_))["id"]
    cloud.store.volumes[f"volume-{volume}"].window_us = 0
    await cloud.settled(await group_snapshot(cloud, id_), kind="group_snapshot")
    assert cloud.store.cuts == [(f"volume-{volume}", None)], "nobody uses it: it is what it was"
    await cloud.act(volume, "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    answer = await cloud.ask("POST", "/group_snapshots", {"group_snapshot": {"group_id": id_}})
    assert answer.status == (400 if consistent else 202)


async def test_groups_of_groups(cloud: Cloud) -> None:
    id_ = await group(cloud)
    empty = {"create-from-src": {"source_group_id": id_}}
    assert (await cloud.ask("POST", "/groups/action", empty)).status == 400
    ids = [(await cloud.create(volume_type="standard", group_id=id_))["id"] for _ in range(2)]
    for number, one in enumerate(ids):
        await cloud.write(one, b"before%d" % number)
    snapshot = await group_snapshot(cloud, id_)
    await cloud.settled(snapshot, kind="group_snapshot")
    for number, one in enumerate(ids):
        await cloud.write(one, b"behind%d" % number)
    for source, data in (({"source_group_id": id_}, b"behind"), ({"group_snapshot_id": snapshot}, b"before")):
        cloud.store.cuts.clear()
        answer = await cloud.ask("POST", "/groups/action", {"create-from-src": {**source, "name": "n"}})
        assert answer.status == 202, answer.body
        made = await cloud.settled(answer.json["group"]["id"], kind="group")
        assert (made["status"], made["name"]) == ("available", "n")
        assert {key: made[key] for key in source} == source
        members = (await show(cloud, made["id"], query="?list_volume=True"))["volumes"]
        assert sorted([await cloud.read(f"volume-{one}", 7) for one in members]) == [data + b"0", data + b"1"]
        assert len({time_us for _, time_us in cloud.store.cuts}) <= 1
        assert (
            await cloud.ask("POST", f"/groups/{made['id']}/action", {"delete": {"delete-volumes": True}})
        ).status == 202
        await cloud.gone(made["id"], "group")
    for wrong in ({}, {"source_group_id": id_, "group_snapshot_id": snapshot}, {"source_group_id": "x"}):
        assert (await cloud.ask("POST", "/groups/action", {"create-from-src": wrong})).status == 400, wrong
    await cloud.service.quotas.set_limits("blue", {"volumes": 3})
    answer = await cloud.ask("POST", "/groups/action", {"create-from-src": {"source_group_id": id_}})
    assert answer.status == 413
    assert await cloud.used() == {"volumes": 2, "gigabytes": 4, "snapshots": 2, "groups": 1}


async def test_reset_status(cloud: Cloud) -> None:
    id_ = await group(cloud)
    snapshot = await group_snapshot(cloud, id_)
    await cloud.settled(snapshot, kind="group_snapshot")
    for kind, one in (("group", id_), ("group_snapshot", snapshot)):
        path = f"/{kind}s/{one}/action"
        assert (await cloud.ask("POST", path, {"reset_status": {"status": "error"}})).status == 403
        for status in ("creating", "error", "available"):
            asked = {"reset_status": {"status": status}}
            assert (await cloud.ask("POST", path, asked, "admin@blue")).status == 202
            assert (await show(cloud, one, kind))["status"] == status
        assert (await cloud.ask("POST", path, {"reset_status": {"status": "odd"}}, "admin@blue")).status == 400
    assert (await cloud.ask("POST", f"/groups/{id_}/action", {"enable_replication": {}})).status == 400


async def test_who_may_and_since_when(cloud: Cloud) -> None:
    id_ = await group(cloud)
    snapshot = await group_snapshot(cloud, id_)
    await cloud.settled(snapshot, kind="group_snapshot")
    body = {"group": {"name": "n"}}
    taken = {"group_snapshot": {"group_id": id_}}
    for method, path, asked, token, version, status in (
        ("GET", f"/groups/{id_}", None, "reader@blue", "3.13", 200),
        ("GET", f"/groups/{id_}", None, "reader@blue", "3.12", 404),
        ("GET", f"/groups/{id_}", None, "member@red", "3.70", 404),
        ("PUT", f"/groups/{id_}", body, "reader@blue", "3.70", 403),
        ("PUT", f"/groups/{id_}", body, "member@red", "3.70", 404),
        ("POST", f"/groups/{id_}/action", {"delete": {}}, "reader@blue", "3.70", 403),
        ("GET", f"/group_snapshots/{snapshot}", None, "reader@blue", "3.14", 200),
        ("GET", f"/group_snapshots/{snapshot}", None, "reader@blue", "3.13", 404),
        ("GET", f"/group_snapshots/{snapshot}", None, "member@red", "3.70", 404),
        ("POST", "/group_snapshots", taken, "reader@blue", "3.70", 403),
        ("POST", "/group_snapshots", taken, "member@red", "3.70", 404),
        ("DELETE", f"/group_snapshots/{snapshot}", None, "reader@blue", "3.70", 403),
    ):
        assert (await cloud.ask(method, path, asked, token, version)).status == status, (method, path, token, version)
    for kind in ("groups", "group_snapshots"):
        assert len((await cloud.ask("GET", f"/{kind}")).json[kind]) == 1
        (detail,) = (await cloud.ask("GET", f"/{kind}/detail?name=~", version="3.30")).json[kind] or [None]
        assert detail is None
        assert (await cloud.ask("GET", f"/{kind}/detail", token="member@red")).json[kind] == []
        (one,) = (await cloud.ask("GET", f"/{kind}/detail?all_tenants=1", token="admin@red")).json[kind]
        assert one["project_id"] == "blue"
        assert "project_id" not in (await cloud.ask("GET", f"/{kind}/detail")).json[kind][0]
