"""The process dies at every write, answered or not; the next one finishes what was begun, or it was never begun. Then
all that is counted is there, all that is there is counted and wanted, and images that wait take their bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from gateway.rest.task_records import State
from image_registry import keys
from image_registry.limits import COUNT, SIZE, STAGE
from image_registry.records import Status
from image_registry.sealing import is_disk
from image_registry.web_source import WebSource
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.image_registry.cloud import OCTETS, Cloud

BITS = bytes(range(256)) * 20
ADMIN = "admin@blue"
WRITES_MAX = 80
PATIENCE_S = 3600

Scenario = Callable[[Cloud], Awaitable[None]]


async def named(cloud: Cloud, name: str) -> str:
    """The id of an image that is there before."""
    (image,) = (await cloud.ask("GET", f"/v2/images?name={name}")).json["images"]
    return str(image["id"])


async def settled(cloud: Cloud) -> None:
    """Once no task goes on, and all that is to be a volume is one, or cannot be."""
    with trio.fail_after(PATIENCE_S):
        while True:
            tasks = [task for task in await cloud.service.tasks.every() if task.state is State.RUNNING]
            images = await cloud.service.images.all()
            waiting = [
                one
                for one in images
                if one.task
                or one.sealing
                or (one.status is Status.ACTIVE and is_disk(one) and not one.sealed and not one.seal_error)
            ]
            if not tasks and not waiting:
                return
            await trio.sleep(1)


async def create(cloud: Cloud) -> None:
    await cloud.create(name="new")


async def upload(cloud: Cloud) -> None:
    assert (await cloud.upload(await named(cloud, "waiting"), BITS)).status == 204
    await settled(cloud)


async def refused(cloud: Cloud) -> None:
    assert (await cloud.upload(await named(cloud, "waiting"), b"QFI\xfb" + bytes(600))).status == 415


async def vanished(cloud: Cloud) -> None:
    path = f"/v2/images/{await named(cloud, 'waiting')}/file"
    await cloud.send("PUT", path, [BITS, None], headers={"Content-Type": OCTETS})


async def stage_and_import(cloud: Cloud) -> None:
    path = f"/v2/images/{await named(cloud, 'waiting')}"
    await cloud.ask("PUT", f"{path}/stage", BITS, headers={"Content-Type": OCTETS})
    assert (await cloud.ask("POST", f"{path}/import", {"method": {"name": "glance-direct"}})).status == 202
    await settled(cloud)


async def failed_import(cloud: Cloud) -> None:
    path = f"/v2/images/{await named(cloud, 'waiting')}"
    await cloud.ask("PUT", f"{path}/stage", b"QFI\xfb" + bytes(600), headers={"Content-Type": OCTETS})
    assert (await cloud.ask("POST", f"{path}/import", {"method": {"name": "glance-direct"}})).status == 202
    await settled(cloud)


async def download(cloud: Cloud) -> None:
    body = {"method": {"name": "web-download", "uri": "http://images.example/x"}}
    assert (await cloud.ask("POST", f"/v2/images/{await named(cloud, 'waiting')}/import", body)).status == 202
    await settled(cloud)


async def add_location(cloud: Cloud) -> None:
    body = {"url": "http://images.example/x"}
    assert (await cloud.ask("POST", f"/v2/images/{await named(cloud, 'waiting')}/locations", body)).status == 202
    await settled(cloud)


async def copy(cloud: Cloud) -> None:
    body = {"method": {"name": "copy-image"}, "stores": ["coded"]}
    assert (await cloud.ask("POST", f"/v2/images/{await named(cloud, 'kept')}/import", body, ADMIN)).status == 202
    await settled(cloud)


async def delete_copy(cloud: Cloud) -> None:
    path = f"/v2/stores/standard/{await named(cloud, 'twice')}"
    assert (await cloud.ask("DELETE", path, token=ADMIN)).status == 204
    await cloud.service.cleaning.sweep()


async def delete(cloud: Cloud) -> None:
    assert (await cloud.ask("DELETE", f"/v2/images/{await named(cloud, 'kept')}")).status == 204
    await cloud.service.cleaning.sweep()


async def delete_staged(cloud: Cloud) -> None:
    assert (await cloud.ask("DELETE", f"/v2/images/{await named(cloud, 'staged')}")).status == 204
    await cloud.service.cleaning.sweep()


async def overtaken(cloud: Cloud) -> None:
    """It is deleted while it is made a volume."""
    id_ = await named(cloud, "waiting")
    await cloud.upload(id_, BITS)
    assert (await cloud.ask("DELETE", f"/v2/images/{id_}")).status == 204
    await cloud.service.cleaning.sweep()
    await settled(cloud)
    await cloud.service.cleaning.sweep()


SCENARIOS = (
    create, upload, refused, vanished, stage_and_import, failed_import, download, add_location, copy, delete_copy,
    delete, delete_staged, overtaken,
)  # fmt: skip


@asynccontextmanager
async def _web(*_: Any) -> AsyncIterator[tuple[int | None, AsyncGenerator[bytes, None]]]:
    """A web that has one image at every place."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(BITS), 1024):
            await trio.lowlevel.checkpoint()
            yield BITS[start : start + 1024]

    yield len(BITS), pieces()


