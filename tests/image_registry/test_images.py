"""Images are made, shown, changed and deleted."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from image_registry.records import IMAGE_CODEC
from image_registry.v2.patch import OLDER
from tests.image_registry.cloud import Cloud


async def test_an_image_is_made_shown_and_deleted(cloud: Cloud) -> None:
    image = await cloud.create(name="granite", os_distro="debian", tags=["a", "b", "a"], min_disk=2)
    assert image["status"] == "queued"
    assert (image["visibility"], image["owner"], image["tags"]) == ("shared", "blue", ["a", "b"])
    assert (image["os_distro"], image["min_disk"], image["size"], image["checksum"]) == ("debian", 2, None, None)
    assert await cloud.show(image["id"]) == image
    assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}")).status == 204
    for method in ("GET", "DELETE"):
        assert (await cloud.ask(method, f"/v2/images/{image['id']}")).status == 404
    assert await cloud.used() == {}


async def test_an_id_may_be_chosen_and_is_unique(cloud: Cloud) -> None:
    chosen = "0F0F0F0F-1111-2222-3333-444455556666"
    assert (await cloud.create(id=chosen))["id"] == chosen.lower()
    answer = await cloud.ask("POST", "/v2/images", {"id": chosen})
    assert answer.status == 409
    assert await cloud.used() == {"image_count_total": 1}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"visibility": "secret"}, 400),
        ({"disk_format": "ploop"}, 400),
        ({"container_format": "box"}, 400),
        ({"disk_format": "ami", "container_format": "bare"}, 400),
        ({"min_disk": -1}, 400),
        ({"min_ram": "much"}, 400),
        ({"name": "n" * 256}, 400),
        ({"id": "granite"}, 400),
        ({"colour": 7}, 400),
        ({"k" * 256: "v"}, 400),
        ({"tags": ["t" * 256]}, 400),
        ({"status": "active"}, 403),
        ({"size": 7}, 403),
        ({"self": "/v2/images/x"}, 403),
        ({"deleted": "yes"}, 403),
        ({"os_glance_import_task": "x"}, 403),
        ({"locations": []}, 403),
        ({"owner": "red"}, 403),
        ({"visibility": "public"}, 403),
        ({f"property{n}": "v" for n in range(129)}, 413),
        ([], 400),
        (b"{", 400),
        (b"", 400),
    ],
)
async def test_what_is_wrong_makes_no_image(cloud: Cloud, body: Any, status: int) -> None:
    answer = await cloud.ask("POST", "/v2/images", body)
    assert answer.status == status, answer.body
    assert await cloud.listed("visibility=all") == []
    assert await cloud.used() == {}


async def test_changes_are_made_all_or_none(cloud: Cloud) -> None:
    image = await cloud.create(colour="grey")
    answer = await cloud.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "basalt"},
        {"op": "add", "path": "/grain", "value": "fine"},
        {"op": "remove", "path": "/colour"},
        {"op": "replace", "path": "/tags", "value": ["x"]},
        {"op": "add", "path": "/a~1b", "value": "slash"},
    )
    assert answer.status == 200
    after = await cloud.show(image["id"])
    assert (after["name"], after["grain"], after["tags"], after["a/b"]) == ("basalt", "fine", ["x"], "slash")
    assert "colour" not in after
    answer = await cloud.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "gneiss"},
        {"op": "remove", "path": "/colour"},
    )
    assert answer.status == 409
    assert (await cloud.show(image["id"]))["name"] == "basalt"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/deleted", "value": "yes"}, 403),
        ({"op": "add", "path": "/os_glance_x", "value": "yes"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/owner", "value": "red"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/locations", "value": []}, 403),
        ({"op": "replace", "path": "/missing", "value": "x"}, 409),
        ({"op": "remove", "path": "/missing"}, 409),
        ({"op": "replace", "path": "/min_disk", "value": "x"}, 400),
        ({"op": "replace", "path": "name", "value": "x"}, 400),
        ({"op": "replace", "path": "/a/b", "value": "x"}, 400),
        ({"op": "replace", "path": "/a~2", "value": "x"}, 400),
        ({"op": "replace", "path": "/", "value": "x"}, 400),
        ({"op": "replace", "path": 7, "value": "x"}, 400),
        ({"op": "replace", "path": "/name"}, 400),
        ({"op": "move", "path": "/name", "value": "x"}, 400),
        ({"path": "/name", "value": "x"}, 400),
        ({"op": "replace", "value": "x"}, 400),
        ({"op": "replace", "path": "/disk_format", "value": "ami"}, 400),
        ("name", 400),
    ],
)
async def test_what_is_wrong_changes_nothing(cloud: Cloud, change: Any, status: int) -> None:
    image = await cloud.create()
    assert (await cloud.patch(image["id"], change)).status == status
    assert await cloud.show(image["id"]) == image


async def test_the_older_form_of_changes(cloud: Cloud) -> None:
    image = await cloud.create(colour="grey")
    path, headers = f"/v2/images/{image['id']}", {"Content-Type": OLDER}
    changed = await cloud.ask("PATCH", path, [{"replace": "/name", "value": "basalt"}], headers=headers)
    assert (changed.status, changed.json["name"]) == (200, "basalt")
    # Here what is there is not added again; in the newer form it is replaced.
    there = [{"add": "/colour", "value": "red"}]
    assert (await cloud.ask("PATCH", path, there, headers=headers)).status == 409
    assert (await cloud.patch(image["id"], {"op": "add", "path": "/colour", "value": "red"})).status == 200
    answer = await cloud.ask("PATCH", path, [], headers={"Content-Type": "application/json"})
    assert (answer.status, OLDER in answer.headers["accept-patch"]) == (415, True)


async def test_formats_are_fixed_once_there_are_bits(cloud: Cloud) -> None:
    image = await cloud.active()
    for name in ("disk_format", "container_format"):
        answer = await cloud.patch(image["id"], {"op": "replace", "path": f"/{name}", "value": image[name]})
        assert answer.status == 403


async def test_a_protected_image_stays(cloud: Cloud) -> None:
    image = await cloud.active(protected=True)
    assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}")).status == 403
    assert (await cloud.ask("GET", f"/v2/images/{image['id']}/file")).body == b"bits"
    await cloud.patch(image["id"], {"op": "replace", "path": "/protected", "value": False})
    assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}")).status == 204


async def test_administrators_publish_and_give_away(cloud: Cloud) -> None:
    image = await cloud.create()
    publish = {"op": "replace", "path": "/visibility", "value": "public"}
    assert (await cloud.patch(image["id"], publish, token="admin@red")).json["visibility"] == "public"
    give = {"op": "replace", "path": "/owner", "value": "red"}
    assert (await cloud.patch(image["id"], give, token="admin@red")).json["owner"] == "red"
    assert (await cloud.patch(image["id"], {"op": "add", "path": "/a", "value": "b"})).status == 403


async def test_tags(cloud: Cloud) -> None:
    image = await cloud.create()
    path = f"/v2/images/{image['id']}/tags"
    for _ in range(2):
        assert (await cloud.ask("PUT", f"{path}/x")).status == 204
    assert (await cloud.show(image["id"]))["tags"] == ["x"]
    assert (await cloud.ask("PUT", f"{path}/{'t' * 256}")).status == 400
    assert (await cloud.ask("DELETE", f"{path}/x")).status == 204
    assert (await cloud.ask("DELETE", f"{path}/x")).status == 404
    assert (await cloud.ask("PUT", f"{path}/x", token="reader@blue")).status == 403


async def test_who_may_not_know_of_an_image_gets_not_found(cloud: Cloud) -> None:
    image = await cloud.active(visibility="private")
    path = f"/v2/images/{image['id']}"
    for method, below in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/file"),
        ("GET", "/members"),
        ("GET", "/tasks"),
        ("PUT", "/tags/x"),
        ("POST", "/actions/deactivate"),
    ]:
        assert (await cloud.ask(method, path + below, token="member@red")).status == 404, below
    assert (await cloud.patch(image["id"], token="member@red")).status == 404
    assert (await cloud.upload(image["id"], b"x", "member@red")).status == 404
    assert (await cloud.ask("GET", path, token="")).status == 401


async def test_a_deactivated_image_is_not_read_but_by_administrators(cloud: Cloud) -> None:
    image = await cloud.active()
    path = f"/v2/images/{image['id']}"
    for _ in range(2):
        assert (await cloud.ask("POST", f"{path}/actions/deactivate")).status == 204
    assert (await cloud.show(image["id"]))["status"] == "deactivated"
    assert (await cloud.ask("GET", f"{path}/file")).status == 403
    assert (await cloud.ask("GET", f"{path}/file", token="admin@red")).body == b"bits"
    assert (await cloud.ask("POST", f"{path}/actions/reactivate")).status == 204
    assert (await cloud.ask("GET", f"{path}/file")).body == b"bits"
    queued = await cloud.create()
    assert (await cloud.ask("POST", f"/v2/images/{queued['id']}/actions/deactivate")).status == 403


async def test_the_count_of_images_is_limited(cloud: Cloud) -> None:
    cloud.limits.register(image_count_total=1)
    image = await cloud.create()
    assert (await cloud.ask("POST", "/v2/images", {})).status == 413
    usage = (await cloud.ask("GET", "/v2/info/usage")).json["usage"]
    assert usage["image_count_total"] == {"limit": 1, "usage": 1}
    await cloud.ask("DELETE", f"/v2/images/{image['id']}")
    assert await cloud.create()


async def test_errors_are_said_as_the_client_wants_them(cloud: Cloud) -> None:
    page = await cloud.ask("GET", "/v2/images/<b>")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"<b>" not in page.body
    told = await cloud.ask("GET", "/v2/images/x", headers={"Accept": "application/json"})
    assert told.json["code"] == "404 Not Found"
    assert (await cloud.ask("PUT", "/v2/images")).headers["allow"] == "GET, POST"


async def test_records_of_before_are_read(cloud: Cloud) -> None:
    """Those that do not say by which algorithm their hash is."""
    made = await cloud.active(b"bits")
    image = (await cloud.service.images.find(made["id"])).image
    _, *fields = msgpack.unpackb(IMAGE_CODEC.encode(image))
    assert IMAGE_CODEC.decode(msgpack.packb([1, *fields[:28]])) == image


async def test_what_is_counted_goes_to_the_new_owner(cloud: Cloud) -> None:
    image = await cloud.active(b"bits")
    change = {"op": "replace", "path": "/owner", "value": "red"}
    cloud.limits.register(image_count_total=0)
    assert (await cloud.patch(image["id"], change, token="admin@blue")).status == 413
    assert await cloud.used("blue") == {"image_count_total": 1, "image_size_total": 1}
    cloud.limits.register(image_count_total=1)
    assert (await cloud.patch(image["id"], change, token="admin@blue")).status == 200
    assert await cloud.used("blue") == {}
    assert await cloud.used("red") == {"image_count_total": 1, "image_size_total": 1}
    assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}", token="member@red")).status == 204
    assert await cloud.used("red") == {}


async def test_an_id_is_no_other_images_ever(cloud: Cloud) -> None:
    """Who still names the image that was would use what a stranger made of it."""
    id_ = (await cloud.create(visibility="community"))["id"]
    assert (await cloud.ask("DELETE", f"/v2/images/{id_}")).status == 204
    for project in ("red", "blue"):
        answer = await cloud.ask("POST", "/v2/images", {"id": id_}, f"member@{project}")
        assert answer.status == 409
        assert await cloud.used(project) == {}
