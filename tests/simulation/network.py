"""A network in simulated time: streams that are as late, as broken and as one-sided as a seed has it.

A stream is TCP as programs see it: bytes come in order and none is lost while it lives, but they may be late by any
amount, be held back in one direction or both, and the stream may break at any moment, with what was on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import trio

UNSENT_MAX = 256 * 1024
"""So much is taken before the other side has read it: the buffers of both kernels."""


class Path:
    """The way from one place to another: how long bytes take, and whether they come through."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.usual_s = 0.0
        self.delay_s = 0.0
        """The most that a piece is late."""
        self._shut_by = 0
        self.opened = trio.Event()

    @property
    def shut(self) -> bool:
        """Nothing comes through; what is sent waits."""
        return self._shut_by > 0

    def shut_it(self) -> None:
        """Until whoever shuts it opens it again, and all others who do."""
        if not self._shut_by:
            self.opened = trio.Event()
        self._shut_by += 1

    def open_it(self) -> None:
        self._shut_by -= 1
        if not self._shut_by:
            self.opened.set()

    def draw(self) -> float:
        return self._random.random() * self.delay_s if self.delay_s else 0.0


class _Pipe:
    """One direction of a stream."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sent: deque[tuple[float, bytes]] = deque()
        self._last_due = 0.0
        self._arrived = bytearray()
        self._changed = trio.Event()
        self._ended = False
        self.broken = False
        self.unread = 0

    def change(self) -> None:
        """Whoever waits looks again."""
        self._changed.set()
        self._changed = trio.Event()

    async def put(self, data: bytes) -> None:
        while self.unread >= UNSENT_MAX and not self.broken:
            await self._changed.wait()
        if self.broken:
            raise trio.BrokenResourceError
        self._last_due = max(self._last_due, trio.current_time() + self._path.draw())
        self._sent.append((self._last_due, data))
        self.unread += len(data)
        if len(self._sent) == 1:
            self.change()  # else whoever reads waits for the first of them already

    def end(self) -> None:
        self._ended = True
        self.change()

    def cut(self) -> None:
        self.broken = True
        self.change()

    async def get(self, count: int) -> bytes:
        waited = False
        while True:
            if self.broken:
                raise trio.BrokenResourceError
            now = trio.current_time()
            while self._sent and self._sent[0][0] <= now and not self._path.shut:
                self._arrived += self._sent.popleft()[1]
            if self._arrived:
                if not waited:
                    await trio.lowlevel.checkpoint()
                return self._taken(count)
            if self._ended and not self._sent:
                return b""
            await self._wait()
            waited = True

    def _taken(self, count: int) -> bytes:
        taken = bytes(self._arrived[:count])
        del self._arrived[:count]
        full, self.unread = self.unread >= UNSENT_MAX, self.unread - len(taken)
        if full:
            self.change()
        return taken

    async def _wait(self) -> None:
        changed = self._changed
        if self._path.shut:
            async with trio.open_nursery() as nursery:

                async def opened() -> None:
                    await self._path.opened.wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(opened)
                await changed.wait()
                nursery.cancel_scope.cancel()
        elif self._sent:
            with trio.move_on_at(self._sent[0][0]):
                await changed.wait()
        else:
            await changed.wait()


class SimStream(trio.abc.Stream):
    """One end."""

    def __init__(self, sends: _Pipe, receives: _Pipe) -> None:
        self._sends = sends
        self._receives = receives
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        await trio.lowlevel.checkpoint()
        await self._sends.put(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._closed:
            raise trio.ClosedResourceError
        received = await self._receives.get(max_bytes or 65_536)
        if self._closed:
            raise trio.ClosedResourceError
        return received

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._sends.end()
            self._receives.cut()
        await trio.lowlevel.checkpoint()

    def cut(self) -> None:
        """It breaks, with what is on its way."""
        self._sends.cut()
        self._receives.cut()


class SimNetwork:
    """All places, named, and the ways between them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.usual_s = 0.0
        """How late a piece is at most, where nothing is wrong."""
        self._paths: dict[tuple[str, str], Path] = {}
        self._listeners: dict[str, Callable[[trio.abc.Stream], Awaitable[None]]] = {}
        self._streams: dict[frozenset[str], list[SimStream]] = {}

    def path(self, start: str, end: str) -> Path:
        path = self._paths.get((start, end))
        if path is None:
            path = self._paths[start, end] = Path(self._random)
            path.usual_s = path.delay_s = self.usual_s
        return path

    def listen(self, place: str, accept: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        """Streams that are dialled to this place go to `accept` from now on."""
        self._listeners[place] = accept

    def deaf(self, place: str) -> None:
        """Nobody listens there any more."""
        self._listeners.pop(place, None)

    async def dial(self, start: str, end: str) -> SimStream:
        """A stream from one place to another. Raises OSError where nobody listens; takes as long as the way is shut."""
        forth, back = self.path(start, end), self.path(end, start)
        for path in (forth, back):
            await trio.sleep(path.draw())
            while path.shut:
                await path.opened.wait()
        accept = self._listeners.get(end)
        if accept is None:
            raise ConnectionRefusedError(f"nobody listens at {end}")
        sends, receives = _Pipe(forth), _Pipe(back)
        here, there = SimStream(sends, receives), SimStream(receives, sends)
        self._streams.setdefault(frozenset((start, end)), []).append(here)
        trio.lowlevel.spawn_system_task(_serve, accept, there)
        return here

    def cut(self, one: str, other: str) -> None:
        """All streams between two places break."""
        for stream in self._streams.pop(frozenset((one, other)), []):
            stream.cut()

    def cut_all(self, place: str) -> None:
        """All streams to and from a place break."""
        for ends in [ends for ends in self._streams if place in ends]:
            for stream in self._streams.pop(ends):
                stream.cut()

    def heal(self) -> None:
        """Every way is open, and as short as usual."""
        for path in self._paths.values():
            path.delay_s = path.usual_s
            while path.shut:
                path.open_it()


async def _serve(accept: Callable[[trio.abc.Stream], Awaitable[None]], stream: SimStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await accept(stream)
