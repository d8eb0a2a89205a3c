"""What keeps an etcd small and copied: status, compaction, defragmentation, alarms, snapshots."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

import trio

from store.core.errors import DeviceError
from store.registry.etcd.client import Client
from store.registry.etcd.endpoint import Endpoint
from store.registry.etcd.errors import ForgottenError
from store.registry.etcd.keyspace import Json, decode_bytes, header_revision, number
from store.registry.interface import UnavailableError

NO_SPACE: Final = "NOSPACE"
DEFRAGMENT_SECONDS: Final = 600.0
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Status:
    """Of one member. `leader` is 0 where it knows none. `file_bytes` counts for the quota; `used_bytes` of it are in
    use."""

    member: int
    leader: int
    version: str
    revision: int
    file_bytes: int
    used_bytes: int
    learner: bool


@dataclass(frozen=True, slots=True)
class Alarm:
    member: int
    kind: str


async def status(endpoint: Endpoint) -> Status:
    answer = await endpoint.call("/v3/maintenance/status", {})
    return Status(
        number(answer["header"], "member_id"),
        number(answer, "leader"),
        str(answer.get("version", "")),
        header_revision(answer),
        number(answer, "dbSize"),
        number(answer, "dbSizeInUse"),
        bool(answer.get("isLearner", False)),
    )


async def compact(client: Client, revision: int) -> None:
    """Forgets what was before etcd's own `revision`, on all members; done when they have freed the room."""
    try:
        await client.call("/v3/kv/compaction", {"revision": str(revision), "physical": True}, repeatable=True)
    except ForgottenError:
        return


async def defragment(endpoint: Endpoint) -> None:
    """Gives room that is not used back to the file system. The member serves nothing meanwhile: one at a time."""
    await endpoint.call("/v3/maintenance/defragment", {}, seconds=DEFRAGMENT_SECONDS)


async def alarms(client: Client) -> list[Alarm]:
    answer = await client.call("/v3/maintenance/alarm", {"action": "GET"}, repeatable=True)
    return [Alarm(number(alarm, "memberID"), str(alarm.get("alarm", ""))) for alarm in answer.get("alarms", ())]


async def disarm(client: Client, alarm: Alarm) -> None:
    request = {"action": "DEACTIVATE", "memberID": str(alarm.member), "alarm": alarm.kind}
    await client.call("/v3/maintenance/alarm", request, repeatable=True)


async def save_snapshot(endpoint: Endpoint, path: str) -> int:
    """A member's whole state as a file, durable and checked when this returns; `etcdctl snapshot restore` reads it. Its
    bytes. Whatever goes wrong, there is no file at `path` but the one that was there before.

    Raises UnavailableError where the state did not come whole, DeviceError where it cannot be written.
    """
    part = path + ".part"
    try:
        with await trio.to_thread.run_sync(lambda: open(part, "wb", opener=_private)) as file:
            writer = _SnapshotWriter(file)
            await endpoint.listen("/v3/maintenance/snapshot", {}, writer.take)
            writer.check(endpoint.url)
            await trio.to_thread.run_sync(_sync, file)
        await trio.to_thread.run_sync(_put_in_place, part, path)
    except OSError as error:
        raise DeviceError(f"the snapshot {path} cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            os.unlink(part)
    return writer.bytes


class _SnapshotWriter:
    """The last bytes that come are the SHA-256 of all before; they belong to the file, too."""

    def __init__(self, file: BinaryIO) -> None:
        self.bytes = 0
        self._file = file
        self._sha256 = hashlib.sha256()
        self._tail = b""

    async def take(self, answer: Json) -> None:
        await trio.to_thread.run_sync(self._write, decode_bytes(answer.get("blob", "")))

    def check(self, by: str) -> None:
        if self._tail != self._sha256.digest():
            raise UnavailableError(f"{by}: the snapshot did not come whole; take another")

    def _write(self, blob: bytes) -> None:
        self._file.write(blob)
        self.bytes += len(blob)
        data = self._tail + blob
        self._sha256.update(data[:-_DIGEST_BYTES])
        self._tail = data[-_DIGEST_BYTES:]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _put_in_place(part: str, path: str) -> None:
    os.replace(part, path)
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
