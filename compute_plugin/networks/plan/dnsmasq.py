"""The files of a dnsmasq that serves one network.

Hosts (by MAC), options and names are read again at SIGHUP; the rest is in a file whose name says what is in it, so a
process that was started with something else is known by its arguments.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, length, mac
from compute_plugin.networks.plan.dhcp_options import port_lines, port_tag, subnet_lines, subnet_tag
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.host_names import domain, host_name
from compute_plugin.networks.plan.places import Presence
from compute_plugin.networks.plan.wiring import File, Service
from compute_plugin.networks.records.network import Subnet
from compute_plugin.networks.records.port import Port

STATEFUL = "dhcpv6-stateful"
STATELESS = "dhcpv6-stateless"
LEASE_SECONDS = 86400
OUTSIDE_NAMES = "127.0.0.53"
"""Where the agent takes questions for names that are of no network; in the namespace, so nobody else reaches it."""
LEASES_MAX = 65536


def dnsmasq(presence: Presence, port: Port, host: Host) -> Service:
    """`port`: the network's own, with the addresses at which it answers."""
    network = presence.network
    folder = f"{host.run}/{names.dhcp_space(network.id)}"
    at = {one.subnet_id: address(one.address) for one in port.fixed_ips}
    served = [subnet for subnet in presence.subnets if subnet.enable_dhcp and _answers(subnet) and subnet.id in at]
    base = _text(_configuration(folder, served, domain(network, host.dns_domain), _asks_outside(presence)))
    digest = hashlib.blake2b(base.encode(), digest_size=8).hexdigest()
    path = f"{folder}/dnsmasq-{digest}.conf"
    taken = {address(fixed.address) for one in presence.ports for fixed in one.fixed_ips}
    options = [line for subnet in served for line in subnet_lines(subnet, network, at[subnet.id], taken)]
    options += [line for one in presence.here for line in port_lines(one.id, one.dhcp_options)]
    return Service(
        name="dnsmasq",
        folder=folder,
        command=("dnsmasq", f"--conf-file={path}"),
        pid_file=f"{folder}/dnsmasq.pid",
        files=(File(path, base),),
        reloaded=(
            File(f"{folder}/hosts", _text(_hosts(presence, served))),
            File(f"{folder}/names", _text(_names(presence, domain(network, host.dns_domain)))),
            File(f"{folder}/options", _text(options)),
        ),
    )


def _answers(subnet: Subnet) -> bool:
    """Whether DHCP has anything to say on a subnet: not where servers make their addresses themselves."""
    return subnet.ip_version == 4 or subnet.ipv6_address_mode in (None, STATEFUL, STATELESS)


def _asks_outside(presence: Presence) -> bool:
    """Whether servers of any subnet have nobody else to ask for names."""
    return any(not subnet.dns_nameservers for subnet in presence.subnets)


def _configuration(folder: str, served: list[Subnet], own: str, asks_outside: bool) -> Iterator[str]:
    yield from (
        f"pid-file={folder}/dnsmasq.pid",
        "user=nobody",
        "no-hosts",
        "no-resolv",
        "no-poll",
        f"interface={names.DHCP_LINK}",
        "except-interface=lo",
        "bind-dynamic",
        f"addn-hosts={folder}/names",
    )
    yield from (
        *((f"server={OUTSIDE_NAMES}",) if asks_outside else ()),
        "domain-needed",
        "bogus-priv",
        "cache-size=1000",
    )
    if own:
        yield from (f"domain={own}", f"local=/{own}/")
    if not served:
        return
    yield from (
        "dhcp-authoritative",
        "leasefile-ro",
        "quiet-dhcp",
        "quiet-dhcp6",
        f"dhcp-lease-max={LEASES_MAX}",
        "dhcp-ignore=tag:!known",
        "dhcp-ignore-names",
        f"dhcp-hostsfile={folder}/hosts",
        f"dhcp-optsfile={folder}/options",
    )
    for subnet in served:
        network = ipaddress.ip_network(subnet.cidr, strict=False)
        size = network.netmask if subnet.ip_version == 4 else length(subnet)
        yield f"dhcp-range=set:{subnet_tag(subnet)},{network.network_address},static,{size},{LEASE_SECONDS}"


def _hosts(presence: Presence, served: list[Subnet]) -> Iterator[str]:
    """Those of this host: nobody else asks here."""
    gives = {subnet.id: subnet for subnet in served if subnet.ipv6_address_mode != STATELESS}
    for port in presence.here:
        who = f"{mac(port.mac)},set:{port_tag(names.checked(port.id))}"
        fixed = [address(one.address) for one in port.fixed_ips if one.subnet_id in gives]
        for one in fixed:
            shown = f"[{one}]" if ":" in one else one
            yield f"{who},{host_name(port, one).partition('.')[0]},{shown},{LEASE_SECONDS}"
        if not fixed:
            yield who


def _names(presence: Presence, own: str) -> Iterator[str]:
    for port in presence.ports:
        for fixed in port.fixed_ips:
            one = address(fixed.address)
            name = host_name(port, one)
            yield f"{one} {name}.{own} {name}" if own else f"{one} {name}"


def _text(lines: Iterator[str] | list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
