"""Requests, answers and streams over a link; what becomes of them when it breaks; what a peer may not do."""

from __future__ import annotations

import struct
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
import trio
from msgpack import packb
from trio.testing import MockClock, memory_stream_pair
from xxhash import xxh3_64_intdigest

from store.core.errors import BusyError, DamageError, DrystoneError, InvalidError, QuorumError, StaleEpochError
from store.wire import link as link_module
from store.wire import server as server_module
from store.wire.client import CREDITS, WireClient
from store.wire.errors import UnreachableError
from store.wire.frame import FrameReader, encode
from store.wire.link import DEAD_SECONDS, HELLO_SECONDS
from store.wire.message import GOODBYE, NOTE, PING, REPLY, REQUEST, Hello
from store.wire.outbox import Outbox
from store.wire.server import CALLS_MAX, Call, Peer, serve_link
from tests.wire.pairs import connected, hello


def echo(peer: Peer) -> None:
    peer.handlers["echo"] = lambda call: call.answer(call.arguments, call.payload)


def holding(calls: list[Call]) -> Any:
    """Answers nothing, so that the test does."""

    def serve(peer: Peer) -> None:
        peer.handlers["hold"] = calls.append

    return serve


async def settle() -> None:
    await trio.sleep(0.01)


async def test_an_answer_is_that_of_its_request(autojump_clock: MockClock) -> None:
    calls: list[Call] = []
    async with connected(holding(calls)) as wire, trio.open_nursery() as nursery:
        answers: dict[int, Any] = {}

        async def ask(number: int) -> None:
            answer = await wire.client.call("hold", [number], b"%d" % number)
            answers[number] = (answer.result, bytes(answer.payload))

        for number in range(20):
            nursery.start_soon(ask, number)
        await settle()
        assert len(calls) == 20
        for call in reversed(calls):
            call.answer(call.arguments[0], bytes(call.payload) * 2)
            call.answer("again", b"")
            call.refuse(BusyError("too late"))
        await settle()
        assert answers == {number: (number, b"%d" % number * 2) for number in range(20)}


@pytest.mark.parametrize("error", [BusyError("a"), DamageError("b"), StaleEpochError("c"), InvalidError("d")])
async def test_errors_arrive_as_what_they_are(autojump_clock: MockClock, error: DrystoneError) -> None:
    def refuse(call: Call) -> None:
        raise error

    async with connected(lambda peer: peer.handlers.update(refuse=refuse)) as wire:
        with pytest.raises(type(error), match=str(error)):
            await wire.client.call("refuse", [])


async def test_an_error_that_does_not_travel_arrives_as_the_nearest_above(autojump_clock: MockClock) -> None:
    def refuse(call: Call) -> None:
        raise QuorumError("reading", 2, 1, {})

    def fails(call: Call) -> None:
        async def work() -> None:
            raise ZeroDivisionError

        call.begin(work)

    async with connected(lambda peer: peer.handlers.update(refuse=refuse, fails=fails)) as wire:
        with pytest.raises(DrystoneError, match="reading"):
            await wire.client.call("refuse", [])
        with pytest.raises(DrystoneError, match="internal"):
            await wire.client.call("fails", [])
        with pytest.raises(InvalidError, match="no method"):
            await wire.client.call("nothing", [])


async def test_arguments_that_a_method_does_not_take_are_refused(autojump_clock: MockClock) -> None:
    def takes_two(call: Call) -> None:
        first, second = call.arguments
        call.answer(first + second)

    async with connected(lambda peer: peer.handlers.update(two=takes_two)) as wire:
        wrong: list[Any]
        for wrong in ([], [1, 2, 3], [1, b"2"], [None, []]):
            with pytest.raises(InvalidError):
                await wire.client.call("two", wrong)
        assert (await wire.client.call("two", [1, 2])).result == 3


