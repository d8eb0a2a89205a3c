"""Accounts and containers where several processes serve them: what one remembers is what another has made of it, and
nothing that was acknowledged is in a container that another has deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import ConflictError, NotFoundError, OutdatedError, PreconditionError
from store.device.port import Applied
from store.device.row import Row
from store.objects.model import Account, Condition, Container, ListingQuery, ObjectHead, ObjectInfo
from store.objects.rows import Rows
from store.objects.store import DeviceStore
from store.objects.tables import Tables
from store.ring import Ring
from tests.replicator.clusters import HEAD, another, media_of, opened

PAGE = ListingQuery(limit=10)


def around_placing(
    monkeypatch: pytest.MonkeyPatch, rows: Rows, meanwhile: Callable[[], Awaitable[object]], *, before: bool
) -> None:
    """Something happens just before or after the next row of an object is written."""
    place = rows.place

    async def late(row: Row, packed: bytes, ring: Ring, **how: bool) -> Applied | None:
        monkeypatch.setattr(rows, "place", place)
        if before:
            await meanwhile()
        applied = await place(row, packed, ring, **how)
        if not before:
            await meanwhile()
        return applied

    monkeypatch.setattr(rows, "place", late)


async def names(store: DeviceStore) -> list[str]:
    return await store.list_names(await store.container("a", "c"), PAGE)


async def test_what_another_process_changes_is_seen_at_once(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        assert (await one.container("a", "c")).headers == {}
        await two.put_container("a", "c", {"read": "everybody"})
        assert (await one.container("a", "c")).headers == {"read": "everybody"}
        await two.put_container("a", "c", {"read": ""})
        assert (await one.container("a", "c")).headers == {}
        await two.put_account("a", {"quota": "1"})
        assert (await one.account("a")).headers == {"quota": "1"}


ChangeTables = Callable[[DeviceStore], Awaitable[object]]
UseRemembered = Callable[[DeviceStore, Container, Account], Awaitable[object]]


async def read_it(store: DeviceStore, container: Container, account: Account) -> None:
    async with store.open(container, "o", owner=account):
        pass


async def deleted(store: DeviceStore) -> None:
    container = await store.container("a", "c")
    await store.delete(container, "o")
    await store.delete_container("a", "c")


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.put_container("a", "c", {"read": "everybody"}),
        lambda store: store.put_account("a", {"quota": "1"}),
        deleted,
    ],
    ids=["container", "account", "deleted"],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda store, container, account: store.head(container, "o", owner=account),
        lambda store, container, account: store.head(container, "absent", owner=account),
        read_it,
        lambda store, container, account: store.put(container, "o", b"new", ObjectHead("text/plain"), owner=account),
        lambda store, container, account: store.put(
            container, "new", b"new", ObjectHead("text/plain"), Condition(none_match=frozenset("*")), owner=account
        ),
        lambda store, container, account: store.delete(container, "o", owner=account),
    ],
    ids=["head", "head of nothing", "open", "put", "conditional put", "delete"],
)
async def test_what_is_remembered_and_is_no_more_is_not_gone_by(
    autojump_clock: MockClock, change: ChangeTables, use: UseRemembered
) -> None:
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        await two.put(await two.container("a", "c"), "o", b"old", ObjectHead("text/plain"))
        await one.container("a", "c")
        container, account = one.known_container("a", "c"), one.known_account("a")
        assert container is not None
        assert account is not None
        before = await two.list_objects(await two.container("a", "c"), PAGE)
        await change(two)
        with pytest.raises(OutdatedError):
            await use(one, container, account)
        if change is not deleted:
            assert await two.list_objects(await two.container("a", "c"), PAGE) == before, "nothing was done"
        with suppress(NotFoundError):
            await one.container("a", "c")
        with pytest.raises(OutdatedError):  # also of who has seen the newer one meanwhile
            await use(one, container, account)


async def test_what_is_remembered_is_gone_by_while_it_is_so(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        store = another(node, 7)
        await store.container("a", "c")
        container, account = store.known_container("a", "c"), store.known_account("a")
        assert container is not None
        await store.put(container, "o", b"new", HEAD, owner=account)
        assert (await store.head(container, "o", owner=account)).size == 3
        async with store.open(container, "o", owner=account) as found:
            assert found.inline == b"new"
        await store.delete(container, "o", owner=account)
        with pytest.raises(NotFoundError):
            await store.head(container, "o", owner=account)


async def test_a_container_that_another_process_deleted_takes_nothing(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        container = await one.container("a", "c")
        await two.delete_container("a", "c")
        with pytest.raises(NotFoundError):
            await one.container("a", "c")
        with pytest.raises(NotFoundError):
            await one.put(container, "o", b"data", HEAD)
        made, _ = await two.put_container("a", "c", {})
        with pytest.raises(NotFoundError):
            await one.put(container, "o", b"data", HEAD)
        assert (await one.container("a", "c")).id == made.id != container.id
        assert await names(one) == []


async def test_an_account_that_another_process_deleted_takes_no_container(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        await one.put_account("b", {})
        assert await one.account("b")
        await two.delete_account("b")
        with pytest.raises(NotFoundError):
            await one.put_container("b", "c", {})


@pytest.mark.parametrize("before", [True, False], ids=["before it is written", "once it is written"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_a_delete_meets_the_writer_of_another_process(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, *, before: bool, large: bool
) -> None:
    """Either the object is in the container, which stays, or the writer is told that there is none."""
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        container = await one.container("a", "c")
        refused = []

        async def delete() -> None:
            try:
                await two.delete_container("a", "c")
            except ConflictError as error:
                refused.append(error)

        async with one.upload(container, "o") as upload:
            await upload.write(b"data" * (50_000 if large else 1))
            await upload.digest()
            around_placing(monkeypatch, one.rows, delete, before=before)
            if before:
                with pytest.raises(NotFoundError):
                    await upload.commit(HEAD)
            else:
                await upload.commit(HEAD)
        assert len(refused) == (not before)
        if not before:
            assert await names(two) == ["o"]


async def test_a_writer_that_finds_a_container_closing_keeps_it_open(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delete has looked, and found nothing; then somebody writes, and is told that it is done."""
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        container = await one.container("a", "c")
        check = Tables._check_empty
        looks = []

        async def slow(self: Tables, table: bytes, shards: int, what: str) -> None:
            await check(self, table, shards, what)
            looks.append(table)
            if len(looks) == 2:
                await one.put(container, "o", b"data", HEAD)

        monkeypatch.setattr(Tables, "_check_empty", slow)
        with pytest.raises(ConflictError):
            await two.delete_container("a", "c")
        assert await names(two) == ["o"]
        assert (await one.head(await one.container("a", "c"), "o")).size == 4


