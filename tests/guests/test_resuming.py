"""Which guests are resumed, and when: over domains of the test, in simulated time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt
import pytest
import trio
from trio.testing import MockClock

from compute_plugin.hypervisors.libvirt.resuming import LAST_SECONDS, LOOK_SECONDS, keep_running

RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED)
BY_ERROR = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)
BY_USER = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)
SUSPENDED = (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR)


class Domain:
    """`failures` times it is paused again at once when it is resumed."""

    def __init__(self, path: Path, now: tuple[int, int], failures: int = 0) -> None:
        self._path = path
        self.now = now
        self.failures = failures
        self.resumed = 0

    def UUIDString(self) -> str:
        return str(id(self))

    def name(self) -> str:
        return "guest"

    def state(self) -> tuple[int, int]:
        return self.now

    def XMLDesc(self, _: int) -> str:
        return (
            "<domain><devices><disk type='network'><source protocol='nbd' name='v'>"
            f"<host transport='unix' socket='{self._path}'/></source><target dev='vda'/></disk></devices></domain>"
        )

    def resume(self) -> None:
        self.resumed += 1
        if self.resumed > self.failures:
            self.now = RUNNING


class Connection:
    def __init__(self, *domains: Domain) -> None:
        self.domains = domains
        self.heard: Callable[..., None]

    def domainEventRegisterAny(self, _domain: Any, kind: int, heard: Callable[..., None], opaque: Any) -> int:
        def tell(domain: Domain) -> None:
            heard(self, domain, *SUSPENDED, opaque)

        self.heard = tell
        return kind

    def domainEventDeregisterAny(self, _: int) -> None:
        pass

    def listAllDomains(self, _: int) -> list[Domain]:
        return [domain for domain in self.domains if domain.now[0] == libvirt.VIR_DOMAIN_PAUSED]


@contextmanager
def listening(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield
    path.unlink()


async def until(is_so: Callable[[], bool]) -> None:
    with trio.fail_after(100 * LAST_SECONDS):
        while not is_so():
            await trio.sleep(0.01)


@pytest.fixture(autouse=True)
def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated time would not wait for them."""

    async def run(function: Callable[[], object]) -> object:
        await trio.lowlevel.checkpoint()
        return function()

    monkeypatch.setattr(trio.to_thread, "run_sync", run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


async def test_one_that_was_paused_before_goes_on_when_there_is_a_server(path: Path, autojump_clock: MockClock) -> None:
    before, on_purpose = Domain(path, BY_ERROR), Domain(path, BY_USER)
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_running, Connection(before, on_purpose))
        await trio.sleep(100 * LOOK_SECONDS)
        assert before.resumed == 0  # a request would only fail again
        with listening(path):
            await until(lambda: before.now == RUNNING)
            await trio.sleep(2 * LAST_SECONDS)
        assert (before.resumed, on_purpose.resumed) == (1, 0)
        nursery.cancel_scope.cancel()


async def test_one_that_is_paused_again_is_tried_again_ever_more_seldom(path: Path, autojump_clock: MockClock) -> None:
    domain = Domain(path, RUNNING, failures=10)
    connection = Connection(domain)
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_running, connection)
        with listening(path):
            domain.now = BY_ERROR
            for _ in range(3):  # of many events one guest is seen to once
                connection.heard(domain)
            await until(lambda: domain.now == RUNNING)
            assert domain.resumed == 11
            begun = trio.current_time()
            await trio.sleep(2 * LAST_SECONDS)
            domain.now, domain.failures = BY_ERROR, 0
            connection.heard(domain)
            await until(lambda: domain.now == RUNNING)
            assert trio.current_time() - begun < 2 * LAST_SECONDS + 1
        nursery.cancel_scope.cancel()


async def test_one_that_is_paused_on_purpose_meanwhile_is_left_alone(path: Path, autojump_clock: MockClock) -> None:
    domain = Domain(path, BY_ERROR)
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_running, Connection(domain))
        await trio.sleep(10 * LOOK_SECONDS)
        domain.now = BY_USER
        with listening(path):
            await trio.sleep(2 * LAST_SECONDS)
        assert domain.resumed == 0
        nursery.cancel_scope.cancel()
