"""What answers for this process: requests come in over links, handlers answer them.

A handler is a plain function, called on the event loop with a `Call`. It answers at once, or hands the call to whoever
answers later, or begins a task for it: nothing is waited for in between, so a request whose device hangs is in nobody's
way. What one link may have under way is bounded.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog
import trio

from store.core.errors import BusyError, DrystoneError, InvalidError
from store.wire.authority import node_name
from store.wire.errors import ProtocolError, UnreachableError, pack_error
from store.wire.frame import HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, Buffer, Frame
from store.wire.link import Link
from store.wire.message import CANCEL, CREDIT, END, ERROR, ITEM, NOTE, REPLY, REQUEST, Hello, outline

log = structlog.get_logger()

NOTED: Final = 0
"""Instead of an id, of what is not answered."""
CALLS_MAX: Final = 8192
"""Requests of one link that are not answered."""
CALL_BYTES_MAX: Final = 128 * 1024 * 1024
"""What they took of the stream together, arguments and payloads."""
ANSWER_BYTES_MAX: Final = 128 * 1024 * 1024
"""While so much waits to be sent to who asked, no payload is put behind it: who asks for much and reads little would
have it all held here."""


class Call:
    """One request. It is answered exactly once, by `answer` or `refuse`; later answers go nowhere. A note is a call
    whose answer nobody hears."""

    __slots__ = ("_background", "_credit", "_peer", "_scope", "arguments", "number", "payload", "seconds", "size")

    def __init__(
        self, peer: Peer, number: int, arguments: list[Any], payload: bytes | bytearray, seconds: float, size: int
    ) -> None:
        self._peer = peer
        self._scope: trio.CancelScope | None = None
        self._credit = 0
        self._background = False
        self.number = number
        self.arguments = arguments
        self.payload = payload
        self.size = size
        """Bytes that it took of the stream."""
        self.seconds = seconds
        """How long who asks waits; 0: until it is answered."""

    @property
    def peer(self) -> Peer:
        """Who asks."""
        return self._peer

    def in_background(self) -> None:
        """The answer may wait for those that are not."""
        self._background = True

    def answer(self, result: Any = None, payload: Buffer = b"") -> None:
        if payload and self._peer.link.waiting_bytes > ANSWER_BYTES_MAX:
            self.refuse(BusyError("too much waits to be sent to who asks"))
        elif self._peer.finish(self):
            try:
                self._peer.link.send((REPLY, self.number, result), payload, background=self._background)
            except ProtocolError as error:  # larger than any answer may be
                self._peer.link.send((ERROR, self.number, *pack_error(error)))
            except Exception as error:
                log.exception("an answer cannot be sent")
                self._peer.link.send((ERROR, self.number, *pack_error(_internal(error))))

    def refuse(self, error: DrystoneError) -> None:
        if self._peer.finish(self):
            self._peer.link.send((ERROR, self.number, *pack_error(error)))

    def begin(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Answer with what a task returns or raises. It is cancelled when nobody waits, even before it has begun.
        Raises InvalidError for a note: what nobody waits for is not counted, and nobody would end it."""
        if self.number == NOTED:
            raise InvalidError("this is to be asked for, not to be noted")
        self._scope = trio.CancelScope(deadline=trio.current_time() + (self.seconds or math.inf))
        self._peer.nursery.start_soon(self._run, work, self._scope)

    async def room(self) -> None:
        """Wait until who asked has room for another item of a stream, and the link has, too: what is to be sent should
        be fetched after this, and nothing be held by who does not read."""
        while self._credit < 1:
            await self._peer.credited.wait()
        await self._peer.link.room()

    async def send(self, item: Any) -> None:
        """Send an item of a stream, as soon as there is room for it."""
        await self.room()
        self._credit -= 1
        self._peer.link.send((ITEM, self.number, item), background=self._background)

    async def _run(self, work: Callable[[], Awaitable[Any]], scope: trio.CancelScope) -> None:
        with scope:
            try:
                result = await work()
            except DrystoneError as error:
                self.refuse(error)
            except Exception as error:
                log.exception("a request failed")
                self.refuse(_internal(error))
            else:
                self.answer(result)
        if scope.cancelled_caught:
            self.refuse(BusyError("who asked does not wait any longer"))

    def end(self) -> None:
        """The stream is over."""
        if self._peer.finish(self):
            self._peer.link.send((END, self.number))

    def credit(self, count: int) -> None:
        self._credit += count

    def cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()


Handler = Callable[[Call], None]
"""May raise DrystoneError, which is the answer. What arguments of other types raise says that they are not what the
method takes."""


