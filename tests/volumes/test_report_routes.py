"""What a check says line by line, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from drystone.volume_report_routes import TELL_SECONDS, Lines
from store.blocks.report import Note, Problem, Progress, Report, Summary
from store.core.errors import BusyError

Tell = Callable[[Report], Awaitable[None]]


class Client:
    """What has been sent."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.status = 0
        self.ended = False
        self.gone = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        if self.gone:
            raise ConnectionError("the client has gone")
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["body"]:
            self.rows.append(json.loads(message["body"]))
        else:
            self.ended = not message["more_body"]

    async def receive(self) -> MutableMapping[str, Any]:
        await trio.sleep_forever()
        raise AssertionError


async def test_problems_are_told_at_once_and_progress_now_and_then(autojump_clock: MockClock) -> None:
    async def check(tell: Tell) -> Summary:
        for number in range(100):
            await tell(Progress("pages", number, 100))
            await trio.sleep(TELL_SECONDS / 10)
        await tell(Problem("one"))
        await tell(Problem("two"))
        await tell(Note("three"))
        return Summary(2, 1, 5, 1, 0)

    client = Client()
    await Lines(check, lambda: False)({}, client.receive, client.send)
    assert client.status == 200
    assert client.ended
    progress = [row for row in client.rows if "doing" in row]
    assert client.rows[0] == {"doing": "pages", "done": 0, "of": 100}
    assert 9 <= len(progress) <= 11
    assert client.rows[len(progress) : -1] == [{"problem": "one"}, {"problem": "two"}, {"note": "three"}]
    assert client.rows[-1]["summary"]["problems"] == 2


async def test_a_check_ends_when_the_process_does_or_its_client_has_gone(autojump_clock: MockClock) -> None:
    stopping = False
    said = 0

    async def check(tell: Tell) -> Summary:
        nonlocal said
        while True:
            await tell(Progress("pages", said, 0))
            said += 1
            await trio.sleep(TELL_SECONDS)

    async def later(client: Client) -> None:
        nonlocal stopping
        await trio.sleep(10.1 * TELL_SECONDS)
        if client is first:
            stopping = True
        else:
            client.gone = True

    first, second = Client(), Client()
    for client in (first, second):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(later, client)
            if client is first:
                await Lines(check, lambda: stopping)({}, client.receive, client.send)
            else:
                with pytest.raises(ConnectionError):
                    await Lines(check, lambda: False)({}, client.receive, client.send)
    assert first.rows[-1] == {"error": "this process stops"}
    assert 20 <= said <= 24


async def test_what_cannot_be_checked_now_is_said(autojump_clock: MockClock) -> None:
    async def check(_: Tell) -> Summary:
        raise BusyError("too few devices")

    client = Client()
    await Lines(check, lambda: False)({}, client.receive, client.send)
    assert client.rows == [{"error": "too few devices"}]
