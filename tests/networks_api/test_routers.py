"""Routers: outside, inside, and the routes between."""

from __future__ import annotations

from typing import Any

import pytest

from compute_plugin.networks.records.states import RouterPlace
from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, inside, join, leave, left, outside, port, router, subnet


async def test_a_router_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    made = await router(cloud, name="r", description="of blue", availability_zone_hints=["nova"])
    path = f"/routers/{made['id']}"
    assert made | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "name": "r",
        "description": "of blue",
        "project_id": "blue",
        "tenant_id": "blue",
        "admin_state_up": True,
        "status": "ACTIVE",
        "external_gateway_info": None,
        "external_gateways": [],
        "routes": [],
        "availability_zone_hints": ["nova"],
        "availability_zones": [],
        "flavor_id": None,
        "conntrack_helpers": [],
        "tags": [],
        "created_at": "",
        "updated_at": "",
        "revision_number": 0,
    }
    changed = await cloud.update("router", path, name="s", admin_state_up=False)
    assert (changed["name"], changed["admin_state_up"], changed["revision_number"]) == ("s", False, 1)
    cloud.service.states.states.routers.put(RouterPlace(id=made["id"], host="a"))
    seen = (await cloud.ask("GET", path, token=ADMIN)).json["router"]
    assert (seen["distributed"], seen["ha"], seen["availability_zones"]) == (False, False, ["nova"])
    await cloud.refused(404, "RouterNotFound", "GET", path, token="member@red")
    await cloud.refused(404, "RouterNotFound", "DELETE", path, token="member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", path, token="reader@blue")
    await gone(cloud, path)
    assert left(cloud) == {}


async def test_routers_elsewhere_or_in_several_places_are_refused(cloud: Cloud) -> None:
    for name in ("distributed", "ha"):
        off: dict[str, Any] = {name: False}
        await cloud.refused(403, "PolicyNotAuthorized", "POST", "/routers", {"router": {name: True}})
        await cloud.refused(400, "InvalidInput", "POST", "/routers", {"router": {name: True}}, ADMIN)
        await router(cloud, token=ADMIN, **off)
    body = {"router": {"availability_zone_hints": ["mars"]}}
    await cloud.refused(404, "AvailabilityZoneNotFound", "POST", "/routers", body)
    await cloud.refused(404, "FlavorNotFound", "POST", "/routers", {"router": {"flavor_id": "x"}})


async def test_a_gateway_is_set_changed_and_taken_away(cloud: Cloud) -> None:
    beyond, other = await outside(cloud), await outside(cloud, "198.51.100.0/24")
    made = await router(cloud, beyond)
    info = made["external_gateway_info"]
    assert (info["network_id"], info["enable_snat"]) == (beyond["id"], True)
    assert made["external_gateways"] == [info]
    (first,) = await cloud.listed("ports", f"/ports?device_id={made['id']}", ADMIN)
    assert (first["device_owner"], first["project_id"]) == ("network:router_gateway", "")
    assert first["fixed_ips"] == info["external_fixed_ips"]
    path = f"/routers/{made['id']}"
    same = await cloud.update("router", path, external_gateway_info={"network_id": beyond["id"]})
    assert same["external_gateway_info"] == info
    moved = await cloud.update("router", path, external_gateway_info={"network_id": other["id"]})
    assert moved["external_gateway_info"]["network_id"] == other["id"]
    (second,) = await cloud.listed("ports", f"/ports?device_id={made['id']}", ADMIN)
    assert second["network_id"] == other["id"]
    nothings: tuple[Any, ...] = ({}, None)
    for nothing in nothings:
        assert (await cloud.update("router", path, external_gateway_info=nothing))["external_gateway_info"] is None
        assert await cloud.listed("ports", f"/ports?device_id={made['id']}", ADMIN) == []
        await cloud.update("router", path, external_gateway_info={"network_id": other["id"]})
    await gone(cloud, path)
    assert await cloud.listed("ports", "/ports", ADMIN) == []


