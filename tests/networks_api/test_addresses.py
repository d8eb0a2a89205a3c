"""Addresses of ports: which they get, keep and give back."""

from __future__ import annotations

import ipaddress
from typing import Any

import trio

from tests.networks_api.cloud import Cloud
from tests.networks_api.test_ports import port, refused
from tests.networks_api.test_subnets import subnet

SLAAC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}


def held(port: dict[str, Any]) -> list[str]:
    """Its addresses."""
    return [one["ip_address"] for one in port["fixed_ips"]]


def eui64(prefix: str, mac: str) -> str:
    """As RFC 4291 has it."""
    octets = [int(one, 16) for one in mac.split(":")]
    tail = bytes([octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Network(prefix).network_address + int.from_bytes(tail, "big"))


async def test_a_port_has_one_address_of_each_version_unless_it_says_other(cloud: Cloud) -> None:
    network = await cloud.network()
    assert (await port(cloud, network))["fixed_ips"] == []
    four = await subnet(cloud, network, "10.0.0.0/24")
    other = await subnet(cloud, network, "10.0.1.0/24")
    six = await subnet(cloud, network, "fd00::/64")
    made = await port(cloud, network)
    assert [one["subnet_id"] for one in made["fixed_ips"]][1:] == [six["id"]]
    assert made["fixed_ips"][0]["subnet_id"] in (four["id"], other["id"])
    assert (await port(cloud, network, fixed_ips=[]))["fixed_ips"] == []
    by_subnet = await port(cloud, network, fixed_ips=[{"subnet_id": other["id"]}, {"subnet_id": other["id"]}])
    assert [one["subnet_id"] for one in by_subnet["fixed_ips"]] == [other["id"]] * 2
    assert len(set(held(by_subnet))) == 2
    by_address = await port(cloud, network, fixed_ips=[{"ip_address": "10.0.1.77"}])
    assert by_address["fixed_ips"] == [{"subnet_id": other["id"], "ip_address": "10.0.1.77"}]
    by_both = await port(cloud, network, fixed_ips=[{"ip_address": "10.0.0.77", "subnet_id": four["id"]}])
    assert held(by_both) == ["10.0.0.77"]
    outside = await port(cloud, network, fixed_ips=[{"ip_address": "10.0.0.1"}])  # behind no pool, but of the subnet
    assert held(outside) == ["10.0.0.1"]


async def test_addresses_that_nobody_can_have_are_refused(cloud: Cloud) -> None:
    network, elsewhere = await cloud.network(), await cloud.network()
    await refused(cloud, 400, "InvalidInput", network, fixed_ips=[{"ip_address": "10.0.0.9"}])
    four = await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False)
    foreign = await subnet(cloud, elsewhere, "10.0.1.0/24")
    for address in ("10.0.0.0", "10.0.0.255", "10.0.1.9", "fd00::9"):
        await refused(cloud, 400, "InvalidIpForNetwork", network, fixed_ips=[{"ip_address": address}])
        wish = [{"subnet_id": four["id"], "ip_address": address}]
        await refused(cloud, 400, "InvalidIpForSubnet", network, fixed_ips=wish)
    await refused(cloud, 400, "InvalidInput", network, fixed_ips=[{"subnet_id": foreign["id"]}])
    none = "6b5ae1ff-5ab9-4e1a-9f1c-000000000000"
    await refused(cloud, 404, "SubnetNotFound", network, fixed_ips=[{"subnet_id": none}])
    await port(cloud, network, fixed_ips=[{"ip_address": "10.0.0.9"}])
    await refused(cloud, 409, "IpAddressAlreadyAllocated", network, fixed_ips=[{"ip_address": "10.0.0.9"}])
    assert len(await cloud.listed("ports", f"/ports?network_id={network['id']}")) == 1


async def test_all_addresses_of_the_pools_are_given_and_come_back(cloud: Cloud) -> None:
    network = await cloud.network()
    pools = [{"start": "10.0.0.4", "end": "10.0.0.5"}, {"start": "10.0.0.9", "end": "10.0.0.9"}]
    await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False, allocation_pools=pools)
    made = [await port(cloud, network) for _ in range(3)]
    assert sorted(one for each in made for one in held(each)) == ["10.0.0.4", "10.0.0.5", "10.0.0.9"]
    await refused(cloud, 409, "IpAddressGenerationFailure", network)
    assert (await cloud.ask("DELETE", f"/ports/{made[1]['id']}")).status == 204
    assert held(await port(cloud, network)) == held(made[1])
    await subnet(cloud, network, "10.0.1.0/24", enable_dhcp=False)
    assert held(await port(cloud, network))[0].startswith("10.0.1.")


async def test_two_processes_give_no_address_twice(cloud: Cloud) -> None:
    network = await cloud.network()
    pools = [{"start": "10.0.0.4", "end": "10.0.0.15"}]
    await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False, allocation_pools=pools)
    other = Cloud(cloud.registry)
    given: list[str] = []
    refusals: list[int] = []

    async def make(by: Cloud) -> None:
        for _ in range(5):
            answer = await by.ask("POST", "/ports", {"port": {"network_id": network["id"]}})
            if answer.status == 201:
                given.extend(held(answer.json["port"]))
            else:
                refusals.append(answer.status)

    async with trio.open_nursery() as nursery:
        await nursery.start(other.service.run)
        async with trio.open_nursery() as makers:
            for by in (cloud, other) * 2:
                makers.start_soon(make, by)
        nursery.cancel_scope.cancel()
    assert sorted(given, key=ipaddress.ip_address) == [f"10.0.0.{one}" for one in range(4, 16)]
    assert refusals == [409] * 8


