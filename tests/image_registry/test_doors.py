"""What nobody means well is refused in the API's own form."""

from __future__ import annotations

import pytest

from tests.image_registry.cloud import OCTETS, PATCH, Cloud


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/images", b'{"name": "\\ud800"}'),
        ("POST", "/v2/images", b'{"tags": ["\\uDFFF"]}'),
        ("POST", "/v2/images", b'{"\\ud800": "x"}'),
        ("POST", "/v2/images", b'{"owner": "\\ud800"}'),
        ("PATCH", "/v2/images/{id}", b'[{"op": "\\ud800", "path": "/x"}]'),
        ("PATCH", "/v2/images/{id}", b'[{"op": "remove", "path": "/\\ud800"}]'),
        ("PATCH", "/v2/images/{id}", b'[{"op": "replace", "path": "/owner", "value": "\\ud800"}]'),
        ("POST", "/v2/images/{id}/import", b'{"method": {"name": "\\ud800"}}'),
        ("POST", "/v2/images/{id}/members", b'{"member": "\\ud800"}'),
        ("POST", "/v2/tasks", b'{"type": "import", "input": {"import_from": "\\ud800"}}'),
    ],
)
async def test_half_characters(cloud: Cloud, method: str, path: str, body: bytes) -> None:
    image = await cloud.create()
    answer = await cloud.ask(method, path.format(id=image["id"]), body, "admin@blue", {"Content-Type": PATCH})
    assert answer.status == 400


async def test_characters_of_two_halves_are_whole(cloud: Cloud) -> None:
    answer = await cloud.ask("POST", "/v2/images", b'{"name": "\\ud83d\\ude00"}')
    assert (answer.status, answer.json["name"]) == (201, "\U0001f600")


@pytest.mark.parametrize("query", ["limit=--5", "limit=-", "size_min=--5", "size_max=" + "9" * 5000, "size_min=\u0663"])
async def test_numbers_that_are_none(cloud: Cloud, query: str) -> None:
    await cloud.active()
    assert (await cloud.ask("GET", f"/v2/images?{query}")).status == 400


async def test_a_size_that_is_empty_says_nothing(cloud: Cloud) -> None:
    image = await cloud.create()
    headers = {"Content-Type": OCTETS, "X-OpenStack-Image-Size": ""}
    assert (await cloud.ask("PUT", f"/v2/images/{image['id']}/file", b"bits", headers=headers)).status == 204


async def test_properties_have_an_end(cloud: Cloud) -> None:
    image = await cloud.create()
    changes = [{"op": "add", "path": f"/p{number}", "value": "x" * 65_000} for number in range(5)]
    statuses = [(await cloud.patch(image["id"], change)).status for change in changes]
    assert statuses == [200, 200, 200, 200, 413]
    assert (await cloud.patch(image["id"], {"op": "remove", "path": "/p0"})).status == 200


async def test_who_sees_an_image_does_not_see_what_it_was_made_of(cloud: Cloud) -> None:
    """The URL may have a secret in it."""
    image = await cloud.create(visibility="community")
    path = f"/v2/images/{image['id']}"
    await cloud.ask("PUT", f"{path}/stage", b"bits", headers={"Content-Type": OCTETS})
    asked = {"method": {"name": "glance-direct", "secret": "secret"}}
    assert (await cloud.ask("POST", f"{path}/import", asked)).status == 202
    await cloud.imported(image["id"])
    seen = {
        token: len((await cloud.ask("GET", f"{path}/tasks", token=token)).json["tasks"])
        for token in ("reader@blue", "member@red", "admin@red")
    }
    assert seen == {"reader@blue": 1, "member@red": 0, "admin@red": 1}
