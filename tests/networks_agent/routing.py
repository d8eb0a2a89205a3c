"""Networks behind routers, and what is outside of them."""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass, replace
from typing import Any

import trio

from compute_plugin.networks.addresses.eui64 import eui64_address
from compute_plugin.networks.records.network import FLAT
from compute_plugin.networks.records.port import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE, FixedIp
from compute_plugin.networks.records.router import FloatingIp, PortForwarding, Router
from tests.networks_agent.cloud import Cloud, Guest, Host, until
from tests.networks_agent.inside import Inside
from tests.networks_agent.test_hostile import everything
from tests.networks_plan.made import PROJECT, Made, id_of

OUTSIDE, OUTSIDE6 = "203.0.113.1", "2001:db8::1"
OWN, OWN6 = "203.0.113.9", "2001:db8::9"
"""Of the router's gateway."""
WIRE = "wire"


class Outside(Inside):
    """What is outside: a namespace with a wire to each host."""

    def __init__(self) -> None:
        super().__init__()
        self.run("ip", "link", "add", "switch", "type", "bridge", "forward_delay", "0")
        self.run("ip", "link", "set", "switch", "up")
        self.run("ip", "address", "add", f"{OUTSIDE}/24", "dev", "switch")
        self.run("ip", "address", "add", f"{OUTSIDE6}/64", "dev", "switch", "nodad")

    def connect(self, host: Host) -> None:
        end = f"to-{host.name}"
        peer = ("peer", "name", WIRE, "netns", str(host.machine.holder))
        self.run("ip", "link", "add", end, "master", "switch", "type", "veth", *peer)
        self.run("ip", "link", "set", end, "up")


@dataclass(frozen=True)
class Lab:
    """Hosts that are connected to the outside, and a group that lets everything through."""

    cloud: Cloud
    hosts: list[Host]
    outside: Outside

    @property
    def host(self) -> Host:
        return self.hosts[0]

    async def change(self, *what: Any) -> None:
        """The records, all at once. Each is a function of `Made`."""

        def all_of_it(made: Made) -> None:
            for one in what:
                one(made)

        await self.cloud.change(all_of_it)

    async def guest(self, name: str, network: str, last: int = 11, host: Host | None = None, **more: Any) -> Guest:
        """With the addresses of `lan`, and the way out."""
        subnet = self.cloud.store.records.subnets.require(id_of(f"{network} 4"))
        address = str(ipaddress.ip_network(subnet.cidr)[last])
        guest = await self.cloud.guest(
            host or self.host, name, network, {f"{network} 4": address}, groups=["all"], **more
        )
        if subnet.gateway_ip:
            guest.run("ip", "route", "add", "default", "via", subnet.gateway_ip)
        return guest

    async def place(self, name: str = "router") -> Host:
        """The host that has a router."""
        places = self.cloud.states.states.routers
        await until(lambda: places.get(id_of(name)) is not None, self.cloud.said)
        return next(one for one in self.hosts if one.name == places.require(id_of(name)).host)


async def lab(cloud: Cloud, hosts: int = 1) -> Lab:
    made = Lab(cloud, [], Outside())
    cloud.closing.callback(made.outside.close)
    await made.change(everything, outside)
    for _ in range(hosts):
        host = await cloud.host(f"public={WIRE}")
        made.outside.connect(host)
        made.hosts.append(host)
    return made


def outside(made: Made) -> None:
    more: dict[str, Any] = {"network_type": FLAT, "physical_network": "public", "segmentation_id": None}
    made.network("outside", external=True, mtu=1500, **more)
    made.subnet("outside 4", "outside", "203.0.113.0/24", OUTSIDE, enable_dhcp=False)
    made.subnet("outside 6", "outside", "2001:db8::/64", OUTSIDE6, enable_dhcp=False)


def lan(made: Made, name: str, number: int, *, prefix: str = "", vni: int = 0, mtu: int = 1450) -> None:
    """IPv4 alone."""
    cidr = ipaddress.ip_network(prefix or f"10.{number}.0.0/24")
    made.network(name, segmentation_id=vni or 100 + number, mtu=mtu)
    made.subnet(f"{name} 4", name, str(cidr), str(cidr[1]), enable_dhcp=False)


def lan6(made: Made, name: str, number: int, mode: str = "slaac") -> None:
    """IPv6, besides."""
    made.subnet(
        f"{name} 6", name, f"fd00:{number}::/64", f"fd00:{number}::1", ipv6_ra_mode=mode, ipv6_address_mode=mode
    )


