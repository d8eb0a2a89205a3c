"""A device is the replica of the specification: it answers as that of `tests/consistency` does, through restarts of
every kind, flushes and compaction."""

from __future__ import annotations

from random import Random

import pytest

from store.core.stamp import Stamp
from store.device.port import Applied, Seen
from store.device.row import Flag, Origin, Row, decode_value, index_key
from store.engine.check import check_device
from store.engine.device import Device
from store.engine.options import Options
from tests.consistency import messages
from tests.consistency.messages import NEVER, Barred, Look, Newer, Promise, Release, Reply, Retire, Took, Version, Write
from tests.consistency.replica import Replica
from tests.engine.ballots import apply, look, promise
from tests.engine.devices import on_device, row
from tests.simulation.disk import SimMedium
from tests.twins.index import IndexMedium

NAMES = [b"a", b"n" * 401]
OPTIONS = Options(64 * 1024, 0, spares=1)
EPOCH = 1


def version_of(time_us: int) -> Version:
    """There is one version of each stamp: plain ones, conditional ones with roots near and far, and tombstones."""
    value = None if time_us % 3 == 0 else time_us
    if time_us % 4 < 2:
        return Version((time_us, 1), value, (time_us, 1))
    return Version((time_us, 1), value, (time_us // 2, 1), (time_us - 1, 1))


def row_of(name: bytes, version: Version) -> Row:
    flags = Flag.TOMBSTONE if version.tombstone else 0
    written = row(name, version.stamp[0], b"" if version.tombstone else b"data" * 2000, flags)
    if version.plain:
        return written
    origin = Origin(Stamp(*version.root).pack(), Stamp(*version.base).pack(), Stamp(*version.root).pack())
    return written._replace(origin=origin)


def version_in(name: bytes, seen: Seen) -> Version | None:
    if seen.value is None:
        return None
    found = decode_value(index_key(row(name, 1).key), seen.value)
    stamp = unpacked(found.stamp)
    base = NEVER if found.origin is None else unpacked(found.origin.base)
    return Version(stamp, stamp[0] if found.live else None, unpacked(found.root), base)


def unpacked(stamp: bytes) -> messages.Stamp:
    time_us, writer = Stamp.unpack(stamp)
    return time_us, writer


class Life:
    """One opening of the device, beside the models of its rows."""

    def __init__(self, device: Device, models: dict[bytes, Replica]) -> None:
        self._device = device
        self._models = models
        self._released: set[bytes] = set()

    async def take(self, what: str, name: bytes, by: int) -> None:
        """Ask for something, with a stamp that is higher `by` so much than what is there."""
        device, model, packed = self._device, self._models[name], index_key(row(name, 1).key)
        time_us = max(model.floor[0] + by, 1)
        stamp = Stamp(time_us, 1).pack()
        version = version_of(time_us)
        if what == "write":
            self._same_applied(name, await apply(device, row_of(name, version)), model.answer(Write(version), EPOCH))
        elif what == "promise":
            self._same_seen(name, await promise(device, name, time_us), model.answer(Promise((time_us, 1)), EPOCH))
        elif what == "retire" and version.tombstone:
            device.retire_tombstone(packed, stamp)
            model.answer(Retire((time_us, 1)), EPOCH)
        elif what == "release" and version.tombstone:
            device.release_tombstone(packed, stamp)
            await device.flush()
            model.answer(Release((time_us, 1)), EPOCH)
            model.write_index()
            self._released.add(name)
        elif what == "late":
            for late_us in range(max(model.stamp[0] - 8, 1), model.stamp[0]):
                late = version_of(late_us)
                self._same_applied(name, await apply(device, row_of(name, late)), model.answer(Write(late), EPOCH))
        elif what == "flush":
            await device.flush()
        elif what == "compact":
            await device.compact(0.9)
        model._forget_promise()  # the device does so at once
        self._same_seen(name, await look(device, name), model.answer(Look(), EPOCH))

    async def compare(self) -> None:
        for name, model in self._models.items():
            self._same_seen(name, await look(self._device, name), model.answer(Look(), EPOCH))
        report = await check_device(self._device)
        assert report.problems == []
        assert report.promises == sum(model.promised > model.stamp for model in self._models.values())
        assert self._device.in_sync

    def _same_applied(self, name: bytes, applied: Applied, reply: Reply) -> None:
        assert applied.refused == ""
        if isinstance(reply, Barred):
            assert applied.barred
            assert unpacked(applied.floor) == reply.floor
            return
        assert not applied.barred
        model = self._models[name]
        assert unpacked(applied.stamp) == model.stamp
        if isinstance(reply, Newer):
            assert unpacked(applied.floor) == reply.floor
            if name in self._released:  # what was promised before, the device takes to have been higher than it knows
                assert reply.covers or not applied.covers
            else:
                assert applied.covers == reply.covers
        else:
            assert isinstance(reply, Took)
            assert not applied.covers

    @staticmethod
    def _same_seen(name: bytes, seen: Seen, reply: Reply) -> None:
        assert seen.believed
        if isinstance(reply, Barred):
            assert seen.barred
            assert unpacked(seen.floor) == reply.floor
            return
        assert isinstance(reply, messages.Seen)
        assert not seen.barred
        assert (version_in(name, seen), unpacked(seen.floor), seen.retired) == (
            reply.version,
            reply.floor,
            reply.retired,
        )


WHATS = [*["write"] * 4, *["late"] * 3, *["promise"] * 2, "retire", "retire", "release", "flush", "compact"]
BY = [0, 0, 0, 1, 1, 2, 3, 4, -1, -2, -3]


@pytest.mark.parametrize("seed", range(30))
def test_a_device_answers_as_the_specification_says(seed: int) -> None:
    random = Random(seed)
    medium, index = SimMedium(Random(1)), IndexMedium()
    models = {name: Replica(number) for number, name in enumerate(NAMES)}
    for _ in range(4):
        steps = [(random.choice(WHATS), random.choice(NAMES), random.choice(BY)) for _ in range(60)]
        end = random.choice(["close", "kill", "power"])

        async def live(device: Device, steps: list[tuple[str, bytes, int]] = steps, end: str = end) -> None:
            life = Life(device, models)
            await life.compare()
            for what, name, by in steps:
                await life.take(what, name, by)
            await life.compare()
            # That a tombstone is retired may be lost: who asks for it finds out by asking again.
            await device.flush()
            if end == "close":
                await device.close()

        on_device(medium, index, live, OPTIONS)
        if end == "power":
            medium.lose_power()
        for model in models.values():
            model.crash()
