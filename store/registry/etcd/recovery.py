"""A way back for an etcd that has lost its majority: from one member that is left, or from a snapshot.

Either way what was acknowledged last may be missing, and etcd's revisions may go back. The registry's must not, since
they are fencing numbers and positions of watches: so a recovery ends by raising what the registry adds to etcd's
(`raise_revisions`). No process of Drystone may run meanwhile; each reads that number when it starts.

The new state is made beside its place and moved there whole; one that ends half-way has changed nothing. Then there is
one member; others join it with empty folders (`members.add_member`, Member.joins).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import Final

import trio

from store.core.child import ended
from store.core.errors import ConflictError, DamageError, DeviceError, NotFoundError
from store.registry.etcd.client import Client
from store.registry.etcd.keyspace import Keyspace, decode_bytes, encode_bytes
from store.registry.etcd.member import Member
from store.registry.etcd.supervisor import ready, running

GENERATION: Final = 1 << 40
"""More than etcd will ever count between two recoveries."""


async def recover_from_survivor(member: Member, client: Client, prefix: bytes) -> None:
    """The member goes on alone with its own data: all others are forgotten, and must never come back with what they
    have. `client` has its endpoint. The data as they were are kept in `<data>.before-recovery`.

    Raises NotFoundError where there are no data, ConflictError where an earlier recovery's are kept, DeviceError where
    etcd does not start with them, or there is no room for a copy.
    """
    before, building = _beside(member, "before-recovery"), _beside(member, "new")
    if not await _is_folder(os.path.join(member.data, "member")):
        raise NotFoundError(f"{member.data} has no data of etcd")
    if await _is_folder(before):
        raise ConflictError(f"{before} is kept from an earlier recovery: move it away first")
    await trio.to_thread.run_sync(_clear, building)
    await trio.to_thread.run_sync(_copy, member.data, building)
    await _raise_beside(replace(member, data=building), client, prefix, alone=True)
    await trio.to_thread.run_sync(_put_in_place, building, member.data, before)


async def recover_from_snapshot(member: Member, snapshot: str, client: Client, prefix: bytes) -> None:
    """New data for a member, which is to be alone in `member.peers`, from what `save_snapshot` wrote.

    Raises ConflictError where the member has data, NotFoundError where there is no snapshot, DamageError where it is
    not whole, DeviceError where the programs are missing or fail.
    """
    building = _beside(member, "new")
    if await _is_folder(member.data):
        raise ConflictError(f"{member.data} is there: move it away first")
    if not await trio.Path(snapshot).is_file():
        raise NotFoundError(f"there is no snapshot {snapshot}")
    await trio.to_thread.run_sync(_clear, building)
    await _restore(replace(member, data=building), snapshot)
    await _raise_beside(replace(member, data=building), client, prefix, alone=False)
    await trio.to_thread.run_sync(_put_in_place, building, member.data, None)


async def raise_revisions(client: Client, prefix: bytes) -> None:
    """All revisions from now on are above any that was told before."""
    keyspace = Keyspace(prefix)
    key = encode_bytes(keyspace.offset_key)
    found = (await client.call("/v3/kv/range", {"key": key}, repeatable=True)).get("kvs")
    offset = (int(decode_bytes(found[0]["value"])) if found else 0) + GENERATION
    await client.call("/v3/kv/put", {"key": key, "value": encode_bytes(b"%d" % offset)}, repeatable=True)


async def _restore(member: Member, snapshot: str) -> None:
    arguments = ["--data-dir", member.data, "--name", member.name, "--initial-cluster", member.cluster]
    arguments += ["--initial-cluster-token", member.token, "--initial-advertise-peer-urls", member.peer_url]
    try:
        done = await trio.run_process(
            ["etcdctl", "snapshot", "restore", snapshot, *arguments],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    except OSError as error:
        raise DeviceError(f"etcdctl cannot be started (package etcd-client): {error}") from error
    if done.returncode != 0:
        raise DamageError(f"etcdctl does not take {snapshot}: {done.stderr.decode(errors='replace').strip()[-500:]}")


async def _raise_beside(member: Member, client: Client, prefix: bytes, *, alone: bool) -> None:
    async with running(member, alone=alone) as process:
        await _ready_or_ended(member, client, process)
        await raise_revisions(client, prefix)


async def _ready_or_ended(member: Member, client: Client, process: subprocess.Popen[bytes]) -> None:
    status: int | None = None

    async def notice_end() -> None:
        nonlocal status
        status = await ended(process)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(notice_end)
        await ready(client.endpoints[0])
        nursery.cancel_scope.cancel()
    if status is not None:
        raise DeviceError(f"etcd ended with {status} while it was recovered: see {member.log_path()}")


def _beside(member: Member, suffix: str) -> str:
    return f"{os.path.normpath(member.data)}.{suffix}"


async def _is_folder(path: str) -> bool:
    return await trio.Path(path).is_dir()


def _clear(building: str) -> None:
    shutil.rmtree(building, ignore_errors=True)


def _copy(source: str, target: str) -> None:
    try:
        shutil.copytree(source, target)
    except OSError as error:
        raise DeviceError(f"{source} cannot be copied to {target}: {error}") from error


def _put_in_place(building: str, data: str, before: str | None) -> None:
    os.sync()  # neither a copy nor etcdctl has synced all that it wrote
    if before is not None:
        os.rename(data, before)
    os.rename(building, data)
    folder = os.open(os.path.dirname(os.path.abspath(data)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
