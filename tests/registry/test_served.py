"""What the form that is asked over links promises beyond the contract: what becomes of calls, watches and leases when
a link breaks or the owner is started anew, and what a peer cannot do to the owner."""

from __future__ import annotations

import gc
import random
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from store.core.errors import BusyError, ConflictError, DamageError, FullError, InvalidError, NotFoundError
from store.registry import (
    CompactedError,
    Delete,
    DeleteRange,
    Event,
    Get,
    Item,
    OutcomeUnknownError,
    Put,
    Span,
    UnavailableError,
    local,
    memory_registry,
)
from store.registry.items import VALUE_BYTES_MAX
from store.registry.local import Commit, LocalRegistry
from store.registry.memory import MemoryBackend
from store.registry.served import ServedRegistry, methods
from store.registry.served.client import CALL_SECONDS
from store.registry.served.service import ANSWERED_MAX, PROGRESS_SECONDS, TAKEN_SECONDS, WATCHES_MAX
from store.registry.single_key import put
from store.wire.client import CREDITS, _Stream
from store.wire.errors import ProtocolError
from store.wire.link import STREAM_BYTES_MAX
from store.wire.server import Call, Peer
from tests.registry.conftest import HISTORY_EVENTS, TrioClock, embedded_opener
from tests.registry.over_links import linked, over_link
from tests.simulation.world import quiet
from tests.wire.pairs import Wire, connected

ALL = Span.prefix(b"")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


def memory() -> LocalRegistry:
    return memory_registry(TrioClock(), history_events=HISTORY_EVENTS)


async def settle() -> None:
    await trio.sleep(0.01)


async def outcome(ask: Callable[[], Awaitable[Any]], outcomes: list[Any]) -> None:
    try:
        outcomes.append(await ask())
    except Exception as error:
        outcomes.append(type(error))


