"""What servers are told by DHCP: lines of dnsmasq's file of options.

A line has a tag (a subnet, or a port), an option and its value. Values of ports are users': a value that could mean
more than itself is quoted, and one that cannot be quoted is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from compute_plugin.networks.plan.addresses import address, prefix
from compute_plugin.networks.records.network import Network, Subnet
from compute_plugin.networks.records.port import DhcpOption

METADATA = "169.254.169.254"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NUMBER = re.compile(r"[0-9]{1,5}")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/%@+=\[\],-]+")
_PRINTABLE = re.compile(r"[ -~]+")


def subnet_tag(subnet: Subnet) -> str:
    return f"subnet-{subnet.id}"


def port_tag(port: str) -> str:
    return f"port-{port}"


def subnet_lines(subnet: Subnet, network: Network, dhcp_address: str, taken: Collection[str]) -> list[str]:
    """Of all servers with an address of a subnet. `dhcp_address`: where DHCP answers in it; `taken`: addresses of
    ports. Metadata are behind the gateway, as all else is; where nobody has its address, DHCP has them."""
    tag = f"tag:{subnet_tag(subnet)}"
    servers = [address(one) for one in subnet.dns_nameservers]
    if subnet.ip_version == 6:
        listed = ",".join(f"[{one}]" for one in servers)
        return [f"{tag},option6:dns-server,{listed}"] if servers else []
    gateway = address(subnet.gateway_ip) if subnet.gateway_ip else None
    lines = [
        f"{tag},option:router,{gateway}" if gateway else f"{tag},option:router",
        f"{tag},option:mtu,{network.mtu}",
    ]
    if servers:
        lines.append(f"{tag},option:dns-server,{','.join(servers)}")
    routes = [(prefix(one.destination), address(one.nexthop)) for one in subnet.host_routes]
    if gateway not in taken and all(to != f"{METADATA}/32" for to, _ in routes):
        routes.append((f"{METADATA}/32", dhcp_address))
    if routes:
        if gateway is not None:  # who gets routes does not look at the router
            routes.append(("0.0.0.0/0", gateway))
        listed = ",".join(f"{to},{via}" for to, via in routes)
        lines += [f"{tag},option:classless-static-route,{listed}", f"{tag},249,{listed}"]
    return lines


def port_lines(port: str, options: tuple[DhcpOption, ...]) -> list[str]:
    """Of one server. What cannot be said is left out."""
    lines = []
    for option in options:
        name, value = _option_name(option), _option_value(option.value)
        if name is not None and value is not None:
            lines.append(f"tag:{port_tag(port)},{name},{value}")
    return lines


def _option_name(option: DhcpOption) -> str | None:
    name = option.name.lower()
    family = "option6" if option.ip_version == 6 else "option"
    if _NUMBER.fullmatch(name):
        return f"{family}:{name}" if option.ip_version == 6 else name
    return f"{family}:{name}" if _NAME.fullmatch(name) else None


def _option_value(text: str) -> str | None:
    if _PLAIN.fullmatch(text):
        return text
    if not _PRINTABLE.fullmatch(text):
        return None
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
