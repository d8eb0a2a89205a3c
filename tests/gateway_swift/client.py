"""A client without a socket: one call is one request through the application."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from gateway.swift.app import SwiftApp
from gateway.swift.config import Config
from gateway.swift.protocol.request import Message
from store.objects.model import Policy
from tests.twins.clock import ManualClock
from tests.twins.identity import MemoryAuthenticator
from tests.twins.objects import ONE_POLICY, MemoryStore

HOME = "AUTH_home-id"


@dataclass
class Answer:
    """What came back. `whole` is False where the application broke off in the middle."""

    status: int
    headers: dict[str, str]
    body: bytes
    pieces: int = 1
    whole: bool = True
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)

    def __getitem__(self, name: str) -> str:
        return self.headers[name]


Body = bytes | Iterable[bytes | None]


class Client:
    """A gateway over an empty store, and four people: an owner, a reader, a stranger and a reseller admin."""

    def __init__(self, config: Config | None = None, policies: tuple[Policy, ...] = ONE_POLICY) -> None:
        self.clock = ManualClock(tick_us=10)
        self.store = MemoryStore(self.clock, policies)
        self.people = MemoryAuthenticator()
        self.people.add("owner", "olga", "home")
        self.people.add("reader", "rita", "home", ("reader",))
        self.people.add("nobody", "nora", "home", ())
        self.people.add("stranger", "sven", "away")
        self.people.add("reseller", "rolf", "admin", ("ResellerAdmin",))
        self.random = CountingRandom()
        self.app = SwiftApp(self.store, self.people, config, clock=self.clock, random=self.random)

    async def __call__(
        self,
        method: str,
        path: str | bytes = "",
        headers: Mapping[str, str | bytes] | None = None,
        body: Body = b"",
        *,
        token: str | None = "owner",
        query: Mapping[str, str | int] | str | None = None,
        account: str = HOME,
        raw: bool = False,
        chunked: bool = False,
        client: tuple[str, int] | None = ("192.0.2.7", 4711),
    ) -> Answer:
        """One request. `path` is below the account unless `raw`; a None among the pieces of `body` is the client's
        going away. A body of bytes states its length unless `chunked`."""
        if isinstance(path, str):
            path = path.encode() if raw else quote(path).encode()
        target = path if raw else b"/v1/" + account.encode() + (b"/" + path if path else b"")
        fields = [(name.lower().encode(), _bytes(value)) for name, value in (headers or {}).items()]
        if token is not None:
            fields.append((b"x-auth-token", token.encode()))
        known = {name for name, _ in fields}
        if chunked:
            fields.append((b"transfer-encoding", b"chunked"))
        elif isinstance(body, bytes) and method in ("PUT", "POST") and b"content-length" not in known:
            fields.append((b"content-length", b"%d" % len(body)))
        string = query if isinstance(query, str) else urlencode(query or {})
        scope = {
            "type": "http",
            "method": method,
            "path": "",
            "raw_path": target,
            "query_string": string.encode(),
            "headers": fields,
            "client": client,
        }
        return await _exchange(self.app, scope, [body] if isinstance(body, bytes) else list(body))

    async def fill(self, container: str, names: Iterable[str], data: bytes = b"") -> None:
        """Make a container with these objects."""
        assert (await self("PUT", container)).status in (201, 202)
        for name in names:
            assert (await self("PUT", f"{container}/{name}", body=data)).status == 201


class CountingRandom:
    """Bytes that never repeat and are the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def bytes(self, count: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count, "big")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


async def _exchange(app: SwiftApp, scope: dict[str, Any], coming: list[bytes | None]) -> Answer:
    sent: list[tuple[bytes, bool]] = []
    start: list[Message] = []

    async def receive() -> Message:
        if not coming:
            return {"type": "http.disconnect"}
        data = coming.pop(0)
        if data is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": data, "more_body": bool(coming)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert not start, "started twice"
            start.append(message)
            return
        assert start
        assert not sent or sent[-1][1], "sent after the last piece"
        sent.append((bytes(message.get("body", b"")), message.get("more_body", False)))

    whole = True
    try:
        await app(scope, receive, send)
    except Exception:
        whole = False
        assert start, "an error got out before an answer began"
    message = start[0]
    headers: dict[str, str] = {}
    for name, value in message["headers"]:
        assert isinstance(name, bytes)
        assert isinstance(value, bytes)
        assert name == name.lower()
        assert name.decode() not in headers, f"{name!r} twice"
        assert b"\n" not in value
        headers[name.decode()] = value.decode()
    body = b"".join(data for data, _ in sent)
    if whole:
        assert sent
        assert not sent[-1][1], "no last piece"
        if "content-length" in headers and scope["method"] != "HEAD":
            assert int(headers["content-length"]) == len(body)
    assert headers["x-trans-id"] == headers["x-openstack-request-id"]
    return Answer(message["status"], headers, body, len(sent), whole, message["headers"])
