"""The bytes of images: up, down, staged and imported; what fails leaves nothing."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gateway.rest.task_records import State
from image_registry.service import ImageConfig
from store.core.errors import InvalidError
from tests.image_registry.cloud import OCTETS, Cloud

BITS = bytes(range(256)) * 20


async def test_bits_go_up_and_down(cloud: Cloud) -> None:
    image = await cloud.active(BITS)
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(BITS), len(BITS))
    assert image["checksum"] == hashlib.md5(BITS).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(BITS).hexdigest())
    answer = await cloud.ask("GET", image["file"])
    assert (answer.status, answer.body) == (200, BITS)
    assert answer.headers["content-md5"] == image["checksum"]
    assert answer.headers["content-length"] == str(len(BITS))
    assert await cloud.used() == {"image_count_total": 1, "image_size_total": 1}


@pytest.mark.parametrize(
    ("said", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=5000-", 5000, 5120),
        ("bytes=-7", 5113, 5120),
        ("bytes=5119-9999", 5119, 5120),
        ("bytes=-9999", 0, 5120),
    ],
)
async def test_ranges(cloud: Cloud, said: str, start: int, stop: int) -> None:
    image = await cloud.active(BITS)
    answer = await cloud.ask("GET", image["file"], headers={"Range": said})
    assert (answer.status, answer.body) == (206, BITS[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BITS)}"


@pytest.mark.parametrize("said", ["bytes=5120-", "bytes=7-3", "bytes=-0", "bytes=x-y", "bytes=-", "bytes=0-1,3-4"])
async def test_what_is_no_range_is_refused(cloud: Cloud, said: str) -> None:
    image = await cloud.active(BITS)
    answer = await cloud.ask("GET", image["file"], headers={"Range": said})
    assert (answer.status, answer.headers["content-range"]) == (416, "bytes */5120")


async def test_an_image_without_bits_has_no_content(cloud: Cloud) -> None:
    image = await cloud.create()
    assert (await cloud.ask("GET", image["file"])).status == 204


async def test_bits_are_received_once(cloud: Cloud) -> None:
    image = await cloud.active(BITS)
    assert (await cloud.upload(image["id"], b"others")).status == 409
    assert (await cloud.ask("GET", image["file"])).body == BITS
    assert len(await cloud.stored()) == 1


async def test_bits_need_their_formats_and_type(cloud: Cloud) -> None:
    image = await cloud.create(disk_format=None)
    assert (await cloud.upload(image["id"], BITS)).status == 400
    path = f"/v2/images/{image['id']}"
    assert (await cloud.ask("PUT", f"{path}/file", BITS, headers={"Content-Type": "text/plain"})).status == 415
    assert (await cloud.show(image["id"]))["status"] == "queued"
    assert await cloud.stored() == set()


async def test_content_that_is_another_format_is_refused(tmp_path: Path) -> None:
    """In real time, since what is good is given to a real qemu-img."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "disk", "1M"], check=True)
    qcow2 = (tmp_path / "disk").read_bytes()
    async with trio.open_nursery() as nursery:
        cloud = Cloud()
        await nursery.start(cloud.service.run)
        for disk_format, bits in (("raw", qcow2), ("qcow2", BITS), ("vmdk", qcow2)):
            image = await cloud.create(disk_format=disk_format)
            answer = await cloud.upload(image["id"], bits)
            assert answer.status == 415, disk_format
            assert (await cloud.show(image["id"]))["status"] == "queued"
        assert await cloud.stored() == set()
        good = await cloud.active(qcow2, disk_format="qcow2")
        assert good["virtual_size"] == 1 << 20
        sealed = await cloud.service.sealing.wait(good["id"])
        assert (await cloud.volumes.row(sealed.sealed)).size == 1 << 20
        nursery.cancel_scope.cancel()


async def test_a_client_that_vanishes_leaves_nothing(cloud: Cloud) -> None:
    image = await cloud.create()
    await cloud.send("PUT", image["file"], [BITS, BITS, None], headers={"Content-Type": OCTETS})
    assert (await cloud.show(image["id"]))["status"] == "queued"
    assert await cloud.stored() == set()
    assert await cloud.used() == {"image_count_total": 1}
    assert (await cloud.upload(image["id"], BITS)).status == 204


