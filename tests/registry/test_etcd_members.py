"""etcd as Drystone runs it: members that die, lose each other, fill up, and come back from what is left of them."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count, repeat
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
import trustme

from store.core.errors import ConflictError, DamageError, FullError, NotFoundError, RetryableError
from store.registry import Event, OutcomeUnknownError, Registry, Span, UnavailableError
from store.registry.etcd import Client, EtcdRegistry, Tls, open_client
from store.registry.etcd.keyspace import Json, encode_bytes
from store.registry.etcd.maintenance import alarms, status
from store.registry.etcd.member import Member
from store.registry.etcd.members import add_member, members, promote_member, remove_member
from store.registry.etcd.recovery import recover_anew, recover_from_survivor
from store.registry.etcd.upkeep import Upkeep
from store.registry.interface import GENERATION
from store.registry.single_key import create, delete, put
from tests.registry.etcd_members import PREFIX, Running, make_members, start, supervised
from tests.registry.etcd_server import START_SECONDS

ALL = Span.prefix(b"")
Result = TypeVar("Result")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(START_SECONDS):
        while not await condition():
            await trio.sleep(0.05)


async def leader_of(client: Client, started: list[Running]) -> Running:
    told = await status(client.endpoints[0])
    for endpoint, each in zip(client.endpoints, started, strict=True):
        if (await status(endpoint)).member == told.leader:
            return each
    raise AssertionError("no leader")


async def insist(registry: Registry, key: bytes, value: bytes) -> bool:
    """Puts until it is acknowledged; whether an outcome was unknown meanwhile."""
    unknown = False
    with trio.fail_after(START_SECONDS):
        while True:
            try:
                await put(registry, key, value)
            except OutcomeUnknownError:
                unknown = True
            except RetryableError:
                await trio.sleep(0.05)
            else:
                return unknown


async def is_refused(call: Callable[..., Awaitable[object]], *arguments: object) -> None:
    with pytest.raises(RetryableError):
        await call(*arguments)


async def forget(answer: Json) -> None:
    pass


async def fill(registry: Registry, keys: Iterator[bytes]) -> None:
    for key in keys:
        await put(registry, key, os.urandom(500_000))


async def test_the_leader_is_killed(tmp_path: Path) -> None:
    """Calls go on after an election, nothing that was acknowledged is lost, and a watch has no gap."""
    writes = 20
    tls = issue(trustme.CA(), tmp_path / "tls")
    async with (
        supervised(make_members(tmp_path, 3, tls), tls) as started,
        open_client([each.url for each in started], tls) as client,
    ):
        registry = EtcdRegistry(client, PREFIX)
        seen: list[Event] = []

        async def follow(task_status: trio.TaskStatus[None]) -> None:
            async with registry.watch(ALL) as events:
                task_status.started()
                async for event in events:
                    seen.append(event)  # noqa: PERF401  (looked at meanwhile)

        async with trio.open_nursery() as nursery:
            await nursery.start(follow)
            unknown = set()
            for number in range(writes):
                if number == writes // 2:
                    leader = await leader_of(client, started)
                    assert leader.supervisor.process is not None
                    leader.supervisor.process.kill()
                if await insist(registry, b"%03d" % number, b"v"):
                    unknown.add(number)

            async def all_are_seen() -> bool:
                return bool(seen) and seen[-1].key == b"%03d" % (writes - 1)

            await until(all_are_seen)
            nursery.cancel_scope.cancel()
        items = await registry.range(ALL)
        assert [item.key for item in items] == [b"%03d" % number for number in range(writes)]
        assert all(item.version == 1 or int(item.key) in unknown for item in items)
        # Each put has its event, in order, once: versions of a key count up.
        assert [event.revision for event in seen] == sorted({event.revision for event in seen})
        puts = [(event.key, event.item.version) for event in seen if event.item is not None]
        assert puts == [(item.key, version) for item in items for version in range(1, item.version + 1)]

        async def it_is_back() -> bool:
            return sum(each.supervisor.starts for each in started) == 4

        await until(it_is_back)


async def test_without_a_majority_nothing_is_told_and_all_goes_on_afterwards(tmp_path: Path) -> None:
    places = make_members(tmp_path, 3)
    async with supervised(places) as started, open_client([each.url for each in started]) as client:
        registry = EtcdRegistry(client, PREFIX)
        await put(registry, b"k", b"1")
        async with registry.watch(ALL) as events, trio.open_nursery() as nursery:
            for each in started[1:]:
                await each.stop()
            async with trio.open_nursery() as asking:
                asking.start_soon(is_refused, registry.get, b"k")
                asking.start_soon(is_refused, put, registry, b"k", b"2")
                # A stream at a member that lost the others ends; it would hear of nothing.
                request = {"create_request": {"key": encode_bytes(b"k")}}
                asking.start_soon(is_refused, client.endpoints[0].listen, "/v3/watch", request, forget)
            again = await start(nursery, places[1:])
            await insist(registry, b"k", b"3")
            with trio.fail_after(START_SECONDS):
                while (event := await anext(events)).item is None or event.item.value != b"3":
                    pass
            for each in again:
                await each.stop()


async def test_members_come_and_go(tmp_path: Path) -> None:
    first, *others = make_members(tmp_path, 3)
    first = replace(first, peers={first.name: first.peer_url})
    async with (
        supervised([first]) as [founder],
        open_client([first.client_url]) as client,
        trio.open_nursery() as nursery,
    ):
        registry = EtcdRegistry(client, PREFIX)
        await put(registry, b"k", b"1")
        known = {first.name: first.peer_url}
        joined = []
        for member in others:
            info = await settled(add_member, client, member.peer_url, learner=True)
            with pytest.raises(ConflictError):
                await add_member(client, member.peer_url, learner=True)
            known[member.name] = member.peer_url
            joined.append(await start_learner(nursery, replace(member, peers=dict(known), joins=True), client, info.id))
        names = {info.name: info for info in await members(client)}
        assert sorted(names) == ["m0", "m1", "m2"]
        assert not any(info.learner for info in names.values())
        # What was there is on the new ones, which serve without the first.
        async with open_client([member.client_url for member in others]) as elsewhere:
            await settled(remove_member, elsewhere, names["m0"].id)
            await founder.stop()
            there = EtcdRegistry(elsewhere, PREFIX)
            assert await insist(there, b"l", b"2") in (False, True)
            assert [item.key for item in await there.range(ALL)] == [b"k", b"l"]
            with pytest.raises(NotFoundError):
                await settled(remove_member, elsewhere, 7)
        for each in joined:
            await each.stop()


async def settled(change: Callable[..., Awaitable[Result]], *arguments: Any, **options: Any) -> Result:
    """A change of members; while some came or went a moment ago, etcd refuses it."""
    with trio.fail_after(START_SECONDS):
        while True:
            try:
                return await change(*arguments, **options)
            except UnavailableError:
                await trio.sleep(0.1)


async def start_learner(nursery: trio.Nursery, member: Member, client: Client, id_: int) -> Running:
    """A learner serves no reads, so nothing is to be waited for before it has caught up and been promoted."""
    started: list[Running] = []

    async def run() -> None:
        started.extend(await start(nursery, [member]))

    async with trio.open_nursery() as starting:
        starting.start_soon(run)

        async def promoted() -> bool:
            try:
                await promote_member(client, id_)
            except (ConflictError, RetryableError):
                return False
            return True

        await until(promoted)
    return started[0]


async def test_a_member_that_dies_is_started_again_with_what_it_had(tmp_path: Path) -> None:
    [member] = make_members(tmp_path, 1)
    async with supervised([member]) as [only], open_client([member.client_url]) as client:
        registry = EtcdRegistry(client, PREFIX)
        revision = await create(registry, b"k", b"1")
        assert only.supervisor.process is not None
        only.supervisor.process.kill()

        async def is_back() -> bool:
            try:
                return await registry.revision() == revision and only.supervisor.starts == 2
            except RetryableError:
                return False

        await until(is_back)
        assert await put(registry, b"k", b"2") == revision + 1
        process = only.supervisor.process
        assert process is not None
    assert process.returncode is not None
    assert only.supervisor.process is None


PARENT = """
import sys, trio
from pathlib import Path
from typing import Any, TypeVar
from tests.registry.etcd_members import make_members, supervised

