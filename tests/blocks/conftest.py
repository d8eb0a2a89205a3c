"""Volumes over simulated devices, in simulated time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from store.blocks.catalogue import Catalogue
from store.blocks.opening import open_volume
from store.blocks.volume import Volume
from store.objects.model import Policy
from tests.simulation.crash_point import CrashPoint
from tests.simulation.node import SimMedia, SimNode, open_node
from tests.simulation.world import SeededRandom, SimClock, quiet

POLICIES = (Policy(0, "copies", default=True), Policy(1, "code", k=2, m=1, codec="zfec"))
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


def media(count: int = 4, seed: int = 1) -> SimMedia:
    return SimMedia(Random(seed), count, POLICIES)


@asynccontextmanager
async def node_of(these: SimMedia) -> AsyncIterator[SimNode]:
    """One life of a node."""
    async with open_node(these, CrashPoint()) as node:
        yield node


def catalogue_of(node: SimNode) -> Catalogue:
    return Catalogue(node.store, SeededRandom(node.media.random))


@asynccontextmanager
async def volume_of(node: SimNode, name: str = "v", size: int = 16 * MIB, holder: str = "") -> AsyncIterator[Volume]:
    """A volume, made if there is none, and open."""
    catalogue = catalogue_of(node)
    if name not in await catalogue.names():
        await catalogue.create(name, size)
    container = await catalogue.find(name)
    async with open_volume(node.store, container, SimClock(), SeededRandom(node.media.random), holder) as volume:
        yield volume
