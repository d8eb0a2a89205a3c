"""A slow request says where its time went, once; one that is not slow says nothing."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from drystone.front import Front
from drystone.loop_stalls import LoopStalls
from drystone.metrics import Metrics, Requests
from drystone.slow_requests import LINES_MAX, PAUSE_SECONDS, SLOW_BYTES, SLOW_SECONDS, SlowRequests, size_of
from gateway.http.asgi import Message, Receive, Scope, Send
from store.core.waits import Waits, begin_waits, waited_for_client, waited_for_device
from store.objects.hedge import HEDGE_SECONDS, Hedged, Reply
from store.objects.key_lock import KeyLocks


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall_us(self) -> int:
        return 0


def slow_requests(clock: Clock | None = None) -> SlowRequests:
    """Devices from 10 on are on node n2."""
    return SlowRequests(lambda number: "n2" if number >= 10 else "", clock or Clock())


def waits(client: float = 0.0, key_lock: float = 0.0, workers: float = 0.0, **devices: float) -> Waits:
    made = Waits()
    made.client, made.key_lock, made.workers = client, key_lock, workers
    made.devices = {int(name[1:]): seconds for name, seconds in devices.items()}
    return made


def test_the_line_has_all_parts_and_who_was_waited_for_the_longest() -> None:
    slow = slow_requests()
    with capture_logs() as logs:
        slow.note("PUT", b"/v1/a/c/o", 201, 10.0, 0, waits(0.5, 1.0, 0.25, d1=0.5, d2=2.0, d11=3.0, d12=1.0))
    assert logs == [
        {
            "event": "slow request", "log_level": "warning", "method": "PUT", "path": "/v1/a/c/o", "status": 201,
            "total_s": 10.0, "devices_s": 2.5, "links_s": 4.0, "key_lock_s": 1.0, "workers_s": 0.25, "client_s": 0.5,
            "rest_s": 1.75, "device": "2", "link": "n2/11",
        }
    ]  # fmt: skip
    shown = Metrics(Requests(), slow, LoopStalls(), list, list, int, float, str).text().decode()
    assert 'drystone_slow_request_seconds_bucket{le="2.5",part="devices"} 1.0' in shown
    assert 'drystone_slow_request_seconds_bucket{le="2.5",part="links"} 0.0' in shown
    assert 'drystone_slow_request_seconds_sum{part="links"} 4.0' in shown


def test_parts_that_wait_side_by_side_leave_no_rest_below_nothing() -> None:
    slow = slow_requests()
    with capture_logs() as logs:
        slow.note("GET", b"/", 200, 3.0, 0, waits(d1=2.0, d2=2.0))
    assert "rest_s" not in logs[0]


@pytest.mark.parametrize(
    ("took", "size", "client", "said"),
    [
        (SLOW_SECONDS + 0.01, 0, 0.0, True),
        (60.0, 0, 59.5, False),  # a client that takes its time
        (60.0, 60 * SLOW_BYTES, 0.0, False),  # a large body at the speed of disks
        (60.0, 50 * SLOW_BYTES, 0.0, True),
    ],
)
def test_what_is_slow(took: float, size: int, client: float, said: bool) -> None:
    with capture_logs() as logs:
        slow_requests().note("GET", b"/", 200, took, size, waits(client))
    assert bool(logs) is said


def test_when_all_are_slow_a_few_say_so_and_the_next_how_many_did_not() -> None:
    clock = Clock()
    slow = slow_requests(clock)
    with capture_logs() as logs:
        for _ in range(1000):
            slow.note("GET", b"/", 200, 2.0, 0, waits())
        clock.now += PAUSE_SECONDS
        slow.note("GET", b"/", 200, 2.0, 0, waits())
    assert len(logs) == LINES_MAX + 1
    assert logs[-1]["others"] == 1000 - LINES_MAX
    assert slow.buckets["rest"][4] == 1001


def test_the_size_of_a_body_is_what_the_head_states() -> None:
    assert size_of([(b"host", b"a"), (b"content-length", b"12")]) == 12
    assert size_of([(b"content-length", b"x")]) == size_of([]) == 0


async def test_a_request_is_told_from_the_one_before_it_on_its_connection(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drystone.front.time.perf_counter", trio.current_time)
    seconds = iter((2.0, 0.0, 3.0))

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        since = trio.current_time()
        await trio.sleep(next(seconds))
        waited_for_device(3, since)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(_message: Message) -> None: ...

    async def receive() -> Message:
        raise AssertionError

    slow, requests, felt = slow_requests(), Requests(), list[float]()
    metrics = Metrics(requests, slow, LoopStalls(), list, list, int, float, str)
    front = Front(app, {}, requests, metrics, slow, felt.append, str)
    with capture_logs() as logs:
        for _ in range(3):
            await front({"raw_path": b"/v1/a", "method": "HEAD", "headers": []}, receive, send)
    assert [(line["devices_s"], line["status"]) for line in logs] == [(2.0, 204), (3.0, 204)]
    assert requests.counts == {("HEAD", 204): 3}
    assert felt == [2.0, 0.0, 3.0]


async def test_who_waits_for_a_key_notes_it(autojump_clock: MockClock) -> None:
    locks, noted = KeyLocks(), []

    async def write() -> None:
        begun = begin_waits()
        async with locks.of(b"k"):
            await trio.sleep(2)
        noted.append(begun.key_lock)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(write)
    assert noted == [0, 2, 4]


def answers_in(seconds: dict[int, float], nursery: trio.Nursery) -> Any:
    """Sources that answer after so long."""

    def submit(source: int, reply: Reply[int]) -> None:
        async def answer() -> None:
            await trio.sleep(seconds[source])
            reply(source, source, None)

        nursery.start_soon(answer)

    return submit


@pytest.mark.parametrize(
    ("seconds", "needed", "blamed", "waited"),
    [
        ({1: 0.01, 2: 0.04, 3: 0}, 2, 2, 0.04),  # the last that was needed
        ({1: 5.0, 2: 0.0, 3: 0.01}, 2, 1, HEDGE_SECONDS + 0.01),  # another was asked in the place of 1
        ({1: 50.0, 2: 50.0, 3: 50.0}, 2, 1, 10.0),
    ],
)
async def test_a_read_waits_for_the_device_that_held_it_up(
    autojump_clock: MockClock, seconds: dict[int, float], needed: int, blamed: int, waited: float
) -> None:
    begun = begin_waits()
    async with trio.open_nursery() as nursery:
        asked = Hedged[int](seconds, needed, answers_in(seconds, nursery))
        if not asked.ask():
            await asked.wait()
        nursery.cancel_scope.cancel()
    assert begun.devices == {blamed: pytest.approx(waited)}


async def test_what_is_answered_at_once_is_no_wait() -> None:
    begun = begin_waits()

    def submit(source: int, reply: Reply[int]) -> None:
        reply(source, source, None)

    assert Hedged[int]((1, 2), 2, submit).ask()
    assert not begun.noted
    assert begin_waits() is begun


async def test_who_serves_no_request_notes_nothing(autojump_clock: MockClock) -> None:
    async def work() -> None:
        waited_for_client(trio.current_time() - 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
