"""Port forwardings, pools of floating addresses, and helpers of routers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import gone, inside, join, outside, port, router


class Setting:
    """A floating address, and a server that a router leads to."""

    beyond: dict[str, Any]
    lan: dict[str, Any]
    router: dict[str, Any]
    server: dict[str, Any]
    floating: dict[str, Any]
    path: str


async def setting(cloud: Cloud) -> Setting:
    made = Setting()
    made.beyond, made.lan = await outside(cloud), await inside(cloud)
    made.router = await router(cloud, made.beyond)
    await join(cloud, made.router["id"], subnet_id=made.lan["id"])
    made.server = await port(cloud, made.lan["network_id"])
    made.floating = await cloud.create("floatingip", "/floatingips", floating_network_id=made.beyond["id"])
    made.path = f"/floatingips/{made.floating['id']}/port_forwardings"
    return made


async def forward(cloud: Cloud, made: Setting, **asked: Any) -> dict[str, Any]:
    said = {"protocol": "tcp", "internal_port_id": made.server["id"], **asked}
    return await cloud.create("port_forwarding", made.path, **said)


async def floating(cloud: Cloud, made: Setting) -> dict[str, Any]:
    found: dict[str, Any] = (await cloud.ask("GET", f"/floatingips/{made.floating['id']}")).json["floatingip"]
    return found


async def test_a_port_is_forwarded_and_the_address_is_the_routers_meanwhile(cloud: Cloud) -> None:
    made = await setting(cloud)
    one = await forward(cloud, made, external_port=2222, internal_port=22, description="ssh")
    assert one == {
        "id": one["id"],
        "description": "ssh",
        "protocol": "tcp",
        "external_port": 2222,
        "external_port_range": "2222:2222",
        "internal_port": 22,
        "internal_port_range": "22:22",
        "internal_port_id": made.server["id"],
        "internal_ip_address": made.server["fixed_ips"][0]["ip_address"],
    }
    held = await floating(cloud, made)
    assert (held["router_id"], held["port_id"]) == (made.router["id"], None)
    assert [row["external_port"] for row in held["port_forwardings"]] == [2222]
    where = f"/floatingips/{made.floating['id']}"
    body = {"floatingip": {"port_id": made.server["id"]}}
    await cloud.refused(409, "FipInUseByPortForwarding", "PUT", where, body)
    await cloud.refused(409, "FipInUseByPortForwarding", "DELETE", where)
    assert (await cloud.update("floatingip", where, port_id=None))["router_id"] == made.router["id"]
    away = {"subnet_id": made.lan["id"]}
    action = f"/routers/{made.router['id']}/remove_router_interface"
    await cloud.refused(409, "RouterInterfaceInUseByFloatingIP", "PUT", action, away)
    two = await forward(cloud, made, external_port=2223, internal_port=23)
    await gone(cloud, f"{made.path}/{one['id']}")
    assert (await floating(cloud, made))["router_id"] == made.router["id"]
    await gone(cloud, f"{made.path}/{two['id']}")
    assert (await floating(cloud, made))["router_id"] is None
    await gone(cloud, where)


async def test_a_forwarding_is_changed(cloud: Cloud) -> None:
    made = await setting(cloud)
    one = await forward(cloud, made, external_port=2222, internal_port=22)
    other = await port(cloud, made.lan["network_id"])
    path = f"{made.path}/{one['id']}"
    changed = await cloud.update("port_forwarding", path, protocol="UDP", external_port=53, internal_port_range="53:53")
    assert (changed["protocol"], changed["external_port"], changed["internal_port"]) == ("udp", 53, 53)
    moved = await cloud.update("port_forwarding", path, internal_port_id=other["id"])
    assert moved["internal_ip_address"] == other["fixed_ips"][0]["ip_address"]
    body = {"port_forwarding": {"internal_ip_address": "10.0.0.99"}}
    await cloud.refused(400, "BadRequest", "PUT", path, body)


async def test_ranges_go_to_ranges_or_to_one(cloud: Cloud) -> None:
    made = await setting(cloud)
    one = await forward(cloud, made, external_port_range="80:89", internal_port_range="8080:8089")
    assert (one["external_port"], one["external_port_range"]) == (None, "80:89")
    assert (one["internal_port"], one["internal_port_range"]) == (None, "8080:8089")
    two = await forward(cloud, made, external_port_range="90:99", internal_port=8090)
    assert (two["internal_port"], two["external_port_range"]) == (8090, "90:99")
    for outer, inner in (("100:109", "9000:9004"), ("89:100", "9000:9011"), ("200:200", "8085:8085")):
        asked = {"external_port_range": outer, "internal_port_range": inner}
        body = {"port_forwarding": {"protocol": "tcp", "internal_port_id": made.server["id"], **asked}}
        await cloud.refused(400, "BadRequest", "POST", made.path, body)
    udp = await forward(cloud, made, protocol="udp", external_port_range="80:89", internal_port_range="8080:8089")
    path = f"{made.path}/{udp['id']}"
    await cloud.refused(400, "BadRequest", "PUT", path, {"port_forwarding": {"protocol": "tcp"}})


@pytest.mark.parametrize(
    ("type_", "asked"),
    [
        ("BadRequest", {"external_port": 1}),
        ("BadRequest", {"internal_port": 1}),
        ("BadRequest", {"external_port": 1, "external_port_range": "2:3", "internal_port": 1}),
        ("BadRequest", {"external_port": 1, "internal_port": 1, "internal_ip_address": "10.0.0.99"}),
        ("HTTPBadRequest", {"external_port": 0, "internal_port": 1}),
        ("HTTPBadRequest", {"external_port": 65536, "internal_port": 1}),
        ("HTTPBadRequest", {"external_port": [], "internal_port": 1}),
        ("HTTPBadRequest", {"external_port_range": "9:1", "internal_port": 1}),
        ("HTTPBadRequest", {"external_port_range": "x:y", "internal_port": 1}),
        ("HTTPBadRequest", {"external_port_range": {}, "internal_port": 1}),
        ("HTTPBadRequest", {"external_port": 1, "internal_port": 1, "protocol": "icmp"}),
        ("HTTPBadRequest", {"external_port": 1, "internal_port": 1, "protocol": 6}),
        ("HTTPBadRequest", {"external_port": 1, "internal_port": 1, "internal_port_id": "x"}),
        ("HTTPBadRequest", {"external_port": 1, "internal_port": 1, "internal_ip_address": None}),
    ],
)
async def test_odd_forwardings_are_refused(cloud: Cloud, type_: str, asked: dict[str, Any]) -> None:
    made = await setting(cloud)
    body = {"port_forwarding": {"protocol": "tcp", "internal_port_id": made.server["id"], **asked}}
    await cloud.refused(400, type_, "POST", made.path, body)
    assert (await floating(cloud, made))["router_id"] is None


async def test_who_has_an_address_for_all_of_it_has_no_forwardings(cloud: Cloud) -> None:
    made = await setting(cloud)
    whole = await cloud.create(
        "floatingip", "/floatingips", floating_network_id=made.beyond["id"], port_id=made.server["id"]
    )
    body = {
        "port_forwarding": {
            "protocol": "tcp", "internal_port_id": made.server["id"], "external_port": 1, "internal_port": 1,
        }
    }  # fmt: skip
    await cloud.refused(409, "PortHasBindingFloatingIP", "POST", made.path, body)
    path = f"/floatingips/{whole['id']}/port_forwardings"
    await cloud.refused(409, "FloatingIPPortAlreadyAssociated", "POST", path, body)
    lonely = await port(cloud, (await inside(cloud, "10.1.0.0/24"))["network_id"])
    body["port_forwarding"]["internal_port_id"] = lonely["id"]
    assert "not reachable" in await cloud.refused(400, "BadRequest", "POST", made.path, body)


async def test_a_server_that_goes_or_moves_takes_its_forwardings_along(cloud: Cloud) -> None:
    made = await setting(cloud)
    await forward(cloud, made, external_port=1, internal_port=1)
    await cloud.update("port", f"/ports/{made.server['id']}", fixed_ips=[{"ip_address": "10.0.0.88"}])
    assert await cloud.listed("port_forwardings", made.path) == []
    assert (await floating(cloud, made))["router_id"] is None
    await forward(cloud, made, external_port=1, internal_port=1)
    await gone(cloud, f"/ports/{made.server['id']}")
    assert await cloud.listed("port_forwardings", made.path) == []
    assert (await floating(cloud, made))["router_id"] is None


async def test_forwardings_of_others_are_not_there(cloud: Cloud) -> None:
    made = await setting(cloud)
    one = await forward(cloud, made, external_port=1, internal_port=1)
    second = await cloud.create("floatingip", "/floatingips", floating_network_id=made.beyond["id"])
    elsewhere = f"/floatingips/{second['id']}/port_forwardings/{one['id']}"
    await cloud.refused(404, "PortForwardingNotFound", "DELETE", elsewhere)
    await cloud.refused(404, "FloatingIPNotFound", "GET", made.path, token="member@red")
    await cloud.refused(404, "FloatingIPNotFound", "DELETE", f"{made.path}/{one['id']}", token="member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", f"{made.path}/{one['id']}", token="reader@blue")


async def test_pools_are_the_subnets_outside(cloud: Cloud) -> None:
    beyond = await outside(cloud)
    await inside(cloud)
    (pool,) = await cloud.listed("floatingip_pools", "/floatingip_pools")
    assert (pool["network_id"], pool["cidr"], pool["project_id"]) == (beyond["id"], "203.0.113.0/24", "blue")


async def test_routers_have_helpers(cloud: Cloud) -> None:
    made = await router(cloud)
    path = f"/routers/{made['id']}/conntrack_helpers"
    asked: dict[str, Any] = {"protocol": "udp", "port": 69, "helper": "tftp"}
    helper = await cloud.create("conntrack_helper", path, **asked)
    assert helper == {"id": helper["id"], **asked}
    assert (await cloud.ask("GET", f"/routers/{made['id']}")).json["router"]["conntrack_helpers"] == [asked]
    assert await cloud.listed("conntrack_helpers", path) == [helper]
    await cloud.refused(400, "BadRequest", "POST", path, {"conntrack_helper": asked})
    for odd, type_ in (
        ({"helper": "x"}, "ConntrackHelperNotAllowed"),
        ({"protocol": "tcp"}, "InvalidProtocolForHelper"),
        ({"port": 0}, "HTTPBadRequest"),
        ({"port": None}, "HTTPBadRequest"),
    ):  # fmt: skip
        await cloud.refused(400, type_, "POST", path, {"conntrack_helper": asked | odd})
    one = f"{path}/{helper['id']}"
    assert (await cloud.update("conntrack_helper", one, port=70))["port"] == 70
    await cloud.refused(404, "RouterNotFound", "GET", one, token="member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", one, token="reader@blue")
    await gone(cloud, f"/routers/{made['id']}")
    assert len(cloud.service.store.records.conntrack_helpers) == 0
