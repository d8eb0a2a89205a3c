"""One service asks another one within the process."""

from __future__ import annotations

from typing import Any

import pytest

from authn.service_call import ServiceCall
from gateway.rest.errors import ForbiddenError, OverLimitError
from gateway.rest.inside import INSIDE, Asker, RefusedError
from store.core.errors import ConflictError, InvalidError, NotFoundError, RetryableError

CALLER = {"user_id": "u", "project_id": "blue", "roles": frozenset({"member"})}


class App:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.status, self.body = status, body
        self.scope: dict[str, Any] = {}
        self.received = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.received = (await receive())["body"]
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        half = len(self.body) // 2
        await send({"type": "http.response.body", "body": self.body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[half:]})


async def test_it_asks_as_a_client_would_in_somebodys_name() -> None:
    app = App(body=b'{"thing": {"id": 1}}')
    asker = Asker(app, "/things/v3", {"OpenStack-API-Version": "things 3.7"})
    assert await asker.ask(CALLER, "POST", "/a thing", {"name": "x"}, {"limit": "1 0"}) == {"thing": {"id": 1}}
    assert (app.scope["method"], app.scope["path"]) == ("POST", "/things/v3/a thing")
    assert app.scope["raw_path"] == b"/things/v3/a%20thing"
    assert app.scope["query_string"] == b"limit=1+0"
    assert (b"openstack-api-version", b"things 3.7") in app.scope["headers"]
    assert app.received == b'{"name": "x"}'
    assert app.scope[INSIDE].credentials is CALLER


async def test_nothing_and_bytes() -> None:
    app = App(204, b"")
    assert await Asker(app, "/x").ask(CALLER, "PUT", "/file", b"\0\1") is None
    assert app.received == b"\0\1"
    assert (b"content-type", b"application/octet-stream") in app.scope["headers"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"badRequest": {"code": 400, "message": "no"}}', InvalidError, "no"),
        (403, b'{"forbidden": {"message": "not you"}}', ForbiddenError, "not you"),
        (404, b'{"itemNotFound": {"message": "gone"}}', NotFoundError, "gone"),
        (409, b'{"NeutronError": {"type": "InUse", "message": "used"}}', ConflictError, "used"),
        (409, b'{"NeutronError": {"type": "OverQuota", "message": "full"}}', OverLimitError, "full"),
        (413, b'{"overLimit": {"message": "too much"}}', OverLimitError, "too much"),
        (503, b'{"serviceUnavailable": {"message": "later"}}', RetryableError, "later"),
        (500, b'{"computeFault": {"message": "?"}}', RefusedError, "\\?"),
        (404, b"", NotFoundError, "status 404"),
    ],
)
async def test_refusals_keep_their_kind_and_words(status: int, body: bytes, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        await Asker(App(status, body), "/x").ask(CALLER, "GET", "/y")


async def test_what_a_header_says_is_no_caller_from_inside() -> None:
    """Nothing that comes over the network can put a caller into the scope."""

    class Tokens:
        async def read(self, token: str, certificate: str = "", *, expired_s: int = 0) -> None:
            return None

    class Identity:
        tokens = Tokens()

    headers = [(INSIDE.encode(), b"admin"), (b"x-" + INSIDE.encode(), b"admin")]
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": "/x", "headers": headers, "query_string": b"", "extensions": {},
        "scheme": "http", "server": None, "client": None,
    }  # fmt: skip
    for inside in (None, "admin", {"roles": ["admin"]}):
        given = scope if inside is None else {**scope, INSIDE: inside}
        call = ServiceCall(Identity(), ("x",), "/x", given, _nothing, None)  # type: ignore[arg-type]
        assert await call.identify("") is None


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}
