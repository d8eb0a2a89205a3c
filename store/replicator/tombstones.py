"""The tombstone collector: forgets tombstones that every replica has.

A tombstone goes only when all replicas in all live layouts have that same version and are in sync, and no device is
still to forget rows that it lost with a retired layout: one that was away, or has kept a partition's rows, could bring
the deleted row back, however long ago that was. So time alone never decides.

It goes in two steps, and an epoch between them (docs/consistency.md, "Tombstones"). Every replica **retires** it: the
row goes, its stamp stays, and nothing older is taken. Once all have done so durably, the ring takes a step, and they
**enforce** its epoch: what is still under way by an older ring (a writer that stopped, a hint, a repair, a copy) is
refused from then on. Then they **release** the stamp. Whatever begins by the new ring looks first, and finds nothing.
In between a replica may fail and come back with the tombstone, which is retired again, or with the stamp; or without
either, when it has rejoined, or is a replica only since the layout has changed. So what a replica lacks is settled
first, and a tombstone is released when behind the step all have its stamp, or something newer. One that did not come to
release it may keep the stamp for long, while others take what is written since by slower clocks: that is newer than
anything retired, whatever its stamp, and is settled above this one.

One step of the ring serves all tombstones that are retired by then. Without the registry there is none: nothing is
released, all else goes on, and what is retired waits for the next round.

Those that a device which is out keeps from being collected are passed over at the price of one look at the ring.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.core.deadline import within
from store.device.port import DURABLE_SECONDS, SLOW_SECONDS, DevicePort
from store.device.row import PREFIX_BYTES, index_key, is_long, key_shard, parse_key, row_name
from store.objects.quorum_look import QuorumLook
from store.objects.store import DeviceStore
from store.replicator.daemon import Daemon, Outcome, Schedule, walk
from store.replicator.progress import ProgressTable
from store.replicator.step import CollectStep
from store.ring import ROWS

SCHEDULE = Schedule(every=60.0)
"""Load, not safety, sets this."""
PAGE = 2000
RETIRED_MAX = 50_000
"""Tombstones that are retired and not yet released, beyond which a step is taken sooner: their stamps are in memory,
some 250 bytes each at every replica."""

Tombstone = tuple[bytes, bytes]
"""(packed key, stamp)"""


class TombstoneCollector:
    """Forgets tombstones, on all devices of this process."""

    def __init__(self, store: DeviceStore, progress: ProgressTable, step: CollectStep) -> None:
        self._store = store
        self._step = step
        self._daemon = Daemon(progress.loop("collect tombstones"), SCHEDULE, self._round)
        self._retired: dict[Tombstone, list[DevicePort]] = {}

    async def run(self) -> None:
        """Collect tombstones now and then, until cancelled."""
        await self._daemon.run()

    async def collect_tombstones(self) -> int:
        """One round over all tombstones; returns how many were forgotten."""
        return (await self._daemon.round()).done

    async def _round(self) -> Outcome:
        unclean = self._store.rows.ring.unclean
        if unclean:
            self._daemon.progress.trouble = f"devices {sorted(unclean)} are still to forget rows of an older layout"
            return Outcome()
        due = self._step.due
        if due:
            self._retired.clear()
            await walk(self._store.own, _retired_page, self._again, self._daemon)
        outcome = await walk(self._store.own, _page, self._retire, self._daemon)
        if due:
            await self._release()
        return Outcome(outcome.done)

    async def _retire(self, _device: DevicePort, tombstone: Tombstone) -> bool | None:
        """Retire a tombstone at all of its replicas, if all have it."""
        if tombstone in self._retired:
            return None
        replicas = self._replicas(tombstone)
        if replicas is None:
            return None
        packed, stamp = tombstone
        for replica in replicas:  # by turns: the first that has it not ends it, and a task for each costs more
            if await replica.retired_stamp(packed, believed=True) == stamp:
                continue
            if await replica.find_stamp(packed, believed=True) != stamp:
                return None
        for replica in replicas:
            replica.retire_tombstone(packed, stamp)
        self._retired[tombstone] = replicas
        if len(self._retired) >= RETIRED_MAX:
            await self._release()
        return True

    async def _again(self, device: DevicePort, tombstone: Tombstone) -> bool | None:
        """One that is retired here was perhaps not everywhere, or was not released."""
        replicas = self._replicas(tombstone)
        if replicas is None:
            return None
        packed, stamp = tombstone
        if device not in replicas:
            device.release_tombstone(packed, stamp)  # the layout has changed since
        lacking = [replica for replica in replicas if not await self._keeps_out(replica, tombstone)]
        if lacking and device in replicas:
            name = await self._name(device, packed)
            if name is not None:
                await self._store.rows.settle(parse_key(packed, name), packed)
            return None
        for replica in replicas:
            replica.retire_tombstone(packed, stamp)
        self._retired[tombstone] = replicas
        if len(self._retired) >= RETIRED_MAX:
            await self._release()
        return None

    async def _name(self, device: DevicePort, packed: bytes) -> bytes | None:
        """The whole name of a tombstone that is retired here; None where it is no more, and where it was an earlier
        program that has retired it, which did not keep a long name."""
        if not is_long(packed):
            return packed[PREFIX_BYTES:]
        asked = QuorumLook([device.id], self._store.devices, packed, self._store.rows.ring.epoch)
        if not asked.ask():
            await asked.wait()
        value = asked.answers[device.id].value
        name = None if value is None else row_name(packed, value)
        return name if name is not None and index_key(parse_key(packed, name)) == packed else None

    @staticmethod
    async def _keeps_out(replica: DevicePort, tombstone: Tombstone) -> bool:
        """Whether a replica takes nothing below a tombstone: it has that, retired or not, or something newer."""
        packed, stamp = tombstone
        if await replica.retired_stamp(packed, believed=True) == stamp:
            return True
        its = await replica.find_stamp(packed, believed=True)
        return its is not None and its >= stamp

    async def _release(self) -> None:
        """Release what every replica has retired, once that is durable and all refuse what is older than that."""
        retired, self._retired = self._retired, {}
        if not retired:
            return
        devices = {id(device): device for replicas in retired.values() for device in replicas}.values()
        for device in devices:
            with within(DURABLE_SECONDS):
                await device.flush()
        await self._step.take(devices)
        now = {id(device): await _all_retired(device) for device in devices}
        for tombstone, replicas in retired.items():
            if self._replicas(tombstone) == replicas:
                others = [replica for replica in replicas if tombstone not in now[id(replica)]]
                if all([await _is_above(replica, tombstone) for replica in others]):
                    for replica in replicas:
                        replica.release_tombstone(*tombstone)

    def _replicas(self, tombstone: Tombstone) -> list[DevicePort] | None:
        """All that should have it; None where one is out, hangs, or is not to be believed."""
        replicas: list[DevicePort] = []
        for number in self._store.rows.ring.replicas_all(ROWS, key_shard(tombstone[0])[0]):
            replica = self._store.devices.get(number)
            if replica is None or replica.failed is not None or not replica.in_sync or replica.slow >= SLOW_SECONDS:
                return None
            replicas.append(replica)
        return replicas


async def _all_retired(device: DevicePort) -> set[Tombstone]:
    found: set[Tombstone] = set()
    after = b""
    while page := await device.retired_tombstones(after, PAGE):
        found.update(page)
        after = page[-1][0]
    return found


async def _is_above(replica: DevicePort, tombstone: Tombstone) -> bool:
    packed, stamp = tombstone
    its = await replica.find_stamp(packed, believed=True)
    return its is not None and its > stamp


async def _page(device: DevicePort, after: bytes) -> tuple[Sequence[Tombstone], bytes]:
    page = await device.tombstones(after, PAGE)
    return page, page[-1][0] if len(page) == PAGE else b""


async def _retired_page(device: DevicePort, after: bytes) -> tuple[Sequence[Tombstone], bytes]:
    page = await device.retired_tombstones(after, PAGE)
    return page, page[-1][0] if len(page) == PAGE else b""