class GatedBackend(MemoryBackend):
    """Commits when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()

    async def commit(self, commit: Commit) -> None:
        await self.gate.wait()
        await super().commit(commit)


def lose_what_is_sent(wire: Wire) -> None:
    """What the client says from now on gets nowhere."""
    sending = wire.streams[-1][0].send_stream
    sending.send_all_hook = sending.close_hook = None


# -- calls ---------------------------------------------------------------------------------------------------------


async def test_a_write_whose_answer_is_lost_is_of_unknown_outcome_and_done_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    backend = GatedBackend()
    owned = LocalRegistry(backend, TrioClock())
    async with linked(owned) as owner:
        outcomes: list[Any] = []
        nursery.start_soon(outcome, lambda: put(owner.served, b"k", b"v"), outcomes)
        await settle()
        await owner.wire.cut()
        await settle()
        assert outcomes == [OutcomeUnknownError]
        backend.gate.set()
        await trio.sleep(60)
        assert await owner.served.get(b"k") == Item(b"k", b"v", 2, 2, 1)
        assert await owner.served.revision() == 2


async def test_a_write_that_is_lost_is_of_unknown_outcome_and_not_repeated(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    owned = memory()
    async with linked(owned) as owner:
        outcomes: list[Any] = []
        lose_what_is_sent(owner.wire)
        nursery.start_soon(outcome, lambda: put(owner.served, b"k", b"v"), outcomes)
        nursery.start_soon(outcome, lambda: owner.served.lease(10), outcomes)
        await settle()
        await owner.wire.cut()
        await trio.sleep(60)
        assert outcomes == [OutcomeUnknownError, OutcomeUnknownError]
        assert await owner.served.revision() == 1
        assert (await owner.served.lease(10)).id == 1


async def test_what_can_be_done_twice_is_asked_again(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with linked(memory()) as owner:
        served = owner.served
        await put(served, b"k", b"v")
        kept, revoked = await served.lease(10), await served.lease(10)
        asks: list[Callable[[], Awaitable[Any]]] = [
            served.revision,
            lambda: served.get(b"k"),
            lambda: served.range(ALL),
            lambda: served.transact([], [Get(b"k")]),
            kept.keep_alive,
            revoked.revoke,
        ]
        outcomes: list[list[Any]] = [[] for _ in asks]
        lose_what_is_sent(owner.wire)
        for ask, here in zip(asks, outcomes, strict=True):
            nursery.start_soon(outcome, ask, here)
        await settle()
        await owner.wire.cut()
        await trio.sleep(1)
        item = Item(b"k", b"v", 2, 2, 1)
        assert [each[0] for each in outcomes[:3]] == [2, item, [item]]
        assert outcomes[3][0].answers == (item,)
        assert outcomes[4:] == [[None], [None]]
        with pytest.raises(NotFoundError):
            await revoked.keep_alive()


async def test_without_a_link_nothing_is_done_and_it_is_said(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    owned = memory()
    async with linked(owned) as owner:
        owner.wire.refuses = True
        await owner.wire.cut()
        await settle()
        began = trio.current_time()
        with pytest.raises(UnavailableError, match="nobody listens"):
            await put(owner.served, b"k", b"v")
        with pytest.raises(UnavailableError):
            await owner.served.get(b"k")
        assert trio.current_time() - began == pytest.approx(2 * CALL_SECONDS)
        with pytest.raises(UnavailableError):
            async with owner.served.watch(ALL):
                pass
        outcomes: list[Any] = []
        nursery.start_soon(outcome, lambda: put(owner.served, b"k", b"v"), outcomes)
        await trio.sleep(1)
        owner.wire.refuses = False
        await trio.sleep(10)
        assert outcomes == [2], "what was never sent waits for a link"


async def test_an_owner_that_does_not_answer_is_not_waited_for_for_ever(autojump_clock: MockClock) -> None:
    backend = GatedBackend()
    async with over_link(LocalRegistry(backend, TrioClock())) as served:
        with pytest.raises(OutcomeUnknownError, match="no answer"):
            await put(served, b"k", b"v")
        backend.gate.set()
        await settle()
        assert await served.get(b"k") is not None


async def test_a_lease_is_kept_by_its_id_over_another_link(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    owned = memory()
    nursery.start_soon(owned.run)
    async with linked(owned) as owner:
        lease = await owner.served.lease(10)
        await put(owner.served, b"k", b"", lease=lease.id)
        for _ in range(3):
            await trio.sleep(8)
            await owner.wire.cut()
            await lease.keep_alive()
        assert await owner.served.get(b"k") is not None
        await trio.sleep(10.1)
        assert await owned.get(b"k") is None
        with pytest.raises(NotFoundError):
            await lease.keep_alive()
    nursery.cancel_scope.cancel()


async def test_many_callers_wait_their_turn_and_are_not_refused(autojump_clock: MockClock) -> None:
    async with over_link(memory()) as served, trio.open_nursery() as nursery:
        for number in range(5 * methods.UNDER_WAY_MAX):
            nursery.start_soon(put, served, b"%d" % number, b"")
    async with over_link(memory()) as served:
        assert await served.range(ALL) == []


async def test_answers_larger_than_any_message(autojump_clock: MockClock) -> None:
    value = bytes(VALUE_BYTES_MAX)
    owned = memory()
    async with over_link(owned) as served:
        for number in range(10):
            await put(served, b"%d" % number, value)
        assert [item.value == value for item in await served.range(ALL)] == [True] * 10
        result = await served.transact([], [Delete(b"0"), *[Get(b"%d" % number) for number in range(10)]])
        assert result.answers == (1, None, *await served.range(ALL))


async def test_a_registry_put_back_to_an_older_state_is_noticed(autojump_clock: MockClock) -> None:
    async with linked(memory()) as owner:
        await put(owner.served, b"k", b"1")
        await put(owner.served, b"k", b"2")
        owner.start(memory())
        await owner.wire.cut()
        with pytest.raises(DamageError):
            await owner.served.revision()
        with pytest.raises(DamageError):
            await owner.served.transact([], [Get(b"k")])


# -- watches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_a_watch_over_links_that_break_has_no_gap_and_no_repetition(
    autojump_clock: MockClock, nursery: trio.Nursery, seed: int
) -> None:
    choose = random.Random(seed)
    owned = memory_registry(TrioClock())
    expected: list[Event] = []
    told: list[Event] = []

    async def follow(served: ServedRegistry) -> None:
        async with served.watch(Span.prefix(b"a/"), 2) as events:
            async for event in events:
                told.append(event)
                if choose.random() < 0.1:
                    await trio.sleep(choose.random())

    async with linked(owned) as owner:
        nursery.start_soon(follow, owner.served)
        for number in range(200):
            keys = [b"%b/%d" % (choose.choice([b"a", b"b"]), key) for key in range(choose.randrange(1, 8))]
            await owned.transact([], [Put(key, b"%d" % number) for key in keys])
            if choose.random() < 0.2:
                await trio.sleep(5 * choose.random())
            if choose.random() < 0.2:
                await owner.wire.cut()
        await owned.transact([], [DeleteRange(ALL)])
        await trio.sleep(60)
        async with owned.watch(Span.prefix(b"a/"), 2) as events:
            with trio.move_on_after(1):
                while True:
                    expected.append(await anext(events))
        assert told == expected
        assert len(owner.wire.streams) > 10
        nursery.cancel_scope.cancel()


async def test_a_link_that_breaks_within_a_revision(autojump_clock: MockClock) -> None:
    owned = memory_registry(TrioClock())
    count = 3 * CREDITS
    for number in range(count):
        await put(owned, b"%03d" % number, b"")
    await owned.transact([], [DeleteRange(ALL)])
    async with linked(owned) as owner, owner.served.watch(ALL, count + 2) as events:
        told = [(await anext(events)).key for _ in range(10)]
        await settle()
        await owner.wire.cut()
        await settle()
        told += [(await anext(events)).key for _ in range(count - 10)]
        assert told == [b"%03d" % number for number in range(count)]
        await put(owned, b"next", b"")
        assert (await anext(events)).key == b"next"


async def test_a_watch_from_now_on_is_from_when_it_was_opened(autojump_clock: MockClock) -> None:
    owned = memory()
    async with linked(owned) as owner, owner.served.watch(ALL) as events:
        await owner.wire.cut()
        await put(owned, b"meanwhile", b"")
        assert (await anext(events)).key == b"meanwhile"


async def test_a_quiet_span_does_not_fall_behind_the_history(autojump_clock: MockClock) -> None:
    owned = memory()
    async with linked(owned) as owner, owner.served.watch(Span.prefix(b"quiet")) as events:
        for _ in range(3):
            with trio.move_on_after(2 * PROGRESS_SECONDS):  # the reader takes what is told, and hears of nothing
                await anext(events)
            for number in range(3 * HISTORY_EVENTS):
                await put(owned, b"loud", b"%d" % number)
            with trio.move_on_after(2 * PROGRESS_SECONDS):
                await anext(events)
            await owner.wire.cut()
        await put(owned, b"quiet", b"")
        assert (await anext(events)).key == b"quiet"


async def test_who_was_away_for_longer_than_the_history_is_told_so(autojump_clock: MockClock) -> None:
    owned = memory()
    async with linked(owned) as owner, owner.served.watch(ALL) as events:
        await put(owned, b"k", b"")
        await anext(events)
        owner.wire.refuses = True
        await owner.wire.cut()
        for _ in range(HISTORY_EVENTS + 1):
            await put(owned, b"k", b"")
        owner.wire.refuses = False
        for _ in range(2):
            with pytest.raises(CompactedError):
                await anext(events)


async def test_an_owner_started_anew_ends_watches_and_keeps_the_rest(tmp_path: Path, mock_clock: MockClock) -> None:
    """No thread is waited for under a clock that jumps by itself, so this one is moved by hand."""
    opener = embedded_opener(tmp_path)
    with ExitStack() as life, ExitStack() as next_life:
        async with linked(life.enter_context(opener())) as owner, trio.open_nursery() as nursery:
            lease = await owner.served.lease(60)
            await put(owner.served, b"a", b"1", lease=lease.id)
            outcomes: list[Any] = []
            async with owner.served.watch(ALL, 2) as events:
                assert (await anext(events)).key == b"a"
                owner.wire.refuses = True
                await owner.wire.cut()
                nursery.start_soon(outcome, lambda: anext(events), outcomes)
                await wait_all_tasks_blocked()
                assert outcomes == []
                life.close()
                owner.start(next_life.enter_context(opener()))
                owner.wire.refuses = False
                for _ in range(20):
                    mock_clock.jump(0.5)
                    await wait_all_tasks_blocked()
                assert outcomes == [CompactedError]
            await lease.keep_alive()
            assert await owner.served.get(b"a") == Item(b"a", b"1", 2, 2, 1, lease.id)
            async with owner.served.watch(ALL, await owner.served.revision() + 1) as later:
                await put(owner.served, b"b", b"")
                assert await anext(later) == Event(b"b", 3, Item(b"b", b"", 3, 3, 1))


async def test_an_owner_that_lost_its_memory_and_has_gone_on_is_no_silent_gap(autojump_clock: MockClock) -> None:
    owned = memory()
    async with linked(owned) as owner, owner.served.watch(ALL) as events:
        await put(owned, b"k", b"")
        assert (await anext(events)).revision == 2
        other = memory()
        owner.start(other)
        await owner.wire.cut()
        for number in range(5):
            await put(other, b"%d" % number, b"")
        with pytest.raises(CompactedError):
            await anext(events)


# -- what a peer cannot do -----------------------------------------------------------------------------------------

NOT_TAKEN: list[tuple[str, list[Any]]] = [
    (methods.REVISION, [1]),
    (methods.GET, []),
    (methods.GET, ["text"]),
    (methods.GET, [b""]),
    (methods.GET, [b"k" * 1_000_000]),
    (methods.GET, [[b"k"]]),
    (methods.RANGE, [b"", None, 0, False]),
    (methods.RANGE, [b"", None, None, 1]),
    (methods.RANGE, [b"", None, True, False]),
    (methods.RANGE, [b"k" * 1000, None, None, False]),
    (methods.RANGE, [None, None, None, False]),
    (methods.TRANSACT, [[], []]),
    (methods.TRANSACT, [[], [["put", b"k", "text", 0]], []]),
    (methods.TRANSACT, [[], [["put", b"k", [b"v"], 0]], []]),
    (methods.TRANSACT, [[], [["put", b"k", b"v", True]], []]),
    (methods.TRANSACT, [[], [["put", b"k", b"v"]], []]),
    (methods.TRANSACT, [[], [["destroy", b"k"]], []]),
    (methods.TRANSACT, [[], [[]], []]),
    (methods.TRANSACT, [[], [{"put": 1}], []]),
    (methods.TRANSACT, [[], [[["put"], b"k", b"v", 0]], []]),
    (methods.TRANSACT, [[], [["get", b"k"]] * 129, []]),
    (methods.TRANSACT, [[], [], [["put", b"k", b"1", 0], ["delete", b"k"]]]),
    (methods.TRANSACT, [[[b"k", "__class__", "==", 0]], [["put", b"k", b"v", 0]], []]),
    (methods.TRANSACT, [[[b"k", "version", "is", 0]], [["put", b"k", b"v", 0]], []]),
    (methods.TRANSACT, [[[b"k", "version", "==", b""]], [["put", b"k", b"v", 0]], []]),
    (methods.TRANSACT, [[[b"k", "version", "==", None]], [["put", b"k", b"v", 0]], []]),
    (methods.TRANSACT, [[[b"k", "version", "<", 1.5]], [["put", b"k", b"v", 0]], []]),
    (methods.LEASE, [0]),
    (methods.LEASE, [True]),
    (methods.LEASE, [1e9]),
    (methods.LEASE, [10**9]),
    (methods.KEEP_ALIVE, [b"1"]),
    (methods.REVOKE, [None]),
    (methods.WATCH, [b"", None, -1, 0, b""]),
    (methods.WATCH, [b"", None, 2, -1, b""]),
    (methods.WATCH, [b"", None, 2, 1, b""]),
    (methods.WATCH, [b"", None, 2, 0, "text"]),
    (methods.WATCH, [b"k" * 1000, None, 2, 0, b""]),
    (methods.WATCH, [b"", None, 2.0, 0, b""]),
]


@pytest.mark.parametrize(("method", "arguments"), NOT_TAKEN)
async def test_what_is_not_taken_is_refused_and_does_nothing(
    autojump_clock: MockClock, method: str, arguments: list[Any]
) -> None:
    owned = memory()
    await put(owned, b"here", b"")

    async def ask(wire: Wire) -> None:
        async with wire.client.stream(method, arguments) as items:
            async for _ in items:
                pass

    async with linked(owned) as owner:
        with pytest.raises(InvalidError, match=r"^(?!internal)"):
            await ask(owner.wire)
        assert await owned.revision() == 2
        assert await owner.served.get(b"here") is not None


async def test_a_watch_goes_on_in_its_own_history_only(autojump_clock: MockClock) -> None:
    async with linked(memory()) as owner:
        with pytest.raises(ConflictError):
            async with owner.wire.client.stream(methods.WATCH, [b"", None, 2, 0, b"another"]) as items:
                await anext(items)


async def test_watches_of_a_link_are_bounded(autojump_clock: MockClock) -> None:
    async with linked(memory()) as owner:
        errors: list[Any] = []
        client = owner.wire.client
        numbers = [
            client.submit(methods.WATCH, [b"", None, 0, 0, b""], lambda *answer: errors.append(answer[2]))
            for _ in range(2 * WATCHES_MAX)
        ]
        await settle()
        assert [type(error) for error in errors] == [BusyError] * WATCHES_MAX
        with pytest.raises(BusyError):
            async with owner.served.watch(ALL):
                pass
        client.cancel(numbers[0])
        await settle()
        async with owner.served.watch(ALL) as events:
            await put(owner.served, b"k", b"")
            assert (await anext(events)).key == b"k"
        await owner.wire.cut()
        async with owner.served.watch(ALL) as events:
            await put(owner.served, b"k", b"")
            assert (await anext(events)).revision == 3


async def test_watches_that_are_opened_and_left_leave_nothing(autojump_clock: MockClock) -> None:
    async with over_link(memory()) as served:
        for _ in range(2 * WATCHES_MAX):
            async with served.watch(ALL):
                pass


async def test_leases_are_bounded(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LEASES_MAX", 20)
    async with linked(memory()) as owner:
        leases = [await owner.served.lease(10) for _ in range(20)]
        await owner.wire.cut()
        await settle()
        with pytest.raises(FullError):
            await owner.served.lease(10)
        await put(owner.served, b"k", b"", lease=leases[0].id)
        await leases[0].revoke()
        await owner.served.lease(10)
        await trio.sleep(11)
        assert (await owner.served.lease(10)).id == 22, "leases that are over do not count"


async def test_transactions_of_a_link_are_bounded(autojump_clock: MockClock) -> None:
    backend = GatedBackend()
    async with linked(LocalRegistry(backend, TrioClock())) as owner:
        errors: list[Any] = []
        request = [[], [["put", b"k", b"v", 0]], []]
        for _ in range(methods.UNDER_WAY_MAX + 10):
            owner.wire.client.submit(methods.TRANSACT, request, lambda *answer: errors.append(answer[2]))
        await settle()
        assert [type(error) for error in errors] == [BusyError] * 10
        backend.gate.set()


async def test_who_does_not_take_answers_keeps_nobody_else_waiting_for_ever(autojump_clock: MockClock) -> None:
    owned = memory()
    await put(owned, b"k", b"")
    async with linked(owned) as owner:
        errors: list[Any] = []
        for _ in range(ANSWERED_MAX):  # and gives no credit
            owner.wire.client.submit(methods.RANGE, [b"", None, None, False], lambda *answer: errors.append(answer[2]))
        await settle()
        assert await owner.served.get(b"k") is not None
        await trio.sleep(TAKEN_SECONDS)
        assert [type(error) for error in errors] == [BusyError] * ANSWERED_MAX
        assert len(await owner.served.range(ALL)) == 1


async def test_a_watcher_that_does_not_read_holds_no_memory_of_the_owner(autojump_clock: MockClock) -> None:
    owned = memory()
    async with linked(owned) as owner:
        for _ in range(50):  # without credit, beyond the first
            number = owner.wire.client.submit(methods.WATCH, [b"", None, 0, 0, b""], lambda *_: None)
            owner.wire.client._streams[number] = _Stream(lambda *_: None)
            owner.wire.client._grant(number, 1)
            await settle()
            for key in range(4):
                await owned.transact([], [Put(b"%d" % key, b"unread"), Put(b"%d+" % key, b"unread")])
        await settle()
        gc.collect()
        events = [each for each in gc.get_objects() if type(each) is Event]
        assert len([each for each in events if each.item and each.item.value == b"unread"]) == HISTORY_EVENTS


async def test_watchers_whose_link_is_not_read_hold_what_a_link_may(autojump_clock: MockClock) -> None:
    owned = memory_registry(TrioClock())
    async with linked(owned) as owner:
        owner.wire.streams[0][1].send_stream.send_all_hook = trio.sleep_forever
        for _ in range(30):
            number = owner.wire.client.submit(methods.WATCH, [b"", None, 2, 0, b""], lambda *_: None)
            owner.wire.client._streams[number] = _Stream(lambda *_: None)
            owner.wire.client._grant(number, 1000)
        for _ in range(10):
            await put(owned, b"k", bytes(VALUE_BYTES_MAX))
        await settle()
        assert STREAM_BYTES_MAX < owner.wire.peers[0].link.waiting_bytes < STREAM_BYTES_MAX + 2 * VALUE_BYTES_MAX


ANSWERS: list[Any] = [None, "text", [], [1], [b"k", b"v", 1, 1, 1], [b"k", b"v", 1, 1, 1, None], {1: 2}, True, b"k"]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_answers_that_are_none_are_errors(autojump_clock: MockClock, answer: Any) -> None:
    def serve(peer: Peer) -> None:
        for method in methods.TYPES:
            peer.handlers[method] = tell if method in (methods.RANGE, methods.TRANSACT, methods.WATCH) else say

    def say(call: Call) -> None:
        call.answer(answer)

    def tell(call: Call) -> None:
        async def work() -> None:
            await call.send(answer)
            call.end()

        call.begin(work)

    async with connected(serve) as wire:
        served = ServedRegistry(wire.client)
        asks: list[Callable[[], Awaitable[Any]]] = [
            served.revision,
            lambda: served.range(ALL),
            lambda: served.transact([], [Get(b"k")]),
            lambda: served.lease(10),
            lambda: served.watch(ALL).__aenter__(),
        ]
        if answer is not None:
            asks.append(lambda: served.get(b"k"))
        if answer == []:
            del asks[1]  # no items
        for ask in asks:
            with pytest.raises(ProtocolError):
                await ask()
