"""Volumes of several processes as one: whoever is asked, the process that has a volume open does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from trio.testing import MockClock

from drystone.volume_links import DO, VolumeAnswers, VolumesOfAll
from drystone.volumes import Volumes
from store.core.errors import ConflictError, InvalidError
from store.remote.process import RemoteProcess
from tests.blocks.conftest import MIB, media, node_of
from tests.simulation.node import SimNode
from tests.simulation.world import quiet
from tests.volumes.test_volumes import PAGE, page_of, served


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet()


class Link:
    """To another process, which is asked in this one. `asked` is what it was asked."""

    def __init__(self, volumes: Volumes) -> None:
        self._answers = VolumeAnswers()
        self._answers.of = volumes
        self.up = True
        self.asked: list[str] = []

    async def ask(self, method: str, seconds: float, arguments: Sequence[Any] = ()) -> Any:
        assert method == DO
        self.asked.append(arguments[0])
        begun: list[Any] = []
        handlers: dict[str, Any] = {}
        self._answers.serve(cast(Any, SimpleNamespace(handlers=handlers)))
        handlers[DO](SimpleNamespace(arguments=list(arguments), begin=begun.append))
        return await begun[0]()


@asynccontextmanager
async def two(node: SimNode) -> AsyncIterator[tuple[VolumesOfAll, Volumes, Link]]:
    """What is asked of the first process, whose name is n1; and the second, n2, with the link to it."""
    async with served(node, "n1") as first, served(node, "n2") as second:
        link = Link(second)
        yield VolumesOfAll(first, "n1", lambda: {"n2": cast(RemoteProcess, link)}), second, link


async def test_who_has_a_volume_open_makes_its_snapshot(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as (everyones, second, link):
        await everyones.create("v", MIB, "")
        async with second.open("v") as disk:
            await disk.write(0, b"a" * PAGE)
            await everyones.snapshot("v", "s")
            await everyones.resize("v", 2 * MIB)
            await disk.write(0, b"b" * PAGE)  # nobody has taken it away
            assert disk.size == 2 * MIB
            assert link.asked == ["snapshot", "resize"]
            with pytest.raises(ConflictError):
                await everyones.delete("v", force=False)
        async with everyones.open("v@s") as kept:
            assert await page_of(kept) == b"a" * PAGE


async def test_a_volume_that_is_open_nowhere_is_nobodys_business(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as (everyones, second, link):
        await second.create("v", MIB, "")
        await everyones.snapshot("v", "s")
        await everyones.flush("v")
        await everyones.delete("v", force=False)
        assert link.asked == []


async def test_a_volume_is_cut_off_where_it_is_open(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as (everyones, second, link):
        await everyones.create("v", MIB, "")
        with pytest.raises(Exception, match="not served here"):
            async with second.open("v"):
                await everyones.cut_off("v")
        assert link.asked == ["cut-off"]


async def test_a_process_that_cannot_be_asked_is_as_before(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as (everyones, second, link):
        await everyones.create("v", MIB, "")
        async with second.open("v"):
            link.up = False
            with pytest.raises(ConflictError):
                await everyones.snapshot("v", "s")


async def test_what_is_not_known_is_refused(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node, two(node) as (everyones, _, link):
        await everyones.create("v", MIB, "")
        for arguments in (("eat", "v"), ("resize", "v"), ("resize", "v", "much"), ("snapshot", "v", 1, None)):
            with pytest.raises(InvalidError):
                await link.ask(DO, 1, arguments)
