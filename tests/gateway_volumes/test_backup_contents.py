"""What a backup says of itself is read with care: it is objects that anybody of the project can write."""

from __future__ import annotations

import base64
import bz2
import json
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from hashlib import md5, sha256
from typing import Any

import pytest

from gateway.volumes.work.backup_hashes import BLOCK, BLOCK_MAX, Hashes, block_of, read_hashes, zeros_digest
from store.core.errors import InvalidError
from tests.gateway_volumes.cloud import Cloud
from tests.gateway_volumes.test_backups import backup, names, put, restored, stored, volume_bytes, write

MIB = 1 << 20
GIB = 1 << 30
ID = "11111111-2222-4333-8444-555555555555"


async def in_pieces(data: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_hashes_are_read_as_they_were_written(size: int) -> None:
    digests = [sha256(bytes([number])).digest() for number in range(20)]
    hashes = Hashes(BLOCK)
    for digest in digests:
        hashes.add(digest)
    about = {"backup_name": "ab" * 32, "backup_description": '"sha256s": ["' + "cd" * 32 + '"]', "created_at": "now"}
    ours = b"".join(hashes.document(about))
    assert json.loads(ours) == about | {"chunk_size": BLOCK, "sha256s": [one.hex() for one in digests]}
    stock = json.dumps(json.loads(ours), sort_keys=True, indent=2).encode()
    for document in (ours, stock):
        found = await read_hashes(in_pieces(document, size))
        assert (found.block, len(found)) == (BLOCK, 20)
        assert found.span(0, 20) == b"".join(digests)
        assert found.span(19, 2) == digests[19] + zeros_digest(BLOCK)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b'{"chunk_size": 32768, "sha256s": [',
        b'{"chunk_size": 32768, "sha256s": ["xy"]}',
        b'{"chunk_size": 1, "sha256s": []}',
        b'{"chunk_size": 4194304, "sha256s": []}',
        b'{"sha256s": []}',
    ],
)
async def test_what_are_no_hashes(document: bytes) -> None:
    async with aclosing(in_pieces(document, 5)) as pieces:
        with pytest.raises(InvalidError):
            await read_hashes(pieces)


def test_large_volumes_have_larger_blocks() -> None:
    assert block_of(GIB) == block_of(128 * GIB) == BLOCK
    assert block_of(129 * GIB) == 2 * BLOCK
    assert block_of(64 * 1024 * GIB) == BLOCK_MAX


