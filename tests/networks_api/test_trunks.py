"""Trunks: a parent, and ports with tags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, port

PATH = "/trunks"


async def ports(cloud: Cloud, count: int) -> list[dict[str, Any]]:
    """Each on a network of its own."""
    return [await port(cloud, (await cloud.network())["id"]) for _ in range(count)]


def tagged(one: dict[str, Any], tag: int) -> dict[str, Any]:
    return {"port_id": one["id"], "segmentation_type": "vlan", "segmentation_id": tag}


async def test_sub_ports_come_and_go(cloud: Cloud) -> None:
    parent, first, second = await ports(cloud, 3)
    made = await cloud.create("trunk", PATH, name="t", port_id=parent["id"], sub_ports=[tagged(first, 10)])
    assert (made["port_id"], made["status"], made["sub_ports"]) == (parent["id"], "DOWN", [tagged(first, 10)])
    path = f"{PATH}/{made['id']}"
    answer = await cloud.ask("PUT", f"{path}/add_subports", {"sub_ports": [tagged(second, 20)]})
    assert answer.json["sub_ports"] == [tagged(first, 10), tagged(second, 20)]
    listed = await cloud.ask("GET", f"{path}/get_subports", token="reader@blue")
    assert listed.json == {"sub_ports": answer.json["sub_ports"]}
    shown = (await cloud.ask("GET", f"/ports/{parent['id']}")).json["port"]["trunk_details"]
    assert shown["trunk_id"] == made["id"]
    assert shown["sub_ports"][0] == {**tagged(first, 10), "mac_address": first["mac_address"]}
    for one, type_ in ((parent, "PortInUseAsTrunkParent"), (first, "PortInUseAsSubPort")):
        await cloud.refused(409, type_, "DELETE", f"/ports/{one['id']}")
    answer = await cloud.ask("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": first["id"]}]})
    assert answer.json["sub_ports"] == [tagged(second, 20)]
    body = {"sub_ports": [{"port_id": first["id"]}]}
    await cloud.refused(404, "SubPortNotFound", "PUT", f"{path}/remove_subports", body)
    await gone(cloud, f"/ports/{first['id']}")
    await gone(cloud, path)
    await gone(cloud, f"/ports/{second['id']}")
    assert "trunk_details" not in (await cloud.ask("GET", f"/ports/{parent['id']}")).json["port"]


async def test_a_port_is_in_one_trunk(cloud: Cloud) -> None:
    parent, sub, other, plugged = await ports(cloud, 4)
    await cloud.update("port", f"/ports/{plugged['id']}", device_id="server")
    made = await cloud.create("trunk", PATH, port_id=parent["id"], sub_ports=[tagged(sub, 10)])
    second = await cloud.create("trunk", PATH, port_id=other["id"])
    for port_id, type_ in ((parent["id"], "ParentPortInUse"), (sub["id"], "TrunkPortInUse")):
        await cloud.refused(409, type_, "POST", PATH, {"trunk": {"port_id": port_id}})
    for one, type_ in (
        (parent, "ParentPortInUse"), (sub, "TrunkPortInUse"), (other, "ParentPortInUse"), (plugged, "PortInUse"),
    ):  # fmt: skip
        body = {"sub_ports": [tagged(one, 30)]}
        await cloud.refused(409, type_, "PUT", f"{PATH}/{second['id']}/add_subports", body)
    spare = (await ports(cloud, 1))[0]
    body = {"sub_ports": [tagged(spare, 10)]}
    await cloud.refused(409, "DuplicateSubPort", "PUT", f"{PATH}/{made['id']}/add_subports", body)


async def test_a_trunk_that_is_down_stays_as_it_is(cloud: Cloud) -> None:
    parent, sub = await ports(cloud, 2)
    made = await cloud.create("trunk", PATH, port_id=parent["id"], admin_state_up=False)
    path = f"{PATH}/{made['id']}"
    await cloud.refused(409, "TrunkDisabled", "PUT", f"{path}/add_subports", {"sub_ports": [tagged(sub, 1)]})
    await cloud.refused(409, "TrunkDisabled", "DELETE", path)
    await cloud.update("trunk", path, admin_state_up=True)
    await gone(cloud, path)


async def test_other_projects_neither_see_a_trunk_nor_have_their_ports_taken(cloud: Cloud) -> None:
    parent, sub = await ports(cloud, 2)
    made = await cloud.create("trunk", PATH, port_id=parent["id"])
    path = f"{PATH}/{made['id']}"
    await cloud.refused(404, "TrunkNotFound", "GET", path, token="member@red")
    await cloud.refused(404, "TrunkNotFound", "GET", f"{path}/get_subports", token="member@red")
    await cloud.refused(404, "TrunkNotFound", "PUT", f"{path}/add_subports", {"sub_ports": []}, "member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"{path}/add_subports", {"sub_ports": []}, "reader@blue")
    await cloud.refused(404, "PortNotFound", "POST", PATH, {"trunk": {"port_id": sub["id"]}}, "member@red")
    own = await port(cloud, (await cloud.network("member@red"))["id"], "member@red")
    body = {"trunk": {"port_id": own["id"], "sub_ports": [tagged(sub, 1)]}}
    await cloud.refused(404, "PortNotFound", "POST", PATH, body, "member@red")


@pytest.mark.parametrize(
    ("type_", "change"),
    [
        ("HTTPBadRequest", {"segmentation_id": 4095}),
        ("HTTPBadRequest", {"segmentation_id": "x"}),
        ("HTTPBadRequest", {"segmentation_id": []}),
        ("InvalidInput", {"segmentation_id": 0}),
        ("InvalidInput", {"segmentation_type": "vxlan"}),
        ("InvalidInput", {"segmentation_type": "inherit"}),
        ("HTTPBadRequest", {"segmentation_type": 7}),
        ("HTTPBadRequest", {"port_id": 7}),
        ("HTTPBadRequest", {"colour": 7}),
    ],
)
async def test_odd_sub_ports_are_refused(cloud: Cloud, type_: str, change: dict[str, Any]) -> None:
    parent, sub = await ports(cloud, 2)
    odd = {**tagged(sub, 5), **change}
    await cloud.refused(400, type_, "POST", PATH, {"trunk": {"port_id": parent["id"], "sub_ports": [odd]}})
    made = await cloud.create("trunk", PATH, port_id=parent["id"])
    await cloud.refused(400, type_, "PUT", f"{PATH}/{made['id']}/add_subports", {"sub_ports": [odd]})
    for body in ({}, {"sub_ports": 7}, {"sub_ports": [7]}, {"sub_ports": [tagged(sub, 5), tagged(sub, 6)]}):
        await cloud.refused(400, "HTTPBadRequest", "PUT", f"{PATH}/{made['id']}/add_subports", body)


async def test_a_sub_port_may_take_the_tag_of_its_network(cloud: Cloud) -> None:
    (parent,) = await ports(cloud, 1)
    placed = {"provider:network_type": "vlan", "provider:physical_network": "wire", "provider:segmentation_id": 77}
    wire = await cloud.network(ADMIN, mtu=1400, project_id="blue", **placed)
    sub = await port(cloud, wire["id"])
    asked = [{"port_id": sub["id"], "segmentation_type": "inherit"}]
    made = await cloud.create("trunk", PATH, port_id=parent["id"], sub_ports=asked)
    assert made["sub_ports"] == [tagged(sub, 77)]
    await gone(cloud, f"{PATH}/{made['id']}")
    await cloud.update("network", f"/networks/{wire['id']}", ADMIN, mtu=1500)
    body = {"trunk": {"port_id": parent["id"], "sub_ports": asked}}
    await cloud.refused(409, "SubPortMtuGreaterThanTrunkPortMtu", "POST", PATH, body)


async def test_sub_ports_are_where_their_parent_is(cloud: Cloud) -> None:
    parent, first, second = await ports(cloud, 3)
    made = await cloud.create("trunk", PATH, port_id=parent["id"], sub_ports=[tagged(first, 10)])
    path = f"{PATH}/{made['id']}"

    async def places() -> list[tuple[str, str]]:
        found = []
        for one in (first, second):
            shown = (await cloud.ask("GET", f"/ports/{one['id']}", token=ADMIN)).json["port"]
            found.append((shown["binding:host_id"], shown["device_owner"]))
        return found

    bound, free = ("a", "trunk:subport"), ("", "")
    assert await places() == [free, free]
    bind = {"port": {"binding:host_id": "a"}}
    assert (await cloud.ask("PUT", f"/ports/{parent['id']}", bind, token=ADMIN)).status == 200
    assert await places() == [bound, free]
    await cloud.ask("PUT", f"{path}/add_subports", {"sub_ports": [tagged(second, 20)]})
    assert await places() == [bound, bound]
    await cloud.ask("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": first["id"]}]})
    assert await places() == [free, bound]
    await cloud.ask("PUT", f"/ports/{parent['id']}", {"port": {"binding:host_id": ""}}, token=ADMIN)
    assert await places() == [free, free]
