"""Transfers: a volume goes from project to project."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway_volumes.cloud import Cloud


async def offer(cloud: Cloud, volume: str, path: str = "/volume-transfers", **more: Any) -> dict[str, Any]:
    answer = await cloud.ask("POST", path, {"transfer": {"volume_id": volume, **more}})
    assert answer.status == 202, answer.body
    found: dict[str, Any] = answer.json["transfer"]
    return found


async def accept(cloud: Cloud, transfer: dict[str, Any], key: str = "", token: str = "member@red") -> int:
    body = {"accept": {"auth_key": key or transfer["auth_key"]}}
    return (await cloud.ask("POST", f"/volume-transfers/{transfer['id']}/accept", body, token)).status


@pytest.mark.parametrize("path", ["/volume-transfers", "/os-volume-transfer"])
async def test_a_volume_goes_to_another_project(cloud: Cloud, path: str) -> None:
    id_ = (await cloud.create(size=2))["id"]
    await cloud.snapshot(id_)
    made = await offer(cloud, id_, path, name="n")
    assert (await cloud.show(id_))["status"] == "awaiting-transfer"
    shown = (await cloud.ask("GET", f"{path}/{made['id']}")).json["transfer"]
    assert shown == {name: value for name, value in made.items() if name != "auth_key"}
    assert [one["id"] for one in (await cloud.ask("GET", path)).json["transfers"]] == [made["id"]]
    assert (await cloud.ask("GET", path, token="member@red")).json == {"transfers": []}
    assert (await cloud.ask("DELETE", f"/volumes/{id_}")).status == 400
    assert await accept(cloud, made, "wrong") == 400
    assert await accept(cloud, made) == 202
    assert await accept(cloud, made) == 404
    volume = await cloud.show(id_, "member@red")
    assert (volume["status"], volume["os-vol-tenant-attr:tenant_id"]) == ("available", "red")
    assert (await cloud.ask("GET", f"/volumes/{id_}")).status == 404
    assert len((await cloud.ask("GET", "/snapshots", token="member@red")).json["snapshots"]) == 1
    assert (await cloud.used(), await cloud.used("red")) == ({}, {"volumes": 1, "snapshots": 1, "gigabytes": 4})
    assert (await cloud.ask("GET", "/volumes")).json == {"volumes": []}


async def test_an_offer_is_taken_back(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    made = await offer(cloud, id_)
    again = await cloud.ask("POST", "/volume-transfers", {"transfer": {"volume_id": id_}})
    assert again.status == 400
    assert (await cloud.ask("DELETE", f"/volume-transfers/{made['id']}", token="member@red")).status == 404
    assert (await cloud.ask("DELETE", f"/volume-transfers/{made['id']}")).status == 202
    assert (await cloud.show(id_))["status"] == "available"
    assert await accept(cloud, made) == 404


async def test_the_quota_of_who_takes_it(cloud: Cloud) -> None:
    id_ = (await cloud.create(size=2))["id"]
    made = await offer(cloud, id_)
    await cloud.service.quotas.set_limits("red", {"gigabytes": 1})
    assert await accept(cloud, made) == 413
    assert (await cloud.used(), await cloud.used("red")) == ({"volumes": 1, "gigabytes": 2}, {})
    assert (await cloud.show(id_))["status"] == "awaiting-transfer"


async def test_a_volume_that_is_deleted_is_offered_no_more(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    made = await offer(cloud, id_)
    await cloud.act(id_, "os-force_delete", {}, "admin@ops")
    await cloud.gone(id_)
    assert (await cloud.ask("GET", f"/volume-transfers/{made['id']}")).status == 404


async def test_fields_by_microversion(cloud: Cloud) -> None:
    made = await offer(cloud, (await cloud.create())["id"])
    found = {}
    for version in ("3.54", "3.55", "3.57"):
        answer = await cloud.ask("GET", f"/volume-transfers/{made['id']}", version=version)
        found[version] = answer.json["transfer"].keys()
    assert found["3.55"] - found["3.54"] == {"no_snapshots"}
    assert found["3.57"] - found["3.55"] == {"source_project_id", "destination_project_id", "accepted"}
    body = {"transfer": {"volume_id": made["volume_id"], "no_snapshots": True}}
    assert (await cloud.ask("POST", "/volume-transfers", body, version="3.54")).status == 400


async def test_a_project_takes_its_own(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.snapshot(id_)
    assert await accept(cloud, await offer(cloud, id_), token="member@blue") == 202
    assert (await cloud.show(id_))["status"] == "available"
    assert await cloud.used() == {"volumes": 1, "snapshots": 1, "gigabytes": 2}
