"""Subnets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud


async def subnet(cloud: Cloud, network: dict[str, Any], cidr: str, **asked: Any) -> dict[str, Any]:
    """Of the version that the prefix is of."""
    version = 6 if ":" in cidr else 4
    return await cloud.create("subnet", "/subnets", network_id=network["id"], cidr=cidr, ip_version=version, **asked)


async def refused(cloud: Cloud, status: int, type_: str, network: dict[str, Any], **asked: Any) -> str:
    """The message to who asks for such a subnet of IPv4."""
    body = {"network_id": network["id"], "ip_version": 4, **asked}
    return await cloud.refused(status, type_, "POST", "/subnets", {"subnet": body})


async def test_a_subnet_has_a_gateway_and_pools_and_its_network_shows_it(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "10.0.0.0/24", name="lan")
    assert (made["gateway_ip"], made["allocation_pools"]) == ("10.0.0.1", [{"start": "10.0.0.2", "end": "10.0.0.254"}])
    assert (made["enable_dhcp"], made["ip_version"], made["project_id"]) == (True, 4, "blue")
    assert (await cloud.ask("GET", f"/networks/{network['id']}")).json["network"]["subnets"] == [made["id"]]
    port = await cloud.create("port", "/ports", network_id=network["id"])
    assert port["fixed_ips"][0]["subnet_id"] == made["id"]
    await cloud.refused(409, "SubnetInUse", "DELETE", f"/subnets/{made['id']}")
    assert (await cloud.ask("DELETE", f"/ports/{port['id']}")).status == 204
    assert (await cloud.ask("DELETE", f"/subnets/{made['id']}")).status == 204
    assert await cloud.listed("ports", "/ports") == []


async def test_a_gateway_in_the_middle_parts_the_pools_and_null_is_none(cloud: Cloud) -> None:
    network = await cloud.network()
    middle = await subnet(cloud, network, "10.0.0.0/29", gateway_ip="10.0.0.3")
    assert middle["allocation_pools"] == [
        {"start": "10.0.0.1", "end": "10.0.0.2"}, {"start": "10.0.0.4", "end": "10.0.0.6"},
    ]  # fmt: skip
    none = await subnet(cloud, network, "10.0.1.0/30", gateway_ip=None)
    assert (none["gateway_ip"], none["allocation_pools"]) == (None, [{"start": "10.0.1.1", "end": "10.0.1.2"}])
    elsewhere = await subnet(cloud, network, "10.0.2.0/30", gateway_ip="192.0.2.1")
    assert elsewhere["allocation_pools"] == [{"start": "10.0.2.1", "end": "10.0.2.2"}]
    six = await subnet(cloud, network, "fd00::/64")
    assert six["gateway_ip"] == "fd00::1"
    assert six["allocation_pools"] == [{"start": "fd00::2", "end": "fd00::ffff:ffff:ffff:ffff"}]


async def test_host_bits_are_cut_off_a_prefix(cloud: Cloud) -> None:
    assert (await subnet(cloud, await cloud.network(), "10.1.2.3/16"))["cidr"] == "10.1.0.0/16"


async def test_two_subnets_of_a_network_do_not_overlap(cloud: Cloud) -> None:
    network = await cloud.network()
    await subnet(cloud, network, "10.0.0.0/24")
    for cidr in ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"):
        assert "overlaps with another subnet" in await refused(cloud, 400, "InvalidInput", network, cidr=cidr)
    await subnet(cloud, network, "10.0.1.0/24")
    await subnet(cloud, await cloud.network(), "10.0.0.0/24")


@pytest.mark.parametrize(
    ("asked", "status", "type_"),
    [
        ({}, 400, "BadRequest"),
        ({"cidr": "10.0.0.0/24", "prefixlen": 24}, 400, "BadRequest"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        ({"cidr": "0.0.0.0/0", "enable_dhcp": False}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/31"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "127.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.0"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "fd00::1"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, 400,
         "InvalidAllocationPool"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.5"}]}, 400,
         "OutOfBoundsAllocationPool"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.5"}]}, 409,
         "GatewayConflictWithAllocationPools"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"},
                                                      {"start": "10.0.0.3", "end": "10.0.0.5"}]}, 409,
         "OverlappingAllocationPools"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": [f"192.0.2.{one}" for one in range(6)]}, 400,
         "DNSNameServersExhausted"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["fd00::1"]}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["ns"]}, 400, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0/24", "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "fd00::1"}]}, 400,
         "InvalidInput"),
        ({"cidr": "10.0.0.0/24",
          "host_routes": [{"destination": f"10.{one}.0.0/16", "nexthop": "10.0.0.5"} for one in range(1, 22)]}, 400,
         "HostRoutesExhausted"),
        ({"cidr": "10.0.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"}, 400,
         "InvalidInput"),
        ({"cidr": "fd00::/80", "ip_version": 6, "ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "enable_dhcp": False}, 400, "InvalidInput"),
        ({"cidr": "::/64", "ip_version": 6}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "ip_version": 5}, 400, "HTTPBadRequest"),
        ({"subnetpool_id": "6b5ae1ff-5ab9-4e1a-9f1c-000000000000"}, 404, "SubnetPoolNotFound"),
        ({"use_default_subnetpool": True}, 400, "BadRequest"),
    ],
)  # fmt: skip
async def test_what_a_subnet_cannot_be(cloud: Cloud, asked: dict[str, Any], status: int, type_: str) -> None:
    await refused(cloud, status, type_, await cloud.network(), **asked)
    assert await cloud.listed("subnets", "/subnets") == []
    assert await cloud.listed("ports", "/ports") == []


async def test_what_is_said_of_a_subnet_is_shown_and_changed(cloud: Cloud) -> None:
    network = await cloud.network()
    routes = [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}]
    made = await subnet(
        cloud, network, "10.0.0.0/24", dns_nameservers=["192.0.2.2", "192.0.2.1"], host_routes=routes,
        dns_publish_fixed_ip=True, enable_dhcp=False, tags=["b", "a"],
    )  # fmt: skip
    assert (made["dns_nameservers"], made["host_routes"]) == (["192.0.2.2", "192.0.2.1"], routes)
    assert (made["dns_publish_fixed_ip"], made["enable_dhcp"], made["service_types"]) == (True, False, [])
    changed = await cloud.update(
        "subnet", f"/subnets/{made['id']}", gateway_ip="10.0.0.254", dns_nameservers=[], host_routes=[],
        allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}], name="n",
    )  # fmt: skip
    assert (changed["gateway_ip"], changed["dns_nameservers"], changed["host_routes"]) == ("10.0.0.254", [], [])
    assert changed["allocation_pools"] == [{"start": "10.0.0.10", "end": "10.0.0.20"}]
    port = await cloud.create("port", "/ports", network_id=network["id"])
    assert 10 <= int(port["fixed_ips"][0]["ip_address"].rpartition(".")[2]) <= 20
    body = {"subnet": {"gateway_ip": "10.0.0.15"}}
    await cloud.refused(409, "GatewayConflictWithAllocationPools", "PUT", f"/subnets/{made['id']}", body)
    await cloud.refused(400, "HTTPBadRequest", "PUT", f"/subnets/{made['id']}", {"subnet": {"cidr": "10.0.0.0/8"}})


async def test_the_gateway_stays_as_long_as_a_router_has_its_address(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await subnet(cloud, network, "10.0.0.0/24")
    await cloud.create(
        "port", "/ports", network_id=network["id"], device_owner="network:router_interface",
        fixed_ips=[{"subnet_id": made["id"], "ip_address": "10.0.0.1"}],
    )  # fmt: skip
    path, body = f"/subnets/{made['id']}", {"subnet": {"gateway_ip": None}}
    await cloud.refused(409, "GatewayIpInUse", "PUT", path, body)
    await cloud.refused(409, "SubnetInUse", "DELETE", path)


async def test_subnets_of_shared_and_external_networks_are_seen_by_all(cloud: Cloud) -> None:
    shared = await cloud.network("admin@red", shared=True)
    external = await cloud.network("admin@red", **{"router:external": True})
    private = await cloud.network("admin@red")
    made = [
        await cloud.create("subnet", "/subnets", "admin@red", network_id=one["id"], cidr="10.0.0.0/24", ip_version=4)
        for one in (shared, external, private)
    ]
    seen = await cloud.listed("subnets", "/subnets")
    assert {one["id"] for one in seen} == {made[0]["id"], made[1]["id"]}
    assert {one["id"]: one["router:external"] for one in seen} == {made[0]["id"]: False, made[1]["id"]: True}
    await refused(cloud, 403, "PolicyNotAuthorized", shared, cidr="10.0.9.0/24")
    await refused(cloud, 404, "NetworkNotFound", private, cidr="10.0.9.0/24")
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", f"/subnets/{made[0]['id']}")
    await cloud.refused(404, "SubnetNotFound", "DELETE", f"/subnets/{made[2]['id']}")


async def test_some_subnets_are_for_some_ports(cloud: Cloud) -> None:
    network = await cloud.network("admin@blue")
    asked = {"network_id": network["id"], "ip_version": 4, "enable_dhcp": False}
    servers = await cloud.create(
        "subnet", "/subnets", "admin@blue", cidr="10.0.0.0/24", service_types=["compute:nova"], **asked
    )
    await cloud.refused(
        409, "IpAddressGenerationFailureNoMatchingSubnet", "POST", "/ports", {"port": {"network_id": network["id"]}}
    )
    others = await cloud.create("subnet", "/subnets", "admin@blue", cidr="10.0.1.0/24", **asked)
    for owner, expected in (("compute:nova", servers), ("", others)):
        port = await cloud.create("port", "/ports", network_id=network["id"], device_owner=owner)
        assert [one["subnet_id"] for one in port["fixed_ips"]] == [expected["id"]]
    wrong = {"subnet": {"service_types": ["nova"]}}
    await cloud.refused(400, "InvalidSubnetServiceType", "PUT", f"/subnets/{others['id']}", wrong, "admin@blue")
    await cloud.refused(
        403, "PolicyNotAuthorized", "PUT", f"/subnets/{others['id']}", {"subnet": {"service_types": []}}
    )


async def test_a_subnet_for_some_ports_is_taken_by_them_before_others(cloud: Cloud) -> None:
    network = await cloud.network("admin@blue")
    for number in range(6):
        await subnet(cloud, network, f"10.0.{number}.0/24")
    asked = {"network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/24", "service_types": ["compute:nova"]}
    own = await cloud.create("subnet", "/subnets", "admin@blue", **asked)
    port = await cloud.create("port", "/ports", network_id=network["id"], device_owner="compute:nova")
    assert [one["subnet_id"] for one in port["fixed_ips"]] == [own["id"]]


async def test_dhcp_comes_only_where_there_is_room_and_stays_where_addresses_need_it(cloud: Cloud) -> None:
    network = await cloud.network()
    small = await subnet(cloud, network, "10.0.0.0/31", enable_dhcp=False)
    await cloud.refused(400, "InvalidInput", "PUT", f"/subnets/{small['id']}", {"subnet": {"enable_dhcp": True}})
    six = await subnet(cloud, network, "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    await cloud.refused(400, "InvalidInput", "PUT", f"/subnets/{six['id']}", {"subnet": {"enable_dhcp": False}})


async def test_subnets_count_against_the_quota(cloud: Cloud) -> None:
    await cloud.update("quota", "/quotas/blue", "admin@red", subnet=1)
    network = await cloud.network()
    await subnet(cloud, network, "10.0.0.0/24")
    await refused(cloud, 409, "OverQuota", network, cidr="10.0.1.0/24")


async def test_a_network_takes_its_subnets_and_its_dhcp_along(cloud: Cloud) -> None:
    network = await cloud.network()
    for number in range(3):
        await subnet(cloud, network, f"10.0.{number}.0/24")
    assert (await cloud.ask("DELETE", f"/networks/{network['id']}")).status == 204
    assert await cloud.listed("subnets", "/subnets", "admin@red") == []
    assert await cloud.listed("ports", "/ports", "admin@red") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cidr": 7}, {"cidr": []}, {"cidr": "10.0.0.0/33"}, {"cidr": "10.0.0.0/24%eth0"}, {"cidr": " 10.0.0.0/24"},
        {"cidr": "\ud800/24"}, {"name": "a\ud800"}, {"gateway_ip": 7}, {"gateway_ip": "gateway"},
        {"allocation_pools": {}}, {"allocation_pools": [7]}, {"allocation_pools": [{}]},
        {"allocation_pools": [{"start": "10.0.0.2"}]}, {"allocation_pools": [{"start": [], "end": {}}]},
        {"allocation_pools": [{"start": "10.0.0.2", "end": "fd00::1"}]},
        {"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.3", "colour": "red"}]},
        {"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.3"}] * 1001}, {"dns_nameservers": 7},
        {"dns_nameservers": [{}]}, {"host_routes": [{"destination": "10.0.0.0/8"}]}, {"host_routes": "x"},
        {"host_routes": [{"destination": "10.0.0.1/8", "nexthop": "10.0.0.5"}]}, {"ip_version": []},
        {"ip_version": True}, {"ip_version": "four"}, {"prefixlen": -1}, {"prefixlen": "x"}, {"prefixlen": 129},
        {"enable_dhcp": "perhaps"}, {"ipv6_ra_mode": "odd"}, {"ipv6_ra_mode": []}, {"subnetpool_id": "x"},
        {"use_default_subnetpool": 7}, {"service_types": [7]}, {"service_types": "x"}, {"segment_id": 7},
        {"tags": [[]]}, {"network_id": None}, {"network_id": []}, {"colour": "red"},
    ],
    ids=str,
)  # fmt: skip
async def test_nonsense_is_refused_and_leaves_nothing(cloud: Cloud, wrong: dict[str, Any]) -> None:
    network = await cloud.network()
    asked = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", **wrong}
    answer = await cloud.ask("POST", "/subnets", {"subnet": asked}, "admin@blue")
    assert answer.status == 400, answer.body
    made = await subnet(cloud, network, "10.0.0.0/24")
    answer = await cloud.ask("PUT", f"/subnets/{made['id']}", {"subnet": wrong}, "admin@blue")
    assert answer.status == 400, answer.body
    assert (await cloud.ask("GET", f"/subnets/{made['id']}")).json["subnet"] == made
