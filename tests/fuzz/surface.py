"""The server, the front and every application behind it over one store, on streams in memory and in simulated time.

Only sockets are missing: `Connection` is driven as the server drives it. `settled` tells what is still held when all
clients are gone, and `troubles` what was logged that nobody expected.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import structlog
import trio
import trio.testing

from authn.application_credentials import ApplicationCredentials
from authn.bootstrap import bootstrap
from authn.hashing import CHEAP, PasswordHasher
from authn.identity import Identity
from authn.login import Login
from authn.service import IdentityConfig, IdentityService
from authn.totp import Passcodes
from authn.v1 import V1AuthApp
from authn.v3 import IdentityApp
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.app import NetworkApp
from drystone.front import Front
from drystone.loop_stalls import LoopStalls
from drystone.metrics import Metrics, Requests
from drystone.slow_requests import SlowRequests
from gateway.http import Limits
from gateway.http.asgi import App, Receive, Scope, Send
from gateway.http.connection import Connection
from gateway.http.exchange import Draining
from gateway.http.ticker import Ticker
from gateway.http.transport import StreamTransport
from gateway.swift.access.domain_remap import DomainRemap
from gateway.swift.app import SwiftApp
from gateway.swift.config import Config
from gateway.swift.protocol.errors import RefusedError
from gateway.swift.protocol.refusals import cause
from store.core.clock import Clock
from store.objects.interface import ObjectStore
from store.registry import memory_registry
from tests.fuzz.answers import Answer, Heard, read
from tests.fuzz.asking import Ask, Cast, Conversation, Ending
from tests.fuzz.stock import account_settings, stock
from tests.gateway_swift.client import CountingRandom
from tests.gateway_volumes import cloud as clouds
from tests.twins.clock import DAWN_US
from tests.twins.identity import MemoryAuthenticator

CAST = Cast(
    account="AUTH_home-id",
    other="AUTH_away-id",
    tokens=(b"owner", b"reader", b"nobody", b"stranger", b"reseller"),
    now_s=DAWN_US // 1_000_000,
)
BY_DESIGN = frozenset({501, 505})
"""CONNECT, other transfer encodings, other versions of HTTP."""

_LONG = 3600.0
"""Simulated seconds in which any conversation is over: no limit of the server is longer than 75, and there are few."""
_DEAF = 300.0
_CALM = Cast("AUTH_calm-id", "AUTH_home-id", (b"calm",), CAST.now_s)

Held = Callable[[], dict[str, int]]


class InlineHasher(PasswordHasher):
    """Without threads, which simulated time would not wait for."""

    async def hash(self, password: str, *, whose: str = "") -> str:
        return self._argon2.hash(password)

    async def verify(self, hashed: str, password: str) -> bool:
        return self._verify(hashed or self._nobody, password) and bool(hashed)


class Doors:
    """Tokens that are known beforehand, and the identity service's own."""

    def __init__(self, service: IdentityService) -> None:
        self.people = MemoryAuthenticator()
        self._service = service

    def known(self, token: str) -> Identity | None:
        return self.people.known(token) or self._service.known(token)

    async def identify(self, token: str, certificate: str = "") -> Identity | None:
        return await self.people.identify(token) or await self._service.identify(token, certificate)


class _Transport(StreamTransport):
    """Remembers whether the connection was broken off."""

    aborted = False

    async def abort(self) -> None:
        self.aborted = True
        await super().abort()


