"""Networks, and what all collections of the network API share."""

from __future__ import annotations

from tests.networks_api.cloud import Cloud


async def test_a_network_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    made = await cloud.network(name="lan", description="of blue")
    assert made["name"] == "lan"
    assert made["project_id"] == made["tenant_id"] == "blue"
    assert made["status"] == "ACTIVE"
    assert (made["shared"], made["router:external"], made["mtu"], made["revision_number"]) == (False, False, 1450, 0)
    changed = await cloud.update("network", f"/networks/{made['id']}", name="wan", admin_state_up=False)
    assert (changed["name"], changed["status"], changed["revision_number"]) == ("wan", "DOWN", 1)
    assert (await cloud.ask("DELETE", f"/networks/{made['id']}")).status == 204
    await cloud.refused(404, "NetworkNotFound", "GET", f"/networks/{made['id']}")


async def test_what_another_project_has_is_not_there_unless_it_is_shared(cloud: Cloud) -> None:
    own, shared = await cloud.network(), await cloud.network("admin@red", shared=True)
    await cloud.refused(404, "NetworkNotFound", "GET", f"/networks/{own['id']}", token="member@red")
    await cloud.refused(404, "NetworkNotFound", "DELETE", f"/networks/{own['id']}", token="member@red")
    seen = await cloud.listed("networks", "/networks")
    assert {one["id"] for one in seen} == {own["id"], shared["id"]}
    assert (await cloud.ask("GET", f"/networks/{shared['id']}")).json["network"]["shared"] is True
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", f"/networks/{shared['id']}")


async def test_where_a_network_is_wired_is_for_administrators(cloud: Cloud) -> None:
    made = await cloud.network()
    assert "provider:segmentation_id" not in made
    seen = (await cloud.ask("GET", f"/networks/{made['id']}", token="admin@red")).json["network"]
    assert (seen["provider:network_type"], seen["provider:physical_network"]) == ("vxlan", None)
    body = {"network": {"provider:network_type": "vxlan"}}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "/networks", body)
    same = {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": seen["provider:segmentation_id"]}}
    await cloud.refused(409, "TunnelIdInUse", "POST", "/networks", same, "admin@red")


async def test_what_cannot_be_is_refused_with_the_attribute_and_the_reason(cloud: Cloud) -> None:
    for asked, said in (
        ({"name": 7}, "Invalid input for name. Reason: '7' is not a valid string."),
        ({"name": "n" * 256}, f"Invalid input for name. Reason: '{'n' * 256}' exceeds maximum length of 255."),
        ({"shared": "maybe"}, "Invalid input for shared. Reason: 'maybe' cannot be converted to boolean."),
        ({"colour": "red"}, "Unrecognized attribute(s) 'colour'"),
        ({"id": "x"}, "Attribute 'id' not allowed in POST"),
    ):  # fmt: skip
        assert await cloud.refused(400, "HTTPBadRequest", "POST", "/networks", {"network": asked}) == said
    assert "Unable to find 'network'" in await cloud.refused(400, "HTTPBadRequest", "POST", "/networks", {})
    assert await cloud.listed("networks", "/networks") == []


async def test_several_are_made_or_none(cloud: Cloud) -> None:
    answer = await cloud.ask("POST", "/networks", {"networks": [{"name": "a"}, {"name": "b"}]})
    assert [one["name"] for one in answer.json["networks"]] == ["a", "b"]
    body = {"networks": [{"name": "c"}, {"name": 7}]}
    await cloud.refused(400, "HTTPBadRequest", "POST", "/networks", body)
    assert len(await cloud.listed("networks", "/networks")) == 2


async def test_a_list_has_filters_order_pages_and_fields(cloud: Cloud) -> None:
    for name in ("c", "a", "b", "a"):
        await cloud.network(name=name, admin_state_up=name != "b")
    chosen = await cloud.listed("networks", "/networks?name=a&name=b&sort_key=name")
    assert [one["name"] for one in chosen] == ["a", "a", "b"]
    assert [one["name"] for one in await cloud.listed("networks", "/networks?admin_state_up=false")] == ["b"]
    first = (await cloud.ask("GET", "/networks?sort_key=name&sort_dir=desc&limit=3&fields=id&fields=name")).json
    assert [one["name"] for one in first["networks"]] == ["c", "b", "a"]
    assert all(one.keys() == {"id", "name"} for one in first["networks"])
    follows = next(link["href"] for link in first["networks_links"] if link["rel"] == "next")
    second = (await cloud.ask("GET", follows.partition("/v2.0")[2])).json
    assert [one["name"] for one in second["networks"]] == ["a"]
    back = next(link["href"] for link in second["networks_links"] if link["rel"] == "previous")
    again = (await cloud.ask("GET", back.partition("/v2.0")[2])).json
    assert [one["name"] for one in again["networks"]] == ["c", "b", "a"]
    await cloud.refused(400, "HTTPBadRequest", "GET", "/networks?colour=red")


async def test_a_project_has_so_many_networks_and_no_more(cloud: Cloud) -> None:
    for _ in range(100):
        await cloud.network()
    await cloud.refused(409, "OverQuota", "POST", "/networks", {"network": {}})
    assert (await cloud.network("member@red"))["project_id"] == "red"


async def test_a_client_may_say_which_revision_it_means(cloud: Cloud) -> None:
    made = await cloud.network()
    path = f"/networks/{made['id']}"
    await cloud.update("network", path, name="b")
    answer = await cloud.ask("PUT", path, {"network": {"name": "c"}}, headers={"If-Match": "revision_number=0"})
    assert answer.status == 412
    answer = await cloud.ask("PUT", path, {"network": {"name": "c"}}, headers={"If-Match": "revision_number=1"})
    assert answer.json["network"]["name"] == "c"
