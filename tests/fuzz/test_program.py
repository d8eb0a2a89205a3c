"""The same conversations with the real program: sockets, threads, disks and argon2 and all."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.asking import Ask, Cast, Conversation, Ending
from tests.fuzz.damage import conversations
from tests.fuzz.stock import account_settings, stock
from tests.fuzz.surface import BY_DESIGN
from tests.process.program import Client, Program, running

pytestmark = pytest.mark.process

EXAMPLES = 25
FUTURE_S = 4_000_000_000
"""What time it is said to be, so that signatures are good and every run sends the same."""
GROWTH_MAX = 32 * 1024 * 1024
_STATUS = re.compile(rb"^HTTP/1\.1 ([0-9]{3}) ", re.MULTILINE)
_FORESEEN = "SegmentError"
"""An answer that had begun is broken off, and its cause is logged."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    options = ("--devices", "3", "--policy", "copies=2", "--policy", "code=2+1", "--storage-domain", "store.test")
    with running(tmp_path / "data", *options) as started:
        yield started


def cast_of(program: Program) -> Cast:
    account = program.account.rpartition("/")[2]
    password = program.settings()["OS_PASSWORD"]
    return Cast(account, "AUTH_away-id", (program.token.encode(), b"nobody"), FUTURE_S, password=password)


def converse(program: Program, conversation: Conversation) -> bytes:
    """Say it all, and what came back. Whoever would wait long goes at once: time is real here."""
    parts = urlsplit(program.url)
    received = bytearray()
    with socket.create_connection((parts.hostname or "", parts.port), timeout=60) as connection:
        try:
            for packet in conversation.packets:
                connection.sendall(packet)
            if conversation.ending is Ending.GONE or conversation.ending is Ending.DEAF:
                return b""
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        except ConnectionError:
            pass  # broken off, or refused while we were talking: what came is judged
    return bytes(received)


def ask(program: Program, *asks: Ask) -> None:
    """Requests that all succeed."""
    answer = converse(program, Conversation(tuple(each.render() for each in asks), Ending.HALF))
    statuses = [int(status) for status in _STATUS.findall(answer)]
    assert len(statuses) == len(asks), answer
    assert all(200 <= status < 300 for status in statuses), answer


def sockets(program: Program) -> int:
    """Descriptors of the program that are sockets."""
    count = 0
    for entry in os.listdir(f"/proc/{program.pid}/fd"):
        try:
            count += os.readlink(f"/proc/{program.pid}/fd/{entry}").startswith("socket:")
        except FileNotFoundError:
            continue  # closed just now
    return count


def _unforeseen(line: str) -> bool:
    """Whether a line of the log tells of an error that nobody expected; what is no event at all is one, too."""
    try:
        event = json.loads(line)
    except ValueError:
        return True
    return event["level"] not in ("debug", "info", "warning") and _FORESEEN not in event.get("exception", "")


def once_quiet(program: Program, usual: int) -> None:
    """Wait until only so many sockets are open. Fails where some stay open for longer than any limit lets them."""
    for _ in range(900):
        if sockets(program) <= usual:
            return
        time.sleep(0.1)
    raise AssertionError(f"{sockets(program)} sockets are open, and there were {usual}")


def test_the_program_lives_through_it(program: Program) -> None:
    cast = cast_of(program)
    usual = sockets(program)

    @given(st.lists(conversations(cast), min_size=1, max_size=3))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def explore(held: list[Conversation]) -> None:
        for conversation in held:
            answer = converse(program, conversation)
            assert not answer or answer.startswith(b"HTTP/1.1 "), conversation
            found = {int(status) for status in _STATUS.findall(answer)}
            assert all(status < 500 or status in BY_DESIGN for status in found), (conversation, answer)

    def once() -> int:
        ask(program, *stock(cast), account_settings(cast))
        explore()
        once_quiet(program, usual)
        return program.memory_bytes()

    first, second = once(), once()
    assert second - first < GROWTH_MAX, f"{first} bytes, and after the same again {second}"
    logged = [line for line in program.log().splitlines() if _unforeseen(line)]
    assert not logged, logged
    client = Client(program)
    assert client.ask("GET", "/healthcheck").body == b"OK"
    assert client.object("PUT", "calm").status == 201
    client.close()
