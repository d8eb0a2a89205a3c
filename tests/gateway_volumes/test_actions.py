"""Actions of volumes: attachments of old, size, flags, type, status, images."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.rest.images import MAPPING
from tests.gateway_volumes.cloud import Cloud

GIB = 1024**3
SERVER = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa7"
IMAGE = "3fa85f64-5717-4562-b3fc-2c963f66afa8"
MISSING = "3fa85f64-5717-4562-b3fc-2c963f66afa9"


async def act(cloud: Cloud, id_: str, *actions: tuple[str, Any, int], token: str = "member@blue") -> None:
    for action, arguments, status in actions:
        answer = await cloud.act(id_, action, arguments, token)
        assert answer.status == status, (action, answer.body)


async def status(cloud: Cloud, id_: str) -> str:
    return str((await cloud.show(id_))["status"])


async def test_reserve_attach_and_detach(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    attach = {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"}
    await act(cloud, id_, ("os-reserve", None, 202), ("os-reserve", None, 400))
    assert await status(cloud, id_) == "attaching"
    await act(cloud, id_, ("os-unreserve", None, 202))
    assert await status(cloud, id_) == "available"
    await act(cloud, id_, ("os-reserve", {}, 202), ("os-attach", attach, 202), ("os-attach", attach, 202))
    volume = await cloud.show(id_)
    (attachment,) = volume["attachments"]
    assert (volume["status"], volume["metadata"]) == ("in-use", {"attached_mode": "rw"})
    assert (attachment["server_id"], attachment["device"], attachment["volume_id"]) == (SERVER, "/dev/vdb", id_)
    await act(cloud, id_, ("os-attach", {"host_name": "h", "mountpoint": "/x"}, 400))
    assert (await cloud.ask("DELETE", f"/volumes/{id_}")).status == 400
    await act(cloud, id_, ("os-begin_detaching", None, 202), ("os-begin_detaching", None, 400))
    assert await status(cloud, id_) == "detaching"
    await act(cloud, id_, ("os-roll_detaching", None, 202))
    assert await status(cloud, id_) == "in-use"
    await act(cloud, id_, ("os-detach", {"attachment_id": OTHER}, 400), ("os-detach", {}, 202))
    assert await status(cloud, id_) == "available"


async def test_nothing_sticks_that_a_client_was_about_to_do(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await act(cloud, id_, ("os-reserve", None, 202))
    cloud.clock.advance(901)
    assert await status(cloud, id_) == "available"
    await act(cloud, id_, ("os-attach", {"host_name": "h", "mountpoint": "/x"}, 202), ("os-begin_detaching", {}, 202))
    cloud.clock.advance(901)
    assert await status(cloud, id_) == "in-use"


async def test_who_is_detached_by_force_is_cut_off_first(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await act(cloud, id_, ("os-attach", {"instance_uuid": SERVER, "mountpoint": "/x"}, 202))
    await act(cloud, id_, ("os-force_detach", {}, 403))
    await act(cloud, id_, ("os-reset_status", {"status": "error"}, 202), token="admin@ops")
    assert await status(cloud, id_) == "error"
    await act(cloud, id_, ("os-force_detach", {"connector": None, "attachment_id": None}, 202), token="admin@ops")
    assert cloud.exports.cut == [f"volume-{id_}"]
    volume = await cloud.show(id_)
    assert (volume["status"], volume["attachments"]) == ("available", [])


async def test_a_connection_says_where_the_volume_is(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    answer = await cloud.act(id_, "os-initialize_connection", {"connector": {"host": "h"}})
    info = answer.json["connection_info"]
    assert (info["driver_volume_type"], info["data"]["export"]) == ("nbd", f"volume-{id_}")
    assert (info["data"]["socket"], info["data"]["access_mode"]) == ("/data/nbd.sock", "rw")
    await act(cloud, id_, ("os-terminate_connection", {"connector": {}}, 202), ("os-initialize_connection", {}, 400))


async def test_read_only_and_bootable(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await act(cloud, id_, ("os-set_bootable", {"bootable": "True"}, 200), ("os-set_bootable", {}, 400))
    await act(cloud, id_, ("os-update_readonly_flag", {"readonly": True}, 202))
    volume = await cloud.show(id_)
    assert (volume["bootable"], volume["metadata"]) == ("true", {"readonly": "True"})
    await act(
        cloud,
        id_,
        ("os-attach", {"host_name": "h", "mountpoint": "/x", "mode": "rw"}, 400),
        ("os-attach", {"host_name": "h", "mountpoint": "/x", "mode": "ro"}, 202),
        ("os-update_readonly_flag", {"readonly": False}, 400),
    )


async def test_extend(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.service.quotas.set_limits("blue", {"gigabytes": 4})
    await act(
        cloud,
        id_,
        ("os-extend", {"new_size": 1}, 400),
        ("os-extend", {"new_size": 0}, 400),
        ("os-extend", {"new_size": 5}, 413),
        ("os-extend", {"new_size": "2"}, 202),
    )
    assert (await cloud.settled(id_))["size"] == 2
    assert (await cloud.store.row(f"volume-{id_}")).size == 2 * GIB
    await act(cloud, id_, ("os-attach", {"host_name": "h", "mountpoint": "/x"}, 202))
    assert (await cloud.act(id_, "os-extend", {"new_size": 3}, version="3.41")).status == 400
    await act(cloud, id_, ("os-extend", {"new_size": 3}, 202))
    assert ((await cloud.settled(id_))["size"], await status(cloud, id_)) == (3, "in-use")
    assert await cloud.used() == {"volumes": 1, "gigabytes": 3}


@pytest.mark.parametrize("declared", ["creating", "attaching", "error", "maintenance"])
async def test_an_administrator_declares_and_deletes(cloud: Cloud, declared: str) -> None:
    id_ = (await cloud.create())["id"]
    await act(cloud, id_, ("os-reset_status", {"status": declared}, 403))
    await act(cloud, id_, ("os-reset_status", {"status": declared}, 202), token="admin@ops")
    assert await status(cloud, id_) == declared
    await act(cloud, id_, ("os-force_delete", {}, 403))
    await act(cloud, id_, ("os-force_delete", {}, 202), token="admin@ops")
    await cloud.gone(id_)
    assert await cloud.used() == {}


async def test_an_administrator_cannot_declare_what_is_not(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await act(
        cloud,
        id_,
        ("os-reset_status", {"status": "in-use"}, 400),
        ("os-reset_status", {"status": "deleting"}, 400),
        ("os-reset_status", {"status": "fine"}, 400),
        ("os-reset_status", {}, 400),
        token="admin@ops",
    )
    await act(cloud, id_, ("os-attach", {"host_name": "h", "mountpoint": "/x"}, 202))
    await act(cloud, id_, ("os-reset_status", {"status": "available"}, 202), token="admin@ops")
    assert await status(cloud, id_) == "in-use"
    await act(cloud, id_, ("os-reset_status", {"attach_status": "detached"}, 202), token="admin@ops")
    assert (await status(cloud, id_), cloud.exports.cut) == ("available", [f"volume-{id_}"])


async def test_retype_within_a_policy_and_to_another(cloud: Cloud) -> None:
    volume = await cloud.create()
    id_ = volume["id"]
    await cloud.write(id_, b"bytes")
    specs = {"drystone:policy": "standard", "multiattach": "<is> True"}
    body = {"volume_type": {"name": "shared", "extra_specs": specs}}
    shared = (await cloud.ask("POST", "/types", body, "admin@ops")).json["volume_type"]["id"]
    await act(cloud, id_, ("os-retype", {"new_type": "standard"}, 400), ("os-retype", {"new_type": "none"}, 400))
    await act(cloud, id_, ("os-retype", {"new_type": "shared"}, 202))
    volume = await cloud.show(id_)
    assert (volume["volume_type"], volume["multiattach"], volume["status"]) == ("shared", True, "available")
    standing = await cloud.service.quotas.show("blue")
    assert standing[f"volumes_{shared}"].in_use == 1
    await act(cloud, id_, ("os-retype", {"new_type": "fast"}, 400))
    await act(cloud, id_, ("os-retype", {"new_type": "fast", "migration_policy": "on-demand"}, 202))
    volume = await cloud.settled(id_)
    assert (volume["volume_type"], volume["status"]) == ("fast", "available")
    assert (await cloud.store.row(f"volume-{id_}")).policy == "fast"
    assert await cloud.read(f"volume-{id_}", 5) == b"bytes"
    assert set(cloud.store.volumes) == {f"volume-{id_}"}
    standing = await cloud.service.quotas.show("blue")
    assert {name: one.in_use for name, one in standing.items() if one.in_use} == {
        "volumes": 1,
        "gigabytes": 1,
        f"volumes_{volume['volume_type_id']}": 1,
        f"gigabytes_{volume['volume_type_id']}": 1,
    }


async def test_a_volume_of_an_image(cloud: Cloud) -> None:
    await cloud.images.add(IMAGE, min_disk=2)
    for said in (IMAGE, f"http://images/v2/images/{IMAGE}", f"name of {IMAGE}"):
        assert (await cloud.ask("POST", "/volumes", {"volume": {"size": 1, "imageRef": said}})).status == 400
    assert (await cloud.ask("POST", "/volumes", {"volume": {"imageRef": IMAGE}})).status == 400
    volume = await cloud.create(size=2, imageRef=IMAGE)
    assert (volume["status"], volume["bootable"]) == ("available", "true")
    assert volume["volume_image_metadata"]["image_id"] == IMAGE
    assert volume["volume_image_metadata"]["os"] == "x"
    assert await cloud.read(f"volume-{volume['id']}", 36) == IMAGE.encode()
    row = await cloud.store.row(f"volume-{volume['id']}")
    assert (row.size, row.window_us) == (2 * GIB, 900_000_000)


async def test_a_volume_of_an_image_of_a_server_whose_root_is_a_volume(cloud: Cloud) -> None:
    """Such an image has no bytes: what it is of is in the snapshot that it names."""
    root = (await cloud.create(size=2))["id"]
    await cloud.write(root, b"root")
    snapshot = (await cloud.snapshot(root))["id"]
    other = {"source_type": "snapshot", "snapshot_id": MISSING, "boot_index": None}
    boot = {"source_type": "snapshot", "snapshot_id": snapshot, "boot_index": 0}
    empty = await cloud.images.add(IMAGE)
    mapping = {MAPPING: json.dumps([other, boot])}
    cloud.images.images[IMAGE] = replace(empty, size=0, virtual_size=0, volume="", snapshot="", properties=mapping)
    volume = await cloud.create(imageRef=IMAGE, size=None)
    assert (volume["size"], volume["snapshot_id"], volume["status"]) == (2, snapshot, "available")
    assert await cloud.read(f"volume-{volume['id']}", 4) == b"root"
    assert (await cloud.act(volume["id"], "os-reimage", {"image_id": IMAGE})).status == 400
    for held, status in (
        (json.dumps([{**boot, "snapshot_id": MISSING}]), 404),
        (json.dumps([{**boot, "snapshot_id": None}]), 404),
        ("[" * 100_000, 400),
        ("no JSON", 400),
    ):
        cloud.images.images[IMAGE] = replace(cloud.images.images[IMAGE], properties={MAPPING: held})
        answer = await cloud.ask("POST", "/volumes", {"volume": {"size": 2, "imageRef": IMAGE}})
        assert answer.status == status, held[:100]


async def test_an_image_that_fails(cloud: Cloud) -> None:
    await cloud.images.add(IMAGE)
    answer = await cloud.ask("POST", "/volumes", {"volume": {"size": 1, "imageRef": IMAGE}})
    del cloud.images.images[IMAGE]
    volume = await cloud.settled(answer.json["volume"]["id"])
    assert volume["status"] == "error"
    assert await cloud.used() == {"volumes": 1, "gigabytes": 1}
    await cloud.ask("DELETE", f"/volumes/{volume['id']}")
    await cloud.gone(volume["id"])
    assert await cloud.used() == {}


async def test_upload_and_image_metadata(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.write(id_, b"bytes")
    await act(
        cloud,
        id_,
        ("os-set_image_metadata", {"metadata": {"os": "x", "image_id": IMAGE}}, 200),
        ("os-unset_image_metadata", {"key": "none"}, 404),
        ("os-volume_upload_image", {"image_name": "i", "disk_format": "iso"}, 400),
        ("os-volume_upload_image", {"image_name": "i", "visibility": "public"}, 403),
        ("os-volume_upload_image", {}, 400),
    )
    answer = await cloud.act(id_, "os-volume_upload_image", {"image_name": "i", "visibility": "shared"})
    told = answer.json["os-volume_upload_image"]
    assert (answer.status, told["status"], told["visibility"]) == (202, "uploading", "shared")
    assert told["volume_type"]["name"] == "standard"
    assert (await cloud.settled(id_))["status"] == "available"
    facts = cloud.images.images[told["image_id"]]
    assert (facts.status, facts.properties) == ("active", {"os": "x"})
    assert await cloud.read(f"{facts.volume}@{facts.snapshot}", 5) == b"bytes"
    assert await cloud.store.snapshots(f"volume-{id_}") == []
    shown = await cloud.act(id_, "os-show_image_metadata", {})
    assert shown.json == {"metadata": {"os": "x", "image_id": IMAGE}}
    await act(cloud, id_, ("os-unset_image_metadata", {"key": "os"}, 200))


async def test_reimage(cloud: Cloud) -> None:
    await cloud.images.add(IMAGE)
    id_ = (await cloud.create())["id"]
    await cloud.write(id_, b"old")
    await act(cloud, id_, ("os-reimage", {"image_id": OTHER}, 400), ("os-reimage", {"image_id": IMAGE}, 202))
    volume = await cloud.settled(id_)
    assert (volume["status"], volume["volume_image_metadata"]["image_id"]) == ("available", IMAGE)
    assert await cloud.read(f"volume-{id_}", 36) == IMAGE.encode()
    assert f"volume-{id_}" in cloud.store.volumes
    assert len(cloud.store.volumes) == 2
    assert (await cloud.act(id_, "os-reimage", {"image_id": IMAGE}, version="3.67")).status == 404


@pytest.mark.parametrize("body", [{}, {"os-fly": {}}, {"os-reserve": {}, "os-unreserve": {}}])
async def test_what_is_no_action(cloud: Cloud, body: dict[str, Any]) -> None:
    id_ = (await cloud.create())["id"]
    answer = await cloud.ask("POST", f"/volumes/{id_}/action", body)
    assert (answer.status, list(answer.json)) == (400, ["badRequest"])
