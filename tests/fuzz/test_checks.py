"""Planted mistakes of each kind: the fuzz is worth no more than what it notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from gateway.objects import quotas
from gateway.swift.protocol.refusals import cause
from gateway.swift.protocol.request import Request
from tests.fuzz.asking import Ask, Conversation, Ending
from tests.fuzz.rounds import over_memory
from tests.fuzz.surface import CAST
from tests.twins.objects import MemoryStore

FIELDS = ((b"Host", b"cloud.test"), (b"X-Auth-Token", CAST.tokens[0]))
PUT = Ask(b"PUT", b"/v1/AUTH_home-id/quota/x", FIELDS, b"body")
GET = Ask(b"GET", b"/v1/AUTH_home-id/plain/nested", FIELDS)


def noticed(ask: Ask) -> BaseException:
    """What one request leads to."""
    with pytest.raises((AssertionError, ExceptionGroup)) as caught:
        over_memory([Conversation((ask.render(),), Ending.HALF)])
    return cause(caught.value)


def planted(what: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it happen in writes to one container."""
    admit = quotas.admit

    async def wrong(layer: Any, caller: Any, container: Any, size: int | None) -> int | None:
        if container.name == "quota":
            result = what()
            if result is not None:
                await result
        return await admit(layer, caller, container, size)

    monkeypatch.setattr(quotas, "admit", wrong)


def test_nothing_is_noticed_where_nothing_is_wrong() -> None:
    assert over_memory([Conversation((PUT.render(), GET.render()), Ending.HALF)]) == [201, 200]


def test_an_error_that_nobody_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(lambda: 1 // 0, monkeypatch)
    assert "status=500" in str(noticed(PUT))


def test_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(trio.sleep_forever, monkeypatch)
    assert isinstance(noticed(PUT), trio.TooSlowError)


def test_a_task_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(lambda: trio.lowlevel.spawn_system_task(trio.sleep_forever) and None, monkeypatch)
    assert "still held" in str(noticed(PUT))


def test_an_upload_that_is_never_left(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = MemoryStore.upload

    def forgotten(self: MemoryStore, *arguments: Any) -> Any:
        self.uploads_begun += arguments[1] == "x"
        return upload(self, *arguments)

    monkeypatch.setattr(MemoryStore, "upload", forgotten)
    large = Ask(b"PUT", PUT.target, FIELDS, bytes(70_000))
    assert "still held" in str(noticed(large))


def test_a_short_answer_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    push = Request.push

    async def once(self: Request, piece: Any) -> None:
        if self.started and self.object == "nested":
            raise ValueError
        await push(self, piece)

    monkeypatch.setattr(Request, "push", once)
    assert "broken off" in str(noticed(GET))
