"""Floating addresses: what they stand for, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from compute_plugin.networks.records.states import RouterPlace
from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, inside, join, leave, left, outside, port, router, subnet

PATH = "/floatingips"


async def floating(cloud: Cloud, beyond: dict[str, Any], token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    return await cloud.create("floatingip", PATH, token, floating_network_id=beyond["id"], **asked)


async def routed(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The network outside, the subnet inside, and the router between them."""
    beyond, lan = await outside(cloud), await inside(cloud)
    made = await router(cloud, beyond)
    await join(cloud, made["id"], subnet_id=lan["id"])
    return beyond, lan, made


async def test_an_address_stands_for_a_port_for_another_and_for_nothing(cloud: Cloud) -> None:
    beyond, lan, between = await routed(cloud)
    one, two = await port(cloud, lan["network_id"], name="one"), await port(cloud, lan["network_id"])
    made = await floating(cloud, beyond, port_id=one["id"], description="web")
    assert made["floating_ip_address"].startswith("203.0.113.")
    assert made["fixed_ip_address"] == one["fixed_ips"][0]["ip_address"]
    assert (made["port_id"], made["router_id"], made["status"]) == (one["id"], between["id"], "DOWN")
    assert made["port_details"] == {
        name: one[name]
        for name in ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
    }
    path = f"{PATH}/{made['id']}"
    cloud.service.states.states.routers.put(RouterPlace(id=between["id"], host="a"))
    assert (await cloud.ask("GET", path)).json["floatingip"]["status"] == "ACTIVE"
    moved = await cloud.update("floatingip", path, port_id=two["id"])
    assert (moved["port_id"], moved["fixed_ip_address"]) == (two["id"], two["fixed_ips"][0]["ip_address"])
    kept = await cloud.update("floatingip", path, description="db")
    assert (kept["port_id"], kept["description"]) == (two["id"], "db")
    free = await cloud.update("floatingip", path, port_id=None)
    assert (free["port_id"], free["fixed_ip_address"], free["router_id"]) == (None, None, None)
    assert (free["port_details"], free["status"]) == (None, "DOWN")
    (own,) = await cloud.listed("ports", f"/ports?device_id={made['id']}", ADMIN)
    assert (own["device_owner"], own["project_id"], own["status"]) == ("network:floatingip", "", "N/A")
    await cloud.refused(409, "ServicePortInUse", "DELETE", f"/ports/{own['id']}", token=ADMIN)
    await gone(cloud, path)
    assert await cloud.listed("ports", f"/ports?device_id={made['id']}", ADMIN) == []


async def test_nobody_else_sees_changes_or_deletes_it(cloud: Cloud) -> None:
    beyond = await outside(cloud)
    made = await floating(cloud, beyond)
    path = f"{PATH}/{made['id']}"
    for method, body in (("GET", None), ("PUT", {"floatingip": {"port_id": None}}), ("DELETE", None)):
        await cloud.refused(404, "FloatingIPNotFound", method, path, body, "member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", path, token="reader@blue")
    assert await cloud.listed("floatingips", PATH, "member@red") == []
    assert [one["id"] for one in await cloud.listed("floatingips", PATH, ADMIN)] == [made["id"]]


async def test_a_certain_address_is_for_those_who_may_and_but_once(cloud: Cloud) -> None:
    beyond = await outside(cloud)
    asked = {"floating_network_id": beyond["id"], "floating_ip_address": "203.0.113.50"}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", PATH, {"floatingip": asked})
    made = await floating(cloud, beyond, ADMIN, floating_ip_address="203.0.113.50", project_id="blue")
    assert (made["floating_ip_address"], made["project_id"]) == ("203.0.113.50", "blue")
    await cloud.refused(409, "IpAddressAlreadyAllocated", "POST", PATH, {"floatingip": asked}, ADMIN)
    wrong = asked | {"floating_ip_address": "192.0.2.1"}
    await cloud.refused(400, "InvalidIpForNetwork", "POST", PATH, {"floatingip": wrong}, ADMIN)
    assert len(await cloud.listed("ports", f"/ports?network_id={beyond['id']}", ADMIN)) == 1


async def test_an_address_is_of_the_subnet_that_is_named(cloud: Cloud) -> None:
    beyond = await outside(cloud)
    second = await subnet(cloud, beyond, "198.51.100.0/24", ADMIN, enable_dhcp=False)
    made = await floating(cloud, beyond, subnet_id=second["id"])
    assert made["floating_ip_address"].startswith("198.51.100.")
    await subnet(cloud, beyond, "fd00::/64", ADMIN, enable_dhcp=False)
    assert ":" not in (await floating(cloud, beyond))["floating_ip_address"]


