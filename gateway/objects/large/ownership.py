"""Manifest ownership: which manifest owns which segments, durable before the manifest is there and until the last
segment is gone.

An ownership record is an object of a hidden account, named by its manifest's token. However a manifest goes, be it
deleted, written over or expired, what remains is an ownership record without a manifest: then the segments that are
still marked go, and the ownership record after them. Nothing is done in the way of whoever removes a manifest, and
every step may be repeated.

    making     the manifest is about to be written; whoever writes it is the one to say how that went
    held       it was written
    withdrawn  it will not be; marks are taken away, and no segment with them
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
import trio

from gateway.objects.errors import OwnershipError
from gateway.objects.large.owned_marks import LISTED_OWNS, OWNERS_MAX, OWNING, is_owned_by, owned, owners, released
from gateway.objects.reading import whole
from gateway.objects.small import keep
from gateway.objects.versions.archive import is_archived
from gateway.objects.versions.names import HISTORY, MODE, STACK, before_versions, hidden_account, hidden_container
from gateway.objects.versions.pointer import ABSENT, TRIES
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import BusyError, CallerError, DrystoneError, NotFoundError, PreconditionError, RetryableError
from store.core.limits import LISTING_ROWS_MAX
from store.objects.interface import ObjectStore
from store.objects.model import Container, ListingQuery, ObjectEntry, ObjectHead, ObjectInfo
from store.replicator.progress import Progress

log = structlog.get_logger()

_T = TypeVar("_T")

ACCOUNT, OWNERSHIP = "owned\0segments", "claims"
"""Where ownership records are; no client can name the account."""

UNDECIDED_SECONDS = 3600.0
"""An ownership record still in the making after this is taken for its writer's who died. If the writer lives all the
same, it finds its ownership record withdrawn and takes its manifest back: load, not safety, sets this."""
ROUND_SECONDS = 60.0
PAGE, PAGE_SECONDS = 100, 0.2
"""Manifest ownership looked at in a row, and the pause behind them. Load, not safety, sets these and the pause between
rounds."""

_STATE = ".state"
_MAKING, _HELD, _WITHDRAWN = "making", "held", "withdrawn"
_PLACE = (".account", ".container", ".container-id", ".object")
_AT_ONCE = 8
_WAITING_MAX = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """A segment as it was when its manifest was checked."""

    container: Container
    info: ObjectInfo
    linked: bool = False
    """Whether it was reached by a symlink, which may point elsewhere when it is read."""


class _WithdrawnError(Exception):
    """The ownership record is no longer its writer's."""


