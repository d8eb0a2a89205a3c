"""Rules of security groups, and the address groups that they name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud

GROUPS = "/security-groups"
RULES = "/security-group-rules"
ADDRESSES = "/address-groups"


async def group(cloud: Cloud, token: str = "member@blue", **asked: Any) -> str:
    made = await cloud.create("security_group", GROUPS, token, **asked)
    return str(made["id"])


async def rule(cloud: Cloud, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    return await cloud.create("security_group_rule", RULES, token, **{"direction": "ingress", **asked})


async def test_a_rule_is_made_shown_and_deleted(cloud: Cloud) -> None:
    id_ = await group(cloud)
    made = await rule(
        cloud, security_group_id=id_, protocol="TCP", port_range_min="80", port_range_max=443, ethertype="ipv4",
        remote_ip_prefix="10.0.0.7/24", description="web",
    )  # fmt: skip
    assert made | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "project_id": "blue",
        "tenant_id": "blue",
        "description": "web",
        "created_at": "",
        "updated_at": "",
        "revision_number": 0,
        "security_group_id": id_,
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 443,
        "remote_ip_prefix": "10.0.0.7/24",
        "normalized_cidr": "10.0.0.0/24",
        "remote_group_id": None,
        "remote_address_group_id": None,
        "belongs_to_default_sg": False,
    }
    path = f"{RULES}/{made['id']}"
    assert (await cloud.ask("GET", path)).json["security_group_rule"] == made
    shown = (await cloud.ask("GET", f"{GROUPS}/{id_}")).json["security_group"]
    assert made in shown["security_group_rules"]
    assert shown["revision_number"] == 1
    assert [made] == await cloud.listed("security_group_rules", f"{RULES}?security_group_id={id_}&protocol=tcp")
    assert (await cloud.ask("PUT", path, {"security_group_rule": {}})).status == 405
    assert (await cloud.ask("DELETE", path)).status == 204
    await cloud.refused(404, "SecurityGroupRuleNotFound", "GET", path)
    assert (await cloud.ask("GET", f"{GROUPS}/{id_}")).json["security_group"]["revision_number"] == 2


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"protocol": 17}, {"protocol": "17"}),
        ({"protocol": "any"}, {"protocol": None}),
        ({"protocol": "017"}, {"protocol": "17"}),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
        ({"protocol": "icmpv6", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
        ({"protocol": 1, "ethertype": "IPv6"}, {"protocol": "58"}),
        ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}, {"port_range_min": None}),
        ({"protocol": "icmp", "port_range_min": 8}, {"port_range_min": 8, "port_range_max": None}),
        ({"protocol": "icmp", "port_range_min": 3, "port_range_max": 0}, {"port_range_max": 0}),
        ({"remote_ip_prefix": "10.0.0.1"}, {"remote_ip_prefix": "10.0.0.1/32"}),
        ({"remote_ip_prefix": ""}, {"remote_ip_prefix": None}),
        ({"remote_group_id": ""}, {"remote_group_id": None}),
    ],
)
async def test_a_rule_is_kept_in_the_form_that_it_is_compared_in(
    cloud: Cloud, asked: dict[str, Any], kept: dict[str, Any]
) -> None:
    made = await rule(cloud, security_group_id=await group(cloud), **asked)
    assert kept.items() <= made.items()


@pytest.mark.parametrize(
    ("type_", "asked"),
    [
        ("SecurityGroupRuleInvalidProtocol", {"protocol": "bad"}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": 256}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": -1}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": True}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": ["tcp"]}),
        ("SecurityGroupRuleInvalidProtocol", {"protocol": "\u0661"}),
        ("SecurityGroupRuleInvalidEtherType", {"ethertype": "IPv5"}),
        ("SecurityGroupRuleInvalidEtherType", {"ethertype": None}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": True, "port_range_max": 80}),
        ("SecurityGroupInvalidPortValue", {"protocol": "tcp", "port_range_min": {}, "port_range_max": 80}),
        ("SecurityGroupInvalidPortRange", {"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}),
        ("SecurityGroupInvalidPortRange", {"protocol": "17", "port_range_max": 6}),
        ("SecurityGroupProtocolRequiredWithPorts", {"port_range_min": 80, "port_range_max": 80}),
        ("SecurityGroupInvalidProtocolForPort", {"protocol": "esp", "port_range_min": 80}),
        ("SecurityGroupInvalidIcmpValue", {"protocol": "icmp", "port_range_min": 1, "port_range_max": 256}),
        ("SecurityGroupInvalidIcmpValue", {"protocol": "icmp", "port_range_min": 300, "port_range_max": 1}),
        ("SecurityGroupMissingIcmpType", {"protocol": "icmp", "port_range_max": 6}),
        ("SecurityGroupEthertypeConflictWithProtocol", {"protocol": "ipv6-icmp"}),
        ("SecurityGroupEthertypeConflictWithProtocol", {"protocol": "58"}),
        ("InvalidCIDR", {"remote_ip_prefix": "192.168.1.1/33"}),
        ("InvalidCIDR", {"remote_ip_prefix": 256}),
        ("InvalidCIDR", {"remote_ip_prefix": "fe80::1%eth0/64"}),
        ("SecurityGroupRuleParameterConflict", {"remote_ip_prefix": "fd00::/8"}),
        ("SecurityGroupMultipleRemoteEntites", {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "x"}),
        ("HTTPBadRequest", {"direction": "sideways"}),
        ("HTTPBadRequest", {"direction": {}}),
        ("HTTPBadRequest", {"remote_address_group_id": 7}),
        ("HTTPBadRequest", {"security_group_id": None}),
        ("HTTPBadRequest", {"description": "x" * 256}),
    ],
)
async def test_what_cannot_be_a_rule_is_refused(cloud: Cloud, type_: str, asked: dict[str, Any]) -> None:
    id_ = await group(cloud)
    body = {"security_group_rule": {"security_group_id": id_, "direction": "ingress", **asked}}
    await cloud.refused(400, type_, "POST", RULES, body)
    assert len(await cloud.listed("security_group_rules", f"{RULES}?security_group_id={id_}")) == 2


async def test_the_same_is_not_let_through_twice(cloud: Cloud) -> None:
    id_ = await group(cloud)
    made = await rule(cloud, security_group_id=id_, protocol="tcp")
    same = ({"protocol": 6}, {"protocol": "tcp", "remote_ip_prefix": "0.0.0.0/0"}, {"protocol": "tcp", "name": "x"})
    for asked in same[:2]:
        body = {"security_group_rule": {"security_group_id": id_, "direction": "ingress", **asked}}
        assert made["id"] in await cloud.refused(409, "SecurityGroupRuleExists", "POST", RULES, body)
    assert (await cloud.ask("POST", RULES, {"security_group_rule": same[2]})).status == 400
    await rule(cloud, security_group_id=id_, protocol="tcp", ethertype="IPv6")
    await rule(cloud, security_group_id=id_, protocol="tcp", direction="egress")


async def test_several_rules_are_made_or_none(cloud: Cloud) -> None:
    id_ = await group(cloud)
    asked = [{"security_group_id": id_, "direction": "ingress", "protocol": name} for name in ("tcp", "udp")]
    answer = await cloud.ask("POST", RULES, {"security_group_rules": asked})
    assert [one["protocol"] for one in answer.json["security_group_rules"]] == ["tcp", "udp"]
    body = {"security_group_rules": [asked[0] | {"protocol": "sctp"}, asked[1]]}
    await cloud.refused(409, "SecurityGroupRuleExists", "POST", RULES, body)
    assert len(await cloud.listed("security_group_rules", f"{RULES}?security_group_id={id_}")) == 4


async def test_what_a_rule_names_has_to_be_there_and_seen(cloud: Cloud) -> None:
    id_, strange = await group(cloud), await group(cloud, "member@red")
    addresses = await cloud.create("address_group", ADDRESSES, "member@red", addresses=["10.0.0.0/8"])
    for named in ("bad", strange):
        body = {"security_group_rule": {"security_group_id": id_, "direction": "ingress", "remote_group_id": named}}
        await cloud.refused(404, "SecurityGroupNotFound", "POST", RULES, body)
    asked = {"security_group_id": id_, "direction": "ingress", "remote_address_group_id": addresses["id"]}
    await cloud.refused(404, "AddressGroupNotFound", "POST", RULES, {"security_group_rule": asked})
    made = await rule(cloud, "admin@red", security_group_id=id_, remote_group_id=strange)
    assert made["project_id"] == "red"
    seen = await cloud.listed("security_group_rules", f"{RULES}?remote_group_id={strange}")
    assert [one["id"] for one in seen] == [made["id"]]
    assert (await cloud.ask("DELETE", f"{RULES}/{made['id']}")).status == 204


async def test_addresses_are_put_into_a_group_and_taken_out(cloud: Cloud) -> None:
    made = await cloud.create("address_group", ADDRESSES, name="office", addresses=["10.0.0.9/24", "fd00::1"])
    assert made["addresses"] == ["10.0.0.0/24", "fd00::1/128"]
    path = f"{ADDRESSES}/{made['id']}"
    answer = await cloud.ask("PUT", f"{path}/add_addresses", {"address_group": {"addresses": ["192.0.2.1"]}})
    assert answer.json["address_group"]["addresses"] == [*made["addresses"], "192.0.2.1/32"]
    body = {"addresses": ["192.0.2.1/32"]}
    await cloud.refused(400, "AddressesAlreadyExist", "PUT", f"{path}/add_addresses", body)
    answer = await cloud.ask("PUT", f"{path}/remove_addresses", body)
    assert answer.json["address_group"]["addresses"] == made["addresses"]
    await cloud.refused(404, "AddressesNotFound", "PUT", f"{path}/remove_addresses", body)
    odds: tuple[Any, ...] = ({}, {"addresses": None}, {"addresses": ["x"]}, {"addresses": [7]}, {"address_group": []})
    for odd in odds:
        await cloud.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_addresses", odd)
    await cloud.refused(404, "AddressGroupNotFound", "PUT", f"{path}/add_addresses", body, "member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"{path}/add_addresses", body, "reader@blue")
    assert (await cloud.update("address_group", path, name="home"))["name"] == "home"


async def test_an_address_group_stays_as_long_as_a_rule_names_it(cloud: Cloud) -> None:
    made = await cloud.create("address_group", ADDRESSES, addresses=["10.0.0.0/8"])
    path = f"{ADDRESSES}/{made['id']}"
    named = await rule(cloud, security_group_id=await group(cloud), remote_address_group_id=made["id"])
    await cloud.refused(409, "AddressGroupInUse", "DELETE", path)
    assert (await cloud.ask("DELETE", f"{RULES}/{named['id']}")).status == 204
    assert (await cloud.ask("DELETE", path)).status == 204
