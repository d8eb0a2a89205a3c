"""A client of another process: one link, dialled again whenever it breaks, and what was asked over it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import structlog
import trio

from store.core.errors import BusyError, DrystoneError
from store.wire.errors import ProtocolError, UnreachableError, unpack_error
from store.wire.frame import HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, Buffer, Frame
from store.wire.link import Link
from store.wire.message import CANCEL, CREDIT, END, ERROR, ITEM, NOTE, REPLY, REQUEST, Hello, outline

log = structlog.get_logger()

REDIAL_SECONDS, REDIAL_SECONDS_MAX = 0.1, 5.0
CREDITS: Final = 64
"""Items of a stream that may be on their way to who has not looked at them."""

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a stream to the other process, that of TLS included. Raises OSError, UnreachableError, ProtocolError."""

OnAnswer = Callable[[Any, bytes | bytearray, DrystoneError | None], None]
"""Called with the result and the payload of an answer, or with an error; exactly once, on the event loop. It must not
raise: if it does, the link ends."""


class Answer(NamedTuple):
    """What was awaited."""

    result: Any
    payload: bytes | bytearray


class WireClient:
    """Asks one process for things. `run` is to be running; while there is no link, whatever is asked raises."""

    def __init__(self, dial: Dial, mine: Hello) -> None:
        self._dial = dial
        self._mine = mine
        self._link: Link | None = None
        self._last_id = 0
        """Grows from link to link, so that who has to do with a request of a link before finds none of this one."""
        self._asked: dict[int, OnAnswer] = {}
        self._streams: dict[int, _Stream] = {}
        self._up = trio.Event()
        self.peer = ""
        """The node at the other end, as far as it has ever said."""
        self.why = "it has not been dialled yet"
        """Why there is no link, while there is none."""
        self.on_up: Callable[[Hello], None] | None = None
        """Called when there is a link again, with what the other says of itself."""
        self.on_down: Callable[[], None] | None = None
        """Called when there is none any more, and all that was asked has been answered."""

    @property
    def up(self) -> bool:
        """Whether there is a link."""
        return self._link is not None

    async def wait_up(self) -> None:
        """Wait until there is a link."""
        while self._link is None:
            await self._up.wait()

    # -- asking --------------------------------------------------------------------------------------------------

    def submit(
        self,
        method: str,
        arguments: Sequence[Any],
        on_answer: OnAnswer,
        payload: Buffer = b"",
        *,
        seconds: float = 0.0,
        background: bool = False,
    ) -> int:
        """Ask for something; `on_answer` is called when it is answered, or when the link breaks. The other side does
        not work for longer than `seconds`, if any. The request's id. Raises UnreachableError where nothing was asked,
        ProtocolError where it is too large to be."""
        if self._link is None:
            raise UnreachableError(self.why)
        number = self._last_id + 1
        request = (REQUEST, number, method, int(seconds * 1000), "", arguments)
        self._link.send(request, payload, background=background)
        self._last_id = number
        self._asked[number] = on_answer
        return number

    def note(self, method: str, arguments: Sequence[Any]) -> None:
        """Tell something that is not answered, and may be lost with the link. Raises as `submit`."""
        if self._link is None:
            raise UnreachableError(self.why)
        self._link.send((NOTE, method, arguments))

    async def call(
        self,
        method: str,
        arguments: Sequence[Any],
        payload: Buffer = b"",
        *,
        seconds: float | None = None,
        background: bool = False,
    ) -> Answer:
        """Ask for something and wait for it. Raises what the other side raises; UnreachableError where the link breaks,
        BusyError where no answer has come after so many seconds."""
        answers: list[tuple[Any, bytes | bytearray, DrystoneError | None]] = []
        answered = trio.Event()

        def on_answer(result: Any, payload: bytes | bytearray, error: DrystoneError | None) -> None:
            answers.append((result, payload, error))
            answered.set()

        number = self.submit(method, arguments, on_answer, payload, seconds=seconds or 0.0, background=background)
        try:
            with trio.move_on_after(math.inf if seconds is None else seconds):
                await answered.wait()
        finally:
            if not answers:
                self.cancel(number, background=background)
        if not answers:
            raise BusyError(f"{method} was not answered within {seconds:.0f} s")
        result, received, error = answers[0]
        if error is not None:
            raise error
        return Answer(result, received)

    def cancel(self, number: int, *, background: bool = False) -> None:
        """Nobody waits for an answer any more. What was asked for may take effect. `background` as when it was asked,
        so that this does not overtake it."""
        asked = self._asked.pop(number, None) or self._streams.pop(number, None)
        if asked is not None and self._link is not None:
            self._link.send((CANCEL, number), background=background)

    @asynccontextmanager
    async def stream(self, method: str, arguments: Sequence[Any]) -> AsyncIterator[AsyncIterator[Any]]:
        """Ask for a stream of items, which ends when the other side ends it, and raises what it raises;
        UnreachableError where the link breaks. No more than CREDITS items are on their way."""
        stream = _Stream(self._grant)

        def failed(_result: Any, _payload: bytes | bytearray, error: DrystoneError | None) -> None:
            self._streams.pop(number, None)
            stream.end(error)

        number = stream.number = self.submit(method, arguments, failed)
        self._streams[number] = stream
        self._grant(number, CREDITS)
        try:
            yield stream
        finally:
            self._streams.pop(number, None)
            self.cancel(number)

    def _grant(self, number: int, count: int) -> None:
        if self._link is not None and number in self._streams:
            self._link.send((CREDIT, number, count))

    # -- the link ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a link up, until cancelled."""
        wait = REDIAL_SECONDS
        while True:
            began = trio.current_time()
            why = "it is not asked any more"
            try:
                await self._serve_one()
            except (UnreachableError, ProtocolError, OSError) as error:
                why = str(error) or type(error).__name__
                if why != self.why:
                    log.warning("no link", to=self.peer, why=why)
            finally:
                self._down(why)
            if trio.current_time() - began > REDIAL_SECONDS_MAX:
                wait = REDIAL_SECONDS
            await trio.sleep(wait)
            wait = min(2 * wait, REDIAL_SECONDS_MAX)

    async def _serve_one(self) -> None:
        stream = await self._dial()
        try:
            await self._serve(Link(stream))
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve(self, link: Link) -> None:
        theirs, _version = await link.begin(self._mine, asked=False)
        self._link = link
        self.peer = theirs.node
        self._up.set()
        if self.on_up is not None:
            self.on_up(theirs)
        try:
            await link.run(self._take, HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX)
        finally:
            self._link = None
            self._up = trio.Event()

    def _down(self, why: str) -> None:
        self.why = why
        error = UnreachableError(why)
        asked, self._asked = self._asked, {}
        for on_answer in asked.values():
            _tell(on_answer, None, b"", error)
        if self.on_down is not None:
            self.on_down()

    def _take(self, kind: int, frame: Frame) -> None:
        fields, payload, _ = frame
        number = fields[1]
        if kind not in (REPLY, ERROR, ITEM, END) or not 0 < number <= self._last_id:
            raise ProtocolError(f"an answer that was not asked for: {outline(fields)}")
        if kind == ITEM:
            stream = self._streams.get(number)
            if stream is not None:
                stream.put(fields[2])
            return
        on_answer = self._asked.pop(number, None)
        if on_answer is None:
            return
        if kind == REPLY:
            taken = _tell(on_answer, fields[2], payload, None)
        elif kind == ERROR:
            taken = _tell(on_answer, None, b"", unpack_error(fields[2], fields[3]))
        else:
            taken = _tell(on_answer, None, b"", None)
        if not taken:
            raise ProtocolError("an answer was not taken in")


def _tell(on_answer: OnAnswer, result: Any, payload: bytes | bytearray, error: DrystoneError | None) -> bool:
    """Whether an answer was taken in."""
    try:
        on_answer(result, payload, error)
    except Exception:
        log.exception("an answer was not taken in")
        return False
    return True


class _Stream:
    """The items of a stream, for one reader."""

    def __init__(self, grant: Callable[[int, int], None]) -> None:
        self.number = 0
        self._grant = grant
        self._items: deque[Any] = deque()
        self._taken = 0
        self._ended = False
        self._error: DrystoneError | None = None
        self._changed = trio.Event()

    def put(self, item: Any) -> None:
        if len(self._items) >= CREDITS:
            raise ProtocolError("more items came than there was credit for")
        self._items.append(item)
        self._changed.set()

    def end(self, error: DrystoneError | None) -> None:
        self._ended = True
        self._error = error
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._changed = trio.Event()
            await self._changed.wait()
        item = self._items.popleft()
        self._taken += 1
        if self._taken == CREDITS // 2:
            self._taken = 0
            self._grant(self.number, CREDITS // 2)
        return item
