"""Volumes as one process serves them, over simulated devices, in simulated time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import pairwise
from unittest import mock

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from drystone import volumes as volumes_module
from drystone.counted_disk import CountedDisk
from drystone.volumes import LAST_WORD_SECONDS, LINGER_SECONDS, STOP_SECONDS, Volumes, serving_volumes
from store.blocks import owner_watch
from store.blocks.bell import Bell
from store.blocks.catalogue import Catalogue
from store.blocks.disk import Disk, OwnerReplacedError
from store.blocks.head import Head
from store.blocks.lineage import ACCOUNT
from store.blocks.log_object import parse_row, row_name
from store.blocks.owned_head import load_head
from store.blocks.owner_watch import LOOK_SECONDS, OWNER_SECONDS, WAIT_SECONDS
from store.blocks.table import Table
from store.core.errors import BusyError, ConflictError, InvalidError, NotFoundError, RetryableError
from store.objects.model import ListingQuery
from tests.blocks.conftest import MIB, media, node_of, volume_of
from tests.simulation.node import SimNode
from tests.simulation.world import SeededRandom, SimClock, quiet

PAGE = 4096


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


@asynccontextmanager
async def served(node: SimNode, holder: str = "n1", away: Collection[str] = ()) -> AsyncIterator[Volumes]:
    """One process of the node's. It is called so, and knows that others are away."""
    random = SeededRandom(node.media.random)
    async with serving_volumes(node.store, SimClock(), random, holder, away.__contains__) as volumes:
        yield volumes


async def epoch(volumes: Volumes, name: str = "v") -> int:
    return (await volumes.row(name)).epoch


async def connections(volumes: Volumes, name: str = "v") -> int | None:
    return (await volumes.row(name)).connections


async def use(volumes: Volumes, work: Callable[[Disk], Awaitable[None]]) -> None:
    async with volumes.open("v") as disk:
        await work(disk)


async def hold_on(_: Disk) -> None:
    await trio.sleep_forever()


async def page_of(disk: Disk, offset: int = 0) -> bytes:
    return b"".join(map(bytes, await disk.read(offset, PAGE)))