def router(made: Made, *networks: str, name: str = "router", own: str = OWN, **more: Any) -> None:
    """With the first address of each network's subnets. `own`: its address outside; "" for none."""
    id_ = id_of(name)
    gateway: dict[str, Any] = (
        {"gateway_network_id": id_of("outside"), "gateway_port_id": id_of(f"{name} gateway")} if own else {}
    )
    made.records.routers.put(Router(id=id_, project_id=PROJECT, **gateway, **more))
    if own:
        addresses = {"outside 4": own, "outside 6": OWN6} if own == OWN else {"outside 4": own}
        made.port(f"{name} gateway", "outside", addresses, device_owner=ROUTER_GATEWAY, device_id=id_)
    for network in networks:
        connect(made, network, name)


def connect(made: Made, network: str, name: str = "router") -> None:
    """One more network behind a router: a port for each of its subnets."""
    for subnet in made.records.subnets.by("network", id_of(network)):
        port = f"{name} to {subnet.cidr}"
        made.port(port, network, {}, device_owner=ROUTER_INTERFACE, device_id=id_of(name))
        found = made.records.ports.require(id_of(port))
        made.records.ports.put(replace(found, fixed_ips=(FixedIp(subnet.id, subnet.gateway_ip or ""),)))


def changed(made: Made, name: str = "router", **more: Any) -> None:
    """A router that is otherwise from now on."""
    made.records.routers.put(replace(made.records.routers.require(id_of(name)), **more))


def floating(made: Made, address: str, server: str = "", fixed: str = "", name: str = "router") -> None:
    """To a server's port; "" for one that port forwardings use."""
    made.port(address, "outside", {"outside 4": address}, device_owner=FLOATING_IP, device_id=id_of(f"fip {address}"))
    made.records.floating_ips.put(
        FloatingIp(
            id=id_of(f"fip {address}"),
            project_id=PROJECT,
            network_id=id_of("outside"),
            floating_port_id=id_of(address),
            address=address,
            port_id=id_of(server) if server else None,
            fixed_ip=fixed or None,
            router_id=id_of(name),
        )
    )


def forwarding(
    made: Made, address: str, protocol: str, outer: tuple[int, int], server: str, fixed: str, inner: tuple[int, int]
) -> None:
    """Ranges, both ends included."""
    made.records.port_forwardings.put(
        PortForwarding(
            id=id_of(f"{address} {protocol} {outer}"),
            project_id=PROJECT,
            floating_ip_id=id_of(f"fip {address}"),
            protocol=protocol,
            external_port=outer[0],
            external_port_end=outer[1],
            internal_port_id=id_of(server),
            internal_ip=fixed,
            internal_port=inner[0],
            internal_port_end=inner[1],
        )
    )


def with_own_address6(made: Made, server: str, network: str) -> str:
    """The port of a server has the address, too, that it makes itself on `lan6`."""
    port = made.records.ports.require(id_of(server))
    subnet = made.records.subnets.require(id_of(f"{network} 6"))
    address = eui64_address(subnet.cidr, port.mac)
    made.records.ports.put(replace(port, fixed_ips=(*port.fixed_ips, FixedIp(subnet.id, address))))
    return address


async def source_seen(client: Inside, server: Inside, address: str, port: int = 80, at: int = 0) -> str:
    """By TCP: the address that the server sees, where the client connects to `address`; "" where it cannot. `at`: the
    port where the server listens, when that is another."""
    listener = await server.listens("::" if ":" in address else "0.0.0.0", at or port)
    async with listener:
        stream = await client.connects(address, port, seconds=1)
        if stream is None:
            return ""
        other_end = await server.accepts(listener)
        async with stream, other_end:
            seen: str = other_end.socket.getpeername()[0]
            return seen


async def datagram_passes(client: Inside, server: Inside, address: str, port: int, at: int) -> bool:
    """UDP to a port, which the server hears at `at`, and back."""
    hearing, asking = await server.bound("0.0.0.0", at), await client.bound("0.0.0.0")
    with hearing, asking, trio.move_on_after(1):
        await asking.sendto(b"ping", (address, port))
        data, sender = await hearing.recvfrom(16)
        await hearing.sendto(data, sender)
        return await asking.recvfrom(16) == (b"ping", (address, port))
    return False


def global_addresses(guest: Guest) -> set[str]:
    """Of IPv6, that the guest has now."""
    words = guest.run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global").split()
    return {after.partition("/")[0] for word, after in itertools.pairwise(words) if word == "inet6"}
