"""One member's JSON gateway, over HTTP: calls and streams, and what is known of a call that failed."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import trio

from store.core.errors import InvalidError
from store.registry.etcd.errors import refusal
from store.registry.etcd.keyspace import Json, encode_bytes
from store.registry.interface import OutcomeUnknownError, UnavailableError

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 10.0
"""Above the 7 seconds after which etcd itself gives up a proposal, so that its own words are heard."""

PING_SECONDS: Final = 5.0

_KEEP_ALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
"""A machine that is gone is noticed in 25 seconds by a connection that only listens."""

_NEEDS_LEADER: Final = {"Grpc-Metadata-hasleader": "true"}
"""A member that has lost the others ends the stream, instead of keeping silent."""

_NEVER_REACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: whom to believe, and what to show."""

    ca: str
    certificate: str
    key: str

    def context(self) -> ssl.SSLContext:
        """Raises InvalidError for files that are missing or not what they should be."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise InvalidError(f"TLS files for etcd ({self.ca}, {self.certificate}, {self.key}): {error}") from error
        return context


@asynccontextmanager
async def connections(tls: Tls | None) -> AsyncIterator[httpx.AsyncClient]:
    """What endpoints speak over: kept connections, no proxy of the environment's, as many as there are watches."""
    transport = httpx.AsyncHTTPTransport(
        verify=tls.context() if tls else False,
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        socket_options=_KEEP_ALIVE,
    )
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        yield http


class Endpoint:
    """A member at `url`, such as https://10.0.0.1:2379."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        try:
            known = httpx.URL(url).scheme in ("http", "https") and httpx.URL(url).host
        except httpx.InvalidURL:
            known = False
        if not known:
            raise InvalidError(f"{url!r} is no URL of an etcd endpoint, such as https://10.0.0.1:2379")
        self._http = http
        self.url = url.rstrip("/")

    def beside(self, url: str) -> Endpoint:
        """Another member of the same etcd."""
        return Endpoint(self._http, url)

    async def call(self, path: str, body: Json, *, seconds: float = ANSWER_SECONDS) -> Json:
        """The answer, waited for so long. Raises UnavailableError where nothing was done, OutcomeUnknownError where
        nobody knows, and other errors of `refusal`."""
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        try:
            response = await self._http.send(self._request(path, body, timeout))
        except _NEVER_REACHED as error:
            raise UnavailableError(f"{self.url} is not reached: {_said(error)}") from error
        except httpx.RequestError as error:
            raise OutcomeUnknownError(
                f"{self.url} gave no answer, and it is unknown whether the call took effect: {_said(error)}"
            ) from error
        return _answer(self.url, response.status_code, response.content)

    async def listen(self, path: str, body: Json, take: Callable[[Json], Awaitable[None]]) -> None:
        """Hands each answer of a stream to `take`, until the member ends it; waits for the next without limit. Errors
        as of `call`, and those of `take`.

        `take` is not interrupted by a cancellation. So a stream is only ever left while it waits for the network: its
        generators, which are several deep, are unwound from their innermost and none is left to the collector.
        """
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        failure: Exception | None = None
        try:
            with trio.CancelScope() as scope:
                response = await self._http.send(self._request(path, body, timeout, _NEEDS_LEADER), stream=True)
                async with aclosing(response):
                    if response.status_code != httpx.codes.OK:
                        _answer(self.url, response.status_code, await response.aread())
                    async for line in response.aiter_lines():
                        if not line or failure is not None:
                            continue
                        with trio.CancelScope(shield=True):
                            try:
                                await take(self._result(line))
                            except Exception as error:
                                failure = error
                                scope.cancel()
        except httpx.RequestError as error:
            failure = failure or UnavailableError(f"{self.url} broke off: {_said(error)}")
        if failure is not None:
            raise failure

    def _request(
        self, path: str, body: Json, timeout: httpx.Timeout, headers: Mapping[str, str] | None = None
    ) -> httpx.Request:
        content = json.dumps(body).encode()
        request = self._http.build_request("POST", self.url + path, content=content, headers=headers, timeout=timeout)
        request.stream = _Content(content)
        return request

    def _result(self, line: str) -> Json:
        message = _parsed(self.url, httpx.codes.OK, line.encode())
        error = message.get("error")
        if isinstance(error, dict):
            raise refusal(int(error.get("grpc_code") or error.get("code") or 2), str(error.get("message")), self.url)
        result: Json = message.get("result", {})
        return result


class _Content(httpx.AsyncByteStream):
    """What a request carries, once. httpx's own is a generator, and one is left to the collector when a connection
    breaks in the middle of it."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, None
        if content is None:
            raise StopAsyncIteration
        return content


async def ping(endpoint: Endpoint) -> Json:
    """A read that only a member with a leader and a quorum can answer; of a key that is nobody's."""
    return await endpoint.call("/v3/kv/range", {"key": encode_bytes(b"\0"), "count_only": True}, seconds=PING_SECONDS)


def in_turn(endpoints: Sequence[Endpoint], first: int) -> list[tuple[int, Endpoint]]:
    """All of them with their places, from that at `first` on."""
    places = [(first + step) % len(endpoints) for step in range(len(endpoints))]
    return [(place, endpoints[place]) for place in places]


def _answer(url: str, status: int, content: bytes) -> Json:
    message = _parsed(url, status, content)
    if status != httpx.codes.OK:
        raise refusal(int(message.get("code", 2)), str(message.get("message") or message.get("error")), url)
    return message


def _parsed(url: str, status: int, content: bytes) -> Json:
    try:
        message: Any = json.loads(content)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise OutcomeUnknownError(f"{url} answers {status} {content[:100]!r}: that is no etcd with its JSON gateway")
    return message


def _said(error: httpx.RequestError) -> str:
    """The words of whatever lies deepest and has any: TLS says what is wrong with a certificate a few causes down. Of a
    certificate that the member does not accept nothing is left to say: it closes the connection."""
    said = ""
    cause: BaseException | None = error
    while cause is not None:
        said = str(cause) or said
        cause = cause.__cause__ or cause.__context__
    return said or f"{type(error).__name__} (a member that does not accept our certificate breaks off like this, too)"