class Troubles(logging.Handler):
    """What is logged as an error and is none of the answers that are foreseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []
        self.broken_off = 0
        """Answers that had begun and could not be finished, for a reason that is foreseen."""

    def emit(self, record: logging.LogRecord) -> None:
        """A record of the standard library's."""
        self._judge(record.getMessage(), record.exc_info[1] if record.exc_info else None)

    def process(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A record of structlog's."""
        if method in ("error", "exception", "critical"):
            error = event.get("exc_info")
            self._judge(str(event.get("event")), error if isinstance(error, BaseException) else None)
        raise structlog.DropEvent

    def _judge(self, text: str, error: BaseException | None) -> None:
        found = None if error is None else cause(error)
        if isinstance(found, RefusedError) and found.status < 500:
            self.broken_off += 1
            return
        self.found.append(f"{text}: {found!r}" + _place(found))


def _place(error: BaseException | None) -> str:
    trace = None if error is None else error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


class Surface:
    """Everything that serves."""

    def __init__(self, app: App, ticker: Ticker, held: Held, troubles: Troubles) -> None:
        self._app = app
        self._ticker = ticker
        self._held = held
        self._limits = Limits()
        self.troubles = troubles
        self.statuses: list[int] = []
        """Of all answers so far, for whoever wants to know whether the requests are any good."""

    async def hold(self, conversation: Conversation) -> list[Answer]:
        """One connection from beginning to end. Raises AssertionError where a promise is broken."""
        methods: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            methods.append(scope["method"])
            await self._app(scope, receive, send)

        mine, yours = trio.testing.lockstep_stream_pair()
        transport = _Transport(mine, self._ticker)
        connection = Connection(
            app, transport, self._ticker, self._limits, Draining(), client=("192.0.2.7", 4711), server=("192.0.2.1", 80)
        )
        received = bytearray()
        broken_off = self.troubles.broken_off
        with trio.fail_after(_LONG):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.run)
                async with trio.open_nursery() as client:
                    if conversation.ending is not Ending.DEAF:
                        client.start_soon(_listen, yours, received)
                    await _say(yours, conversation)
                    if conversation.ending is Ending.GONE:
                        client.cancel_scope.cancel()
                await trio.aclose_forcefully(yours)
        if conversation.ending is Ending.DEAF:
            return []
        heard = read(bytes(received), methods, ended=not transport.aborted)
        self._check(heard, conversation, transport, broken_off)
        return heard.answers

    def _check(self, heard: Heard, conversation: Conversation, transport: _Transport, broken_off: int) -> None:
        self.statuses += [answer.status for answer in heard.answers]
        for answer in heard.answers:
            assert answer.status < 500 or answer.status in BY_DESIGN, answer
        if not heard.whole and conversation.ending is not Ending.GONE:
            assert transport.aborted, "a short answer that looks whole"
            assert self.troubles.broken_off > broken_off, "broken off for no reason that is foreseen"

    async def ask(self, *asks: Ask) -> list[Answer]:
        """Plain requests on one connection, all of which succeed."""
        answers = await self.hold(Conversation(tuple(ask.render() for ask in asks), Ending.HALF))
        for ask, answer in zip(asks, answers, strict=True):
            assert 200 <= answer.status < 300, (ask, answer)
        return answers

    def held(self) -> dict[str, int]:
        """What grows while there is work, and must not be there without: by name."""
        return {"tasks": trio.lowlevel.current_statistics().tasks_living, **self._held()}

    async def probe(self) -> None:
        """Somebody else is served as if nothing had happened."""
        host, token = (b"Host", b"cloud.test"), (b"X-Auth-Token", _CALM.tokens[0])
        answers = await self.ask(
            Ask(b"PUT", b"/v1/AUTH_calm-id/c", (host, token)),
            Ask(b"PUT", b"/v1/AUTH_calm-id/c/o", (host, token), b"calm"),
            Ask(b"GET", b"/v1/AUTH_calm-id/c/o", (host, token)),
            Ask(b"GET", b"/healthcheck", (host,)),
        )
        assert answers[2].body == b"calm"
        assert answers[3].body == b"OK"


async def _listen(stream: trio.abc.ReceiveStream, received: bytearray) -> None:
    try:
        async for data in stream:
            received += data
    except trio.BrokenResourceError:
        return  # broken off; what came is judged


