"""What other services have, asked for here as clients of before 2.36 do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.compute_api.proxied import WholeCloud

NOBODY = "11111111-2222-4333-8444-555555555555"
OLD = "2.35"


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    async with trio.open_nursery() as nursery:
        cloud = WholeCloud(tmp_path)
        await nursery.start(cloud.run)
        yield cloud
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "path",
    [
        "/images", "/images/detail", "/images/x", "/os-networks", "/os-networks/x", "/os-tenant-networks",
        "/os-floating-ips", "/os-floating-ips/x", "/os-floating-ip-pools", "/os-security-groups",
        "/os-security-groups/x", "/os-volumes", "/os-volumes/detail", "/os-volumes/x", "/os-snapshots",
    ],
)  # fmt: skip
async def test_later_clients_ask_the_services_themselves(whole: WholeCloud, path: str) -> None:
    await whole.refused(404, "GET", path, version="2.36")


# -- images ---------------------------------------------------------------------------------------------------------


async def test_images_are_listed_shown_and_deleted(whole: WholeCloud) -> None:
    ids = [await whole.image(name, min_ram=3, flavour="plain") for name in ("a", "b", "c")]
    shown = (await whole.got(f"/images/{ids[0]}", version=OLD))["image"]
    assert shown | {"links": [], "created": "", "updated": ""} == {
        "id": ids[0], "name": "a", "minRam": 3, "minDisk": 0, "metadata": {"flavour": "plain"}, "status": "SAVING",
        "progress": 25, "OS-EXT-IMG-SIZE:size": None, "links": [], "created": "", "updated": "",
    }  # fmt: skip
    assert [one["rel"] for one in shown["links"]] == ["self", "bookmark", "alternate"]
    listed = (await whole.got("/images", version=OLD))["images"]
    assert {one["id"] for one in listed} == set(ids)
    assert set(listed[0]) == {"id", "name", "links"}
    page = await whole.got("/images/detail?limit=2", version=OLD)
    assert len(page["images"]) == 2
    assert page["images_links"][0]["href"].endswith(f"limit=2&marker={page['images'][1]['id']}")
    rest = await whole.got(f"/images?limit=2&marker={page['images'][1]['id']}", version=OLD)
    assert len(rest["images"]) == 1
    answer = await whole.ask("DELETE", f"/images/{ids[0]}", version=OLD)
    assert (answer.status, answer.body) == (204, b"")
    assert await whole.refused(404, "GET", f"/images/{ids[0]}", version=OLD) == "Image not found."
    for id_ in (NOBODY, "none", "-1"):
        await whole.refused(404, "DELETE", f"/images/{id_}", version=OLD)
    await whole.refused(404, "GET", f"/images/{ids[1]}", token="member@green", version=OLD)


async def test_images_are_filtered(whole: WholeCloud) -> None:
    first = await whole.image("a", instance_uuid=NOBODY, image_type="snapshot", min_ram=5)
    await whole.image("b")

    async def listed(query: str) -> list[str]:
        return [one["id"] for one in (await whole.got(f"/images/detail?{query}", version=OLD))["images"]]

    for query in (
        "name=a", f"server={NOBODY}", f"server=http://cloud/v2.1/servers/{NOBODY}", "type=snapshot", "minRam=5",
        "property-image_type=snapshot",
    ):  # fmt: skip
        assert await listed(query) == [first], query
    assert len(await listed("status=QUEUED")) == 2
    assert len(await listed("changes-since=2020-01-01T00:00:00Z")) == 2
    assert await listed("changes-since=2040-01-01T00:00:00Z") == []
    assert (await whole.got(f"/images/{first}", version=OLD))["image"]["server"]["id"] == NOBODY
    for wrong in ("limit=0", "limit=x", "changes-since=x"):
        await whole.refused(400, "GET", f"/images?{wrong}", version=OLD)


async def test_what_is_kept_with_images_is_changed_until_2_38(whole: WholeCloud) -> None:
    path = f"/images/{await whole.image('a', first='1')}/metadata"

    async def asked(method: str, more: str = "", body: Any = None) -> Any:
        return await whole.done(method, path + more, body, "2.38", "member@blue")

    assert await asked("GET") == {"metadata": {"first": "1"}}
    assert await asked("POST", body={"metadata": {"second": "2"}}) == {"metadata": {"first": "1", "second": "2"}}
    assert await asked("PUT", "/second", {"meta": {"second": "3"}}) == {"meta": {"second": "3"}}
    assert await asked("GET", "/second") == {"meta": {"second": "3"}}
    assert await asked("PUT", body={"metadata": {"third": "4"}}) == {"metadata": {"third": "4"}}
    assert await asked("DELETE", "/third") is None
    assert await asked("GET") == {"metadata": {}}
    await whole.refused(404, "GET", path, version="2.39")
    await whole.refused(404, "DELETE", f"{path}/third", version="2.38")
    await whole.refused(404, "GET", f"{path}/third", version="2.38")
    await whole.refused(400, "PUT", f"{path}/third", {"meta": {"fourth": "4"}}, version="2.38")
    await whole.refused(400, "POST", path, {"metadata": {"a/b": "4"}}, version="2.38")
    await whole.refused(404, "GET", f"/images/{NOBODY}/metadata", version="2.38")


# -- networks -------------------------------------------------------------------------------------------------------


async def test_networks_are_told_by_name(whole: WholeCloud) -> None:
    made = await whole.made("network", "member@blue", name="private")
    (shown,) = (await whole.got("/os-networks", version=OLD))["networks"]
    assert (shown["id"], shown["label"], shown["cidr"]) == (made["id"], "private", None)
    assert "bridge" not in shown
    assert "bridge" in (await whole.got(f"/os-networks/{made['id']}", "admin@blue", OLD))["network"]
    tenant = {"id": made["id"], "cidr": "None", "label": "private"}
    assert (await whole.got("/os-tenant-networks", version=OLD))["networks"] == [tenant]
    assert (await whole.got(f"/os-tenant-networks/{made['id']}", version=OLD))["network"] == tenant
    assert (await whole.got("/os-networks", "member@green", OLD))["networks"] == []
    await whole.refused(404, "GET", f"/os-networks/{NOBODY}", version=OLD)
    await whole.refused(404, "GET", f"/os-tenant-networks/{made['id']}", token="member@green", version=OLD)


async def test_floating_addresses_come_and_go(whole: WholeCloud) -> None:
    await whole.refused(404, "POST", "/os-floating-ips", token="member@blue", version=OLD)
    external: dict[str, Any] = {"name": "public", "router:external": True}
    outside = await whole.made("network", "admin@blue", **external)
    await whole.made("subnet", network_id=outside["id"], cidr="192.0.2.0/29", ip_version=4, enable_dhcp=False)
    assert (await whole.got("/os-floating-ip-pools", version=OLD))["floating_ip_pools"] == [{"name": "public"}]
    asked = {"pool": "public"}
    made = (await whole.done("POST", "/os-floating-ips", asked, OLD, "member@blue"))["floating_ip"]
    assert made == {"id": made["id"], "ip": made["ip"], "fixed_ip": None, "instance_id": None, "pool": "public"}
    assert (await whole.got("/os-floating-ips", version=OLD))["floating_ips"] == [made]
    assert (await whole.got(f"/os-floating-ips/{made['id']}", version=OLD))["floating_ip"] == made
    answer = await whole.ask("DELETE", f"/os-floating-ips/{made['id']}", version=OLD)
    assert (answer.status, answer.body) == (202, b"")
    assert (await whole.got("/os-floating-ips", version=OLD))["floating_ips"] == []
    for method in ("GET", "DELETE"):
        await whole.refused(404, method, f"/os-floating-ips/{NOBODY}", token="member@blue", version=OLD)
    await whole.refused(404, "POST", "/os-floating-ips", {"pool": "none"}, version=OLD)
    await whole.refused(403, "POST", "/os-floating-ips", asked, "reader@blue", OLD)


async def test_security_groups_and_their_rules(whole: WholeCloud) -> None:
    path, rules = "/os-security-groups", "/os-security-group-rules"

    async def done(method: str, path: str, body: Any = None) -> Any:
        return await whole.done(method, path, body, OLD, "member@blue")

    made = (await done("POST", path, {"security_group": {"name": "web", "description": "d"}}))["security_group"]
    assert made == {"id": made["id"], "name": "web", "description": "d", "tenant_id": "blue", "rules": []}
    asked: dict[str, Any] = {
        "parent_group_id": made["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": "23", "cidr": "10.1.2.3/8",
    }  # fmt: skip
    rule = (await done("POST", rules, {"security_group_rule": asked}))["security_group_rule"]
    assert rule == {
        "id": rule["id"], "parent_group_id": made["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 23,
        "group": {}, "ip_range": {"cidr": "10.1.2.3/8"},
    }  # fmt: skip
    remote = {"parent_group_id": made["id"], "group_id": made["id"], "ip_protocol": "icmp"}
    of_group = (await done("POST", rules, {"security_group_rule": remote}))["security_group_rule"]
    assert of_group["group"] == {"name": "web", "tenant_id": "blue"}
    assert (of_group["from_port"], of_group["to_port"]) == (-1, -1)
    assert len((await whole.got(f"{path}/{made['id']}", version=OLD))["security_group"]["rules"]) == 2
    again = {"security_group_rule": asked}
    await whole.refused(400, "POST", rules, again, "member@blue", OLD)
    wrongs: list[dict[str, Any]] = [
        {"ip_protocol": "frob"}, {"from_port": 0}, {"from_port": 30}, {"to_port": 70_000}, {"from_port": "x"},
        {"cidr": "x"}, {"ip_protocol": None}, {"from_port": None}, {"parent_group_id": "x"}, {"group_id": "x"},
        {"ip_protocol": "icmp", "from_port": 256, "to_port": 1},
    ]  # fmt: skip
    for wrong in wrongs:
        await whole.refused(400, "POST", rules, {"security_group_rule": asked | wrong}, "member@blue", OLD)
    nowhere = {"security_group_rule": asked | {"parent_group_id": NOBODY}}
    await whole.refused(404, "POST", rules, nowhere, "member@blue", OLD)
    for id_ in (rule["id"], of_group["id"]):
        assert (await whole.ask("DELETE", f"{rules}/{id_}", version=OLD)).status == 202
        await whole.refused(404, "DELETE", f"{rules}/{id_}", token="member@blue", version=OLD)
    renamed = {"security_group": {"name": "www", "description": ""}}
    assert (await done("PUT", f"{path}/{made['id']}", renamed))["security_group"]["name"] == "www"
    names = [one["name"] for one in (await whole.got(path, version=OLD))["security_groups"]]
    assert names == ["default", "www"]
    assert (await whole.ask("DELETE", f"{path}/{made['id']}", version=OLD)).status == 202
    await whole.refused(404, "GET", f"{path}/{made['id']}", token="member@blue", version=OLD)
    await whole.refused(400, "GET", f"{path}/none", token="member@blue", version=OLD)
    (default,) = (await whole.got(path, version=OLD))["security_groups"]
    await whole.refused(400, "DELETE", f"{path}/{default['id']}", token="member@blue", version=OLD)
    await whole.refused(404, "PUT", f"{path}/{NOBODY}", renamed, "member@blue", OLD)
    await whole.refused(403, "POST", path, renamed, "reader@blue", OLD)


async def test_administrators_see_the_groups_of_all(whole: WholeCloud) -> None:
    for token in ("member@blue", "member@green"):
        body = {"security_group": {"name": "own", "description": ""}}
        await whole.done("POST", "/os-security-groups", body, OLD, token)
    shown = (await whole.got("/os-security-groups?all_tenants=true", "admin@blue", OLD))["security_groups"]
    assert {one["tenant_id"] for one in shown} == {"blue", "green"}
    own = (await whole.got("/os-security-groups?all_tenants=true", "member@blue", OLD))["security_groups"]
    assert {one["tenant_id"] for one in own} == {"blue"}
    cut = (await whole.got("/os-security-groups?limit=1", "member@blue", OLD))["security_groups"]
    assert len(cut) == 1


# -- volumes --------------------------------------------------------------------------------------------------------


async def test_volumes_and_snapshots_come_and_go(whole: WholeCloud) -> None:
    asked = {"size": 1, "display_name": "disk", "display_description": "d", "metadata": {"a": "b"}}
    made = (await whole.done("POST", "/os-volumes", {"volume": asked}, OLD, "member@blue"))["volume"]
    path = f"/os-volumes/{made['id']}"
    shown = await whole.settled(path)
    assert shown == {
        "id": made["id"], "status": "available", "size": 1, "availabilityZone": "nova", "createdAt": made["createdAt"],
        "attachments": [{}], "displayName": "disk", "displayDescription": "d", "volumeType": shown["volumeType"],
        "snapshotId": None, "metadata": {"a": "b"},
    }  # fmt: skip
    body = {"snapshot": {"volume_id": made["id"], "display_name": "then"}}
    taken = (await whole.done("POST", "/os-snapshots", body, OLD, "member@blue"))["snapshot"]
    snapshot = await whole.settled(f"/os-snapshots/{taken['id']}")
    assert snapshot | {"createdAt": ""} == {
        "id": taken["id"], "status": "available", "size": 1, "createdAt": "", "displayName": "then",
        "displayDescription": None, "volumeId": made["id"],
    }  # fmt: skip
    assert (await whole.got("/os-snapshots/detail", version=OLD))["snapshots"] == [snapshot]
    assert (await whole.ask("DELETE", f"/os-snapshots/{taken['id']}", version=OLD)).status == 202
    await whole.gone(f"/os-snapshots/{taken['id']}")
    assert (await whole.ask("DELETE", path, version=OLD)).status == 202
    await whole.gone(path)
    assert (await whole.got("/os-volumes", version=OLD))["volumes"] == []


async def test_volumes_are_cut_and_refused(whole: WholeCloud) -> None:
    for _ in range(3):
        await whole.done("POST", "/os-volumes", {"volume": {"size": "1"}}, OLD, "member@blue")
    every = [one["id"] for one in (await whole.got("/os-volumes/detail", version=OLD))["volumes"]]
    part = [one["id"] for one in (await whole.got("/os-volumes?offset=1&limit=1", version=OLD))["volumes"]]
    assert part == every[1:2]
    for wrong in ({}, {"size": 0}, {"size": "x"}, {"size": ""}, {"size": 1, "more": 1}, {"size": 1, "metadata": 5}):
        await whole.refused(400, "POST", "/os-volumes", {"volume": wrong}, "member@blue", OLD)
    for method in ("GET", "DELETE"):
        for what in ("os-volumes", "os-snapshots"):
            await whole.refused(404, method, f"/{what}/{NOBODY}", token="member@blue", version=OLD)
    await whole.refused(404, "GET", "/os-volumes/", token="member@blue", version=OLD)
    await whole.refused(403, "POST", "/os-volumes", {"volume": {"size": 1}}, "reader@blue", OLD)
    lost = {"snapshot": {"volume_id": NOBODY}}
    await whole.refused(404, "POST", "/os-snapshots", lost, "member@blue", OLD)