async def test_an_upload_that_is_not_as_long_as_it_said_is_refused(cloud: Cloud) -> None:
    image = await cloud.create()
    answer = await cloud.upload(image["id"], BITS, **{"X-OpenStack-Image-Size": "99"})
    assert answer.status == 400
    assert await cloud.stored() == set()


async def test_an_image_that_is_deleted_while_it_is_received(cloud: Cloud) -> None:
    image = await cloud.create()
    begun, go_on = trio.Event(), trio.Event()
    statuses: list[int] = []

    async def upload() -> None:
        answer = await cloud.upload(image["id"], BITS)
        statuses.append(answer.status)

    whole = cloud.service.uploads.activate

    async def late(*args: object) -> object:
        begun.set()
        await go_on.wait()
        return await whole(*args)  # type: ignore[arg-type]

    cloud.service.uploads.activate = late  # type: ignore[method-assign,assignment]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(upload)
        await begun.wait()
        assert (await cloud.show(image["id"]))["status"] == "saving"
        assert (await cloud.upload(image["id"], BITS)).status == 409
        assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}")).status == 204
        go_on.set()
    assert statuses == [410]
    assert await cloud.stored() == set()
    assert await cloud.used() == {}


async def test_readers_go_on_when_an_image_is_deleted(cloud: Cloud, autojump_clock: MockClock) -> None:
    image = await cloud.active(BITS)
    found = await cloud.service.images.find(image["id"])
    assert found.image.bits is not None
    async with await cloud.service.bits.open(found.image.bits) as opened:
        await cloud.ask("DELETE", f"/v2/images/{image['id']}")
        await cloud.settled()
        assert await cloud.stored() == set()
        assert b"".join([bytes(piece) async for piece in opened.read()]) == BITS


async def test_quotas_of_bytes(cloud: Cloud) -> None:
    cloud.limits.register(image_size_total=1, image_stage_total=1, image_count_uploading=1)
    first, second = await cloud.active(BITS), await cloud.create()
    assert (await cloud.upload(second["id"], BITS)).status == 413
    assert (await cloud.send("PUT", second["file"], [BITS], headers={"Content-Type": OCTETS})).status == 413
    assert (await cloud.show(second["id"]))["status"] == "queued"
    assert len(await cloud.stored()) == 1
    await cloud.ask("DELETE", f"/v2/images/{first['id']}")
    assert (await cloud.upload(second["id"], BITS)).status == 204