class Peer:
    """Another process on the other side of a link, and what it asks for."""

    def __init__(self, link: Link, hello: Hello, nursery: trio.Nursery) -> None:
        self.link = link
        self.hello = hello
        self.nursery = nursery
        self.credited = trio.Event()
        self.handlers: dict[str, Handler] = {}
        """By method."""
        self.on_gone: list[Callable[[], None]] = []
        """Called when the link has ended."""
        self._calls: dict[int, Call] = {}
        self._call_bytes = 0

    def take(self, kind: int, frame: Frame) -> None:
        """Take a message. Raises ProtocolError for one that no client sends."""
        fields, payload, size = frame
        if kind == REQUEST:
            _, number, method, milliseconds, _, arguments, *_ = fields
            if number <= NOTED or number in self._calls:
                raise ProtocolError("the id of a request is used again")
            call = Call(self, number, arguments, payload, milliseconds / 1000, size)
            self._calls[number] = call
            self._call_bytes += size
            if len(self._calls) > CALLS_MAX or self._call_bytes > CALL_BYTES_MAX:
                call.refuse(BusyError("too much of this link is under way"))
            else:
                self._handle(method, call)
        elif kind == NOTE:
            self._handle(fields[1], Call(self, NOTED, fields[2], payload, 0.0, size))
        elif kind == CANCEL:
            cancelled = self._calls.get(fields[1])
            if cancelled is not None:
                cancelled.cancel()
        elif kind == CREDIT:
            credited = self._calls.get(fields[1])
            if credited is not None and fields[2] > 0:
                credited.credit(fields[2])
                self.credited.set()
                self.credited = trio.Event()
        else:
            raise ProtocolError(f"a client does not send this: {outline(fields)}")

    def _handle(self, method: str, call: Call) -> None:
        handler = self.handlers.get(method)
        try:
            if handler is None:
                raise InvalidError(f"there is no method {method!r} here")
            handler(call)
        except DrystoneError as error:
            call.refuse(error)
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, struct.error) as error:
            log.warning("a request that cannot be understood", method=method, node=self.hello.node, exc_info=error)
            call.refuse(InvalidError(f"{method} does not take these arguments: {error}"))
        except Exception as error:
            log.exception("a request failed", method=method)
            call.refuse(_internal(error))

    def finish(self, call: Call) -> bool:
        """Whether a call was still to be answered; it is not any more."""
        if self._calls.pop(call.number, None) is None:
            return False
        self._call_bytes -= call.size
        return True

    def end(self) -> None:
        """The link has ended."""
        for gone in self.on_gone:
            try:
                gone()
            except Exception:
                log.exception("the end of a link was not taken in", node=self.hello.node)


def _internal(error: Exception) -> DrystoneError:
    return DrystoneError(f"internal error: {error!r}")


Service = Callable[[Peer], None]
"""Adds its handlers to those of a new peer."""


def anybody(_hello: Hello) -> str:
    """Refuses nobody: whoever has come so far is of the cluster."""
    return ""


def _misnamed(hello: Hello, name: str | None) -> str:
    """Why who says this is not who the certificate says, or nothing."""
    if name is None or name == node_name(hello.node, hello.cluster):
        return ""
    return f"the certificate is that of {name}, not of node {hello.node}"


async def serve_link(
    stream: trio.abc.Stream,
    mine: Hello,
    services: Sequence[Service],
    admit: Callable[[Hello], str] = anybody,
    *,
    name: str | None = None,
    frame_max: tuple[int, int] = (HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX),
) -> None:
    """Serve one stream to its end. Whatever goes wrong ends this link, and not who listens. `admit` says why a node is
    not to be served, or nothing. `name` is that in the certificate of who dialled, who is refused
    if it says to be another; None where there are no certificates. Frames above `frame_max` (head, payload) end the
    link."""
    link = Link(stream)
    try:
        theirs, _version = await link.begin(mine, asked=True)
        refusal = _misnamed(theirs, name) or admit(theirs)
        if refusal:
            await link.refuse(refusal)
            return
        async with trio.open_nursery() as nursery:
            peer = Peer(link, theirs, nursery)
            for service in services:
                service(peer)
            try:
                await link.run(peer.take, *frame_max)
            finally:
                peer.end()
                nursery.cancel_scope.cancel()
    except* (UnreachableError, ProtocolError) as group:
        log.info("a link has ended", why=str(group.exceptions[0]))
    except* Exception as group:
        log.exception("a link has failed", exc_info=group)
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