async def test_who_reads_does_not_keep_a_container_from_going(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        check = Tables._check_empty
        seen: list[Container] = []

        async def slow(self: Tables, table: bytes, shards: int, what: str) -> None:
            await check(self, table, shards, what)
            seen.append(await one.container("a", "c"))

        monkeypatch.setattr(Tables, "_check_empty", slow)
        await two.delete_container("a", "c")
        assert len(seen) == 2
        with pytest.raises(NotFoundError):
            await one.container("a", "c")


async def test_two_processes_delete_a_container_while_one_of_them_writes_to_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer finds it closing, and has the row opened again, for which the delete of its own process must not keep
    it waiting."""
    async with opened(media_of(3)) as (node, container):
        await trio.sleep(5)
        one, two = another(node, 7), another(node, 8)
        await one.container("a", "c")
        check, closing, checked = two.tables._check_empty, trio.Event(), list[str]()

        async def slowly(table: bytes, shards: int, what: str) -> None:
            checked.append(what)
            await check(table, shards, what)
            if len(checked) == 2:  # its row says now that it is closing
                closing.set()
                await trio.sleep(3)

        async def writing() -> None:
            with suppress(NotFoundError), await one.tables.begin_writing(container):
                await closing.wait()
                await one.tables.check_container(container)

        async def deleting(store: DeviceStore) -> None:
            with suppress(NotFoundError, ConflictError):
                await store.delete_container("a", "c")

        monkeypatch.setattr(two.tables, "_check_empty", slowly)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(writing)
                await trio.sleep(1)
                nursery.start_soon(deleting, one)
                await trio.sleep(1)
                nursery.start_soon(deleting, two)
            with suppress(NotFoundError):
                await one.put(container, "o", b"data", HEAD)


@pytest.mark.parametrize("how", ["put", "update"])
async def test_no_condition_fails_of_what_is_in_a_container_that_is_gone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Who wrote it while the container was deleted was told that there is none; so is who finds it there."""
    async with opened(media_of(3)) as (node, container):
        writer, late = another(node, 7), another(node, 8)
        around_placing(monkeypatch, writer.rows, lambda: late.delete_container("a", "c"), before=True)
        with pytest.raises(NotFoundError):
            await writer.put(container, "o", b"data", HEAD)
        if how == "put":
            writing = late.put(container, "o", b"more", HEAD, Condition(none_match=frozenset("*")))
        else:
            writing = late.update(container, "o", lambda _: HEAD, Condition(match=frozenset(["else"])))
        with pytest.raises(NotFoundError):
            await writing


async def test_a_condition_holds_of_what_another_process_has_written(autojump_clock: MockClock) -> None:
    async with opened(media_of(3)) as (node, _):
        one, two = another(node, 7), another(node, 8)
        container = await one.container("a", "c")
        await one.put(container, "o", b"data", HEAD)

        def marked(mark: str) -> Callable[[ObjectInfo], ObjectHead]:
            return lambda info: ObjectHead(info.head.content_type + mark)

        await one.update(container, "o", marked("1"))
        await two.update(container, "o", marked("2"))
        with pytest.raises(PreconditionError):
            await one.put(container, "o", b"new", HEAD, Condition(none_match=frozenset("*")))
        info = await one.head(container, "o")
        assert info.head.content_type == HEAD.content_type + "12"
        assert info.created < info.changed
        await two.delete(container, "o", Condition(match=frozenset([info.etag])))
        with pytest.raises(NotFoundError):
            await one.update(container, "o", marked("3"))
