"""A line in which nobody is pushed back by how often others ask: fair queueing by address, and by name within each.

Every address waits as if the line were its own and ran at a share of the speed, and so does every name at one address.
Who has got in before from there is *familiar* and waits in a line beside, so that a storm of strangers, whatever names
they try and wherever they come from, does not keep them out. That a name exists makes no one familiar: a difference in
waiting would tell strangers which names there are.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import trio

from store.core.errors import BusyError

FAMILIAR_TURNS: Final = 3
"""Turns of familiar ones in a row, after which a stranger has one."""


class Caller(NamedTuple):
    """Whose turn it is to be."""

    address: str
    name: str
    familiar: bool = False


@dataclass(eq=False)
class _Waiter:
    caller: Caller
    tag: int
    called: trio.Event = field(default_factory=trio.Event)
    refused: bool = False


class _Tags:
    """Start-time fair queueing: each key's turns are one apart, and none begins before what is served now."""

    def __init__(self) -> None:
        self._now = 0
        self._next: dict[str, int] = {}

    def give(self, key: str) -> int:
        tag = max(self._now, self._next.get(key, 0))
        self._next[key] = tag + 1
        return tag

    def serve(self, tag: int) -> None:
        if tag > self._now:
            self._now = tag
            self._next = {key: after for key, after in self._next.items() if after > tag}


class _Address:
    """Those who wait at one address. Which of them has the address's next slot is decided among them."""

    def __init__(self) -> None:
        self.slots: deque[int] = deque()
        self.tags = _Tags()
        self.waiters: list[_Waiter] = []

    def last_of_most(self, own: str) -> _Waiter:
        """The last who came for the name that most wait for; of several such names for `own`."""
        counts = Counter(waiter.caller.name for waiter in self.waiters)
        most = max(counts, key=lambda name: (counts[name], name == own))
        return next(waiter for waiter in reversed(self.waiters) if waiter.caller.name == most)


class _Line:
    """Those who wait, in the order of their turns."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tags = _Tags()
        self._addresses: dict[str, _Address] = {}
        self.count = 0

    def join(self, caller: Caller) -> _Waiter:
        """Wait. Where that is one too many, the last of the longest share is refused, which may be this one."""
        address = self._addresses.setdefault(caller.address, _Address())
        waiter = _Waiter(caller, address.tags.give(caller.name))
        address.slots.append(self._tags.give(caller.address))
        address.waiters.append(waiter)
        self.count += 1
        if self.count > self._most:
            longest = max(self._addresses.values(), key=lambda held: (len(held.waiters), held is address))
            refused = longest.last_of_most(caller.name)
            self.leave(refused)
            refused.refused = True
            refused.called.set()
        return waiter

    def leave(self, waiter: _Waiter) -> None:
        """Wait no longer."""
        address = self._addresses[waiter.caller.address]
        address.waiters.remove(waiter)
        address.slots.pop()
        self._forget(waiter.caller.address, address)

    def call(self) -> _Waiter:
        """Whoever's turn it is, who waits no longer."""
        name, address = min(self._addresses.items(), key=lambda item: item[1].slots[0])
        waiter = min(address.waiters, key=lambda waiter: waiter.tag)
        self._tags.serve(address.slots.popleft())
        address.tags.serve(waiter.tag)
        address.waiters.remove(waiter)
        self._forget(name, address)
        return waiter

    def _forget(self, name: str, address: _Address) -> None:
        self.count -= 1
        if not address.waiters:
            del self._addresses[name]


class FairLine:
    """`async with line.turn(caller)`: at most so many at once, the others in line, of each kind at most so many."""

    def __init__(self, at_once: int, waiting_max: int) -> None:
        self._free = at_once
        self._familiar = _Line(waiting_max)
        self._strangers = _Line(waiting_max)
        self._in_a_row = 0

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Wait for one's turn, and have it. Raises BusyError where too many wait."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, caller: Caller) -> None:
        line = self._familiar if caller.familiar else self._strangers
        waiter = line.join(caller)
        try:
            await waiter.called.wait()
        except trio.Cancelled:
            if not waiter.called.is_set():
                line.leave(waiter)
            elif not waiter.refused:
                self._pass_on()
            raise
        if waiter.refused:
            raise BusyError("too many logins at once")

    def _pass_on(self) -> None:
        """A turn has ended, and the next begins."""
        familiar, strangers = self._familiar.count, self._strangers.count
        if familiar and not (strangers and self._in_a_row >= FAMILIAR_TURNS):
            self._in_a_row += 1
            self._familiar.call().called.set()
        elif strangers:
            self._in_a_row = 0
            self._strangers.call().called.set()
        else:
            self._free += 1
