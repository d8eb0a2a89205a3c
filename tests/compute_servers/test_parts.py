"""Parts of servers: locks, metadata, tags, what was done, volumes and network cards, images and backups, and other
systems."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from tests.compute_servers.cloud import Cloud
from tests.compute_servers.standing import check_parts

ADMIN = "admin@blue"
ZERO = Flavor(id="1", name="as large as the image", vcpus=1, ram=512, disk=0)
NOBODY = "11111111-1111-4111-8111-111111111111"


def held(cloud: Cloud, id_: str) -> Server:
    return cloud.compute.store.records.servers.require(id_)


# -- locks -------------------------------------------------------------------------------------------------------


async def test_a_locked_server_is_left_alone_by_all_but_administrators(cloud: Cloud) -> None:
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    await cloud.act(id_, "lock", {"locked_reason": "do not touch"}, version="2.73")
    shown = await cloud.show(id_)
    assert (shown["locked"], shown["locked_reason"]) == (True, "do not touch")
    for action, said in (
        ("os-stop", None), ("reboot", {"type": "HARD"}), ("pause", None), ("suspend", None), ("shelve", None),
        ("resize", {"flavorRef": "2"}), ("rebuild", {"imageRef": held(cloud, id_).image_id}), ("rescue", None),
        ("createImage", {"name": "x"}), ("forceDelete", None), ("changePassword", {"adminPass": "x"}),
    ):  # fmt: skip
        assert await cloud.refused(409, "POST", f"/servers/{id_}/action", {action: said}) == f"Instance {id_} is locked"
    attach = {"volumeAttachment": {"volumeId": volume}}
    for method, path, body in (
        ("DELETE", "", None), ("POST", "/os-volume_attachments", attach), ("POST", "/os-interface", {}),
        ("POST", "/metadata", {"metadata": {"a": "b"}}), ("PUT", "/tags/a", None),
    ):  # fmt: skip
        await cloud.refused(409, method, f"/servers/{id_}{path}", body)
    assert (await cloud.show_volume(volume))["status"] == "available"
    assert [one["status"] for one in [await cloud.show(id_)]] == ["ACTIVE"]
    await cloud.act(id_, "os-stop", token=ADMIN)
    await cloud.settled(id_, "SHUTOFF")
    rows = (await cloud.done("GET", "/servers?locked=true"))["servers"]
    assert [row["id"] for row in rows] == [id_]
    await cloud.act(id_, "unlock")
    assert (await cloud.show(id_))["locked_reason"] is None
    await cloud.act(id_, "os-start")
    await cloud.settled(id_, "ACTIVE")


async def test_what_an_administrator_locked_its_owner_does_not_unlock(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.act(id_, "lock", token="admin@green")
    await cloud.refused(403, "POST", f"/servers/{id_}/action", {"unlock": None})
    await cloud.act(id_, "lock")
    await cloud.refused(403, "POST", f"/servers/{id_}/action", {"unlock": None})
    await cloud.act(id_, "unlock", token=ADMIN)


# -- metadata and tags -------------------------------------------------------------------------------------------


async def test_metadata(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image(), metadata={"a": "1"})
    path = f"/servers/{id_}/metadata"
    assert await cloud.done("POST", path, {"metadata": {"b": "2"}}) == {"metadata": {"a": "1", "b": "2"}}
    assert await cloud.done("PUT", path, {"metadata": {"c": "3"}}) == {"metadata": {"c": "3"}}
    assert await cloud.done("PUT", f"{path}/d", {"meta": {"d": "4"}}) == {"meta": {"d": "4"}}
    assert await cloud.done("GET", f"{path}/d") == {"meta": {"d": "4"}}
    await cloud.done("DELETE", f"{path}/d")
    for status, method, where, body in (
        (404, "GET", f"{path}/d", None), (404, "DELETE", f"{path}/d", None),
        (400, "PUT", f"{path}/d", {"meta": {"e": "4"}}), (400, "PUT", f"{path}/d", {"meta": {"d": "4", "e": "5"}}),
        (400, "PUT", f"{path}/d", {"meta": {}}), (400, "POST", path, {"metadata": {"é": "x"}}),
        (400, "POST", path, {"metadata": {"a" * 256: "x"}}), (400, "POST", path, {"metadata": {"a": 7}}),
        (400, "POST", path, {}), (400, "POST", path, {"metadata": None}),
        (403, "POST", path, {"metadata": {f"k{number}": "" for number in range(128)}}),
    ):  # fmt: skip
        await cloud.refused(status, method, where, body)
    assert await cloud.done("GET", path) == {"metadata": {"c": "3"}}
    rows = (await cloud.done("GET", "/servers?metadata=" + json.dumps({"c": "3"})))["servers"]
    assert [row["id"] for row in rows] == [id_]


async def test_tags(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image(), tags=["b"])
    path = f"/servers/{id_}/tags"
    assert (await cloud.ask("PUT", f"{path}/a")).status == 201
    assert (await cloud.ask("PUT", f"{path}/a")).status == 204
    assert await cloud.done("GET", path) == {"tags": ["a", "b"]}
    for query, finds in (
        ("tags=a,b", True), ("tags=a,c", False), ("tags-any=a,c", True), ("not-tags=a,b", False),
        ("not-tags-any=c", True),
    ):  # fmt: skip
        rows = (await cloud.done("GET", f"/servers?{query}"))["servers"]
        assert bool(rows) is finds, query
    await cloud.done("DELETE", f"{path}/a")
    await cloud.refused(404, "DELETE", f"{path}/a")
    assert (await cloud.ask("GET", f"{path}/a")).status == 404
    await cloud.refused(400, "PUT", f"{path}/{'a' * 61}")
    await cloud.refused(400, "PUT", path, {"tags": [str(number) for number in range(51)]})
    await cloud.done("PUT", path, {"tags": [str(number) for number in range(50)]})
    await cloud.refused(400, "PUT", f"{path}/more")
    await cloud.done("DELETE", path)
    assert await cloud.done("GET", path) == {"tags": []}
    assert (await cloud.ask("GET", path, version="2.25")).status == 404


# -- what was done -----------------------------------------------------------------------------------------------


async def test_what_was_done_is_told(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    path = f"/servers/{id_}/os-instance-actions"
    rows = (await cloud.done("GET", path))["instanceActions"]
    assert [(row["action"], row["message"], row["user_id"]) for row in rows] == [
        ("stop", None, "member-id"),
        ("create", None, "member-id"),
    ]
    one = (await cloud.done("GET", f"{path}/{rows[1]['request_id']}"))["instanceAction"]
    (event,) = one["events"]
    assert (event["event"], event["result"]) == ("compute__do_build_and_run_instance", "Success")
    assert event["start_time"] <= event["finish_time"]
    assert "host" not in event
    (event,) = (await cloud.done("GET", f"{path}/{rows[1]['request_id']}", token=ADMIN))["instanceAction"]["events"]
    assert event["host"] == "one"
    page = await cloud.done("GET", f"{path}?limit=1")
    assert len(page["instanceActions"]) == 1
    assert page["links"][0]["rel"] == "next"
    await cloud.refused(404, "GET", f"{path}/req-none")
    await cloud.refused(400, "GET", f"{path}?changes-since=yesterday")
    assert (await cloud.done("GET", f"{path}?changes-since=2099-01-01T00:00:00Z"))["instanceActions"] == []
    await cloud.refused(404, "GET", path, token="member@green")


# -- volumes and network cards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ACTIVE", "SHUTOFF", "PAUSED", "VERIFY_RESIZE", "SHELVED_OFFLOADED"])
async def test_a_volume_comes_and_goes(cloud: Cloud, state: str) -> None:
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    actions: dict[str, tuple[str, Any]] = {
        "SHUTOFF": ("os-stop", None), "PAUSED": ("pause", None), "VERIFY_RESIZE": ("resize", {"flavorRef": "2"}),
        "SHELVED_OFFLOADED": ("shelve", None),
    }  # fmt: skip
    if state != "ACTIVE":
        await cloud.act(id_, *actions[state])
        await cloud.settled(id_, state)
    path = f"/servers/{id_}/os-volume_attachments"
    said = {"volumeId": volume, "device": "/dev/vdq", "tag": "data", "delete_on_termination": False}
    made = (await cloud.done("POST", path, {"volumeAttachment": said}))["volumeAttachment"]
    assert (made["volumeId"], made["device"], made["tag"]) == (volume, "/dev/vdq", "data")
    await cloud.settled(id_, state)
    runs = id_ in cloud.hypervisors["one"].running
    assert not runs or "vdq" in cloud.hypervisors["one"].running[id_].disks
    assert (await cloud.show_volume(volume))["status"] == "in-use"
    await cloud.refused(400, "POST", path, {"volumeAttachment": {"volumeId": volume}})
    assert [row["volumeId"] for row in (await cloud.done("GET", path))["volumeAttachments"]] == [volume]
    await cloud.done(
        "PUT", f"{path}/{volume}", {"volumeAttachment": {"volumeId": volume, "delete_on_termination": True}}
    )
    assert (await cloud.done("GET", f"{path}/{volume}"))["volumeAttachment"]["delete_on_termination"] is True
    off = {"volumeAttachment": {"volumeId": volume, "delete_on_termination": False}}
    await cloud.done("PUT", f"{path}/{volume}", off)
    await cloud.done("DELETE", f"{path}/{volume}")
    await cloud.settled(id_, state)
    assert (await cloud.show_volume(volume))["status"] == "available"
    await cloud.refused(404, "DELETE", f"{path}/{volume}")
    await cloud.refused(404, "GET", f"{path}/{volume}")


async def test_a_volume_that_came_while_its_server_was_shelved(cloud: Cloud) -> None:
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    await cloud.act(id_, "shelve")
    await cloud.settled(id_, "SHELVED_OFFLOADED")
    await cloud.done("POST", f"/servers/{id_}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
    await cloud.settled(id_, "SHELVED_OFFLOADED")
    await cloud.act(id_, "unshelve")
    await cloud.settled(id_, "ACTIVE")
    assert "vdb" in cloud.hypervisors["one"].running[id_].disks
    (attachment,) = (await cloud.show_volume(volume))["attachments"]
    assert (attachment["server_id"], attachment["host_name"]) == (id_, "one")


async def test_what_volumes_are_refused_for(cloud: Cloud) -> None:
    image = await cloud.image()
    id_, volume = await cloud.server(image), await cloud.volume()
    path = f"/servers/{id_}/os-volume_attachments"
    await cloud.refused(404, "POST", path, {"volumeAttachment": {"volumeId": NOBODY}})
    await cloud.refused(404, "POST", path, {"volumeAttachment": {"volumeId": await cloud.volume("green")}})
    for said in ({}, {"volumeId": "x"}, {"volumeId": volume, "more": 1}, {"volumeId": volume, "tag": "a,b"}):
        await cloud.refused(400, "POST", path, {"volumeAttachment": said})
    await cloud.refused(400, "POST", path, {"volumeAttachment": {"volumeId": volume, "tag": "a"}}, version="2.48")
    await cloud.act(id_, "suspend")
    await cloud.settled(id_, "SUSPENDED")
    await cloud.refused(409, "POST", path, {"volumeAttachment": {"volumeId": volume}})
    assert (await cloud.show_volume(volume))["status"] == "available"
    disks = [{
        "source_type": "image", "destination_type": "volume", "uuid": image, "volume_size": 1, "boot_index": 0,
        "delete_on_termination": True,
    }]  # fmt: skip
    of_volume = await cloud.server("", block_device_mapping_v2=disks)
    root = held(cloud, of_volume).disks[0].volume_id
    await cloud.refused(400, "DELETE", f"/servers/{of_volume}/os-volume_attachments/{root}")


@pytest.mark.parametrize("status", ["in-use", "error"])
async def test_the_compute_service_alone_takes_a_volume_from_a_server(cloud: Cloud, status: str) -> None:
    """https://security.openstack.org/ossa/OSSA-2023-003.html"""
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    await cloud.done("POST", f"/servers/{id_}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
    await cloud.settled(id_, "ACTIVE")
    action = f"/volume/v3/volumes/{volume}/action"
    (attachment,) = (await cloud.show_volume(volume))["attachments"]
    one = attachment["attachment_id"]
    if status == "error":
        assert (await cloud.ask_volumes("POST", action, {"os-reset_status": {"status": "error"}})).status == 202
    for method, path, body in (
        ("POST", action, {"os-detach": {}}),
        ("POST", action, {"os-detach": {"attachment_id": one}}),
        ("POST", action, {"os-terminate_connection": {"connector": {}}}),
        ("POST", action, {"os-force_detach": {"connector": None, "attachment_id": one}}),
        ("DELETE", f"/volume/v3/attachments/{one}", None),
    ):
        answer = await cloud.ask_volumes(method, path, body)
        assert (answer.status, b"using the Compute API" in answer.body) == (409, True), (path, body, answer)
    assert (await cloud.show_volume(volume))["attachments"] == [attachment]
    if status == "error":
        assert (await cloud.ask_volumes("POST", action, {"os-reset_status": {"status": "in-use"}})).status == 202
    await cloud.done("DELETE", f"/servers/{id_}/os-volume_attachments/{volume}")
    await cloud.volume_is(volume, "available")


async def test_what_is_attached_twice_at_once_is_there_once(cloud: Cloud) -> None:
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    port = await cloud.port(await cloud.network())
    statuses: list[int] = []

    async def ask(path: str, body: dict[str, Any]) -> None:
        statuses.append((await cloud.ask("POST", f"/servers/{id_}/{path}", body)).status)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask, "os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
            nursery.start_soon(ask, "os-interface", {"interfaceAttachment": {"port_id": port}})
    assert sorted(statuses)[:2] == [200, 200]
    assert set(statuses[2:]) <= {200, 400, 409}
    await cloud.settled(id_, "ACTIVE")
    assert [disk.volume_id for disk in held(cloud, id_).disks if disk.volume_id] == [volume]
    assert [nic.port_id for nic in held(cloud, id_).nics] == [port]
    await check_parts(cloud)


@pytest.mark.parametrize("device", ["/dev/vd'", "a b", "", "/dev/", "../x", "vda><", 7, "x" * 300])
async def test_devices_whose_names_are_none(cloud: Cloud, device: Any) -> None:
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    body = {"volumeAttachment": {"volumeId": volume, "device": device}}
    await cloud.refused(400, "POST", f"/servers/{id_}/os-volume_attachments", body)
    assert (await cloud.show_volume(volume))["status"] == "available"


@pytest.mark.parametrize("state", ["ACTIVE", "SHUTOFF", "PAUSED"])
async def test_a_network_card_comes_and_goes(cloud: Cloud, state: str) -> None:
    network = await cloud.network()
    id_ = await cloud.server(await cloud.image())
    if state != "ACTIVE":
        await cloud.act(id_, *{"SHUTOFF": ("os-stop",), "PAUSED": ("pause",)}[state])
        await cloud.settled(id_, state)
    path = f"/servers/{id_}/os-interface"
    said = {"net_id": network, "fixed_ips": [{"ip_address": "10.0.0.99"}], "tag": "nic"}
    made = (await cloud.done("POST", path, {"interfaceAttachment": said}))["interfaceAttachment"]
    assert made["fixed_ips"][0]["ip_address"] == "10.0.0.99"
    await cloud.settled(id_, state)
    nics = cloud.hypervisors["one"].running[id_].nics if state != "SHUTOFF" else {}
    assert list(nics) == ([made["mac_addr"]] if state != "SHUTOFF" else [])
    port = await cloud.port(network)
    await cloud.done("POST", path, {"interfaceAttachment": {"port_id": port}})
    await cloud.settled(id_, state)
    assert len((await cloud.done("GET", path))["interfaceAttachments"]) == 2
    for one in (made["port_id"], port):
        await cloud.done("DELETE", f"{path}/{one}")
        await cloud.settled(id_, state)
    assert (await cloud.done("GET", path))["interfaceAttachments"] == []
    ports = [one for one in cloud.networks.store.records.ports if one.device_owner in ("", "compute:nova")]
    assert [(one.id, one.device_id) for one in ports] == [(port, "")]
    await cloud.refused(404, "DELETE", f"{path}/{port}")


async def test_what_network_cards_are_refused_for(cloud: Cloud) -> None:
    network = await cloud.network()
    id_ = await cloud.server(await cloud.image())
    port = await cloud.port(network)
    path = f"/servers/{id_}/os-interface"
    for said in (
        {"net_id": network, "port_id": port}, {"net_id": NOBODY}, {"port_id": NOBODY}, {"net_id": "x"}, {"more": 1},
        {"fixed_ips": [{"ip_address": "10.0.0.9"}]}, {"net_id": network, "fixed_ips": []},
        {"net_id": network, "fixed_ips": [{"ip_address": "300.0.0.1"}]},
        {"net_id": network, "fixed_ips": [{"ip_address": "192.0.2.1"}]}, {"net_id": network, "tag": "a/b"},
    ):  # fmt: skip
        await cloud.refused(400, "POST", path, {"interfaceAttachment": said})
    await cloud.act(id_, "suspend")
    await cloud.settled(id_, "SUSPENDED")
    await cloud.refused(409, "POST", path, {"interfaceAttachment": {"net_id": network}})
    await cloud.refused(409, "POST", path, {"interfaceAttachment": {"port_id": port}})
    ports = [one for one in cloud.networks.store.records.ports if one.device_owner in ("", "compute:nova")]
    assert [(one.id, one.device_id) for one in ports] == [(port, "")]


# -- images and backups ------------------------------------------------------------------------------------------


async def test_an_image_of_a_server_is_booted(cloud: Cloud) -> None:
    await cloud.flavors(ZERO)
    id_ = await cloud.server(await cloud.image(hw_disk_bus="scsi"), token=ADMIN)
    async with cloud.store.open(held(cloud, id_).disks[0].store_name) as disk:
        await disk.write(0, b"changed ")
    made = await cloud.act(id_, "createImage", {"name": "copy", "metadata": {"purpose": "test"}})
    await cloud.settled(id_, "ACTIVE")
    shown = await cloud.show_image(made["image_id"])
    assert (shown["status"], shown["purpose"], shown["image_type"]) == ("active", "test", "snapshot")
    assert (shown["instance_uuid"], shown["hw_disk_bus"], shown["min_disk"]) == (id_, "scsi", 0)
    copy = await cloud.server(made["image_id"], token=ADMIN)
    async with cloud.store.open(held(cloud, copy).disks[0].store_name) as disk:
        assert b"".join(map(bytes, await disk.read(0, 8))) == b"changed "
    old = await cloud.ask("POST", f"/servers/{id_}/action", {"createImage": {"name": "x"}}, version="2.44")
    assert old.body == b""
    assert "/image/v2/images/" in old.headers["location"]
    for said in ({}, {"name": ""}, {"name": "x", "more": 1}, {"name": "x", "metadata": {"é": "x"}}):
        await cloud.refused(400, "POST", f"/servers/{id_}/action", {"createImage": said})


async def test_of_backups_the_newest_are_kept(cloud: Cloud) -> None:
    await cloud.flavors(ZERO)
    id_ = await cloud.server(await cloud.image(), token=ADMIN)
    made = []
    for number in range(3):
        asked = {"name": f"b{number}", "backup_type": "daily", "rotation": 2}
        made.append((await cloud.act(id_, "createBackup", asked))["image_id"])
        await cloud.settled(id_, "ACTIVE")
        cloud.clock.advance(1)
    statuses = [(await cloud.show_image(one))["status"] for one in made]
    assert statuses == ["gone", "active", "active"]
    weekly = (await cloud.act(id_, "createBackup", {"name": "w", "backup_type": "weekly", "rotation": 1}))["image_id"]
    await cloud.settled(id_, "ACTIVE")
    assert [(await cloud.show_image(one))["status"] for one in (*made[1:], weekly)] == ["active"] * 3
    await cloud.act(id_, "createBackup", {"name": "x", "backup_type": "daily", "rotation": 0})
    await cloud.settled(id_, "ACTIVE")
    assert [(await cloud.show_image(one))["status"] for one in made] == ["gone"] * 3
    wrong: list[dict[str, Any]] = [{"rotation": -1}, {"rotation": "x"}, {"rotation": 2**31}, {"backup_type": 7}]
    for said in wrong:
        body = {"createBackup": {"name": "x", "backup_type": "daily", "rotation": 1, **said}}
        await cloud.refused(400, "POST", f"/servers/{id_}/action", body)


# -- other systems -----------------------------------------------------------------------------------------------


async def test_what_is_answered_to_a_rebuild_has_user_data_once(cloud: Cloud) -> None:
    image = await cloud.image()
    id_ = await cloud.server(image)
    answered = await cloud.act(id_, "rebuild", {"imageRef": image, "user_data": "YQ=="}, token="admin@blue")
    assert [name for name in answered["server"] if name.endswith("user_data")] == ["user_data"]


async def test_a_server_is_rebuilt(cloud: Cloud) -> None:
    first, other = await cloud.image(), await cloud.image(b"other system")
    id_ = await cloud.server(first)
    said = {"imageRef": other, "name": "new", "metadata": {"a": "b"}, "description": "d", "user_data": "YQ=="}
    shown = (await cloud.act(id_, "rebuild", said, version="2.74"))["server"]
    assert shown["server_groups"] == []
    assert shown["user_data"] == "YQ=="
    assert (shown["status"], shown["name"], shown["image"]["id"]) == ("REBUILD", "new", other)
    assert shown["adminPass"]
    await cloud.settled(id_, "ACTIVE")
    server = held(cloud, id_)
    async with cloud.store.open(server.disks[0].store_name) as disk:
        assert b"".join(map(bytes, await disk.read(0, 12))) == b"other system"
    assert [name for name in cloud.store.volumes if name.startswith("server-")] == [server.disks[0].store_name]
    path = f"/servers/{id_}/action"
    for version, bad in (
        ("2.96", {}), ("2.96", {"imageRef": NOBODY}), ("2.18", {"imageRef": other, "description": "x"}),
        ("2.53", {"imageRef": other, "key_name": None}), ("2.56", {"imageRef": other, "user_data": None}),
        ("2.89", {"imageRef": other, "hostname": "x1"}), ("2.96", {"imageRef": other, "personality": []}),
        ("2.96", {"imageRef": other, "key_name": "none"}),
    ):  # fmt: skip
        await cloud.refused(400, "POST", path, {"rebuild": bad}, version=version)
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    await cloud.act(id_, "rebuild", {"imageRef": first})
    await cloud.settled(id_, "SHUTOFF")


async def test_a_volume_that_a_server_boots_from_is_rebuilt_from_2_93_on(cloud: Cloud) -> None:
    image, other = await cloud.image(), await cloud.image(b"other system")
    disks = [{"source_type": "image", "destination_type": "volume", "uuid": image, "volume_size": 1, "boot_index": 0}]
    id_ = await cloud.server("", block_device_mapping_v2=disks)
    await cloud.refused(400, "POST", f"/servers/{id_}/action", {"rebuild": {"imageRef": other}}, version="2.92")
    volume = held(cloud, id_).disks[0].volume_id
    await cloud.act(id_, "rebuild", {"imageRef": other}, version="2.93")
    await cloud.settled(id_, "ACTIVE")
    async with cloud.store.open(f"volume-{volume}") as disk:
        assert b"".join(map(bytes, await disk.read(0, 12))) == b"other system"
    assert (await cloud.show_volume(volume))["status"] == "in-use"


async def test_a_server_is_rescued_from_another_system(cloud: Cloud) -> None:
    image, other = await cloud.image(), await cloud.image(b"rescue system")
    id_ = await cloud.server(image)
    answer = await cloud.act(id_, "rescue", {"rescue_image_ref": other, "adminPass": "secret"})
    assert answer == {"adminPass": "secret"}
    await cloud.settled(id_, "RESCUE")
    disks = {one.boot: one for one in cloud.hypervisors["one"].running[id_].guest.disks}
    async with cloud.store.open(disks[1].export) as disk:
        assert b"".join(map(bytes, await disk.read(0, 13))) == b"rescue system"
    assert (disks[1].target, disks[2].target) == ("vda", "vdb")
    path = f"/servers/{id_}/action"
    for action, said in (("rescue", None), ("os-stop", None), ("reboot", {"type": "HARD"}), ("pause", None)):
        await cloud.refused(409, "POST", path, {action: said})
    await cloud.act(id_, "unrescue")
    await cloud.settled(id_, "ACTIVE")
    assert [one.target for one in cloud.hypervisors["one"].running[id_].guest.disks] == ["vda"]
    assert len([name for name in cloud.store.volumes if name.startswith("server-")]) == 1
    await cloud.refused(409, "POST", path, {"unrescue": None})
    await cloud.refused(400, "POST", path, {"rescue": {"rescue_image_ref": NOBODY}})


async def test_while_one_thing_is_done_another_is_refused(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    cloud.hosts["one"].end()
    await cloud.act(id_, "os-stop")
    path = f"/servers/{id_}/action"
    for action, said in (("os-stop", None), ("os-start", None), ("reboot", {"type": "SOFT"}), ("pause", None)):
        message = await cloud.refused(409, "POST", path, {action: said})
        assert message.startswith("Cannot '")
        assert id_ in message
    await cloud.act(id_, "os-resetState", {"state": "error"}, token=ADMIN)
    actions = (await cloud.done("GET", f"/servers/{id_}/os-instance-actions"))["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("stop", "Error")
    await cloud.act(id_, "os-stop")
    await cloud.host("one")
    await cloud.settled(id_, "SHUTOFF")


async def test_an_image_that_was_begun_is_abandoned_with_its_server(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    cloud.hosts["one"].end()
    image = (await cloud.act(id_, "createImage", {"name": "copy"}))["image_id"]
    assert (await cloud.show_image(image))["status"] == "queued"
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.host("one")
    await cloud.settled(id_, "gone")
    assert (await cloud.show_image(image))["status"] == "gone"
    other = await cloud.server(await cloud.image())
    cloud.hosts["one"].end()
    image = (await cloud.act(other, "createImage", {"name": "copy"}))["image_id"]
    await cloud.act(other, "os-resetState", {"state": "active"}, token=ADMIN)
    assert (await cloud.show_image(image))["status"] == "gone"


async def test_a_server_from_before_records_had_their_fields_is_none_that_breaks_lists(cloud: Cloud) -> None:
    """One whose image, flavor and key are gone by now."""
    image = await cloud.image()
    id_ = await cloud.server(image)
    await cloud.delete_image(image)

    def step(records: Records) -> None:
        for one in list(records.flavors):
            records.flavors.delete(one.id)

    await cloud.compute.store.change(step)
    (row,) = (await cloud.done("GET", "/servers/detail"))["servers"]
    assert (row["id"], row["flavor"]["original_name"], row["image"]["id"]) == (id_, "m1.tiny", image)


async def test_the_old_actions_on_addresses(cloud: Cloud) -> None:
    network = await cloud.network()
    id_ = await cloud.server(await cloud.image(), networks=[{"uuid": network}])
    path = f"/servers/{id_}/action"
    (port,) = cloud.networks.store.records.ports.by("device", id_)
    first = port.fixed_ips[0].address
    assert (await cloud.ask("POST", path, {"addFixedIp": {"networkId": network}}, version="2.1")).status == 202
    addresses = {one["addr"] for one in (await cloud.show(id_))["addresses"]["private"]}
    assert len(addresses) == 2
    (second,) = addresses - {first}
    assert (await cloud.ask("POST", path, {"removeFixedIp": {"address": second}}, version="2.1")).status == 202
    assert {one["addr"] for one in (await cloud.show(id_))["addresses"]["private"]} == {first}
    await cloud.refused(400, "POST", path, {"removeFixedIp": {"address": second}}, version="2.1")
    await cloud.refused(400, "POST", path, {"addFixedIp": {"networkId": id_}}, version="2.1")
    await cloud.refused(404, "POST", path, {"addFloatingIp": {"address": "192.0.2.9"}}, version="2.1")
    await cloud.refused(404, "POST", path, {"removeFloatingIp": {"address": "192.0.2.9"}}, version="2.1")
    await cloud.refused(400, "POST", path, {"addFloatingIp": {"address": "nowhere"}}, version="2.1")
    await cloud.refused(400, "POST", path, {"addFloatingIp": {"address": "192.0.2.9"}}, version="2.44")


async def test_a_rebuilt_server_is_shown_as_before_it_had_all(cloud: Cloud) -> None:
    image, network = await cloud.image(), await cloud.network()
    id_ = await cloud.server(image, networks=[{"uuid": network}])
    answer = await cloud.ask("POST", f"/servers/{id_}/action", {"rebuild": {"imageRef": image}}, version="2.1")
    assert answer.status == 202, answer.body
    assert set(answer.json["server"]["addresses"]["private"][0]) == {"version", "addr"}
    await cloud.settled(id_, "ACTIVE")
    for action, held_ in (("lock", {}), ("lock", None), ("unlock", {})):
        answer = await cloud.ask("POST", f"/servers/{id_}/action", {action: held_}, version="2.1")
        assert answer.status == 202, answer.body
