"""`DevicePort`: one device, as everybody sees it who writes to it, reads from it, or keeps its promises over time.

A device may be one of this process or of another; which, cannot be told from here. `tests/device/test_contract.py`
states the promise as tests, which each form passes.

**Calls.** `submit_*` hand something over and return at once; the answer is a call of `reply` or `done`, exactly once,
on the event loop, perhaps before `submit_*` returns, perhaps never where the device hangs: who waits for several
devices waits for those that it needs, and nobody waits without end. What is awaited answers in time or raises:
BusyError, where the disk has not answered after seconds; but what waits for writes to be durable (`write_block`,
`sync_data`, `flush`, `drain`, `set_in_sync`, `enforce`) takes as long as the disk does. What neither answers nor is
awaited (`forget_*`, `note_*`, `retire_*`, `release_*`) takes effect before every later call to the same device; it may
be lost with what the device had in memory, and whoever asked for it finds out by asking again.

**Order.** Calls to one device take effect in their order, as far as they concern one key. Nothing is said of the order
in which two devices answer, or in which one answers calls about different keys. So a row that is submitted behind a
promise of its key meets it, and one that is submitted before it is seen by it.

**Errors.** All are DrystoneErrors. DeviceError: the device is out, and will be so until it is opened anew; the call may
have taken effect or not. BusyError: not now. FullError: no room above the reserve. StaleEpochError: the caller's ring
is older than what the device enforces; it must look at the ring and begin again. DamageError: what was asked for cannot
be read; that is not the absence of it. A `submit_*` that raises has done nothing; each reason for which it may raise
may come by its answer as well, as it must where the device is elsewhere, and then the call may have taken effect unless
the reason is that the caller's ring is too old, or that a guard or a promise keeps the row out.

**Admission** is the device's, and part of `submit_row` and `submit_block`: only there it is known what there is room
for. How it is *as far as is known without asking* may be old by as long as news take, and is kept up whether or not
anybody asks for anything: who was passed over because of it is not passed over for ever. It serves to leave out what
would be in vain, before anything is written; it decides nothing. So a row may come to be on one replica while the
others refuse it. Whoever wrote it says then that its outcome is unknown, and it is brought to the others, or read, as
what a crash has left (docs/adr/0014).

**Rings.** A call whose device was chosen by a ring, to write to a quorum or to read from one, carries the epoch of that
ring. A device refuses what is older than the epoch that it enforces, before anything that was chosen by an older ring
can miss what newer rings have written elsewhere. And it refuses to be read as one of a quorum while it is not in sync
(BusyError), whatever the caller knew of it when it asked.

**Repeating.** Every call may be repeated: the same version of a row, or the same block, again is the same row or block;
to forget what is forgotten does nothing.

**Promises.** A device is the replica of docs/consistency.md, "A replica": `submit_row` is its *write*, `submit_promise`
its *promise*, `submit_look` its *look*, `retire_tombstone` and `release_tombstone` are its *retire* and *release*. What
was promised outlives restarts, and keeps out whatever is below it and is not here already, whoever brings it and why,
until the row's version has reached it; then that keeps out as much.

**Durability.** A row or promise is durable when its reply says so, blocks when a sync behind them is done. The index,
which says what there is, follows the log; `flush` waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from store.core.errors import DrystoneError
from store.device.block import BlockKey
from store.device.record import Buffer, Sealed
from store.device.row import IndexRow, Row, RowKey, RowValue

SLOW_SECONDS = 10.0
"""A device that is `slow` by so much is passed over where there is a choice."""
DURABLE_SECONDS = 60.0
"""So long whoever waits for something to be durable waits for a device: far above what a disk takes that does its
work."""

Done = Callable[[DrystoneError | None], None]
"""Called when something is done, or cannot be."""


class Applied(NamedTuple):
    """What became of a row that was written.

    `refused` is empty, or says why a guard kept the row out. `stamp` is the version now in place: the row's own if it
    took effect, a higher one if another version had come before. `displaced` is the row that was in place before.

    It took effect if it was neither `refused` nor `barred` (by a promise) and `stamp` is its own. Of one that was
    barred or is older, `floor` is what nothing below is taken of. A newer version that `covers` it stands for it: the
    row may count as if it had been here, and been overwritten at once.
    """

    refused: str
    stamp: bytes
    displaced: IndexRow | None
    barred: bool = False
    floor: bytes = b""
    covers: bool = False


class Seen(NamedTuple):
    """What a device has of a row.

    `value` is its index value, verified but not decoded: None where there is none. Of a tombstone that is `retired` it
    is that of a tombstone with the same stamp and origin, which names no record. `floor` is the higher of the version
    and of what is promised: nothing below it is taken. What is not here is known not to be only if it is to be
    `believed`, as a device is that is in sync. A promise that was `barred` was not given.
    """

    value: bytes | None
    floor: bytes
    retired: bool
    believed: bool
    barred: bool = False


class Fenced(NamedTuple):
    """What a device has of data that were fenced.

    `first` is the epoch of the first fence that these data have had here: a device that was made anew since their
    writer fenced it has another, and is not to be believed to have had nothing. `blocks` are the numbers of the blocks
    that are here, in order; there are no others, and none of a lower epoch will be.
    """

    first: int
    blocks: list[int]


class Garbage(NamedTuple):
    """Data whose row was displaced here: to be dropped once that is so at a quorum."""

    data_id: bytes
    owner: RowKey
    policy: int
    summary: bytes


class RowWrite(NamedTuple):
    """A row ready to be written to any number of devices: encoded and sealed once. `epoch` is that of the ring by which
    they were chosen."""

    row: Row
    packed_key: bytes
    value: RowValue
    sealed: Sealed
    epoch: int


class PromiseWrite(NamedTuple):
    """A promise ready to be asked of any number of devices (store.device.promise): to take nothing of a row below a
    stamp, which is packed. `epoch` as of RowWrite."""

    packed_key: bytes
    stamp: bytes
    sealed: Sealed
    epoch: int


RowReply = Callable[[Applied | None, DrystoneError | None], None]
"""Called when a row is durable, with what became of it; or with the reason why it is not."""


FindReply = Callable[[int, bytes | None, DrystoneError | None], None]
"""Called with the device's number and the index value of a row, verified but not decoded, or None where there is none;
or with the reason why that cannot be told."""


SeenReply = Callable[[int, Seen | None, DrystoneError | None], None]
"""Called with the device's number and what it has of a row; or with the reason why that cannot be told."""