async def test_notes_and_requests_keep_their_order(autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    def see(call: Call) -> None:
        seen.append(call.arguments[0])
        call.answer()

    async with connected(lambda peer: peer.handlers.update(see=see)) as wire:
        for number in range(0, 100, 2):
            wire.client.note("see", [number])
            wire.client.submit("see", [number + 1], lambda *_: None)
        await settle()
        assert seen == list(range(100))


async def test_what_was_asked_is_answered_with_an_error_when_the_link_breaks(autojump_clock: MockClock) -> None:
    calls: list[Call] = []
    async with connected(holding(calls)) as wire:
        errors: list[DrystoneError | None] = []
        for _ in range(3):
            wire.client.submit("hold", [], lambda _result, _payload, error: errors.append(error))
        await settle()
        await wire.cut()
        await settle()
        assert [type(error) for error in errors] == [UnreachableError] * 3
        with pytest.raises(UnreachableError):
            wire.client.submit("hold", [], lambda *_: None)
        for call in calls:
            call.answer("late")  # goes nowhere
        await wire.client.wait_up()
        assert len(wire.streams) == 2
        later = wire.client.submit("hold", [], lambda _result, _payload, error: errors.append(error))
        await settle()
        for call in calls[:3]:
            call.answer("much later")
        assert later == 4
        assert len(errors) == 3, "an answer of the link before is none of this one"


async def test_who_is_not_there_is_dialled_again(autojump_clock: MockClock) -> None:
    async with connected(echo) as wire:
        wire.refuses = True
        await wire.cut()
        await trio.sleep(60)
        assert not wire.client.up
        with pytest.raises(UnreachableError, match="nobody listens"):
            await wire.client.call("echo", [])
        wire.refuses = False
        await trio.sleep(6)
        assert (await wire.client.call("echo", [1])).result == [1]


async def test_who_asked_stops_to_wait(autojump_clock: MockClock) -> None:
    cancelled: list[int] = []

    def slow(call: Call) -> None:
        async def work() -> None:
            try:
                await trio.sleep_forever()
            finally:
                cancelled.append(call.arguments[0])

        call.begin(work)

    async with connected(lambda peer: peer.handlers.update(slow=slow)) as wire:
        with pytest.raises(BusyError):
            await wire.client.call("slow", [1], seconds=2)
        with trio.move_on_after(1):
            await wire.client.call("slow", [2])
        await settle()
        assert cancelled == [1, 2]
        wire.client.submit("slow", [3], lambda *_: None, seconds=5)
        await trio.sleep(4)
        assert cancelled == [1, 2]
        await trio.sleep(2)
        assert cancelled == [1, 2, 3]


async def test_a_slow_reader_of_a_stream_holds_it_back(autojump_clock: MockClock) -> None:
    sent = 0

    def count(call: Call) -> None:
        async def work() -> None:
            nonlocal sent
            for number in range(500):
                await call.send(number)
                sent += 1
            call.end()

        call.begin(work)

    async with connected(lambda peer: peer.handlers.update(count=count)) as wire:
        async with wire.client.stream("count", []) as items:
            await trio.sleep(1)
            assert sent == CREDITS
            assert [item async for item in items] == list(range(500))
        async with wire.client.stream("count", []) as items:
            assert await anext(items) == 0
        await settle()
        with pytest.raises(InvalidError):
            async with wire.client.stream("nothing", []) as items:
                await anext(items)


async def test_a_stream_ends_with_the_link(autojump_clock: MockClock) -> None:
    def one(call: Call) -> None:
        async def work() -> None:
            await call.send("one")
            await trio.sleep_forever()

        call.begin(work)

    service = connected(lambda peer: peer.handlers.update(one=one))
    async with service as wire, wire.client.stream("one", []) as items:
        assert await anext(items) == "one"
        await wire.cut()
        with pytest.raises(UnreachableError):
            await anext(items)


async def test_a_stream_of_a_link_before_does_nothing_to_the_requests_of_this_one(autojump_clock: MockClock) -> None:
    calls: list[Call] = []
    answers: list[Any] = []
    async with connected(holding(calls)) as wire:
        async with wire.client.stream("hold", []) as items:
            await settle()
            for number in range(CREDITS):
                await calls[0].send(number)
            await settle()
            await wire.cut()
            await settle()
            await wire.client.wait_up()
            wire.client.submit("hold", [], lambda result, _payload, _error: answers.append(result))
            await settle()
            assert [await anext(items) for _ in range(CREDITS)] == list(range(CREDITS))
        await settle()
        calls[1].answer("still waited for")
        await settle()
        assert answers == ["still waited for"]


async def test_what_is_cancelled_before_it_runs_does_not_run(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    def forever(call: Call) -> None:
        async def work() -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("cancelled")

        call.begin(work)

    async with connected(lambda peer: peer.handlers.update(forever=forever)) as wire:
        async with wire.client.stream("forever", []):
            pass  # the request and its cancellation leave together
        await settle()
        assert ended == ["cancelled"]


async def test_streams_do_not_fill_the_outbox(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "STREAM_BYTES_MAX", 1000)
    gate = trio.Event()
    wholes = 0

    def large(call: Call) -> None:
        async def work() -> None:
            nonlocal wholes
            for _ in range(CREDITS):
                await call.send(bytes(100))
            wholes += 1

        call.begin(work)

    async with connected(lambda peer: peer.handlers.update(large=large)) as wire:
        sending = wire.streams[0][1].send_stream
        pump = sending.send_all_hook

        async def later() -> None:
            await gate.wait()
            assert pump is not None
            await pump()

        sending.send_all_hook = later
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(wire.client.stream("large", [])) for _ in range(10)]
            await settle()
            assert wire.peers[0].link.waiting_bytes < 1000 + 200
            assert wholes == 0
            gate.set()
            for items in streams:
                assert len([item async for item in items]) == CREDITS
            assert wholes == 10


async def test_a_server_is_told_when_a_peer_is_gone(autojump_clock: MockClock) -> None:
    gone: list[str] = []
    async with connected(lambda peer: peer.on_gone.append(lambda: gone.append(peer.hello.node))) as wire:
        await wire.cut()
        await settle()
        assert gone == ["a"]


async def test_a_peer_that_falls_silent_is_dead(autojump_clock: MockClock) -> None:
    """A link whose bytes go nowhere breaks by itself, on either side."""
    async with connected(echo) as wire:
        await trio.sleep(100)
        assert len(wire.streams) == 1, "an idle link lives"
        here, there = wire.streams[0]
        here.send_stream.send_all_hook = there.send_stream.send_all_hook = None
        here.receive_stream.close_hook = None

        async def lost(_stream: Any, data: Any) -> None:
            return

        for end in (here, there):
            end.send_stream.send_all = partial(lost, end)  # type: ignore[method-assign]
        wire.refuses = True
        await trio.sleep(DEAD_SECONDS + 2)
        assert not wire.client.up
        assert "nothing was heard" in wire.client.why or "nobody" in wire.client.why


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (hello("b", cluster="d"), "belongs to cluster"),
        (hello("b", lowest=2, highest=3), "one release at a time"),
    ],
)
async def test_who_does_not_belong_here_or_is_too_new_gets_nothing(
    autojump_clock: MockClock, server: Hello, why: str
) -> None:
    async with connected(echo, server) as wire:
        await trio.sleep(1)
        assert not wire.client.up
        assert not wire.peers
        assert why in wire.client.why