async def main():
    async with supervised(make_members(Path(sys.argv[1]), 1)) as [only]:
        print(only.supervisor.process.pid, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


async def test_the_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(await trio.to_thread.run_sync(parent.stdout.readline))
        descriptor = os.pidfd_open(child)
        try:
            os.kill(parent.pid, signal.SIGKILL)
            with trio.fail_after(START_SECONDS):
                await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)


async def test_a_full_member_takes_writes_again_after_upkeep(tmp_path: Path) -> None:
    quota = 16 * 1024 * 1024
    [member] = make_members(tmp_path, 1, quota_bytes=quota)
    async with supervised([member]), open_client([member.client_url]) as client:
        registry = EtcdRegistry(client, PREFIX)
        upkeep = Upkeep(client, client.endpoints[0], quota)
        with pytest.raises(FullError, match="disarmed"):
            await fill(registry, repeat(b"0"))
        assert [alarm.kind for alarm in await alarms(client)] == ["NOSPACE"]
        # Reads and deletes still work, and leases that live.
        before = await registry.get(b"0")
        assert before is not None
        with pytest.raises(FullError):
            await registry.lease(10)
        await upkeep.round()
        assert await alarms(client) == []
        assert await registry.get(b"0") == before
        assert await put(registry, b"0", b"small") == before.mod_revision + 1
        assert (await status(client.endpoints[0])).file_bytes < quota


