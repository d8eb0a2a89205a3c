"""A wiring as a text for people: the same for the same wiring, a line for each thing."""

from __future__ import annotations

from collections.abc import Iterator

from compute_plugin.networks.plan.nft_script import Named, entries, named
from compute_plugin.networks.plan.ruleset import Map, Table
from compute_plugin.networks.plan.wiring import (
    HOST,
    Bridge,
    Given,
    Link,
    Peer,
    Service,
    Space,
    Veth,
    Vlan,
    Vxlan,
    Wiring,
)


def show(wiring: Wiring) -> str:
    """All of it."""
    lines = [line for space in wiring.spaces for line in _space(space)]
    lines += [f"plug {link} is port {one.port}, number {one.number}" for link, one in sorted(wiring.plugs.items())]
    lines += [f"zone {zone} is network {network}" for network, zone in sorted(wiring.zones.items())]
    lines += [f"problem with {id_}: {why}" for id_, why in sorted(wiring.problems.items())]
    return "".join(f"{line}\n" for line in lines)


def _space(space: Space) -> Iterator[str]:
    yield "host" if space.name == HOST else f"namespace {space.name}"
    for link in space.links:
        yield f"    link {_link(link)}"
        yield from (f"        address {one}" for one in link.addresses)
        yield from (f"        behind it {one}" for one in link.macs)
        yield from (f"        {mac} at {host}" for mac, host in sorted(link.remotes))
    for route in space.routes:
        yield f"    route {route.destination} via {route.via or 'the link'} dev {route.link}"
    yield from (f"    sysctl {path} = {value}" for path, value in space.sysctls)
    for table in space.tables:
        yield from (f"    {line}" for line in _table(table))
    for service in space.services:
        yield from (f"    {line}" for line in _service(service))


def _link(link: Link) -> str:
    words = [link.name, _form(link)]
    if link.mac is not None:
        words.append(f"mac {link.mac}")
    if link.mtu is not None:
        words.append(f"mtu {link.mtu}")
    if link.master is not None:
        flags = [name for name in ("learning", "flood", "isolated") if getattr(link.port, name)]
        words.append(f"in {link.master} ({', '.join(flags) or 'known addresses alone'})")
    words.append("up" if link.up else "down")
    return ", ".join(words)


def _form(link: Link) -> str:
    match link.form:
        case Bridge():
            return "bridge"
        case Vxlan(vni, local, port):
            return f"vxlan {vni} from {local} port {port}"
        case Vlan(below, number):
            return f"vlan {number} of {below}"
        case Veth(space, peer):
            return f"pair with {peer} in {space}"
        case Peer():
            return "the other end"
        case Given():
            return "given"


def _table(table: Table) -> Iterator[str]:
    yield f"table {table.family} {table.name}"
    yield f"    counters {', '.join(table.counters)}"
    yield from (f"    limit {one.name} {one.rate}" for one in table.limits)
    for one in named(table).values():
        yield f"    {_named(one)}"
        for element, to in sorted(entries(one).items()):
            yield f"        {element}" if to is None else f"        {element} : {to}"
    for chain in table.chains:
        hook = chain.hook
        at = f" at {hook.hook} {hook.priority} ({hook.type}), policy {hook.policy}" if hook is not None else ""
        yield f"    chain {chain.name}{at}"
        yield from (f"        {rule}" for rule in chain.rules)


def _named(one: Named) -> str:
    return f"{'map' if isinstance(one, Map) else 'set'} {one.name}, {one.type}{', interval' if one.interval else ''}"


def _service(service: Service) -> Iterator[str]:
    yield f"service {service.name}: {' '.join(service.command)}"
    for file in (*service.files, *service.reloaded):
        yield f"    file {file.path}"
        yield from (f"        {line}" for line in file.text.splitlines())
