"""Transmission: requests of one connection are done at the same time, and answered as each is ready.

Workers take turns to lead (leader/followers, Schmidt et al. 2000): the leader reads one request, makes another worker
the leader, and does the request itself. So a request costs no task of its own, and is not handed from one to another.
Where nothing has to be waited for the leader has done it before anybody else had a turn, and leads on. When all
workers are busy nobody reads.

What is ready leaves together: the leader sends it before it waits for the client; what others made ready, or what the
client does not take at once, one writer sends.

The input ends when the client ends it (DISC, or its side of the connection), breaks the protocol, stalls in the midst
of a request, or when the server stops. What is in flight is done and answered in any case.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from gateway.nbd.commands import Commands
from gateway.nbd.limits import Limits
from gateway.nbd.protocol import PAYLOAD_BYTES_MAX, Command, ProtocolError
from gateway.nbd.transmission import STATUS_EXTENTS_MAX, Buffer, Request, Requests
from gateway.nbd.transport import Transport

logger = logging.getLogger(__name__)

_READ: Final = int(Command.READ)
_WRITE: Final = int(Command.WRITE)
_DISC: Final = int(Command.DISC)
_STATUS: Final = int(Command.BLOCK_STATUS)
_SMALL_BYTES: Final = 512
"""What a request and its reply take without their data."""
_SEND_BYTES: Final = 128 * 1024
"""When so much is ready it is sent, although more requests have come that can be done first."""
_READ_BYTES: Final = 256 * 1024
"""Several large payloads at once, which then are views of what came. A payload that came in part is copied."""
_DIRECT_BYTES: Final = 64 * 1024
"""Where more is missing of a payload it is received straight into its place."""


class Connection:
    """The transmission phase of one client. `run` once."""

    def __init__(self, transport: Transport, commands: Commands, limits: Limits, begun: bytes = b"") -> None:
        """`begun`: what has come behind the handshake."""
        self._transport = transport
        self._commands = commands
        self._limits = limits
        self._requests = Requests()
        self._requests.feed(begun)
        self._leading = False
        self._called = False
        """A follower was called, and has not come yet."""
        self._ended = False
        """No more requests are read."""
        self._receiving: trio.CancelScope | None = None
        self._workers = 0
        self._followers = trio.lowlevel.ParkingLot()
        self._in_flight = 0
        self._room = trio.lowlevel.ParkingLot()
        self._outbox: list[Buffer] = []
        self._outbox_cost = 0
        self._ready = trio.lowlevel.ParkingLot()
        self._writing = False
        """The writer is sending: nobody else does."""
        self._all_done = False
        self._gone = False
        """The client takes no more replies."""

    async def run(self) -> None:
        """Until the input has ended and all replies have left, or nobody takes them."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            async with trio.open_nursery() as self._nursery:
                self._add_worker()
            self._all_done = True
            self._ready.unpark_all()

    def end_input(self) -> None:
        """No more requests are read; those that were are done."""
        self._ended = True
        if self._receiving is not None:
            self._receiving.cancel()
        self._followers.unpark_all()
        self._room.unpark_all()

    def _add_worker(self) -> None:
        self._workers += 1
        self._nursery.start_soon(self._work)

    def _call_follower(self) -> None:
        if self._called:
            return
        if self._followers:
            self._called = True
            self._followers.unpark()
        elif self._workers < self._limits.requests:
            self._called = True
            self._add_worker()

    async def _work(self) -> None:
        self._called = False
        while not self._ended:
            if self._leading:
                await self._followers.park()
                self._called = False
                continue
            self._leading = True
            request = await self._lead()
            if request is None:
                self.end_input()
                return
            payload: Buffer = b""
            if request.command == _WRITE:
                taken = await self._take_payload(request.length)
                if taken is None:
                    self.end_input()
                    return
                payload = taken
            self._leading = False
            self._call_follower()
            reply = await self._commands.run(request, payload)
            del payload
            self._answer(reply, _cost(request))
            if self._leading or self._ended:  # else this one leads, and sends before it waits
                self._ready.unpark()

    async def _lead(self) -> Request | None:
        """The next request, and the room for it. None: there is none any more."""
        try:
            while (request := self._requests.next_head()) is None:
                self._send_now()
                if not await self._receive():
                    return None
        except ProtocolError as error:
            logger.info("a client breaks the protocol: %s", error)
            return None
        if request.command == _DISC:
            return None
        cost = _cost(request)
        while self._is_full(cost):
            self._send_now()
            if self._is_full(cost):
                await self._room.park()
            if self._ended:
                return None
        self._in_flight += cost
        return request

    def _is_full(self, cost: int) -> bool:
        """What is larger than the bound itself has it alone."""
        return self._in_flight > 0 and self._in_flight + cost > self._limits.bytes_in_flight

    async def _take_payload(self, length: int) -> Buffer | None:
        while (payload := self._requests.payload(length)) is None:
            self._send_now()
            if not await self._receive():
                return None
        return payload

    async def _receive(self) -> bool:
        """Has more come? False: the input has ended."""
        if self._ended:
            return False
        limit = self._limits.stall if self._requests.partial else float("inf")
        gap = self._requests.gap()
        with trio.CancelScope(deadline=trio.current_time() + limit) as self._receiving:
            try:
                if gap is not None and len(gap) > _DIRECT_BYTES:
                    length = await self._transport.receive_into(gap)
                    self._requests.filled(length)
                else:
                    data = await self._transport.receive(_READ_BYTES)
                    length = len(data)
                    self._requests.feed(data)
            except OSError as error:
                logger.debug("a client was lost: %s", error)
                return False
        if self._receiving.cancelled_caught:
            if not self._ended:
                logger.info("a client stalled in the midst of a request")
            return False
        return length > 0 and not self._ended

    def _answer(self, reply: list[Buffer], cost: int) -> None:
        if self._gone:
            return
        self._outbox += reply
        self._outbox_cost += cost
        if self._outbox_cost > _SEND_BYTES:
            self._send_now()

    def _send_now(self) -> None:
        """Sends what leaves at once. The rest is left to the writer."""
        if self._writing or not self._outbox:
            return
        try:
            self._outbox = self._transport.send_now(self._outbox)
        except OSError as error:
            self._lose(error)
            return
        if self._outbox:
            self._ready.unpark()
            return
        self._in_flight -= self._outbox_cost
        self._outbox_cost = 0
        self._room.unpark_all()

    def _lose(self, error: OSError | trio.TooSlowError) -> None:
        logger.info("a client takes no more replies: %s", error or "too slow")
        self._gone = True
        self._outbox.clear()
        self.end_input()

    async def _write(self) -> None:
        while not self._gone:
            if not self._outbox:
                if self._all_done:
                    return
                await self._ready.park()
                continue
            parts, self._outbox = self._outbox, []
            cost, self._outbox_cost = self._outbox_cost, 0
            self._writing = True
            try:
                await self._transport.send(parts, self._limits.stall)
            except (OSError, trio.TooSlowError) as error:
                self._lose(error)
            self._writing = False
            self._in_flight -= cost
            self._room.unpark_all()


def _cost(request: Request) -> int:
    """The bytes that it holds until its reply has left."""
    if request.command in (_READ, _WRITE):
        return _SMALL_BYTES + min(request.length, PAYLOAD_BYTES_MAX)  # above it is refused
    return _SMALL_BYTES + (8 * STATUS_EXTENTS_MAX if request.command == _STATUS else 0)