async def test_a_member_that_is_full_of_what_is_in_use_stays_closed_until_something_is_deleted(tmp_path: Path) -> None:
    quota = 16 * 1024 * 1024
    [member] = make_members(tmp_path, 1, quota_bytes=quota)
    async with supervised([member]), open_client([member.client_url]) as client:
        registry = EtcdRegistry(client, PREFIX)
        upkeep = Upkeep(client, client.endpoints[0], quota)
        keys = (b"%d" % number for number in count())
        with trio.fail_after(START_SECONDS):
            while not await alarms(client):
                # The file grows in large steps: what it has free at first is used the next time.
                with pytest.raises(FullError):
                    await fill(registry, keys)
                await upkeep.round()
        for item in (await registry.range(ALL))[2:]:
            assert await delete(registry, item.key)
        await upkeep.round()
        assert await alarms(client) == []
        await put(registry, b"k", b"v")


def issue(authority: trustme.CA, folder: Path) -> Tls:
    folder.mkdir()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    ca, chain, key = (str(folder / name) for name in ("ca.pem", "certificate.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    certificate.private_key_pem.write_to_path(key)
    with open(chain, "wb") as file:
        file.writelines(part.bytes() for part in certificate.cert_chain_pems)
    return Tls(ca, chain, key)


async def test_only_certificates_of_our_ca_are_let_in(tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    tls = issue(ours, tmp_path / "ours")
    foreign = issue(theirs, tmp_path / "theirs")
    [member] = make_members(tmp_path, 1, tls)
    async with supervised([member], tls):
        async with open_client([member.client_url], tls) as client:
            registry = EtcdRegistry(client, PREFIX)
            async with registry.watch(ALL) as events:
                await put(registry, b"k", b"v")
                assert (await anext(events)).key == b"k"
        async with open_client([member.client_url], foreign) as client:
            with pytest.raises(UnavailableError, match="certificate verify failed"):
                await EtcdRegistry(client, PREFIX).get(b"k")
        # Whoever believes us, and shows what another CA signed.
        async with open_client([member.client_url], Tls(tls.ca, foreign.certificate, foreign.key)) as client:
            with pytest.raises(UnavailableError, match=r"(?i)certificate|unknown.ca"):
                await EtcdRegistry(client, PREFIX).get(b"k")
        # Whoever believes us, and shows nothing.
        address = member.client_url.removeprefix("https://")
        bare = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=tls.ca))

        def ask() -> None:
            bare.request("GET", "/version")
            bare.getresponse()

        with closing(bare), pytest.raises(OSError, match=r"(?i)certificate"):
            await trio.to_thread.run_sync(ask)
        async with open_client([member.client_url.replace("https", "http")]) as client:
            with pytest.raises(UnavailableError):
                await EtcdRegistry(client, PREFIX).get(b"k")


async def test_recovery_from_one_survivor_of_three(tmp_path: Path) -> None:
    places = make_members(tmp_path, 3)
    async with supervised(places) as started, open_client([each.url for each in started]) as client:
        registry = EtcdRegistry(client, PREFIX)
        for number in range(5):
            await put(registry, b"%d" % number, b"v")
        before = await registry.range(ALL)
        revision = await registry.revision()

        async def has_all() -> bool:
            return (await status(client.endpoints[2])).revision == revision

        await until(has_all)
    survivor = places[2]
    async with open_client([survivor.client_url]) as client:
        await recover_from_survivor(survivor, PREFIX, nothing)
        with pytest.raises(ConflictError, match="before-recovery"):
            await recover_from_survivor(survivor, PREFIX, nothing)
        async with supervised([survivor]):
            assert [info.name for info in await members(client)] == ["m2"]
            registry = EtcdRegistry(client, PREFIX)
            after = await registry.range(ALL)
            assert [(item.key, item.value, item.version) for item in after] == [
                (item.key, item.value, item.version) for item in before
            ]
            # A fencing number of before is below all that come.
            assert await put(registry, b"k", b"v") > revision + GENERATION
            assert await registry.revision() > revision
            # Two that are new, under the old names, make it three again.
            known = {survivor.name: survivor.peer_url}
            async with trio.open_nursery() as nursery:
                joined = []
                for old in places[:2]:
                    info = await settled(add_member, client, old.peer_url, learner=True)
                    known[old.name] = old.peer_url
                    new = replace(old, data=old.data + "-new", peers=dict(known), joins=True)
                    joined.append(await start_learner(nursery, new, client, info.id))
                assert sorted(info.name for info in await members(client)) == ["m0", "m1", "m2"]
                for each in joined:
                    await each.stop()


async def test_recovery_anew(tmp_path: Path) -> None:
    [member] = make_members(tmp_path, 1)

    async def fill(registry: Registry) -> None:
        await put(registry, b"k", b"1")

    async def fail(registry: Registry) -> None:
        await fill(registry)
        raise ConflictError("not now")

    async with open_client([member.client_url]) as client:
        async with supervised([member]):
            last = await put(EtcdRegistry(client, PREFIX), b"k", b"before")
        with pytest.raises(ConflictError, match="move it away"):
            await recover_anew(member, PREFIX, last, fill)
        os.rename(member.data, member.data + ".lost")
        with pytest.raises(ConflictError, match="not now"):
            await recover_anew(member, PREFIX, last, fail)
        assert not os.path.exists(member.data)
        await recover_anew(member, PREFIX, last, fill)
        async with supervised([member]):
            registry = EtcdRegistry(client, PREFIX)
            item = await registry.get(b"k")
            assert item is not None
            assert item.value == b"1"
            assert await put(registry, b"k", b"3") > last + GENERATION


async def test_who_lives_through_a_recovery_notices(tmp_path: Path) -> None:
    [member] = make_members(tmp_path, 1)
    async with open_client([member.client_url]) as client:
        registry = EtcdRegistry(client, PREFIX)
        async with supervised([member]):
            await put(registry, b"k", b"v")
            await registry.check_same()
        await recover_from_survivor(member, PREFIX, nothing)
        async with supervised([member]):
            with pytest.raises(DamageError, match="Restart all"):
                await registry.check_same()


async def nothing(_registry: Registry) -> None:
    """Nothing more is to be done with it."""
