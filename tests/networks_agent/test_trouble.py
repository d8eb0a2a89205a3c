"""Trouble that an agent outlives, and trouble that it says."""

from __future__ import annotations

import threading

import pytest
import trio
from trio.testing import MockClock

from compute_plugin.networks.agent import other_rules
from compute_plugin.networks.agent import view as view_module
from compute_plugin.networks.agent.bell import Bell
from compute_plugin.networks.agent.netlink import namespaces
from compute_plugin.networks.agent.requirements import _lacking
from compute_plugin.networks.agent.running import Ended
from compute_plugin.networks.agent.served import Serve, Served
from compute_plugin.networks.agent.standing import Standing
from compute_plugin.networks.agent.view import View
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.wiring import HOST, Space, Wiring
from compute_plugin.networks.records.state_store import StateStore
from compute_plugin.networks.records.states import PREFIX, States
from store.core.clock import SystemClock
from store.core.errors import NotFoundError
from store.registry import Put, memory_registry


def test_capabilities_that_root_lacks_are_named() -> None:
    assert _lacking("Name:\tpython\nCapEff:\t000001ffffffffff\n") == []
    assert _lacking("CapEff:\t00000000a80425fb\n") == ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"], "as in a container"


async def test_what_answers_in_one_namespace_is_opened_again_when_it_fails(autojump_clock: MockClock) -> None:
    opened: list[str] = []

    def open_(space: str, network: str) -> Serve:
        opened.append(space)
        if len(opened) == 3:
            raise OSError("not now")

        async def serve() -> None:
            if space == "drystone-dhcp-a":
                raise OSError(24, "too many open files")
            await trio.sleep_forever()

        return serve

    async with trio.open_nursery() as nursery:
        served = Served(nursery, "a thing", open_)
        served.follow({"drystone-dhcp-a": 1, "drystone-dhcp-b": 2})
        await trio.sleep(10.5)
        assert opened.count("drystone-dhcp-b") == 1
        assert 9 <= opened.count("drystone-dhcp-a") <= 12
        served.follow({"drystone-dhcp-b": 2})
        before = len(opened)
        await trio.sleep(10)
        assert len(opened) == before
        nursery.cancel_scope.cancel()


async def test_a_host_that_cannot_be_read_is_no_broken_namespace(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, tmp_path: object
) -> None:
    def refused(space: str) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(view_module, "Sockets", refused)
    with pytest.raises(PermissionError):
        await View(str(tmp_path), Bell(), nursery).read(Wiring(spaces=(Space(name=HOST),)))


async def test_a_lease_that_ended_before_the_agent_had_begun_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    clock = SystemClock()
    registry = memory_registry(clock)
    states = StateStore(registry)
    standing = Standing(registry, Host(name="a"), clock, Bell(), ())
    transact = registry.transact
    failed: list[int] = []

    async def once(*arguments: object) -> object:
        if not failed:
            failed.append(1)
            raise NotFoundError("no such lease")
        return await transact(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "transact", once)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        await nursery.start(lambda task_status: states.run(task_status=task_status))
        nursery.start_soon(standing.run)
        await trio.sleep(3)
        assert failed
        assert states.states.agents.get("a") is not None
        nursery.cancel_scope.cancel()


async def test_a_router_that_another_took_just_now_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    registry = memory_registry(clock)
    standing = Standing(registry, Host(name="a"), clock, Bell(), ())

    async def not_yet(key: bytes) -> None:
        return None

    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.run)
        nursery.start_soon(standing.run)
        with trio.fail_after(5):
            while not standing.holds:
                await trio.sleep(0.01)
        await registry.transact((), [Put(PREFIX + b"router/r", b"another's")])
        monkeypatch.setattr(registry, "get", not_yet)
        await standing.claim(["r"], States())
        assert standing.claimed == frozenset()
        nursery.cancel_scope.cancel()


async def test_what_nft_says_that_is_not_json_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(*_: object) -> Ended:
        return Ended(1, 0, "what?", "")

    monkeypatch.setattr(other_rules, "run", run)
    assert await other_rules.warnings() == ()


def test_no_more_threads_is_an_error_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(BlockingIOError):
        namespaces.within_path("/proc/self/ns/net", lambda: None)
