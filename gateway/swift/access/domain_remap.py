"""Hosts that name accounts: `container.AUTH-id.example.com/object` is `/v1/AUTH_id/container/object`.

An application around another: a host below a storage domain becomes part of the path before anything else sees it. Host
names know neither case nor underscores, so the prefix is found without regard to case, and its dash is an underscore.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from gateway.swift.config import Config
from gateway.swift.protocol.request import Message, Receive, Scope, Send

App = Any
"""Any ASGI application."""

_BAD = b"Bad domain in host header"


class DomainRemap:
    """Gives requests to `app`, with the path that their host names in front of their own."""

    def __init__(self, app: App, config: Config) -> None:
        self._app = app
        self._domains = tuple(f".{domain.strip('.').lower()}" for domain in config.storage_domains)
        self._prefixes = {prefix.lower(): prefix for prefix in config.reseller_prefixes if prefix}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            try:
                front = self.path_of(_host(scope))
            except ValueError:
                await _refuse(send)
                return
            if front is not None:
                asked = scope.get("raw_path") or quote(scope["path"]).encode()
                path = front + asked
                await self._app({**scope, "raw_path": path}, receive, _renaming(send, front))
                return
        await self._app(scope, receive, send)

    def path_of(self, host: str) -> bytes | None:
        """The path that a host stands for, None where it is no account's. Raises ValueError where it is too deep."""
        name = host.partition(":")[0]
        domain = next((domain for domain in self._domains if name.lower().endswith(domain)), None)
        if domain is None:
            return None
        parts = name[: -len(domain)].strip(".").split(".")
        if len(parts) > 2:
            raise ValueError(host)
        account = parts[-1]
        if "_" not in account:
            account = account.replace("-", "_", 1)
        prefix, _, rest = account.partition("_")
        known = self._prefixes.get(prefix.lower())
        if known is None:
            return None
        path = f"/v1/{known}_{rest}" + (f"/{parts[0]}" if len(parts) == 2 else "")
        return quote(path).encode()


def _host(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"host":
            return str(value.decode(errors="replace"))
    return ""


def _renaming(send: Send, front: bytes) -> Send:
    """A `send` in whose answers a redirect names the path that the client knows."""

    async def renamed(message: Message) -> None:
        if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
            headers = [
                (name, _without(value, front) if name.lower() == b"location" else value)
                for name, value in message["headers"]
            ]
            message = {**message, "headers": headers}
        await send(message)

    return renamed


def _without(location: bytes, front: bytes) -> bytes:
    start = 0
    if location.startswith((b"http://", b"https://")):
        start = location.find(b"/", location.find(b"//") + 2)
    if start >= 0 and location.startswith(front + b"/", start):
        return location[:start] + location[start + len(front) :]
    return location


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_BAD))]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": _BAD})