async def test_a_network_without_addresses_outside_gives_none(cloud: Cloud) -> None:
    own = await inside(cloud)
    bare = await cloud.network(ADMIN, **{"router:external": True})
    await subnet(cloud, bare, "fd00::/64", ADMIN)
    for id_ in (own["network_id"], bare["id"]):
        await cloud.refused(400, "BadRequest", "POST", PATH, {"floatingip": {"floating_network_id": id_}})
    await cloud.refused(404, "NetworkNotFound", "POST", PATH, {"floatingip": {"floating_network_id": own["id"]}})
    tiny = await outside(cloud, "192.0.2.0/30")
    await floating(cloud, tiny)
    body = {"floatingip": {"floating_network_id": tiny["id"]}}
    await cloud.refused(409, "IpAddressGenerationFailure", "POST", PATH, body)


async def test_what_no_router_leads_to_is_not_stood_for(cloud: Cloud) -> None:
    beyond, lan, between = await routed(cloud)
    elsewhere = await outside(cloud, "198.51.100.0/24")
    lonely = await port(cloud, (await inside(cloud, "10.1.0.0/24"))["network_id"])
    reached = await port(cloud, lan["network_id"])
    for network, id_ in ((beyond, lonely["id"]), (elsewhere, reached["id"])):
        body = {"floatingip": {"floating_network_id": network["id"], "port_id": id_}}
        await cloud.refused(404, "ExternalGatewayForFloatingIPNotFound", "POST", PATH, body)
    assert await cloud.listed("floatingips", PATH, ADMIN) == []
    assert len(await cloud.listed("ports", f"/ports?network_id={elsewhere['id']}", ADMIN)) == 0
    made = await floating(cloud, beyond)
    body = {"floatingip": {"port_id": lonely["id"]}}
    await cloud.refused(404, "ExternalGatewayForFloatingIPNotFound", "PUT", f"{PATH}/{made['id']}", body)
    assert between["id"]


async def test_of_two_routers_the_one_that_the_subnet_knows_leads(cloud: Cloud) -> None:
    beyond, lan = await outside(cloud), await inside(cloud)
    side, usual = await router(cloud, beyond), await router(cloud, beyond)
    extra = await port(cloud, lan["network_id"])
    await join(cloud, side["id"], port_id=extra["id"])
    server = await port(cloud, lan["network_id"])
    made = await floating(cloud, beyond, port_id=server["id"])
    assert made["router_id"] == side["id"]
    await join(cloud, usual["id"], subnet_id=lan["id"])
    again = await cloud.update("floatingip", f"{PATH}/{made['id']}", port_id=server["id"])
    assert again["router_id"] == usual["id"]


async def test_each_address_of_a_port_has_one(cloud: Cloud) -> None:
    beyond, lan, _ = await routed(cloud)
    fixed = [{"ip_address": "10.0.0.50"}, {"ip_address": "10.0.0.51"}]
    server = await port(cloud, lan["network_id"], fixed_ips=fixed)
    asked = {"floating_network_id": beyond["id"], "port_id": server["id"]}
    assert "multiple fixed IPv4" in await cloud.refused(400, "BadRequest", "POST", PATH, {"floatingip": asked})
    made = await floating(cloud, beyond, port_id=server["id"], fixed_ip_address="10.0.0.50")
    twice = asked | {"fixed_ip_address": "10.0.0.50"}
    await cloud.refused(409, "FloatingIPPortAlreadyAssociated", "POST", PATH, {"floatingip": twice})
    other = await cloud.update("floatingip", f"{PATH}/{made['id']}", port_id=server["id"], fixed_ip_address="10.0.0.51")
    assert other["fixed_ip_address"] == "10.0.0.51"
    await floating(cloud, beyond, port_id=server["id"], fixed_ip_address="10.0.0.50")


