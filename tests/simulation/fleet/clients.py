"""Clients of a cluster: each asks one process after another, by itself, and has its answers written down.

What a client asks for is done by a task of the process that it asks, which also writes down what the answer was, when
there is one. A client that has waited for long asks for something else, and its first request is given up, or not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from random import Random
from typing import NamedTuple

import trio

from store.core.errors import ConflictError, DrystoneError, NotFoundError, OutdatedError, PreconditionError
from store.objects.model import ALWAYS, Account, Condition, Container, ListingQuery, ObjectEntry, ObjectHead, ObjectInfo
from store.objects.store import DeviceStore
from tests.simulation.engine_checks import WrongError
from tests.simulation.fleet.cluster import SimCluster
from tests.simulation.fleet.history import Content, History, Key, Record, Version
from tests.simulation.fleet.process import GoneError, Life, Process
from tests.simulation.fleet.register import ABSENT, EXISTS, Present, Read, Swap, Upsert, Write, WriteIf, names_of
from tests.simulation.limits import BLOCK_BYTES, INLINE_BYTES

ACCOUNT = "a"
FIXED = {"plain": 0, "coded": 1}
"""Containers that are there from beginning to end, and their policies."""
BOXES = ["box", "chest"]
"""Containers that come and go."""
SIZES = [0, 10, 100, 700, INLINE_BYTES, INLINE_BYTES + 1, BLOCK_BYTES, BLOCK_BYTES + 7, 2 * BLOCK_BYTES + 100]
PATIENCE_S = [1.0, 10.0, 40.0]
THINKING_S = [0.0, 0.02, 0.2, 1.5]
TOGETHER_S = 0.5
REMEMBERED = 0.6
"""So many requests of a container that a process remembers go by that, and have it asked about beside the object."""
NOBODY_S = 600.0
"""After so long some process serves again."""

Request = Callable[[DeviceStore], Awaitable[None]]


class Used(NamedTuple):
    """What all clients of a run use: names of objects, sizes, and containers that come and go."""

    names: list[str]
    sizes: list[int]
    boxes: list[str]


class Client:
    """One client."""

    def __init__(self, cluster: SimCluster, history: History, used: Used, number: int) -> None:
        self._cluster = cluster
        self._history = history
        self._names, self._sizes, self._boxes = used
        self._number = number
        self._random = Random(cluster.random.getrandbits(64))
        self._process: Process = self._random.choice(cluster.processes)
        self._faithful = self._random.choice([0.5, 0.9, 0.99])
        """How often it asks the same process as before."""
        self._pace = self._random.choice([0.3, 1.0])
        self._together = self._random.choice([0.0, 0.3, 0.8])
        """How often it does something at the same moment as others."""

    async def work(self, steps: int) -> None:
        """So many requests, one after the other, of processes that serve."""
        does = [
            *[self._put] * 4,
            *[self._put_if] * 3,
            *[self._get] * 4,
            *[self._head] * 2,
            *[self._delete] * 2,
            self._delete_if,
            *[self._update] * 2,
            self._list,
            self._list_containers,
        ]
        if self._boxes:
            does += [self._make_box, self._make_box, self._delete_box]
        for _ in range(steps):
            with trio.fail_after(NOBODY_S):
                while not self._cluster.serving:
                    await trio.sleep(0.1)
            await self._ask(self._random.choice(does)())
            await self._think()

    async def _think(self) -> None:
        if self._random.random() < self._together:
            await trio.sleep(TOGETHER_S - trio.current_time() % TOGETHER_S)
        else:
            await trio.sleep(self._random.choice(THINKING_S) * self._random.random() * self._pace)

    async def _ask(self, request: Request) -> None:
        await self.ask(request, self._choose())

    async def ask(self, request: Request, process: Process, patience_s: float | None = None) -> bool:
        """Ask one process. Whether it has answered in time."""
        patience_s = self._random.choice(PATIENCE_S) if patience_s is None else patience_s
        life = process.life
        if life is None or not life.serving:
            await trio.sleep(0.1)
            return False
        self._history.requests += 1

        async def do(life: Life) -> None:
            try:
                await request(life.node.store)
            except DrystoneError as error:
                self._cluster.note(process.number, f"client {self._number}: {type(error).__name__}")
                raise
            except Exception as error:  # also where nobody waits for it any more
                self._cluster.wrong.append(error)
                raise

        with trio.move_on_after(patience_s):
            try:
                await life.do(do, cancels=self._random.random() < 0.5)
            except (DrystoneError, GoneError):
                return False
            return True
        return False

    def _choose(self) -> Process:
        if self._random.random() > self._faithful or not self._process.serving:
            self._process = self._random.choice(self._cluster.serving or self._cluster.processes)
        return self._process

    # -- containers ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _container(self, store: DeviceStore, name: str) -> AsyncIterator[Container]:
        """The container that something is asked of: often as this process remembers it."""
        known = store.known_container(ACCOUNT, name)
        if known is not None and name in FIXED and self._random.random() < REMEMBERED:
            container = known
        elif name in FIXED:
            try:
                container = await store.container(ACCOUNT, name)
            except NotFoundError as error:
                raise WrongError(f"container {name} is always there: {error}") from error
        else:
            container = await self._look(store, name)
        yield container

    async def _look(self, store: DeviceStore, name: str) -> Container:
        record = self._history.begin(("", name), Read())
        try:
            container = await store.container(ACCOUNT, name)
        except NotFoundError:
            self._history.told(record, None)
            raise
        except DrystoneError:
            self._history.never(record)
            raise
        self._history.told(record, Version(container.headers["mark"], container.id.hex()))
        return container

    def look(self, name: str) -> Request:
        async def request(store: DeviceStore) -> None:
            await self._look(store, name)

        return request

    def _make_box(self) -> Request:
        name = self._random.choice(self._boxes)
        mark = f"{name} {self._random.getrandbits(32)}"

        async def request(store: DeviceStore) -> None:
            record = self._history.begin(("", name), Upsert(mark))
            container, made = await store.put_container(ACCOUNT, name, {"mark": mark}, 0)
            self._history.told(record, (made, container.id.hex()))

        return request

    def _delete_box(self) -> Request:
        name = self._random.choice(self._boxes)
        empty = self._random.random() < 0.8

        async def request(store: DeviceStore) -> None:
            if empty:
                container = await self._look(store, name)
                for each in self._names:
                    await self._delete_one(store, container, each)
            record = self._history.begin(("", name), WriteIf(EXISTS, None))
            try:
                await store.delete_container(ACCOUNT, name)
            except NotFoundError:
                record.call = Read()
                self._history.told(record, None)
            except ConflictError:
                record.call = Present()
                self._history.told(record, True)
            else:
                self._history.told(record, True)

        return request

    def _list_containers(self) -> Request:
        async def request(store: DeviceStore) -> None:
            records = {name: self._history.begin(("", name), Present()) for name in self._boxes}
            try:
                account = await store.account(ACCOUNT)
                listed = {entry.name for entry in await store.list_containers(account, ListingQuery(limit=100))}
            except DrystoneError:
                for record in records.values():
                    self._history.never(record)
                raise
            if not listed.issuperset(FIXED) or not listed <= {*FIXED, *self._boxes}:
                raise WrongError(f"containers are listed: {sorted(listed)}")
            for name, record in records.items():
                self._history.told(record, name in listed)

        return request

    # -- objects -------------------------------------------------------------------------------------------------

    def _pick(self) -> tuple[str, str]:
        return self._random.choice([*FIXED, *FIXED, *self._boxes]), self._random.choice(self._names[: self._hot()])

    def _hot(self) -> int:
        """Mostly it is the first few names."""
        return self._random.choice([1, 2, len(self._names)])

    def _new(self) -> Content:
        return self._history.content(self._random.getrandbits(32), self._random.choice(self._sizes))

    def _put(self) -> Request:
        where, name = self._pick()
        return partial(self._write, where, name, self._new(), None, self._random.random() < 0.2)

    def _put_if(self) -> Request:
        where, name = self._pick()
        content = self._new()
        if self._random.random() < 0.5:
            return partial(self._write, where, name, content, ABSENT, False)

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                seen = await self._see(store, container, name)
            if seen is not None:
                await self._write(where, name, content, seen.etag, False, store)

        return request

    async def _write(
        self, where: str, name: str, content: Content, condition: str | None, as_upload: bool, store: DeviceStore
    ) -> None:
        async with self._container(store, where) as container:
            key = _key(container, name)
            call = Write(content.version) if condition is None else WriteIf(condition, content.version)
            record = self._history.begin(key, call)
            head = _head(content.version)
            try:
                if content.size > INLINE_BYTES or as_upload:
                    await _upload(store, container, name, content, head, condition)
                else:
                    owner = _owner(store, container)
                    await store.put(container, name, content.data(), head, _condition(condition), owner=owner)
            except PreconditionError:
                if condition is None:
                    raise WrongError(f"a write of {key} without a condition was refused by one") from None
                self._history.told(record, False)
                return
            except (NotFoundError, OutdatedError):
                self._history.never(record)
                raise
            self._history.told(record, None if condition is None else True)

    def _get(self) -> Request:
        where, name = self._pick()

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                await self._fetch(store, container, name)

        return request

    async def _fetch(self, store: DeviceStore, container: Container, name: str) -> None:
        record = self._history.begin(_key(container, name), Read())
        try:
            found = store.open(container, name, owner=_owner(store, container))
            async with found as opened, aclosing(opened.read()) as pieces:
                data = b"".join([bytes(piece) async for piece in pieces])
                info = opened.info
        except NotFoundError:
            self._history.told(record, None)
            return
        except DrystoneError:
            self._history.never(record)
            raise
        content = self._verified(record, container, name, info)
        if data != content.data():
            raise WrongError(f"{name} shows other bytes than were written as {content.version}")

    def get(self, name: str, where: Container) -> Request:
        async def request(store: DeviceStore) -> None:
            try:
                await self._fetch(store, where, name)
            except OutdatedError:  # the ring has taken a step: it begins anew, as requests at a gateway do
                await self._fetch(store, await store.container(ACCOUNT, where.name), name)

        return request

    def _head(self) -> Request:
        where, name = self._pick()

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                await self._see(store, container, name)

        return request

    async def _see(self, store: DeviceStore, container: Container, name: str) -> Version | None:
        record = self._history.begin(_key(container, name), Read())
        try:
            info = await store.head(container, name, owner=_owner(store, container))
        except NotFoundError:
            self._history.told(record, None)
            return None
        except DrystoneError:
            self._history.never(record)
            raise
        return self._verified(record, container, name, info).version

    def _verified(self, record: Record, container: Container, name: str, info: ObjectInfo) -> Content:
        """What was shown, if it was ever written."""
        content = self._history.contents.get(info.head.headers.get("mark", ""))
        if content is None or (content.size, content.version.etag) != (info.size, info.etag):
            raise WrongError(f"{container.name}/{name} shows {info}, which nobody wrote")
        if info.head != _head(content.version):
            raise WrongError(f"{container.name}/{name} shows {info.head} of {content.version}")
        self._history.told(record, content.version)
        return content

    def _delete(self) -> Request:
        where, name = self._pick()

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                await self._delete_one(store, container, name)

        return request

    async def _delete_one(self, store: DeviceStore, container: Container, name: str) -> None:
        record = self._history.begin(_key(container, name), Write(None))
        try:
            await store.delete(container, name, owner=_owner(store, container))
        except NotFoundError:
            record.call = Read()
        except OutdatedError:
            self._history.never(record)
            raise
        self._history.told(record, None)

    def _delete_if(self) -> Request:
        where, name = self._pick()

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                seen = await self._see(store, container, name)
                if seen is None:
                    return
                record = self._history.begin(_key(container, name), WriteIf(seen.etag, None))
                try:
                    await store.delete(container, name, Condition(match=frozenset([seen.etag])))
                except PreconditionError:
                    self._history.told(record, False)
                except NotFoundError:
                    record.call = Read()
                    self._history.told(record, None)
                else:
                    self._history.told(record, True)

        return request

    def _update(self) -> Request:
        where, name = self._pick()

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                await self._change(store, container, name)

        return request

    async def _change(self, store: DeviceStore, container: Container, name: str) -> None:
        key = _key(container, name)
        looked = self._history.begin(key, Read())
        tried: list[Record] = []

        def edit(info: ObjectInfo) -> ObjectHead:
            before = self._history.contents[info.head.headers["mark"]]
            content = self._history.remarked(before)
            for record in tried:  # it has begun anew: what was tried before has not taken effect, and never will
                self._history.never(record)
            tried.append(self._history.begin(key, Swap(before.version, content.version)))
            return _head(content.version)

        try:
            await store.update(container, name, edit)
        except NotFoundError:
            for record in tried:
                self._history.never(record)
            self._history.told(looked, None)
        except DrystoneError:
            self._history.never(looked)
            raise
        else:
            self._history.never(looked)
            self._history.told(tried[-1])

    def _list(self) -> Request:
        where = self._random.choice([*FIXED, *self._boxes])
        limit = self._random.choice([2, 5, 100])

        async def request(store: DeviceStore) -> None:
            async with self._container(store, where) as container:
                await self._list_all(store, container, limit)

        return request

    def list(self, where: Container) -> Request:
        async def request(store: DeviceStore) -> None:
            await self._list_all(store, where, 100)

        return request

    async def _list_all(self, store: DeviceStore, container: Container, limit: int) -> None:
        """Each page is a read of every name that it may have shown."""
        history, marker = self._history, ""
        while True:
            records = {key: history.begin(key, Read()) for key in names_of(history, container.id.hex(), marker, None)}
            try:
                page = await store.list_objects(container, ListingQuery(limit=limit, marker=marker))
            except DrystoneError:
                for record in records.values():
                    history.never(record)
                raise
            shown = {entry.name: self._listed(container, entry) for entry in page if isinstance(entry, ObjectEntry)}
            last = page[-1].name if page else None
            for key, record in records.items():
                if last is not None and key[1].encode() > last.encode():
                    history.never(record)
                else:
                    history.told(record, shown.get(key[1]))
            if last is None:
                return
            marker = last

    def _listed(self, container: Container, entry: ObjectEntry) -> Version:
        content = self._history.contents.get(entry.content_type)
        if content is None or (content.size, content.version.etag) != (entry.size, entry.etag):
            raise WrongError(f"{container.name} lists {entry}, which nobody wrote")
        if entry.name not in self._history.names.get(container.id.hex(), ()):
            raise WrongError(f"{container.name} lists {entry.name}, which nobody wrote there")
        return content.version


def _owner(store: DeviceStore, container: Container) -> Account | None:
    """To be said where the container is what the process remembers."""
    if store.known_container(ACCOUNT, container.name) is not container:
        return None
    return store.known_account(ACCOUNT)


def _key(container: Container, name: str) -> Key:
    return container.id.hex(), name


def _head(version: Version) -> ObjectHead:
    return ObjectHead(version.mark, {"mark": version.mark})


def _condition(condition: str | None) -> Condition:
    if condition is None:
        return ALWAYS
    return Condition(none_match=frozenset("*")) if condition == ABSENT else Condition(match=frozenset([condition]))


async def _upload(
    store: DeviceStore, container: Container, name: str, content: Content, head: ObjectHead, condition: str | None
) -> None:
    data = content.data()
    async with store.upload(container, name) as upload:
        for at in range(0, len(data), BLOCK_BYTES // 2):
            await upload.write(data[at : at + BLOCK_BYTES // 2])
        await upload.commit(head, _condition(condition))