async def test_a_certain_address_is_not_given_to_the_wish_for_any(cloud: Cloud) -> None:
    network = await cloud.network()
    one = [{"start": "10.0.0.4", "end": "10.0.0.5"}]
    held_by = await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False, allocation_pools=one)
    wishes = [{"subnet_id": held_by["id"]}, {"ip_address": "10.0.0.4"}]
    assert held(await port(cloud, network, fixed_ips=wishes)) == ["10.0.0.5", "10.0.0.4"]


async def test_a_port_keeps_what_is_not_changed(cloud: Cloud) -> None:
    network = await cloud.network()
    one = await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False)
    two = await subnet(cloud, network, "10.0.1.0/24", enable_dhcp=False)
    made = await port(cloud, network, fixed_ips=[{"subnet_id": one["id"]}, {"subnet_id": two["id"]}])
    path, (first, second) = f"/ports/{made['id']}", held(made)
    only = await cloud.update("port", path, fixed_ips=[{"subnet_id": two["id"]}])
    assert held(only) == [second]
    both = await cloud.update("port", path, fixed_ips=[{"ip_address": second}, {"subnet_id": two["id"]}])
    assert held(both)[0] == second
    assert len(set(held(both))) == 2
    same = await cloud.update("port", path, name="n")
    assert held(same) == held(both)
    assert (await port(cloud, network, fixed_ips=[{"ip_address": first}]))["id"] != made["id"]  # it was given back
    body = {"port": {"fixed_ips": [{"ip_address": first}]}}
    await cloud.refused(409, "IpAddressAlreadyAllocated", "PUT", path, body)
    assert held((await cloud.ask("GET", path)).json["port"]) == held(both)
    assert held(await cloud.update("port", path, fixed_ips=[])) == []


async def test_every_port_makes_itself_an_address_of_a_slaac_subnet(cloud: Cloud) -> None:
    network = await cloud.network()
    before = await port(cloud, network)
    four = await subnet(cloud, network, "10.0.0.0/24")
    six = await subnet(cloud, network, "fd00::/64", **SLAAC)
    seen = (await cloud.ask("GET", f"/ports/{before['id']}")).json["port"]
    assert seen["fixed_ips"] == [{"subnet_id": six["id"], "ip_address": eui64("fd00::/64", before["mac_address"])}]
    made = await port(cloud, network)
    assert held(made)[1:] == [eui64("fd00::/64", made["mac_address"])]
    path = f"/ports/{made['id']}"
    less = await cloud.update("port", path, fixed_ips=[{"subnet_id": four["id"]}])
    assert held(less) == held(made)
    none = await cloud.update("port", path, fixed_ips=[])
    assert held(none) == [eui64("fd00::/64", made["mac_address"])]
    named = await cloud.update("port", path, fixed_ips=[{"ip_address": held(none)[0]}, {"subnet_id": six["id"]}])
    assert held(named) == held(none)
    other = {"port": {"fixed_ips": [{"ip_address": "fd00::9"}]}}
    await cloud.refused(400, "AllocationOnAutoAddressSubnet", "PUT", path, other)
    moved = await cloud.update("port", path, "admin@blue", mac_address="fa:16:3e:00:00:01", fixed_ips=none["fixed_ips"])
    assert held(moved) == ["fd00::f816:3eff:fe00:1"]
    assert (await cloud.ask("DELETE", f"/subnets/{six['id']}")).status == 204
    assert held((await cloud.ask("GET", path)).json["port"]) == []


async def test_a_router_is_told_its_address_of_a_slaac_subnet(cloud: Cloud) -> None:
    network = await cloud.network()
    before = await port(cloud, network, device_owner="network:router_interface")
    six = await subnet(cloud, network, "fd00::/64", **SLAAC)
    assert held((await cloud.ask("GET", f"/ports/{before['id']}")).json["port"]) == []
    made = await port(
        cloud, network, device_owner="network:router_interface", fixed_ips=[{"ip_address": "fd00::1"}]
    )  # fmt: skip
    assert held(made) == ["fd00::1"]
    await cloud.refused(409, "SubnetInUse", "DELETE", f"/subnets/{six['id']}")


async def test_the_addresses_of_a_router_are_changed_by_its_interfaces(cloud: Cloud) -> None:
    network, router = await cloud.network(), await cloud.create("router", "/routers")
    made = await subnet(cloud, network, "10.0.0.0/24")
    body = {"subnet_id": made["id"]}
    answer = await cloud.ask("PUT", f"/routers/{router['id']}/add_router_interface", body)
    path = f"/ports/{answer.json['port_id']}"
    await cloud.refused(400, "BadRequest", "PUT", path, {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}})
    same = await cloud.update("port", path, fixed_ips=[{"ip_address": "10.0.0.1"}], name="n")
    assert (held(same), same["name"]) == (["10.0.0.1"], "n")
    await cloud.refused(409, "ServicePortInUse", "DELETE", path)


async def test_a_stateful_subnet_of_ipv6_gives_addresses_of_its_pools(cloud: Cloud) -> None:
    network = await cloud.network()
    mode = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
    pools = [{"start": "fd00::a", "end": "fd00::b"}]
    await subnet(cloud, network, "fd00::/64", allocation_pools=pools, **mode)  # one is of DHCP
    assert held(await port(cloud, network)) == ["fd00::b"]
    await refused(cloud, 409, "IpAddressGenerationFailure", network)
    named = await port(cloud, network, fixed_ips=[{"ip_address": "fd00::c"}])
    assert held(named) == ["fd00::c"]


async def test_ipv6_wants_room_in_packets(cloud: Cloud) -> None:
    network = await cloud.network(mtu=1279)
    body = {"subnet": {"network_id": network["id"], "ip_version": 6, "cidr": "fd00::/64"}}
    await cloud.refused(409, "NetworkMTUSubnetConflict", "POST", "/subnets", body)
