"""Steps for the links of one space. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from compute_plugin.networks.agent.seen import Seen, SeenLink, SeenSpace
from compute_plugin.networks.agent.steps import AddLink, Address, DeleteLink, Entry, SetLink, SetPort, Setting, Step
from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.wiring import HOST, Bridge, Given, Link, Peer, Space, Veth, Vlan, Vxlan, Wiring

FRESH = SeenLink(name="")
"""A link that was just made."""


def link_steps(space: Space, seen: Seen, wiring: Wiring) -> Iterator[Step]:
    """Make links what they are to be. Of links that others make nothing is done before they are there."""
    there = seen.spaces.get(space.name) or SeenSpace(name=space.name)
    for link in space.links:
        found = there.links.get(link.name)
        if found is not None and not _is_the_same(space, link, found, seen):
            yield DeleteLink(space.name, link.name)
            found = None
        if found is None:
            if isinstance(link.form, Given) or _waits(link, there, wiring):
                continue
            if not isinstance(link.form, Peer):
                yield from _in_the_way(link, seen)
                yield AddLink(space.name, link, _peer(link, wiring))
                found = _made(link)
            else:
                found = FRESH if link.name != "lo" else SeenLink(name="lo", quiet=True)
        yield from _settings(space.name, link, found)


def surplus_links(space: Space, there: SeenSpace) -> Iterator[Step]:
    """Take away what is called as ours are and is not in the plan, and plug out of our bridges what is not ours."""
    if space.name != HOST:
        return
    planned = {link.name for link in space.links}
    for name, link in sorted(there.links.items()):
        if name in planned:
            continue
        if names.is_ours(name):
            yield DeleteLink(space.name, name)
        elif link.master is not None and names.is_ours(link.master):
            yield SetLink(space.name, name, "master", "")


def _waits(link: Link, there: SeenSpace, wiring: Wiring) -> bool:
    """For a server's plug, on which it is to be."""
    return isinstance(link.form, Vlan) and link.form.link in wiring.plugs and link.form.link not in there.links


def _in_the_way(link: Link, seen: Seen) -> Iterator[Step]:
    """The other end of a pair whose first end is not what it was."""
    if isinstance(link.form, Veth):
        there = seen.spaces.get(link.form.space)
        inner = there.links.get(link.form.peer) if there is not None else None
        outer = seen.spaces[HOST].links.get(link.name) if HOST in seen.spaces else None
        if inner is not None and (outer is None or outer.peer != inner.index):
            yield DeleteLink(link.form.space, link.form.peer)


def _peer(link: Link, wiring: Wiring) -> Link | None:
    form = link.form
    if not isinstance(form, Veth):
        return None
    for space in wiring.spaces:
        if space.name == form.space:
            for inner in space.links:
                if inner.name == form.peer:
                    return inner
    return Link(name=form.peer, form=Peer())


def _made(link: Link) -> SeenLink:
    """What a link is like when it was just made."""
    return SeenLink(name=link.name, mac=link.mac or "", mtu=link.mtu or 0, details=_details(link))


def _details(link: Link) -> tuple[object, ...]:
    match link.form:
        case Vxlan(vni, local, port):
            return vni, local, port
        case Vlan(below, number):
            return below, number
        case Bridge():
            return (True,)
    return ()


def _is_the_same(space: Space, link: Link, found: SeenLink, seen: Seen) -> bool:
    """Whether it is of the kind that it is to be; otherwise it is made anew."""
    match link.form:
        case Bridge():
            return found.kind == "bridge"
        case Vxlan() | Vlan():
            return (found.kind, found.details) == (type(link.form).__name__.lower(), _details(link))
        case Veth(other, peer):
            there = seen.spaces.get(other)
            inner = there.links.get(peer) if there is not None else None
            return found.kind == "veth" and inner is not None and inner.index == found.peer
    return True


def _settings(space: str, link: Link, found: SeenLink) -> Iterator[Step]:
    """In an order that works: a link that has no address of IPv6 by itself is so before it is up, and what is plugged
    in is told how before it is up."""

    def setting(which: Setting, value: str) -> SetLink:
        return SetLink(space, link.name, which, value)

    in_host = space == HOST
    if in_host and not found.quiet and not isinstance(link.form, Vlan):
        yield setting("quiet", "1")
    if isinstance(link.form, Bridge) and found.details != (True,):
        yield setting("filtered", "1")
    if link.mac is not None and link.mac != found.mac:
        yield setting("mac", link.mac)
    if link.mtu is not None and link.mtu != found.mtu:
        yield setting("mtu", str(link.mtu))
    if in_host and link.master != found.master and not isinstance(link.form, Bridge):
        yield setting("master", link.master or "")
    if link.master is not None:
        moved = link.master != found.master
        if moved or link.port != found.port:
            yield SetPort(space, link.name, link.port)
        yield from _entries(space, link, found if not moved else FRESH)
    yield from _remotes(space, link, found)
    if link.up != found.up:
        yield setting("up", "1" if link.up else "")
    yield from _addresses(space, link, found.addresses)


def _entries(space: str, link: Link, found: SeenLink) -> Iterator[Step]:
    yield from (Entry(space, link.name, mac, None, False) for mac in sorted(found.macs - set(link.macs)))
    yield from (Entry(space, link.name, mac, None, True) for mac in link.macs if mac not in found.macs)


def _remotes(space: str, link: Link, found: SeenLink) -> Iterator[Step]:
    if not isinstance(link.form, Vxlan):
        return
    for mac, remote in sorted(found.remotes - link.remotes):
        yield Entry(space, link.name, mac, remote, False)
    for mac, remote in sorted(link.remotes - found.remotes):
        yield Entry(space, link.name, mac, remote, True)


def _addresses(space: str, link: Link, found: frozenset[str]) -> Iterator[Step]:
    if isinstance(link.form, Given):
        return
    wanted = set(link.addresses)
    yield from (Address(space, link.name, one, False) for one in sorted(found - wanted))
    yield from (Address(space, link.name, one, True) for one in link.addresses if one not in found)


def is_ready(space: str, link: Link, there: SeenSpace) -> bool:
    """Whether a link is there and what it is to be."""
    found = there.links.get(link.name)
    return found is not None and next(_settings(space, link, found), None) is None
