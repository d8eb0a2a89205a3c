"""Subnet pools and address scopes, and subnets that are cut from them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN
from tests.networks_api.test_subnets import refused, subnet


async def pool(cloud: Cloud, *prefixes: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    """Of a name that does not matter."""
    return await cloud.create("subnetpool", "/subnetpools", token, **{"name": "p", "prefixes": list(prefixes), **asked})


async def scope(cloud: Cloud, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    return await cloud.create("address_scope", "/address-scopes", token, **{"name": "s", "ip_version": 4, **asked})


async def cut(cloud: Cloud, network: dict[str, Any], version: int = 4, **asked: Any) -> dict[str, Any]:
    return await cloud.create("subnet", "/subnets", network_id=network["id"], ip_version=version, **asked)


async def test_a_pool_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    made = await pool(cloud, "10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.9.0.0/24")
    assert made["prefixes"] == ["10.0.0.0/23", "10.9.0.0/24"]
    assert (made["min_prefixlen"], made["default_prefixlen"], made["max_prefixlen"]) == (8, 8, 32)
    assert (made["ip_version"], made["shared"], made["is_default"], made["default_quota"]) == (4, False, False, None)
    path = f"/subnetpools/{made['id']}"
    changed = await cloud.update("subnetpool", path, name="q", default_prefixlen=26, prefixes=["10.0.0.0/8"])
    assert (changed["name"], changed["default_prefixlen"], changed["prefixes"]) == ("q", 26, ["10.0.0.0/8"])
    less = {"subnetpool": {"prefixes": ["10.0.0.0/9"]}}
    await cloud.refused(400, "IllegalSubnetPoolPrefixUpdate", "PUT", path, less)
    await cloud.refused(404, "SubnetPoolNotFound", "GET", path, token="member@red")
    assert (await cloud.ask("DELETE", path)).status == 204
    six = await pool(cloud, "fd00::/48")
    assert (six["min_prefixlen"], six["max_prefixlen"], six["ip_version"]) == (64, 128, 6)


@pytest.mark.parametrize(
    ("asked", "type_"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/8", "fd00::/48"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": 24, "max_prefixlen": 16}, "IllegalSubnetPoolPrefixBounds"),
        ({"prefixes": ["10.0.0.0/8"], "max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": 24, "default_prefixlen": 16}, "IllegalSubnetPoolPrefixBounds"),
        ({"prefixes": ["10.0.0.0/8"], "max_prefixlen": 24, "default_prefixlen": 26}, "IllegalSubnetPoolPrefixBounds"),
        ({"prefixes": ["ten"]}, "HTTPBadRequest"),
        ({"prefixes": [7]}, "HTTPBadRequest"),
        ({}, "HTTPBadRequest"),
        ({"prefixes": ["10.0.0.0/8"], "default_quota": -1}, "HTTPBadRequest"),
    ],
)
async def test_what_a_pool_cannot_be(cloud: Cloud, asked: dict[str, Any], type_: str) -> None:
    await cloud.refused(400, type_, "POST", "/subnetpools", {"subnetpool": {"name": "p", **asked}})


async def test_subnets_are_cut_from_what_is_free(cloud: Cloud) -> None:
    held = await pool(cloud, "10.0.0.0/24", default_prefixlen=26, min_prefixlen=25, max_prefixlen=30)
    networks = [await cloud.network() for _ in range(6)]
    named = await cut(cloud, networks[0], subnetpool_id=held["id"], cidr="10.0.0.64/26")
    assert (named["cidr"], named["subnetpool_id"], named["gateway_ip"]) == ("10.0.0.64/26", held["id"], "10.0.0.65")
    any_ = await cut(cloud, networks[1], subnetpool_id=held["id"])
    assert any_["cidr"] == "10.0.0.0/26"  # from the smallest rest that has room
    assert any_["gateway_ip"] == "10.0.0.1"
    small = await cut(cloud, networks[2], subnetpool_id=held["id"], prefixlen=30)
    assert small["cidr"] == "10.0.0.128/30"
    asked = {"subnetpool_id": held["id"]}
    await refused(cloud, 409, "SubnetAllocationError", networks[3], prefixlen=25, **asked)
    await refused(cloud, 409, "SubnetAllocationError", networks[3], cidr="10.0.0.64/27", **asked)
    await refused(cloud, 409, "SubnetAllocationError", networks[3], cidr="10.0.1.0/26", **asked)
    await refused(cloud, 400, "MinPrefixSubnetAllocationError", networks[3], prefixlen=24, **asked)
    await refused(cloud, 400, "MaxPrefixSubnetAllocationError", networks[3], prefixlen=31, **asked)
    pools = [{"start": "10.0.0.200", "end": "10.0.0.201"}]
    await refused(cloud, 400, "BadRequest", networks[3], allocation_pools=pools, **asked)
    await refused(cloud, 400, "BadRequest", networks[3], ip_version=6, **asked)
    await cloud.refused(400, "SubnetPoolDeleteError", "DELETE", f"/subnetpools/{held['id']}")
    assert (await cloud.ask("DELETE", f"/subnets/{any_['id']}")).status == 204
    assert (await cut(cloud, networks[3], subnetpool_id=held["id"]))["cidr"] == "10.0.0.0/26"


async def test_all_of_a_pool_is_cut_without_overlap(cloud: Cloud) -> None:
    held = await pool(cloud, "10.0.0.0/26", default_prefixlen=29)
    made = [await cut(cloud, await cloud.network(), subnetpool_id=held["id"]) for _ in range(8)]
    networks = [ipaddress.ip_network(one["cidr"]) for one in made]
    assert len({address for one in networks for address in one}) == 64
    await refused(cloud, 409, "SubnetAllocationError", await cloud.network(), subnetpool_id=held["id"])


async def test_a_pool_may_give_each_project_so_much_and_no_more(cloud: Cloud) -> None:
    held = await pool(cloud, "10.0.0.0/16", token="admin@red", shared=True, default_quota=512, default_prefixlen=24)
    for _ in range(2):
        await cut(cloud, await cloud.network(), subnetpool_id=held["id"])
    await refused(cloud, 409, "SubnetPoolQuotaExceeded", await cloud.network(), subnetpool_id=held["id"])
    network = await cloud.network("member@red")
    asked = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": held["id"]}
    assert (await cloud.create("subnet", "/subnets", "member@red", **asked))["cidr"] == "10.0.2.0/24"


async def test_there_is_one_default_pool_of_each_version(cloud: Cloud) -> None:
    body = {"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/8"], "is_default": True}}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "/subnetpools", body)
    made = await pool(cloud, "10.0.0.0/8", token="admin@red", is_default=True, shared=True, default_prefixlen=24)
    await cloud.refused(400, "InvalidInput", "POST", "/subnetpools", body, "admin@red")
    network = await cloud.network()
    found = await cut(cloud, network, use_default_subnetpool=True)
    assert (found["subnetpool_id"], found["cidr"]) == (made["id"], "10.0.0.0/24")
    await refused(cloud, 400, "BadRequest", network, use_default_subnetpool=True, subnetpool_id=made["id"])
    await refused(cloud, 400, "NetworkSubnetPoolAffinityError", network, cidr="192.168.0.0/24")


async def test_prefixes_come_and_go(cloud: Cloud) -> None:
    held = await pool(cloud, "10.0.0.0/24", default_prefixlen=26)
    path = f"/subnetpools/{held['id']}"
    answer = await cloud.ask("PUT", f"{path}/add_prefixes", {"prefixes": ["10.0.1.0/24"]})
    assert (answer.status, answer.json) == (200, {"prefixes": ["10.0.0.0/23"]})
    await cut(cloud, await cloud.network(), subnetpool_id=held["id"], cidr="10.0.0.64/26")
    used = {"prefixes": ["10.0.0.64/28"]}
    await cloud.refused(400, "IllegalSubnetPoolPrefixUpdate", "PUT", f"{path}/remove_prefixes", used)
    answer = await cloud.ask("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.0.0.128/25"]})
    assert answer.json == {"prefixes": ["10.0.0.0/25", "10.0.1.0/24"]}
    await cloud.refused(404, "SubnetPoolNotFound", "PUT", f"{path}/add_prefixes", used, "member@red")
    await cloud.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_prefixes", {})


async def test_the_subnets_of_a_network_are_taken_into_a_pool(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "192.168.0.0/24")
    await subnet(cloud, network, "fd00::/64")
    held = await pool(cloud, "10.0.0.0/24")
    path, body = f"/subnetpools/{held['id']}/onboard_network_subnets", {"network_id": network["id"]}
    answer = await cloud.ask("PUT", path, body)
    assert (answer.status, answer.json) == (200, [{"id": made["id"], "cidr": "192.168.0.0/24"}])
    assert (await cloud.ask("GET", f"/subnets/{made['id']}")).json["subnet"]["subnetpool_id"] == held["id"]
    shown = (await cloud.ask("GET", f"/subnetpools/{held['id']}")).json["subnetpool"]
    assert shown["prefixes"] == ["10.0.0.0/24", "192.168.0.0/24"]
    await cloud.refused(400, "IllegalSubnetPoolUpdate", "PUT", path, body)
    shared = await cloud.network("admin@red", shared=True)
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", path, {"network_id": shared["id"]})


async def test_pools_of_an_address_scope_do_not_overlap(cloud: Cloud) -> None:
    held = await scope(cloud)
    assert (held["ip_version"], held["shared"], held["project_id"]) == (4, False, "blue")
    one = await pool(cloud, "10.0.0.0/24", address_scope_id=held["id"], default_prefixlen=28)
    body = {"subnetpool": {"name": "p", "prefixes": ["10.0.0.128/25"], "address_scope_id": held["id"]}}
    await cloud.refused(409, "AddressScopePrefixConflict", "POST", "/subnetpools", body)
    other = await pool(cloud, "10.0.1.0/24", address_scope_id=held["id"], default_prefixlen=28)
    six = {"subnetpool": {"name": "p", "prefixes": ["fd00::/48"], "address_scope_id": held["id"]}}
    type_ = "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    await cloud.refused(400, type_, "POST", "/subnetpools", six)
    await cloud.refused(404, "AddressScopeNotFound", "GET", f"/address-scopes/{held['id']}", token="member@red")
    foreign = {"subnetpool": {"name": "p", "prefixes": ["10.7.0.0/16"], "address_scope_id": held["id"]}}
    type_ = "AddressScopeNotFound"
    await cloud.refused(404, type_, "POST", "/subnetpools", foreign, "member@red")
    await cloud.refused(409, "AddressScopeInUse", "DELETE", f"/address-scopes/{held['id']}")
    network = await cloud.network()
    for held_by in (one, other):  # of one scope
        await cut(cloud, network, subnetpool_id=held_by["id"])
    assert (await cloud.ask("GET", f"/networks/{network['id']}")).json["network"]["ipv4_address_scope"] == held["id"]
    outside = await pool(cloud, "10.2.0.0/16", default_prefixlen=24)
    await refused(cloud, 400, "NetworkAddressScopeAffinityError", network, subnetpool_id=outside["id"])
    leave = {"subnetpool": {"address_scope_id": None}}
    await cloud.refused(400, "NetworkAddressScopeAffinityError", "PUT", f"/subnetpools/{one['id']}", leave)


async def test_what_is_shared_is_seen_by_all_and_stays_shared(cloud: Cloud) -> None:
    body = {"address_scope": {"name": "s", "ip_version": 4, "shared": True}}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "/address-scopes", body)
    held = await scope(cloud, "admin@red", shared=True)
    path = f"/address-scopes/{held['id']}"
    assert (await cloud.ask("GET", path)).json["address_scope"]["shared"] is True
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", path)
    unshare = {"address_scope": {"shared": False}}
    await cloud.refused(400, "AddressScopeUpdateError", "PUT", path, unshare, "admin@red")
    mine = await pool(cloud, "10.0.0.0/8", address_scope_id=held["id"])
    stuck = {"subnetpool": {"name": "q"}}
    await cloud.refused(400, "IllegalSubnetPoolUpdate", "PUT", f"/subnetpools/{mine['id']}", stuck)
    assert (await cloud.ask("DELETE", f"/subnetpools/{mine['id']}")).status == 204
    assert (await cloud.ask("DELETE", path, token="admin@red")).status == 204
    shared = await pool(cloud, "10.0.0.0/8", token="admin@red", shared=True)
    assert (await cloud.ask("GET", f"/subnetpools/{shared['id']}")).json["subnetpool"]["shared"] is True
    assert (await cloud.ask("DELETE", f"/subnetpools/{shared['id']}", token="admin@red")).status == 204
    records = cloud.service.store.records
    assert (len(records.rbac_policies), len(records.address_scopes), len(records.subnetpools)) == (0, 0, 0)


async def test_a_default_pool_that_is_not_shared_is_its_projects(cloud: Cloud) -> None:
    await cloud.create("subnetpool", "/subnetpools", ADMIN, name="p", prefixes=["10.0.0.0/8"], is_default=True)
    network = await cloud.network()
    await refused(cloud, 400, "BadRequest", network, use_default_subnetpool=True)
