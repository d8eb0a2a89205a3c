"""That an agent lives, and what it may hold as long as it does."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from compute_plugin.networks.agent import agent as agent_module
from compute_plugin.networks.agent.agent import Agent
from compute_plugin.networks.agent.bell import Bell
from compute_plugin.networks.agent.claims import wanted
from compute_plugin.networks.agent.standing import MARGIN_S, TTL_S, Standing
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.records.network import FLAT
from compute_plugin.networks.records.port import ROUTER_INTERFACE
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.states import AgentState, RouterPlace
from compute_plugin.networks.records.store import NetworkStore
from store.core.clock import SystemClock
from store.registry import memory_registry
from store.registry.interface import UnavailableError
from tests.networks_plan.made import PROJECT, Made, id_of

HOST = Host(name="a", address="192.0.2.1", local=frozenset({"public"}))


class TrioClock:
    def wall_us(self) -> int:
        return int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


def holds(standing: Standing) -> bool:
    return standing.holds


async def test_who_cannot_say_that_it_lives_holds_nothing_before_others_can_take_it(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    registry = memory_registry(TrioClock())
    states = StateStore(registry)
    standing = Standing(registry, HOST, TrioClock(), Bell(), ())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        nursery.start_soon(standing.run)
        await trio.sleep(1)
        assert holds(standing)
        await standing.claim(["r"], states.states)
        await trio.sleep(100)
        assert holds(standing)
        assert states.states.routers.require("r").host == "a"
        assert states.states.hosts.require("a").address == "192.0.2.1"

        async def away(lease: int) -> None:
            raise UnavailableError("it is away")

        monkeypatch.setattr(registry, "keep_alive", away)
        await trio.sleep(TTL_S - MARGIN_S + 0.5)
        assert not holds(standing)
        assert states.states.routers.get("r") is not None, "nobody else can have it yet"
        await trio.sleep(TTL_S)
        assert states.states.routers.get("r") is None
        assert states.states.agents.get("a") is None
        assert states.states.hosts.get("a") is not None, "packets go on"
        monkeypatch.undo()
        await trio.sleep(10)
        assert holds(standing)
        assert states.states.agents.get("a") is not None
        nursery.cancel_scope.cancel()


async def test_a_router_is_taken_once_and_again_by_who_had_it(autojump_clock: MockClock) -> None:
    registry = memory_registry(TrioClock())
    states = StateStore(registry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        first, other = [Standing(registry, Host(name=name), TrioClock(), Bell(), ()) for name in "ab"]
        for one in (first, other):
            nursery.start_soon(one.run)
        await trio.sleep(1)
        await first.claim(["r"], states.states)
        await other.claim(["r"], states.states)
        await trio.sleep(1)
        assert states.states.routers.require("r").host == "a"
        again = Standing(registry, Host(name="a"), TrioClock(), Bell(), ())
        nursery.start_soon(again.run)
        await trio.sleep(1)
        await again.claim(["r"], states.states)
        item = await registry.get(b"network-state/router/r")
        assert item is not None
        assert again._lease is not None
        assert item.lease == again._lease.id
        nursery.cancel_scope.cancel()


async def test_where_something_is_missing_the_agent_says_so_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "problems", lambda: ("not installed: radvd",))
    registry = memory_registry(SystemClock())
    store, states = NetworkStore(registry), StateStore(registry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        await nursery.start(lambda task_status: store.run(task_status=task_status))
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        agent = Agent(registry, store, states, HOST, SystemClock())
        await nursery.start(lambda task_status: agent.run(task_status=task_status))
        with trio.fail_after(10):
            while states.states.agents.get("a") is None:
                await trio.sleep(0.01)
        assert states.states.agents.require("a").problems == ("not installed: radvd",)
        nursery.cancel_scope.cancel()


def test_all_hosts_agree_who_takes_a_router() -> None:
    made = Made()
    made.network("outside", network_type=FLAT, physical_network="public", segmentation_id=None)
    for name, wires in (("a", ("public",)), ("b", ("public",)), ("c", ())):
        made.states.agents.put(AgentState(id=name, address="", physical_networks=wires))
    made.states.agents.put(AgentState(id="d", address="", physical_networks=("public",), problems=("no root",)))
    for number in range(40):
        made.records.routers.put(
            Router(id=f"r{number}", project_id=PROJECT, gateway_network_id=id_of("outside"), gateway_port_id="p")
        )
    made.records.routers.put(Router(id="unused", project_id=PROJECT))
    shares = {name: wanted(made.records, made.states, name) for name in "abcd"}
    assert sorted(shares["a"] + shares["b"]) == sorted(f"r{number}" for number in range(40))
    assert min(len(shares["a"]), len(shares["b"])) > 8
    assert shares["c"] == shares["d"] == []
    made.port("leg", "outside", {}, device_owner=ROUTER_INTERFACE, device_id="unused")
    made.states.routers.put(RouterPlace(id="unused", host="c"))
    assert wanted(made.records, made.states, "c") == ["unused"]
