"""`walk`: from where a packet is sent, from link to link, to where it arrives or ends. Pure.

A host's bridges hand frames on by who is behind which port; tables are asked where the kernel asks them: those of the
bridge family, and, where `br_netfilter` brings IP packets to them, those of the others. Routers are namespaces: there
addresses are translated, routes are looked up, and the packet has other MACs from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from compute_plugin.networks.plan import names
from compute_plugin.networks.trace.hosts import EVERYBODY, HOST, Seen, SeenHost, SeenSpace
from compute_plugin.networks.trace.packet import Packet
from compute_plugin.networks.trace.tables import Verdict

STEPS_MOST: Final = 64
Resolve = Callable[[str, str], str]
"""The MAC that answers for an address, in the network of the bridge that is asked; "" where nobody does."""


@dataclass(frozen=True, slots=True)
class Step:
    """On the way."""

    host: str
    space: str
    link: str
    text: str


@dataclass(slots=True)
class Way:
    """All of it."""

    steps: list[Step] = field(default_factory=list)
    end: str = ""
    """The link that it arrives at; "" where it does not arrive."""
    dropped: str = ""
    """Why it ends before."""
    packet: Packet | None = None
    """As it was at the end."""
    unseen: str = ""
    """The host that it came to and that nothing is known of."""


class _LostError(Exception):
    """The packet goes no further."""


def walk(
    hosts: Mapping[str, SeenHost], addresses: Mapping[str, str], host: str, packet: Packet, resolve: Resolve
) -> Way:
    """`packet.incoming` is the plug on `host` that it is sent at; `addresses` are hosts by where they get VXLAN."""
    return _Walker(hosts, addresses, resolve).go(host, packet)


class _Walker:
    def __init__(self, hosts: Mapping[str, SeenHost], addresses: Mapping[str, str], resolve: Resolve) -> None:
        self._hosts, self._addresses, self._resolve = hosts, addresses, resolve
        self._way = Way()

    def go(self, host: str, packet: Packet) -> Way:
        try:
            at: tuple[str, Packet] | None = (host, packet)
            while at is not None:
                if len(self._way.steps) > STEPS_MOST:
                    raise _LostError("it goes round in a circle")
                at = self._bridged(*at)
        except _LostError as lost:
            self._way.dropped = str(lost)
        return self._way

    # -- a bridge ------------------------------------------------------------------------------------------------

    def _bridged(self, host: str, packet: Packet) -> tuple[str, Packet] | None:
        """Over the bridge that the link is plugged into; where it goes on."""
        seen = self._hosts.get(host)
        if seen is None:
            self._way.unseen = host
            raise _LostError(f"nothing is known of the host {host}")
        space = seen.own
        link = self._up(space, packet.incoming, host)
        if not link.master:
            raise _LostError(f"{link.name} is plugged into no bridge")
        bridge = link.master
        self._note(host, HOST, link.name, f"comes to {bridge} for {packet.target_mac}")
        packet = self._hook(host, space, ["bridge"], "prerouting", packet)
        packet = self._over(host, space, "prerouting", packet, bridge)
        out = self._port(space, bridge, packet, link.name)
        if out == bridge:
            self._end(host, packet, bridge)
            return None
        packet = replace(packet, outgoing=out)
        packet = self._hook(host, space, ["bridge"], "forward", packet)
        packet = self._over(host, space, "forward", packet, bridge)
        packet = self._hook(host, space, ["bridge"], "postrouting", packet)
        self._note(host, HOST, out, f"leaves {bridge}")
        return self._out(seen, packet, self._up(space, out, host))

    def _over(self, host: str, space: SeenSpace, hook: str, packet: Packet, bridge: str) -> Packet:
        """The tables of IP, for which the bridge is where it comes in and goes out."""
        outgoing = bridge if hook == "forward" else ""
        passed = self._hook(
            host, space, self._families(packet), hook, replace(packet, incoming=bridge, outgoing=outgoing)
        )
        return replace(passed, incoming=packet.incoming, outgoing=packet.outgoing)

    def _port(self, space: SeenSpace, bridge: str, packet: Packet, incoming: str) -> str:
        out = space.behind(bridge, packet.target_mac)
        if out == incoming:
            raise _LostError(f"{packet.target_mac} is behind {incoming}, where it comes from")
        if out:
            return out
        # Then the bridge sends it to all ports; those that lead to other hosts are the ones that matter here.
        others = [one for one in space.ports(bridge) if one != incoming]
        tunnels = [one for one in others if space.links[one].vni and packet.target_mac]
        outside = [one for one in others if _leads_outside(one)]
        if not tunnels and not outside:
            if not packet.target_mac:
                raise _LostError("nobody answers for the address that it is to go to next")
            raise _LostError(f"nobody on {bridge} is known to have {packet.target_mac}")
        return (tunnels or outside)[0]

    def _out(self, seen: SeenHost, packet: Packet, link: Seen) -> tuple[str, Packet] | None:
        """What is at the other side of a port of a bridge."""
        if link.vni:
            return self._tunnelled(seen, packet, link)
        end = seen.other_end(HOST, link)
        if end is None:
            self._end(seen.name, packet, link.name)
            return None
        return self._routed(seen, end[0], end[1], packet)

    def _tunnelled(self, seen: SeenHost, packet: Packet, link: Seen) -> tuple[str, Packet]:
        """To the host that is known to have the MAC, or else to the one of all hosts that has it."""
        exact = seen.own.remotes(link.name, packet.target_mac)
        for remote in exact or seen.own.remotes(link.name, EVERYBODY):
            host, other = self._at(remote, link)
            if exact or self._hosts[host].own.behind(other.master, packet.target_mac):
                self._note(seen.name, HOST, link.name, f"is sent to {host} ({remote}) in VXLAN {link.vni}")
                return host, replace(packet, incoming=other.name, outgoing="", mark=0)
        raise _LostError(f"nobody on any host is known to have {packet.target_mac}")

    def _at(self, remote: str, link: Seen) -> tuple[str, Seen]:
        """The other end of a tunnel."""
        host = self._addresses.get(remote)
        if host is None:
            raise _LostError(f"it is sent to {remote}, and no host has that address")
        if host not in self._hosts:
            self._way.unseen = host
            raise _LostError(f"nothing is known of the host {host}")
        for other in self._hosts[host].own.links.values():
            if other.vni == link.vni:
                return host, other
        raise _LostError(f"{host} has no VXLAN {link.vni}")

    # -- a router ------------------------------------------------------------------------------------------------

    def _routed(self, seen: SeenHost, name: str, link: Seen, packet: Packet) -> tuple[str, Packet] | None:
        space = seen.spaces[name]
        self._up(space, link.name, seen.name)
        self._note(seen.name, name, link.name, f"comes in for {packet.target}")
        if packet.target_mac != link.mac:
            raise _LostError(f"{link.name} has another MAC ({link.mac})")
        packet = replace(packet, incoming=link.name, outgoing="", mark=0)
        packet = self._hook(seen.name, space, self._families(packet), "prerouting", packet)
        own = space.owner(packet.target)
        if own:
            packet = self._hook(seen.name, space, self._families(packet), "input", packet)
            self._end(seen.name, packet, own, name)
            return None
        route = space.route(packet.target)
        if route is None:
            raise _LostError(f"{name} has no route to {packet.target}")
        hop = route.via or packet.target
        self._note(seen.name, name, route.link, f"is routed by {route.destination} to {hop}")
        packet = replace(packet, outgoing=route.link)
        for hook in ("forward", "postrouting"):
            packet = self._hook(seen.name, space, self._families(packet), hook, packet)
        out = self._up(space, route.link, seen.name)
        end = seen.other_end(name, out)
        if end is None or end[0] != HOST:
            raise _LostError(f"{route.link} leads nowhere")
        mac = self._neighbour(seen, end[1], hop)
        return seen.name, replace(packet, source_mac=out.mac, target_mac=mac, incoming=end[1].name, outgoing="", mark=0)

    def _neighbour(self, seen: SeenHost, link: Seen, address: str) -> str:
        """Who answers for an address on the bridge behind a link: the host itself, or a port."""
        owner = seen.own.owner(address)
        if owner and owner == link.master:
            return seen.own.links[owner].mac
        return self._resolve(link.master, address)

    # -- what is common ------------------------------------------------------------------------------------------

    def _hook(self, host: str, space: SeenSpace, families: Sequence[str], hook: str, packet: Packet) -> Packet:
        found: Verdict = space.tables.hook(families, hook, packet)
        for rule in found.unknown:
            self._note(host, space.name, packet.incoming, f"has a rule that is not understood here: {rule}")
        if not found.passed:
            raise _LostError(f"dropped at {hook} by {found.rule}")
        after = found.packet
        for said, before, now in (
            ("to", (packet.target, packet.target_port), (after.target, after.target_port)),
            ("from", (packet.source, packet.source_port), (after.source, after.source_port)),
        ):
            if before != now:
                self._note(host, space.name, packet.incoming, f"is {said} {_shown(*now)} now, not {_shown(*before)}")
        return after

    def _up(self, space: SeenSpace, name: str, host: str) -> Seen:
        link = space.links.get(name)
        where = f"{host} {space.name}".strip()
        if link is None:
            raise _LostError(f"{where} has no link {name}")
        if not link.up:
            raise _LostError(f"{name} on {where} is down")
        return link

    def _end(self, host: str, packet: Packet, link: str, space: str = HOST) -> None:
        self._note(host, space, link, "arrives")
        self._way.end, self._way.packet = link, packet

    def _note(self, host: str, space: str, link: str, text: str) -> None:
        self._way.steps.append(Step(host, space, link, text))

    def _families(self, packet: Packet) -> list[str]:
        return ["inet", "ip" if packet.version == 4 else "ip6"]


def _leads_outside(link: str) -> bool:
    """Whether a port of a bridge is a wire: a VLAN of one, or a link that was not made here."""
    return link.startswith(names.VLANS) or not (names.is_ours(link) or link.startswith(names.PLUGS))


def _shown(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
