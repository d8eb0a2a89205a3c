"""Metadata of volumes and of snapshots: all of it, or by key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.volumes.call import Call
from gateway.volumes.reading import bounded, metadata
from gateway.volumes.records import Metadata, Volume
from gateway.volumes.standing import change_volume, find_snapshot, find_volume
from store.core.errors import InvalidError, NotFoundError

Change = Callable[[Metadata], Metadata]


@dataclass(frozen=True, slots=True)
class Metadatas:
    """Of one kind of thing."""

    read: Callable[[Call], Awaitable[Metadata]]
    write: Callable[[Call, str, Change], Awaitable[Metadata]]
    """With what is to be done: `create`, `update` or `delete`."""

    def routes(self, path: str) -> Routes[Call]:
        return {
            path: {"GET": self.list, "POST": self.add, "PUT": self.replace},
            f"{path}/{{key}}": {"GET": self.show, "PUT": self.set, "DELETE": self.remove},
        }

    async def list(self, call: Call) -> Response:
        return answer({"metadata": await self.read(call)})

    async def show(self, call: Call) -> Response:
        held, key = await self.read(call), call.path("key")
        if key not in held:
            raise NotFoundError(f"Metadata has no key {key}.")
        return answer({"meta": {key: held[key]}})

    async def add(self, call: Call) -> Response:
        asked = metadata("metadata", (await call.body()).object("metadata").others(frozenset()))
        return answer({"metadata": await self.write(call, "create", lambda held: held | asked)})

    async def replace(self, call: Call) -> Response:
        asked = metadata("metadata", (await call.body()).object("metadata").others(frozenset()))
        return answer({"metadata": await self.write(call, "update", lambda _: asked)})

    async def set(self, call: Call) -> Response:
        key, asked = call.path("key"), metadata("meta", (await call.body()).object("meta").others(frozenset()))
        if set(asked) != {key}:
            raise InvalidError("Request body and URI mismatch: one key, the same as in the path.")
        after = await self.write(call, "update", lambda held: held | asked)
        return answer({"meta": {key: after[key]}})

    async def remove(self, call: Call) -> Response:
        key = call.path("key")

        def without(held: Metadata) -> Metadata:
            if key not in held:
                raise NotFoundError(f"Metadata has no key {key}.")
            return {name: value for name, value in held.items() if name != key}

        await self.write(call, "delete", without)
        return Response(status_code=200)


async def _read_volume(call: Call) -> Metadata:
    return (await find_volume(call, "volume:get_volume_metadata")).record.metadata


async def _write_volume(call: Call, verb: str, change: Change) -> Metadata:
    found = await find_volume(call, f"volume:{verb}_volume_metadata")
    now_us = call.service.clock.wall_us()

    def step(volume: Volume, status: str) -> Volume:
        if status in ("maintenance", "uploading"):
            raise InvalidError(f"Invalid volume: its metadata cannot change while it is in {status}.")
        return replace(volume, metadata=bounded(change(volume.metadata)), updated_us=now_us)

    after = await change_volume(call.service, found.record.id, step)
    return after.metadata


async def _read_snapshot(call: Call) -> Metadata:
    return (await find_snapshot(call, "volume:get_snapshot_metadata")).record.metadata


async def _write_snapshot(call: Call, verb: str, change: Change) -> Metadata:
    operation = "volume:delete_snapshot_metadata" if verb == "delete" else "volume:update_snapshot_metadata"
    found = await find_snapshot(call, operation)
    now_us = call.service.clock.wall_us()
    after = await call.service.snapshots.change(
        found.record.id, lambda one: replace(one, metadata=bounded(change(one.metadata)), updated_us=now_us)
    )
    return after.metadata


VOLUME_METADATA = Metadatas(_read_volume, _write_volume)
SNAPSHOT_METADATA = Metadatas(_read_snapshot, _write_snapshot)
