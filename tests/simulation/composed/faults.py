"""Faults of one device. Each is a course of its own: it begins, lasts, and ends; what it leaves is for the daemons."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import trio

from store.core.errors import DamageError
from store.device.block import IndexBlock, decode_value
from tests.simulation.composed.trouble import Trouble


class Fault(NamedTuple):
    """`harms` says that the device may lack what was acknowledged, or does not answer for long; `damages` that only who
    reads everything finds out."""

    strike: Callable[[Trouble], Awaitable[None]]
    harms: bool = True
    damages: bool = False


async def absent(trouble: Trouble) -> None:
    """It is pulled out, and put back a while later; what it had not synced may be lost."""
    trouble.take_away()
    await trio.sleep(trouble.random.choice([0.2, 3, 40, 700]))
    if trouble.random.random() < 0.4:
        trouble.medium.lose_power()
    await trouble.bring_back()


async def dead(trouble: Trouble) -> None:
    """Every operation fails for a while."""
    trouble.medium.broken = True
    await trio.sleep(trouble.random.choice([0.5, 5, 60]))
    trouble.medium.broken = False
    trouble.take_away()
    await trouble.bring_back()


async def flipped(trouble: Trouble) -> None:
    """Bits of its records change, and of entries of its index, for a while."""
    for _ in range(trouble.random.choice([1, 3, 10])):
        _flip_anywhere(trouble)
        _flip_blocks(trouble)
        _flip_entries(trouble)
        await trio.sleep(trouble.random.random())


def _flip_anywhere(trouble: Trouble) -> None:
    medium, random = trouble.medium, trouble.random
    for name in medium.files(".log") + medium.files(".bulk"):
        used = len(medium.names[name].now.rstrip(b"\0"))
        for _ in range(random.randint(0, 4)):
            if used > 4096:
                medium.flip(name, random.randrange(4096, used), 1 << random.randrange(8))


def _flip_blocks(trouble: Trouble) -> None:
    """What is in use, wherever it lies."""
    medium, random, segments = trouble.medium, trouble.random, trouble.device.segments
    blocks = _blocks(trouble)
    for block in random.sample(blocks, random.randint(0, min(len(blocks), 2))):
        at = block.location.offset + block.payload_at + random.randrange(block.payload_bytes)
        medium.flip(segments.path(block.location.segment), at, 1 << random.randrange(8))


def _blocks(trouble: Trouble) -> list[IndexBlock]:
    """All that the index knows and that were not damaged in it before."""
    found = []
    for packed, value in trouble.index.entries.items():
        if packed[:1] == b"d":
            with suppress(DamageError):
                found.append(decode_value(packed, value))
    return [block for block in found if block.location.segment in trouble.device.segments.kinds]


def _flip_entries(trouble: Trouble) -> None:
    entries, random = trouble.index.entries, trouble.random
    checked = [key for key in entries if key[:1] in (b"r", b"d")]
    for key in random.sample(checked, random.choice([0, min(len(checked), 3), len(checked)])):
        value = bytearray(entries[key])
        value[random.randrange(len(value))] ^= 1 << random.randrange(8)
        entries[key] = bytes(value)


async def index_lost(trouble: Trouble) -> None:
    """Its index is gone, and made anew from the log."""
    trouble.take_away()
    trouble.medium.settle()
    trouble.index.wipe()
    await trouble.bring_back()


async def wiped(trouble: Trouble) -> None:
    """An empty disk takes its place."""
    trouble.take_away()
    await trio.sleep(trouble.random.choice([0.1, 5]))
    trouble.media.wipe(trouble.number)
    await trouble.bring_back()


async def stale(trouble: Trouble) -> None:
    """An empty disk takes its place, and lives; then the old one is put back."""
    trouble.take_away()
    old = trouble.medium.copy(), trouble.index.copy()
    trouble.media.wipe(trouble.number)
    await trouble.bring_back()
    await trouble.made_whole()
    await trio.sleep(trouble.random.choice([1, 70, 200]))
    trouble.take_away()
    trouble.media.swap(trouble.number, *old)
    await trouble.bring_back()


async def failed_sync(trouble: Trouble) -> None:
    """A sync fails, or two in a row: then it is out, and opened anew."""
    trouble.medium.fail_syncs = trouble.random.randint(1, 2)
    await trio.sleep(trouble.random.choice([1, 10]))
    trouble.medium.fail_syncs = 0
    if trouble.device.health.failed is not None:
        trouble.take_away()
        await trouble.bring_back()


async def full(trouble: Trouble) -> None:
    """There is no room any more; then there is."""
    medium = trouble.medium
    medium.capacity = medium.used() + trouble.random.choice([0, 1000, 100_000])
    try:
        await trio.sleep(trouble.random.choice([1, 20]))
    finally:
        medium.capacity = 1 << 40


async def slow(trouble: Trouble) -> None:
    """It does not keep pace."""
    gate = trouble.gate
    for _ in range(trouble.random.randint(1, 20)):
        gate.shut = True
        try:
            await trio.sleep(trouble.random.choice([0.05, 0.3, 2]))
            if trouble.random.random() < 0.05:
                trouble.crash()
        finally:
            gate.open()
        await trio.sleep(trouble.random.random() / 5)


async def hangs(trouble: Trouble) -> None:
    """It answers nothing for long, and then everything, if the power does not go before."""
    gate = trouble.gate
    gate.shut = True
    try:
        if trouble.random.random() < 0.4:
            await trio.sleep(trouble.random.choice([0.3, 2, 5]))
            trouble.crash()
        await trio.sleep(trouble.random.choice([6, 30, 90]))
    finally:
        gate.open()


FAULTS: dict[str, Fault] = {
    "absent": Fault(absent),
    "dead": Fault(dead),
    "flipped": Fault(flipped, damages=True),
    "index lost": Fault(index_lost),
    "wiped": Fault(wiped),
    "stale": Fault(stale),
    "failed sync": Fault(failed_sync),
    "hangs": Fault(hangs),
    "full": Fault(full, harms=False),
    "slow": Fault(slow, harms=False),
}
