"""What happens beside an upload: the process is taken for dead, the image is changed, another one has its id."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
import trio

from gateway.rest.errors import TooLargeError
from image_registry.process import LEASE_S
from image_registry.service import ImageConfig
from store.core.errors import ConflictError, RetryableError
from tests.image_registry.cloud import Cloud


async def taken_for_dead(cloud: Cloud) -> None:
    """The process slept through the end of its lease; others swept; it has noticed, and is known again."""
    before = cloud.service.process.id
    cloud.clock.advance(LEASE_S + 1)
    with trio.fail_after(10 * LEASE_S):
        while not await known_anew(cloud, before):
            await trio.sleep(1)
    await cloud.service.cleaning.sweep()


async def known_anew(cloud: Cloud, before: str) -> bool:
    living = await cloud.service.process.living()
    return before not in living and len(living) == 1


async def test_a_process_that_was_taken_for_dead_gives_no_image_its_bits(cloud: Cloud) -> None:
    """Others may have deleted them by then."""
    image = await cloud.create()

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"bits"
        await taken_for_dead(cloud)

    found = await cloud.service.images.find(image["id"])
    with pytest.raises(RetryableError):
        await cloud.service.uploads.store_bits(found, "standard", pieces(), None)
    assert (await cloud.show(image["id"]))["status"] == "queued"
    assert await cloud.stored() == set()
    assert await cloud.used() == {"image_count_total": 1}


@pytest.mark.parametrize(("name", "value"), [("disk_format", "qcow2"), ("container_format", "ovf")])
async def test_bits_are_of_the_format_that_they_were_looked_into_as(cloud: Cloud, name: str, value: str) -> None:
    """The image is changed while its bits come: they would be told to be what nobody looked at."""
    image = await cloud.create()

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"bits"
        await cloud.service.images.change(image["id"], lambda now: replace(now, **{name: value}))  # type: ignore[arg-type]

    found = await cloud.service.images.find(image["id"])
    with pytest.raises(ConflictError):
        await cloud.service.uploads.store_bits(found, "standard", pieces(), None)
    assert (await cloud.show(image["id"]))["status"] == "queued"
    assert await cloud.stored() == set()


async def test_formats_are_not_changed_while_bits_come(cloud: Cloud) -> None:
    image = await cloud.create()
    statuses: list[int] = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"bits"
        answer = await cloud.patch(image["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"})
        statuses.append(answer.status)

    found = await cloud.service.images.find(image["id"])
    await cloud.service.uploads.store_bits(found, "standard", pieces(), None)
    assert statuses == [403]
    after = await cloud.show(image["id"])
    assert (after["status"], after["disk_format"]) == ("active", "raw")


async def test_what_has_no_announced_size_has_at_most_so_many_bytes(autojump_clock: trio.testing.MockClock) -> None:
    """Wherever it comes from."""
    async with trio.open_nursery() as nursery:
        cloud = Cloud(config=ImageConfig(size_max=5))
        await nursery.start(cloud.service.run)
        image = await cloud.create()

        async def pieces() -> AsyncGenerator[bytes, None]:
            yield b"bit"
            yield b"bit"

        found = await cloud.service.images.find(image["id"])
        with pytest.raises(TooLargeError):
            await cloud.service.uploads.store_bits(found, "standard", pieces(), None)
        assert await cloud.stored() == set()
        nursery.cancel_scope.cancel()
