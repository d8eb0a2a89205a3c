"""Clients that read and write the same few objects through the Swift API, and record what they were answered.

Plain HTTP (`http.client`), one connection each, and nothing is tried twice: a retry would hide which of the two took
effect. A client whose request had no answer goes on under another name, since what it asked may still be going on. All
write through every way there is: PUT, PUT with `If-None-Match: *` and `If-Match`, DELETE. Beside the hot keys there are
fresh ones, written once, and listings of the container.

    python -m tests.cluster.workload FILE TOKEN URL URL URL --seconds 60

records to FILE what 8 clients do below the URLs (an account's at each node; a connection goes to any), until it is
interrupted or the time is over.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from tests.cluster.history import Operation, Recorder

CONTAINER = "hot"
CLIENTS = 8
KEYS = 20
ASK_SECONDS = 30.0
PAUSE_SECONDS = 0.02
"""Between attempts to connect to what is not there."""
SIZES = (0, 100, 4096, 70_000)
"""Bytes besides the value: within a row and beyond."""
MIX = {"get": 45, "put": 20, "create": 8, "swap": 12, "delete": 10, "fresh": 3, "list": 2}
LISTING_LIMIT = 1000


@dataclass(frozen=True)
class Service:
    """Where an account is served, and by which token. `url` ends with the account's path."""

    url: str
    token: str


def body(value: str) -> bytes:
    """What is stored for a value: the value, and bytes that follow from it, of a size that follows from it."""
    seed = hashlib.sha256(value.encode()).digest()
    filler = seed * (SIZES[seed[0] % len(SIZES)] // len(seed))
    return value.encode() + b"\n" + filler


def etag(value: str) -> str:
    return hashlib.md5(body(value)).hexdigest()


def value_of(content: bytes) -> str:
    """The value that was stored; something that nobody wrote where its bytes are not all right."""
    value = content.partition(b"\n")[0].decode(errors="replace")
    return value if content == body(value) else f"damaged:{hashlib.sha256(content).hexdigest()}"


class Workload:
    """Clients at work, from `start` until `stop`."""

    def __init__(
        self,
        where: Callable[[], Service],
        recorder: Recorder,
        *,
        seed: int = 1,
        clients: int = CLIENTS,
        keys: int = KEYS,
    ) -> None:
        """`where` is asked again for each connection: what serves may move."""
        self._stopping = threading.Event()
        self._clients = [
            _Client(where, recorder, self._stopping, f"p{number}", random.Random(f"{seed}/{number}"), keys)
            for number in range(clients)
        ]
        self._threads = [threading.Thread(target=client.run, name=client.name) for client in self._clients]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def answered(self) -> int:
        """Operations whose outcome is known, so far."""
        return sum(client.answered for client in self._clients)

    @property
    def alive(self) -> bool:
        """Whether all clients are at work: none should end by itself."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


class _Client:
    def __init__(
        self,
        where: Callable[[], Service],
        recorder: Recorder,
        stopping: threading.Event,
        name: str,
        draw: random.Random,
        keys: int,
    ) -> None:
        self.name = name
        self.answered = 0
        self._where = where
        self._recorder = recorder
        self._stopping = stopping
        self._draw = draw
        self._keys = keys
        self._life = 0
        self._count = 0
        self._seen: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None
        self._path = ""
        self._token = ""

    @property
    def process(self) -> str:
        return f"{self.name}.{self._life}"

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect()
            except OSError:
                self._stopping.wait(PAUSE_SECONDS)
                continue
            try:
                self._one()
            except (OSError, http.client.HTTPException):
                self._leave()
        self._leave()

    def _connect(self) -> None:
        """Before anything is asked: what cannot be reached has no operation that could have had an effect."""
        if self._connection is not None:
            return
        service = self._where()
        parts = urlsplit(service.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_SECONDS)
        try:
            connection.connect()
        except OSError:
            connection.close()
            raise
        connection.auto_open = False  # never again by itself in the middle of an operation
        self._connection, self._path, self._token = connection, parts.path, service.token

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._life += 1

    def _one(self) -> None:
        kind = self._draw.choices(list(MIX), list(MIX.values()))[0]
        key = f"{CONTAINER}/k{self._draw.randrange(self._keys)}"
        match kind:
            case "get":
                self._get(key)
            case "delete":
                self._delete(key)
            case "list":
                self._list()
            case "fresh":
                self._put(f"{CONTAINER}/fresh-{self.process}-{self._count}")
            case "create":
                self._swap(key, None)
            case "swap":
                self._swap(key, self._seen.get(key))
            case _:
                self._put(key)

    def _get(self, key: str) -> None:
        with self._recorder.operation(self.process, key, "get") as operation:
            status, content = self._ask("GET", key)
            if status in (200, 404):
                value = value_of(content) if status == 200 else None
                operation.output = {"value": value}
                self._settled(operation)
                if value is not None:
                    self._seen[key] = value

    def _put(self, key: str) -> None:
        value = self._value()
        with self._recorder.operation(self.process, key, "put", value=value) as operation:
            status, _ = self._ask("PUT", key, body(value))
            if status == 201:
                self._settled(operation)
                self._seen[key] = value

    def _swap(self, key: str, expect: str | None) -> None:
        value = self._value()
        condition = {"If-None-Match": "*"} if expect is None else {"If-Match": f'"{etag(expect)}"'}
        with self._recorder.operation(self.process, key, "cas", value=value, expect=expect) as operation:
            status, _ = self._ask("PUT", key, body(value), condition)
            if status in (201, 412):
                operation.output = {"swapped": status == 201}
                self._settled(operation)
                if status == 201:
                    self._seen[key] = value

    def _delete(self, key: str) -> None:
        with self._recorder.operation(self.process, key, "delete") as operation:
            status, _ = self._ask("DELETE", key)
            if status in (204, 404):
                operation.output = {"existed": status == 204}
                self._settled(operation)

    def _list(self) -> None:
        """Page by page, as one operation."""
        names: list[str] = []
        with self._recorder.operation(self.process, CONTAINER, "list") as operation:
            while True:
                marker = f"&marker={quote(names[-1])}" if names else ""
                status, content = self._ask("GET", f"{CONTAINER}?limit={LISTING_LIMIT}{marker}")
                if status not in (200, 204):
                    return
                page = content.decode().splitlines()
                names += page
                if len(page) < LISTING_LIMIT:
                    break
            operation.output = {"names": names}
            self._settled(operation)

    def _settled(self, operation: Operation) -> None:
        operation.outcome = "ok"
        self.answered += 1

    def _value(self) -> str:
        self._count += 1
        return f"{self.name}-{self._count}"

    def _ask(
        self, method: str, path: str, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        assert self._connection is not None
        self._connection.request(
            method, f"{self._path}/{path}", content, {"X-Auth-Token": self._token, **(headers or {})}
        )
        response = self._connection.getresponse()
        answer = response.status, response.read()
        if response.will_close or response.status == 503:
            self._leave()  # another one may serve better
        return answer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("token")
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever is started in the background ignores it
    with Recorder(given.file) as recorder:
        draw = random.Random(given.seed)
        workload = Workload(lambda: Service(draw.choice(given.urls), given.token), recorder, seed=given.seed)
        workload.start()
        with suppress(KeyboardInterrupt):
            time.sleep(given.seconds)
        workload.stop()


if __name__ == "__main__":
    main()
