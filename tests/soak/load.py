"""The mixed load: workers that own names, do everything that the API offers to them, and know what must be there."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from tests.process.program import Client, Program

SIZES = (0, 1, 300, 4096, 4096, 4096, 20_000, 65_536, 65_537, 400_000, 1_048_576, 3_000_000)
NAMES = 60
CONTAINERS = {"plain": "standard", "coded": "archive"}


@dataclass
class Object:
    """What must be at a name. `expires` is when it ends, or 0."""

    data: bytes
    color: str = ""
    expires: int = 0


@dataclass
class Worker:
    """One owner of names in both containers."""

    program: Program
    number: int
    seed: random.Random
    stop: threading.Event
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    operations: int = 0
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Work until told to stop, or until something is wrong."""
        actions: list[tuple[int, Callable[[Client], None]]] = [
            (30, self.put),
            (30, self.get),
            (10, self.get_range),
            (8, self.head),
            (6, self.post),
            (12, self.delete),
            (6, self.copy),
            (5, self.list),
            (4, self.put_then_leave),
            (4, self.get_then_leave),
            (3, self.put_wrong),
            (3, self.put_expiring),
            (2, self.put_manifest),
        ]
        weights = [weight for weight, _ in actions]
        with closing(Client(self.program)) as client:
            while not self.stop.is_set() and not self.problems:
                (action,) = self.seed.choices([action for _, action in actions], weights)
                try:
                    action(client)
                except (OSError, AssertionError) as error:
                    self.problems.append(f"worker {self.number}, {action.__name__}: {error!r}")
                self.operations += 1

    # -- what is there -------------------------------------------------------------------------------------------

    def any_name(self) -> tuple[str, str]:
        container = self.seed.choice(list(CONTAINERS))
        return container, f"w{self.number}/n{self.seed.randrange(NAMES)} ü%"

    def present(self) -> tuple[str, str] | None:
        """A name that surely holds an object for a while yet."""
        now = time.time()
        live = [name for name, held in self.objects.items() if not held.expires or held.expires > now + 5]
        return self.seed.choice(live) if live else None

    def data(self) -> bytes:
        return self.seed.randbytes(self.seed.choice(SIZES))

    def expect(self, name: tuple[str, str]) -> Object | None:
        """What must be at a name now; forgets what has expired."""
        held = self.objects.get(name)
        if held is not None and held.expires and held.expires <= time.time():
            del self.objects[name]
            return None
        return held

    # -- the verbs -----------------------------------------------------------------------------------------------

    def put(self, client: Client) -> None:
        name, data = self.any_name(), self.data()
        color = self.seed.choice(["", "grey", "größer"])
        headers = {"ETag": hashlib.md5(data).hexdigest()}
        if color:
            headers["X-Object-Meta-Color"] = quote(color)
        answer = client.object("PUT", "/".join(name), data, headers)
        assert answer.status == 201, (name, answer)
        self.objects[name] = Object(data, quote(color))

    def get(self, client: Client) -> None:
        name = self.any_name()
        held = self.expect(name)
        if held is not None and held.expires and held.expires < time.time() + 2:
            return
        answer = client.object("GET", "/".join(name))
        assert answer.status == (404 if held is None else 200), (name, answer.status)
        if held is not None:
            assert answer.body == held.data, name
            assert answer.headers.get("x-object-meta-color", "") == held.color, name

    def get_range(self, client: Client) -> None:
        name = self.present()
        if name is None or not self.objects[name].data:
            return
        data = self.objects[name].data
        start = self.seed.randrange(len(data))
        stop = self.seed.randrange(start, len(data))
        answer = client.object("GET", "/".join(name), headers={"Range": f"bytes={start}-{stop}"})
        assert (answer.status, answer.body == data[start : stop + 1]) == (206, True), (name, answer.status)

    def head(self, client: Client) -> None:
        name = self.present()
        if name is not None:
            answer = client.object("HEAD", "/".join(name))
            assert answer.status == 200, (name, answer)
            assert int(answer.headers["content-length"]) == len(self.objects[name].data), name

    def post(self, client: Client) -> None:
        name = self.present()
        if name is None or self.objects[name].expires:
            return
        color = self.seed.choice(["red", "blue"])
        answer = client.object("POST", "/".join(name), headers={"X-Object-Meta-Color": color})
        assert answer.status == 202, (name, answer)
        self.objects[name].color = color

    def delete(self, client: Client) -> None:
        name = self.any_name()
        held = self.expect(name)
        if held is not None and held.expires and held.expires < time.time() + 2:
            return
        answer = client.object("DELETE", "/".join(name))
        assert answer.status == (404 if held is None else 204), (name, answer)
        self.objects.pop(name, None)

    def copy(self, client: Client) -> None:
        source, target = self.present(), self.any_name()
        if source is None or source == target or self.objects[source].expires:
            return
        answer = client.object("PUT", "/".join(target), b"", {"X-Copy-From": quote("/".join(source))})
        assert answer.status == 201, (source, target, answer)
        self.objects[target] = Object(self.objects[source].data, self.objects[source].color)

    def list(self, client: Client) -> None:
        container = self.seed.choice(list(CONTAINERS))
        listed = set(client.listing(container, f"&prefix=w{self.number}/"))
        now = time.time()
        mine = {name: held for (at, name), held in self.objects.items() if at == container}
        surely = {name for name, held in mine.items() if not held.expires or held.expires > now + 1}
        assert surely <= listed <= set(mine), (container, surely ^ listed)

    # -- clients that misbehave ----------------------------------------------------------------------------------

    def raw(self, head: str, body: bytes = b"", take: int = 0) -> None:
        """Send something by hand, read a little, and go away."""
        address = urlsplit(self.program.url)
        with socket.create_connection((address.hostname, address.port)) as raw:
            token = f"X-Auth-Token: {self.program.token}\r\n"
            raw.sendall(f"{head} HTTP/1.1\r\nHost: x\r\n{token}".encode() + body)
            while take > 0 and (data := raw.recv(take)):
                take -= len(data)

    def put_then_leave(self, _: Client) -> None:
        container = self.seed.choice(list(CONTAINERS))
        size = self.seed.choice([1000, 100_000, 4_000_000])
        sent = self.seed.randrange(size)
        path = f"{self.program.account}/{container}/w{self.number}/left"
        self.raw(f"PUT {path}", f"Content-Length: {size}\r\n\r\n".encode() + bytes(sent))

    def get_then_leave(self, _: Client) -> None:
        name = self.present()
        if name is not None:
            path = f"{self.program.account}/{quote('/'.join(name))}"
            self.raw(f"GET {path}", b"Connection: close\r\n\r\n", take=self.seed.randrange(5000))

    def put_wrong(self, client: Client) -> None:
        name = self.any_name()
        answer = client.object("PUT", "/".join(name), self.data() + b"!", {"ETag": "0" * 32})
        assert answer.status == 422, (name, answer)

    def put_expiring(self, client: Client) -> None:
        name, data = self.any_name(), self.data()
        expires = int(time.time()) + self.seed.choice([3, 6, 30])
        answer = client.object("PUT", "/".join(name), data, {"X-Delete-At": str(expires)})
        assert answer.status == 201, (name, answer)
        self.objects[name] = Object(data, expires=expires)

    def put_manifest(self, client: Client) -> None:
        """An SLO of two present objects of one's own, read back at once, then removed."""
        parts = [name for name in (self.present(), self.present()) if name is not None]
        parts = [name for name in parts if self.objects[name].data and not self.objects[name].expires]
        if len(parts) < 2:
            return
        manifest = [
            {"path": "/" + "/".join(name), "etag": hashlib.md5(self.objects[name].data).hexdigest()} for name in parts
        ]
        path = f"{self.program.account}/plain/w{self.number}/manifest"
        token = {"X-Auth-Token": self.program.token}
        body = json.dumps(manifest).encode()
        made = client.ask("PUT", f"{path}?multipart-manifest=put", body, token)
        assert made.status == 201, made
        whole = client.ask("GET", path, headers=token)
        assert whole.body == b"".join(self.objects[name].data for name in parts)
        assert client.ask("DELETE", path, headers=token).status == 204


def check_everything(worker: Worker) -> None:
    """Every object of a worker is what it must be."""
    with closing(Client(worker.program)) as client:
        for name in list(worker.objects):
            held = worker.expect(name)
            if held is not None and not held.expires:
                answer = client.object("GET", "/".join(name))
                assert (answer.status, answer.body == held.data) == (200, True), (name, answer.status)
