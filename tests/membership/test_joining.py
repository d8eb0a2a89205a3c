"""Who joins, who does not, and what is left of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from drystone.cluster import read_cluster
from drystone.cluster_process import _notice_refusal
from drystone.folder import DataFolder
from drystone.founding import is_new
from drystone.join_service import ASK, AUTHORITY, Ask
from drystone.join_tokens import Token
from drystone.joining import linked_registry
from drystone.links import Links, hello_of
from drystone.members import say_member
from drystone.node_identity import NodeIdentity, credentials_of, find_identity
from drystone.node_records import LIFE_CODEC, Life, State, find_node, live_key, load_revoked
from store.core.errors import BusyError, ConflictError, DrystoneError, InvalidError
from store.core.network import SystemNetwork
from store.registry.single_key import put
from store.wire.authority import is_of, make_request, serial_of
from store.wire.client import WireClient
from store.wire.errors import UnreachableError
from store.wire.tls import dial_stranger, stranger_context
from tests.membership.first_node import CLUSTER, FirstNode, first_node
from tests.ports import free_address


async def test_who_has_a_token_becomes_a_member(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        joined = await first.join(tmp_path / "n2", await first.token())
        assert not joined.trouble
        folder = DataFolder(str(tmp_path / "n2"))
        assert find_identity(folder) == joined.identity
        assert (joined.identity.registry, joined.identity.registry_address) == ("n1", first.address)
        assert read_cluster(folder) == CLUSTER
        assert not is_new(folder)
        stored = await find_node(first.registry, "n2")
        assert stored.record is not None
        assert (stored.record.state, stored.record.zone, stored.record.machine) == (State.MEMBER, 2, "m2")
        certificate = Path(credentials_of(folder).certificate).read_bytes()
        assert stored.record.serial == serial_of(certificate)
        assert is_of(certificate, first.authority.certificate)
        assert Path(credentials_of(folder).key).stat().st_mode & 0o77 == 0


async def test_a_token_is_used_once(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        token = await first.token()
        await first.join(tmp_path / "n2", token)
        with pytest.raises(InvalidError, match="run out, or was used"):
            await first.join(tmp_path / "n3", token, "n3")
        assert await first.state("n3") is None
        assert not (tmp_path / "n3").exists()


async def test_one_token_lets_one_of_two_in_who_ask_at_once(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        token = await first.token()
        outcomes: list[str] = []

        async def one(name: str) -> None:
            try:
                await first.join(tmp_path / name, token, name)
                outcomes.append("in")
            except DrystoneError:
                outcomes.append("out")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, "n2")
            nursery.start_soon(one, "n3")
        assert sorted(outcomes) == ["in", "out"]


async def test_a_token_of_another_cluster_is_noticed_before_its_secret_is_told(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        token = await first.token()
        with pytest.raises(InvalidError, match="not of the cluster that the token is for"):
            await first.join(tmp_path / "n2", Token(token.secret, "00" * 16))
        assert await first.state("n2") is None
        await first.join(tmp_path / "n2", token)


async def test_the_name_of_a_member_is_had_by_saying_so(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        await first.say("n2", State.MEMBER)
        with pytest.raises(ConflictError, match="--replace"):
            await first.join(tmp_path / "n2", await first.token())
        await first.join(tmp_path / "n2", await first.token(), replace=True)


async def test_the_name_of_a_node_that_runs_is_not_to_be_had(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        await first.say("n2", State.MEMBER)
        await put(first.registry, live_key("n2"), LIFE_CODEC.encode(Life(b"", "")))
        with pytest.raises(ConflictError, match="there and runs"):
            await first.join(tmp_path / "n2", await first.token(), replace=True)


async def test_who_never_came_is_in_nobodys_way(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        await first.say("n2", State.JOINING)
        assert "n2" not in first.members.others
        await first.join(tmp_path / "n2", await first.token())


async def test_a_token_for_one_name_is_for_that_alone(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        await first.say("n2", State.MEMBER)
        token = await first.token("n2")
        with pytest.raises(ConflictError, match="for node n2"):
            await first.join(tmp_path / "n3", token, "n3")
        await first.join(tmp_path / "n2", token)


async def test_an_address_that_is_anothers_is_refused_and_the_token_is_still_good(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        token = await first.token()
        with pytest.raises(InvalidError, match="cannot listen on"):
            await first.join(tmp_path / "n2", token, address="192.0.2.1:7400")
        others = free_address()
        ask = Ask(token.secret, "n2", others, 1, 1, "m", make_request("n2", "c")[0], b"p" * 16, False)
        with pytest.raises(InvalidError, match="cannot be reached from node n1"):
            await asked(first, ASK, *ask)
        await first.join(tmp_path / "n2", token)


async def asked(first: FirstNode, method: str, *arguments: object) -> object:
    """What a stranger is answered."""

    async def dial() -> trio.abc.Stream:
        return (await dial_stranger(SystemNetwork(), first.address, stranger_context(None)))[0]

    client = WireClient(dial, hello_of(CLUSTER.id.hex(), ""))
    answer: object = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        await client.wait_up()
        try:
            answer = (await client.call(method, arguments, seconds=30)).result
        except DrystoneError as error:
            answer = error
        nursery.cancel_scope.cancel()
    if isinstance(answer, DrystoneError):
        raise answer
    return answer


async def test_a_stranger_is_told_the_authority_and_nothing_else(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        assert await asked(first, AUTHORITY) == first.authority.certificate
        for method in ("registry.get", "device.find", "registry.range"):
            with pytest.raises(InvalidError, match="no method"):
                await asked(first, method, b"authority")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (b"s" * 16, "n2", "a:1", 1, 1, "m", b"", b"p" * 16),
        (b"s" * 15, "n2", "a:1", 1, 1, "m", b"", b"p" * 16, False),
        (b"s" * 16, "N/2", "a:1", 1, 1, "m", b"", b"p" * 16, False),
        (b"s" * 16, "n2", "0.0.0.0:1", 1, 1, "m", b"", b"p" * 16, False),
        (b"s" * 16, "n2", "a:1", -1, 1, "m", b"", b"p" * 16, False),
        (b"s" * 16, "n2", "a:1", 1, 1, "", b"", b"p" * 16, False),
        (b"s" * 16, "n2", "a:1", 1, 1, "m", b"r" * 9000, b"p" * 16, False),
    ],
)
async def test_what_is_not_how_one_asks_is_refused(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    async with first_node(tmp_path) as first:
        with pytest.raises(InvalidError):
            await asked(first, ASK, *arguments)


async def test_who_guesses_waits_longer_each_time(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        before = first.join_service._pause
        for _ in range(2):
            ask = Ask(os.urandom(16), "n2", "127.0.0.1:1", 1, 1, "m", b"", b"p" * 16, False)
            with pytest.raises(InvalidError, match="run out"):
                await asked(first, ASK, *ask)
        assert first.join_service._pause == 4 * before


async def test_one_link_asks_one_thing_at_a_time(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:

        async def dial() -> trio.abc.Stream:
            return (await dial_stranger(SystemNetwork(), first.address, stranger_context(None)))[0]

        client = WireClient(dial, hello_of(CLUSTER.id.hex(), ""))
        busy: list[DrystoneError | None] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            await client.wait_up()
            ask = Ask(os.urandom(16), "n2", "127.0.0.1:1", 1, 1, "m", b"", b"p" * 16, False)
            for _ in range(3):
                client.submit(ASK, ask, lambda _result, _payload, error: busy.append(error))
            while len(busy) < 2:
                await trio.sleep(0.01)
            assert all(isinstance(error, BusyError) for error in busy[:2])
            nursery.cancel_scope.cancel()


async def test_nobody_listens_there(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        token = await first.token()
        first.address = free_address()
        with pytest.raises(UnreachableError, match="drystone up"):
            await first.join(tmp_path / "n2", token)
        assert not (tmp_path / "n2").exists()


async def test_a_folder_that_is_in_use_is_not_touched(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        await first.join(tmp_path / "n2", await first.token())
        before = sorted(path.read_bytes() for path in (tmp_path / "n2").rglob("*") if path.is_file())
        with pytest.raises(InvalidError, match="is node n2 already"):
            await first.join(tmp_path / "n2", await first.token(), "n3")
        assert sorted(path.read_bytes() for path in (tmp_path / "n2").rglob("*") if path.is_file()) == before


async def test_a_node_that_joined_anew_is_served_and_what_it_was_before_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with first_node(tmp_path) as first:
        await first.join(tmp_path / "old", await first.token())
        old = Links(DataFolder(str(tmp_path / "old")), CLUSTER, found(tmp_path / "old"))
        async with linked_registry(old) as registry:
            with trio.fail_after(30):
                assert await registry.get(b"authority") is not None
            certificate = Path(credentials_of(DataFolder(str(tmp_path / "old"))).certificate).read_bytes()
            assert await load_revoked(first.registry) == frozenset()
            await first.join(tmp_path / "new", await first.token(), replace=True)
            assert await load_revoked(first.registry) == {serial_of(certificate)}
            new = Links(DataFolder(str(tmp_path / "new")), CLUSTER, found(tmp_path / "new"))
            async with linked_registry(new) as served:
                with trio.fail_after(30):
                    assert await served.get(b"authority") is not None
            with trio.fail_after(30):
                while "no member" not in registry._client.why:
                    await trio.sleep(0.01)
            assert not registry._client.up
            monkeypatch.setattr("drystone.cluster_process.REFUSALS", 1)
            with pytest.raises(ConflictError, match="was removed"):
                await _notice_refusal(registry._client)


async def test_a_node_that_was_removed_is_told_so(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        joined = await first.join(tmp_path / "n2", await first.token())
        certificate = Path(credentials_of(DataFolder(str(tmp_path / "n2"))).certificate).read_bytes()
        await say_member(first.registry, joined.identity.name, serial_of(certificate))
        with pytest.raises(ConflictError, match="removed"):
            await say_member(first.registry, joined.identity.name, "0")


async def test_who_could_not_say_that_it_is_a_member_says_so_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drystone.joining.SAY_SECONDS", 0.0)
    async with first_node(tmp_path) as first:
        joined = await first.join(tmp_path / "n2", await first.token())
        assert joined.trouble
        assert await first.state("n2") is State.JOINING
        certificate = Path(credentials_of(DataFolder(str(tmp_path / "n2"))).certificate).read_bytes()
        await say_member(first.registry, "n2", serial_of(certificate))
        assert await first.state("n2") is State.MEMBER


def found(path: Path) -> NodeIdentity:
    identity = find_identity(DataFolder(str(path)))
    assert identity is not None
    return identity


async def test_a_join_whose_disk_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far it has come: the next, with another token, finds all as it was."""
    real = os.fsync
    for point in range(100):
        calls = iter([real] * point)

        def failing(descriptor: int, calls: Iterator[Callable[[int], None]] = calls) -> None:
            for call in calls:
                call(descriptor)
                return
            raise OSError(5, "planned")

        async with first_node(tmp_path) as first:
            monkeypatch.setattr(os, "fsync", failing)
            try:
                await first.join(tmp_path / "n2", await first.token())
            except OSError:
                monkeypatch.setattr(os, "fsync", real)
                if not is_new(DataFolder(str(tmp_path / "n2"))):
                    break  # all was there when the last sync of its folder failed: a start goes on from there
                assert await first.state("n2") is State.JOINING
                await first.join(tmp_path / "n2", await first.token())
                shutil.rmtree(tmp_path / "n2")
            else:
                break
            finally:
                monkeypatch.setattr(os, "fsync", real)
        shutil.rmtree(tmp_path / "n1")
    assert point > 5


