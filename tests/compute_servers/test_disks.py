"""Disks that servers are made with, in all the ways that they are asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import VmState
from tests.compute_servers.cloud import GIB, Cloud

NOBODY = "11111111-1111-4111-8111-111111111111"


async def first_bytes(cloud: Cloud, id_: str, target: str = "vda", length: int = 8) -> bytes:
    """That the guest reads of a disk."""
    export = cloud.hypervisors["one"].running[id_].disks[target].export
    attachment = export.removeprefix("attachment-")
    for volume in await cloud.volumes.volumes.every():
        if attachment in {one.id for one in volume.attachments}:
            export = f"volume-{volume.id}"
    async with cloud.store.open(export) as disk:
        return b"".join(map(bytes, await disk.read(0, length)))


def mapping(source: str, **said: Any) -> dict[str, Any]:
    return {"source_type": source, "destination_type": "volume", **said}


async def test_a_volume_that_is_made_of_an_image(cloud: Cloud) -> None:
    image = await cloud.image()
    disks = [mapping("image", uuid=image, boot_index=0, volume_size=2, delete_on_termination=True)]
    id_ = await cloud.server("", block_device_mapping_v2=disks)
    shown = await cloud.show(id_)
    assert shown["image"] == ""
    ((volume, kept),) = [
        (one["id"], one["delete_on_termination"]) for one in shown["os-extended-volumes:volumes_attached"]
    ]
    assert kept is True
    row = await cloud.show_volume(volume)
    assert (row["status"], row["size"], row["bootable"]) == ("in-use", 2, "true")
    assert (row["attachments"][0]["server_id"], row["attachments"][0]["device"]) == (id_, "/dev/vda")
    assert await first_bytes(cloud, id_) == b"a system"
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")
    await cloud.volume_is(volume, "gone")


async def test_a_volume_that_is_there_stays_when_its_server_goes(cloud: Cloud) -> None:
    image = await cloud.image()
    volume = await cloud.volume(imageRef=image)
    for version in ("2.1", "2.96"):
        id_ = await cloud.server(
            "", block_device_mapping_v2=[mapping("volume", uuid=volume, boot_index=0)], version=version,
            networks=[] if version == "2.1" else "none",
        )  # fmt: skip
        assert await first_bytes(cloud, id_) == b"a system"
        await cloud.done("DELETE", f"/servers/{id_}")
        await cloud.settled(id_, "gone")
        assert (await cloud.show_volume(volume))["status"] == "available"


async def test_a_volume_in_use_is_nobody_elses(cloud: Cloud) -> None:
    volume = await cloud.volume(imageRef=await cloud.image())
    disks = [mapping("volume", uuid=volume, boot_index=0)]
    await cloud.server("", block_device_mapping_v2=disks)
    body = {"name": "w", "flavorRef": "1", "networks": "none", "block_device_mapping_v2": disks}
    said = await cloud.refused(400, "POST", "/servers", {"server": body})
    assert "in-use" in said


async def test_a_volume_of_a_snapshot(cloud: Cloud) -> None:
    volume = await cloud.volume(imageRef=await cloud.image())
    snapshot = (await cloud.clients.volumes.take_snapshot(cloud.member(), volume, "s"))["id"]
    await cloud.snapshot_is(snapshot, "available")
    id_ = await cloud.server("", block_device_mapping_v2=[mapping("snapshot", uuid=snapshot, boot_index=0)])
    assert await first_bytes(cloud, id_) == b"a system"
    (made,) = (await cloud.show(id_))["os-extended-volumes:volumes_attached"]
    assert made["id"] != volume


async def test_blank_disks_swap_and_those_of_the_flavor(cloud: Cloud) -> None:
    await cloud.flavors(Flavor(id="1", name="rich", vcpus=1, ram=256, disk=1, ephemeral=3, swap=512))
    image = await cloud.image()
    id_ = await cloud.server(image)
    sizes = {target: await _size(cloud, disk.export) for target, disk in _disks(cloud, id_).items()}
    assert sizes == {"vda": GIB, "vdb": 3 * GIB, "vdc": GIB // 2}
    blank = {"source_type": "blank", "destination_type": "local"}
    asked = [
        {**blank, "volume_size": 1, "guest_format": "ext4"},
        {**blank, "volume_size": 2},
        {**blank, "guest_format": "swap", "boot_index": -1},
        mapping("blank", volume_size=4, boot_index=None),
    ]
    id_ = await cloud.server(image, block_device_mapping_v2=asked)
    disks = _disks(cloud, id_)
    assert list(disks) == ["vda", "vdb", "vdc", "vdd", "vde"]
    assert [await _size(cloud, disks[one].export) for one in ("vdb", "vdc", "vdd")] == [GIB, 2 * GIB, GIB // 2]
    (volume,) = (await cloud.show(id_))["os-extended-volumes:volumes_attached"]
    assert (await cloud.show_volume(volume["id"]))["size"] == 4
    for wrong in (
        [{**blank, "volume_size": 4}],
        [{**blank, "volume_size": 2}, {**blank, "volume_size": 2}],
        [{**blank}],
        [{**blank, "guest_format": "swap"}, {**blank, "guest_format": "swap"}],
        [{**blank, "guest_format": "swap", "volume_size": 1}],
    ):
        body = {"name": "w", "imageRef": image, "flavorRef": "1", "networks": "none", "block_device_mapping_v2": wrong}
        await cloud.refused(400, "POST", "/servers", {"server": body})


def _disks(cloud: Cloud, id_: str) -> dict[str, Any]:
    return dict(sorted(cloud.hypervisors["one"].running[id_].disks.items()))


async def _size(cloud: Cloud, name: str) -> int:
    return (await cloud.store.row(name)).size


@pytest.mark.parametrize(
    "disks",
    [
        [{"source_type": "mars"}],
        [{"source_type": "image", "destination_type": "mars", "uuid": NOBODY, "boot_index": 0}],
        [mapping("volume", uuid=NOBODY, boot_index=0)],
        [mapping("snapshot", uuid=NOBODY, boot_index=0)],
        [mapping("image", uuid=NOBODY, boot_index=0, volume_size=1)],
        [mapping("volume", boot_index=0)],
        [mapping("volume", uuid="../../x", boot_index=0)],
        [mapping("blank", boot_index=0)],
        [mapping("blank", volume_size=1)],
        [mapping("blank", volume_size=-1, boot_index=0)],
        [mapping("blank", volume_size=1, boot_index=1)],
        [mapping("blank", volume_size=1, boot_index=0, device_name="/dev/vd a")],
        [mapping("blank", volume_size=1, boot_index=0, device_name="a'/><disk")],
        [mapping("blank", volume_size=1, boot_index=0, disk_bus="rocket")],
        [mapping("blank", volume_size=1, boot_index=0, device_type="punched card")],
        [mapping("blank", volume_size=1, boot_index=0, other="field")],
        [mapping("blank", volume_size=1, boot_index=0), mapping("blank", volume_size=1, boot_index=0)],
        [mapping("blank", volume_size=1, boot_index=0), mapping("blank", volume_size=1, boot_index=2)],
        [{"source_type": "volume", "destination_type": "local", "uuid": NOBODY, "boot_index": 0}],
        [mapping("blank", volume_size=1, boot_index=0, tag="a"), mapping("blank", volume_size=1, tag="a")],
        [mapping("blank", volume_size=1, boot_index=number) for number in range(27)],
    ],
)  # fmt: skip
async def test_a_mapping_that_cannot_be_is_refused(cloud: Cloud, disks: list[dict[str, Any]]) -> None:
    body = {"name": "w", "flavorRef": "1", "networks": "none", "block_device_mapping_v2": disks}
    await cloud.refused(400, "POST", "/servers", {"server": body})
    assert not list(cloud.compute.store.records.servers)
    assert not await cloud.volumes.volumes.every()


async def test_two_forms_of_mappings_are_not_mixed_and_the_old_one_is_taken(cloud: Cloud) -> None:
    volume = await cloud.volume(imageRef=await cloud.image())
    old = [{"volume_id": volume, "device_name": "vda", "delete_on_termination": "0"}]
    body = {"name": "w", "flavorRef": "1", "block_device_mapping": old}
    both = {**body, "block_device_mapping_v2": [mapping("volume", uuid=volume, boot_index=0)]}
    await cloud.refused(400, "POST", "/servers", {"server": both}, version="2.1")
    made = await cloud.done("POST", "/servers", {"server": body}, version="2.1")
    await cloud.settled(made["server"]["id"], "ACTIVE")
    assert await first_bytes(cloud, made["server"]["id"]) == b"a system"


async def test_a_volume_that_boots_nothing_is_refused_as_the_first(cloud: Cloud) -> None:
    volume = await cloud.volume()
    disks = [mapping("volume", uuid=volume, boot_index=0)]
    body = {"name": "w", "flavorRef": "1", "networks": "none", "block_device_mapping_v2": disks}
    assert "not bootable" in await cloud.refused(400, "POST", "/servers", {"server": body})


async def test_others_volumes_are_nobodys(cloud: Cloud) -> None:
    volume = await cloud.volume("green", imageRef=await cloud.image(project="green", visibility="community"))
    disks = [mapping("volume", uuid=volume, boot_index=0)]
    body = {"name": "w", "flavorRef": "1", "networks": "none", "block_device_mapping_v2": disks}
    await cloud.refused(400, "POST", "/servers", {"server": body})


async def test_where_a_volume_cannot_be_made_the_server_says_so_and_leaves_nothing(cloud: Cloud) -> None:
    """The project has no room for it."""
    await cloud.volume_limits("blue", gigabytes=3)
    image = await cloud.image()
    disks = [
        mapping("image", uuid=image, boot_index=0, volume_size=1, delete_on_termination=True),
        mapping("blank", volume_size=7, delete_on_termination=True),
    ]
    id_ = await cloud.order("", block_device_mapping_v2=disks)
    shown = await cloud.settled(id_, "ERROR")
    assert "gigabytes" in shown["fault"]["message"].lower(), shown["fault"]
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")
    assert [one for one in await cloud.volumes.volumes.every() if one.doing is None] == []


async def test_an_image_of_a_server_that_boots_from_volumes_is_booted(cloud: Cloud) -> None:
    image, data = await cloud.image(), await cloud.volume()
    disks = [
        mapping("image", uuid=image, boot_index=0, volume_size=1, delete_on_termination=True),
        mapping("volume", uuid=data, delete_on_termination=False, tag="data"),
    ]
    id_ = await cloud.server("", block_device_mapping_v2=disks)
    made = await cloud.act(id_, "createImage", {"name": "of volumes", "metadata": {"purpose": "copy"}})
    await cloud.settled(id_, "ACTIVE")
    shown = await cloud.show_image(made["image_id"])
    assert (shown["status"], shown["size"], shown["purpose"]) == ("active", 0, "copy")
    rows = json.loads(shown["block_device_mapping"])
    assert [(row["boot_index"], row["source_type"], row["tag"]) for row in rows] == [
        (0, "snapshot", None),
        (None, "snapshot", "data"),
    ]
    for row in rows:
        await cloud.snapshot_is(row["snapshot_id"], "available")
    copy = await cloud.server(made["image_id"])
    assert await first_bytes(cloud, copy) == b"a system"
    assert len((await cloud.show(copy))["os-extended-volumes:volumes_attached"]) == 2
    assert (await cloud.show(copy))["image"] == ""
    volume = await cloud.volume(imageRef=made["image_id"])
    for root in (
        mapping("volume", uuid=volume, boot_index=0),
        mapping("image", uuid=made["image_id"], boot_index=0, volume_size=1),
    ):
        booted = await cloud.server("", block_device_mapping_v2=[root])
        assert await first_bytes(cloud, booted) == b"a system"


async def test_no_disk_is_overwritten_with_an_image_that_has_no_bytes(cloud: Cloud) -> None:
    """What it has is in snapshots of volumes."""
    root = mapping("image", uuid=await cloud.image(), boot_index=0, volume_size=1, delete_on_termination=True)
    of_volume, of_image = (
        await cloud.server("", block_device_mapping_v2=[root]),
        await cloud.server(await cloud.image()),
    )
    empty = (await cloud.act(of_volume, "createImage", {"name": "of volumes"}))["image_id"]
    await cloud.settled(of_volume, "ACTIVE")
    for id_ in (of_volume, of_image):
        for said in ({"rebuild": {"imageRef": empty}}, {"rescue": {"rescue_image_ref": empty}}):
            assert "no bytes" in await cloud.refused(400, "POST", f"/servers/{id_}/action", said)


async def test_an_image_with_a_mapping_that_is_none_is_refused(cloud: Cloud) -> None:
    for said in ("{", '[{"source_type": "mars"}]', '[{"source_type": "snapshot", "snapshot_id": "x"}]', "7", "[7]"):
        image = await cloud.image(block_device_mapping=said)
        body = {"name": "w", "imageRef": image, "flavorRef": "1", "networks": "none"}
        await cloud.refused(400, "POST", "/servers", {"server": body})


async def test_a_disk_smaller_than_its_image_is_refused(cloud: Cloud) -> None:
    large = await cloud.image(min_disk=2)
    body = {"name": "w", "imageRef": large, "flavorRef": "1", "networks": "none"}
    assert "disk is too small" in await cloud.refused(400, "POST", "/servers", {"server": body})
    hungry = await cloud.image(min_ram=4096)
    body["imageRef"] = hungry
    assert "memory is too small" in await cloud.refused(400, "POST", "/servers", {"server": body})


async def test_what_failed_leaves_the_server_in_error_on_no_host(cloud: Cloud) -> None:
    """An image that goes away before it is cloned."""
    image = await cloud.image()
    cloud.hosts["one"].end()
    id_ = await cloud.order(image)
    await cloud.delete_image(image)
    await cloud.host()
    shown = await cloud.settled(id_, "ERROR")
    assert shown["fault"]["code"] == 500
    server = cloud.compute.store.records.servers.require(id_)
    assert (server.host, server.state) == ("", VmState.ERROR)
    await cloud.refused(409, "POST", f"/servers/{id_}/action", {"reboot": {"type": "HARD"}})
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")