@pytest.mark.parametrize("compression", ["zlib", "bz2", "none"])
async def test_what_stock_cinder_backed_up_is_restored(cloud: Cloud, compression: str) -> None:
    """The objects as its Swift driver writes them: all of the volume, in chunks; and a record of it."""
    data = {0: b"first" * 2000 + bytes(MIB - 10_000), 600 * MIB: b"second" + bytes(MIB - 6)}
    prefix = f"volume_{ID}/20260131120000/az_nova_backup_{ID}"
    packs: dict[str, Callable[[bytes], bytes]] = {"zlib": zlib.compress, "bz2": bz2.compress, "none": bytes}
    pack = packs[compression]
    objects = []
    await cloud.objects.put_account("AUTH_blue", {})
    await cloud.objects.put_container("AUTH_blue", "volumebackups", {})
    for number, (offset, piece) in enumerate(data.items(), 1):
        name = f"{prefix}-{number:05d}"
        await put(cloud, name, pack(piece))
        digest = md5(piece, usedforsecurity=False).hexdigest()
        objects.append({name: {"offset": offset, "length": MIB, "compression": compression, "md5": digest}})
    hashes = [zeros_digest(BLOCK).hex()] * (GIB // BLOCK)
    for offset, piece in data.items():
        for at in range(0, MIB, BLOCK):
            hashes[(offset + at) // BLOCK] = sha256(piece[at : at + BLOCK]).hexdigest()
    about: dict[str, Any] = {
        "version": "1.0.0",
        "backup_id": ID,
        "volume_id": ID,
        "backup_name": None,
        "created_at": "2026-01-31",
    }
    meta = {"version": 2, "volume-base-metadata": {"display_name": "from stock"}, "volume-metadata": {"k": "v"}}
    document = about | {"objects": objects, "parent_id": None, "volume_meta": json.dumps(meta)}
    await put(cloud, f"{prefix}_metadata", json.dumps(document, sort_keys=True, indent=2).encode())
    document = about | {"chunk_size": BLOCK, "sha256s": hashes}
    await put(cloud, f"{prefix}_sha256file", json.dumps(document, sort_keys=True, indent=2).encode())
    record = {
        "id": ID, "display_name": "b", "display_description": None, "container": "volumebackups", "size": 1,
        "service_metadata": prefix, "object_count": 2, "host": "stock", "temp_volume_id": None,
    }  # fmt: skip
    asked = {
        "backup_service": "cinder.backup.drivers.swift.SwiftBackupDriver",
        "backup_url": base64.b64encode(json.dumps(record).encode()).decode(),
    }
    answer = await cloud.ask("POST", "/backups/import_record", {"backup-record": asked}, "admin@blue")
    assert answer.status == 201, answer.body
    new = await restored(cloud, ID)
    assert (new["status"], new["name"], new["metadata"]) == ("available", "from stock", {"k": "v"})
    assert await volume_bytes(cloud, new["id"], 0, 10) == b"firstfirst"
    assert await volume_bytes(cloud, new["id"], 600 * MIB, 7) == b"second\0"


def entry(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(document["objects"][0].values()))
    return found


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.update(version="2.0.0"),
        lambda document: document.update(version=[]),
        lambda document: document.update(version="\ud800"),
        lambda document: entry(document).update(compression="\ud800"),
        lambda document: document.pop("objects"),
        lambda document: document.update(objects={}),
        lambda document: document.update(objects=[]),
        lambda document: document.update(objects=["x"]),
        lambda document: document.update(objects=document["objects"] * 2),
        lambda document: document.update(zeros=[[0]]),
        lambda document: document.update(zeros=[["a", "b"]]),
        lambda document: document.update(zeros=[[GIB, 4096]]),
        lambda document: document.update(volume_meta="{"),
        lambda document: document.update(volume_meta=5),
        lambda document: entry(document).update(offset=GIB),
        lambda document: entry(document).update(offset=-4096),
        lambda document: entry(document).update(offset="0"),
        lambda document: entry(document).update(length=0),
        lambda document: entry(document).update(length=1 << 40),
        lambda document: entry(document).update(md5="0" * 32),
        lambda document: entry(document).update(md5=None),
        lambda document: entry(document).update(compression="zstd"),
        lambda document: entry(document).update(compression="none"),
        lambda document: entry(document).update(compression={}),
        lambda document: entry(document).pop("length"),
        lambda document: entry(document).update(offset=4096),
    ],
)
async def test_metadata_that_are_wrong_are_told_of(cloud: Cloud, damage: Callable[[dict[str, Any]], None]) -> None:
    volume = await cloud.create()
    await write(cloud, volume["id"], 0, b"data" * 20_000)
    made = await backup(cloud, volume["id"])
    (name,) = [one for one in await names(cloud) if one.endswith("_metadata")]
    document = json.loads(await stored(cloud, "_metadata", made["id"]))
    damage(document)
    await put(cloud, name, json.dumps(document).encode())
    new = await restored(cloud, made["id"])
    assert new["status"] == "error_restoring"
    reason = (await cloud.show(made["id"], kind="backup"))["fail_reason"]
    assert reason
    assert "unexpected" not in reason
    assert set(cloud.store.volumes) == {f"volume-{volume['id']}"}


async def test_what_is_said_of_the_volume_is_cut_to_what_can_be_kept(cloud: Cloud) -> None:
    made = await backup(cloud, (await cloud.create())["id"])
    (name,) = [one for one in await names(cloud) if one.endswith("_metadata")]
    document = json.loads(await stored(cloud, "_metadata", made["id"]))
    meta = {
        "volume-base-metadata": {"display_name": "n" * 1000, "display_description": "\ud800"},
        "volume-metadata": {"k" * 1000: 5, **{str(number): None for number in range(1000)}},
        "volume-glance-metadata": ["none"],
    }
    await put(cloud, name, json.dumps({**document, "volume_meta": json.dumps(meta)}).encode())
    new = await restored(cloud, made["id"])
    assert (new["status"], new["name"], new["description"]) == ("available", "n" * 255, "?")
    assert (len(new["metadata"]), new["metadata"]["k" * 255]) == (256, "5")
    assert "volume_image_metadata" not in new
