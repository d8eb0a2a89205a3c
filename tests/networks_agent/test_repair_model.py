"""Any changes of the records, any deaths of the agent between two steps and any sabotage end in the same state as on a
host that was wired from nothing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from compute_plugin.networks.agent.difference import difference
from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.desired import Planner, desired
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import HOST, Route, Wiring
from compute_plugin.networks.records.network import FLAT, VLAN
from compute_plugin.networks.records.port import ROUTER_GATEWAY, ROUTER_INTERFACE
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.records.states import RouterPlace
from compute_plugin.networks.records.trunk import SubPort, Trunk
from tests.networks_agent.fake_host import FakeHost, RefusedError, out_of
from tests.networks_plan.made import PROJECT, Made, id_of

SEEDS = 400
CHANGES = 25
ROUNDS = 12
"""More than are ever needed."""
HERE = Host(name="a", address="192.0.2.1", local=frozenset({"outside"}))


class World:
    """Records that change, and a host that follows."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.made = Made()
        self.planner = Planner(HERE)
        self.host = FakeHost()
        self.happenings = [self.change_records, self.change_records, self.sabotage, self.die_within_a_round]
        self.cut = 0
        self.done = 0
        for name, address in (("a", "192.0.2.1"), ("b", "192.0.2.2"), ("c", "192.0.2.3")):
            self.made.host(name, address)
        self.made.usual_group("default")
        self.made.group("stateless", stateful=False)
        self.made.rule("any", "stateless", "ingress")

    # -- records -------------------------------------------------------------------------------------------------

    def change_records(self) -> None:
        self.random.choice(
            [
                *(self.add_network, self.add_port, self.add_port, self.delete_port, self.switch, self.rule),
                *(self.router, self.trunk),
            ]
        )()

    def add_network(self) -> None:
        number = self.random.randrange(4)
        name = f"net{number}"
        if number == 3:
            self.made.network(name, network_type=FLAT, physical_network="outside", external=True, segmentation_id=None)
        else:
            self.made.network(name, segmentation_id=100 + number, mtu=self.random.choice([1450, 1400]))
        self.made.subnet(f"{name} 4", name, f"10.{number}.0.0/24", f"10.{number}.0.1")
        self.made.subnet(f"{name} 6", name, f"fd00:{number}::/64", f"fd00:{number}::1")
        if self.random.random() < 0.7:
            self.made.dhcp(name, {f"{name} 4": f"10.{number}.0.2", f"{name} 6": f"fd00:{number}::2"})

    def add_port(self) -> None:
        number, last = self.random.randrange(4), self.random.randrange(10, 16)
        addresses = {f"net{number} 4": f"10.{number}.0.{last}", f"net{number} 6": f"fd00:{number}::{last}"}
        self.made.port(
            f"port {number} {last}",
            f"net{number}",
            addresses,
            mac=f"fa:16:3e:00:{number:02x}:{last:02x}",
            host=self.random.choice(["a", "a", "b", "c", ""]),
            groups=[self.random.choice(["default", "stateless"])],
            port_security_enabled=self.random.random() < 0.8,
            admin_state_up=self.random.random() < 0.9,
        )

    def delete_port(self) -> None:
        ports = sorted(port.id for port in self.made.records.ports)
        if ports:
            self.made.records.ports.delete(self.random.choice(ports))

    def switch(self) -> None:
        """A network goes, or is down, or up."""
        found = sorted(self.made.records.networks, key=lambda one: one.id)
        if found:
            network = self.random.choice(found)
            if self.random.random() < 0.3:
                self.made.records.networks.delete(network.id)
            else:
                self.made.records.networks.put(replace(network, admin_state_up=not network.admin_state_up))

    def rule(self) -> None:
        port = self.random.randrange(80, 84)
        if self.made.records.rules.get(id_of(f"rule {port}")) is not None:
            self.made.records.rules.delete(id_of(f"rule {port}"))
        else:
            self.made.rule(f"rule {port}", "default", "ingress", protocol="tcp", port_min=port, port_max=port)

    def trunk(self) -> None:
        """One with two tags, or one, or none."""
        ports = sorted(port.id for port in self.made.records.ports if port.device_owner == "compute:nova")
        found = self.random.sample(ports, min(len(ports), 3))
        self.made.records.trunks.delete(id_of("trunk"))
        if found and self.random.random() < 0.8:
            subs = tuple(SubPort(one, VLAN, 7 + number) for number, one in enumerate(found[1:]))
            trunk = Trunk(id=id_of("trunk"), project_id=PROJECT, port_id=found[0], sub_ports=subs)
            self.made.records.trunks.put(trunk)

    def router(self) -> None:
        id_ = id_of("router")
        if self.made.records.routers.get(id_) is None:
            gateway = id_of("gateway")
            self.made.records.routers.put(
                Router(id=id_, project_id=PROJECT, gateway_network_id=id_of("net3"), gateway_port_id=gateway)
            )
            for number, owner, name in ((0, ROUTER_INTERFACE, "interface"), (3, ROUTER_GATEWAY, "gateway")):
                addresses = {f"net{number} 4": f"10.{number}.0.{1 if number == 0 else 9}"}
                self.made.port(name, f"net{number}", addresses, device_owner=owner, device_id=id_)
        place = self.random.choice(["a", "b", None])
        if place is None:
            self.made.states.routers.delete(id_)
        else:
            self.made.states.routers.put(RouterPlace(id=id_, host=place))

    # -- sabotage ------------------------------------------------------------------------------------------------

    def sabotage(self) -> None:
        self.random.choice(
            [self.plug, self.delete_link, self.disturb_link, self.delete_space, self.rules, self.service, self.junk]
        )()

    def plug(self) -> None:
        """Servers start and stop."""
        for port in sorted(self.made.records.ports, key=lambda one: one.id):
            name = names.plug(port.id)
            if port.host == "a" and self.random.random() < 0.7:
                if name not in self.host.spaces[HOST].links:
                    self.host.plug(name)
                elif self.random.random() < 0.3:
                    self.host.unplug(HOST, name)

    def delete_link(self) -> None:
        space = self.any_space()
        links = sorted(set(self.host.spaces[space].links) - {"lo"})
        if links:
            self.host.unplug(space, self.random.choice(links))

    def disturb_link(self) -> None:
        space = self.any_space()
        links = self.host.spaces[space].links
        if not links:
            return
        name = self.random.choice(sorted(links))
        nothing: dict[str, object] = {"addresses": frozenset(), "macs": frozenset(), "remotes": frozenset()}
        bad: list[dict[str, object]] = [
            {"up": not links[name].up, "addresses": frozenset()},
            {"addresses": frozenset({"192.0.2.77/24"})},
        ]
        if name != "lo":
            bad.append({"mtu": 1280})
        if space == HOST:
            bad.append({"quiet": False})
        if space == HOST and links[name].kind == "bridge":
            bad.append({"details": (False,)})
        if links[name].master is not None:
            bad += [{"master": None, **nothing}, {"macs": frozenset({"02:00:00:00:00:77"})}]
        if links[name].kind == "vxlan":
            bad.append({"remotes": frozenset({("02:00:00:00:00:88", "192.0.2.9")})})
        self.host.set(space, name, **self.random.choice(bad))
        self.host.spaces[space].routes = {Route("192.0.2.0/24", "", name)} if space != HOST else set()

    def delete_space(self) -> None:
        space = self.any_space()
        if space != HOST:
            self.host.delete_space(space)

    def rules(self) -> None:
        self.host.change_tables(self.any_space(), self.random.choice([(), (Table("inet"),)]))

    def service(self) -> None:
        for folder, service in sorted(self.host.services.items()):
            change = self.random.randrange(4)
            if change == 0:
                self.host.services[folder] = replace(service, command=None)
            elif change == 1:
                self.host.services[folder] = replace(service, files={})
            elif change == 2:
                self.host.services[folder] = replace(service, told="")

    def junk(self) -> None:
        """Called as ours are."""
        self.host.plug(self.random.choice(["dsb-junk", "dsh-junk", "dsx-9"]))
        space = f"drystone-dhcp-{self.random.randrange(2)}"
        if space not in self.host.spaces:
            self.host.add_space(space)

    def any_space(self) -> str:
        return self.random.choice(sorted(self.host.spaces))

    # -- the agent -----------------------------------------------------------------------------------------------

    def wiring(self) -> Wiring:
        """By the planner that has planned all that was before: that is to make no difference."""
        wiring = self.planner.plan(self.made.records, self.made.states)
        assert wiring == desired(self.made.records, self.made.states, HERE)
        return wiring

    def go_round(self, host: FakeHost, limit: int | None) -> int:
        """One round, cut after some steps; how many there were to do."""
        steps = difference(self.wiring(), host.seen())
        for step in steps[:limit]:
            self.done += 1
            try:
                host.do(step)
            except RefusedError:
                continue
        return len(steps)

    def die_within_a_round(self) -> None:
        steps = len(difference(self.wiring(), self.host.seen()))
        if steps:
            self.cut += 1
            self.go_round(self.host, self.random.randrange(steps))
        self.host.forget()

    def settle(self, host: FakeHost) -> None:
        for _ in range(ROUNDS):
            if self.go_round(host, None) == 0:
                return
        left = difference(self.wiring(), host.seen())
        raise AssertionError(f"after {ROUNDS} rounds there is still to be done: {left[:5]}")

    def expected(self) -> FakeHost:
        """A host that is wired from nothing, with the same plugs."""
        fresh = FakeHost()
        for name, link in self.host.spaces[HOST].links.items():
            if names.PLUGS in name:
                fresh.spaces[HOST].links[name] = out_of(link)
        self.settle(fresh)
        return fresh


@pytest.mark.parametrize("part", range(4))
def test_it_ends_as_if_nothing_had_happened(part: int) -> None:
    cut = done = 0
    for seed in range(part, SEEDS, 4):
        world = World(seed)
        for _ in range(CHANGES):
            world.random.choice(
                [world.change_records, world.change_records, world.sabotage, world.die_within_a_round]
            )()
            if world.random.random() < 0.3:
                world.settle(world.host)
                found, expected = world.host.facts(), world.expected().facts()
                assert not found ^ expected, f"seed {seed}: {found - expected} and not {expected - found}"
        cut += world.cut
        done += world.done
    print(f"{cut} times the agent died between two steps, of {done} that were done")
    assert cut > 50
