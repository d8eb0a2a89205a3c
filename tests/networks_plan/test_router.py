"""Routers in the plan: their namespaces, what is routed, translated and advertised."""

from __future__ import annotations

from dataclasses import replace

from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.router import leg_plugs, router_part
from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import LegPlug, Part, Route, Space
from compute_plugin.networks.records.network import AddressScope, HostRoute, SubnetPool
from compute_plugin.networks.records.port import ROUTER_GATEWAY, ROUTER_INTERFACE
from compute_plugin.networks.records.router import FloatingIp, PortForwarding, Router
from compute_plugin.networks.records.states import RouterPlace
from tests.networks_plan.made import PROJECT, Made, id_of

HOST = Host(name="one", address="192.0.2.1")


def routed(place: str = "one") -> Made:
    """A network with both versions of IP behind a router that has a gateway."""
    made = Made()
    made.network("lan")
    made.subnet("lan4", "lan", "10.0.0.0/24", "10.0.0.1")
    made.subnet("lan6", "lan", "fd00::/64", "fd00::1", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    made.network("ext", mtu=1500, network_type="flat", physical_network="public", segmentation_id=None, external=True)
    made.subnet("ext4", "ext", "203.0.113.0/24", "203.0.113.1", enable_dhcp=False)
    router = Router(
        id=id_of("r"),
        project_id=PROJECT,
        gateway_network_id=id_of("ext"),
        gateway_port_id=id_of("gw"),
        routes=(HostRoute("198.51.100.0/24", "10.0.0.99"), HostRoute("192.168.0.0/16", "10.9.9.9")),
    )
    made.records.routers.put(router)
    interface = {"device_owner": ROUTER_INTERFACE, "device_id": router.id}
    made.port("leg4", "lan", {"lan4": "10.0.0.1"}, **interface)
    made.port("leg6", "lan", {"lan6": "fd00::1"}, **interface)
    made.port("gw", "ext", {"ext4": "203.0.113.2"}, device_owner=ROUTER_GATEWAY, device_id=router.id)
    made.states.routers.put(RouterPlace(id=router.id, host=place))
    return made


def planned(made: Made) -> tuple[Part, Space]:
    part = router_part(made.records, made.states, HOST)
    (space,) = part.spaces
    return part, space


def nat(space: Space) -> Table:
    (table,) = [one for one in space.tables if one.family == "ip"]
    return table


def element(table: Table, name: str) -> dict[str, str]:
    (found,) = [one for one in table.maps if one.name == name]
    return dict(found.elements)


def test_a_router_is_on_the_host_that_has_it_and_on_no_other() -> None:
    assert router_part(routed("two").records, routed("two").states, HOST) == Part()
    part, space = planned(routed())
    assert [one.name for one in part.links] == [f"{prefix}{id_of(name)[:11]}" for name, prefix in sorted_legs()]
    assert all(one.master is not None and one.macs for one in part.links)
    inner = {one.name: one for one in space.links}
    assert inner[f"qr-{id_of('leg4')[:11]}"].addresses == ("10.0.0.1/24",)
    assert inner[f"qr-{id_of('leg6')[:11]}"].addresses == ("fd00::1/64",)
    assert inner[f"qg-{id_of('gw')[:11]}"].addresses == ("203.0.113.2/24",)


def sorted_legs() -> list[tuple[str, str]]:
    legs = {"leg4": "dsr-", "leg6": "dsr-", "gw": "dsg-"}
    return [(name, legs[name]) for name in sorted(legs, key=id_of)]


def test_one_that_is_switched_off_is_nowhere() -> None:
    made = routed()
    made.records.routers.put(replace(made.records.routers.require(id_of("r")), admin_state_up=False))
    assert router_part(made.records, made.states, HOST) == Part()


def test_it_routes_by_the_gateway_outside_and_by_what_was_said_where_that_leads_somewhere() -> None:
    _, space = planned(routed())
    assert space.routes == (
        Route("0.0.0.0/0", "203.0.113.1", f"qg-{id_of('gw')[:11]}"),
        Route("198.51.100.0/24", "10.0.0.99", f"qr-{id_of('leg4')[:11]}"),
    )


def test_sources_are_translated_unless_that_is_switched_off() -> None:
    made = routed()
    outside = f'oifname "qg-{id_of("gw")[:11]}" meta mark != 0x1 snat to 203.0.113.2'
    assert outside in nat(planned(made)[1]).chains[-1].rules
    made.records.routers.put(replace(made.records.routers.require(id_of("r")), enable_snat=False))
    assert outside not in nat(planned(made)[1]).chains[-1].rules


def floating(made: Made, **more: object) -> None:
    fields: dict[str, object] = {
        "id": id_of("fip"),
        "project_id": PROJECT,
        "network_id": id_of("ext"),
        "floating_port_id": id_of("fip port"),
        "address": "203.0.113.50",
        "router_id": id_of("r"),
        **more,
    }
    made.records.floating_ips.put(FloatingIp(**fields))  # type: ignore[arg-type]


def test_a_floating_address_is_the_routers_and_leads_both_ways() -> None:
    made = routed()
    floating(made, port_id=id_of("web"), fixed_ip="10.0.0.5")
    _, space = planned(made)
    gateway = next(one for one in space.links if one.name.startswith("qg-"))
    assert gateway.addresses == ("203.0.113.2/24", "203.0.113.50/32")
    assert element(nat(space), "inwards") == {"203.0.113.50": "10.0.0.5"}
    assert element(nat(space), "outwards") == {"10.0.0.5": "203.0.113.50"}


def test_a_port_forwarding_is_there_for_each_port_of_its_range() -> None:
    made = routed()
    floating(made)
    made.records.port_forwardings.put(
        PortForwarding(
            id=id_of("pf"),
            project_id=PROJECT,
            floating_ip_id=id_of("fip"),
            protocol="tcp",
            external_port=80,
            external_port_end=81,
            internal_port_id=id_of("web"),
            internal_ip="10.0.0.5",
            internal_port=8080,
            internal_port_end=8081,
        )
    )
    assert element(nat(planned(made)[1]), "forwardings") == {
        "203.0.113.50 . tcp . 80": "10.0.0.5 . 8080",
        "203.0.113.50 . tcp . 81": "10.0.0.5 . 8081",
    }
    assert element(nat(planned(made)[1]), "inwards") == {}


def test_ipv6_is_told_of_its_prefix_and_of_who_knows_names() -> None:
    made = routed()
    made.dhcp("lan", {"lan4": "10.0.0.2", "lan6": "fd00::2"})
    (service,) = planned(made)[1].services
    text = service.files[0].text
    assert f"interface qr-{id_of('leg6')[:11]}\n" in text
    assert "prefix fd00::/64 { AdvOnLink on; AdvAutonomous on; };" in text
    assert "RDNSS fd00::2 { };" in text
    assert "AdvLinkMTU 1450;" in text
    assert "AdvManagedFlag" not in text
    subnet = made.records.subnets.require(id_of("lan6"))
    made.records.subnets.put(replace(subnet, ipv6_ra_mode="dhcpv6-stateful"))
    (changed,) = planned(made)[1].services
    assert "AdvManagedFlag on;" in changed.files[0].text
    assert "AdvAutonomous off" in changed.files[0].text
    assert changed.command != service.command, "radvd reads its file only when it starts"
    made.records.subnets.put(replace(subnet, ipv6_ra_mode=None))
    assert planned(made)[1].services == ()


def test_within_an_address_scope_nothing_is_translated_and_between_two_nothing_passes() -> None:
    made = routed()
    for name in ("inner", "outer"):
        made.records.address_scopes.put(AddressScope(id=id_of(name), project_id=PROJECT, ip_version=4))
        made.records.subnetpools.put(
            SubnetPool(
                id=id_of(f"{name} pool"),
                project_id=PROJECT,
                ip_version=4,
                prefixes=("10.0.0.0/8",),
                default_prefixlen=24,
                min_prefixlen=8,
                max_prefixlen=32,
                address_scope_id=id_of(name),
            )
        )
    for subnet in ("lan4", "ext4"):
        held = made.records.subnets.require(id_of(subnet))
        made.records.subnets.put(replace(held, subnetpool_id=id_of("outer pool")))
    _, space = planned(made)
    assert nat(space).sets[0].elements == {"10.0.0.0/24"}
    assert [one.family for one in space.tables] == ["ip"]
    made.network("dmz")
    made.subnet("dmz4", "dmz", "10.1.0.0/24", "10.1.0.1", subnetpool_id=id_of("inner pool"))
    made.port("leg dmz", "dmz", {"dmz4": "10.1.0.1"}, device_owner=ROUTER_INTERFACE, device_id=id_of("r"))
    rules = planned(made)[1].tables[-1].chains[0].rules
    one, other = (f"qr-{id_of(name)[:11]}" for name in ("leg4", "leg dmz"))
    assert f'iifname "{one}" oifname "{other}" meta nfproto ipv4 drop' in rules
    assert f'iifname "{other}" oifname "{one}" meta nfproto ipv4 drop' in rules


def test_links_of_the_host_are_known_as_the_routers_ports() -> None:
    made = routed()
    found = leg_plugs(made.records, made.states, HOST)
    space = f"drystone-router-{id_of('r')}"
    assert found == {
        f"{prefix}{id_of(name)[:11]}": LegPlug(id_of(name), space)
        for name, prefix in (("leg4", "dsr-"), ("leg6", "dsr-"), ("gw", "dsg-"))
    }
    assert leg_plugs(routed("two").records, routed("two").states, HOST) == {}


def test_each_port_of_a_router_answers_for_its_own_addresses() -> None:
    sysctls = dict(planned(routed())[1].sysctls)
    assert sysctls["net/ipv4/conf/all/arp_ignore"] == "1"
    assert sysctls["net/ipv4/conf/all/rp_filter"] == "0"