@pytest.mark.parametrize(
    ("type_", "asked"),
    [
        ("BadRequest", {"fixed_ip_address": "10.0.0.50"}),
        ("BadRequest", {"port_id": "@", "fixed_ip_address": "10.0.0.99"}),
        ("BadRequest", {"port_id": "@", "fixed_ip_address": "fd00::1"}),
        ("HTTPBadRequest", {"port_id": 7}),
        ("HTTPBadRequest", {"port_id": "x"}),
        ("HTTPBadRequest", {"port_id": "@", "fixed_ip_address": 7}),
        ("HTTPBadRequest", {"floating_ip_address": "x"}),
        ("HTTPBadRequest", {"subnet_id": {}}),
        ("HTTPBadRequest", {"floating_network_id": None}),
        ("HTTPBadRequest", {"router_id": None}),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(cloud: Cloud, type_: str, asked: dict[str, Any]) -> None:
    beyond, lan, _ = await routed(cloud)
    server = await port(cloud, lan["network_id"], fixed_ips=[{"ip_address": "10.0.0.50"}])
    said = {name: server["id"] if value == "@" else value for name, value in asked.items()}
    body = {"floatingip": {"floating_network_id": beyond["id"], **said}}
    await cloud.refused(400, type_, "POST", PATH, body, ADMIN)
    assert await cloud.listed("floatingips", PATH, ADMIN) == []
    assert await cloud.listed("ports", "/ports?device_owner=network:floatingip", ADMIN) == []


async def test_another_projects_port_is_not_stood_for(cloud: Cloud) -> None:
    beyond, lan, _ = await routed(cloud)
    server = await port(cloud, lan["network_id"])
    asked = {"floating_network_id": beyond["id"], "port_id": server["id"]}
    await cloud.refused(404, "PortNotFound", "POST", PATH, {"floatingip": asked}, "member@red")
    made = await floating(cloud, beyond, ADMIN, port_id=server["id"])
    assert made["project_id"] == "red"
    await cloud.refused(409, "FipAssociated", "DELETE", f"/ports/{server['id']}")
    await gone(cloud, f"/ports/{server['id']}", ADMIN)
    assert (await cloud.ask("GET", f"{PATH}/{made['id']}", token=ADMIN)).json["floatingip"]["port_id"] is None


async def test_a_port_that_goes_leaves_the_address(cloud: Cloud) -> None:
    beyond, lan, between = await routed(cloud)
    server = await port(cloud, lan["network_id"])
    made = await floating(cloud, beyond, port_id=server["id"])
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}}
    await cloud.refused(400, "BadRequest", "PUT", f"/ports/{server['id']}", body)
    away = {"subnet_id": lan["id"]}
    action = f"/routers/{between['id']}/remove_router_interface"
    await cloud.refused(409, "RouterInterfaceInUseByFloatingIP", "PUT", action, away)
    info: dict[str, Any] = {"router": {"external_gateway_info": {}}}
    path = f"/routers/{between['id']}"
    await cloud.refused(409, "RouterExternalGatewayInUseByFloatingIp", "PUT", path, info)
    await gone(cloud, f"/ports/{server['id']}")
    seen = (await cloud.ask("GET", f"{PATH}/{made['id']}")).json["floatingip"]
    assert (seen["port_id"], seen["fixed_ip_address"], seen["router_id"]) == (None, None, None)
    await leave(cloud, between["id"], subnet_id=lan["id"])
    await cloud.update("router", path, external_gateway_info={})


async def test_an_external_network_takes_idle_addresses_along_and_no_others(cloud: Cloud) -> None:
    beyond, lan, between = await routed(cloud)
    server = await port(cloud, lan["network_id"])
    idle, used = await floating(cloud, beyond), await floating(cloud, beyond, port_id=server["id"])
    await cloud.refused(409, "NetworkInUse", "DELETE", f"/networks/{beyond['id']}", token=ADMIN)
    assert len(await cloud.listed("floatingips", PATH)) == 2
    await gone(cloud, f"{PATH}/{used['id']}")
    await gone(cloud, f"/ports/{server['id']}")
    await leave(cloud, between["id"], subnet_id=lan["id"])
    await gone(cloud, f"/routers/{between['id']}")
    await gone(cloud, f"/networks/{beyond['id']}", ADMIN)
    await cloud.refused(404, "FloatingIPNotFound", "GET", f"{PATH}/{idle['id']}")
    await gone(cloud, f"/networks/{lan['network_id']}")
    (group,) = await cloud.listed("security_groups", "/security-groups")
    await gone(cloud, f"/security-groups/{group['id']}", ADMIN)
    assert left(cloud) == {}


async def test_a_project_has_so_many_and_no_more(cloud: Cloud) -> None:
    cloud.service.settings.limits["floatingip"] = 1
    beyond = await outside(cloud)
    await floating(cloud, beyond)
    await cloud.refused(409, "OverQuota", "POST", PATH, {"floatingip": {"floating_network_id": beyond["id"]}})
