"""Attachments: reserved, connected, complete, gone."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.volumes.records import Volume
from gateway.volumes.standing import change_volume
from tests.gateway_rest.service import Answer
from tests.gateway_volumes.cloud import Cloud

SERVER = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa7"
CONNECTOR = {"host": "node", "mountpoint": "/dev/vdb", "mode": "rw"}


async def attach(cloud: Cloud, volume: str, server: str | None = SERVER, **more: Any) -> Answer:
    body = {"attachment": {"volume_uuid": volume, "instance_uuid": server, **more}}
    return await cloud.ask("POST", "/attachments", body)


async def test_the_life_of_an_attachment(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    made = (await attach(cloud, id_)).json["attachment"]
    assert made == {
        "id": made["id"], "status": "reserved", "instance": SERVER, "volume_id": id_, "attached_at": "",
        "detached_at": "", "attach_mode": "null", "connection_info": {},
    }  # fmt: skip
    assert (await cloud.show(id_))["status"] == "reserved"
    path = f"/attachments/{made['id']}"
    body = {"attachment": {"connector": CONNECTOR}}
    connected = (await cloud.ask("PUT", path, body)).json["attachment"]
    assert (connected["status"], connected["attach_mode"]) == ("attaching", "rw")
    assert connected["connection_info"]["export"] == "attachment-" + path.rpartition("/")[2]
    assert connected["connection_info"]["driver_volume_type"] == "nbd"
    assert (await cloud.show(id_))["status"] == "attaching"
    assert (await cloud.ask("POST", f"{path}/action", {"os-complete": None}, version="3.43")).status == 404
    assert (await cloud.ask("POST", f"{path}/action", {"os-complete": None})).status == 204
    volume = await cloud.show(id_)
    assert (volume["status"], volume["attachments"][0]["device"]) == ("in-use", "/dev/vdb")
    assert volume["attachments"][0]["host_name"] is None
    assert (await cloud.show(id_, "admin@ops"))["attachments"][0]["host_name"] == "node"
    assert (await cloud.ask("GET", path)).json["attachment"]["status"] == "attached"
    assert (await cloud.ask("DELETE", path)).json == {"attachments": []}
    assert (await cloud.show(id_))["status"] == "available"
    assert (await cloud.ask("GET", path)).status == 404


async def test_one_server_has_a_volume_at_a_time(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    assert (await attach(cloud, id_)).status == 200
    assert (await attach(cloud, id_, OTHER)).status == 400
    # The same server goes to another host.
    assert (await attach(cloud, id_)).status == 200
    assert len((await cloud.ask("GET", "/attachments")).json["attachments"]) == 2


async def test_several_servers_have_a_multiattach_volume(cloud: Cloud) -> None:
    body = {"volume_type": {"name": "shared", "extra_specs": {"multiattach": "<is> True"}}}
    await cloud.ask("POST", "/types", body, "admin@ops")
    id_ = (await cloud.create(volume_type="shared"))["id"]
    for server in (SERVER, OTHER):
        made = (await attach(cloud, id_, server, connector=CONNECTOR)).json["attachment"]
        assert (await cloud.ask("POST", f"/attachments/{made['id']}/action", {"os-complete": {}})).status == 204
    assert len((await cloud.show(id_))["attachments"]) == 2


async def test_lists_and_who_may_see(cloud: Cloud) -> None:
    first, second = (await cloud.create())["id"], (await cloud.create())["id"]
    made = (await attach(cloud, first)).json["attachment"]
    await attach(cloud, second, None, mode="ro")
    for query, count in (("", 2), (f"?volume_id={first}", 1), (f"?instance_id={SERVER}", 1), ("?status=attached", 0)):
        found = (await cloud.ask("GET", f"/attachments/detail{query}")).json["attachments"]
        assert len(found) == count, query
    assert {one["attach_mode"] for one in (await cloud.ask("GET", "/attachments/detail")).json["attachments"]} == {
        "null", "ro",
    }  # fmt: skip
    path = f"/attachments/{made['id']}"
    assert (await cloud.ask("GET", "/attachments", token="member@red")).json == {"attachments": []}
    assert (await cloud.ask("GET", path, token="member@red")).status == 404
    assert (await cloud.ask("DELETE", path, token="reader@blue")).status == 403
    assert (await cloud.ask("GET", path, version="3.26")).status == 404


async def test_a_server_that_has_the_volume_keeps_it(cloud: Cloud) -> None:
    class Servers:
        async def uses(self, server_id: str, volume_id: str, attachment_id: str) -> bool:
            return server_id == SERVER

        async def grown(self, volume_id: str, size: int) -> None:
            raise AssertionError("nothing grows")

    cloud.service.servers = Servers()
    id_ = (await cloud.create())["id"]
    path = f"/attachments/{(await attach(cloud, id_, connector=CONNECTOR)).json['attachment']['id']}"
    assert (await cloud.ask("DELETE", path)).status == 409
    assert (await cloud.act(id_, "os-detach", {})).status == 409
    assert (await cloud.ask("DELETE", path, headers={"X-Service-Token": "service"})).status == 200


async def test_no_attachment_of_a_volume_in_error(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    path = f"/attachments/{(await attach(cloud, id_)).json['attachment']['id']}"
    await cloud.act(id_, "os-reset_status", {"status": "error"}, "admin@ops")
    assert (await attach(cloud, id_)).status == 400
    assert (await cloud.ask("PUT", path, {"attachment": {"connector": CONNECTOR}})).status == 409


@pytest.mark.parametrize(
    "asked",
    [
        {"volume_uuid": "x"},
        {"instance_uuid": "x"},
        {"mode": "wo"},
        {"colour": "red"},
        {"connector": {"host": 1}},
        {"connector": {"mode": "wo"}},
    ],
)
async def test_what_is_wrong(cloud: Cloud, asked: dict[str, Any]) -> None:
    id_ = (await cloud.create())["id"]
    answer = await cloud.ask("POST", "/attachments", {"attachment": {"volume_uuid": id_, **asked}})
    assert answer.status == 400
    assert (await cloud.show(id_))["status"] == "available"


async def test_a_host_that_is_told_late_takes_no_completion_back(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever completes it was faster than the change that was asked for before."""
    id_ = (await cloud.create())["id"]
    path = f"/attachments/{(await attach(cloud, id_)).json['attachment']['id']}"
    name = "gateway.volumes.attachments.change_volume"

    async def late(*args: Any) -> Volume:
        monkeypatch.setattr(name, change_volume)
        assert (await cloud.ask("POST", f"{path}/action", {"os-complete": None})).status == 204
        return await change_volume(*args)

    monkeypatch.setattr(name, late)
    answer = await cloud.ask("PUT", path, {"attachment": {"connector": CONNECTOR}})
    assert (answer.status, answer.json["attachment"]["status"]) == (200, "attached")
    assert (await cloud.show(id_))["status"] == "in-use"
