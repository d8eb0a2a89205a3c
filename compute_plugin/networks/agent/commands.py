"""Steps as lines for `ip -batch` and `bridge -batch`. Pure.

Words are names made by the plan, parsed addresses and numbers: none has a blank in it.
"""

from __future__ import annotations

from typing import Final, Literal

from compute_plugin.networks.agent.steps import (
    AddLink,
    Address,
    AddSpace,
    DeleteLink,
    DeleteSpace,
    Entry,
    SetLink,
    SetPort,
    SetRoute,
    Step,
)
from compute_plugin.networks.plan.wiring import Bridge, Link, Veth, Vlan, Vxlan

Tool = Literal["ip", "bridge"]
_SWITCH: Final = ("off", "on")


def line(step: Step) -> tuple[Tool, str, str] | None:
    """A tool, the namespace that it is to work in, and a line for it; None for what no such tool does."""
    match step:
        case AddSpace(space):
            return "ip", "", f"netns add {space}"
        case DeleteSpace(space):
            return "ip", "", f"netns delete {space}"
        case AddLink(space, link, peer):
            return "ip", space, _add(link, peer)
        case DeleteLink(space, name):
            return "ip", space, f"link delete {name}"
        case SetLink(space, name):
            return "ip", space, f"link set dev {name} {_setting(step)}"
        case SetPort(space, name, port):
            flags = (("learning", port.learning), ("flood", port.flood), ("isolated", port.isolated))
            told = " ".join(f"{flag} {_SWITCH[on]}" for flag, on in flags)
            return "ip", space, f"link set dev {name} type bridge_slave {told}"
        case Entry(space, name, mac, remote, there):
            return "bridge", space, _entry(name, mac, remote, there)
        case Address(space, name, address, there):
            verb = "replace" if there else "delete"
            return "ip", space, f"address {verb} {address} dev {name}{_no_wait(address, there)}"
        case SetRoute(space, route, there):
            via = f" via {route.via}" if route.via else ""
            verb = "replace" if there else "delete"
            return "ip", space, f"route {verb} {route.destination}{via} dev {route.link}"
    return None


def _add(link: Link, peer: Link | None) -> str:
    words = [f"link add name {link.name}"]
    if link.mac is not None:
        words.append(f"address {link.mac}")
    if link.mtu is not None:
        words.append(f"mtu {link.mtu}")
    match link.form:
        case Bridge():
            words.append("type bridge nf_call_iptables 1 nf_call_ip6tables 1 mcast_snooping 0 forward_delay 0")
        case Vxlan(vni, local, port):
            words.append(f"type vxlan id {vni} local {local} dstport {port} nolearning")
        case Vlan(below, number):
            words[0] = f"link add link {below} name {link.name}"
            words.append(f"type vlan id {number}")
        case Veth(space, name):
            words.append(f"type veth peer name {name} netns {space}")
            if peer is not None and peer.mac is not None:
                words.append(f"address {peer.mac}")
            if peer is not None and peer.mtu is not None:
                words.append(f"mtu {peer.mtu}")
    return " ".join(words)


def _entry(name: str, mac: str, remote: str | None, there: bool) -> str:
    if remote is None:
        return f"fdb replace {mac} dev {name} master static" if there else f"fdb delete {mac} dev {name} master"
    if there:
        return f"fdb append {mac} dev {name} dst {remote} self permanent"
    return f"fdb delete {mac} dev {name} dst {remote} self"


def _setting(step: SetLink) -> str:
    match step.setting:
        case "mac":
            return f"address {step.value}"
        case "mtu":
            return f"mtu {step.value}"
        case "up":
            return "up" if step.value else "down"
        case "master":
            return f"master {step.value}" if step.value else "nomaster"
        case "quiet":
            return "addrgenmode none"
        case "filtered":
            return "type bridge nf_call_iptables 1 nf_call_ip6tables 1"


def _no_wait(address: str, there: bool) -> str:
    """Whether an address of IPv6 is somebody else's is not looked for."""
    return " nodad" if there and ":" in address else ""
