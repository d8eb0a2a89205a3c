"""Volume types: the seeded ones, those that administrators make, what belongs to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway_rest.service import Answer
from tests.gateway_volumes.cloud import Cloud

ADMIN = "admin@ops"


async def make(cloud: Cloud, name: str = "gold", **asked: Any) -> str:
    answer = await cloud.ask("POST", "/types", {"volume_type": {"name": name, **asked}}, ADMIN)
    assert answer.status == 200, answer.body
    id_: str = answer.json["volume_type"]["id"]
    return id_


async def admin(cloud: Cloud, method: str, path: str, body: Any = None) -> Answer:
    return await cloud.ask(method, path, body, ADMIN)


async def test_each_policy_has_a_type_once(cloud: Cloud) -> None:
    types = (await admin(cloud, "GET", "/types")).json["volume_types"]
    assert {one["name"]: one["extra_specs"] for one in types} == {
        "standard": {"drystone:policy": "standard"},
        "fast": {"drystone:policy": "fast"},
    }
    default = (await cloud.ask("GET", "/types/default")).json["volume_type"]
    assert (default["name"], default["extra_specs"]) == ("standard", {})
    assert "qos_specs_id" not in default
    fast = next(one["id"] for one in types if one["name"] == "fast")
    assert (await admin(cloud, "DELETE", f"/types/{fast}")).status == 202
    await cloud.service.types.seed()
    assert [one.name for one in await cloud.service.types.every()] == ["standard"]
    assert (await admin(cloud, "DELETE", f"/types/{default['id']}")).status == 400


async def test_a_type_says_policy_window_and_multiattach(cloud: Cloud) -> None:
    specs = {"drystone:policy": "fast", "drystone:window_s": "60", "multiattach": "<is> True"}
    id_ = await make(cloud, extra_specs=specs)
    volume = await cloud.create(volume_type="gold")
    assert (volume["volume_type"], volume["volume_type_id"], volume["multiattach"]) == ("gold", id_, True)
    row = await cloud.store.row(f"volume-{volume['id']}")
    assert (row.policy, row.window_us) == ("fast", 60_000_000)
    shown = (await cloud.ask("GET", f"/types/{id_}")).json["volume_type"]
    assert shown["extra_specs"] == {"multiattach": "<is> True"}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"name": ""},
        {"name": "n" * 256},
        {"name": "x", "colour": "red"},
        {"name": "x", "extra_specs": {"a b": "c"}},
        {"name": "x", "extra_specs": {"drystone:policy": "none"}},
        {"name": "x", "extra_specs": {"drystone:window_s": "-1"}},
    ],
)
async def test_a_wrong_type_is_refused(cloud: Cloud, asked: dict[str, Any]) -> None:
    assert (await admin(cloud, "POST", "/types", {"volume_type": asked})).status == 400


async def test_a_type_is_changed_and_deleted(cloud: Cloud) -> None:
    id_ = await make(cloud)
    assert (await admin(cloud, "POST", "/types", {"volume_type": {"name": "gold"}})).status == 409
    answer = await admin(cloud, "PUT", f"/types/{id_}", {"volume_type": {"name": "silver", "description": "d"}})
    assert (answer.json["volume_type"]["name"], answer.json["volume_type"]["description"]) == ("silver", "d")
    assert (await admin(cloud, "PUT", f"/types/{id_}", {"volume_type": {"name": "fast"}})).status == 409
    assert (await admin(cloud, "PUT", f"/types/{id_}", {"volume_type": {}})).status == 400
    volume = await cloud.create(volume_type="silver")
    assert (await admin(cloud, "DELETE", f"/types/{id_}")).status == 400
    await cloud.ask("DELETE", f"/volumes/{volume['id']}")
    await cloud.gone(volume["id"])
    assert (await admin(cloud, "DELETE", f"/types/{id_}")).status == 202
    assert (await admin(cloud, "GET", f"/types/{id_}")).status == 404
    assert await make(cloud, "silver") != id_


async def test_extra_specs(cloud: Cloud) -> None:
    path = f"/types/{await make(cloud, extra_specs={'a': '1'})}/extra_specs"
    assert (await admin(cloud, "POST", path, {"extra_specs": {"b": "2"}})).json == {"extra_specs": {"b": "2"}}
    assert (await admin(cloud, "PUT", f"{path}/b", {"b": "3"})).json == {"b": "3"}
    assert (await admin(cloud, "PUT", f"{path}/b", {"c": "3"})).status == 400
    assert (await admin(cloud, "PUT", f"{path}/b", {"b": "3", "a": "1"})).status == 400
    assert (await admin(cloud, "GET", path)).json == {"extra_specs": {"a": "1", "b": "3"}}
    assert (await cloud.ask("GET", path)).json == {"extra_specs": {}}
    assert (await admin(cloud, "DELETE", f"{path}/b")).status == 202
    assert (await admin(cloud, "GET", f"{path}/b")).status == 404
    assert (await cloud.ask("POST", path, {"extra_specs": {}})).status == 403
    await cloud.create(volume_type="gold")
    assert (await admin(cloud, "POST", path, {"extra_specs": {"c": "2"}})).status == 400


async def test_private_types(cloud: Cloud) -> None:
    private: dict[str, Any] = {"os-volume-type-access:is_public": False}
    id_ = await make(cloud, "gold", **private)
    create = {"volume": {"size": 1, "volume_type": "gold"}}
    assert (await cloud.ask("GET", f"/types/{id_}")).status == 404
    assert (await cloud.ask("POST", "/volumes", create)).status == 404
    add = {"addProjectAccess": {"project": "blue"}}
    assert (await admin(cloud, "POST", f"/types/{id_}/action", add)).status == 202
    assert (await admin(cloud, "POST", f"/types/{id_}/action", add)).status == 409
    access = (await admin(cloud, "GET", f"/types/{id_}/os-volume-type-access")).json["volume_type_access"]
    assert access == [{"volume_type_id": id_, "project_id": "blue"}]
    assert (await cloud.ask("GET", f"/types/{id_}/os-volume-type-access")).status == 403
    assert "gold" in {one["name"] for one in (await cloud.ask("GET", "/types")).json["volume_types"]}
    assert (await cloud.ask("POST", "/volumes", create)).status == 202
    remove = {"removeProjectAccess": {"project": "blue"}}
    assert (await admin(cloud, "POST", f"/types/{id_}/action", remove)).status == 202
    assert (await admin(cloud, "POST", f"/types/{id_}/action", remove)).status == 404
    assert (await admin(cloud, "POST", f"/types/{id_}/action", {"fly": {}})).status == 400
    for asked, seen in (("", False), ("?is_public=None", True), ("?is_public=False", True), ("?is_public=1", False)):
        types = (await admin(cloud, "GET", f"/types{asked}")).json["volume_types"]
        assert ("gold" in {one["name"] for one in types}) is seen, asked


async def test_encryption_is_kept_and_volumes_of_it_are_refused(cloud: Cloud) -> None:
    id_ = await make(cloud)
    path = f"/types/{id_}/encryption"
    asked = {"provider": "luks", "control_location": "front-end", "key_size": 256}
    assert (await admin(cloud, "POST", path, {"encryption": {"provider": "luks"}})).status == 400
    made = (await admin(cloud, "POST", path, {"encryption": asked})).json["encryption"]
    assert (made["volume_type_id"], made["key_size"], made["cipher"]) == (id_, 256, None)
    shown = (await admin(cloud, "GET", path)).json
    assert shown.keys() - made.keys() == {"created_at", "updated_at", "deleted_at", "deleted"}
    assert (await admin(cloud, "POST", path, {"encryption": asked})).status == 400
    update = {"encryption": {"key_size": 128}}
    assert (await admin(cloud, "PUT", f"{path}/{made['encryption_id']}", update)).json == update
    assert (await admin(cloud, "GET", f"{path}/key_size")).json == {"key_size": 128}
    answer = await cloud.ask("POST", "/volumes", {"volume": {"size": 1, "volume_type": "gold"}})
    assert (answer.status, "encrypted" in answer.json["badRequest"]["message"]) == (400, True)
    assert (await admin(cloud, "DELETE", f"{path}/{made['encryption_id']}")).status == 202
    assert (await admin(cloud, "GET", path)).json == {}
    assert (await cloud.ask("GET", path)).status == 403


async def test_a_project_has_a_default_of_its_own(cloud: Cloud) -> None:
    body = {"default_type": {"volume_type": "fast"}}
    assert (await admin(cloud, "GET", "/default-types/blue")).status == 404
    row = (await admin(cloud, "PUT", "/default-types/blue", body)).json["default_type"]
    assert row["project_id"] == "blue"
    assert (await admin(cloud, "GET", "/ops/default-types")).json == {"default_types": [row]}
    assert (await cloud.create())["volume_type"] == "fast"
    assert (await cloud.create("member@red"))["volume_type"] == "standard"
    assert (await cloud.ask("GET", "/types/default")).json["volume_type"]["name"] == "fast"
    assert (await admin(cloud, "DELETE", f"/types/{row['volume_type_id']}")).status == 400
    assert (await admin(cloud, "DELETE", "/default-types/blue")).status == 204
    assert (await cloud.create())["volume_type"] == "standard"
    assert (await cloud.ask("PUT", "/default-types/blue", body)).status == 403
    answer = await admin(cloud, "PUT", "/default-types/blue", {"default_type": {"volume_type": "x"}})
    assert answer.status == 400
    assert (await cloud.ask("GET", "/default-types", token=ADMIN, version="3.61")).status == 404


async def test_quota_by_type(cloud: Cloud) -> None:
    id_ = await make(cloud)
    await cloud.service.quotas.set_limits("blue", {f"gigabytes_{id_}": 2})
    await cloud.create(size=2, volume_type="gold")
    answer = await cloud.ask("POST", "/volumes", {"volume": {"size": 1, "volume_type": "gold"}})
    assert answer.status == 413
    await cloud.create(size=1)
