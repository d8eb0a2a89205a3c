"""A watch that outlives its stream: the next one goes on at the next revision.

What is told of etcd's watches is tried (3.4), and partly read in its server/etcdserver/api/v3rpc/watch.go:

- Events of one revision come in one answer, or in fragments of one; a later revision only after them.
- A start that is compacted is told by `compact_revision`, and the stream stays open.
- Only a progress note (no events, once an interval) proves that all up to its revision was told. The first answer's
  revision does not.
- A member that hangs keeps the stream open and silent. So silence is a reason to ask that member something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import trio

from store.core.beside import beside
from store.core.errors import DrystoneError
from store.registry.etcd.endpoint import Endpoint
from store.registry.etcd.errors import understood
from store.registry.etcd.keyspace import Json, Keyspace, header_revision, number
from store.registry.interface import CompactedError, OutcomeUnknownError, UnavailableError
from store.registry.items import Event, Span

SILENCE_SECONDS: Final = 10.0
"""After so long without an event the member is asked whether it still serves."""

RETRY_SECONDS: Final = 0.5
"""Between two rounds through all members."""


class Position:
    """From answers, which may be fragments, to whole revisions, each of them once. Sans-I/O. Revisions are etcd's."""

    def __init__(self, keyspace: Keyspace, revision: int) -> None:
        self.next = revision
        """The first revision that was not told yet: where the next stream begins."""
        self._keyspace = keyspace
        self._begun: list[Event] = []

    def reopened(self) -> None:
        """What was begun comes again."""
        self._begun = []

    def feed(self, answer: Json) -> list[list[Event]]:
        """The revisions that are complete now, each with its events in the order of keys.

        Raises CompactedError where events due next are no longer kept, UnavailableError where the member gave the
        watch up for another reason.
        """
        if compacted := number(answer, "compact_revision"):
            raise CompactedError(
                f"events before revision {compacted + self._keyspace.offset} are no longer kept; "
                f"asked for {self.next + self._keyspace.offset}"
            )
        if answer.get("canceled"):
            raise UnavailableError(f"etcd gave the watch up: {answer.get('cancel_reason', 'no reason given')}")
        events = [self._keyspace.event(event) for event in answer.get("events", ())]
        if not events and not answer.get("created"):
            self.next = max(self.next, header_revision(answer) + 1)
            return []
        whole: list[list[Event]] = []
        for event in events:
            if self._begun and event.revision != self._begun[0].revision:
                whole.append(self._complete())
            self._begun.append(event)
        if self._begun and not answer.get("fragment"):
            whole.append(self._complete())
        return whole

    def _complete(self) -> list[Event]:
        whole = sorted(self._begun, key=lambda event: event.key)
        self._begun = []
        self.next = whole[0].revision - self._keyspace.offset + 1
        return whole


class Follower:
    """Reads a watch in a task of its own, so that whoever waits for the events can be cancelled without a loss."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        keyspace: Keyspace,
        span: Span,
        from_revision: int,
        serves: Callable[[Endpoint], Awaitable[None]],
    ) -> None:
        """`endpoints` may change meanwhile. `from_revision` is etcd's own, above 0. `serves` raises an error for a
        member that does not serve now."""
        self._endpoints = endpoints
        self._bounds = keyspace.bounds(span)
        self._position = Position(keyspace, from_revision)
        self._serves = serves
        self._send, receive = trio.open_memory_channel[list[Event] | DrystoneError](0)
        self.events = Events(receive)
        self._heard = 0.0
        self._created = False
        self._failure: DrystoneError | None = None

    async def run(self) -> None:
        """Until nobody reads, or until an error that no other member would mend was handed on. Raises none itself."""
        place = 0
        with suppress(trio.BrokenResourceError):
            while True:
                try:
                    await self._read(self._endpoints[place % len(self._endpoints)])
                except (UnavailableError, OutcomeUnknownError):
                    pass  # the next member may do better; calls say what is wrong
                except DrystoneError as error:
                    await self._send.send(error)
                    return
                place = (place + 1) % len(self._endpoints)
                if place == 0:
                    await trio.sleep(RETRY_SECONDS)

    async def _read(self, endpoint: Endpoint) -> None:
        """From one member, until it ends the stream, or tells nothing and does not serve."""
        self._position.reopened()
        self._heard, self._created = trio.current_time(), False
        request = {
            **self._bounds,
            "start_revision": str(self._position.next),
            "progress_notify": True,
            "fragment": True,
        }
        self._failure = None
        with trio.CancelScope() as stream:
            async with beside(self._guard, endpoint, stream):
                await endpoint.listen("/v3/watch", {"create_request": request}, self._take)
        if self._failure is not None:
            raise self._failure

    async def _take(self, answer: Json) -> None:
        self._created = True
        if "events" in answer:  # a member that is cut off from the others sends progress notes still
            self._heard = trio.current_time()
        with understood():
            fed = self._position.feed(answer)
        for events in fed:
            await self._send.send(events)

    async def _guard(self, endpoint: Endpoint, stream: trio.CancelScope) -> None:
        """Ends the stream of a member that neither tells of changes nor serves."""
        while True:
            await trio.sleep_until(self._heard + SILENCE_SECONDS)
            if trio.current_time() < self._heard + SILENCE_SECONDS:
                continue
            try:
                await self._serves(endpoint)
            except DrystoneError as error:
                self._failure = error
                stream.cancel()
            if not self._created:
                stream.cancel()
            self._heard = trio.current_time()


class Events:
    """An async iterator without end over single events. What ended it is raised again by every later call."""

    def __init__(self, receive: trio.MemoryReceiveChannel[list[Event] | DrystoneError]) -> None:
        self._receive = receive
        self._ready: deque[Event] = deque()
        self._failure: DrystoneError | None = None

    def __aiter__(self) -> Events:
        return self

    def close(self) -> None:
        """Nobody reads any more."""
        self._receive.close()

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        if not self._ready:
            if self._failure is not None:
                raise self._failure
            received = await self._receive.receive()
            if isinstance(received, DrystoneError):
                self._failure = received
                raise received
            self._ready.extend(received)
        return self._ready.popleft()