async def prepared() -> Cloud:
    cloud = Cloud()
    async with trio.open_nursery() as nursery:
        await nursery.start(cloud.service.run)
        await cloud.create(name="waiting")
        await cloud.active(BITS, name="kept")
        twice = await cloud.active(BITS, name="twice")
        body = {"method": {"name": "copy-image"}, "stores": ["coded"]}
        await cloud.ask("POST", f"/v2/images/{twice['id']}/import", body, ADMIN)
        staged = await cloud.create(name="staged")
        await cloud.ask("PUT", f"/v2/images/{staged['id']}/stage", BITS, headers={"Content-Type": OCTETS})
        await settled(cloud)
        nursery.cancel_scope.cancel()
    return cloud


async def lived(before: Cloud, scenario: Scenario, writes: int, *, answered: bool) -> bool:
    """Whether the process came to the end of it."""
    mortal = MortalRegistry(before.registry, None, answered=answered)
    cloud, done = Cloud(mortal, before), False
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(cloud.service.run)
            mortal.writes_left = writes
            await scenario(cloud)
            done = True
            mortal.writes_left = None
            nursery.cancel_scope.cancel()
    except* DeadError:
        pass
    return done


async def check(before: Cloud) -> None:
    """The next process."""
    before.clock.advance(3601)
    cloud = Cloud(before.registry, before)
    async with trio.open_nursery() as nursery:
        await nursery.start(cloud.service.run)
        await check_all(cloud)
        await check_tasks(cloud)
        for image in await cloud.service.images.all():
            if image.status is Status.QUEUED:
                assert (await cloud.upload(image.id, BITS)).status == 204
            if image.status is Status.UPLOADING:
                body = {"method": {"name": "glance-direct"}}
                assert (await cloud.ask("POST", f"/v2/images/{image.id}/import", body)).status == 202
        await check_all(cloud)
        nursery.cancel_scope.cancel()


async def check_tasks(cloud: Cloud) -> None:
    """Only what left an image without bits has failed."""
    active = {image.id for image in await cloud.service.images.all() if image.status is Status.ACTIVE}
    tasks = await cloud.service.tasks.every()
    assert not {task.arguments["image_id"] for task in tasks if task.state is State.FAILED} & active


async def check_all(cloud: Cloud) -> None:
    await settled(cloud)
    await cloud.service.cleaning.sweep()
    await cloud.service.quotas.sweep(cloud.service.tasks.goes_on)
    images = await cloud.service.images.all()
    counted: Counter[str] = Counter()
    for image in images:
        counted.update({COUNT: 1, SIZE: image.counted_mib, STAGE: image.staged_mib})
        shown = await cloud.show(image.id)
        assert shown["status"] in ("queued", "active", "uploading")
        if shown["status"] == "active":
            assert (image.counted_mib, bool(image.sealed)) == (1, True)
            assert (await cloud.ask("GET", f"/v2/images/{image.id}/file")).body == BITS
        else:
            assert (image.counted_mib, image.copies, image.sealed) == (0, (), "")
        assert len({bits.store for bits in image.copies}) == len(image.copies)
        assert bool(image.staged) is (shown["status"] == "uploading") is bool(image.staged_mib)
    stored = [bits.object for image in images for bits in (*image.copies, *([image.staged] if image.staged else []))]
    assert len(set(stored)) == len(stored)
    assert await cloud.stored() == set(stored)
    assert set(cloud.volumes.volumes) == {image.sealed for image in images if image.sealed}
    assert await cloud.used() == {name: count for name, count in counted.items() if count}
    assert await cloud.registry.range(keys.INCOMING) == []
    assert await cloud.registry.range(keys.VOLUMES) == []


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_whenever_it_dies(
    scenario: Scenario, answered: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(WebSource, "open", _web)
    for writes in range(WRITES_MAX):
        before = await prepared()
        done = await lived(before, scenario, writes, answered=answered)
        await check(before)
        if done:
            assert writes > 1
            return
    raise AssertionError("it never came to its end")
