"""The process dies at every write, answered or not; the next one finishes what was begun, or it was never begun. Then
all that is counted is there, all that is there is counted, and the store has nothing besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from gateway.rest.times import shown_us
from gateway.volumes import amounts
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.gateway_volumes.cloud import Cloud

IMAGE = "3fa85f64-5717-4562-b3fc-2c963f66afa8"
ADMIN = "admin@blue"
WRITES_MAX = 40

Scenario = Callable[[Cloud], Awaitable[None]]


async def first(cloud: Cloud) -> str:
    """The volume that is there before."""
    found = (await cloud.ask("GET", "/volumes?name=first")).json["volumes"]
    return str(found[0]["id"])


async def create(cloud: Cloud) -> None:
    await cloud.create(size=3)


async def clone(cloud: Cloud) -> None:
    await cloud.create(source_volid=await first(cloud))


async def copy(cloud: Cloud) -> None:
    await cloud.create(source_volid=await first(cloud), volume_type="fast")


async def of_image(cloud: Cloud) -> None:
    await cloud.create(imageRef=IMAGE)


async def extend(cloud: Cloud) -> None:
    await cloud.act(await first(cloud), "os-extend", {"new_size": 4})
    await cloud.settled(await first(cloud))


async def snapshot(cloud: Cloud) -> None:
    await cloud.snapshot(await first(cloud))


async def delete(cloud: Cloud) -> None:
    id_ = await first(cloud)
    await cloud.ask("DELETE", f"/volumes/{id_}?cascade=1")
    await cloud.gone(id_)


async def delete_snapshot(cloud: Cloud) -> None:
    (one,) = (await cloud.ask("GET", "/snapshots?name=kept")).json["snapshots"]
    await cloud.ask("DELETE", f"/snapshots/{one['id']}")
    await cloud.gone(one["id"], "snapshot")


async def revert(cloud: Cloud) -> None:
    (one,) = (await cloud.ask("GET", "/snapshots?name=kept")).json["snapshots"]
    answer = await cloud.act(await first(cloud), "revert", {"snapshot_id": one["id"]})
    assert answer.status == 202
    await cloud.settled(await first(cloud))


async def rewind(cloud: Cloud) -> None:
    await cloud.act(await first(cloud), "drystone-rewind", {"time": shown_us(cloud.clock.wall_us())})
    await cloud.settled(await first(cloud))


async def reimage(cloud: Cloud) -> None:
    await cloud.act(await first(cloud), "os-reimage", {"image_id": IMAGE})
    await cloud.settled(await first(cloud))


async def retype(cloud: Cloud) -> None:
    id_ = (await cloud.ask("GET", "/volumes?name=bare")).json["volumes"][0]["id"]
    await cloud.act(id_, "os-retype", {"new_type": "fast", "migration_policy": "on-demand"})
    await cloud.settled(id_)


async def upload(cloud: Cloud) -> None:
    await cloud.act(await first(cloud), "os-volume_upload_image", {"image_name": "i"})
    await cloud.settled(await first(cloud))


async def transfer(cloud: Cloud) -> None:
    made = (await cloud.ask("POST", "/volume-transfers", {"transfer": {"volume_id": await first(cloud)}})).json[
        "transfer"
    ]
    accept = {"accept": {"auth_key": made["auth_key"]}}
    await cloud.ask("POST", f"/volume-transfers/{made['id']}/accept", accept, "member@red")


async def fail(cloud: Cloud) -> None:
    """A task that cannot be done."""
    await cloud.create(name="odd", volume_type="odd")


async def overtaken(cloud: Cloud) -> None:
    """One that is deleted while it is made."""
    id_ = (await cloud.ask("POST", "/volumes", {"volume": {"size": 1}})).json["volume"]["id"]
    await cloud.act(id_, "os-force_delete", {}, ADMIN)
    await cloud.gone(id_)


SCENARIOS = (
    create, clone, copy, of_image, extend, snapshot, delete, delete_snapshot, revert, rewind, reimage, retype, upload,
    transfer, fail, overtaken,
)  # fmt: skip


async def prepared() -> Cloud:
    cloud = Cloud()
    async with trio.open_nursery() as nursery:
        await nursery.start(cloud.service.run)
        await cloud.images.add(IMAGE)
        id_ = (await cloud.create(name="first"))["id"]
        await cloud.write(id_, b"before")
        await cloud.snapshot(id_, name="kept")
        await cloud.write(id_, b"behind")
        await cloud.create(name="bare")
        body = {"volume_type": {"name": "odd", "extra_specs": {"vendor_name": "nobody"}}}
        await cloud.ask("POST", "/types", body, ADMIN)
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
        for kind in ("volume", "snapshot"):
            for one in (await cloud.ask("GET", f"/{kind}s?all_tenants=1", token=ADMIN)).json[f"{kind}s"]:
                while True:
                    answer = await cloud.ask("GET", f"/{kind}s/{one['id']}", token=ADMIN)
                    if answer.status == 404 or not answer.json[kind]["status"].endswith("ing"):
                        break
                    await trio.testing.wait_all_tasks_blocked()
        await cloud.service.quotas.sweep(cloud.service.tasks.goes_on)
        await check_store(cloud)
        await check_quotas(cloud)
        errors = {one["name"] for one in (await cloud.ask("GET", "/volumes/detail?status=error")).json["volumes"]}
        errors |= {one["name"] for one in (await cloud.ask("GET", "/snapshots?status=error")).json["snapshots"]}
        assert errors <= {"odd"}
        nursery.cancel_scope.cancel()


async def check_store(cloud: Cloud) -> None:
    volumes, snapshots = await cloud.service.volumes.every(), await cloud.service.snapshots.every()
    names = {f"volume-{one.id}" for one in volumes if one.error != "error"}
    formers = {former for one in volumes for former in one.former}
    images = {one.volume for one in cloud.images.images.values() if one.volume}
    assert set(cloud.store.volumes) == names | formers | images
    held = {(one.store_volume, f"snapshot-{one.id}") for one in snapshots}
    there = {(name, row.name) for name in names | formers for row in await cloud.store.snapshots(name)}
    assert there == held
    assert formers <= {one.holder for one in snapshots}


async def check_quotas(cloud: Cloud) -> None:
    counted: dict[str, Counter[str]] = {"blue": Counter(), "red": Counter()}
    for volume in await cloud.service.volumes.every():
        counted[volume.project_id].update(amounts.of_volume(volume.size, volume.type_id))
    for one in await cloud.service.snapshots.every():
        counted[one.project_id].update(amounts.of_snapshot(one.size, one.type_id))
    for project, found in counted.items():
        standing = await cloud.service.quotas.show(project)
        assert {name: one.in_use for name, one in standing.items() if one.in_use} == dict(found)
        assert not any(one.reserved for one in standing.values())


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_whenever_it_dies(scenario: Scenario, answered: bool) -> None:
    for writes in range(WRITES_MAX):
        before = await prepared()
        done = await lived(before, scenario, writes, answered=answered)
        await check(before)
        if done:
            assert writes > 1
            return
    raise AssertionError("it never came to its end")
