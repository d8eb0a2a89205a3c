"""A way back for an etcd that has lost its majority: from one member that is left, or anew from a snapshot.

Either way what was acknowledged last may be missing, and etcd's revisions may go back. The registry's must not, since
they are fencing numbers and positions of watches: so a recovery ends by raising what the registry adds to etcd's
(`raise_revisions`). No process of Drystone may run meanwhile; each reads that number when it starts.

The new state is made beside its place, by an etcd whose ports nobody else knows, and moved there whole; one that ends
half-way has changed nothing. Then there is one member; others join it with empty folders (`members.add_member`,
Member.joins).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import trio

from store.core.child import ended
from store.core.errors import ConflictError, DeviceError, NotFoundError
from store.registry.etcd.client import Client, open_client
from store.registry.etcd.keyspace import Keyspace, decode_bytes, encode_bytes
from store.registry.etcd.member import Member
from store.registry.etcd.registry import EtcdRegistry
from store.registry.etcd.supervisor import ready, running
from store.registry.interface import GENERATION

START_SECONDS: Final = 120.0
"""For an etcd that is alone to serve."""

Finish = Callable[[EtcdRegistry], Awaitable[object]]
"""What is to be done with the new registry before it is put in place; whatever it raises leaves all as it was."""


async def recover_from_survivor(member: Member, prefix: bytes, finish: Finish) -> None:
    """The member goes on alone with its own data: all others are forgotten, and must never come back with what they
    have. The data as they were are kept in `<data>.before-recovery`.

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
    hidden = replace(member, data=building, client_url=_hidden(member.client_url), peer_url=_hidden(member.peer_url))
    await _make(hidden, prefix, 0, finish, alone=True)
    await trio.to_thread.run_sync(_put_in_place, building, member.data, before)


async def recover_anew(member: Member, prefix: bytes, above: int, finish: Finish) -> None:
    """New data for a member, which is to be alone in `member.peers`; `finish` fills it. All revisions are above
    `above`.

    It is another cluster to etcd: what members of the old one may say to it is refused. Raises ConflictError where the
    member has data, DeviceError where etcd does not start.
    """
    building = _beside(member, "new")
    if await _is_folder(member.data):
        raise ConflictError(f"{member.data} is there: move it away first")
    await trio.to_thread.run_sync(_clear, building)
    token = f"{member.token}-{above + GENERATION}"
    hidden = replace(member, data=building, client_url=_hidden(member.client_url), token=token)
    await _make(hidden, prefix, above, finish, alone=False)
    await trio.to_thread.run_sync(_put_in_place, building, member.data, None)


async def raise_revisions(client: Client, prefix: bytes, above: int = 0) -> None:
    """All revisions from now on are above any that was told before, and above `above`."""
    keyspace = Keyspace(prefix)
    key = encode_bytes(keyspace.offset_key)
    found = (await client.call("/v3/kv/range", {"key": key}, repeatable=True)).get("kvs")
    offset = max(above, int(decode_bytes(found[0]["value"])) if found else 0) + GENERATION
    await client.call("/v3/kv/put", {"key": key, "value": encode_bytes(b"%d" % offset)}, repeatable=True)


async def _make(member: Member, prefix: bytes, above: int, finish: Finish, *, alone: bool) -> None:
    async with (
        open_client([member.client_url], member.tls) as client,
        running(member, alone=alone) as process,
    ):
        await _ready_or_ended(member, client, process)
        await raise_revisions(client, prefix, above)
        await finish(EtcdRegistry(client, prefix))


async def _ready_or_ended(member: Member, client: Client, process: subprocess.Popen[bytes]) -> None:
    said = f"does not serve within {START_SECONDS:.0f} s"

    async def notice_end() -> None:
        nonlocal said
        said = f"ended with {await ended(process)}"
        nursery.cancel_scope.cancel()

    with trio.move_on_after(START_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notice_end)
            await ready(client.endpoints[0])
            said = ""
            nursery.cancel_scope.cancel()
    if said:
        raise DeviceError(f"etcd {said} while it is recovered: see {member.log_path()}")


def _hidden(url: str) -> str:
    """The same host, at a port that is free and nobody knows."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        port = server.getsockname()[1]
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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
    os.sync()  # a copy has not synced all that it wrote
    if before is not None:
        os.rename(data, before)
    os.rename(building, data)
    folder = os.open(os.path.dirname(os.path.abspath(data)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
