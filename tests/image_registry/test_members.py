"""Images are shared with projects, which accept or reject them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.image_registry.cloud import Cloud


async def test_an_image_is_shared_accepted_and_taken_back(cloud: Cloud) -> None:
    image = await cloud.active()
    path = f"/v2/images/{image['id']}/members"
    added = await cloud.ask("POST", path, {"member": "red"})
    assert (added.status, added.json["status"], added.json["member_id"]) == (200, "pending", "red")
    assert (await cloud.ask("GET", f"/v2/images/{image['id']}/file", token="member@red")).body == b"bits"
    answered = await cloud.ask("PUT", f"{path}/red", {"status": "accepted"}, "member@red")
    assert answered.json["status"] == "accepted"
    assert [one["status"] for one in (await cloud.ask("GET", path)).json["members"]] == ["accepted"]
    assert (await cloud.ask("GET", f"{path}/red", token="member@red")).json["status"] == "accepted"
    assert (await cloud.ask("DELETE", f"{path}/red")).status == 204
    assert (await cloud.ask("GET", f"/v2/images/{image['id']}", token="member@red")).status == 404
    assert (await cloud.ask("DELETE", f"{path}/red")).status == 404


async def test_members_know_of_themselves_alone(cloud: Cloud) -> None:
    image = await cloud.active()
    path = f"/v2/images/{image['id']}/members"
    for project in ("red", "green"):
        await cloud.ask("POST", path, {"member": project})
    assert [one["member_id"] for one in (await cloud.ask("GET", path, token="member@red")).json["members"]] == ["red"]
    for method, body in (("GET", None), ("PUT", {"status": "accepted"}), ("DELETE", None)):
        assert (await cloud.ask(method, f"{path}/green", body, "member@red")).status == 404
    assert (await cloud.ask("POST", path, {"member": "pink"}, "member@red")).status == 403
    assert (await cloud.ask("DELETE", f"{path}/red", token="member@red")).status == 403


@pytest.mark.parametrize("status", ["accepted", "rejected"])
async def test_the_owner_does_not_answer_for_others(cloud: Cloud, status: str) -> None:
    image = await cloud.active()
    path = f"/v2/images/{image['id']}/members"
    await cloud.ask("POST", path, {"member": "red"})
    assert (await cloud.ask("PUT", f"{path}/red", {"status": status})).status == 403
    assert (await cloud.ask("GET", f"{path}/red")).json["status"] == "pending"


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"member": ""}, 400), ({"member": 7}, 400), ([], 400), ({"member": "m" * 256}, 400)],
)
async def test_what_is_no_member_is_refused(cloud: Cloud, body: Any, status: int) -> None:
    image = await cloud.active()
    assert (await cloud.ask("POST", f"/v2/images/{image['id']}/members", body)).status == status


async def test_only_shared_images_have_members(cloud: Cloud) -> None:
    image = await cloud.active(visibility="private")
    path = f"/v2/images/{image['id']}/members"
    assert (await cloud.ask("POST", path, {"member": "red"})).status == 403
    assert (await cloud.ask("GET", path)).status == 403
    assert (await cloud.ask("GET", f"{path}/red")).status == 404


async def test_a_member_is_one_once_and_there_are_not_too_many(cloud: Cloud) -> None:
    image = await cloud.active()
    path = f"/v2/images/{image['id']}/members"
    for number in range(128):
        assert (await cloud.ask("POST", path, {"member": f"p{number}"})).status == 200
    assert (await cloud.ask("POST", path, {"member": "p0"})).status == 409
    assert (await cloud.ask("POST", path, {"member": "red"})).status == 413
    assert (await cloud.ask("PUT", f"{path}/p0", {"status": "perhaps"}, "member@p0")).status == 400
    assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}")).status == 204
