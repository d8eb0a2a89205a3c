"""One request on its way through: what it says, who asks, and whether they may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, Protocol

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request

from gateway.rest.bearer import bearer_token
from gateway.rest.errors import TooLargeError, UnauthorizedError
from gateway.rest.fields import Fields, parse
from gateway.rest.microversions import Microversion
from gateway.rest.origin import address, origin
from gateway.rest.policy import Credentials, Policy, Target

BODY_BYTES_MAX: Final = 112 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Caller(Protocol):
    """Whoever holds the token of a request."""

    @property
    def credentials(self) -> Credentials:
        """What policy knows of them."""
        ...


class Call:
    """A request. Services add what they know; every one says in `identify` how a token becomes a caller."""

    def __init__(self, scope: Scope, receive: Receive, policy: Policy) -> None:
        self.request = Request(scope, receive)
        self.policy = policy
        self.origin = origin(scope)
        self.address = address(scope)
        self.parts: Mapping[str, str] = {}
        self.request_id = ""
        """Under which the answer, the log and tasks know the request."""
        self.operation = ""
        """The line of policy that was asked last; "" as long as none was."""
        self.version: Microversion | None = None
        """That the client means; None in services without microversions."""

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    def path(self, name: str) -> str:
        """A part of the path, by its name in the route."""
        return self.parts[name]

    def token(self) -> str:
        """Of who asks, as OpenStack's clients send it, or those of OAuth 2.0 (RFC 6750); "" for none."""
        headers = self.request.headers
        return headers.get("x-auth-token", "") or bearer_token(headers.get("authorization", ""))

    async def body(self) -> Fields:
        """The body. Raises InvalidError where it is too long or no JSON object."""
        return parse(await self.raw_body())

    async def raw_body(self) -> bytes:
        """Raises TooLargeError where there are more than BODY_BYTES_MAX."""
        declared = self.request.headers.get("content-length", "0")
        too_large = TooLargeError(f"A request has at most {BODY_BYTES_MAX} bytes.")
        if declared.isdecimal() and (len(declared) > 9 or int(declared) > BODY_BYTES_MAX):
            raise too_large
        received = bytearray()
        more = True
        while more:
            message = await self.request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            received += message.get("body", b"")
            more = message.get("more_body", False)
            if len(received) > BODY_BYTES_MAX:
                raise too_large
        return bytes(received)

    # -- who asks, and whether they may --------------------------------------------------------------------------

    async def identify(self, token: str) -> Caller | None:
        """The caller that the token stands for; None where it stands for nothing. The frame by itself knows nobody."""
        return None

    async def credentials(self) -> Credentials:
        """Of the caller. Raises UnauthorizedError."""
        caller = await self.identify(self.token())
        if caller is None:
            raise UnauthorizedError
        return caller.credentials

    async def allow(self, operation: str, target: Target | None = None) -> None:
        """Raises UnauthorizedError, or ForbiddenError unless the caller may. The default is no."""
        self.operation = operation
        self.policy.require(operation, await self.credentials(), target or {})

    async def chosen(self, operation: str, target: Target | None = None) -> Callable[[Target], bool]:
        """Which rows of a list the caller may see. Raises UnauthorizedError, or ForbiddenError for none at all."""
        self.operation = operation
        return self.policy.chosen(operation, await self.credentials(), target or {})