async def test_all_who_ask_at_once_have_one_volume_that_is_opened_once(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        disks: list[Disk] = []
        async with trio.open_nursery() as nursery:
            here = trio.Event()

            async def one() -> None:
                async with volumes.open("v") as disk:
                    disks.append(disk)
                    await here.wait()

            for _ in range(3):
                nursery.start_soon(one)
            while len(disks) < 3:
                await trio.sleep(0.1)
            assert await connections(volumes) == 3
            here.set()
        assert disks[0] is disks[1] is disks[2]
        assert await epoch(volumes) == 1


async def test_it_stays_open_for_one_that_connects_again_and_no_longer(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            await trio.sleep(10 * LINGER_SECONDS)  # as long as it is used
        await trio.sleep(LINGER_SECONDS / 2)
        async with volumes.open("v") as disk:
            assert await page_of(disk) == b"a" * PAGE
        assert await epoch(volumes) == 1
        await trio.sleep(2 * LINGER_SECONDS)
        assert await connections(volumes) is None
        async with volumes.open("v") as disk:
            assert await page_of(disk) == b"a" * PAGE
        assert await epoch(volumes) == 2


async def test_who_asks_while_it_is_closed_waits_and_has_it_anew(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        for delay in range(40):  # some of them in the midst of it
            async with volumes.open("v") as disk:
                await disk.write(0, bytes([delay]) * PAGE)
            await trio.sleep(LINGER_SECONDS - 0.2 + delay / 100)
            async with volumes.open("v") as disk:
                assert await page_of(disk) == bytes([delay]) * PAGE
        assert await epoch(volumes) > 1


@contextmanager
def looks_counted() -> Iterator[list[float]]:
    """When the heads of volumes that are open are looked at."""
    times: list[float] = []

    async def counted(table: Table) -> Head:
        times.append(trio.current_time())
        return await load_head(table)

    with mock.patch.object(owner_watch, "load_head", counted):
        yield times


async def taken_by(others: Volumes) -> None:
    """Another node writes b where there was an a."""
    async with others.open("v") as other:
        await other.write(0, b"b" * PAGE)
        await other.flush()


async def test_an_idle_volume_is_looked_at_by_nobody(autojump_clock: MockClock) -> None:
    """Its head is not, and no task of this process wakes for it."""
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            await disk.flush()
            await trio.sleep(60)
            watched = mock.Mock(wraps=Bell.wait)

            async def wait(bell: Bell, seconds: float = float("inf")) -> None:
                await watched(bell, seconds)

            with looks_counted() as looks, mock.patch.object(Bell, "wait", wait):
                await trio.sleep(3600)
                assert (looks, watched.call_count) == ([], 0)
                assert await page_of(disk) == b"a" * PAGE
                assert len(looks) == 1


@pytest.mark.parametrize("ask", [page_of, lambda disk: disk.extents(0, PAGE, 1)])
async def test_the_first_read_after_an_idle_hour_is_of_the_owner(
    autojump_clock: MockClock, ask: Callable[[Disk], Awaitable[object]]
) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        refusals: list[OwnerReplacedError] = []

        async def look_again(disk: Disk) -> None:
            await disk.write(0, b"a" * PAGE)
            await trio.sleep(3600)
            await taken_by(others)
            with pytest.raises(OwnerReplacedError, match="somebody else has opened the volume") as refused:
                await ask(disk)
            refusals.append(refused.value)
            with trio.fail_after(LAST_WORD_SECONDS + 1):
                await trio.sleep_forever()

        with pytest.raises(OwnerReplacedError, match="not served here"):
            await use(volumes, look_again)
        assert len(refusals) == 1
        async with volumes.open("v") as disk:
            assert await page_of(disk) == b"b" * PAGE


async def test_who_reads_all_the_time_never_waits_and_is_told_in_ten_seconds(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        stale: list[float] = []

        async def read_on(disk: Disk) -> None:
            await disk.write(0, b"a" * PAGE)
            began = trio.current_time()
            with looks_counted() as looks:
                while trio.current_time() < began + 100:
                    assert await page_of(disk) == b"a" * PAGE
                    await trio.sleep(0.25)
            assert len(looks) == 12
            assert {round(after - before, 1) for before, after in pairwise(looks)} <= {8.0, 8.1, 8.2, 8.3}
            await taken_by(others)
            taken = trio.current_time()
            with suppress(OwnerReplacedError):
                while True:
                    await disk.read(0, PAGE)
                    stale.append(trio.current_time() - taken)
                    await trio.sleep(0.25)
            await trio.sleep_forever()

        with pytest.raises(OwnerReplacedError, match="not served here"):
            await use(volumes, read_on)
        assert 0 < stale[-1] <= OWNER_SECONDS


async def test_a_look_is_made_beside_reads_that_do_not_wait_for_it(autojump_clock: MockClock) -> None:
    """Until the one before it is too long ago: then they do."""
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        looking, look_on = trio.Event(), trio.Event()

        async def slow(table: Table) -> Head:
            looking.set()
            await look_on.wait()
            return await load_head(table)

        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            await page_of(disk)
            with mock.patch.object(owner_watch, "load_head", slow):
                await trio.sleep(LOOK_SECONDS + 0.5)
                with trio.fail_after(0.5):
                    await page_of(disk)
                    await looking.wait()
                    await page_of(disk)
                await trio.sleep(OWNER_SECONDS - LOOK_SECONDS)
                with trio.move_on_after(1) as waiting:
                    await page_of(disk)
                assert waiting.cancelled_caught
                look_on.set()
                assert await page_of(disk) == b"a" * PAGE


async def test_a_look_counts_from_when_it_began(autojump_clock: MockClock) -> None:
    """What it found may be as old."""
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        looks = 0

        async def slow(table: Table) -> Head:
            nonlocal looks
            looks += 1
            head = await load_head(table)
            await trio.sleep(OWNER_SECONDS + 1)
            return head

        async with volumes.open("v") as disk:
            await trio.sleep(60)
            with mock.patch.object(owner_watch, "load_head", slow):
                await page_of(disk)
                assert looks == 1
                await page_of(disk)
                assert looks == 2


async def test_where_nobody_can_tell_whose_it_is_reads_wait_and_then_fail(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            await disk.flush()

            async def away(table: Table) -> Head:
                raise BusyError("too few devices answer")

            async def back_after(seconds: float) -> None:
                with mock.patch.object(owner_watch, "load_head", away):
                    await trio.sleep(seconds)

            await trio.sleep(60)
            async with trio.open_nursery() as nursery:  # it comes back while they wait
                nursery.start_soon(back_after, WAIT_SECONDS / 2)
                await wait_all_tasks_blocked()
                assert await page_of(disk) == b"a" * PAGE
            await trio.sleep(60)
            with mock.patch.object(owner_watch, "load_head", away):
                began = trio.current_time()
                with pytest.raises(BusyError, match="cannot be found out now: too few devices answer"):
                    await page_of(disk)
                assert trio.current_time() - began == pytest.approx(WAIT_SECONDS)
            assert await page_of(disk) == b"a" * PAGE  # and it is open still
        assert await epoch(volumes) == 1


async def test_looks_that_fail_are_made_again_while_reads_go_on(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            failures = [BusyError("not now")]

            async def once(table: Table) -> Head:
                if failures:
                    raise failures.pop()
                return await load_head(table)

            with mock.patch.object(owner_watch, "load_head", once):
                began = trio.current_time()
                while trio.current_time() < began + 2 * OWNER_SECONDS:
                    with trio.fail_after(0.2):  # none of them waits
                        await page_of(disk)
                    await trio.sleep(0.25)
            assert not failures


async def test_a_volume_that_fails_is_closed_at_once(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        ended: list[float] = []

        async def fail(disk: Disk) -> None:
            assert isinstance(disk, CountedDisk)
            await trio.sleep(60)
            ended.append(trio.current_time())
            disk._volume.replaced(OwnerReplacedError("somebody has it"))
            await trio.sleep_forever()

        with pytest.raises(OwnerReplacedError, match="not served here"):
            await use(volumes, fail)
        assert trio.current_time() - ended[0] == pytest.approx(LAST_WORD_SECONDS, abs=0.1)
        assert await connections(volumes) is None


async def test_who_asks_for_nothing_is_told_of_when_volumes_are_listed(autojump_clock: MockClock) -> None:
    """The list says who has it, and so that it is not open here any more."""
    async with node_of(media()) as node, served(node) as volumes, served(node, "n2") as others:
        await volumes.create("v", MIB, "")

        async def idle(_: Disk) -> None:
            await taken_by(others)
            row = await volumes.row("v")
            assert (row.holder, row.connections) == ("n2", None)
            with trio.fail_after(LAST_WORD_SECONDS + 1):
                await trio.sleep_forever()

        with pytest.raises(OwnerReplacedError, match="not served here"):
            await use(volumes, idle)


async def test_who_only_looks_at_a_volume_does_not_take_it_over(autojump_clock: MockClock) -> None:
    """Not here, and not from another; what is told is what the head says now."""
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        assert await others.look("v") == (MIB, False)
        assert await epoch(volumes) == 0
        async with volumes.open("v") as disk:
            await volumes.snapshot("v", "s")
            await volumes.resize("v", 2 * MIB)
            assert await others.look("v") == (2 * MIB, False)
            assert await others.look("v@s") == (MIB, True)
            await disk.write(0, b"a" * PAGE)  # it is still ours
        assert await epoch(volumes) == 1
        assert await connections(others) is None
        for name in ("w", "w@s", "v@t"):
            with pytest.raises(NotFoundError):
                await others.look(name)


async def test_what_another_node_has_is_not_taken_from_it_without_a_word(autojump_clock: MockClock) -> None:
    """Whatever an operator asks for that would: it says who has it, and the one who has it notices nothing."""
    async with node_of(media()) as node, served(node) as volumes, served(node, "n2") as others:
        await volumes.create("v", MIB, "", 3600_000_000)
        for ask in (
            partial(others.snapshot, "v", "s"),
            partial(others.flatten, "v"),
            partial(others.rewind, "v", 0),
            partial(others.delete, "v", force=True),
        ):
            async with volumes.open("v") as disk:
                with pytest.raises(ConflictError, match=r"v is open on node n1 since .* UTC; .* --take-over"):
                    await ask()
                await disk.write(0, b"a" * PAGE)
        assert await epoch(volumes) == 1
        assert await connections(others) is None
        assert await others.snapshots("v") == []
        async with others.open("v") as disk:  # a client is not asked
            assert await page_of(disk) == b"a" * PAGE
        assert await epoch(volumes) == 2


async def test_what_another_node_has_is_taken_over_on_demand(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node, "n2") as others:
        await volumes.create("v", MIB, "", 3600_000_000)
        for ask in (
            partial(others.snapshot, "v", "s", take_over=True),
            partial(others.take_over, "v"),
            partial(others.delete, "v", force=False, take_over=True),
        ):

            async def work(disk: Disk, ask: Callable[[], Awaitable[object]] = ask) -> None:
                await ask()
                with trio.fail_after(OWNER_SECONDS + 2 * LAST_WORD_SECONDS + 1):
                    while True:
                        with suppress(OwnerReplacedError, NotFoundError):
                            await disk.read(0, PAGE)
                        await trio.sleep(0.25)

            with pytest.raises(OwnerReplacedError, match="not served here"):
                await use(volumes, work)
        with pytest.raises(NotFoundError):
            await volumes.row("v")


async def test_who_takes_a_volume_over_hears_who_had_it(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node, "n2") as others:
        await volumes.create("v", MIB, "")
        assert (await others.take_over("v")).node == ""
        assert await connections(others) == 0  # it is open, for who comes now
        row = await volumes.row("v")
        assert await volumes.take_over("v") == (row.holder, row.since_us)
        assert (row.holder, (await volumes.row("v")).holder) == ("n2", "n1")
        await trio.sleep(2 * LINGER_SECONDS)
        assert (await others.take_over("v")).node == ""


async def test_what_was_left_behind_is_nobodys(autojump_clock: MockClock) -> None:
    """By this node, before it was killed, and by one that is known to be away."""
    async with node_of(media()) as node:
        async with served(node) as volumes:
            await volumes.create("v", MIB, "")
        for life in range(3):
            with trio.CancelScope() as killed:
                async with volume_of(node, "v", holder="n1" if life < 2 else "n3"):
                    killed.cancel()
                    await trio.sleep(0)
            async with served(node, "n1" if life < 1 else "n2", away=["n1"]) as volumes:
                assert (await volumes.row("v")).holder == ("n1" if life < 2 else "n3")
                if life < 2:
                    await volumes.snapshot("v", f"s{life}")
                else:
                    with pytest.raises(ConflictError, match="node n3"):
                        await volumes.snapshot("v", "s")


async def test_a_writer_hears_why_before_it_is_cut_off(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        heard: list[str] = []

        async def write(disk: Disk) -> None:
            async with others.open("v"):
                pass
            with trio.fail_after(OWNER_SECONDS / 2):  # sooner than it is looked for
                while True:
                    try:
                        await disk.write(0, b"a" * PAGE)
                    except OwnerReplacedError as error:
                        heard.append(str(error))
                        await trio.sleep(LAST_WORD_SECONDS / 4)

        with pytest.raises(OwnerReplacedError, match="not served here"):
            await use(volumes, write)
        assert "somebody else has opened the volume" in heard[0]


async def test_a_new_client_finds_out_at_once_that_another_has_it(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        async with trio.open_nursery() as nursery:

            async def holds_on() -> None:
                with pytest.raises(OwnerReplacedError):
                    await use(volumes, hold_on)

            nursery.start_soon(holds_on)
            while await connections(volumes) is None:
                await trio.sleep(0.01)
            async with others.open("v") as other:
                await other.write(0, b"b" * PAGE)
                await other.flush()
            async with volumes.open("v") as disk:
                assert await page_of(disk) == b"b" * PAGE


async def test_what_cannot_be_opened_is_told_to_all_who_wait_and_tried_again(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node, served(node) as volumes:
        with pytest.raises(NotFoundError, match="there is no volume v"):
            await use(volumes, hold_on)
        await volumes.create("v", MIB, "")
        for number in (1, 2):
            node.take_away(number)
        told = 0

        async def one() -> None:
            nonlocal told
            with pytest.raises(RetryableError):
                await use(volumes, hold_on)
            told += 1

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(one)
        assert told == 3


async def test_it_grows_while_it_is_served(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await volumes.resize("v", 2 * MIB)
            assert disk.size == 2 * MIB
            await disk.write(2 * MIB - PAGE, b"a" * PAGE)
            with pytest.raises(InvalidError, match="not shrink"):
                await volumes.resize("v", MIB)
            await others.resize("v", 3 * MIB)  # on another node
            async with volumes.open("v") as again:
                assert again.size == 3 * MIB
            assert await epoch(volumes) == 1
        async with volumes.open("v") as disk:
            assert await page_of(disk, 2 * MIB - PAGE) == b"a" * PAGE


async def test_a_name_is_changed_while_it_is_served(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            await Catalogue(node.store, SeededRandom(node.media.random)).rename("v", "w")
            await trio.sleep(2 * OWNER_SECONDS)
            async with volumes.open("w") as again:
                assert again is disk
            with pytest.raises(NotFoundError):
                await use(volumes, hold_on)
        assert await epoch(volumes, "w") == 1


async def test_what_is_used_is_deleted_by_force_alone(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")

        last_words: list[bytes] = []

        async def write(disk: Disk) -> None:
            with pytest.raises(ConflictError, match="1 connections"):
                await volumes.delete("v", force=False)
            await disk.write(0, b"a" * PAGE)
            nursery.start_soon(partial(volumes.delete, "v", force=True))
            await trio.sleep(LAST_WORD_SECONDS / 2)
            last_words.append(await page_of(disk))
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            with pytest.raises(OwnerReplacedError):
                await use(volumes, write)
        assert last_words == [b"a" * PAGE]
        with pytest.raises(NotFoundError):
            await volumes.row("v")


async def test_what_nobody_uses_any_more_is_deleted_and_what_is_being_deleted_not_opened(
    autojump_clock: MockClock,
) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
        go_on, delete = trio.Event(), Catalogue.delete

        async def slow(catalogue: Catalogue, name: str) -> None:
            await go_on.wait()
            await delete(catalogue, name)

        with mock.patch.object(Catalogue, "delete", slow):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(volumes.delete, "v", force=False))
                await wait_all_tasks_blocked()
                with pytest.raises(NotFoundError, match="is being deleted"):
                    await use(volumes, hold_on)
                go_on.set()
        assert await volumes.names() == []
        account = await node.store.account(ACCOUNT)
        containers = await node.store.list_containers(account, ListingQuery(limit=9))
        assert [entry.name for entry in containers] == ["names"]


async def test_nothing_is_left_of_a_volume_that_cannot_be(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        for name, size, policy in (("v", MIB, "code"), ("v", MIB, "none"), ("v", 1000, ""), ("a/b", MIB, "")):
            with pytest.raises(InvalidError):
                await volumes.create(name, size, policy)
        assert await volumes.names() == []


async def test_rows_come_in_pages(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        for number in range(7):
            await volumes.create(f"v{number}", MIB, "")
        rows = await volumes.rows("", 3)
        while page := await volumes.rows(rows[-1].name, 3):
            rows += page
        assert [row.name for row in rows] == ["v0", "v1", "v2", "v3", "v4", "v5", "v6"]
        assert {row.size for row in rows} == {MIB}


async def test_a_stop_has_all_durable_and_opens_nothing_more(autojump_clock: MockClock) -> None:
    these = media()
    async with node_of(these) as node:
        async with served(node) as volumes:
            await volumes.create("v", MIB, "")
            async with volumes.open("v") as disk:
                for page in range(16):
                    await disk.write(page * PAGE, b"a" * PAGE)
            volumes.stop()
            with pytest.raises(RetryableError, match="stops"):
                await use(volumes, hold_on)
        catalogue = Catalogue(node.store, SeededRandom(these.random))
        table = Table(node.store, await catalogue.find("v"))
        row = await table.load(row_name(1))
        assert row is not None
        contents = parse_row(1, row).contents
        assert contents is not None  # it is sealed, so all is durable
        assert sum(entry.pages for frame in contents.frames for entry in frame.entries) == 16
    async with node_of(these) as node, volume_of(node) as volume:
        for page in range(16):
            assert await page_of(volume, page * PAGE) == b"a" * PAGE


async def test_a_stop_comes_to_an_end_where_nothing_can_be_made_durable(autojump_clock: MockClock) -> None:
    async with node_of(media(3)) as node:
        async with served(node) as volumes:
            await volumes.create("v", MIB, "")
            async with volumes.open("v") as disk:
                await disk.write(0, b"a" * PAGE)
                for number in (1, 2):
                    node.take_away(number)
            began = trio.current_time()
        assert 0 < trio.current_time() - began <= STOP_SECONDS


async def test_a_volume_whose_making_was_not_done_to_the_end_is_removed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes_module, "REAP_SECONDS", 10.0)
    monkeypatch.setattr(volumes_module, "REAP_AGE_US", 25_000_000)
    async with node_of(media()) as node, served(node) as volumes:
        with mock.patch.object(Catalogue, "_name", side_effect=BusyError("the process ends")), suppress(BusyError):
            await volumes.create("half", MIB, "")
        account = await node.store.account(ACCOUNT)
        for seconds, left in ((15, 2), (20, 1)):
            await trio.sleep(seconds)
            assert len(await node.store.list_containers(account, ListingQuery(limit=9))) == left


async def test_who_has_a_volume_is_known(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")
        assert (await volumes.row("v")).holder == ""
        async with volumes.open("v"):
            row = await volumes.row("v")
            assert (row.holder, row.since_us) == ("n1", SimClock().wall_us())
        await trio.sleep(2 * LINGER_SECONDS)
        assert (await volumes.row("v")).holder == ""
        async with volume_of(node), volumes.open("v"):
            assert (await volumes.row("v")).holder == "n1"


async def test_what_is_in_the_trash_is_told_and_goes_when_its_time_has_come(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes_module, "REAP_SECONDS", 10.0)
    async with node_of(media()) as node, served(node) as volumes:
        now = SimClock().wall_us
        for name, seconds in (("a", 100), ("b", 25), ("c", 15)):
            await volumes.create(name, MIB, "")
            await trio.sleep(0.5)
            deleted = now()
            volume = await volumes.delete(name, force=False, keep_us=seconds * 1_000_000)
            row = (await volumes.trash())[0]
            assert (row.id, row.name, row.size) == (volume.hex(), name, MIB)
            assert (row.deleted_us, row.goes_us) == (deleted, deleted + seconds * 1_000_000)
        assert await volumes.names() == []
        for seconds, left in ((10, "cba"), (10, "cba"), (10, "ba"), (10, "a")):
            assert "".join(row.name for row in await volumes.trash()) == left
            await trio.sleep(seconds)
        (kept,) = await volumes.trash()
        with pytest.raises(InvalidError, match="letters, digits"):
            await volumes.restore(bytes.fromhex(kept.id), "@a")
        assert await volumes.restore(bytes.fromhex(kept.id)) == "a"
        assert [row.name for row in await volumes.rows("", 9)] == ["a"]


async def test_what_is_used_goes_to_the_trash_by_force_alone(autojump_clock: MockClock) -> None:
    """Its last writes are in it: it is closed in good order."""
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "")

        async def write(disk: Disk) -> None:
            with pytest.raises(ConflictError, match="1 connections"):
                await volumes.delete("v", force=False, keep_us=1)
            await disk.write(0, b"a" * PAGE)
            nursery.start_soon(partial(volumes.delete, "v", force=True, keep_us=1))
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            with pytest.raises(OwnerReplacedError):
                await use(volumes, write)
        (row,) = await volumes.trash()
        with pytest.raises(NotFoundError):
            await use(volumes, hold_on)
        await volumes.restore(bytes.fromhex(row.id))
        assert (await volumes.row("v")).holder == ""
        async with volumes.open("v") as disk:
            assert await page_of(disk) == b"a" * PAGE


async def test_a_flush_says_under_which_epoch(autojump_clock: MockClock) -> None:
    """So who wrote before knows whether anybody has had the volume since."""
    these = media()
    async with node_of(these) as node, served(node) as volumes, served(node) as others:
        await volumes.create("v", MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
        assert await volumes.flush("v") == 1
        assert await others.flush("v") == 2
        with pytest.raises(NotFoundError):
            await volumes.flush("w")


@pytest.mark.parametrize("here", [True, False])
async def test_who_is_cut_off_writes_nothing_any_more(here: bool, autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes, served(node, "n2") as others:
        await volumes.create("v", MIB, "")
        with pytest.raises(NotFoundError):
            await volumes.cut_off("none")

        async def keep_writing(disk: Disk) -> None:
            began.set()
            while True:
                await disk.write(0, b"x" * PAGE, durable=True)
                await trio.sleep(0.1)

        async def client() -> None:
            with pytest.raises(OwnerReplacedError):
                await use(volumes, keep_writing)

        began = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            await began.wait()
            await (volumes if here else others).cut_off("v")
            last = await epoch(others)
        assert last == 2


async def test_a_clone_has_a_window_of_its_own(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", MIB, "", 5_000_000)
        await volumes.snapshot("v", "s")
        await volumes.clone("v", "s", "same", None)
        await volumes.clone("v", "s", "none", None, 0)
        assert [(await volumes.row(name)).window_us for name in ("same", "none")] == [5_000_000, 0]


async def test_what_changed_between_snapshots_is_known_while_the_volume_is_written(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, served(node) as volumes:
        await volumes.create("v", 4 * MIB, "")
        async with volumes.open("v") as disk:
            await disk.write(0, b"a" * MIB)
            await volumes.snapshot("v", "s0")
            await disk.write(3 * MIB, b"b" * PAGE)
            await volumes.snapshot("v", "s1")
            await disk.write(2 * MIB, b"c" * PAGE)
            assert await volumes.changed("v", "s0", "s1", 0, 4 * MIB, 10) == [(3 * MIB, PAGE)]
        with pytest.raises(NotFoundError):
            await volumes.changed("w", "s0", "s1", 0, 4 * MIB, 10)


async def test_volumes_are_cut_at_one_moment(autojump_clock: MockClock) -> None:
    """What was written and flushed before another write is there where that is: whatever the order in which the
    snapshots are made, and however long after the moment."""
    names = ["a", "b", "c"]
    async with node_of(media()) as node, served(node) as volumes:
        for name in names:
            await volumes.create(name, MIB, "", window_us=900 * 1_000_000)
        clock, moments = SimClock(), list[int]()
        async with AsyncExitStack() as stack:
            disks = [await stack.enter_async_context(volumes.open(name)) for name in names]
            for number in range(1, 40):
                disk = disks[number * 2 % 3]
                await disk.write(0, number.to_bytes(2, "big").ljust(PAGE))
                await disk.flush()
                await trio.sleep(0.3)
                if number % 13 == 0:
                    moments.append(clock.wall_us())
            for at, moment in enumerate(moments):
                for name in reversed(names):
                    await volumes.snapshot(name, f"s{at}", moment)
        for at in range(len(moments)):
            last: list[int] = []
            for name in names:
                async with volumes.open(f"{name}@s{at}") as disk:
                    last.append(int.from_bytes((await page_of(disk))[:2], "big"))
            newest = max(last)
            assert newest in ((at + 1) * 13, (at + 1) * 13 + 1), "the write that was begun at the moment is, or is not"
            assert sorted(last) == [newest - 2, newest - 1, newest]
