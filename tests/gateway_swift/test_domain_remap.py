"""Hosts that name accounts and containers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.swift.access.domain_remap import DomainRemap
from gateway.swift.config import Config
from gateway.swift.protocol.request import Message

CONFIG = Config(storage_domains=("example.com", ".Other.org"), reseller_prefixes=("AUTH", "SERVICE"))


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("AUTH_a.example.com", b"/v1/AUTH_a"),
        ("auth-a.example.com:8080", b"/v1/AUTH_a"),
        ("auth-a-b.EXAMPLE.com", b"/v1/AUTH_a-b"),
        ("c.service-a.other.org", b"/v1/SERVICE_a/c"),
        ("example.com", None),
        ("localhost", None),
        ("auth-a.badexample.com", None),
        ("www.example.com", None),
        ("c.other_a.example.com", None),
        ("", None),
    ],
)
def test_paths_of_hosts(host: str, path: bytes | None) -> None:
    assert DomainRemap(None, CONFIG).path_of(host) == path


@given(st.text(max_size=30), st.sampled_from(["", ".example.com", ".auth_a.example.com", ".other.org:80"]))
def test_any_host_is_a_path_or_none_or_refused(name: str, domain: str) -> None:
    try:
        path = DomainRemap(None, CONFIG).path_of(name + domain)
    except ValueError:
        return
    assert path is None or (path.startswith(b"/v1/") and b"?" not in path and b" " not in path)


async def ask(host: bytes, path: bytes = b"/o", location: bytes = b"") -> tuple[bytes, int, dict[bytes, bytes]]:
    """The path that the application sees, and the answer."""
    seen = [b""]
    sent: list[Message] = []

    async def app(scope: dict[str, Any], _receive: object, send: Any) -> None:
        seen[0] = scope["raw_path"]
        headers = [(b"Location", location)] if location else []
        await send({"type": "http.response.start", "status": 301 if location else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "", "raw_path": path, "headers": [(b"host", host)]}
    await DomainRemap(app, CONFIG)(scope, receive, send)
    return seen[0], sent[0]["status"], dict(sent[0]["headers"])


async def test_a_request_goes_on_below_its_host() -> None:
    assert (await ask(b"auth-a.example.com", b"/"))[0] == b"/v1/AUTH_a/"
    assert (await ask(b"c.auth-a.example.com", b"//v1"))[0] == b"/v1/AUTH_a/c//v1"
    assert (await ask(b"c.auth-a.example.com", b"/v1/%20"))[0] == b"/v1/AUTH_a/c/v1/%20"
    assert (await ask(b"localhost", b"/v1/x"))[0] == b"/v1/x"
    assert (await ask(b"a.b.auth-a.example.com"))[1] == 400


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (b"/v1/AUTH_a/c/d/", b"/d/"),
        (b"http://c.auth-a.example.com/v1/AUTH_a/c/d/", b"http://c.auth-a.example.com/d/"),
        (b"http://x/?/v1/AUTH_a/c/d/", b"http://x/?/v1/AUTH_a/c/d/"),
        (b"/v1/AUTH_b/c/d/", b"/v1/AUTH_b/c/d/"),
        (b"http://x", b"http://x"),
    ],
)
async def test_a_redirect_names_the_path_that_the_client_knows(location: bytes, shown: bytes) -> None:
    assert (await ask(b"c.auth-a.example.com", b"/d", location))[2] == {b"Location": shown}
