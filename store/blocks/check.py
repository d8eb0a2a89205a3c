"""Checking a volume: whether all that its rows name is there, and is what it should be.

It only reads, so it may be done while somebody has the volume open, here or elsewhere. What is checked is what the rows
said when it began: their maps are held open from then on. Log objects are not; so one that is gone counts as a fault
only if what the rows say now still needs it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

import trio

from store.blocks.checkpoint import CheckpointTable
from store.blocks.checkpoints import Checkpoints
from store.blocks.contents import Contents
from store.blocks.head import SIZE_MAX, Head, Root
from store.blocks.lineage import Lineage
from store.blocks.log_check import check_log, log_start
from store.blocks.log_object import LogObject, parse_row, row_name
from store.blocks.log_reader import LogReader, needed_key
from store.blocks.map_walk import MapWalk
from store.blocks.owned_head import load_head
from store.blocks.page_table import PAGE_SHIFT
from store.blocks.place import BLOCK_BYTES, OBJECTS_MAX, unpack
from store.blocks.place_check import Batch, OnPage, page_ranges, wrong
from store.blocks.report import Progress, Report, Reported, Summary
from store.blocks.snapshots import Snapshots
from store.blocks.table import Table
from store.core.errors import DamageError, DrystoneError, NotFoundError
from store.objects.model import Container
from store.objects.store import DeviceStore

READ_PAGES: Final = 256
"""Pages of data that are read at one time."""
DIRECTORIES_MAX: Final = SIZE_MAX // BLOCK_BYTES >> 2 * PAGE_SHIFT
TRIES: Final = 8
"""What the rows name may have been replaced before it was held: then it is looked at again, so often."""


class Named(NamedTuple):
    """A root, and what names it, in words."""

    root: Root
    by: str
    snapshot: bool = False


async def check_volume(
    store: DeviceStore,
    container: Container,
    tell: Callable[[Report], Awaitable[None]],
    *,
    snapshot: str | None = None,
    data: bool = False,
) -> Summary:
    """Check a volume, or only one of its snapshots; with `data` all blocks that it needs are read, too: each from one
    device that has it. Tells what is wrong, and how far it has come. Raises NotFoundError where there is no such volume
    or snapshot; RetryableErrors where its rows cannot be read now."""
    table = Table(store, container)
    head = await load_head(table)
    lineage = Lineage(table, head.lineage)
    checkpoints = Checkpoints(lineage)
    try:
        return await _Check(table, lineage, checkpoints, tell, snapshot, data).run()
    finally:
        with trio.CancelScope(shield=True):
            await checkpoints.close()


class _Check:
    def __init__(
        self,
        table: Table,
        lineage: Lineage,
        checkpoints: Checkpoints,
        tell: Callable[[Report], Awaitable[None]],
        snapshot: str | None,
        data: bool,
    ) -> None:
        self._table = table
        self._lineage = lineage
        self._checkpoints = checkpoints
        self._said = Reported(tell)
        self._snapshot = snapshot
        self._data = data
        self._reader = LogReader(lineage)
        self._roots: list[Named] = []
        self._most: Counter[int] = Counter()
        """How many blocks at most one of the roots has in each log object, by its key."""
        self._kept: set[int] = set()
        """The keys of objects that snapshots need."""
        self._stored: set[int] = set()
        """The keys of checkpoints that are needed."""
        self._gone: dict[int, str] = {}
        """Of log objects that are not there, by their keys: what should be."""
        self._behind: dict[Root, str] = {}
        """Roots that count in some of a log, and what names them."""
        self._held: set[int] = set()
        """The keys of checkpoints that are open."""
        self._map_pages = 0
        """Of maps, about so many are to be read."""
        self._read_bytes = 0
        self._to_read_bytes = 0
        """Of all, as far as that is known; else 0."""
        self._whole: set[int] = set()
        """The keys of log objects that were read as a whole."""
        self._incomplete = False
        """Whether some of a map cannot be read: nobody knows what it needs."""

    async def run(self) -> Summary:
        head = await self._hold()
        log = None
        if self._snapshot is None:
            log = await check_log(self._table, head, self._said, self._read_log if self._data else None)
        await self._check_places()
        await self._check_behind()
        await self._decide_gone()
        await self._check_ancestors(head)
        if log is not None and not self._incomplete:
            await self._count_unneeded(head, log.first)
        return Summary(
            self._said.problems, len(self._roots), sum(self._most.values()), len(self._most), self._read_bytes
        )

    # -- what is checked -----------------------------------------------------------------------------------------

    async def _named(self) -> tuple[Head, list[Named]]:
        """What the rows name now, the oldest first."""
        head = await load_head(self._table)
        snapshots = Snapshots(self._table)
        if self._snapshot is not None:
            root = (await snapshots.find(self._snapshot)).root
            assert root is not None
            return head, [Named(root, f"snapshot {self._snapshot}", snapshot=True)]
        named = [Named(head.root, "the head")]
        named += [Named(past.root, "the past") for past in head.history]
        for name, each in (await snapshots.all()).items():
            if each.root is None:
                continue
            shown = "a deleted snapshot that clones need" if each.deleted else f"snapshot {name}"
            named.append(Named(each.root, shown, snapshot=True))
        return head, sorted(named, key=lambda each: (each.root.depth, each.root.checkpoint, not each.snapshot))

    async def _hold(self) -> Head:
        """See what is named, and hold it open: the maps stay what they are from now on."""
        for attempt in range(TRIES):
            head, named = await self._named()
            failures: dict[Root, str] = {}
            for each in named:
                if each.root.checkpoint and each.root not in failures:
                    try:
                        await self._hold_one(each.root)
                    except DrystoneError as error:
                        failures[each.root] = f"the map of {each.by} cannot be read: {error}"
            if failures and attempt < TRIES - 1:
                _, again = await self._named()
                if failures.keys() - {each.root for each in again}:
                    continue
            self._incomplete = bool(failures)
            for text in failures.values():
                await self._said.problem(text)
            seen: set[tuple[int, int]] = set()
            for each in named:
                if each.root.behind is not None:
                    self._behind[each.root] = each.by
                if each.root not in failures and (key := each.root[:2]) not in seen:
                    seen.add(key)
                    self._roots.append(each)
            return head
        raise AssertionError

    async def _hold_one(self, root: Root) -> None:
        table = await self._checkpoints.table(root.depth, root.checkpoint)
        if len(table.top) > DIRECTORIES_MAX:
            raise DamageError(f"checkpoint {root.checkpoint} has more blocks than a volume")
        self._map_pages = max(self._map_pages, sum(table.checkpoints.values()))
        missing: list[str] = []
        for key in table.checkpoints.keys() - self._held:
            depth, number, _ = unpack(key << 16)
            try:
                await self._checkpoints.footer(depth, number)
                self._held.add(key)
                await self._said.progress(Progress("checkpoints opened", len(self._held), 0))
            except NotFoundError:
                missing.append(f"{number}")
        if missing:
            raise NotFoundError(f"checkpoint {', '.join(missing)} is gone")

    async def _check_ancestors(self, head: Head) -> None:
        """Whether those are there that a clone was made of, and the last of them knows of it. One that was flattened
        needs none."""
        own = self._lineage.depth
        if not any(key >> 32 < own for key in (*self._most, *self._stored)):
            return
        snapshots = {}
        for depth, ancestor in enumerate(head.lineage):
            try:
                table = await self._lineage.table(depth)
                await load_head(table)
                snapshots = await Snapshots(table).all()
            except DrystoneError as error:
                await self._said.problem(f"volume {ancestor.hex()}, which this is a clone of, cannot be read: {error}")
                return
        origin = snapshots.get(head.origin)
        if origin is None or bytes.fromhex(self._table.container.name) not in origin.clones:
            await self._said.problem(
                f"the snapshot {head.origin!r} that this is a clone of does not name it: what they share may be dropped"
            )

    # -- maps ----------------------------------------------------------------------------------------------------

    async def _check_places(self) -> None:
        """Go through all maps; then see to the log objects that they name. Where the places of all of them would take
        too much memory, that is done for some objects at a time."""
        low: int | None = 0
        while low is not None:
            batch = Batch(low)
            await self._walk(batch, first=low == 0)
            if low == 0 and self._data:
                left = sum(blocks for key, blocks in self._most.items() if key not in self._whole)
                self._to_read_bytes = self._read_bytes + left * BLOCK_BYTES
            for at, key in enumerate(batch.keys):
                await self._check_object(key, batch.placed(key))
                await self._said.progress(Progress("log objects", at + 1, len(batch.keys)))
            low = batch.high

    async def _walk(self, batch: Batch, *, first: bool) -> None:
        walk = MapWalk(self._checkpoints)

        async def turn() -> None:
            await self._said.progress(Progress("pages of maps", walk.read, max(walk.read, self._map_pages)))

        for named in self._roots:
            table = await self._table_of(named.root)
            known = len(walk.bad)
            await walk.to(table.top, batch.add, turn)
            if not first:
                continue
            for place in list(walk.bad)[known:]:
                depth, number, page = unpack(place)
                await self._said.problem(
                    f"page {page} of checkpoint {number}{self._whose(depth)}, of the map of {named.by}, cannot be read:"
                    f" {walk.bad[place]}"
                )
            await self._count(named, table, walk)

    async def _table_of(self, root: Root) -> CheckpointTable:
        if root.checkpoint:
            return await self._checkpoints.table(root.depth, root.checkpoint)
        return _EMPTY

    async def _count(self, named: Named, table: CheckpointTable, walk: MapWalk) -> None:
        """Whether a checkpoint says what its map needs."""
        objects, checkpoints = +walk.objects, +walk.checkpoints
        for key, count in objects.items():
            self._most[key] = max(self._most[key], count)
        if named.snapshot:
            self._kept.update(objects)
        self._stored.update(checkpoints)
        if named.root.checkpoint:
            self._stored.add(named.root.depth << 32 | named.root.checkpoint)
        if walk.bad:  # what lies behind these is not known
            self._incomplete = True
            return
        for what, counted, said in (
            ("blocks of log object", objects, table.objects),
            ("pages of checkpoint", checkpoints, table.checkpoints),
        ):
            for key in sorted(key for key in counted.keys() | said.keys() if counted[key] != said[key]):
                await self._said.problem(
                    f"checkpoint {named.root.checkpoint}, of {named.by}, says that {said[key]} {what} "
                    f"{key & OBJECTS_MAX}{self._whose(key >> 32)} are needed, and its map needs {counted[key]}"
                )

    def _whose(self, depth: int) -> str:
        if depth == self._lineage.depth:
            return ""
        if depth > self._lineage.depth:
            return f" of depth {depth}"
        return f" of volume {self._lineage.ancestors[depth].hex()}"

    async def _check_behind(self) -> None:
        """Whether the log objects are there, and sealed, that roots count in behind their checkpoints."""
        for root, by in self._behind.items():
            for key in behind_keys(root):
                depth, number = key >> 32, key & OBJECTS_MAX
                what = f"log object {number}{self._whose(depth)}"
                self._most[key] = max(self._most[key], 1)
                try:
                    found = await self._load(depth, number)
                except DrystoneError as error:
                    await self._said.problem(f"{what}, which {by} needs, cannot be read: {error}")
                    continue
                if found is None:
                    self._gone[key] = f"{what} is gone, which {by} needs"
                elif found.contents is None:
                    await self._said.problem(f"{what} is not sealed, and {by} needs it")
                elif self._data and key not in self._whole:
                    await self._read_whole(key, what, found.contents)

    # -- log objects ---------------------------------------------------------------------------------------------

    async def _check_object(self, key: int, placed: list[OnPage]) -> None:
        depth, number = key >> 32, key & OBJECTS_MAX
        what = f"log object {number}{self._whose(depth)}"
        blocks = sum(run.blocks for run in placed)
        try:
            found = await self._load(depth, number)
        except DrystoneError as error:
            await self._said.problem(f"{what}, in which {blocks} blocks are, cannot be read: {error}")
            return
        if found is None:
            self._gone[key] = f"{what} is gone, and {blocks} blocks are in it"
        elif found.contents is None:
            if depth != self._lineage.depth or key in self._kept:
                await self._said.problem(f"{what} is not sealed, and a snapshot needs it")
            else:
                await self._said.note(
                    f"{what} is being written: it is not known yet whether {blocks} blocks are in it, as the map says"
                )
        else:
            faults = list(wrong(found.contents, placed))
            for fault in faults:
                await self._said.problem(f"{what}: {fault}")
            if self._data and not faults and key not in self._whole:
                await self._read(key, what, found.contents, placed)

    async def _load(self, depth: int, number: int) -> LogObject | None:
        row = await (await self._lineage.table(depth)).load(row_name(number))
        return None if row is None else parse_row(number, row)

    async def _read_log(self, number: int, contents: Contents) -> None:
        """Read what is behind the map."""
        await self._read_whole(self._lineage.depth << 32 | number, f"log object {number}", contents)

    async def _read_whole(self, key: int, what: str, contents: Contents) -> None:
        placed = [OnPage(page, entry.blocks, entry.first) for entry, page in contents.entries() if entry.pages]
        self._whole.add(key)
        await self._read(key, what, contents, placed)

    async def _read(self, key: int, what: str, contents: Contents, placed: list[OnPage]) -> None:
        for first, pages in page_ranges(placed):
            while pages:
                count = min(pages, contents.spot(first).pages, READ_PAGES)
                try:
                    await self._reader.read(key << 16 | first, count)
                except DrystoneError as error:
                    if await self._load(key >> 32, key & OBJECTS_MAX) is None:
                        self._gone[key] = f"{what} is gone, which is needed"
                        return
                    blocks = ", ".join(_blocks(contents, first, count))
                    await self._said.problem(f"{what}: blocks {blocks} cannot be read: {error}")
                self._read_bytes += count * BLOCK_BYTES
                await self._said.progress(Progress("bytes read", self._read_bytes, self._to_read_bytes))
                first, pages = first + count, pages - count

    async def _decide_gone(self) -> None:
        """Whether what is gone is needed: it may have been dropped since we began, with what was replaced."""
        for _ in range(TRIES):
            if not self._gone:
                return
            head, named = await self._named()
            log = self._lineage.depth << 32 | log_start(head).object
            needed = {key for key in self._gone if key >= log and self._snapshot is None}
            if {each.root for each in self._roots} <= {each.root for each in named}:
                needed.update(self._gone)
            try:
                for each in named:
                    needed.update(self._gone.keys() & (await self._table_of(each.root)).objects.keys())
                    needed.update(self._gone.keys() & set(behind_keys(each.root)))
            except NotFoundError:
                continue  # replaced meanwhile
            dropped = self._gone.keys() - needed
            for key in sorted(needed):
                await self._said.problem(self._gone[key])
            if dropped:
                await self._said.note(
                    f"{len(dropped)} log objects were dropped meanwhile: what was in them is written elsewhere, which "
                    "was not looked at"
                )
            return
        await self._said.note(f"{len(self._gone)} log objects were dropped meanwhile")

    async def _count_unneeded(self, head: Head, log: int) -> None:
        """Count what nobody needs: the sweep will drop it."""
        own = self._lineage.depth
        objects = await _numbers(self._table, "l", log)
        past = head.oldest
        if past is not None and past.depth != own:
            checkpoints = []  # all are kept for the past
        else:
            checkpoints = await _numbers(self._table, "c", (past or head.root).checkpoint)
        unneeded = sum(own << 32 | number not in self._most for number in objects)
        stored = sum(own << 32 | number not in self._stored for number in checkpoints)
        if unneeded or stored:
            await self._said.note(
                f"{unneeded} log objects and {stored} checkpoints are needed by nobody: they are dropped when the "
                "volume is written again"
            )


def behind_keys(root: Root) -> list[int]:
    """The keys of the log objects that a root counts in behind its checkpoint."""
    if root.behind is None:
        return []
    return [needed_key(root.depth, number) for number in range(root.behind.first, root.behind.last + 1)]


_EMPTY: Final = CheckpointTable(array("Q"), Counter(), Counter(), {}, {}, 0)


def _blocks(contents: Contents, first: int, count: int) -> Iterable[str]:
    """The blocks that pages of a log object have, as ranges."""
    for entry, page in contents.entries():
        low, high = max(page, first), min(page + entry.pages, first + count)
        if low < high:
            block = entry.first + low - page
            yield f"{block} to {block + high - low - 1}"


async def _numbers(table: Table, prefix: str, below: int) -> list[int]:
    """The numbers that rows of a kind have, up to one."""
    found: list[int] = []
    after = ""
    while names := await table.names(prefix, after):
        after = names[-1]
        found += [number for name in names if (number := int(name[1:], 16)) < below]
        if int(after[1:], 16) >= below:
            break
    return found