async def test_how_a_gateway_translates_and_which_address_it_has_is_for_administrators(cloud: Cloud) -> None:
    beyond = await outside(cloud)
    made = await router(cloud, beyond)
    path = f"/routers/{made['id']}"
    for part in ({"enable_snat": True}, {"external_fixed_ips": [{"ip_address": "203.0.113.9"}]}):
        body = {"router": {"external_gateway_info": {"network_id": beyond["id"], **part}}}
        await cloud.refused(403, "PolicyNotAuthorized", "PUT", path, body)
        await cloud.refused(403, "PolicyNotAuthorized", "POST", "/routers", body)
        changed = await cloud.update("router", path, ADMIN, **body["router"])
        assert changed["external_gateway_info"]["enable_snat"] is True
    assert changed["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "203.0.113.9"
    unsaid = {"network_id": beyond["id"], "enable_snat": False}
    changed = await cloud.update("router", path, ADMIN, external_gateway_info=unsaid)
    assert changed["external_gateway_info"]["enable_snat"] is False
    assert changed["external_gateway_info"]["external_fixed_ips"][0]["ip_address"] == "203.0.113.9"
    gateway = {"network_id": beyond["id"], "external_fixed_ips": [{"ip_address": "203.0.113.1"}]}
    body = {"router": {"external_gateway_info": gateway}}
    await cloud.refused(400, "BadRequest", "PUT", path, body, ADMIN)
    taken = {"network_id": beyond["id"], "external_fixed_ips": [{"ip_address": "203.0.113.9"}]}
    body = {"router": {"external_gateway_info": taken}}
    await cloud.refused(409, "IpAddressAlreadyAllocated", "POST", "/routers", body, ADMIN)


@pytest.mark.parametrize(
    "info",
    [7, [], "x", {"network_id": None}, {"enable_snat": False}, {"network_id": "x"}, {"network_id": "@", "colour": 1}],
)
async def test_odd_gateways_are_refused(cloud: Cloud, info: Any) -> None:
    beyond = await outside(cloud)
    if isinstance(info, dict) and info.get("network_id") == "@":
        info = info | {"network_id": beyond["id"]}
    await cloud.refused(400, "HTTPBadRequest", "POST", "/routers", {"router": {"external_gateway_info": info}}, ADMIN)
    assert await cloud.listed("routers", "/routers", ADMIN) == []


async def test_a_gateway_is_on_an_external_network_that_one_sees(cloud: Cloud) -> None:
    made = await router(cloud)
    own, hidden = await cloud.network(), await cloud.network(ADMIN)
    path = f"/routers/{made['id']}"
    for network, status, type_ in (
        (made, 404, "NetworkNotFound"),
        (hidden, 404, "NetworkNotFound"),
        (own, 400, "BadRequest"),
    ):
        body = {"router": {"external_gateway_info": {"network_id": network["id"]}}}
        await cloud.refused(status, type_, "PUT", path, body)


async def test_an_interface_has_the_address_of_the_gateway(cloud: Cloud) -> None:
    lan, made = await inside(cloud), await router(cloud)
    joined = await join(cloud, made["id"], subnet_id=lan["id"])
    assert joined == {
        "id": made["id"],
        "project_id": "blue",
        "tenant_id": "blue",
        "port_id": joined["port_id"],
        "network_id": lan["network_id"],
        "subnet_id": lan["id"],
        "subnet_ids": [lan["id"]],
    }
    seen = (await cloud.ask("GET", f"/ports/{joined['port_id']}")).json["port"]
    assert (seen["device_id"], seen["device_owner"]) == (made["id"], "network:router_interface")
    assert seen["fixed_ips"] == [{"subnet_id": lan["id"], "ip_address": "10.0.0.1"}]
    assert seen["security_groups"] == []
    again = {"subnet_id": lan["id"]}
    path = f"/routers/{made['id']}"
    await cloud.refused(400, "BadRequest", "PUT", f"{path}/add_router_interface", again)
    other = await router(cloud)
    await cloud.refused(409, "IpAddressAlreadyAllocated", "PUT", f"/routers/{other['id']}/add_router_interface", again)
    assert made["id"] in await cloud.refused(409, "RouterInUse", "DELETE", path)
    await cloud.refused(409, "ServicePortInUse", "DELETE", f"/ports/{joined['port_id']}")
    assert (await leave(cloud, made["id"], subnet_id=lan["id"]))["port_id"] == joined["port_id"]
    await cloud.refused(404, "PortNotFound", "GET", f"/ports/{joined['port_id']}")
    await cloud.refused(404, "RouterInterfaceNotFoundForSubnet", "PUT", f"{path}/remove_router_interface", again)
    await gone(cloud, path)


async def test_an_interface_is_a_port_that_somebody_made(cloud: Cloud) -> None:
    lan, made = await inside(cloud), await router(cloud)
    plugged = await port(cloud, lan["network_id"])
    path = f"/routers/{made['id']}"
    joined = await join(cloud, made["id"], port_id=plugged["id"])
    assert joined["subnet_ids"] == [lan["id"]]
    seen = (await cloud.ask("GET", f"/ports/{plugged['id']}")).json["port"]
    assert (seen["device_id"], seen["device_owner"]) == (made["id"], "network:router_interface")
    await cloud.refused(409, "PortInUse", "PUT", f"{path}/add_router_interface", {"port_id": plugged["id"]})
    both = {"port_id": plugged["id"], "subnet_id": made["id"]}
    await cloud.refused(400, "SubnetMismatchForPort", "PUT", f"{path}/remove_router_interface", both)
    missing = {"port_id": lan["id"]}
    await cloud.refused(404, "RouterInterfaceNotFound", "PUT", f"{path}/remove_router_interface", missing)
    other = await router(cloud)
    mine = {"port_id": plugged["id"]}
    await cloud.refused(404, "RouterInterfaceNotFound", "PUT", f"/routers/{other['id']}/remove_router_interface", mine)
    await leave(cloud, made["id"], port_id=plugged["id"])
    await cloud.refused(404, "PortNotFound", "GET", f"/ports/{plugged['id']}")


async def test_what_cannot_be_an_interface_is_refused(cloud: Cloud) -> None:
    made, lan = await router(cloud), await inside(cloud)
    path = f"/routers/{made['id']}/add_router_interface"
    strange = await inside(cloud, "10.9.0.0/24", "member@red")
    blind = await subnet(cloud, await cloud.network(), "10.8.0.0/24", gateway_ip=None)
    foreign = await subnet(cloud, await cloud.network(), "fd08::/64", ipv6_address_mode="slaac")
    bare = await port(cloud, (await cloud.network())["id"])
    theirs = await port(cloud, strange["network_id"], "member@red")
    for asked, status, type_ in (
        ({}, 400, "BadRequest"),
        ({"subnet_id": 7}, 400, "BadRequest"),
        ({"port_id": None}, 400, "BadRequest"),
        ({"subnet_id": ["x"]}, 400, "BadRequest"),
        ({"subnet_id": lan["id"], "port_id": bare["id"]}, 400, "BadRequest"),
        ({"subnet_id": made["id"]}, 404, "SubnetNotFound"),
        ({"subnet_id": strange["id"]}, 404, "SubnetNotFound"),
        ({"port_id": theirs["id"]}, 404, "PortNotFound"),
        ({"subnet_id": blind["id"]}, 400, "BadRequest"),
        ({"subnet_id": foreign["id"]}, 400, "BadRequest"),
        ({"port_id": bare["id"]}, 400, "BadRequest"),
    ):  # fmt: skip
        await cloud.refused(status, type_, "PUT", path, asked)
    await cloud.refused(404, "RouterNotFound", "PUT", path, {"subnet_id": strange["id"]}, "member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", path, {"subnet_id": lan["id"]}, "reader@blue")


async def test_networks_that_overlap_are_not_joined(cloud: Cloud) -> None:
    made = await router(cloud)
    path = f"/routers/{made['id']}"
    await join(cloud, made["id"], subnet_id=(await inside(cloud))["id"])
    twin = await inside(cloud, "10.0.0.128/25")
    message = await cloud.refused(400, "BadRequest", "PUT", f"{path}/add_router_interface", {"subnet_id": twin["id"]})
    assert "overlaps with cidr 10.0.0.0/24" in message
    await join(cloud, made["id"], subnet_id=(await inside(cloud, "10.0.1.0/24"))["id"])
    beyond = await outside(cloud, "10.0.0.0/8")
    body = {"router": {"external_gateway_info": {"network_id": beyond["id"]}}}
    await cloud.refused(400, "BadRequest", "PUT", path, body)
    assert await cloud.listed("ports", f"/ports?network_id={beyond['id']}", ADMIN) == []


async def test_a_subnet_that_is_shared_with_everybody_is_nobodys_to_lead_elsewhere(cloud: Cloud) -> None:
    network = await cloud.network(ADMIN, shared=True)
    lan, made = await subnet(cloud, network, "10.0.0.0/24", ADMIN), await router(cloud)
    path = f"/routers/{made['id']}/add_router_interface"
    message = await cloud.refused(400, "BadRequest", "PUT", path, {"subnet_id": lan["id"]})
    assert "not owned by project" in message
    await join(cloud, made["id"], ADMIN, subnet_id=lan["id"])


async def test_subnets_of_ipv6_on_a_network_have_one_interface(cloud: Cloud) -> None:
    network, made = await cloud.network(), await router(cloud)
    modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    one = await subnet(cloud, network, "fd01::/64", **modes)
    two = await subnet(cloud, network, "fd02::/64", **modes)
    old = await subnet(cloud, network, "10.0.0.0/24")
    first = await join(cloud, made["id"], subnet_id=one["id"])
    second = await join(cloud, made["id"], subnet_id=two["id"])
    third = await join(cloud, made["id"], subnet_id=old["id"])
    assert first["port_id"] == second["port_id"] != third["port_id"]
    seen = (await cloud.ask("GET", f"/ports/{first['port_id']}")).json["port"]
    assert {one["ip_address"] for one in seen["fixed_ips"]} == {"fd01::1", "fd02::1"}
    await leave(cloud, made["id"], subnet_id=one["id"])
    seen = (await cloud.ask("GET", f"/ports/{first['port_id']}")).json["port"]
    assert [one["ip_address"] for one in seen["fixed_ips"]] == ["fd02::1"]
    await leave(cloud, made["id"], subnet_id=two["id"])
    await cloud.refused(404, "PortNotFound", "GET", f"/ports/{first['port_id']}")


async def test_routes_go_to_whom_the_router_reaches(cloud: Cloud) -> None:
    lan, made = await inside(cloud), await router(cloud)
    path = f"/routers/{made['id']}"
    route = {"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}
    message = await cloud.refused(400, "InvalidRoutes", "PUT", path, {"router": {"routes": [route]}})
    assert "not connected" in message
    await join(cloud, made["id"], subnet_id=lan["id"])
    assert (await cloud.update("router", path, routes=[route]))["routes"] == [route]
    own = route | {"nexthop": "10.0.0.1"}
    assert "used by router" in await cloud.refused(400, "InvalidRoutes", "PUT", path, {"router": {"routes": [own]}})
    other = {"destination": "fd00::/8", "nexthop": "10.0.0.9"}
    await cloud.refused(400, "InvalidRoutes", "PUT", path, {"router": {"routes": [other]}})
    odds: tuple[Any, ...] = (
        7,
        [7],
        [{}],
        [{"destination": "x", "nexthop": "10.0.0.9"}],
        [route] * 2,
        [route | {"x": 1}],
    )
    for odd in odds:
        await cloud.refused(400, "HTTPBadRequest", "PUT", path, {"router": {"routes": odd}})
    await cloud.refused(400, "HTTPBadRequest", "POST", "/routers", {"router": {"routes": [route]}})
    away = {"subnet_id": lan["id"]}
    await cloud.refused(409, "RouterInterfaceInUseByRoute", "PUT", f"{path}/remove_router_interface", away)
    assert (await cloud.update("router", path, routes=None))["routes"] == []
    await leave(cloud, made["id"], subnet_id=lan["id"])


async def test_a_gateway_stays_as_long_as_routes_need_it(cloud: Cloud) -> None:
    beyond = await outside(cloud)
    made = await router(cloud, beyond)
    path = f"/routers/{made['id']}"
    await cloud.update("router", path, routes=[{"destination": "192.0.2.0/24", "nexthop": "203.0.113.77"}])
    await cloud.refused(400, "InvalidRoutes", "PUT", path, {"router": {"external_gateway_info": {}}})
    assert (await cloud.ask("GET", path)).json["router"]["external_gateway_info"] is not None
    await gone(cloud, path)


async def test_routes_are_put_in_and_taken_out_one_by_one(cloud: Cloud) -> None:
    lan, made = await inside(cloud), await router(cloud)
    await join(cloud, made["id"], subnet_id=lan["id"])
    path = f"/routers/{made['id']}"
    one, two = ({"destination": f"192.0.{at}.0/24", "nexthop": "10.0.0.9"} for at in (1, 2))

    async def ask(action: str, *routes: Any) -> list[Any]:
        answer = await cloud.ask("PUT", f"{path}/{action}", {"router": {"routes": list(routes)}})
        assert answer.status == 200, answer.body
        found: list[Any] = answer.json["router"]["routes"]
        return found

    assert await ask("add_extraroutes", one) == [one]
    assert await ask("add_extraroutes", one, two) == [one, two]
    assert await ask("remove_extraroutes", one) == [two]
    assert await ask("remove_extraroutes", one, two) == []
    odds: tuple[Any, ...] = ({}, {"router": []}, {"router": {"routes": 7}}, {"router": {}})
    for odd in odds:
        await cloud.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_extraroutes", odd)
    cloud.service.settings.limits["router_route"] = 1
    both = {"router": {"routes": [one, two]}}
    await cloud.refused(409, "OverQuota", "PUT", f"{path}/add_extraroutes", both)


async def test_gateways_as_a_list_are_one(cloud: Cloud) -> None:
    beyond, other = await outside(cloud), await outside(cloud, "198.51.100.0/24")
    made = await router(cloud)
    path = f"/routers/{made['id']}"

    async def ask(action: str, *said: Any) -> Any:
        answer = await cloud.ask("PUT", f"{path}/{action}_external_gateways", {"router": {"external_gateways": said}})
        assert answer.status == 200, answer.body
        return answer.json["router"]["external_gateways"]

    (held,) = await ask("add", {"network_id": beyond["id"]})
    assert held["network_id"] == beyond["id"]
    body = {"router": {"external_gateways": [{"network_id": other["id"]}]}}
    await cloud.refused(409, "UnableToAddExtraGateways", "PUT", f"{path}/add_external_gateways", body)
    await cloud.refused(409, "UnableToMatchGateways", "PUT", f"{path}/remove_external_gateways", body)
    answer = await cloud.ask("PUT", f"{path}/remove_external_gateways", {"router": {"external_gateways": {}}})
    assert answer.json["router"]["external_gateway_info"] is None, "openstackclient says {} for all"
    (moved,) = await ask("update", {"network_id": other["id"]})
    assert moved["network_id"] == other["id"]
    assert await ask("remove", {"network_id": other["id"]}) == []
    body = {"router": {"external_gateways": [{"network_id": other["id"], "enable_snat": False}]}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"{path}/add_external_gateways", body)
    for odd in ({}, {"router": {"external_gateways": 7}}, {"router": {"external_gateways": [7]}}):
        await cloud.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_external_gateways", odd)