async def test_the_highest_version_that_both_speak_is_spoken(autojump_clock: MockClock) -> None:
    here, there = memory_stream_pair()
    agreed = []

    async def begin(end: trio.abc.Stream, mine: Hello, *, asked: bool) -> None:
        agreed.append((await link_module.Link(end).begin(mine, asked=asked))[1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(begin, here, hello(lowest=2, highest=4), asked=False))
        nursery.start_soon(partial(begin, there, hello(lowest=1, highest=3), asked=True))
    assert agreed == [3, 3]


class Stranger:
    """Speaks to a server by hand."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.stream, self._there = memory_stream_pair()
        self._reader = FrameReader()

    async def serve(self) -> None:
        await serve_link(self._there, hello("b"), [holding(self.calls)])

    async def say(self, *fields: Any, payload: bytes = b"") -> None:
        await self.stream.send_all(encode(fields, payload) + payload)

    async def hears(self) -> list[list[Any]]:
        """All that is said until the link ends, or for a while."""
        heard: list[list[Any]] = []
        with trio.move_on_after(0.5):
            while data := await self.stream.receive_some():
                heard += [frame.fields for frame in self._reader.feed(bytes(data))]
            heard.append(["ended"])
        return heard


HELLO = (0, 1, 1, "c", "x", "p")
WRONG: dict[str, list[tuple[Any, ...]]] = {
    "no hello": [(REQUEST, 1, "hold", 0, "", [])],
    "a hello of something else": [(0, "1", 1, "c", "x", "p")],
    "half a hello": [(0, 1, 1)],
    "no kind that is known": [HELLO, (99,)],
    "a request without arguments": [HELLO, (REQUEST, 1, "hold")],
    "a request with other types": [HELLO, (REQUEST, "1", "hold", 0, "", [])],
    "an id again": [HELLO, (REQUEST, 5, "hold", 0, "", []), (REQUEST, 5, "hold", 0, "", [])],
    "an answer": [HELLO, (REPLY, 1, None)],
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
async def test_who_does_not_keep_to_the_protocol_is_told_so_and_cut_off(autojump_clock: MockClock, wrong: str) -> None:
    stranger = Stranger()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stranger.serve)
        for message in WRONG[wrong]:
            await stranger.say(*message)
        heard = await stranger.hears()
        assert heard[-1] == ["ended"]
        assert wrong in ("no hello", "a hello of something else", "half a hello") or heard[-2][0] == GOODBYE


async def test_garbage_ends_the_link_and_nothing_else(autojump_clock: MockClock) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 3, bytes(64), b"\xff" * 64):
        stranger = Stranger()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stranger.serve)
            await stranger.stream.send_all(garbage)
            assert (await stranger.hears())[-1] == ["ended"]


async def test_who_says_nothing_is_not_waited_for(autojump_clock: MockClock) -> None:
    stranger = Stranger()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stranger.serve)
        await trio.sleep(HELLO_SECONDS + 1)
        assert (await stranger.hears())[-1] == ["ended"]


async def test_what_one_peer_may_have_under_way_is_bounded(autojump_clock: MockClock) -> None:
    stranger = Stranger()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stranger.serve)
        await stranger.say(*HELLO)
        for number in range(1, CALLS_MAX + 11):
            await stranger.say(REQUEST, number, "hold", 0, "", [])
        heard = await stranger.hears()
        refused = [fields for fields in heard if fields[0] == 3]
        assert [fields[1:3] for fields in refused] == [[CALLS_MAX + 1 + n, "BusyError"] for n in range(10)]
        assert len(stranger.calls) == CALLS_MAX
        stranger.calls[0].answer()
        await stranger.say(REQUEST, CALLS_MAX + 11, "hold", 0, "", [])
        await settle()
        assert len(stranger.calls) == CALLS_MAX + 1
        nursery.cancel_scope.cancel()


async def test_who_does_not_read_is_not_read_from(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "WAITING_BYTES_MAX", 1000)
    stranger = Stranger()
    gate = trio.Event()

    async def takes_nothing() -> None:
        await gate.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stranger.serve)
        await stranger.say(*HELLO)
        await settle()
        stranger._there.send_stream.send_all_hook = takes_nothing
        for number in range(1, 20):
            await stranger.say(REQUEST, number, "hold", 0, "", [])
        await settle()
        for call in stranger.calls:
            call.answer(None, bytes(400))
        before = len(stranger.calls)
        for number in range(20, 40):
            await stranger.say(REQUEST, number, "hold", 0, "", [])
            await settle()
        assert len(stranger.calls) <= before + 20
        assert len(stranger.calls) < 39
        nursery.cancel_scope.cancel()


async def test_a_client_cuts_off_who_answers_what_was_not_asked(autojump_clock: MockClock) -> None:
    ends: list[Any] = []

    async def dial() -> trio.abc.Stream:
        here, there = memory_stream_pair()
        ends.append(there)
        await there.send_all(encode((0, 1, 1, "c", "b", "p")))
        return here

    client = WireClient(dial, hello("a"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        wrong: list[tuple[Any, ...]] = [
            (REPLY, 2, None),
            (REPLY, 0, None),
            (REQUEST, 1, "m", 0, "", []),
            (NOTE, "m", []),
        ]
        for message in wrong:
            await client.wait_up()
            errors: list[DrystoneError | None] = []

            def answered(_result: Any, _payload: Any, error: DrystoneError | None, into: Any = errors) -> None:
                into.append(error)

            client.submit("m", [], answered)
            await ends[-1].send_all(encode(message))
            await settle()
            assert not client.up
            assert "not asked for" in str(errors[0])
        await client.wait_up()
        await ends[-1].send_all(encode((PING,)))
        await settle()
        assert client.up
        nursery.cancel_scope.cancel()


async def test_the_foreground_goes_first_but_not_for_ever(autojump_clock: MockClock) -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.put(b"b%d" % number, b"", background=True)
    for number in range(20):
        outbox.put(b"f%02d" % number, b"")
    order = []
    while outbox:
        for buffer in outbox.take(1):
            order.append(bytes(buffer))
            outbox.left(len(buffer))
    assert order[:8] == [b"f%02d" % number for number in range(8)]
    assert order.index(b"b0") == 8
    assert order.index(b"b1") == 17
    assert sorted(order) == sorted([b"b0", b"b1", b"b2", *(b"f%02d" % n for n in range(20))])
    assert outbox.waiting_bytes == 0


async def test_the_foreground_overtakes_the_background_on_its_way(autojump_clock: MockClock) -> None:
    seen: list[int] = []

    def see(call: Call) -> None:
        seen.append(call.arguments[0])
        call.answer()

    async with connected(lambda peer: peer.handlers.update(see=see)) as wire:
        errors: list[DrystoneError | None] = []
        for number, background in ((1, True), (2, False), (3, True), (4, False)):
            wire.client.submit(
                "see", [number], lambda _result, _payload, error: errors.append(error), background=background
            )
        await settle()
        assert seen == [2, 4, 1, 3]
        assert errors == [None] * 4
        assert len(wire.streams) == 1


def nested(kind: int, depth: int, *before: Any) -> bytes:
    """A frame whose last field is lists in lists: more than msgpack would write."""
    head = bytes([0x92 + len(before)]) + b"".join(map(packb, (kind, *before))) + b"\x91" * depth + b"\x01"
    sizes = struct.pack("<II", len(head), 0)
    return sizes + struct.pack("<Q", xxh3_64_intdigest(sizes + head)) + head


@pytest.mark.parametrize("greeted", [False, True])
async def test_what_is_nested_deeply_ends_the_link_and_nothing_else(autojump_clock: MockClock, greeted: bool) -> None:
    for frame in (nested(99, 1010), nested(REPLY, 1010, 1), nested(0, 1010)):
        stranger = Stranger()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stranger.serve)
            if greeted:
                await stranger.say(*HELLO)
            await stranger.stream.send_all(frame)
            assert (await stranger.hears())[-1] == ["ended"]


async def test_a_client_outlives_an_answer_that_is_nested_deeply(autojump_clock: MockClock) -> None:
    ends: list[Any] = []

    async def dial() -> trio.abc.Stream:
        here, there = memory_stream_pair()
        ends.append(there)
        await there.send_all(nested(99, 1010) if len(ends) == 1 else encode((0, 1, 1, "c", "b", "p")))
        return here

    client = WireClient(dial, hello("a"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        for _ in range(2):
            await client.wait_up()
            await ends[-1].send_all(nested(REPLY, 1010, 1))
            await settle()
            assert not client.up
        nursery.cancel_scope.cancel()


async def test_a_handler_that_fails_harms_nobody_else(autojump_clock: MockClock) -> None:
    def fails(call: Call) -> None:
        raise RuntimeError("a mistake of this program")

    def cannot_be_sent(call: Call) -> None:
        async def work() -> object:
            return object()

        call.begin(work)

    async with connected(
        lambda peer: peer.handlers.update(fails=fails, cannot=cannot_be_sent, echo=lambda call: call.answer())
    ) as wire:
        for method in ("fails", "cannot"):
            with pytest.raises(DrystoneError, match="internal error"):
                await wire.client.call(method, [])
        wire.client.note("fails", [])
        await wire.client.call("echo", [])
        assert len(wire.streams) == 1


async def test_who_fails_when_a_link_ends_harms_nobody_else(autojump_clock: MockClock) -> None:
    def fails() -> None:
        raise RuntimeError("a mistake of this program")

    gone: list[None] = []

    def serve(peer: Peer) -> None:
        peer.on_gone.append(fails)
        peer.on_gone.append(lambda: gone.append(None))

    async with connected(serve) as wire:
        await wire.cut()
        await settle()
        assert gone
        await wire.client.wait_up()


async def test_an_answer_that_is_not_taken_in_ends_the_link_and_nothing_else(autojump_clock: MockClock) -> None:
    calls: list[Call] = []
    heard: list[DrystoneError | None] = []

    def fails(*_: object) -> None:
        raise RuntimeError("a mistake of this program")

    async with connected(holding(calls)) as wire:
        for answered in (fails, fails, lambda _result, _payload, error: heard.append(error)):
            wire.client.submit("hold", [], answered)
        await settle()
        calls[0].answer()
        await settle()
        assert [type(error) for error in heard] == [UnreachableError]
        await wire.client.wait_up()


async def test_a_stream_on_which_no_link_begins_is_closed(autojump_clock: MockClock) -> None:
    """One that is refused is dialled again for as long as it takes."""
    async with connected(echo, hello("b", cluster="d")) as wire:
        await trio.sleep(20)
        assert len(wire.streams) > 3
        for here, _ in wire.streams[:-1]:
            with pytest.raises(trio.ClosedResourceError):
                await here.send_all(b"x")
    stuck: list[Any] = []

    async def dial() -> trio.abc.Stream:
        stuck.append(memory_stream_pair())
        return stuck[-1][0]  # type: ignore[no-any-return]

    client = WireClient(dial, hello("a"))
    with trio.move_on_after(1):
        await client.run()
    with pytest.raises(trio.ClosedResourceError):
        await stuck[0][0].send_all(b"x")


async def test_a_note_begins_no_work_that_goes_on(autojump_clock: MockClock) -> None:
    """Nobody would count it, and nobody could end it."""
    begun: list[None] = []

    def forever(call: Call) -> None:
        async def work() -> None:
            begun.append(None)
            await trio.sleep_forever()

        call.begin(work)

    async with connected(lambda peer: peer.handlers.update(forever=forever)) as wire:
        for _ in range(10):
            wire.client.note("forever", [])
        await settle()
        assert not begun
        assert len(wire.streams) == 1


async def test_answers_that_nobody_takes_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ANSWER_BYTES_MAX", 1000)
    stranger = Stranger()
    gate = trio.Event()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stranger.serve)
        await stranger.say(*HELLO)
        await settle()
        hook = stranger._there.send_stream.send_all_hook
        stranger._there.send_stream.send_all_hook = gate.wait
        for number in range(1, 101):
            await stranger.say(REQUEST, number, "hold", 0, "", [])
        await settle()
        for call in stranger.calls:
            call.answer(None, bytes(400))
        assert stranger.calls[0].peer.link.waiting_bytes < 1000 + 500 + 100 * 100
        gate.set()
        stranger._there.send_stream.send_all_hook = hook
        heard = await stranger.hears()
        assert [fields[2] for fields in heard if fields[0] == 3].count("BusyError") >= 90
        nursery.cancel_scope.cancel()


async def test_what_is_asked_counts_with_its_arguments(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CALL_BYTES_MAX", 1000)
    calls: list[Call] = []
    errors: list[DrystoneError | None] = []
    async with connected(holding(calls)) as wire:
        for _ in range(10):
            wire.client.submit("hold", [bytes(280)], lambda _result, _payload, error: errors.append(error))
        await settle()
        assert len(calls) == 3
        assert [type(error) for error in errors] == [BusyError] * 7
        calls[0].answer()
        await settle()
        wire.client.submit("hold", [bytes(280)], lambda *_: None)
        await settle()
        assert len(calls) == 4


async def test_a_large_payload_on_a_slow_line_is_progress(autojump_clock: MockClock) -> None:
    async with connected(echo) as wire:
        here = wire.streams[0][0].send_stream
        send_all = here.send_all

        async def slow(data: Any) -> None:
            await trio.sleep(len(data) / (400 * 1024))
            await send_all(data)

        here.send_all = slow  # type: ignore[method-assign]
        answer = await wire.client.call("echo", [], bytes(4 * 1024 * 1024))
        assert len(answer.payload) == 4 * 1024 * 1024
        assert len(wire.streams) == 1


async def test_why_a_link_ends_is_not_said_in_the_middle_of_a_payload(autojump_clock: MockClock) -> None:
    """Else it could be what the payload ends with."""
    stranger = Stranger()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stranger.serve)
        await stranger.say(*HELLO)
        await stranger.say(REQUEST, 1, "hold", 0, "", [])
        await settle()
        there = stranger._there.send_stream
        send_all = there.send_all

        async def in_part(data: Any) -> None:
            await send_all(data[:-30])
            await trio.sleep_forever()

        there.send_all = in_part  # type: ignore[method-assign]
        stranger.calls[0].answer(None, b"x" * 100)
        await settle()
        there.send_all = send_all  # type: ignore[method-assign]
        await stranger.say(99)
        heard = await stranger.hears()
        assert [fields[0] for fields in heard[1:-1]] == []
        assert heard[-1] == ["ended"]


async def test_a_process_that_stood_still_does_not_take_its_peers_for_dead(autojump_clock: MockClock) -> None:
    async with connected(echo) as wire:
        await trio.sleep(3.5)
        for _ in range(3):
            autojump_clock.jump(DEAD_SECONDS + 2)
            await trio.sleep(3)
        assert len(wire.streams) == 1
