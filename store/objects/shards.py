"""Shards: rows in the order of their names, and what they come to, by what quorums of the replicas say.

Replicas that have a page alike say so by it; rows in which they differ are read by themselves. So each name by itself
is as in a read of it while the page was made, and the page as a whole is of no one moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from store.core.errors import QuorumError, ReplacedError
from store.device.port import ListReply, UsageReply
from store.device.row import STAMP_BYTES, ListedRow, RowKey, decode_page, decode_value, index_key, listed, row_name
from store.objects.hedge import Hedged
from store.objects.quorum_read import believed
from store.objects.rows import READ_TRIES, Rows
from store.ring import Ring, quorum

T = TypeVar("T")
Page = list[tuple[bytes, bytes]]
"""Index entries: (packed key, index value)."""


class Span(NamedTuple):
    """A page that is asked for: up to `limit` rows of a shard with start <= name < stop."""

    ring_hash: int
    table: bytes
    shard: int
    start: bytes
    stop: bytes | None
    limit: int


class ListingForm(NamedTuple, Generic[T]):
    """What a listing shows of rows: made of a page of index entries at once where replicas have it alike, else of rows
    that live."""

    of_page: Callable[[Page], list[T]]
    of_rows: Callable[[list[ListedRow]], list[T]]


WHOLE_ROWS = ListingForm[ListedRow](decode_page, list)
"""All that listings show."""


class Shards:
    """The shards of all tables."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def page(
        self,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        form: ListingForm[T],
        *,
        reverse: bool,
    ) -> tuple[list[T], bytes | None]:
        """Rows (or what `form` makes of them) of a shard with start <= name < stop, in order, tombstones left out; and
        the last name that was looked at where there may be more behind it, else None. There may be no rows and yet more
        to come: `limit` bounds what is looked at, so that a run of tombstones holds nobody up. Raises QuorumError.
        """
        span = Span(self._rows.ring_hash(table, shard), table, shard, start, stop, limit)
        for _ in range(READ_TRIES):
            with suppress(ReplacedError):  # a row that was to be brought to a replica has just changed
                return await self._page(span, form, reverse=reverse)
        raise ReplacedError("rows change faster than they can be listed")

    async def _page(self, span: Span, form: ListingForm[T], *, reverse: bool) -> tuple[list[T], bytes | None]:
        limit = span.limit
        first, *rest = (await self._pages(span, reverse=reverse, verified=False)).values()
        if all(_same(first, page) for page in rest):
            return form.of_page(first), row_name(*first[-1]) if len(first) == limit else None
        pages = await self._pages(span, reverse=reverse, verified=True)
        full = [page for page in pages.values() if len(page) == limit]
        bound = None
        if full:
            # Each page is complete only up to its own last name: nothing counts beyond the nearest of these.
            ends = [row_name(*page[-1]) for page in full]
            bound = max(ends) if reverse else min(ends)
        decoded = {}
        for replica, page in pages.items():
            rows = [listed(decode_value(key, value)) for key, value in page]
            decoded[replica] = [r for r in rows if bound is None or (r.name >= bound if reverse else r.name <= bound)]
        rows = await self._agree(span, decoded, reverse=reverse)
        return form.of_rows([row for row in rows if row.live]), bound

    async def _pages(self, span: Span, *, reverse: bool, verified: bool) -> dict[int, Page]:
        """A page of each replica of a quorum: the first is verified, the others if that is wanted."""
        return await self._by_ring(partial(self._pages_by, span, reverse=reverse, verified=verified))

    async def _pages_by(self, span: Span, ring: Ring, *, reverse: bool, verified: bool) -> dict[int, Page]:
        replicas = self._rows.read_set(ring, span.ring_hash)
        needed = quorum(len(replicas))
        asked: list[int] = []
        unverified: list[int] = []  # so few that any quorum has another one

        def submit(replica: int, reply: ListReply) -> None:
            asked.append(replica)
            if not verified and 1 < len(asked) <= needed:
                unverified.append(replica)
            self._rows.devices[replica].submit_list(
                *span, reply, epoch=ring.epoch, reverse=reverse, verified=replica not in unverified
            )

        pages = Hedged(believed(replicas, self._rows.devices), needed, submit)
        if not pages.ask() and not await pages.wait():
            raise QuorumError("listing a shard", needed, len(pages.answers), pages.failures)
        return {replica: pages.answers[replica] for replica in sorted(pages.answers, key=unverified.__contains__)}

    async def _agree(self, span: Span, pages: dict[int, list[ListedRow]], *, reverse: bool) -> list[ListedRow]:
        """The newest version of each row. One that not all replicas have is read by itself: pages are of different
        moments, and it may have come or gone between them."""
        latest: dict[bytes, ListedRow] = {}
        having: dict[bytes, list[int]] = {}
        for replica, page in pages.items():
            for row in page:
                known = latest.get(row.name)
                if known is None or row.stamp > known.stamp:
                    latest[row.name] = row
                    having[row.name] = [replica]
                elif row.stamp == known.stamp:
                    having[row.name].append(replica)
        for name in [name for name in latest if len(having[name]) < len(pages)]:
            key = RowKey(span.ring_hash, span.table, span.shard, name)
            found = await self._rows.read(key, index_key(key))
            if found is None:
                del latest[name]
            else:
                latest[name] = listed(found.row)
        return [latest[name] for name in sorted(latest, reverse=reverse)]

    async def usage(self, table: bytes, shards: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a table. Exact once all replicas have what was written: replicas that lag are
        outvoted."""
        total: dict[int, tuple[int, int]] = {}
        for shard in range(shards):
            for policy, (count, size) in (await self._by_ring(partial(self._shard_usage, table, shard))).items():
                before = total.get(policy, (0, 0))
                total[policy] = (before[0] + count, before[1] + size)
        return total

    async def _by_ring(self, ask: Callable[[Ring], Awaitable[T]]) -> T:
        """What a quorum by the ring of now says. Where the ring has changed meanwhile, devices may have refused the one
        before: then it is asked again."""
        while True:
            ring = self._rows.ring
            try:
                return await ask(ring)
            except QuorumError as error:
                await self._rows.go_on_after(error, ring)

    async def _shard_usage(self, table: bytes, shard: int, ring: Ring) -> dict[int, tuple[int, int]]:
        ring_hash = self._rows.ring_hash(table, shard)
        replicas = self._rows.read_set(ring, ring_hash)
        needed = quorum(len(replicas))

        def submit(replica: int, reply: UsageReply) -> None:
            self._rows.devices[replica].submit_usage(ring_hash, table, shard, reply, epoch=ring.epoch)

        counted = _Count(list(believed(replicas, self._rows.devices)), needed, submit)
        if not counted.ask():
            await counted.wait()
        if len(counted.answers) < needed:
            raise QuorumError("counting a shard", needed, len(counted.answers), counted.failures)
        counts = list(counted.answers.values())
        return max(counts, key=counts.count)


class _Count(Hedged[dict[int, tuple[int, int]]]):
    """What all replicas say, so that one that lags is outvoted; without those that are late, if a quorum is there."""

    def __init__(self, replicas: list[int], least: int, submit: Callable[[int, UsageReply], None]) -> None:
        super().__init__(replicas, len(replicas), submit)
        self._least = least

    def _late(self) -> None:
        self.needed = self._least


def _same(first: Page, second: Page) -> bool:
    """Whether two replicas have the same versions of the same rows: where their records lie is their own matter."""
    if len(first) != len(second):
        return False
    for (key, value), (other, its) in zip(first, second, strict=True):
        if key != other or value[:STAMP_BYTES] != its[:STAMP_BYTES]:
            return False
    return True
