"""Ports: what can be said of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from compute_plugin.networks.records.states import AgentState, PortState
from tests.networks_api.cloud import Cloud
from tests.networks_api.test_subnets import subnet


async def port(cloud: Cloud, network: dict[str, Any], token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    """On a network."""
    return await cloud.create("port", "/ports", token, network_id=network["id"], **asked)


async def refused(cloud: Cloud, status: int, type_: str, network: dict[str, Any], **asked: Any) -> str:
    """The message to who asks for such a port."""
    return await cloud.refused(status, type_, "POST", "/ports", {"port": {"network_id": network["id"], **asked}})


async def test_a_port_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await port(cloud, network, name="p", description="d", tags=["b", "a"])
    assert re.fullmatch("fa:16:3e(:[0-9a-f]{2}){3}", made["mac_address"])
    assert (made["status"], made["admin_state_up"], made["fixed_ips"]) == ("DOWN", True, [])
    assert (made["device_id"], made["device_owner"], made["ip_allocation"]) == ("", "", "none")
    assert (made["network_id"], made["tags"], made["project_id"]) == (network["id"], ["b", "a"], "blue")
    assert made["binding:vnic_type"] == "normal"
    assert "binding:host_id" not in made  # for administrators
    groups = await cloud.listed("security_groups", "/security-groups")
    assert made["security_groups"] == [groups[0]["id"]]
    assert (await cloud.ask("GET", f"/ports/{made['id']}")).json["port"] == made
    changed = await cloud.update("port", f"/ports/{made['id']}", name="q", admin_state_up=False, device_id="vm")
    assert (changed["name"], changed["admin_state_up"], changed["device_id"]) == ("q", False, "vm")
    assert changed["revision_number"] == 1
    assert [one["id"] for one in await cloud.listed("ports", "/ports?device_id=vm")] == [made["id"]]
    assert (await cloud.ask("DELETE", f"/ports/{made['id']}")).status == 204
    await cloud.refused(404, "PortNotFound", "GET", f"/ports/{made['id']}")


async def test_what_needs_a_network_needs_one_that_is_there(cloud: Cloud) -> None:
    none = {"port": {"network_id": "6b5ae1ff-5ab9-4e1a-9f1c-000000000000"}}
    await cloud.refused(404, "NetworkNotFound", "POST", "/ports", none)
    await cloud.refused(400, "HTTPBadRequest", "POST", "/ports", {"port": {}})
    await refused(cloud, 404, "NetworkNotFound", await cloud.network("member@red"))


async def test_how_a_port_is_plugged_in_follows_its_host(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await port(cloud, network, "admin@blue", **{"binding:host_id": "h1"})
    assert made["binding:vif_type"] == "binding_failed"
    cloud.service.states.states.agents.put(AgentState(id="h1", address=""))
    path = f"/ports/{made['id']}"
    seen = (await cloud.ask("GET", path, token="admin@blue")).json["port"]
    assert seen["binding:vif_type"] == "bridge"
    assert seen["binding:vif_details"] == {
        "port_filter": True, "connectivity": "l2", "bridge_name": f"dsb-{network['id'][:11]}",
    }  # fmt: skip
    assert seen["status"] == "DOWN"
    cloud.service.states.states.ports.put(PortState(id=made["id"], host="h1", up=True))
    assert (await cloud.ask("GET", path)).json["port"]["status"] == "ACTIVE"
    assert (await cloud.update("port", path, admin_state_up=False))["status"] == "DOWN"
    bound = {"port": {"mac_address": "fa:16:3e:00:00:01"}}
    await cloud.refused(409, "PortBound", "PUT", path, bound, "admin@blue")
    freed = await cloud.update("port", path, "admin@blue", **{"binding:host_id": None})
    assert (freed["binding:host_id"], freed["binding:vif_type"], freed["binding:vif_details"]) == ("", "unbound", {})
    assert [one["id"] for one in await cloud.listed("ports", "/ports?binding:host_id=h1", "admin@blue")] == []


async def test_a_profile_is_for_services(cloud: Cloud) -> None:
    network = await cloud.network()
    asked = {"binding:profile": {"pci_slot": "0000:01:00.0"}}
    await refused(cloud, 403, "PolicyNotAuthorized", network, **asked)
    made = await port(cloud, network)
    changed = await cloud.update("port", f"/ports/{made['id']}", "service@services", **asked)
    assert changed["binding:profile"] == asked["binding:profile"]
    body = {"port": {"binding:profile": {"a": "b" * 5000}}}
    await cloud.refused(400, "HTTPBadRequest", "PUT", f"/ports/{made['id']}", body, "service@services")


async def test_a_mac_is_of_one_port_of_a_network(cloud: Cloud) -> None:
    network, mac = await cloud.network(), "fa:16:3e:00:00:01"
    made = await port(cloud, network, mac_address=mac.upper().replace(":", "-"))
    assert made["mac_address"] == mac
    await refused(cloud, 409, "MacAddressInUse", network, mac_address=mac)
    assert (await port(cloud, await cloud.network(), mac_address=mac))["mac_address"] == mac
    other = await port(cloud, network)
    body = {"port": {"mac_address": mac}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"/ports/{other['id']}", body)
    await cloud.refused(409, "MacAddressInUse", "PUT", f"/ports/{other['id']}", body, "admin@blue")
    anew = await cloud.update("port", f"/ports/{made['id']}", "admin@blue", mac_address=None)
    assert anew["mac_address"] != mac
    assert (await cloud.update("port", f"/ports/{other['id']}", "admin@blue", mac_address=mac))["mac_address"] == mac


async def test_groups_and_port_security_go_together(cloud: Cloud) -> None:
    network = await cloud.network()
    group = (await cloud.create("security_group", "/security-groups", name="g"))["id"]
    foreign = (await cloud.create("security_group", "/security-groups", "member@red", name="g"))["id"]
    assert (await port(cloud, network, security_groups=[group]))["security_groups"] == [group]
    assert (await port(cloud, network, security_groups=[]))["security_groups"] == []
    await refused(cloud, 404, "SecurityGroupNotFound", network, security_groups=[foreign])
    bare = await port(cloud, network, port_security_enabled=False)
    assert (bare["security_groups"], bare["port_security_enabled"]) == ([], False)
    both = {"port_security_enabled": False, "security_groups": [group]}
    await refused(cloud, 400, "PortSecurityAndIPRequiredForSecurityGroups", network, **both)
    made = await port(cloud, network)
    path, off = f"/ports/{made['id']}", {"port": {"port_security_enabled": False}}
    await cloud.refused(409, "PortSecurityPortHasSecurityGroup", "PUT", path, off)
    changed = await cloud.update("port", path, port_security_enabled=False, security_groups=[])
    assert (changed["security_groups"], changed["port_security_enabled"]) == ([], False)
    await cloud.refused(400, "PortSecurityAndIPRequiredForSecurityGroups", "PUT", path, {"port": {
        "security_groups": [group],
    }})  # fmt: skip
    again = await cloud.update("port", path, port_security_enabled=True, security_groups=[group])
    assert again["security_groups"] == [group]
    found = await cloud.listed("ports", f"/ports?security_groups={group}")
    assert made["id"] in {one["id"] for one in found}
    assert len(found) == 2


async def test_the_network_says_whether_its_ports_are_secured(cloud: Cloud) -> None:
    network = await cloud.network(port_security_enabled=False)
    made = await port(cloud, network)
    assert (made["security_groups"], made["port_security_enabled"]) == ([], False)
    assert (await port(cloud, network, port_security_enabled=True))["security_groups"] != []


async def test_address_pairs_have_the_ports_mac_where_they_say_none(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await port(cloud, network, allowed_address_pairs=[{"ip_address": "10.9.0.0/16"}])
    assert made["allowed_address_pairs"] == [{"ip_address": "10.9.0.0/16", "mac_address": made["mac_address"]}]
    pairs = [{"ip_address": "10.0.0.9", "mac_address": "fa:16:3e:00:00:09"}]
    changed = await cloud.update("port", f"/ports/{made['id']}", allowed_address_pairs=pairs)
    assert changed["allowed_address_pairs"] == pairs
    off = {"port": {"port_security_enabled": False, "security_groups": []}}
    await cloud.refused(409, "AddressPairAndPortSecurityRequired", "PUT", f"/ports/{made['id']}", off)
    for wrong, type_ in (
        ([{"ip_address": "10.0.0.9"}] * 2, "DuplicateAddressPairInRequest"),
        ([{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9", "mac_address": made["mac_address"]}],
         "DuplicateAddressPairInRequest"),
        ([{"mac_address": "fa:16:3e:00:00:09"}], "AllowedAddressPairsMissingIP"),
        ([{"ip_address": f"10.0.0.{one}"} for one in range(11)], "AllowedAddressPairExhausted"),
        ([{"ip_address": "224.0.0.1"}], "HTTPBadRequest"),
        ([{"ip_address": "10.0.0.9", "mac_address": "01:00:5e:00:00:01"}], "HTTPBadRequest"),
        ([{"ip_address": "10.0.0.9", "colour": "red"}], "HTTPBadRequest"),
        ("10.0.0.9", "HTTPBadRequest"),
        ([7], "HTTPBadRequest"),
    ):  # fmt: skip
        body = {"port": {"allowed_address_pairs": wrong}}
        await cloud.refused(400, type_, "PUT", f"/ports/{made['id']}", body)
    assert (await cloud.update("port", f"/ports/{made['id']}", allowed_address_pairs=[]))["allowed_address_pairs"] == []


async def test_dhcp_options_are_changed_one_by_one(cloud: Cloud) -> None:
    network = await cloud.network()
    made = await port(cloud, network, extra_dhcp_opts=[
        {"opt_name": "bootfile-name", "opt_value": "pxe"}, {"opt_name": "mtu", "opt_value": "1400", "ip_version": "6"},
    ])  # fmt: skip
    assert made["extra_dhcp_opts"] == [
        {"opt_name": "bootfile-name", "opt_value": "pxe", "ip_version": 4},
        {"opt_name": "mtu", "opt_value": "1400", "ip_version": 6},
    ]
    changed = await cloud.update("port", f"/ports/{made['id']}", extra_dhcp_opts=[
        {"opt_name": "bootfile-name", "opt_value": None}, {"opt_name": "router", "opt_value": ""},
    ])  # fmt: skip
    assert changed["extra_dhcp_opts"] == [
        {"opt_name": "mtu", "opt_value": "1400", "ip_version": 6},
        {"opt_name": "router", "opt_value": "", "ip_version": 4},
    ]
    for wrong in (
        [{"opt_name": "mtu"}],
        [{"opt_name": "a\nb", "opt_value": "c"}],
        [{"opt_name": "a", "opt_value": ""}],
    ):
        body = {"port": {"extra_dhcp_opts": wrong}}
        await cloud.refused(400, "InvalidInput", "PUT", f"/ports/{made['id']}", body)


async def test_names_follow_the_port_the_network_or_the_cloud(cloud: Cloud) -> None:
    network = await cloud.network()
    await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False)
    wish = [{"ip_address": "10.0.0.9"}]
    made = await port(cloud, network, dns_name="Web", fixed_ips=wish)
    assert made["dns_assignment"] == [
        {"ip_address": "10.0.0.9", "hostname": "web", "fqdn": "web.openstacklocal."},
    ]  # fmt: skip
    path = f"/ports/{made['id']}"
    plain = await cloud.update("port", path, dns_name="")
    assert plain["dns_assignment"][0]["fqdn"] == "host-10-0-0-9.openstacklocal."
    await cloud.update("network", f"/networks/{network['id']}", dns_domain="blue.example.")
    assert (await cloud.ask("GET", path)).json["port"]["dns_assignment"][0]["fqdn"] == "host-10-0-0-9.blue.example."
    own = await cloud.update("port", path, dns_domain="own.example.", dns_name="a")
    assert own["dns_assignment"][0]["fqdn"] == "a.own.example."
    for wrong in ({"dns_name": "-a"}, {"dns_name": "a..b"}, {"dns_name": "a.7"}, {"dns_domain": "example"}):
        await cloud.refused(400, "HTTPBadRequest", "PUT", path, {"port": wrong})


async def test_nobody_plugs_into_the_router_of_others(cloud: Cloud) -> None:
    router = await cloud.create("router", "/routers", "member@red")
    asked = {"device_owner": "network:router_interface", "device_id": router["id"]}
    network = await cloud.network()
    await refused(cloud, 409, "DeviceIDNotOwnedByTenant", network, **asked)
    made = await port(cloud, network)
    await cloud.refused(409, "DeviceIDNotOwnedByTenant", "PUT", f"/ports/{made['id']}", {"port": asked})


async def test_who_may_do_what_on_a_shared_network(cloud: Cloud) -> None:
    network = await cloud.network("admin@red", shared=True)
    asked = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
    held = await cloud.create("subnet", "/subnets", "admin@red", **asked)
    made = await port(cloud, network, fixed_ips=[{"subnet_id": held["id"]}])
    assert (made["project_id"], len(made["fixed_ips"])) == ("blue", 1)
    for wrong in (
        {"fixed_ips": [{"ip_address": "10.0.0.9"}]},
        {"fixed_ips": [{"ip_address": "10.0.0.9", "subnet_id": held["id"]}]},
        {"mac_address": "fa:16:3e:00:00:01"},
        {"port_security_enabled": False},
        {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]},
        {"device_owner": "network:dhcp"},
        {"binding:host_id": "h"},
        {"project_id": "red"},
    ):
        answer = await cloud.ask("POST", "/ports", {"port": {"network_id": network["id"], **wrong}})
        assert answer.status == (400 if "project_id" in wrong else 403), wrong
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"/ports/{made['id']}", body)
    owner = {"port": {"device_owner": "network:router_interface"}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"/ports/{made['id']}", owner)
    own = await cloud.listed("ports", "/ports")
    assert [one["id"] for one in own] == [made["id"]]  # and not that of DHCP
    seen = await cloud.listed("ports", "/ports", "member@red")
    assert made["id"] in {one["id"] for one in seen}  # whose network it is sees who is on it
    assert (await cloud.ask("DELETE", f"/ports/{made['id']}", token="member@red")).status == 204
    await cloud.refused(404, "NetworkNotFound", "POST", "/ports", {"port": {
        "network_id": (await cloud.network("member@red"))["id"],
    }})  # fmt: skip


async def test_several_ports_are_made_or_none(cloud: Cloud) -> None:
    network = await cloud.network()
    await subnet(cloud, network, "10.0.0.0/29", enable_dhcp=False)
    body = {"ports": [{"network_id": network["id"]}] * 6}
    assert (await cloud.ask("POST", "/ports", body)).status == 409  # five addresses are free
    assert await cloud.listed("ports", "/ports") == []
    body = {"ports": [{"network_id": network["id"]}] * 5}
    made = (await cloud.ask("POST", "/ports", body)).json["ports"]
    assert len({one["fixed_ips"][0]["ip_address"] for one in made}) == 5
    assert len({one["mac_address"] for one in made}) == 5


async def test_ports_are_found_by_their_addresses(cloud: Cloud) -> None:
    network = await cloud.network()
    held = await subnet(cloud, network, "10.0.0.0/24", enable_dhcp=False)
    first = await port(cloud, network, fixed_ips=[{"ip_address": "10.0.0.9"}])
    second = await port(cloud, network, fixed_ips=[{"ip_address": "10.0.0.19"}])
    for query, expected in (
        ("ip_address=10.0.0.9", [first]),
        ("ip_address_substr=.0.0.1", [second]),
        (f"subnet_id={held['id']}", [first, second]),
    ):
        found = await cloud.listed("ports", f"/ports?fixed_ips={query}&fields=id")
        assert {one["id"] for one in found} == {one["id"] for one in expected}


async def test_ports_count_against_the_quota_and_not_that_of_dhcp_on_others(cloud: Cloud) -> None:
    await cloud.update("quota", "/quotas/blue", "admin@red", port=2)
    network = await cloud.network("admin@red", shared=True)
    for _ in range(2):
        await port(cloud, network)
    await refused(cloud, 409, "OverQuota", network)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a\ud800"}, {"device_id": "a\0"}, {"device_id": "\udfff"}, {"fixed_ips": "x"}, {"fixed_ips": [7]},
        {"fixed_ips": [{"ip_address": "10.0.0.300"}]}, {"fixed_ips": [{"ip_address": 7}]},
        {"fixed_ips": [{"ip_address": "fe80::1%eth0"}]}, {"fixed_ips": [{"subnet_id": "x"}]},
        {"fixed_ips": [{"ip_address": "10.0.0.9"}] * 2}, {"fixed_ips": [{"colour": "red"}]},
        {"fixed_ips": [{}] * 1000}, {"fixed_ips": {}}, {"mac_address": 7}, {"mac_address": "fa:16:3e"},
        {"mac_address": "01:00:5e:00:00:01"}, {"security_groups": "x"}, {"security_groups": ["x"]},
        {"security_groups": [[]]}, {"security_groups": [{}]}, {"binding:vnic_type": "odd"}, {"binding:vnic_type": []},
        {"admin_state_up": []}, {"admin_state_up": "perhaps"}, {"network_id": {}}, {"network_id": 7},
        {"allowed_address_pairs": [{"ip_address": {}}]}, {"allowed_address_pairs": [[]]}, {"extra_dhcp_opts": 7},
        {"extra_dhcp_opts": [7] * 51}, {"dns_name": 7}, {"dns_name": "ü"}, {"dns_name": "a" * 300}, {"hints": 7},
        {"hints": {"openvswitch": []}}, {"qos_policy_id": "x"}, {"tags": "x"}, {"tags": [7]}, {"tags": ["a" * 256]},
        {"tags": [str(one) for one in range(51)]}, {"binding:host_id": 7}, {"binding:host_id": "\ud800"},
        {"device_owner": None}, {"project_id": 7}, {"propagate_uplink_status": "x"}, {"status": "ACTIVE"},
    ],
    ids=str,
)  # fmt: skip
async def test_nonsense_is_refused_and_leaves_nothing(cloud: Cloud, wrong: dict[str, Any]) -> None:
    network = await cloud.network()
    body = {"port": {"network_id": network["id"], **wrong}}
    answer = await cloud.ask("POST", "/ports", body, "admin@blue")
    assert answer.status == 400, answer.body
    assert await cloud.listed("ports", "/ports") == []
    made = await port(cloud, network)
    answer = await cloud.ask("PUT", f"/ports/{made['id']}", {"port": wrong}, "admin@blue")
    assert answer.status == 400, answer.body
