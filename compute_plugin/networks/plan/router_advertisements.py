"""What routers tell IPv6 by themselves (RFC 4861): radvd's configuration for a router's interfaces."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Final

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.router_ports import Leg
from compute_plugin.networks.plan.wiring import File, Service
from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import DHCP
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router

STATEFUL: Final = "dhcpv6-stateful"
STATELESS: Final = "dhcpv6-stateless"
SLAAC: Final = "slaac"
INTERVAL: Final = "MinRtrAdvInterval 30; MaxRtrAdvInterval 100;"


def advertiser(records: Records, host: Host, router: Router, legs: list[Leg]) -> tuple[Service, ...]:
    """radvd, where any of the subnets wants to be told of."""
    told = [(leg, [one for one in leg.subnets if one.ip_version == 6 and one.ipv6_ra_mode]) for leg in legs]
    text = "".join(_interface(records, leg, subnets) for leg, subnets in told if subnets and not leg.is_gateway)
    if not text:
        return ()
    folder = f"{host.run}/{names.router_space(router.id)}"
    # The path changes with the text, and so the command: radvd is started anew where it was started with another.
    path = f"{folder}/radvd-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.conf"
    pid_file = f"{folder}/radvd.pid"
    return (
        Service(
            name="radvd",
            folder=folder,
            command=("radvd", "-C", path, "-p", pid_file, "-m", "syslog"),
            pid_file=pid_file,
            files=(File(path, text),),
        ),
    )


def _interface(records: Records, leg: Leg, subnets: list[Subnet]) -> str:
    modes = {one.ipv6_ra_mode for one in subnets}
    lines = [
        "AdvSendAdvert on;",
        INTERVAL,
        f"AdvLinkMTU {leg.network.mtu};",
        *(["AdvManagedFlag on;"] if STATEFUL in modes else []),
        *(["AdvOtherConfigFlag on;"] if STATELESS in modes else []),
        *(_prefix(one) for one in subnets),
        *_servers(records, subnets),
    ]
    return f"interface {leg.inner}\n{{\n" + "".join(f"  {line}\n" for line in lines) + "};\n"


def _prefix(subnet: Subnet) -> str:
    autonomous = "off" if subnet.ipv6_ra_mode == STATEFUL else "on"
    return f"prefix {ipaddress.ip_network(subnet.cidr)} {{ AdvOnLink on; AdvAutonomous {autonomous}; }};"


def _servers(records: Records, subnets: list[Subnet]) -> list[str]:
    """Of names: the subnet's own, and where it says none the network's DHCP server, which answers for its names."""
    found: list[str] = []
    for subnet in subnets:
        own = [ipaddress.ip_address(one) for one in subnet.dns_nameservers]
        servers = [str(one) for one in own if one.version == 6] or _dhcp_addresses(records, subnet)
        found += [f"RDNSS {' '.join(servers)} {{ }};"] if servers else []
    return list(dict.fromkeys(found))


def _dhcp_addresses(records: Records, subnet: Subnet) -> list[str]:
    if not subnet.enable_dhcp:
        return []
    ports = records.ports.by("network", subnet.network_id)
    return [
        fixed.address
        for port in ports
        if port.device_owner == DHCP
        for fixed in port.fixed_ips
        if fixed.subnet_id == subnet.id
    ]
