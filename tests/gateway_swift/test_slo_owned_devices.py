"""Manifests that own their segments, over simulated devices: the expirer collects them, and the power goes."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from gateway.objects.large.ownership import ROUND_SECONDS, UNDECIDED_SECONDS
from gateway.swift.app import SwiftApp
from store.objects.interface import ObjectStore
from store.objects.model import Policy
from store.replicator.expire import SCHEDULE
from store.replicator.progress import Progress
from tests.gateway_swift.client import Client
from tests.gateway_swift.test_slo_owned import OWNED, A, B, ownership, put, ready, segments
from tests.simulation.crash_point import CrashPoint, PowerLoss
from tests.simulation.node import SimMedia, open_node
from tests.simulation.world import SeededRandom, SimClock, quiet

POLICIES = (Policy(0, "copies", replicas=2, default=True),)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


def over(store: ObjectStore, seed: int = 0) -> Client:
    """A gateway over this store."""
    client = Client()
    client.store = store  # type: ignore[assignment]
    client.app = SwiftApp(store, client.people, clock=SimClock(), random=SeededRandom(Random(seed)))
    return client


async def test_segments_of_an_expired_manifest_go(autojump_clock: MockClock) -> None:
    async with open_node(SimMedia(Random(1), 3, POLICIES), CrashPoint()) as node:
        client = await ready(over(node.store))
        assert (await put(client, headers={**OWNED, "X-Delete-After": "5"})).status == 201
        progress = Progress("owned segments")
        node.nursery.start_soon(client.app.run, progress)
        await trio.sleep(4)
        assert (await client("GET", "c/m")).body == A + B
        await trio.sleep(2 * SCHEDULE.every + 2 * ROUND_SECONDS)
        assert await segments(client) == []
        assert await ownership(client) == 0
        assert (progress.done, progress.trouble) == (2, "")


@pytest.mark.parametrize("seed", range(60))
async def test_what_is_begun_before_the_power_goes_is_done_after(autojump_clock: MockClock, seed: int) -> None:
    """The power goes somewhere between the ownership record of one manifest and the last segment of another."""
    dice = Random(seed)
    media = SimMedia(dice, 3, POLICIES)
    crash_point = CrashPoint()
    async with open_node(media, crash_point) as node:
        client = await ready(over(node.store))
        await client("PUT", "segs/c", body=B)
        assert (await put(client)).status == 201
    crash_point = CrashPoint(dice.randrange(20, 170))
    answered: dict[str, int] = {}
    try:
        async with open_node(media, crash_point) as node:
            client = over(node.store, seed + 1)
            node.nursery.start_soon(client.app.run, Progress("owned segments"))
            answered["put"] = (await put(client, "c/n", ("segs/b", "segs/c"))).status
            answered["delete"] = (await client("DELETE", "c/m")).status
            answered["last"] = (await client("DELETE", "c/n")).status
            await trio.sleep(1)
            crash_point.cut()
            media.lose_power()
    except* PowerLoss:
        media.lose_power()
    async with open_node(media, CrashPoint()) as node:
        client = over(node.store, seed + 2)
        node.nursery.start_soon(client.app.run, Progress("owned segments"))
        await trio.sleep(UNDECIDED_SECONDS + 10 * ROUND_SECONDS)
        m, n = [await client("GET", path) for path in ("c/m", "c/n")]
        assert m.status == 404 or answered.get("delete") != 204
        assert n.status == 404 or answered.get("last") != 204
        expected = set()
        if m.status == 200:
            assert m.body == A + B
            expected |= {"a", "b"}
        if n.status == 200:
            assert n.body == B + B
            expected |= {"b", "c"}
        never = answered.get("put") != 201 and n.status == 404  # it may never have come: `c` is still its owner's
        assert set(await segments(client)) - ({"c"} if never else set()) == expected - ({"c"} if never else set())
        assert await ownership(client) == (m.status == 200) + (n.status == 200)
