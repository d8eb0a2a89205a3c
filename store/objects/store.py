"""The object store over devices: what a tenant asks for, in terms of rows and data.

    small PUT    one row with its data in it: one write to its three replicas, acknowledged by two
    large PUT    an intent, blocks to the data's devices, then the row (see `upload`)
    GET          one row from a quorum; its data from the row, or block by block (see `reading`)
    DELETE       a tombstone row; displaced data are dropped behind it (store.replicator.collect)

Writers of one object take turns, and each write is conditional on what the writer saw; readers take no turn. Data are
written first and the row last, so a crash anywhere leaves what was there before, or what was to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType

import trio

from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import (
    ConflictError,
    DamageError,
    DigestError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    QuorumError,
    ReplacedError,
    RetryableError,
)
from store.core.limits import INLINE_BYTES_MAX, NAME_BYTES_MAX
from store.core.stamp import ZERO, Stamp
from store.core.worker import Worker
from store.device.port import Applied, DevicePort
from store.device.row import Flag, IndexRow, ListedRow, Row, RowKey, index_key
from store.objects.buffers import BufferPool
from store.objects.interface import Buffer, Data, HeaderChanges
from store.objects.listing import Folded, list_names, list_table
from store.objects.model import (
    ALWAYS,
    Account,
    Condition,
    Container,
    ContainerEntry,
    ListingQuery,
    ObjectEntry,
    ObjectHead,
    ObjectInfo,
    Policy,
    Subdir,
    Usage,
)
from store.objects.pins import Pins
from store.objects.quorum_check import Questions
from store.objects.quorum_read import ReadRow
from store.objects.reading import DataReader
from store.objects.rowcodec import (
    DataLocation,
    decode_headers,
    decode_object,
    encode_headers,
    encode_object,
    object_entry,
)
from store.objects.rows import Edit, Rows, tombstone
from store.objects.tables import Tables
from store.objects.upload import DataUpload, StoredData
from store.ring import ROWS

HASH_SLICE = 2047
"""Python lets other threads run while it hashes more than this. To get the interpreter back afterwards takes longer
than hashing a small object does."""
HASH_SLICES_MAX = 8
LIFE_BYTES = 16
ENTRIES_A_TURN = 200
"""Entries of a listing that are made between two turns of the loop."""


class DeviceStore:
    """Keeps the contract of `store.objects.interface.ObjectStore` over devices."""

    def __init__(
        self,
        rows: Rows,
        devices: Mapping[int, DevicePort],
        policies: Sequence[Policy],
        clock: Clock,
        random: Random,
        hash_workers: Sequence[Worker],
        own: Mapping[int, DevicePort] | None = None,
    ) -> None:
        """`own` are those of the devices that this process has; without it, all are."""
        self.rows = rows
        self.devices = devices
        self.own = devices if own is None else own
        """What daemons go over: each process goes over its own devices, and asks all."""
        self.policies = tuple(policies)
        self._by_index = {policy.index: policy for policy in policies}
        self.tables = Tables(rows, clock, random, self._by_index)
        self.known_account = self.tables.known_account
        self.known_container = self.tables.known_container
        self._clock = clock
        self._random = random
        self.life = random.bytes(LIFE_BYTES)
        """The id of this run of this process: none before or beside it has the same."""
        self._hash_workers = hash_workers
        self._uploads = 0
        self._pool = BufferPool()
        self.pins = Pins()
        self.on_garbage: Callable[[], None] = _nobody
        """Called when a write has displaced data."""
        self.on_unresolved: Callable[[RowKey, bytes], None] = _no_janitor
        """Called with (target, data id) of an upload that was given up, or whose commit has no known outcome."""
        self.on_incomplete: Callable[[RowKey], None] = _nobody_repairs
        """Called with the key of an object some of whose data are known to be missing or bad."""

    # -- accounts and containers ---------------------------------------------------------------------------------

    async def account(self, name: str) -> Account:
        return await self.tables.account(name)

    async def put_account(self, name: str, headers: HeaderChanges) -> tuple[Account, bool]:
        return await self.tables.put_account(name, headers)

    async def delete_account(self, name: str) -> None:
        await self.tables.delete_account(name)

    async def account_usage(self, account: Account) -> Usage:
        return await self.tables.account_usage(account)

    async def list_containers(self, account: Account, query: ListingQuery) -> list[ContainerEntry | Subdir]:
        return await self.tables.list_containers(account, query)

    async def container(self, account: str, name: str) -> Container:
        return await self.tables.container(account, name)

    async def put_container(
        self, account: str, name: str, headers: HeaderChanges, policy: int | None = None
    ) -> tuple[Container, bool]:
        return await self.tables.put_container(account, name, headers, policy)

    async def delete_container(self, account: str, name: str) -> None:
        await self.tables.delete_container(account, name)

    async def container_usage(self, container: Container) -> Usage:
        return await self.tables.container_usage(container)

    async def list_objects(self, container: Container, query: ListingQuery) -> list[ObjectEntry | Subdir]:
        entries: list[ObjectEntry | Subdir] = []
        rows = await list_table(self.rows, container.id, container.shards, query, self._now())
        for start in range(0, len(rows), ENTRIES_A_TURN):
            entries += map(_entry, rows[start : start + ENTRIES_A_TURN])
            await trio.lowlevel.checkpoint()
        return entries

    async def list_names(self, container: Container, query: ListingQuery) -> list[str]:
        if query.delimiter:
            return [entry.name for entry in await self.list_objects(container, query)]
        names = await list_names(self.rows, container.id, container.shards, query, self._now())
        return [name.decode() for name in names]

    # -- reading -------------------------------------------------------------------------------------------------

    async def head(
        self, container: Container, name: str, *, expired: bool = False, owner: Account | None = None
    ) -> ObjectInfo:
        key, packed = self._key(container, name)
        questions = self._questions(container, owner=owner)
        while True:
            found = await self._find(key, packed, questions, expired=expired)
            try:
                return await self._seen(key, packed, found)
            except ReplacedError:
                continue

    async def _seen(self, key: RowKey, packed: bytes, found: ReadRow) -> ObjectInfo:
        """What a tenant sees of a row that was found: nearly always without a read of the log."""
        detail = found.row.detail
        if detail is None:
            detail = (await self.rows.load(key, packed, found, payload=False)).detail
        return _info(found.row, detail)

    def open(self, container: Container, name: str, *, expired: bool = False, owner: Account | None = None) -> OpenRow:
        key, packed = self._key(container, name)
        return OpenRow(self, key, packed, self._questions(container, owner=owner), expired=expired)

    async def _find(self, key: RowKey, packed: bytes, questions: Questions | None, *, expired: bool = False) -> ReadRow:
        found = await self.rows.read(key, packed)
        if questions is not None:
            await questions()
        return self._there(key, found, expired=expired)

    def _questions(self, container: Container, *, owner: Account | None) -> Questions | None:
        """What is asked of a container beside the object. What a process that is alone remembers is so."""
        return None if owner is None or self.rows.alone else self.tables.ask_about(owner, container)

    def _there(self, key: RowKey, found: ReadRow | None, *, expired: bool = False) -> ReadRow:
        """What was found, if that is an object. Raises NotFoundError."""
        if found is None or not self._present(found.row, expired=expired):
            raise NotFoundError(f"there is no object {key.name!r}")
        return found

    def _present(self, row: IndexRow, *, expired: bool = False) -> bool:
        return row.live and (expired or not row.expires or row.expires > self._now())

    @property
    def worker(self) -> Worker:
        """For erasure codes of those who repair."""
        return self._hash_workers[0]

    def reader(self, key: RowKey, data_id: bytes, size: int, data_location: DataLocation) -> DataReader:
        """Reads data wherever they are."""
        return DataReader(self.devices, self.worker, data_id, size, data_location, lambda: self.on_incomplete(key))

    # -- writing -------------------------------------------------------------------------------------------------

    async def put(
        self,
        container: Container,
        name: str,
        data: Buffer,
        head: ObjectHead,
        condition: Condition = ALWAYS,
        digest: str = "",
        *,
        owner: Account | None = None,
    ) -> ObjectInfo:
        if len(data) > INLINE_BYTES_MAX:
            raise InvalidError(f"{len(data)} bytes do not fit into a row: use an upload")
        etag = _md5(data)
        if digest and digest != etag:
            raise DigestError(f"the MD5 is {etag}, and not {digest}")
        key, packed = self._key(container, name)
        summary, detail = encode_object(etag, head, None, None)
        flags = Flag.EXPIRES if head.expires_at else 0
        row = Row(key, ZERO, flags, container.policy, len(data), head.expires_at or 0, b"", summary, detail, data)
        questions = self._questions(container, owner=owner)
        return await self._commit(container, row, packed, etag, head, condition, questions)

    async def _commit(
        self,
        container: Container,
        row: Row,
        packed: bytes,
        etag: str,
        head: ObjectHead,
        condition: Condition,
        questions: Questions | None = None,
    ) -> ObjectInfo:
        async def checked(found: ReadRow | None) -> Row:
            if questions is not None:
                await questions()
            self._check(row.key, found, condition)
            return row

        with await self.tables.begin_writing(container):
            if condition is ALWAYS:
                async with self.rows.lock(packed):
                    written, applied = await self.rows.put(row, packed, questions)
            else:
                done = await self._change(container, row.key, packed, checked)
                assert done is not None
                written, applied = done
            if not self.rows.alone:
                await self.tables.check_container(container)
        if applied.displaced is not None and applied.displaced.flags & Flag.DATA:
            self.on_garbage()
        stamp = written.shown
        return ObjectInfo(row.key.name.decode(), row.size, etag, head, stamp, stamp, row.policy)

    async def _change(self, container: Container, key: RowKey, packed: bytes, edit: Edit) -> tuple[Row, Applied] | None:
        """What a condition does not hold of may be what somebody wrote while the container was deleted, and is in none:
        then NotFoundError is raised, as for that."""
        try:
            return await self.rows.change_by_lock(key, packed, edit)
        except PreconditionError:
            if not self.rows.alone:
                await self.tables.check_container(container)
            raise

    def _check(self, key: RowKey, found: ReadRow | None, condition: Condition) -> None:
        etag = changed = None
        if found is not None and self._present(found.row):
            etag = decode_object(found.row.summary, ZERO).etag
            changed = Stamp.unpack(found.row.shown)
        if not condition.holds(etag, changed):
            raise PreconditionError(f"the condition does not hold of object {key.name!r}")

    def upload(self, container: Container, name: str, size: int | None = None) -> ObjectUpload:
        key, packed = self._key(container, name)
        self._uploads += 1
        worker = self._hash_workers[self._uploads % len(self._hash_workers)]
        policy = self._by_index[container.policy]
        data = DataUpload(self.rows, self.devices, self._pool, worker, key, policy, self._random.bytes(16), self.life)
        return ObjectUpload(self, container, data, key, packed)

    async def update(
        self,
        container: Container,
        name: str,
        edit: Callable[[ObjectInfo], ObjectHead],
        condition: Condition = ALWAYS,
    ) -> ObjectInfo:
        key, packed = self._key(container, name)
        head = before = None

        async def edited(found: ReadRow | None) -> Row:
            nonlocal head, before
            found = self._there(key, found)
            row = await self.rows.load(key, packed, found)
            before = _info(found.row, row.detail)
            if not condition.holds(before.etag, before.changed):
                raise PreconditionError(f"the condition does not hold of object {name!r}")
            head = edit(before)
            data_location = decode_object(row.summary, row.stamp).data_location
            summary, detail = encode_object(before.etag, head, before.created, data_location)
            flags = row.flags & Flag.DATA | (Flag.EXPIRES if head.expires_at else 0)
            return row._replace(flags=flags, expires=head.expires_at or 0, summary=summary, detail=detail, origin=None)

        with await self.tables.begin_writing(container):
            done = await self._change(container, key, packed, edited)
            if not self.rows.alone:
                await self.tables.check_container(container)
        assert done is not None
        assert head is not None
        assert before is not None
        return ObjectInfo(name, before.size, before.etag, head, before.created, done[0].shown, before.policy)

    async def delete(
        self,
        container: Container,
        name: str,
        condition: Condition = ALWAYS,
        *,
        check: Callable[[ObjectInfo], bool] | None = None,
        owner: Account | None = None,
    ) -> ObjectInfo:
        key, packed = self._key(container, name)
        questions = self._questions(container, owner=owner)
        # It replaces just what it found: of two deletes of one object only one is told that it was there.
        try:
            return await self._delete_if(key, packed, condition, check, questions)
        except QuorumError as error:
            if condition is not ALWAYS or check is not None or not _only_damage(error):
                raise
            return await self._delete_unseen(container, key, packed)

    async def _delete_if(
        self,
        key: RowKey,
        packed: bytes,
        condition: Condition,
        check: Callable[[ObjectInfo], bool] | None,
        questions: Questions | None,
    ) -> ObjectInfo:
        row = info = None

        async def checked(found: ReadRow | None) -> Row:
            nonlocal row, info
            if questions is not None:
                await questions()
            found = self._there(key, found)
            info = await self._last_info(key, packed, found, needed=check is not None)
            if not condition.holds(info.etag, info.changed) or (check is not None and not check(info)):
                raise PreconditionError(f"the condition does not hold of object {key.name!r}")
            row = found.row
            return tombstone(key, row.policy)

        await self.rows.change_by_lock(key, packed, checked)
        assert row is not None
        assert info is not None
        self._displaced(row)
        return info

    async def delete_expired(self, key: RowKey, packed: bytes, now_seconds: int) -> bool:
        """Delete an object that has expired by then; whether it had."""
        row = None

        async def checked(found: ReadRow | None) -> Row | None:
            nonlocal row
            row = None if found is None else found.row
            if row is None or not row.live or not 0 < row.expires <= now_seconds:
                return None
            return tombstone(key, row.policy)

        if await self.rows.change_by_lock(key, packed, checked) is None:
            return False
        assert row is not None
        self._displaced(row)
        return True

    def _displaced(self, row: IndexRow) -> None:
        if row.flags & Flag.DATA:
            self.on_garbage()

    async def _last_info(self, key: RowKey, packed: bytes, found: ReadRow, *, needed: bool) -> ObjectInfo:
        """What is to be deleted: without its headers, where no replica can read them any more and they are not
        `needed`. What cannot be read must not stay for ever."""
        try:
            return await self._seen(key, packed, found)
        except DamageError:
            if needed:
                raise
            return _info(found.row, encode_headers({}))

    async def _delete_unseen(self, container: Container, key: RowKey, packed: bytes) -> ObjectInfo:
        """Delete what every replica has damaged in its very index: nothing is known of it but its name. Its data, which
        no row names any more, are found by the scrubber."""
        async with self.rows.lock(packed):
            written, _ = await self.rows.put(tombstone(key, container.policy), packed)
        stamp = written.stamp
        return ObjectInfo(key.name.decode(), 0, "", ObjectHead(""), stamp, stamp, container.policy)

    # -- small things --------------------------------------------------------------------------------------------

    def _key(self, container: Container, name: str) -> tuple[RowKey, bytes]:
        packed_name = name.encode()
        if not 0 < len(packed_name) <= NAME_BYTES_MAX or packed_name[0] == 0:
            raise InvalidError(f"an object's name has 1 to {NAME_BYTES_MAX} bytes, and the first is not zero")
        key = self.rows.key(container.id, container.shards, packed_name)
        return key, index_key(key)

    def _now(self) -> int:
        return self._clock.wall_us() // 1_000_000


class OpenRow:
    """An object held open: its data are pinned until it is closed."""

    def __init__(
        self, store: DeviceStore, key: RowKey, packed: bytes, questions: Questions | None, *, expired: bool
    ) -> None:
        self._store = store
        self._questions = questions
        self._key = key
        self._packed = packed
        self._expired = expired
        self._data_id = b""
        self.info: ObjectInfo
        self._data_location: DataLocation | None = None
        self._payload: Buffer = b""

    async def __aenter__(self) -> OpenRow:
        while True:
            try:
                return await self._open()
            except ReplacedError:
                continue

    async def _open(self) -> OpenRow:
        store = self._store
        found = await store._find(self._key, self._packed, self._questions, expired=self._expired)
        if found.row.data_id:
            # Nothing is dropped that is pinned; what was dropped before the pin is not the newest version any more.
            self._data_id = found.row.data_id
            store.pins.add(self._data_id)
        try:
            if self._data_id and not await store.rows.pinned(self._key, self._packed, found):
                raise ReplacedError("the row changed while it was read")
            payload, detail = store.rows.payload_at_hand(found), found.row.detail
            if payload is None or detail is None:
                row = await store.rows.load(self._key, self._packed, found)
                payload, detail = row.payload, row.detail
            self.info, self._data_location = _read_row(found.row, detail)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._payload = payload
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._data_id:
            self._store.pins.remove(self._data_id)
            self._data_id = b""
            self._store.on_garbage()

    @property
    def inline(self) -> Buffer | None:
        return None if self._data_location is not None else self._payload

    @property
    def data(self) -> Data | None:
        info, data_location = self.info, self._data_location
        return (
            None
            if data_location is None
            else StoredData(self._data_id, info.size, info.etag, info.policy, data_location)
        )

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Buffer, None]:
        stop = self.info.size if stop is None else min(stop, self.info.size)
        if self._data_location is None:
            if start < stop:
                yield memoryview(self._payload)[start:stop]
            return
        reader = self._store.reader(self._key, self._data_id, self.info.size, self._data_location)
        async with aclosing(reader.read(start, stop)) as pieces:
            async for piece in pieces:
                yield piece


class ObjectUpload:
    """An upload as a tenant sees it."""

    def __init__(self, store: DeviceStore, container: Container, data: DataUpload, key: RowKey, packed: bytes) -> None:
        self._store = store
        self._container = container
        self._data = data
        self._key = key
        self._packed = packed
        self._committed = False

    async def __aenter__(self) -> ObjectUpload:
        # Pinned until its outcome is known: no row names its blocks yet, and its intent may be at replicas of an old
        # layout.
        self._store.pins.add(self._data.data_id)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()
        if self._data.placement is not None and not (self._committed and self._data.intent_is_gone):
            self._store.on_unresolved(self._key, self._data.data_id)
        self._store.pins.remove(self._data.data_id)

    async def write(self, data: Buffer) -> None:
        await self._data.write(data)

    async def reflink(self, data: Data) -> bool:
        before = self._data.data_id
        if not isinstance(data, StoredData) or not self._data.place_beside(data):
            return False
        store = self._store
        store.pins.remove(before)
        store.pins.add(self._data.data_id)
        # By itself: devices that a quorum did not wait for have yet to refer to it when the source is closed.
        store.pins.add(data.data_id)

        def unpin() -> None:
            store.pins.remove(data.data_id)
            store.on_garbage()

        return await self._data.reflink(data, unpin)

    async def digest(self) -> tuple[int, str]:
        etag = await self._data.finish()
        return self._data.size, etag

    async def commit(self, head: ObjectHead, condition: Condition = ALWAYS) -> ObjectInfo:
        size, etag = await self.digest()
        flags = Flag.EXPIRES if head.expires_at else 0
        data = self._data
        data_location = None if data.placement is None else data.placement.data_location
        summary, detail = encode_object(etag, head, None, data_location)
        data_id, payload = (data.data_id, b"") if data_location else (b"", bytes(data.inline))
        if data_location:
            flags |= Flag.DATA | Flag.GUARD
        row = Row(
            self._key,
            ZERO,
            flags,
            self._container.policy,
            size,
            head.expires_at or 0,
            data_id,
            summary,
            detail,
            payload,
        )
        known = self._store.rows.expect_data(self._packed, self._key.ring_hash, data.lacking)
        try:
            await data.check_intent()
            info = await self._store._commit(self._container, row, self._packed, etag, head, condition)
        except ConflictError as refused:
            raise RetryableError("others took this process for dead, and ended the upload: send it again") from refused
        finally:
            data.watch(self._lacks, known)  # whatever was said of it, the row may be there
        self._committed = True
        return info

    def _lacks(self, number: int) -> None:
        """A device that the row names does not have all data."""
        rows = self._store.rows
        rows.missed(self._packed, [number], rows.ring.replicas_all(ROWS, self._key.ring_hash))


def _entry(row: ListedRow | Folded) -> ObjectEntry | Subdir:
    if isinstance(row, Folded):
        return Subdir(row.name.decode())
    return object_entry(row.name.decode(), Stamp.unpack(row.stamp), row.size, row.summary)


def _info(at: IndexRow, detail: bytes) -> ObjectInfo:
    return _read_row(at, detail)[0]


def _read_row(at: IndexRow, detail: bytes) -> tuple[ObjectInfo, DataLocation | None]:
    """What a tenant sees of an object, and where its data are."""
    stamp = Stamp.unpack(at.shown)
    summary = decode_object(at.summary, stamp)
    head = ObjectHead(summary.content_type, decode_headers(detail), summary.listing, at.expires or None)
    info = ObjectInfo(at.name.decode(), at.size, summary.etag, head, summary.created, stamp, at.policy)
    return info, summary.data_location


def _only_damage(error: QuorumError) -> bool:
    """Whether replicas answered, and all that could not tell have damage."""
    return bool(error.answers) and all(isinstance(answer, DamageError) for answer in error.answers.values())


def _nobody() -> None:
    """No daemon listens."""


def _no_janitor(_target: RowKey, _data_id: bytes) -> None:
    """No daemon listens: the intent is found at the next start."""


def _nobody_repairs(_key: RowKey) -> None:
    """No daemon listens."""


def _md5(data: Buffer) -> str:
    if len(data) > HASH_SLICE * HASH_SLICES_MAX:
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    view = memoryview(data)
    hashed = hashlib.md5(usedforsecurity=False)
    for start in range(0, len(view), HASH_SLICE):
        hashed.update(view[start : start + HASH_SLICE])
    return hashed.hexdigest()