async def test_an_image_has_at_most_so_many_bytes(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(config=ImageConfig(size_max=1000))
        await nursery.start(cloud.service.run)
        image = await cloud.create()
        assert (await cloud.upload(image["id"], BITS)).status == 413
        assert (await cloud.send("PUT", image["file"], [BITS], headers={"Content-Type": OCTETS})).status == 413
        assert await cloud.stored() == set()
        nursery.cancel_scope.cancel()


async def test_a_store_may_be_chosen(cloud: Cloud) -> None:
    image = await cloud.create()
    assert (await cloud.upload(image["id"], BITS, **{"X-Image-Meta-Store": "missing"})).status == 400
    assert (await cloud.upload(image["id"], BITS, **{"X-Image-Meta-Store": "coded"})).status == 204
    assert (await cloud.show(image["id"]))["stores"] == "coded"


# -- staged, and imported ----------------------------------------------------------------------------------------------


async def staged(cloud: Cloud, bits: bytes = BITS, **asked: Any) -> str:
    image = await cloud.create(**asked)
    path = f"/v2/images/{image['id']}"
    assert (await cloud.ask("PUT", f"{path}/stage", bits, headers={"Content-Type": OCTETS})).status == 204
    return path


DIRECT = {"method": {"name": "glance-direct"}}


async def test_what_is_staged_is_imported(cloud: Cloud, autojump_clock: MockClock) -> None:
    path = await staged(cloud)
    waiting = (await cloud.ask("GET", path)).json
    assert (waiting["status"], waiting["size"]) == ("uploading", len(BITS))
    assert await cloud.used() == {"image_count_total": 1, "image_stage_total": 1}
    begun = await cloud.ask("POST", f"{path}/import", DIRECT)
    assert begun.status == 202
    image = await cloud.imported(waiting["id"])
    assert (image["status"], image["checksum"]) == ("active", hashlib.md5(BITS).hexdigest())
    assert (await cloud.ask("GET", f"{path}/file")).body == BITS
    assert await cloud.used() == {"image_count_total": 1, "image_size_total": 1}
    (task,) = (await cloud.ask("GET", f"{path}/tasks")).json["tasks"]
    assert (task["status"], task["request_id"]) == ("success", begun.headers["x-openstack-request-id"])
    assert task["input"]["import_req"] == DIRECT


async def test_what_is_staged_and_refused_is_gone(cloud: Cloud, autojump_clock: MockClock) -> None:
    path = await staged(cloud, disk_format="qcow2")
    id_ = path.rpartition("/")[2]
    assert (await cloud.ask("POST", f"{path}/import", DIRECT)).status == 202
    image = await cloud.imported(id_)
    assert (image["status"], image["size"]) == ("queued", None)
    await cloud.settled()
    assert await cloud.stored() == set()
    assert await cloud.used() == {"image_count_total": 1}
    (task,) = (await cloud.ask("GET", f"{path}/tasks")).json["tasks"]
    assert (task["status"], bool(task["message"])) == ("failure", True)


async def test_staged_images_are_deleted_whole(cloud: Cloud, autojump_clock: MockClock) -> None:
    path = await staged(cloud)
    assert (await cloud.ask("DELETE", path)).status == 204
    await cloud.settled()
    assert await cloud.stored() == set()
    assert await cloud.used() == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"method": {}}, 400),
        ({"method": "glance-direct"}, 400),
        ({"method": {"name": "magic"}}, 400),
        ({"method": {"name": "glance-direct"}, "all_stores": 1}, 400),
        ({"method": {"name": "glance-direct"}}, 409),
        ({"method": {"name": "copy-image"}}, 403),
        ({"method": {"name": "web-download"}}, 400),
        ({"method": {"name": "web-download", "uri": "http://127.0.0.1/x"}}, 400),
        ({"method": {"name": "web-download", "uri": "file:///etc/passwd"}}, 400),
        ({"method": {"name": "web-download", "uri": "http://images.example/x"}, "stores": ["missing"]}, 409),
    ],
)
async def test_imports_that_are_refused(cloud: Cloud, body: object, status: int) -> None:
    image = await cloud.create()
    answer = await cloud.ask("POST", f"/v2/images/{image['id']}/import", body)
    assert answer.status == status, answer.body
    assert (await cloud.show(image["id"]))["status"] == "queued"


async def test_an_image_is_copied_to_a_store_and_removed_from_one(cloud: Cloud, autojump_clock: MockClock) -> None:
    image = await cloud.active(BITS)
    path = f"/v2/images/{image['id']}"
    copy = {"method": {"name": "copy-image"}, "stores": ["coded"]}
    assert (await cloud.ask("POST", f"{path}/import", copy, "admin@blue")).status == 202
    both = await cloud.imported(image["id"])
    assert both["stores"] == "standard,coded"
    assert (await cloud.ask("POST", f"{path}/import", copy, "admin@blue")).status == 400
    assert (await cloud.ask("DELETE", f"/v2/stores/standard/{image['id']}", token="member@blue")).status == 403
    assert (await cloud.ask("DELETE", f"/v2/stores/standard/{image['id']}", token="admin@blue")).status == 204
    assert (await cloud.ask("DELETE", f"/v2/stores/standard/{image['id']}", token="admin@blue")).status == 404
    assert (await cloud.ask("DELETE", f"/v2/stores/coded/{image['id']}", token="admin@blue")).status == 403
    assert (await cloud.ask("GET", f"{path}/file")).body == BITS
    await cloud.settled()
    assert len(await cloud.stored()) == 1


# -- sealed -----------------------------------------------------------------------------------------------------------


async def test_an_image_becomes_a_volume_that_goes_with_it(cloud: Cloud, autojump_clock: MockClock) -> None:
    image = await cloud.active(BITS)
    sealed = await cloud.service.sealing.wait(image["id"])
    async with cloud.volumes.open(f"{sealed.sealed}@image") as disk:
        bits = io.BytesIO(b"".join([bytes(piece) for piece in await disk.read(0, disk.size)]))
    assert bits.read(len(BITS)) == BITS
    assert not any(bits.read())
    assert (await cloud.show(image["id"]))["updated_at"] == image["updated_at"]
    await cloud.ask("DELETE", f"/v2/images/{image['id']}")
    await cloud.settled()
    assert cloud.volumes.volumes == {}