class ManifestOwnership:
    """All ownership records of a store."""

    def __init__(self, store: ObjectStore, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._tell, self._told = trio.open_memory_channel[str](_WAITING_MAX)

    # -- a manifest comes ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def making(self, container: Container, name: str, segments: Sequence[Seen]) -> AsyncIterator[str]:
        """Own these segments by the manifest that is written within, with the token given.

        Raises OwnershipError where a segment is no more what was seen, or the container keeps older versions in
        plain sight.
        """
        await self._note_owning(container)
        token = await self._record(container, name, segments)
        try:
            await _each(segments, lambda seen: self._mark(seen, token))
            yield token
        except CallerError:  # not written for certain; after other errors it may be there
            with trio.CancelScope(shield=True), suppress(RetryableError):  # a round does it else
                await self._withdraw(segments, token)
            raise
        try:
            await self._become(token, _HELD)
        except (_WithdrawnError, NotFoundError):  # given up, or resolved already
            there = await self._take_back(container, name, token)
            await self._withdraw(segments, token)
            if there:
                raise BusyError("the manifest took too long") from None

    async def _note_owning(self, container: Container) -> None:
        if OWNING not in container.headers:
            container, _ = await self._store.put_container(container.account, container.name, {OWNING: "True"})
        if container.headers.get(MODE) in (STACK, HISTORY):
            raise OwnershipError("Manifests cannot own segments where older versions are copied to another container.")

    async def _record(self, container: Container, name: str, segments: Iterable[Seen]) -> str:
        body = json.dumps([(seen.container.name, seen.container.id.hex(), seen.info.name) for seen in segments])
        place = zip(_PLACE, (container.account, container.name, container.id.hex(), name), strict=True)
        head = ObjectHead("application/json", {**dict(place), _STATE: _MAKING})
        ownership = await self._made()
        for _ in range(TRIES):
            token = self._random.bytes(12).hex()
            with suppress(PreconditionError):
                await keep(self._store, ownership, token, body.encode(), head, ABSENT)
                return token
        raise BusyError("random numbers repeat themselves")

    async def _made(self) -> Container:
        try:
            return await self._store.container(ACCOUNT, OWNERSHIP)
        except NotFoundError:
            await self._store.put_account(ACCOUNT, {})
            made, _ = await self._store.put_container(ACCOUNT, OWNERSHIP, {})
            return made

    async def _mark(self, seen: Seen, token: str) -> None:
        def edit(info: ObjectInfo) -> ObjectHead:
            if info.created != seen.info.created:
                raise NotFoundError("it was written over")
            if len(owners(info)) >= OWNERS_MAX:
                raise OwnershipError(f"Segment {info.name!r} is owned by {OWNERS_MAX} manifests, which is the most.")
            return owned(info.head, token)

        try:
            await self._store.update(seen.container, seen.info.name, edit)
        except NotFoundError:
            raise OwnershipError(f"Segment {seen.info.name!r} was changed meanwhile.") from None

    async def _become(self, token: str, state: str) -> None:
        def edit(info: ObjectInfo) -> ObjectHead:
            if info.head.headers[_STATE] not in (_MAKING, state):
                raise _WithdrawnError
            return replace(info.head, headers={**info.head.headers, _STATE: state})

        await self._store.update(await self._made(), token, edit)

    async def _withdraw(self, segments: Iterable[Seen], token: str) -> None:
        """Take all marks away, also those that were made after the ownership record was given up."""
        with suppress(NotFoundError, _WithdrawnError):
            await self._become(token, _WITHDRAWN)

        async def unmark(seen: Seen) -> None:
            with suppress(NotFoundError):
                await self._release_one(seen.container, seen.info.name, token, unmade=True)

        await _each(segments, unmark)
        await self._forget(token)

    async def _take_back(self, container: Container, name: str, token: str) -> bool:
        """Remove a manifest that has no ownership record. False where somebody has removed it or written over it
        since."""
        try:
            await self._store.delete(container, name, check=is_owned_by(token))
        except (NotFoundError, PreconditionError):
            return is_archived(container)  # it may be a version, and is left as one that owns nothing
        return True

    # -- a manifest goes -----------------------------------------------------------------------------------------

    def gone(self, token: str) -> None:
        """A manifest that was there is removed or written over: resolve its ownership record soon."""
        with suppress(trio.WouldBlock):  # so many at once: the next round finds what is not told
            self._tell.send_nowait(token)

    async def resolve(self, token: str, *, seen: bool = False) -> int:
        """Remove the segments of a manifest that is no more; how many there were. `seen` says that it was there."""
        try:
            ownership = await self._store.container(ACCOUNT, OWNERSHIP)
            record = await self._store.head(ownership, token)
        except NotFoundError:
            return 0
        state = record.head.headers[_STATE]
        try:
            if state == _MAKING:
                if not seen and self._clock.wall_us() - record.created.time_us < UNDECIDED_SECONDS * 1e6:
                    return 0
                state = _HELD if seen or await self._is_there(record) else _WITHDRAWN
                await self._become(token, state)
            if state == _HELD and await self._is_there(record):
                return 0
            return await self._release(ownership, record, unmade=state == _WITHDRAWN)
        except (_WithdrawnError, NotFoundError):
            return 0  # another one resolves it, or has

    async def _is_there(self, record: ObjectInfo) -> bool:
        """Whether the manifest is anywhere. An object becomes a version by being copied first, so it is looked for at
        its own place and then among the versions. What has expired is there until it is collected."""
        account, container_name, container_id, name = (record.head.headers[note] for note in _PLACE)
        is_it = is_owned_by(record.name)
        try:
            container = await self._store.container(account, container_name)
            if container.id.hex() != container_id:
                return False
            with suppress(NotFoundError):
                if is_it(await self._store.head(container, name, expired=True)):
                    return True
            container = await self._store.container(account, container_name)
            if container.headers.get(MODE) in (STACK, HISTORY):
                return True  # a copy may be wherever the client said
            return is_archived(container) and await self._is_version(container, name, record.name)
        except NotFoundError:
            return False

    async def _is_version(self, container: Container, name: str, token: str) -> bool:
        hidden = await self._store.container(hidden_account(container.account), hidden_container(container))
        query = ListingQuery(limit=LISTING_ROWS_MAX, prefix=before_versions(name))
        while True:
            page = await self._store.list_objects(hidden, query)
            if any(isinstance(each, ObjectEntry) and each.listing.get(LISTED_OWNS) == token for each in page):
                return True
            if len(page) < query.limit:
                return False
            query = replace(query, marker=page[-1].name)

    async def _release(self, ownership: Container, record: ObjectInfo, *, unmade: bool) -> int:
        async with self._store.open(ownership, record.name) as opened:
            segments = [tuple(entry) for entry in json.loads(await whole(opened))]
        account = record.head.headers[_PLACE[0]]
        removed: list[str] = []

        async def release(segment: tuple[str, ...]) -> None:
            container_name, container_id, name = segment
            with suppress(NotFoundError):
                container = await self._store.container(account, container_name)
                if container.id.hex() != container_id:
                    return
                if await self._release_one(container, name, record.name, unmade=unmade):
                    removed.append(name)

        await _each(segments, release)
        await self._forget(record.name)
        return len(removed)

    async def _forget(self, token: str) -> None:
        with suppress(NotFoundError):
            await self._store.delete(await self._made(), token)

    async def _release_one(self, container: Container, name: str, token: str, *, unmade: bool) -> bool:
        """Take a segment's mark away, and the segment where that was the last; whether it was."""

        def goes(info: ObjectInfo) -> bool:
            return token in owners(info) and released(info.head, token, unmade=unmade) is None

        def edit(info: ObjectInfo) -> ObjectHead:
            left = released(info.head, token, unmade=unmade) if token in owners(info) else info.head
            if left is None:
                raise PreconditionError("it goes now")
            return left

        for _ in range(TRIES):
            info = await self._store.head(container, name)
            if token not in owners(info):
                return False
            with suppress(PreconditionError):  # others own it, or do no more, since it was looked at
                if goes(info):
                    await self._store.delete(container, name, check=goes)
                    return True
                await self._store.update(container, name, edit)
                return False
        raise BusyError(f"too many own {name!r} at once")

    # -- over time -----------------------------------------------------------------------------------------------

    async def run(self, progress: Progress) -> None:
        """Resolve what is told at once, and look through all ownership records again and again, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, progress)
            while True:
                await self.look_through(progress)
                await trio.sleep(ROUND_SECONDS)

    async def _listen(self, progress: Progress) -> None:
        async for token in self._told:
            await self._try(token, progress, seen=True)

    async def look_through(self, progress: Progress) -> None:
        """One round over all ownership records: finds what expired, what a crash left, and what nobody told."""
        marker = ""
        while True:
            try:
                ownership = await self._store.container(ACCOUNT, OWNERSHIP)
                page = await self._store.list_objects(ownership, ListingQuery(limit=PAGE, marker=marker))
            except NotFoundError:
                break
            except DrystoneError as error:
                progress.trouble = str(error)
                break
            for entry in page:
                await self._try(entry.name, progress)
            if len(page) < PAGE:
                break
            marker = page[-1].name
            await trio.sleep(PAGE_SECONDS)
        progress.rounds += 1

    async def _try(self, token: str, progress: Progress, *, seen: bool = False) -> None:
        try:
            progress.done += await self.resolve(token, seen=seen)
        except DrystoneError as error:
            progress.failed += 1
            progress.trouble = str(error)
            log.warning("owned segments not removed yet", record=token, error=str(error))


async def _each(items: Iterable[_T], act: Callable[[_T], Awaitable[None]]) -> None:
    """Some at once; nothing more is begun after the first error, which is raised as it is."""
    waiting = iter(items)
    errors: list[Exception] = []

    async def work() -> None:
        for item in waiting:
            if errors:
                return
            try:
                await act(item)
            except DrystoneError as error:
                errors.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(_AT_ONCE):
            nursery.start_soon(work)
    if errors:
        raise errors[0]
