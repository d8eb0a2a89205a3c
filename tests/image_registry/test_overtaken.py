"""What happens beside an upload: the process is taken for dead, the image is changed, another one has its id."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio

from gateway.rest.errors import TooLargeError
from gateway.rest.task_records import State, Task
from gateway.rest.task_runner import RETRY_S
from gateway.rest.tasks import Tasks
from image_registry import keys
from image_registry.conversion.seal import seal
from image_registry.importing import IMPORT
from image_registry.process import LEASE_S
from image_registry.records import Incoming, Status
from image_registry.service import ImageConfig
from store.blocks.disk import OwnerReplacedError
from store.core.errors import BusyError, ConflictError, DamageError, InvalidError, RetryableError
from store.registry import Delete, Operation, Put
from tests.gateway_rest.doubtful_registry import lose_answer, puts
from tests.image_registry.cloud import OCTETS, Cloud


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


async def test_who_makes_an_image_of_a_disk_waits_for_a_process_that_has_just_died(cloud: Cloud) -> None:
    """The lease under which bits are received may end a little later than the one of the task that was taken over."""
    image = await cloud.create()
    found = await cloud.service.images.find(image["id"])
    await cloud.service.registry.transact((), [Put(keys.process("dead"), b"")])
    incoming = Incoming(f"{image['id']}-0", "standard", "dead")
    assert await cloud.service.images.write(found, replace(found.image, receiving=incoming))
    await cloud.volumes.create("disk", 4096, "standard")
    async with cloud.volumes.open("disk") as disk:
        with pytest.raises(RetryableError):
            await cloud.service.from_disk.store(image["id"], "standard", disk)
        await cloud.service.registry.transact((), [Delete(keys.process("dead"))])
        await cloud.service.from_disk.store(image["id"], "standard", disk)
    assert (await cloud.show(image["id"]))["status"] == "active"


async def test_an_import_that_another_ends_after_the_image_was_deactivated(cloud: Cloud) -> None:
    """It has its bits, and the import is done."""
    image = await cloud.create()
    path = f"/v2/images/{image['id']}"
    assert (await cloud.ask("PUT", f"{path}/stage", b"bits", headers={"Content-Type": OCTETS})).status == 204
    ending = cloud.service.uploads.end_staging

    async def late(*args: str) -> None:
        assert (await cloud.ask("POST", f"{path}/actions/deactivate")).status == 204
        cloud.service.uploads.end_staging = ending  # type: ignore[method-assign]
        raise BusyError("it died here, and is begun again")

    cloud.service.uploads.end_staging = late  # type: ignore[method-assign,assignment]
    assert (await cloud.ask("POST", f"{path}/import", {"method": {"name": "glance-direct"}})).status == 202
    found = await cloud.imported(image["id"])
    assert (found["status"], found["os_glance_failed_import"]) == ("deactivated", "")
    assert [task.state async for task in tasks(cloud)] == [State.FINISHED]


async def tasks(cloud: Cloud) -> AsyncGenerator[Task, None]:
    for task in await cloud.service.tasks.every():
        if task.kind == IMPORT:
            yield task


async def test_who_waits_for_a_volume_is_told_that_there_will_be_none(cloud: Cloud) -> None:
    """Whatever the task met."""

    async def broken(*_: object) -> None:
        raise DamageError("all copies are damaged")

    cloud.volumes.create = broken  # type: ignore[method-assign,assignment]
    image = await cloud.active(b"bits")
    with trio.fail_after(600), pytest.raises(InvalidError):
        await cloud.service.sealing.wait(image["id"])


async def test_a_volume_of_an_image_that_was_deleted_and_made_again_goes(cloud: Cloud) -> None:
    create, id_ = cloud.volumes.create, "3fa85f64-5717-4562-b3fc-2c963f66afa8"

    async def late(*args: object) -> None:
        cloud.volumes.create = create  # type: ignore[method-assign]
        found = await cloud.service.images.find(id_)
        await cloud.service.uploads.delete(found)
        await cloud.service.cleaning.sweep()
        await cloud.service.registry.transact((), [Delete(keys.deleted(id_))])
        await cloud.service.uploads.create(replace(found.image, copies=(), sealing="", status=Status.QUEUED))
        await create(*args)  # type: ignore[arg-type]

    cloud.volumes.create = late  # type: ignore[method-assign,assignment]
    await cloud.active(b"bits", id=id_)
    with trio.fail_after(600):
        while cloud.volumes.create is late or await cloud.service.tasks.abandoned() or await unfinished(cloud):
            await trio.sleep(1)
    assert await cloud.volumes.rows("", 10) == []


async def unfinished(cloud: Cloud) -> bool:
    return any(task.state is State.RUNNING for task in await cloud.service.tasks.every())


async def test_a_volume_that_another_makes_anew_is_not_taken_for_whole(cloud: Cloud) -> None:
    """The slow owner of the task has come to its end; the other has deleted what it made, and begun."""
    snapshot = cloud.volumes.snapshot

    async def late(*args: object) -> None:
        await snapshot(*args)  # type: ignore[arg-type]
        await cloud.service.tasks.leave()

    cloud.volumes.snapshot = late  # type: ignore[method-assign,assignment]
    image = await cloud.active(b"bits")
    await trio.sleep(2)
    found = (await cloud.service.images.find(image["id"])).image
    assert (found.sealed, bool(found.sealing)) == ("", True)


@pytest.mark.parametrize(("error", "sealed"), [(InvalidError("odd cylinders"), False), (BusyError("full"), True)])
async def test_what_sealing_met_is_told_or_tried_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, error: Exception, sealed: bool
) -> None:
    attempts: list[int] = []

    async def met(*args: Any, **named: Any) -> None:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            raise error
        await seal(*args, **named)

    monkeypatch.setattr("image_registry.sealing.seal", met)
    image = await cloud.active(b"bits")
    await cloud.settled()
    found = (await cloud.service.images.find(image["id"])).image
    assert (bool(found.sealed), found.seal_error) == (sealed, "" if sealed else "odd cylinders")
    assert len(await cloud.volumes.rows("", 10)) == sealed


async def test_sealing_goes_on_where_nobody_can_be_told_how_far_it_is(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    async def away(self: Tasks, task: Task, *, percent: int, **_: Any) -> Task:
        told.append(percent)
        raise BusyError("the registry is away")

    async def slow(source: Any, disk_format: str, disk: Any, note: Callable[[float], None], **named: Any) -> None:
        note(0.5)
        await trio.sleep(5)
        await seal(source, disk_format, disk, note, **named)

    monkeypatch.setattr("image_registry.sealing.seal", slow)
    monkeypatch.setattr("gateway.rest.tasks.Tasks.progress", away)
    image = await cloud.active(b"bits")
    await cloud.settled()
    assert (await cloud.service.images.find(image["id"])).image.sealed
    assert told == [50, 50]


async def test_bits_stay_where_the_answer_to_the_write_that_gave_them_was_lost(cloud: Cloud) -> None:
    image = await cloud.create()
    lose_answer(cloud.registry, gives_bits)
    assert (await cloud.upload(image["id"], b"bits")).status == 503
    assert (await cloud.show(image["id"]))["status"] == "active"
    assert (await cloud.ask("GET", image["file"])).body == b"bits"
    assert await cloud.used() == {"image_count_total": 1, "image_size_total": 1}


def gives_bits(operations: Sequence[Operation]) -> bool:
    return any(isinstance(one, Delete) and one.key.startswith(keys.INCOMING.start) for one in operations)


async def test_an_image_waits_where_it_is_not_known_whether_bits_began_to_come(cloud: Cloud) -> None:
    """This process lives: nobody else would end it."""
    image = await cloud.create()
    lose_answer(cloud.registry, puts(keys.INCOMING.start))
    assert (await cloud.upload(image["id"], b"bits")).status == 503
    assert (await cloud.show(image["id"]))["status"] == "queued"
    assert await cloud.service.registry.range(keys.INCOMING) == []
    assert (await cloud.upload(image["id"], b"bits")).status == 204


async def test_an_image_that_is_deleted_while_it_is_made_a_volume_ends_the_task(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: there is nothing to be tried again."""
    image = await cloud.create()

    async def deleted_meanwhile(*_: Any, **__: Any) -> None:
        assert (await cloud.ask("DELETE", f"/v2/images/{image['id']}")).status == 204
        await cloud.service.cleaning.sweep()
        raise OwnerReplacedError("another has it now")

    monkeypatch.setattr("image_registry.sealing.seal", deleted_meanwhile)
    await cloud.upload(image["id"], b"bits")
    with trio.fail_after(RETRY_S / 2):
        while any(task.state is State.RUNNING for task in await cloud.service.tasks.every()):
            await trio.sleep(0.1)
    assert await cloud.volumes.rows("", 10) == []
