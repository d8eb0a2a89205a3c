"""Volumes by name: made, found, grown, deleted."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from unittest import mock

import pytest
import trio
from trio.testing import MockClock

from store.blocks import catalogue as module
from store.blocks.disk import OwnerReplacedError
from store.blocks.head import SIZE_MAX
from store.blocks.place import BLOCK_BYTES
from store.core.errors import BusyError, ConflictError, InvalidError, NotFoundError
from store.objects.model import Policy
from tests.blocks.conftest import MIB, catalogue_of, media, node_of, volume_of
from tests.blocks.model_disk import PAGE, read
from tests.simulation.node import SimMedia
from tests.simulation.object_checks import check_nothing_left
from tests.simulation.volume_workload import small_volume_limits


async def test_names_and_sizes(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        assert await catalogue.names() == []
        for name in ("b", "a", "c"):
            await catalogue.create(name, MIB)
        assert await catalogue.names() == ["a", "b", "c"]
        assert await catalogue.names("a", 1) == ["b"]
        assert (await catalogue.head("b")).size == MIB
        with pytest.raises(NotFoundError):
            await catalogue.find("d")


async def test_there_is_one_of_a_name(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        await catalogue.create("v", MIB)
        with pytest.raises(ConflictError):
            await catalogue.create("v", 2 * MIB)
        assert (await catalogue.head("v")).size == MIB


@pytest.mark.parametrize("size", [0, -BLOCK_BYTES, 1, BLOCK_BYTES + 1, SIZE_MAX + BLOCK_BYTES])
async def test_sizes_that_no_volume_has(autojump_clock: MockClock, size: int) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        with pytest.raises(InvalidError):
            await catalogue.create("v", size)
        assert await catalogue.names() == []
        await catalogue.create("v", BLOCK_BYTES)
        with pytest.raises(InvalidError):
            await catalogue.resize("v", size)


@pytest.mark.parametrize("named", [True, False])
async def test_what_is_coded_is_refused_and_leaves_no_name(autojump_clock: MockClock, named: bool) -> None:
    policies = Policy(0, "copies", default=named), Policy(1, "code", k=2, m=1, codec="zfec", default=not named)
    async with node_of(SimMedia(Random(1), 4, policies)) as node:
        catalogue = catalogue_of(node)
        await catalogue.create("other", MIB, 0)
        with pytest.raises(InvalidError):
            await catalogue.create("v", MIB, 1 if named else None)
        assert await catalogue.names() == ["other"]
        await catalogue.create("v", MIB, 0)


async def test_it_grows_and_does_not_shrink(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        catalogue = catalogue_of(node)
        async with volume_of(node, size=MIB) as volume:
            await volume.write(MIB - PAGE, b"a" * PAGE)
        await catalogue.resize("v", 2 * MIB)
        with pytest.raises(InvalidError):
            await catalogue.resize("v", MIB)
        async with volume_of(node) as volume:
            assert volume.size == 2 * MIB
            assert await read(volume, MIB - PAGE, 2 * PAGE) == b"a" * PAGE + bytes(PAGE)
            await volume.write(2 * MIB - PAGE, b"b" * PAGE)


async def test_who_grows_it_does_not_replace_its_writer(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media()) as node, volume_of(node, size=MIB) as volume:
            await catalogue_of(node).resize("v", 2 * MIB)
            for block in range(80):
                await volume.write(block * PAGE, b"a" * PAGE, durable=True)
            assert (await catalogue_of(node).head("v")).size == 2 * MIB


async def test_a_volume_that_is_deleted_leaves_nothing(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media(3)) as node:
            async with volume_of(node) as volume:
                for block in range(100):
                    await volume.write(block % 60 * PAGE, b"a" * PAGE)
            catalogue = catalogue_of(node)
            await catalogue.delete("v")
            assert await catalogue.names() == []
            with pytest.raises(NotFoundError):
                await catalogue.delete("v")
            async with volume_of(node) as volume:
                assert await read(volume, 0, 60 * PAGE) == bytes(60 * PAGE)
            await catalogue.delete("v")
            await node.run_daemons()
            await node.run_daemons()
            check_nothing_left(node)
            assert not any(list(device.merged_index.range(b"d", b"e", 10)) for device in node.devices.values())


async def test_a_writer_of_a_volume_that_is_deleted_is_told(autojump_clock: MockClock) -> None:
    with small_volume_limits():
        async with node_of(media()) as node:
            with suppress(OwnerReplacedError):  # when it is closed
                async with volume_of(node) as volume:
                    await volume.write(0, b"a" * PAGE)
                    await catalogue_of(node).delete("v")
                    with trio.fail_after(60), pytest.raises(OwnerReplacedError):
                        await volume.write(0, b"a" * 100 * PAGE)


async def test_a_volume_whose_deletion_failed_is_not_in_another_of_its_name(autojump_clock: MockClock) -> None:
    async with node_of(media()) as node:
        async with volume_of(node) as volume:
            await volume.write(0, b"a" * PAGE)
        failing = mock.patch.object(module, "remove", side_effect=BusyError("not now"))
        with failing, pytest.raises(BusyError):
            await catalogue_of(node).delete("v")
        assert await catalogue_of(node).names() == []
        async with volume_of(node, size=MIB) as volume:
            assert await read(volume) == bytes(MIB)