CRASHING = """
import os, sys
from drystone.__main__ import main
left = int(sys.argv.pop(1))
def counted(call):
    def run(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return call(*arguments, **options)
    return run
for name in ("fsync", "rename", "replace", "mkdir", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
main()
"""


@pytest.mark.process
async def test_a_join_that_crashes_anywhere_leaves_nothing_or_a_node(tmp_path: Path) -> None:
    async with first_node(tmp_path) as first:
        folder = DataFolder(str(tmp_path / "n2"))
        crashes = 0
        for point in range(4, 200, 3):
            address = free_address()
            arguments = [first.address, "--token", str(await first.token()), "--name", "n2", "--listen", address]
            command = [sys.executable, "-c", CRASHING, str(point), "--data", folder.path, "join", *arguments]
            done = await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
            if done.returncode == 0:
                break
            assert done.returncode == 9, done.stderr
            crashes += 1
            if not is_new(folder):  # what it needs was there: it is a node, and says so at its start
                certificate = Path(credentials_of(folder).certificate).read_bytes()
                await say_member(first.registry, "n2", serial_of(certificate))
                shutil.rmtree(folder.path)
                await first.say("n2", State.JOINING)
        assert crashes > 4
        assert await first.state("n2") is State.MEMBER
        assert find_identity(folder) is not None