async def test_what_is_no_disk_becomes_no_volume(cloud: Cloud, autojump_clock: MockClock) -> None:
    for container in ("ovf", "docker", "compressed"):
        await cloud.active(BITS, container_format=container)
    await cloud.settled()
    assert cloud.volumes.volumes == {}


async def test_an_image_that_cannot_be_made_a_volume_says_why(cloud: Cloud, autojump_clock: MockClock) -> None:
    image = await cloud.active(BITS)
    await cloud.service.sealing.wait(image["id"])
    cloud.volumes.policies = ("other",)  # from now on there is none that volumes may be under
    refused = await cloud.active(BITS + b"x")
    with pytest.raises(InvalidError, match="no storage policy"):
        await cloud.service.sealing.wait(refused["id"])
    assert set(cloud.volumes.volumes) == {(await cloud.service.sealing.wait(image["id"])).sealed}


async def test_an_image_deleted_while_it_is_made_a_volume_leaves_none(cloud: Cloud, autojump_clock: MockClock) -> None:
    begun, go_on = trio.Event(), trio.Event()
    create = cloud.volumes.create

    async def slow(*arguments: Any) -> None:
        await create(*arguments)
        begun.set()
        await go_on.wait()

    cloud.volumes.create = slow  # type: ignore[method-assign, assignment]
    image = await cloud.active(BITS)
    await begun.wait()
    await cloud.ask("DELETE", f"/v2/images/{image['id']}")
    await trio.sleep(5)  # the sweep takes the volume away
    assert cloud.volumes.volumes == {}
    go_on.set()
    await trio.sleep(60)
    assert cloud.volumes.volumes == {}
    assert not [task for task in await cloud.service.tasks.every() if task.state is State.RUNNING]


@pytest.mark.parametrize("stores", [["coded"], ["standard", "coded"], ["coded", "standard"]])
async def test_an_import_goes_into_the_stores_that_were_asked_for(cloud: Cloud, stores: list[str]) -> None:
    image = await cloud.create()
    path = f"/v2/images/{image['id']}"
    assert (await cloud.ask("PUT", f"{path}/stage", BITS, headers={"Content-Type": OCTETS})).status == 204
    asked = {"method": {"name": "glance-direct"}, "stores": stores}
    assert (await cloud.ask("POST", f"{path}/import", asked)).status == 202
    found = await cloud.imported(image["id"])
    assert (found["status"], set(found["stores"].split(","))) == ("active", set(stores))
    assert (await cloud.ask("GET", f"{path}/file")).body == BITS
    await cloud.settled()
    assert len(await cloud.stored()) == len(stores)
    assert await cloud.used() == {"image_count_total": 1, "image_size_total": 1}


async def test_a_download_goes_into_the_stores_that_were_asked_for(cloud: Cloud) -> None:
    @asynccontextmanager
    async def opened(_: str) -> AsyncIterator[tuple[int | None, AsyncGenerator[bytes, None]]]:
        async def pieces() -> AsyncGenerator[bytes, None]:
            yield BITS

        yield len(BITS), pieces()

    cloud.service.web.open = opened  # type: ignore[method-assign,assignment]
    image = await cloud.create()
    asked = {"method": {"name": "web-download", "uri": "http://203.0.113.1/"}, "stores": ["coded", "standard"]}
    cloud.service.web.check = str  # type: ignore[method-assign,assignment]
    assert (await cloud.ask("POST", f"/v2/images/{image['id']}/import", asked)).status == 202
    found = await cloud.imported(image["id"])
    assert (found["status"], found["stores"], found["os_glance_importing_to_stores"]) == (
        "active",
        "coded,standard",
        "",
    )


async def test_an_image_is_active_while_it_is_copied(cloud: Cloud) -> None:
    image = await cloud.active(BITS)
    adding, statuses = cloud.service.uploads.add_copy, list[str]()

    async def seen(*args: Any) -> object:
        statuses.append((await cloud.show(image["id"]))["status"])
        return await adding(*args)

    cloud.service.uploads.add_copy = seen  # type: ignore[method-assign,assignment]
    asked = {"method": {"name": "copy-image"}, "stores": ["coded"]}
    assert (await cloud.ask("POST", f"/v2/images/{image['id']}/import", asked, "admin@blue")).status == 202
    await cloud.imported(image["id"])
    assert statuses == ["active"]
