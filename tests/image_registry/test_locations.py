"""Where the bits of an image are, and bits that are somewhere on the web. In real time, since a
real server is asked."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import trio

from image_registry.service import ImageConfig
from image_registry.web_source import WebRules
from tests.image_registry.cloud import Cloud
from tests.image_registry.web_server import WebServer, ok, served

BITS = bytes(range(256)) * 20
LOCAL = ImageConfig(web=WebRules(frozenset({"127.0.0.1"})))
SHA512 = hashlib.sha512(BITS).hexdigest()


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with served({"/x": ok(BITS), "/cut": ok(BITS[:99], 5120), "/other": ok(b"other")}) as server:
        yield server


@pytest.fixture
async def local() -> AsyncIterator[Cloud]:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(config=LOCAL)
        await nursery.start(cloud.service.run)
        yield cloud
        nursery.cancel_scope.cancel()


async def ended(cloud: Cloud, id_: str) -> dict[str, Any]:
    """The one task of an image, once it has ended and the image is free."""
    with trio.fail_after(60):
        while True:
            (task,) = (await cloud.ask("GET", f"/v2/images/{id_}/tasks")).json["tasks"]
            image = await cloud.show(id_)
            if task["status"] != "processing" and "os_glance_import_task" not in image:
                found: dict[str, Any] = task
                return found
            await trio.sleep(0.01)


@pytest.mark.parametrize("algorithm", [None, "sha1", "sha256", "sha512", "md5"])
async def test_bits_are_fetched_from_a_location(local: Cloud, server: WebServer, algorithm: str | None) -> None:
    image = await local.create()
    path = f"/v2/images/{image['id']}/locations"
    body: dict[str, Any] = {"url": f"{server.origin}/x"}
    if algorithm is not None:
        value = hashlib.new(algorithm, BITS).hexdigest().upper()
        body["validation_data"] = {"os_hash_algo": algorithm, "os_hash_value": value}
    answer = await local.ask("POST", path, body)
    assert (answer.status, answer.body) == (202, b"")
    task = await ended(local, image["id"])
    assert (task["type"], task["status"]) == ("location_import", "success")
    assert task["input"]["loc_url"] == body["url"]
    after = await local.show(image["id"])
    told = algorithm or "sha512"
    assert (after["status"], after["size"], after["os_hash_algo"]) == ("active", len(BITS), told)
    assert after["os_hash_value"] == hashlib.new(told, BITS).hexdigest()
    assert (await local.ask("GET", after["file"])).body == BITS
    locations = (await local.ask("GET", path, token="admin@ops")).json
    assert locations == [{"url": f"drystone://standard/{image['id']}", "metadata": {"store": "standard"}}]
    assert (await local.ask("POST", path, body)).status == 409
    assert await local.used() == {"image_count_total": 1, "image_size_total": 1}


async def test_what_is_not_what_it_is_said_to_be_is_dropped(local: Cloud, server: WebServer) -> None:
    wanted = {"os_hash_algo": "sha512", "os_hash_value": SHA512}
    for path, validation in (("/other", wanted), ("/cut", wanted), ("/cut", {})):
        image = await local.create()
        body = {"url": f"{server.origin}{path}", "validation_data": validation}
        assert (await local.ask("POST", f"/v2/images/{image['id']}/locations", body)).status == 202
        task = await ended(local, image["id"])
        assert task["status"] == "failure"
        assert ("not matched" in task["message"]) is (path == "/other")
        assert (await local.show(image["id"]))["status"] == "queued"
        assert (await local.upload(image["id"], BITS)).status == 204
        await local.ask("DELETE", f"/v2/images/{image['id']}")
    await local.service.cleaning.sweep()
    assert await local.used() == {}
    assert await local.stored() == set()


async def test_what_is_fetched_has_an_end(server: WebServer) -> None:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(config=replace(LOCAL, size_max=len(BITS) - 1))
        await nursery.start(cloud.service.run)
        for route in ("locations", "import"):
            image = await cloud.create()
            url = f"{server.origin}/x"
            body = {"url": url} if route == "locations" else {"method": {"name": "web-download", "uri": url}}
            assert (await cloud.ask("POST", f"/v2/images/{image['id']}/{route}", body)).status == 202
            task = await ended(cloud, image["id"])
            assert (task["status"], "too large" in task["message"]) == ("failure", True)
        assert await cloud.stored() == set()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"url": 7},
        {"url": "http://127.0.0.1:1/x"},
        {"url": "http://10.0.0.1/x"},
        {"url": "file:///etc/passwd"},
        {"url": "rbd://pool/image/snap"},
        {"url": "drystone://standard/x"},
        {"url": "http://images.example/x", "validation_data": {"os_hash_algo": "sha512"}},
        {"url": "http://images.example/x", "validation_data": {"os_hash_value": SHA512}},
        {"url": "http://images.example/x", "validation_data": {"os_hash_algo": "sha3", "os_hash_value": SHA512}},
        {"url": "http://images.example/x", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "abcd"}},
        {"url": "http://images.example/x", "validation_data": {"os_hash_algo": "md5", "os_hash_value": SHA512}},
        {"url": "http://images.example/x", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "z" * 32}},
        {"url": "http://images.example/x", "validation_data": {"checksum": "a" * 32}},
        {"url": "http://images.example/x", "validation_data": None},
    ],
)
async def test_locations_that_are_refused(cloud: Cloud, body: Any) -> None:
    image = await cloud.create()
    path = f"/v2/images/{image['id']}/locations"
    assert (await cloud.ask("POST", path, body)).status == 400
    assert (await cloud.show(image["id"])) == image


async def test_locations_are_for_those_who_may(cloud: Cloud) -> None:
    image, body = await cloud.create(visibility="private"), {"url": "http://images.example/x"}
    path = f"/v2/images/{image['id']}/locations"
    assert (await cloud.ask("GET", path, token="admin@ops")).json == []
    for method, token, status in (
        ("GET", "member@blue", 403),
        ("GET", "member@red", 404),
        ("GET", "nobody", 401),
        ("POST", "reader@blue", 403),
        ("POST", "member@red", 404),
        ("POST", "nobody", 401),
    ):
        assert (await cloud.ask(method, path, body, token)).status == status, (method, token)
    bare = await cloud.create(disk_format=None)
    assert (await cloud.ask("POST", f"/v2/images/{bare['id']}/locations", body)).status == 400
