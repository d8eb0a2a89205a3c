"""Records that plans are shown of: each a function that makes them, and the host that the plan is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.records.network import FLAT, VLAN, HostRoute
from compute_plugin.networks.records.port import ROUTER_GATEWAY, ROUTER_INTERFACE, AddressPair, DhcpOption
from compute_plugin.networks.records.router import FloatingIp, Router
from compute_plugin.networks.records.states import RouterPlace
from tests.networks_plan.made import PROJECT, Made, id_of

A = Host(name="a", address="192.0.2.1", resolvers=("192.0.2.53",))
HOSTILE = 'x"; } drop\ntable inet y { #\n'


def two_hosts(made: Made) -> Host:
    """A network with both versions on two hosts, and one port that nobody has."""
    for name, address in (("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3")):
        made.host(name, address)
    made.network("net", dns_domain="example.org.")
    made.subnet("v4", "net", "10.0.0.0/24", "10.0.0.1", dns_nameservers=("10.0.0.53", "192.0.2.9"))
    made.subnet("v6", "net", "fd00::/64", "fd00::1", ipv6_address_mode="dhcpv6-stateful")
    made.dhcp("net", {"v4": "10.0.0.2", "v6": "fd00::2"})
    made.usual_group("default")
    made.port("one", "net", {"v4": "10.0.0.11", "v6": "fd00::11"}, host="a", groups=["default"], dns_name="web")
    made.port("two", "net", {"v4": "10.0.0.12", "v6": "fd00::12"}, host="b", groups=["default"])
    made.port("nobody", "net", {"v4": "10.0.0.13"}, groups=["default"])
    return A


def rules(made: Made) -> Host:
    """Each kind of rule."""
    made.network("net")
    made.subnet("v4", "net", "10.0.0.0/24", "10.0.0.1")
    ingress: dict[str, dict[str, Any]] = {
        "web": {"protocol": "tcp", "port_min": 80, "port_max": 80},
        "range": {"protocol": "udp", "port_min": 5000, "port_max": 5010, "remote_ip_prefix": "192.0.2.77/24"},
        "all ports": {"protocol": "tcp", "port_min": 0, "port_max": 65535, "remote_ip_prefix": "0.0.0.0/0"},
        "echo": {"protocol": "icmp", "port_min": 8, "port_max": 0},
        "any icmp": {"protocol": "1"},
        "gre": {"protocol": "47"},
        "sctp": {"protocol": "sctp", "port_min": 9, "port_max": 9},
        "members": {"protocol": "tcp", "remote_group": "others"},
        "listed": {"address_group": "list"},
        "any": {"protocol": "0", "remote_ip_prefix": "198.51.100.0/24"},
    }
    egress: dict[str, dict[str, Any]] = {
        "echo6": {"protocol": "icmp", "port_min": 128},
        "route": {"protocol": "ipv6-route"},
        "mail": {"protocol": "tcp", "port_min": 25, "port_max": 25, "remote_ip_prefix": "2001:db8::/32"},
        "members6": {"remote_group": "others"},
    }
    for name, more in ingress.items():
        made.rule(name, "group", "ingress", **more)
    for name, more in egress.items():
        made.rule(name, "group", "egress", "IPv6", **more)
    made.rule("wrong version", "group", "ingress", "IPv6", remote_ip_prefix="10.0.0.0/8")
    made.rule("wrong protocol", "group", "ingress", protocol=HOSTILE)
    made.group("group")
    made.group("others")
    made.address_group("list", "10.0.0.0/8", "10.1.0.0/16", "203.0.113.7", "2001:db8::/48")
    made.port("one", "net", {"v4": "10.0.0.11"}, host="a", groups=["group"])
    pair = AddressPair("10.7.0.0/16", "fa:16:3e:00:77:77")
    made.port("elsewhere", "net", {"v4": "10.0.0.12"}, host="b", groups=["others"], address_pairs=(pair,))
    return A


def kinds_of_ports(made: Made) -> Host:
    """With pairs, without security, down, without address, stateless, without any group."""
    made.network("net")
    made.subnet("v4", "net", "10.0.0.0/24", None, host_routes=(HostRoute("10.9.0.0/16", "10.0.0.9"),))
    made.subnet("v6", "net", "fd00::/64", "fd00::1", ipv6_address_mode="slaac", ipv6_ra_mode="slaac")
    made.dhcp("net", {"v4": "10.0.0.2", "v6": "fd00::2"})
    made.usual_group("default")
    made.group("fast", stateful=False)
    made.rule("in", "fast", "ingress", protocol="udp", port_min=53, port_max=53)
    pairs = (
        AddressPair("10.0.0.99", "fa:16:3e:00:99:99"),
        AddressPair("10.8.0.0/16", ""),
        AddressPair("fd00:8::/64", "fa:16:3e:00:99:99"),
    )
    made.port("pairs", "net", {"v4": "10.0.0.11"}, host="a", groups=["default"], address_pairs=pairs)
    made.port("insecure", "net", {"v4": "10.0.0.12"}, host="a", port_security_enabled=False)
    made.port("down", "net", {"v4": "10.0.0.13"}, host="a", groups=["default"], admin_state_up=False)
    made.port("bare", "net", {}, host="a", groups=["default"])
    made.port("fast port", "net", {"v4": "10.0.0.14", "v6": "fd00::14"}, host="a", groups=["fast"])
    made.port("no group", "net", {"v4": "10.0.0.15"}, host="a")
    return A


def wires(made: Made) -> Host:
    """A flat network, a VLAN, one that is nothing but a bridge here, and one that this host cannot have."""
    made.usual_group("default")
    for number, (name, kind, wire, tag) in enumerate(
        (
            ("flat", FLAT, "lab", None),
            ("tagged", VLAN, "lab2", 7),
            ("outside", FLAT, "public", None),
            ("far", FLAT, "moon", None),
        )
    ):
        made.network(name, network_type=kind, physical_network=wire, segmentation_id=tag, mtu=1500)
        made.subnet(f"{name} 4", name, f"10.{number}.0.0/24", f"10.{number}.0.1")
        made.port(f"on {name}", name, {f"{name} 4": f"10.{number}.0.11"}, host="a", groups=["default"])
    return Host(name="a", wires={"lab": "eth1", "lab2": "eth2"}, local=frozenset({"public"}))


def hostile_text(made: Made) -> Host:
    """What users may say never is more than a text, and mostly is nowhere."""
    made.network("net", dns_domain=HOSTILE, description=HOSTILE)
    made.subnet("v4", "net", "10.0.0.0/24", "10.0.0.1")
    made.dhcp("net", {"v4": "10.0.0.2"})
    made.usual_group("default")
    options = (
        DhcpOption("bootfile-name", "pxe linux.0", 4),
        DhcpOption("tftp-server", 'a"b\\c', 4),
        DhcpOption("server-ip-address", "192.0.2.1,192.0.2.2", 4),
        DhcpOption("67", "x\ndhcp-script=/bin/sh", 4),
        DhcpOption("router\ndhcp-script=/bin/sh", "x", 4),
        DhcpOption("59", "[2001:db8::1]", 6),
    )
    made.port("one", "net", {"v4": "10.0.0.11"}, host="a", groups=["default"], dns_name=HOSTILE, dhcp_options=options)
    made.port("two", "net", {"v4": "10.0.0.12; drop"}, host="a", groups=["default"])
    made.port("three", "net", {"v4": "10.0.0.13"}, host="a", groups=["default"], mac='"; drop')
    return A


def qos(made: Made) -> Host:
    """Policies of a port, of its network, of a floating address and of a gateway; one that limits nothing."""
    made.usual_group("default")
    usual = made.policy("usual", bandwidth_limit_out={"max_kbps": 1000, "max_burst_kbps": 800}, dscp_marking=_MARK)
    own = made.policy(
        "own",
        bandwidth_limit_in={"max_kbps": 8},
        bandwidth_limit_out={"max_kbps": 2000000, "max_burst_kbps": 3000000},
        packet_rate_limit_in={"max_kpps": 1},
        packet_rate_limit_out={"max_kpps": 2, "max_burst_kpps": 1},
    )
    none = made.policy("none", bandwidth_limit_out={"max_kbps": 0}, minimum_bandwidth_out={"min_kbps": 9})
    made.network("net", qos_policy_id=usual)
    made.subnet("v4", "net", "10.0.0.0/24", "10.0.0.1")
    for number, (name, policy) in enumerate((("as network", None), ("own", own), ("none", none))):
        port = {"host": "a", "groups": ["default"], "qos_policy_id": policy}
        made.port(f"with {name}", "net", {"v4": f"10.0.0.{11 + number}"}, **port)
    made.network("outside", network_type=FLAT, physical_network="public", segmentation_id=None, qos_policy_id=own)
    made.subnet("out", "outside", "203.0.113.0/24", "203.0.113.1")
    made.records.routers.put(
        Router(id=id_of("r"), project_id=PROJECT, gateway_network_id=id_of("outside"), gateway_port_id=id_of("gw"))
    )
    made.port("gw", "outside", {"out": "203.0.113.9"}, device_owner=ROUTER_GATEWAY, device_id=id_of("r"))
    made.port("if", "net", {"v4": "10.0.0.1"}, device_owner=ROUTER_INTERFACE, device_id=id_of("r"))
    floating: dict[str, Any] = {"port_id": id_of("with own"), "fixed_ip": "10.0.0.12", "qos_policy_id": usual}
    made.records.floating_ips.put(
        FloatingIp(
            id=id_of("fip"),
            project_id=PROJECT,
            network_id=id_of("outside"),
            floating_port_id=id_of("fip port"),
            address="203.0.113.50",
            router_id=id_of("r"),
            **floating,
        )
    )
    made.states.routers.put(RouterPlace(id=id_of("r"), host="a"))
    return Host(name="a", address="192.0.2.1", local=frozenset({"public"}))


def trunks(made: Made) -> Host:
    """Two tags on one port; one whose parent is elsewhere."""
    made.usual_group("default")
    for number, name in enumerate(("plain", "red", "blue")):
        made.network(name, segmentation_id=100 + number)
        made.subnet(f"{name} 4", name, f"10.{number}.0.0/24", f"10.{number}.0.1")
        made.dhcp(name, {f"{name} 4": f"10.{number}.0.2"})
        made.port(f"in_{name}", name, {f"{name} 4": f"10.{number}.0.11"}, host="a", groups=["default"])
    made.trunk("trunk", "in_plain", in_red=7, in_blue=8)
    made.port("parent", "plain", {"plain 4": "10.0.0.12"}, host="b")
    made.port("lost", "red", {"red 4": "10.1.0.12"}, host="a")
    made.trunk("other", "parent", lost=9)
    return A


_MARK = {"dscp_mark": 10}
SCENES: dict[str, Callable[[Made], Host]] = {
    one.__name__: one for one in (two_hosts, rules, kinds_of_ports, wires, hostile_text, qos, trunks)
}
