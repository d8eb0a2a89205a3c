"""Volumes are made, listed, shown, changed and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway_volumes.cloud import Cloud

GIB = 1024**3
MISSING = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


async def test_a_volume_is_made_shown_and_deleted(cloud: Cloud) -> None:
    volume = await cloud.create(name="web", size="2", metadata={"k": "v"})
    assert (volume["name"], volume["size"], volume["status"]) == ("web", 2, "available")
    assert volume["metadata"] == {"k": "v"}
    assert volume["volume_type"] == "standard"
    row = await cloud.store.row(f"volume-{volume['id']}")
    assert (row.size, row.policy, row.window_us) == (2 * GIB, "standard", 900_000_000)
    assert await cloud.used() == {"volumes": 1, "gigabytes": 2}
    assert (await cloud.ask("DELETE", f"/volumes/{volume['id']}")).status == 202
    await cloud.gone(volume["id"])
    assert await cloud.used() == {}
    assert not cloud.store.volumes


async def test_fields_by_microversion(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    plain = (await cloud.ask("GET", f"/volumes/{id_}", version="3.0")).json["volume"]
    newest = (await cloud.ask("GET", f"/volumes/{id_}", version="3.70")).json["volume"]
    admin = (await cloud.ask("GET", f"/volumes/{id_}", version="3.70", token="admin@blue")).json["volume"]
    assert newest.keys() - plain.keys() == {
        "group_id", "shared_targets", "service_uuid", "volume_type_id", "consumes_quota",
    }  # fmt: skip
    assert admin.keys() - newest.keys() == {
        "migration_status", "os-vol-host-attr:host", "os-vol-mig-status-attr:migstat",
        "os-vol-mig-status-attr:name_id", "provider_id", "cluster_name",
    }  # fmt: skip
    assert admin["os-vol-host-attr:host"] == "drystone@standard#standard"


async def test_links_have_the_project_where_the_request_has_it(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    (one,) = (await cloud.ask("GET", "/blue/volumes")).json["volumes"]
    assert one == {
        "id": id_,
        "name": None,
        "links": [
            {"rel": "self", "href": f"http://cloud:8080/volume/v3/blue/volumes/{id_}"},
            {"rel": "bookmark", "href": f"http://cloud:8080/volume/blue/volumes/{id_}"},
        ],
    }
    (bare,) = (await cloud.ask("GET", "/volumes")).json["volumes"]
    assert bare["links"][0]["href"] == f"http://cloud:8080/volume/v3/volumes/{id_}"
    answer = await cloud.ask("GET", "/red/volumes", token="admin@blue")
    assert (answer.status, list(answer.json)) == (400, ["badRequest"])


async def test_pages_order_and_counts(cloud: Cloud) -> None:
    ids = [(await cloud.create(name=f"v{number}"))["id"] for number in range(3)]
    first = (await cloud.ask("GET", "/volumes?limit=2&with_count=True")).json
    assert [one["id"] for one in first["volumes"]] == [ids[2], ids[1]]
    assert first["count"] == 3
    (link,) = first["volumes_links"]
    rest = (await cloud.ask("GET", link["href"].removeprefix("http://cloud:8080/volume/v3"))).json
    assert [one["id"] for one in rest["volumes"]] == [ids[0]]
    assert "volumes_links" not in rest
    by_name = (await cloud.ask("GET", "/volumes?sort=name:asc&offset=1")).json["volumes"]
    assert [one["name"] for one in by_name] == ["v1", "v2"]
    for wrong in ("limit=-1", "limit=x", "offset=-1", "sort=colour", "sort=name:up", "sort=name&sort_key=id"):
        assert (await cloud.ask("GET", f"/volumes?{wrong}")).status == 400, wrong


async def test_filters(cloud: Cloud) -> None:
    await cloud.create(name="web", metadata={"tier": "1", "x": "y"})
    await cloud.create(name="data", size=2)
    for query, names in (
        ("name=web", ["web"]),
        ("name~=AT", ["data"]),
        ("size=2", ["data"]),
        ("status=available", ["data", "web"]),
        ("status=error", []),
        ("metadata={'tier':'1'}", ["web"]),
        ("bootable=false", ["data", "web"]),
        ("bootable=true", []),
        ("created_at=gt:2099-01-01T00:00:00", []),
        ("created_at=lt:2099-01-01T00:00:00", ["data", "web"]),
        ("all_tenants=1", ["data", "web"]),
    ):
        answer = await cloud.ask("GET", f"/volumes/detail?{query}")
        assert [one["name"] for one in answer.json["volumes"]] == names, query
    assert (await cloud.ask("GET", "/volumes?colour=red")).status == 400
    assert len((await cloud.ask("GET", "/volumes?colour=red", version="3.30")).json["volumes"]) == 2
    for wrong in ("metadata=((((", "bootable=maybe", "created_at=gt:never", "created_at=near:2026-01-01T00:00:00"):
        assert (await cloud.ask("GET", f"/volumes?{wrong}")).status == 400, wrong


async def test_who_may_what(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    body = {"volume": {"name": "b"}}
    for token, listed, shown, made, changed, deleted in (
        ("forged", 401, 401, 401, 401, 401),
        ("stranger@blue", 403, 403, 403, 403, 403),
        ("reader@blue", 200, 200, 403, 403, 403),
        ("member@red", 200, 404, 202, 404, 404),
        ("admin@red", 200, 200, 202, 200, 202),
    ):
        statuses = [
            (await cloud.ask("GET", "/volumes", token=token)).status,
            (await cloud.ask("GET", f"/volumes/{id_}", token=token)).status,
            (await cloud.ask("POST", "/volumes", {"volume": {"size": 1}}, token)).status,
            (await cloud.ask("PUT", f"/volumes/{id_}", body, token)).status,
            (await cloud.ask("DELETE", f"/volumes/{id_}", token=token)).status,
        ]
        assert statuses == [listed, shown, made, changed, deleted], token
    everywhere = (await cloud.ask("GET", "/volumes/detail?all_tenants=1", token="admin@blue")).json["volumes"]
    assert {one["os-vol-tenant-attr:tenant_id"] for one in everywhere} >= {"red"}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"size": 0},
        {"size": -1},
        {"size": "big"},
        {"size": 1.5},
        {"size": 65537},
        {"size": 1, "name": "n" * 256},
        {"size": 1, "metadata": {"k": 1}},
        {"size": 1, "metadata": {"k" * 256: "v"}},
        {"size": 1, "multiattach": True},
        {"size": 1, "availability_zone": "moon"},
        {"size": 1, "snapshot_id": "none"},
        {"size": 1, "colour": "red"},
        {"size": 1, "imageRef": MISSING},
        {"size": 1, "snapshot_id": MISSING, "source_volid": MISSING},
    ],
)
async def test_what_is_wrong_is_refused_and_counts_nothing(cloud: Cloud, asked: dict[str, Any]) -> None:
    answer = await cloud.ask("POST", "/volumes", {"volume": asked})
    assert (answer.status, list(answer.json)) == (400, ["badRequest"])
    assert await cloud.used() == {}


@pytest.mark.parametrize("name", ["snapshot_id", "source_volid", "volume_type", "group_id", "backup_id"])
async def test_what_is_not_there_is_not_found(cloud: Cloud, name: str) -> None:
    answer = await cloud.ask("POST", "/volumes", {"volume": {"size": 1, name: MISSING}})
    assert (answer.status, list(answer.json)) == (404, ["itemNotFound"])


async def test_the_quota(cloud: Cloud) -> None:
    await cloud.service.quotas.set_limits("blue", {"gigabytes": 3, "per_volume_gigabytes": 2})
    await cloud.create(size=2)
    for size in (2, 3):
        answer = await cloud.ask("POST", "/volumes", {"volume": {"size": size}})
        assert (answer.status, answer.json["overLimit"]["code"]) == (413, 413)
    assert await cloud.used() == {"volumes": 1, "gigabytes": 2}


async def test_a_volume_is_changed(cloud: Cloud) -> None:
    id_ = (await cloud.create(name="a", description="b"))["id"]
    answer = await cloud.ask("PUT", f"/volumes/{id_}", {"volume": {"name": " c ", "metadata": {"x": "y"}}})
    volume = answer.json["volume"]
    assert (answer.status, volume["name"], volume["description"], volume["metadata"]) == (200, "c", "b", {"x": "y"})
    assert volume["updated_at"] > volume["created_at"]
    assert (await cloud.ask("PUT", f"/volumes/{id_}", {"volume": {"size": 9}})).status == 400
    assert (await cloud.ask("PUT", f"/volumes/{id_}", {"volume": {}})).status == 400
    assert (await cloud.ask("PUT", f"/volumes/{id_}", {"volume": {}}, version="3.52")).status == 200


async def test_metadata(cloud: Cloud) -> None:
    path = f"/volumes/{(await cloud.create(metadata={'a': '1'}))['id']}/metadata"
    assert (await cloud.ask("POST", path, {"metadata": {"b": "2"}})).json == {"metadata": {"a": "1", "b": "2"}}
    assert (await cloud.ask("PUT", path, {"metadata": {"c": "3"}})).json == {"metadata": {"c": "3"}}
    assert (await cloud.ask("PUT", f"{path}/c", {"meta": {"c": "4"}})).json == {"meta": {"c": "4"}}
    assert (await cloud.ask("GET", f"{path}/c")).json == {"meta": {"c": "4"}}
    assert (await cloud.ask("PUT", f"{path}/c", {"meta": {"d": "4"}})).status == 400
    assert (await cloud.ask("DELETE", f"{path}/c")).status == 200
    assert (await cloud.ask("DELETE", f"{path}/c")).status == 404
    assert (await cloud.ask("GET", f"{path}/c")).status == 404
    assert (await cloud.ask("GET", path)).json == {"metadata": {}}


async def test_the_summary(cloud: Cloud) -> None:
    await cloud.create(size=2, metadata={"k": "a"})
    await cloud.create(size=3, metadata={"k": "b"})
    assert (await cloud.ask("GET", "/volumes/summary", version="3.11")).status == 404
    assert (await cloud.ask("GET", "/volumes/summary")).json == {
        "volume-summary": {"total_count": 2, "total_size": 5, "metadata": {"k": ["a", "b"]}}
    }
