"""What is on the hosts, as `ip`, `bridge` and `nft` tell it in JSON: links, addresses, routes, who is behind which port
of a bridge, and tables. Pure; `looking` asks them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from compute_plugin.networks.trace.tables import Tables

EVERYBODY: Final = "00:00:00:00:00:00"
"""In the table of a VXLAN: addresses that nobody is known to have."""
HOST: Final = ""
"""The name of the space that is the host itself."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A link."""

    name: str
    index: int
    peer_index: int
    """Of a veth: the other end's, in whatever space that is; 0 for none."""
    mac: str
    up: bool
    kind: str
    """Such as `bridge`, `vxlan`, `veth`; "" for a device."""
    master: str
    addresses: tuple[str, ...]
    """With the lengths of their prefixes."""
    vni: int
    """Of a VXLAN; 0 for others."""


@dataclass(frozen=True, slots=True)
class SeenRoute:
    """Of the main table."""

    destination: str
    via: str
    link: str


class SeenSpace:
    """A host, or a network namespace of it."""

    def __init__(self, name: str, told: Mapping[str, Any]) -> None:
        """`told`: `links`, `routes`, `fdb` and `tables`, each as its tool tells it."""
        self.name = name
        self.links = {one["ifname"]: _link(one) for one in told["links"] if "ifname" in one}
        self.routes = [_route(one) for one in told["routes"] if one.get("dev")]
        self._fdb = [one for one in told["fdb"] if "mac" in one]
        self.tables = Tables(told["tables"])

    def behind(self, bridge: str, mac: str) -> str:
        """The port of a bridge that a MAC is behind, the bridge itself where it is its own; "" where nobody knows."""
        if bridge in self.links and self.links[bridge].mac == mac:
            return bridge
        for one in self._fdb:
            if one["mac"] == mac and one.get("master") == bridge:
                return str(one["ifname"])
        return ""

    def remotes(self, vxlan: str, mac: str) -> list[str]:
        """The addresses of hosts that a MAC is known to be at; that of EVERYBODY is what it is sent to otherwise."""
        return [str(one["dst"]) for one in self._fdb if (one["ifname"], one["mac"]) == (vxlan, mac) and one.get("dst")]

    def ports(self, bridge: str) -> list[str]:
        """The links that are plugged into a bridge."""
        return [link.name for link in self.links.values() if link.master == bridge]

    def owner(self, address: str) -> str:
        """The link that has an address; "" for none."""
        for link in self.links.values():
            if any(one.partition("/")[0] == address for one in link.addresses):
                return link.name
        return ""

    def route(self, address: str) -> SeenRoute | None:
        """The way to an address: that of the longest prefix; the networks of its own addresses are among them."""
        target = ipaddress.ip_address(address)
        found = [one for one in self.routes if target in ipaddress.ip_network(one.destination)]
        return max(found, key=lambda one: ipaddress.ip_network(one.destination).prefixlen, default=None)


class SeenHost:
    """A host with all of its spaces."""

    def __init__(self, name: str, told: Mapping[str, Any]) -> None:
        """`told`: `spaces`, by their names."""
        self.name = name
        self.spaces = {space: SeenSpace(space, one) for space, one in told["spaces"].items()}

    @property
    def own(self) -> SeenSpace:
        return self.spaces[HOST]

    def other_end(self, space: str, link: Seen) -> tuple[str, Seen] | None:
        """Where the other end of a veth is."""
        for name, other in self._others(space):
            for one in other.links.values():
                if link.peer_index and (one.index, one.peer_index) == (link.peer_index, link.index):
                    return name, one
        return None

    def _others(self, space: str) -> Iterator[tuple[str, SeenSpace]]:
        yield from ((name, one) for name, one in self.spaces.items() if name != space)


def _link(told: Mapping[str, Any]) -> Seen:
    info = told.get("linkinfo", {})
    return Seen(
        name=told["ifname"],
        index=told["ifindex"],
        peer_index=told.get("link_index", 0),
        mac=told.get("address", ""),
        up="UP" in told.get("flags", []),
        kind=info.get("info_kind", ""),
        master=told.get("master", ""),
        addresses=tuple(f"{one['local']}/{one['prefixlen']}" for one in told.get("addr_info", []) if "local" in one),
        vni=info.get("info_data", {}).get("id", 0) if info.get("info_kind") == "vxlan" else 0,
    )


def _route(told: Mapping[str, Any]) -> SeenRoute:
    destination = told["dst"]
    if destination == "default":
        destination = "::/0" if ":" in told.get("gateway", "") or told.get("family") == 6 else "0.0.0.0/0"
    return SeenRoute(str(ipaddress.ip_network(destination)), told.get("gateway", ""), told["dev"])
