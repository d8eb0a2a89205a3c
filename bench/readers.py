"""Many connections that read, each of which asks again as soon as it is answered, until the time is over.

For what wrk cannot do: HEAD (it waits for the body that an answer speaks of), and counting long work exactly (what is
under way at its end was worked on and is not counted). Here the last answers are waited for.
"""

from __future__ import annotations

import random
import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from bench.targets import Target

_RECEIVED = 65_536
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class _Reader:
    """One connection, with one request under way."""

    def __init__(self, connection: socket.socket, requests: Iterator[bytes], bodies: bool) -> None:
        self._connection = connection
        self._requests = requests
        self._bodies = bodies
        self._received = b""

    def ask(self) -> None:
        self._connection.sendall(next(self._requests))

    def receive(self) -> bool:
        """Whether the answer is complete. Raises RuntimeError if it is a failure, or none."""
        data = self._connection.recv(_RECEIVED)
        self._received += data
        end = self._received.find(_END)
        if not data or not b"HTTP/1.1 2".startswith(self._received[:10]):
            raise RuntimeError(f"no answer, or none that is good: {self._received[:200]!r}")
        if end < 0:
            return False
        if self._bodies:
            length = _LENGTH.search(self._received, 0, end)
            if length is None:
                raise RuntimeError("an answer that does not say how long it is")
            if len(self._received) < end + len(_END) + int(length[1]):
                return False
        self._received = b""
        return True


def read(target: Target, verb: str, paths: Sequence[str], seconds: float, connections: int) -> int:
    """How many requests for paths below the account, at random, were answered. None is under way afterwards."""
    parts = urlsplit(target.account_url)
    heads = [
        f"{verb} {parts.path}/{path} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-Auth-Token: {target.token}\r\n\r\n".encode()
        for path in paths
    ]
    chosen = random.Random(1000)
    requests = iter(lambda: chosen.choice(heads), b"")
    answers, under_way = 0, connections
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(connections):
            connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=60))
            reader = _Reader(connection, requests, bodies=verb != "HEAD")
            selector.register(connection, selectors.EVENT_READ, reader)
            reader.ask()
        over = time.monotonic() + seconds
        while under_way:
            for key, _ in selector.select():
                if key.data.receive():
                    answers += 1
                    if time.monotonic() < over:
                        key.data.ask()
                    else:
                        under_way -= 1
    return answers
