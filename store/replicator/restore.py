"""Restoring: writes to a device what it lacks of a row or of its data, read elsewhere with all verification.

Nothing is removed here, and nothing is written that was not verified. Who finds out what is lacking, and when it is
brought, is the daemons' matter: reads and scrub by `repair`, what a replica missed by `hints`, what a device should
have at all by `exchange`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from store.core.deadline import within
from store.core.errors import DamageError, DrystoneError, ReplacedError
from store.core.stamp import Stamp
from store.device.block import BlockKey, encode_meta
from store.device.port import DURABLE_SECONDS, Applied, DevicePort
from store.device.record import Buffer, Kind, Sealed, seal
from store.device.row import Flag, IndexRow, RowKey, index_key
from store.objects.block_lengths import BlockLengths
from store.objects.hedge import ask_at_once
from store.objects.quorum_read import ReadRow
from store.objects.reading import DataReader
from store.objects.rowcodec import DataLocation, decode_object
from store.objects.rows import prepare
from store.objects.store import DeviceStore
from store.replicator.bringing import Bringing
from store.replicator.throttle import Throttle
from store.ring import ROWS, quorum


class Restorer:
    """Restores rows and data on the devices of this process."""

    def __init__(self, store: DeviceStore, throttle: Throttle) -> None:
        self._store = store
        self._throttle = throttle
        self._rows = store.rows

    # -- rows ----------------------------------------------------------------------------------------------------

    async def newest(self, key: RowKey, packed: bytes) -> ReadRow | None:
        """The newest version that any replica in sync has: a write that a crash left at a single one counts too.

        Not one that only devices have which are not in sync, where so many others are silent that it was never
        acknowledged, or was deleted for good: that is forgotten when they are rejoined.
        """
        epoch = self._rows.ring.epoch
        replicas = self._rows.ring.in_sync(ROWS, key.ring_hash)
        devices = self._store.devices
        here = [n for n in replicas if (device := devices.get(n)) is not None and device.failed is None]

        async def ask(replica: int) -> IndexRow | None:
            return await devices[replica].find_row(packed)

        answers, failures = await ask_at_once(here, len(here), ask)
        for error in failures.values():
            if not isinstance(error, DamageError):
                raise error
        rows = {replica: row for replica in here if (row := answers.get(replica)) is not None}
        in_sync = sum(devices[replica].in_sync for replica in rows)
        silent = sum(devices[replica].in_sync for replica, row in answers.items() if row is None)
        if not rows or (not in_sync and len(replicas) - silent < quorum(len(replicas))):
            return None
        newest = max(rows.values(), key=lambda row: row.stamp)
        return ReadRow(newest, tuple(replica for replica, row in rows.items() if row.stamp == newest.stamp), epoch)

    async def bring(
        self, key: RowKey, packed: bytes, found: ReadRow, to: Iterable[DevicePort], bringing: Bringing
    ) -> None:
        """Write a version of a row to devices; `bringing` is told when each has it durably, or a newer one. Raises
        DamageError where no replica can read it, ReplacedError where none has it any more, StaleEpochError where the
        ring has moved on since it was found, and what the devices say that do not take it."""
        whole = await self._rows.load(key, packed, found)
        write = prepare(whole._replace(flags=whole.flags & ~Flag.GUARD), found.epoch, packed)
        reason: DrystoneError | None = None

        def answered(_applied: Applied | None, error: DrystoneError | None) -> None:
            self._rows.on_rewritten(packed)  # whoever looked while it was on its way saw the version before
            bringing.done(key, packed, error)

        self._rows.on_rewritten(packed)
        for device in to:
            try:
                bringing.add()
                self._rows.bring(write, device, answered)
            except DrystoneError as error:
                bringing.done(key, packed)
                reason = error
        if reason is not None:
            raise reason

    async def row(self, key: RowKey, packed: bytes, found: ReadRow) -> None:
        """Every replica gets this version, intact, unless it has a newer one; for one that is out a hint is left.
        Raises the last reason why one did not get it."""
        lacking: list[DevicePort] = []
        out: list[int] = []
        for replica in self._rows.ring.replicas_all(ROWS, key.ring_hash):
            device = self._store.devices.get(replica)
            if device is None or device.failed is not None:
                out.append(replica)
                continue
            try:
                row = await device.find_row(packed)
                if row is None or row.stamp < found.row.stamp:
                    lacking.append(device)
                elif row.stamp == found.row.stamp:
                    await device.load_row(packed, row, payload=True)
            except DamageError:
                lacking.append(device)
        self._leave_hints(packed, out, found.replicas)
        if lacking:
            bringing = Bringing(self._rows)
            try:
                await self.bring(key, packed, found, lacking, bringing)
            finally:
                await bringing.wait()

    def _leave_hints(self, packed: bytes, out: Sequence[int], having: Sequence[int]) -> None:
        """Devices that are out may lack something of this row."""
        known = self._rows.ring.devices
        lacking = [number for number in out if number in known]
        if lacking:
            self._rows.missed(packed, lacking, having)

    # -- data ----------------------------------------------------------------------------------------------------

    @staticmethod
    def data_location(row: IndexRow) -> DataLocation | None:
        """Where a row's data lie, if they lie outside of it."""
        return decode_object(row.summary, Stamp.unpack(row.stamp)).data_location if row.data_id else None

    async def data(
        self,
        key: RowKey,
        row: IndexRow,
        data_location: DataLocation,
        *,
        only: Container[int] | None = None,
        verify: bool = True,
    ) -> int:
        """Every device that should have blocks (or those of `only`) has them; for one that is out a hint is left.
        Without `verify` those that its index knows are taken to be good. How many bytes were written for that. Raises
        the last reason why one has not. Of data that are open nobody lacks anything; and blocks behind the last one of
        those that are sealed are no matter."""
        if data_location.is_open:
            return 0
        written = 0
        reason: DrystoneError | None = None
        wanted = [number for number in data_location.devices if only is None or number in only]
        devices = {
            number: device
            for number in wanted
            if (device := self._store.devices.get(number)) is not None and device.failed is None
        }
        out = [number for number in wanted if number not in devices]
        self._leave_hints(index_key(key), out, self._rows.ring.replicas_all(ROWS, key.ring_hash))
        known: dict[int, set[tuple[int, int]]] = {}
        if not verify:
            known = {number: set(await device.has_blocks(row.data_id)) for number, device in devices.items()}
        reader = DataReader(self._store.devices, self._store.worker, row.data_id, row.size, data_location, _known)
        losses: dict[int, int] = {}
        lengths = BlockLengths(data_location, row.size)
        for block in range(lengths.count):
            missing: list[tuple[int, DevicePort]] = []
            for position, number in enumerate(data_location.devices):
                fragment = position if data_location.k else 0
                device = devices.get(number)
                if device is None:
                    continue
                good = (
                    (block, fragment) in known[number]
                    if not verify
                    else await _good(device, BlockKey(row.data_id, block, fragment), data_location, lengths)
                )
                if not good:
                    missing.append((fragment, device))
            if missing:
                await self._throttle.spend(len(missing) * -(-lengths.length(block) // max(data_location.k, 1)))
                # Of a copy that is longer than it should be, the front would pass for the whole.
                bad = () if data_location.lengths is None else {device.id for _, device in missing}
                fragments = await reader.fragments(block, bad)
                for fragment, device in missing:
                    losses.setdefault(device.id, device.data_losses)
                    block_key = BlockKey(row.data_id, block, fragment)
                    try:
                        with within(DURABLE_SECONDS):
                            await device.write_block(block_key, seal_block(block_key, key, fragments[fragment]))
                        written += len(fragments[fragment])
                    except DrystoneError as error:
                        reason = error
        for number, lost in losses.items():
            try:
                with within(DURABLE_SECONDS):
                    await devices[number].sync_data(lost)
            except DrystoneError as error:
                reason = error
        if reason is not None:
            raise reason
        return written

    async def whole(self, key: RowKey) -> int:
        """Make one object whole, everywhere, verifying all of it; how many bytes of data were written for that. Raises
        DamageError where too little of it is left, ReplacedError where it is replaced meanwhile."""
        packed = index_key(key)
        found = await self.newest(key, packed)
        if found is None:
            return 0
        data_location = self.data_location(found.row)
        if data_location is None:
            await self.row(key, packed, found)
            return 0
        with self._store.pins.holding(found.row.data_id):
            # Looked at again: blocks that are written after their data were dropped would lie there for long.
            again = await self.newest(key, packed)
            if again is None or again.row.stamp != found.row.stamp:
                raise ReplacedError(f"row {key.name!r} changed while it was repaired")
            try:
                await self.row(key, packed, again)
            finally:
                written = await self.data(key, again.row, data_location)
        return written


async def verify(device: DevicePort, key: BlockKey, data_location: DataLocation, lengths: BlockLengths) -> int:
    """Read a block where it should be; the bytes read. Raises DamageError where it is missing or bad, or is not as long
    as the row says that it is."""
    read = await device.verify_block(key)
    if data_location.lengths is not None and read != lengths.length(key.block):
        raise DamageError(f"block {key.block} of {key.data_id.hex()} has not the length that its row says")
    return read


async def _good(device: DevicePort, key: BlockKey, data_location: DataLocation, lengths: BlockLengths) -> bool:
    try:
        await verify(device, key, data_location, lengths)
    except DamageError:
        return False
    return True


def _known() -> None:
    """What our own reading finds bad is what is about to be mended."""


def seal_block(key: BlockKey, owner: RowKey, payload: Buffer) -> Sealed:
    """A block's record, ready for any device."""
    return seal(Kind.BLOCK, encode_meta(key, owner), payload)
