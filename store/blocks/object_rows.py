"""Opening and sealing log objects: each is one compare-and-set of the object's row, which may be repeated until its
outcome is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from store.blocks.contents import Contents
from store.blocks.disk import OwnerReplacedError
from store.blocks.fencing import fence
from store.blocks.log_object import LogObject, open_row, parse_row, row_name, sealed_row
from store.blocks.open_object import OpenObject
from store.blocks.owned_head import load_head
from store.blocks.table import Table
from store.core.entropy import Random
from store.core.errors import DrystoneError
from store.device.port import DevicePort
from store.device.row import Row, index_key
from store.objects.placement import choose as choose_devices
from store.objects.placement import newest_replicas, refusal, verdict
from store.ring import ROWS, quorum

DATA_ID_BYTES = 16


class TakenError(DrystoneError):
    """Another writer has opened the object of this number."""


class ObjectRows:
    """The log objects of one volume, as a writer of an epoch opens and seals them."""

    def __init__(self, table: Table, epoch: int, random: Random) -> None:
        self.table = table
        self.epoch = epoch
        self._random = random
        self.placed_by = table.store.rows.ring
        """The ring before anything was opened here."""
        self._begun: dict[bytes, OpenObject] = {}
        """Those whose row may have been written, by data id."""

    @property
    def devices(self) -> Mapping[int, DevicePort]:
        return self.table.store.devices

    @property
    def needed(self) -> int:
        """How many homes make a frame count."""
        return quorum(self.table.policy.replicas)

    def choose(self, data_id: bytes) -> tuple[tuple[int, ...], int]:
        """Which devices these data go to, and how many of them make a frame count. Raises QuorumError, FullError."""
        placement = choose_devices(self.table.store.rows.ring, self.devices, self.table.policy, data_id, 0)
        return tuple(dict.fromkeys(placement.data_location.devices)), placement.needed

    def without(self, opened: OpenObject) -> tuple[int, ...]:
        """The replicas in the newest layout that an object is not at: devices that could not take it when it was
        opened."""
        policy = self.table.policy
        replicas = newest_replicas(self.table.store.rows.ring, policy, opened.data_id, policy.replicas)
        return tuple(number for number in replicas if number not in opened.homes)

    def can_take(self, number: int) -> bool:
        """Whether a device can take data now."""
        return refusal(number, self.devices.get(number)) is None

    async def open(self, number: int) -> OpenObject:
        """Open an object that nobody has opened. Raises TakenError where somebody has, OwnerReplacedError where the
        volume has been opened anew since; RetryableErrors where it cannot be now, or its outcome is not known: then it
        is to be tried again."""
        opened = await self._fenced(number)
        self._begun[opened.data_id] = opened
        found: LogObject | None = None

        def edit(row: Row | None) -> Row | None:
            nonlocal found
            found = None if row is None else parse_row(number, row)
            if found is not None:
                return None
            return open_row(self.table, number, opened.data_id, opened.homes, self.epoch)

        await self.table.change(row_name(number), edit)
        if found is not None:
            mine = self._begun.get(found.data_id)
            if mine is None or found.contents is not None:
                raise TakenError(f"log object {number} was opened by somebody else")
            opened = mine
        # That the number is free does not say that nobody is ahead: its object may have been dropped already. Whoever
        # takes the volume over from now on finds this one.
        await self.check_owner()
        self._begun.clear()
        return opened

    async def _fenced(self, number: int) -> OpenObject:
        """An object whose homes take nothing below our epoch."""
        data_id = self._random.bytes(DATA_ID_BYTES)
        wanted, needed = self.choose(data_id)
        answers = await fence(self.devices, wanted, data_id, self.epoch, needed)
        homes = {home: answers.losses[home] for home in wanted if home in answers.fenced}
        if len(homes) < needed:
            raise verdict("opening a log object", needed, len(homes), answers.failures)
        key = self.table.key(row_name(number))
        absent = [home for home in wanted if home not in homes]
        return OpenObject(number, data_id, self.epoch, homes, needed, key, self.devices, absent)

    async def check_owner(self) -> None:
        """Raises OwnerReplacedError where somebody else has opened the volume since, NotFoundError where it is gone."""
        if (await load_head(self.table)).epoch != self.epoch:
            raise OwnerReplacedError("somebody else has opened the volume since")

    async def seal(
        self, number: int, data_id: bytes, homes: tuple[int, ...], contents: Contents, lacking: Collection[int]
    ) -> LogObject:
        """Seal an object that is open with these data. What its row says then: that, or what somebody said who was
        faster. Homes that are `lacking` some of it are brought that by repair. Raises RetryableErrors where it cannot
        be now, or its outcome is not known."""
        found: LogObject | None = None

        def edit(row: Row | None) -> Row | None:
            nonlocal found
            if row is None:
                raise OwnerReplacedError(f"log object {number} is gone: the volume was deleted, or opened elsewhere")
            found = parse_row(number, row)
            if found.contents is not None or found.data_id != data_id:
                return None
            found = None
            return sealed_row(self.table, number, data_id, homes, contents)

        await self.table.change(row_name(number), edit, reserve=True)
        if lacking and contents.frames:
            key = self.table.key(row_name(number))
            store = self.table.store.rows
            store.missed(index_key(key), lacking, store.ring.replicas_all(ROWS, key.ring_hash))
        return found or LogObject(number, data_id if contents.frames else b"", homes, 0, contents)
