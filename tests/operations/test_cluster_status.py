"""Nodes tell each other how they are; what they say is another program's, and taken with care."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from drystone.cluster_status import ANSWER_BYTES_MAX, ASK_SECONDS, StatusService, ask_all, read, with_answers
from store.remote.process import RemoteProcess
from store.wire.message import Hello
from store.wire.server import serve_link

MINE = Hello(1, 1, "c", "n", "drystone 0")
SAID = {
    "version": "0.2",
    "uptime_s": 5.0,
    "memory_bytes": 7,
    "devices": [{"device": 3, "state": "ok", "why": "", "live_bytes": 5, "free_bytes": 6}],
    "loops": [{"loop": "repair", "done": 4, "left": 2, "share": None, "ends_in_s": 3}],
    "hints": {"1": 9},
}


@asynccontextmanager
async def reached(services: dict[str, StatusService]) -> AsyncIterator[dict[str, RemoteProcess]]:
    """Processes that answer with these."""

    def process(service: StatusService) -> RemoteProcess:
        async def dial() -> trio.abc.Stream:
            here, there = memory_stream_pair()
            nursery.start_soon(serve_link, there, MINE, [service.serve])
            return here

        return RemoteProcess((), dial, MINE)

    async with trio.open_nursery() as nursery:
        processes = {name: process(service) for name, service in services.items()}
        for each in processes.values():
            nursery.start_soon(each.run)
        while not all(each.up for each in processes.values()):
            await trio.sleep(0.1)
        yield processes
        nursery.cancel_scope.cancel()


def telling(said: Any) -> StatusService:
    service = StatusService()

    async def of() -> Any:
        return said

    service.of = of
    return service


async def test_all_are_asked_at_once_and_who_does_not_answer_is_left_out(autojump_clock: MockClock) -> None:
    hanging = StatusService()
    hanging.of = trio.sleep_forever
    services = {"n2": telling(SAID), "n3": hanging, "n4": hanging, "n5": StatusService(), "n6": telling([1])}
    async with reached(services) as processes:
        began = trio.current_time()
        answers = await ask_all(processes)
        assert trio.current_time() - began == pytest.approx(ASK_SECONDS)
    assert answers.keys() == {"n2", "n6"}
    assert answers["n2"]["devices"] == [
        {"device": 3, "state": "ok", "why": "", "live_bytes": 5, "free_bytes": 6},
    ]
    assert answers["n2"]["hints"] == {"1": 9}
    assert answers["n6"]["devices"] == []


async def test_who_is_not_reached_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with reached({"n2": telling(SAID)}) as processes:

        async def dial() -> trio.abc.Stream:
            await trio.sleep_forever()
            raise AssertionError

        began = trio.current_time()
        assert (await ask_all({**processes, "n3": RemoteProcess((), dial, MINE)})).keys() == {"n2"}
        assert trio.current_time() == began


@pytest.mark.parametrize("answer", [None, 5, "{", "x" * (ANSWER_BYTES_MAX + 1), b"{}"])
def test_what_is_no_status_is_refused(answer: object) -> None:
    with pytest.raises(ValueError):
        read(answer)


def test_of_a_status_only_what_is_known_and_of_its_type_is_taken() -> None:
    said = read(
        json.dumps(
            {
                "version": "\x1b[31m9",
                "uptime_s": "long",
                "devices": [5, {"device": "x"}, {"device": 1, "state": "fine"}, {"device": 2, "state": "ok", "new": 1}],
                "loops": [{"done": 3}, {"loop": "repair", "left": "many", "share": "half", "trouble": ["x"]}],
                "hints": {"1": 2, "x": 3, "2": "y"},
                "more": 1,
            }
        )
    )
    assert said["version"] == "[31m9"  # nothing that a terminal would obey
    assert (said["uptime_s"], said["memory_bytes"]) == (0, 0)
    assert said["devices"] == [{"device": 2, "state": "ok", "why": ""}]
    (loop,) = said["loops"]
    assert (loop["loop"], loop["left"], loop["share"], loop["trouble"]) == ("repair", 0, 0, "")
    assert said["hints"] == {"1": 2, "2": 0}
    assert "more" not in said


def test_a_node_speaks_for_its_own_devices_and_not_for_those_that_are_not_reached() -> None:
    known = [
        {"device": 1, "node": "n1", "state": "ok", "why": ""},
        {"device": 2, "node": "n2", "state": "ok", "why": ""},
        {"device": 3, "node": "n2", "state": "out", "why": "no link"},
        {"device": 4, "node": "n2", "state": "out", "why": "said before"},
    ]
    said = [
        {"device": 1, "state": "full", "why": ""},
        {"device": 2, "state": "full", "why": "", "live_bytes": 5},
        {"device": 3, "state": "ok", "why": "", "live_bytes": 6},
        {"device": 4, "state": "out", "why": "fdatasync failed", "retry_s": 3},
    ]
    merged = with_answers(known, {"n2": {"devices": said}})
    assert [row["state"] for row in merged] == ["ok", "full", "out", "out"]
    assert [row["why"] for row in merged] == ["", "", "no link", "fdatasync failed"]
    assert merged[2]["live_bytes"] == 6