LoadReply = Callable[[int, Row | None, DrystoneError | None], None]
"""Called with the device's number and a whole row, verified; or with the reason why it cannot be had here."""


FenceReply = Callable[[int, Fenced | None, DrystoneError | None], None]
"""Called with the device's number and what it has of data that are fenced; or with the reason why they are not."""


ReadReply = Callable[[int, memoryview | None, DrystoneError | None], None]
"""Called with the device's number and a part of a block, verified; or with the reason why it cannot be had here."""


ListReply = Callable[[int, list[tuple[bytes, bytes]] | None, DrystoneError | None], None]
"""Called with the device's number and a page of rows; or with the reason why there is none."""


UsageReply = Callable[[int, dict[int, tuple[int, int]] | None, DrystoneError | None], None]
"""Called with the device's number and what a shard's live rows come to; or with the reason why that is not known."""


class DevicePort(Protocol):
    """One device."""

    on_damage: Callable[[bytes], None] | None
    """Called with the index key of a row or block that was found damaged."""
    on_flush: Callable[[], None] | None
    """Called before the index is written: what others have not answered yet is to be noted in the same step."""
    on_in_sync: Callable[[], None] | None
    """Called when it has come to be in sync, or no longer is."""

    # -- how it is, as far as is known without asking ----------------------------------------------------------------

    @property
    def id(self) -> int:
        """Its number in the ring."""
        ...

    @property
    def failed(self) -> DrystoneError | None:
        """Why it is out."""
        ...

    @property
    def in_sync(self) -> bool:
        """Whether it has all that it should, so that a row which it has not is none (docs/adr/0003)."""
        ...

    @property
    def enforced(self) -> int:
        """The epoch of the ring below which it refuses requests, durably."""
        ...

    @property
    def full(self) -> bool:
        """Whether free space is down to the reserve; asked of the file system anew while it is."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether its index is so far behind its log that writers should wait (`wait_for_index`)."""
        ...

    @property
    def slow(self) -> float:
        """For how many seconds the oldest of what was written has not been answered: of a disk that hangs, it
        grows."""
        ...

    # -- rows ----------------------------------------------------------------------------------------------------

    def submit_row(self, write: RowWrite, reply: RowReply, *, reserve: bool = False) -> None:
        """Append a row to the log. It takes effect where no guard, no newer version and no promise keeps it out. Raises
        DeviceError; StaleEpochError; BusyError where too much is queued, or the device is `crowded`; FullError where
        there is no room, but for tombstones and abort records. Who brings to a quorum what a replica has already may
        use the `reserve`, and who takes a volume over or seals its log: neither is asked for then."""
        ...

    def submit_promise(self, promise: PromiseWrite, reply: SeenReply, *, reserve: bool = False) -> None:
        """Promise to take nothing of a row below a stamp, and say what is here of it, be it in sync or not. The answer
        comes when the promise is durable. It is `barred`, and nothing is promised, where a version or promise above
        that stamp is here, or a version of just that stamp. The same promise may be given again. Raises, and uses the
        `reserve`, as `submit_row`: who decides what a replica has already, or deletes, may."""
        ...

    def settled(self, packed_key: bytes, stamp: bytes) -> None:
        """All replicas have answered the row that was submitted here, and hints are noted for those that lack it. Until
        then a device of another process takes it to be in doubt, should its writer end."""
        ...

    async def wait_for_index(self) -> None:
        """Wait until it is not `crowded` any more, or is out."""
        ...

    def submit_find(self, packed_key: bytes, epoch: int, reply: FindReply) -> None:
        """Look a row up, for a quorum of the replicas that a ring of this epoch names. Raises DeviceError,
        BusyError, StaleEpochError."""
        ...

    def submit_look(self, packed_key: bytes, epoch: int, reply: SeenReply) -> None:
        """The same with what is retired and promised, for who is to write: a stamp above the floors of a quorum is
        above all that was acknowledged before. Raises as `submit_find`."""
        ...

    async def find_row(self, packed_key: bytes) -> IndexRow | None:
        """What the index knows of a row; None where there is none."""
        ...

    async def find_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        """The version of a row, packed; None where there is none: what a second replica is asked. Where it is to be
        `believed`, raises BusyError if it is not in sync when it answers."""
        ...

    def payload_at_hand(self, row: IndexRow) -> Buffer | None:
        """The payload of a row as it was looked up, verified, where it can be had without waiting for a disk or a
        network; None else, and where it is not as it was written: `submit_load` tells more then."""
        ...

    def submit_load(self, packed_key: bytes, row: IndexRow, reply: LoadReply, *, payload: bool) -> None:
        """The same as `load_row`, for who can have it from another replica as well."""
        ...

    def submit_version(self, packed_key: bytes, stamp: bytes, reply: LoadReply, *, payload: bool) -> None:
        """The whole row, verified, if it has just this version, wherever that lies, and be it in sync or not.
        NotFoundError where it has none or an older one, ReplacedError where it has a newer one."""
        ...

    async def load_row(self, packed_key: bytes, row: IndexRow, *, payload: bool) -> Row:
        """The whole row (its payload only if asked for), verified. Raises ReplacedError where it has changed since
        `row` was looked up and its old record is no more."""
        ...

    def submit_list(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        reply: ListReply,
        *,
        epoch: int,
        reverse: bool = False,
        verified: bool = True,
    ) -> None:
        """The same as `list_rows`, for a quorum."""
        ...

    async def list_rows(
        self,
        ring_hash: int,
        table: bytes,
        shard: int,
        start: bytes,
        stop: bytes | None,
        limit: int,
        *,
        epoch: int,
        reverse: bool = False,
        verified: bool = True,
    ) -> list[tuple[bytes, bytes]]:
        """(packed key, index value) of up to `limit` rows of a shard with start <= name < stop, tombstones too, in the
        order of names: verified but not decoded. Not even verified, where they are only to be compared with what
        another replica has `verified`: keys and versions that are the same as those are as good. Raises DamageError
        where one is damaged: a page must not leave out what it cannot tell; StaleEpochError as `submit_find`."""
        ...

    async def walk_rows(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, IndexRow]], bytes]:
        """(packed key, row) of all shards behind a packed key, and the key to go on behind (empty at the end). Damaged
        entries are reported and left out."""
        ...

    async def walk_keys(self, after: bytes, limit: int) -> tuple[list[bytes], bytes]:
        """The same of packed keys alone, those of damaged entries too."""
        ...

    def submit_usage(self, ring_hash: int, table: bytes, shard: int, reply: UsageReply, *, epoch: int) -> None:
        """The same as `usage`, for a quorum."""
        ...

    async def usage(self, ring_hash: int, table: bytes, shard: int, *, epoch: int) -> dict[int, tuple[int, int]]:
        """{policy: (rows, bytes)} of a shard's live rows. Raises DamageError while they are counted anew."""
        ...

    def forget_row(self, packed_key: bytes, stamp: bytes) -> None:
        """Remove a tombstone or intent that every replica has, if it is still this version."""
        ...

    async def discard_row(self, packed_key: bytes) -> None:
        """Remove a row that it should not have, whatever it is, even if its entry is damaged."""
        ...

    # -- what is derived from rows, in pages ---------------------------------------------------------------------

    async def expired(self, before: int, limit: int, after: tuple[int, bytes] | None = None) -> list[tuple[int, bytes]]:
        """(expires, packed key) of rows that expire before a time in seconds, soonest first; behind `after`."""
        ...

    def forget_expiry(self, expires: int, packed_key: bytes) -> None:
        """No row of this key expires then."""
        ...

    async def garbage(self, after: bytes, limit: int) -> list[Garbage]:
        """Displaced data behind the data id `after` that are not confirmed as dropped."""
        ...

    def forget_garbage(self, data_id: bytes) -> None:
        """Displaced data were dropped everywhere."""
        ...

    async def tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(packed key, stamp) of tombstones behind the packed key `after`."""
        ...

    def retire_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        """Forget a tombstone that every replica has, if it is still this version. Until it is released nothing older is
        taken in its place."""
        ...

    async def retired_tombstones(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(packed key, stamp) behind the packed key `after` of tombstones that are retired and not released."""
        ...

    async def retired_stamp(self, packed_key: bytes, *, believed: bool = False) -> bytes | None:
        """The version of this key's tombstone that is retired here and not released; `believed` as of `find_stamp`."""
        ...

    def release_tombstone(self, packed_key: bytes, stamp: bytes) -> None:
        """Every replica has retired this tombstone, durably."""
        ...

    async def uploads(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """(data id, the intent's packed key) behind the data id `after`, of uploads that were neither committed nor
        given up for good."""
        ...

    async def in_doubt(self, after: bytes, limit: int) -> list[bytes]:
        """Packed keys behind `after` of rows that other replicas may not have: the log held them behind the index when
        the device was opened, or a writer of another process went away before it had settled them."""
        ...

    def note_in_doubt(self, packed_key: bytes) -> None:
        """Have a row here resolved: other replicas may not have it, and its writer may be gone."""
        ...

    def forget_in_doubt(self, packed_key: bytes) -> None:
        """All replicas of a row were asked."""
        ...

    # -- hints: what other devices lack --------------------------------------------------------------------------

    def note_hint(self, device: int, key: bytes, noted_us: int) -> None:
        """Keep in mind that another device lacks what this index key names."""
        ...

    async def hints(self, device: int, after: bytes, limit: int) -> list[tuple[bytes, int]]:
        """(index key, when it was noted) of what another device lacks, behind the key `after`. Raises BusyError while
        it is not in sync: it may have what was deleted for good."""
        ...

    def forget_hint(self, device: int, key: bytes, noted_us: int) -> None:
        """Another device has what it lacked at that time."""
        ...

    async def hinted(self) -> list[int]:
        """The devices that this one keeps hints for."""
        ...

    # -- data ----------------------------------------------------------------------------------------------------

    @property
    def data_losses(self) -> int:
        """To be read before the first block of an upload, and handed to `submit_sync`. What was read of a device that
        has been opened anew since counts as a loss."""
        ...

    def submit_block(
        self, key: BlockKey, sealed: Sealed, done: Done, *, cached: bool = False, epoch: int | None = None
    ) -> None:
        """Write a block; `done` is called when the next may come. It is durable with the next sync. `cached` leaves it
        in memory for those who read it soon. `epoch` is its writer's, of data that are fenced (`submit_fence`). Raises
        DeviceError, BusyError, FullError; FencedError where data are fenced above its writer's epoch, or have no fence:
        a device that was made anew does not know who was fenced. Whoever brings blocks of others (repair, moves) says
        no epoch, and is not refused."""
        ...

    def submit_reference(self, key: BlockKey, source: BlockKey, owner: RowKey, done: Done, lost: Done) -> None:
        """Make a block of another block's payload, which is not written again; else as `submit_block`. The source must
        not be dropped before this is durable; if that, or its being written anew, leaves nothing to share, `lost` is
        called before the sync is answered. Raises DamageError where the source is not here."""
        ...

    async def write_block(self, key: BlockKey, sealed: Sealed) -> None:
        """Write a block and wait until the next may come: for those who write one after the other."""
        ...

    def submit_sync(self, losses: int, done: Done) -> None:
        """Have all blocks durable that were submitted before."""
        ...

    async def sync_data(self, losses: int) -> None:
        """Wait until all blocks submitted before are durable."""
        ...

    def submit_read(self, key: BlockKey, start: int, stop: int | None, reply: ReadReply) -> None:
        """The same as `read_block`, for who can do with another copy, or other fragments, as well."""
        ...

    async def read_block(self, key: BlockKey, start: int = 0, stop: int | None = None) -> memoryview:
        """Bytes [start, stop) of a block's payload, verified. Raises DamageError where it is missing or bad."""
        ...

    async def verify_block(self, key: BlockKey) -> int:
        """Read a block and, where its payload is another block's, the reference to that. The bytes read. Raises
        DamageError where anything is missing or bad."""
        ...

    async def has_blocks(self, data_id: bytes) -> list[tuple[int, int]]:
        """(block, fragment) of all blocks of these data that the index knows here."""
        ...

    async def owners(self, after: bytes, limit: int) -> tuple[list[tuple[bytes, RowKey]], bytes]:
        """(data id, key of the row that they were written for) of data here behind a data id, and the data id to go on
        behind (empty at the end). Data whose record cannot be read are left out."""
        ...

    def submit_fence(self, data_id: bytes, epoch: int, reply: FenceReply) -> None:
        """Take no block of these data that is submitted below an epoch from now on, and say which blocks are here. The
        answer comes when the fence is durable; blocks are as durable as they were. FencedError where the fence is
        higher already; the same fence may be asked for again. Raises DeviceError, BusyError; FullError never."""
        ...

    def forget_fence(self, data_id: bytes) -> None:
        """These data get no more blocks, from nobody: their row says how many there are. The fence goes with its data,
        too (`submit_drop`)."""
        ...

    def submit_drop(self, data_id: bytes, done: Done) -> None:
        """Drop all blocks of these data; `done` is called when that is durable and their space is on its way back."""
        ...

    # -- the whole ---------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Have everything in the index, durably, that has taken effect so far."""
        ...

    async def drain(self) -> None:
        """Wait for all rows that were submitted before."""
        ...

    async def set_in_sync(self, *, in_sync: bool) -> None:
        """Say, durably, whether it counts that it has no row of a key."""
        ...

    async def enforce(self, epoch: int) -> None:
        """Refuse requests by rings older than this epoch from now on, after a restart too. Only ever upwards."""
        ...
