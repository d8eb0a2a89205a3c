"""A host in memory: does the same steps as a real one, and refuses what the kernel refuses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace

from compute_plugin.networks.agent.difference import digest
from compute_plugin.networks.agent.seen import Seen, SeenLink, SeenService, SeenSpace
from compute_plugin.networks.agent.steps import (
    AddLink,
    Address,
    AddSpace,
    DeleteLink,
    DeleteSpace,
    Entry,
    ReloadService,
    SetLink,
    SetPort,
    SetRoute,
    SetSysctl,
    SetTables,
    StartService,
    Step,
    StopService,
)
from compute_plugin.networks.plan.nft_script import replacement
from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import HOST, Bridge, BridgePort, Link, Route, Veth, Vlan, Vxlan

PLUGGED_IN = BridgePort(learning=True, flood=True, isolated=False)
"""What the kernel makes of a link that was just plugged into a bridge."""


class RefusedError(Exception):
    """What the kernel would not do."""


@dataclass
class FakeSpace:
    links: dict[str, SeenLink] = field(default_factory=dict)
    routes: set[Route] = field(default_factory=set)
    sysctls: dict[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()


class FakeHost:
    def __init__(self) -> None:
        self.spaces: dict[str, FakeSpace] = {HOST: FakeSpace()}
        self.services: dict[str, SeenService] = {}
        self.known: dict[str, tuple[Table, ...] | None] = {HOST: None}
        """What the agent knows of tables."""
        self._index = 0

    # -- what the agent sees -------------------------------------------------------------------------------------

    def seen(self) -> Seen:
        return Seen(
            {
                name: SeenSpace(
                    name=name,
                    links=dict(space.links),
                    routes=frozenset(space.routes),
                    sysctls=dict(space.sysctls),
                    tables=self.known.get(name),
                )
                for name, space in self.spaces.items()
            },
            dict(self.services),
        )

    def facts(self) -> set[tuple[object, ...]]:
        """All that is so, without numbers that are given anew, and sysctls that nobody set."""
        found: set[tuple[object, ...]] = set()
        for folder, one in self.services.items():
            found.add((folder, one.space, one.command, one.told, *sorted(one.files.items())))
        for name, space in self.spaces.items():
            found.add((name,))
            found |= {(name, replace(link, index=0, peer=0)) for link in space.links.values()}
            found |= {(name, route) for route in space.routes}
            found |= {(name, *value) for value in space.sysctls.items()}
            found |= {(name, replacement(table)) for table in space.tables}
        return found

    # -- what others do ------------------------------------------------------------------------------------------

    def plug(self, name: str) -> None:
        """Somebody makes a link in the host."""
        self.spaces[HOST].links[name] = self._new(name, kind="tun", up=True, mac="02:00:00:00:00:01", mtu=1500)

    def unplug(self, space: str, name: str) -> None:
        """A link goes, with its other end."""
        link = self.spaces[space].links.pop(name)
        self._lose_routes(space, name)
        for other_name, other in self.spaces.items():
            for found in [one for one in other.links.values() if link.peer and one.peer == link.index]:
                del other.links[found.name]
                self._lose_routes(other_name, found.name)
            on_it = [one.name for one in other.links.values() if one.kind == "vlan" and one.details[0] == name]
            for above in on_it if other_name == space else []:
                self.unplug(space, above)
            for port in [one for one in other.links.values() if other_name == space and one.master == name]:
                other.links[port.name] = out_of(port)

    def set(self, space: str, name: str, **more: object) -> None:
        self.spaces[space].links[name] = replace(self.spaces[space].links[name], **more)  # type: ignore[arg-type]

    def change_tables(self, space: str, tables: tuple[Table, ...]) -> None:
        """Somebody does; the kernel tells the agent."""
        self.spaces[space].tables = tables
        self.known[space] = None

    def forget(self) -> None:
        """The agent starts anew: it knows nothing."""
        self.known = dict.fromkeys(self.spaces)

    # -- what the agent does -------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Raises RefusedError."""
        match step:
            case AddSpace(space):
                _refuse_if(space in self.spaces, "the namespace is there")
                self.add_space(space)
            case DeleteSpace(space):
                self.delete_space(space)
            case AddLink(space, link, peer):
                self._add(space, link, peer)
            case DeleteLink(space, name):
                self._link(space, name)
                self.unplug(space, name)
            case SetLink(space, name):
                self._set(step, self._link(space, name))
            case SetPort(space, name, port):
                _refuse_if(self._link(space, name).master is None, "no port of a bridge")
                self.set(space, name, port=port)
            case Entry(space, name, mac, remote, there):
                self._entry(space, self._link(space, name), mac, remote, there)
            case Address(space, name, address, there):
                self._address(space, self._link(space, name), address, there)
            case SetRoute(space, route, there):
                self._route(self._space(space), route, there)
            case SetSysctl(space, path, value):
                name = path.split("/")[-2]
                known = name in ("ipv4", "all", "default") or name in self._space(space).links
                _refuse_if(not known, "there is no such file")
                self._space(space).sysctls[path] = value
            case SetTables(space, before, after):
                found = self._space(space)
                _refuse_if(before is not None and before != found.tables, "not what is there")
                found.tables = after
                self.known[space] = after
            case StartService(space, service):
                self._space(space)
                files = {file.path: file.text for file in (*service.files, *service.reloaded)}
                self.services[service.folder] = SeenService(
                    space=space, command=service.command, files=files, told=digest(service)
                )
            case ReloadService(_, service):
                running = self.services.get(service.folder)
                _refuse_if(running is None or running.command is None, "it does not run")
                assert running is not None
                files = {**running.files, **{file.path: file.text for file in service.reloaded}}
                self.services[service.folder] = replace(running, files=files, told=digest(service))
            case StopService(folder):
                self.services.pop(folder, None)

    def add_space(self, space: str) -> None:
        self.spaces[space] = FakeSpace({"lo": self._new("lo", quiet=True)})
        self.known[space] = None

    def delete_space(self, space: str) -> None:
        self._space(space)
        for name in list(self.spaces[space].links):
            self.unplug(space, name)
        del self.spaces[space]
        self.known.pop(space, None)
        for folder, service in self.services.items():
            if service.space == space:
                self.services[folder] = replace(service, space="")

    def _space(self, name: str) -> FakeSpace:
        _refuse_if(name not in self.spaces, f"there is no namespace {name}")
        return self.spaces[name]

    def _link(self, space: str, name: str) -> SeenLink:
        _refuse_if(name not in self._space(space).links, f"there is no link {name}")
        return self.spaces[space].links[name]

    def _new(self, name: str, **more: object) -> SeenLink:
        self._index += 1
        return SeenLink(name=name, index=self._index, **more)  # type: ignore[arg-type]

    def _add(self, space: str, link: Link, peer: Link | None) -> None:
        links = self._space(space).links
        _refuse_if(link.name in links, f"{link.name} is there")
        mac, mtu = link.mac or "02:00:00:00:00:02", link.mtu or 1500
        match link.form:
            case Bridge():
                links[link.name] = self._new(link.name, kind="bridge", details=(True,), mac=mac, mtu=mtu)
            case Vxlan(vni, local, port):
                same = any(one.kind == "vxlan" and one.details[0] == vni for one in links.values())
                _refuse_if(same, "there is such a VXLAN")
                links[link.name] = self._new(link.name, kind="vxlan", details=(vni, local, port), mac=mac, mtu=mtu)
            case Vlan(below, number):
                _refuse_if(below not in links, "there is no link below")
                links[link.name] = self._new(link.name, kind="vlan", details=(below, number), mac=mac, mtu=mtu)
            case Veth(other, inner):
                _refuse_if(inner in self._space(other).links, f"{inner} is there")
                outer = self._new(link.name, kind="veth", mac=mac, mtu=mtu)
                inside = self._new(
                    inner,
                    kind="veth",
                    peer=outer.index,
                    mac=(peer.mac if peer else None) or "02:00:00:00:00:03",
                    mtu=(peer.mtu if peer else None) or 1500,
                )
                links[link.name] = replace(outer, peer=inside.index)
                self.spaces[other].links[inner] = inside
            case _:
                raise RefusedError("nobody can make that")

    def _set(self, step: SetLink, link: SeenLink) -> None:
        space, name, value = step.space, step.name, step.value
        match step.setting:
            case "mac" | "mtu":
                self.set(space, name, **{step.setting: int(value) if step.setting == "mtu" else value})
            case "quiet":
                self.set(space, name, quiet=True)
            case "filtered":
                self.set(space, name, details=(True,))
            case "up":
                gone = frozenset() if value or name == "lo" else {one for one in link.addresses if ":" in one}
                self.set(space, name, up=bool(value), addresses=link.addresses - gone)
                if not value:
                    self._lose_routes(space, name)
            case "master":
                self.spaces[space].links[name] = out = out_of(link)
                if value:
                    _refuse_if(self._link(space, value).kind != "bridge", "no bridge")
                    self.spaces[space].links[name] = replace(out, master=value, port=PLUGGED_IN)

    def _entry(self, space: str, link: SeenLink, mac: str, remote: str | None, there: bool) -> None:
        if remote is None:
            _refuse_if(link.master is None, "no port of a bridge")
            _refuse_if(not there and mac not in link.macs, "there is no such entry")
            self.set(space, link.name, macs=link.macs | {mac} if there else link.macs - {mac})
            return
        _refuse_if(link.kind != "vxlan", "no VXLAN")
        _refuse_if(there == ((mac, remote) in link.remotes), "it is so, or is not there")
        self.set(space, link.name, remotes=link.remotes ^ {(mac, remote)})

    def _address(self, space: str, link: SeenLink, address: str, there: bool) -> None:
        _refuse_if(not there and address not in link.addresses, "there is no such address")
        self.set(space, link.name, addresses=link.addresses | {address} if there else link.addresses - {address})
        if not there:
            self._lose_routes(space, link.name)

    def _route(self, space: FakeSpace, route: Route, there: bool) -> None:
        if not there:
            _refuse_if(route not in space.routes, "there is no such route")
            space.routes.discard(route)
            return
        link = space.links.get(route.link)
        _refuse_if(link is None or not link.up, "the link is not up")
        assert link is not None
        if route.via:
            hop = ipaddress.ip_address(route.via)
            near = any(hop in ipaddress.ip_interface(one).network for one in link.addresses) or hop.is_link_local
            _refuse_if(not near, "the next hop is not near")
        space.routes = {one for one in space.routes if one.destination != route.destination} | {route}

    def _lose_routes(self, space: str, name: str) -> None:
        self.spaces[space].routes = {one for one in self.spaces[space].routes if one.link != name}


def out_of(link: SeenLink) -> SeenLink:
    """Plugged into nothing."""
    return replace(link, master=None, port=BridgePort(), macs=frozenset())


def _refuse_if(wrong: bool, why: str) -> None:
    if wrong:
        raise RefusedError(why)
