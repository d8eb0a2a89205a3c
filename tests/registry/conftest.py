"""Every form of the registry, for the tests that all of them must pass."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from store.registry import Registry, memory_registry, open_embedded
from store.registry.etcd import EtcdRegistry, open_client
from store.registry.etcd.keyspace import Keyspace
from store.registry.local import LocalRegistry
from store.registry.served import ServedRegistry
from store.wire import link
from tests.registry.etcd_server import etcd_server, post
from tests.registry.over_links import over_link

HISTORY_EVENTS = 16
"""Few, so that tests reach the end of what is kept."""


class TrioClock:
    """Time as trio tells it, which a test moves with MockClock."""

    def wall_us(self) -> int:
        return int(trio.current_time() * 1e6)

    def monotonic(self) -> float:
        return trio.current_time()


Opener = Callable[[], AbstractContextManager[LocalRegistry]]


def embedded_opener(path: Path) -> Opener:
    @contextmanager
    def opened() -> Iterator[LocalRegistry]:
        with open_embedded(str(path / "registry"), TrioClock(), history_events=HISTORY_EVENTS) as registry:
            yield registry

    return opened


@pytest.fixture
def embedded(tmp_path: Path) -> Opener:
    """Opens the embedded form, which keeps its state from one opening to the next."""
    return embedded_opener(tmp_path)


@asynccontextmanager
async def open_local(form: str, path: Path) -> AsyncIterator[LocalRegistry]:
    with ExitStack() as stack:
        if form == "memory":
            registry = memory_registry(TrioClock(), history_events=HISTORY_EVENTS)
        else:
            registry = stack.enter_context(embedded_opener(path)())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.run)
            yield registry
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_served(path: Path) -> AsyncIterator[ServedRegistry]:
    async with open_local("memory", path) as owned, over_link(owned) as registry:
        yield registry


@pytest.fixture(params=["memory", "embedded", "served"])
async def local(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Registry]:
    """The forms that live in one process, or are served by one, whose time and history a test has in its hand. Links
    outlive any jump of the clock."""
    monkeypatch.setattr(link, "DEAD_SECONDS", math.inf)
    opened: AbstractAsyncContextManager[Registry]
    opened = open_served(tmp_path) if request.param == "served" else open_local(request.param, tmp_path)
    async with opened as registry:
        yield registry


@pytest.fixture(scope="session")
def etcd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with etcd_server(tmp_path_factory.mktemp("etcd")) as url:
        yield url


def new_registry(url: str) -> bytes:
    """The prefix of an empty registry in a shared etcd, whose revisions begin with 1 while nobody else writes there."""
    keyspace = Keyspace(b"test/%s/" % uuid4().hex.encode())
    revision = int(post(url, "/v3/kv/range", {"key": "YQ=="})["header"]["revision"])
    offset = b64encode(b"%d" % -revision).decode()
    post(url, "/v3/kv/put", {"key": b64encode(keyspace.offset_key).decode(), "value": offset})
    return keyspace.prefix


def end_leases(url: str) -> None:
    """One that ended later, with keys, would raise the revision under another test."""
    for lease in post(url, "/v3/lease/leases", {}).get("leases", ()):
        post(url, "/v3/lease/revoke", {"ID": lease["ID"]})


@asynccontextmanager
async def open_etcd(url: str) -> AsyncIterator[EtcdRegistry]:
    async with open_client([url]) as client:
        yield EtcdRegistry(client, new_registry(url))
    end_leases(url)


@pytest.fixture
async def etcd(etcd_url: str) -> AsyncIterator[EtcdRegistry]:
    async with open_etcd(etcd_url) as registry:
        yield registry


@pytest.fixture(params=["memory", "embedded", "served", "etcd"])
async def registry(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Registry]:
    """Every form, empty."""
    opened: AbstractAsyncContextManager[Registry]
    if request.param == "etcd":
        opened = open_etcd(request.getfixturevalue("etcd_url"))
    elif request.param == "served":
        opened = open_served(tmp_path)
    else:
        opened = open_local(request.param, tmp_path)
    async with opened as registry:
        yield registry