async def _say(stream: trio.abc.HalfCloseableStream, conversation: Conversation) -> None:
    try:
        for packet in conversation.packets:
            if packet:
                await stream.send_all(packet)
        if conversation.ending is Ending.HALF:
            await stream.send_eof()
        elif conversation.ending is Ending.DEAF:
            await trio.sleep(_DEAF)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the server has closed, which it may


@asynccontextmanager
async def open_surface(store: ObjectStore, clock: Clock, held: Held) -> AsyncIterator[Surface]:
    """Serve over this store, with stock in it. `held` counts what the store holds for work in flight."""
    registry = memory_registry(clock)
    random, hasher = CountingRandom(), InlineHasher(CHEAP)
    await bootstrap(registry, password=CAST.password, hasher=hasher, random=random)
    identity = IdentityService(registry, IdentityConfig(hash_cost=CHEAP), clock=clock, random=random)
    identity.login = Login(identity.directory, hasher, clock)
    identity.administration = type(identity.administration)(identity.directory, hasher, random)
    identity.application_credentials = ApplicationCredentials(identity.directory, identity.administration, hasher)
    identity.passcodes = Passcodes(identity.administration, identity.vault, clock, identity.login.throttle)
    doors = _doors(identity)
    config = Config(storage_domains=(CAST.domain,), open_expired=True)
    swift = SwiftApp(store, doors, config, clock=clock, random=random)
    requests = Requests()
    network = NetworkService(registry, cast(IdentityService, SimpleNamespace(tokens=_Tokens(doors))), clock, random)
    others: dict[bytes, App] = {
        b"/auth": V1AuthApp(identity),
        b"/identity": IdentityApp(identity),
        b"/network": NetworkApp(network),
    }
    slow = SlowRequests(lambda _number: "", clock)
    metrics = Metrics(requests, slow, LoopStalls(), list, list, identity.unreadable, lambda: None, str)
    front = DomainRemap(Front(swift, others, requests, metrics, slow, lambda _took: None, str), config)

    async with trio.open_nursery() as nursery, _watching() as troubles:
        ticker = Ticker()
        nursery.start_soon(ticker.run)
        await nursery.start(_follow, identity)
        await nursery.start(lambda task_status: network.run(task_status=task_status))
        surface = Surface(front, ticker, held, troubles)
        await surface.ask(Ask(b"PUT", b"/v1/AUTH_calm-id/c", ((b"Host", b"a"), (b"X-Auth-Token", b"calm"))))
        await surface.ask(*stock(CAST), account_settings(CAST))
        surface.statuses.clear()
        yield surface
        nursery.cancel_scope.cancel()


async def _follow(identity: IdentityService, task_status: trio.TaskStatus[None]) -> None:
    await identity.run(task_status=task_status)


class _Tokens:
    """For the network service: the first of the cast is an administrator."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def read(self, token: str, certificate: str = "", *, expired_s: int = 0) -> clouds.Held | None:
        known = self._doors.people.known(token)
        if known is None:
            return None
        roles = frozenset({"admin", "member", "reader"}) if token.encode() == CAST.tokens[0] else known.roles
        return clouds.Held(replace(known, roles=roles))


def _doors(identity: IdentityService) -> Doors:
    doors = Doors(identity)
    people = doors.people
    people.add("owner", "olga", "home")
    people.add("reader", "rita", "home", ("reader",))
    people.add("nobody", "nora", "home", ())
    people.add("stranger", "sven", "away")
    people.add("reseller", "rolf", "admin", ("ResellerAdmin",))
    people.add("calm", "carl", "calm")
    return doors


@asynccontextmanager
async def _watching() -> AsyncIterator[Troubles]:
    troubles = Troubles()
    before = structlog.get_config()
    structlog.configure(processors=[troubles.process])
    logger = logging.getLogger("gateway")
    logger.addHandler(troubles)
    try:
        yield troubles
    finally:
        logger.removeHandler(troubles)
        structlog.configure(**before)
