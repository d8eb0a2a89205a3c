"""Backups: objects of the project, full or of what changed, and volumes that are made of them again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
import trio
import trio.testing

from gateway.volumes.work import backup_writing
from store.core.errors import NotFoundError
from store.objects.model import ListingQuery, ObjectHead
from tests.gateway_rest.doubtful_registry import lose_answer, puts
from tests.gateway_volumes.cloud import Cloud
from tests.twins.volumes import MemoryDisk

MIB = 1 << 20
CHUNK = 2 * MIB


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_writing, "CHUNK", CHUNK)


async def backup(cloud: Cloud, volume_id: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    """A backup, once it is there."""
    answer = await cloud.ask("POST", "/backups", {"backup": {"volume_id": volume_id, **asked}}, token)
    assert answer.status == 202, answer.body
    return await cloud.settled(answer.json["backup"]["id"], token, "backup")


async def restored(cloud: Cloud, id_: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    answer = await cloud.ask("POST", f"/backups/{id_}/restore", {"restore": asked}, token)
    assert answer.status == 202, answer.body
    assert answer.json["restore"]["backup_id"] == id_
    volume = await cloud.settled(answer.json["restore"]["volume_id"], token)
    await cloud.settled(id_, token, "backup")
    return volume


async def names(cloud: Cloud, container: str = "volumebackups", account: str = "AUTH_blue") -> list[str]:
    try:
        found = await cloud.objects.container(account, container)
    except NotFoundError:
        return []
    return await cloud.objects.list_names(found, ListingQuery(1000))


async def stored(cloud: Cloud, suffix: str, id_: str) -> bytes:
    """The object of a backup with this end."""
    (name,) = [one for one in await names(cloud) if one.endswith(f"{id_}{suffix}")]
    found = await cloud.objects.container("AUTH_blue", "volumebackups")
    async with cloud.objects.open(found, name) as opened:
        return b"".join([bytes(piece) async for piece in opened.read()])


async def put(cloud: Cloud, name: str, data: bytes) -> None:
    """An object in the place of one of a backup."""
    found = await cloud.objects.container("AUTH_blue", "volumebackups")
    async with cloud.objects.upload(found, name) as upload:
        await upload.write(data)
        await upload.commit(ObjectHead("application/octet-stream"))


async def contents(cloud: Cloud, id_: str) -> list[tuple[int, int]]:
    """(offset, length) of the data objects."""
    document = json.loads(await stored(cloud, "_metadata", id_))
    return [(one["offset"], one["length"]) for held in document["objects"] for one in held.values()]


async def write(cloud: Cloud, id_: str, offset: int, data: bytes) -> None:
    async with cloud.store.open(f"volume-{id_}") as disk:
        await disk.write(offset, data)


async def volume_bytes(cloud: Cloud, id_: str, offset: int, length: int) -> bytes:
    async with cloud.store.open(f"volume-{id_}") as disk:
        return b"".join(bytes(piece) for piece in await disk.read(offset, length))


def read_of(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How much was read of disks from now on."""
    read, lengths = MemoryDisk.read, list[int]()

    async def counted(self: MemoryDisk, offset: int, length: int) -> Any:
        lengths.append(length)
        return await read(self, offset, length)

    monkeypatch.setattr(MemoryDisk, "read", counted)
    return lambda: sum(lengths)


async def test_a_backup_is_objects_in_the_layout_of_stock_cinder(cloud: Cloud) -> None:
    volume = await cloud.create(name="v", metadata={"k": "v"})
    await write(cloud, volume["id"], 0, b"first" * 1000)
    await write(cloud, volume["id"], 5 * MIB, b"x" * MIB)
    made = await backup(cloud, volume["id"], name="b", description="d", metadata={"m": "n"})
    assert (made["status"], made["object_count"], made["container"]) == ("available", 2, "volumebackups")
    assert (made["is_incremental"], made["has_dependent_backups"], made["size"]) == (False, False, 1)
    assert await cloud.used() == {"volumes": 1, "gigabytes": 1, "backups": 1}
    assert (await cloud.service.quotas.show("blue"))["backup_gigabytes"].in_use == 1
    found = await names(cloud)
    prefix = found[0].removesuffix("-00001")
    assert found == [f"{prefix}-00001", f"{prefix}-00002", f"{prefix}_metadata", f"{prefix}_sha256file"]
    parts = prefix.split("/")
    assert (parts[0], len(parts[1]), parts[2]) == (f"volume_{volume['id']}", 14, f"az_nova_backup_{made['id']}")
    document = json.loads(await stored(cloud, "_metadata", made["id"]))
    assert [list(one) for one in document["objects"]] == [[f"{prefix}-00001"], [f"{prefix}-00002"]]
    assert await contents(cloud, made["id"]) == [(0, 32 * 1024), (5 * MIB, MIB)]
    hashes = json.loads(await stored(cloud, "_sha256file", made["id"]))
    assert (hashes["chunk_size"], len(hashes["sha256s"])) == (32 * 1024, 32 * 1024)
    assert hashes["sha256s"][160] == sha256(b"x" * 32 * 1024).hexdigest()
    assert hashes["sha256s"][1] == sha256(bytes(32 * 1024)).hexdigest()
    assert (await cloud.show(volume["id"]))["status"] == "available"


async def test_a_restored_volume_is_what_was_backed_up(cloud: Cloud) -> None:
    volume = await cloud.create(name="v", description="w", metadata={"k": "v"}, size=2)
    await write(cloud, volume["id"], 3 * MIB, b"data" * 5000)
    made = await backup(cloud, volume["id"])
    await write(cloud, volume["id"], 3 * MIB, b"more" * 5000)
    new = await restored(cloud, made["id"])
    assert (new["status"], new["size"], new["name"], new["description"]) == ("available", 2, "v", "w")
    assert new["metadata"] == {"k": "v"}
    assert await volume_bytes(cloud, new["id"], 3 * MIB, 20_000) == b"data" * 5000
    assert (await cloud.used())["volumes"] == 2
    named = await restored(cloud, made["id"], name="mine")
    assert named["name"] == "mine"
    small = await cloud.create(size=1)
    path = f"/backups/{made['id']}/restore"
    assert (await cloud.ask("POST", path, {"restore": {"volume_id": small["id"]}})).status == 400
    over = await restored(cloud, made["id"], volume_id=volume["id"])
    assert over["id"] == volume["id"]
    assert await volume_bytes(cloud, volume["id"], 3 * MIB, 20_000) == b"data" * 5000
    await cloud.act(volume["id"], "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    assert (await cloud.ask("POST", path, {"restore": {"volume_id": volume["id"]}})).status == 400
    assert set(cloud.store.volumes) == {f"volume-{one['id']}" for one in (volume, new, named, small)}


async def test_a_volume_is_made_of_a_backup(cloud: Cloud) -> None:
    volume = await cloud.create()
    await write(cloud, volume["id"], 0, b"data")
    made = await backup(cloud, volume["id"])
    new = await cloud.create(backup_id=made["id"], size=2, metadata={"a": "b"})
    assert (new["status"], new["size"], new["metadata"]) == ("available", 2, {"a": "b"})
    assert await volume_bytes(cloud, new["id"], 0, 4) == b"data"
    wide = await cloud.create(size=2)
    large = await backup(cloud, wide["id"])
    asked = {"volume": {"backup_id": large["id"], "size": 1}}
    assert (await cloud.ask("POST", "/volumes", asked)).status == 400
    assert (await cloud.ask("POST", "/volumes", asked, version="3.46")).json["volume"]["size"] == 1
    assert (await cloud.ask("POST", "/volumes", asked, "member@red")).status == 404


async def test_an_incremental_backup_has_what_changed_and_reads_no_more(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = await cloud.create()
    for at in range(0, 32 * MIB, CHUNK):
        await write(cloud, volume["id"], at, bytes([at // CHUNK + 1]) * CHUNK)
    answer = await cloud.ask("POST", "/backups", {"backup": {"volume_id": volume["id"], "incremental": True}})
    assert answer.status == 400
    full = await backup(cloud, volume["id"])
    await write(cloud, volume["id"], 5 * MIB + 10, b"new")
    await write(cloud, volume["id"], 9 * MIB, bytes([5]) * 8192)  # as it was
    await write(cloud, volume["id"], 20 * MIB, bytes(64 * 1024))
    read = read_of(cloud, monkeypatch)
    second = await backup(cloud, volume["id"], incremental=True)
    assert (second["is_incremental"], second["status"]) == (True, "available")
    assert read() <= 5 * 32 * 1024
    assert await contents(cloud, second["id"]) == [(5 * MIB, 32 * 1024)]
    document = json.loads(await stored(cloud, "_metadata", second["id"]))
    assert document["zeros"] == [[20 * MIB, 64 * 1024]]
    assert document["version"] != "1.0.0", "stock cinder would not make zeros of these"
    await write(cloud, volume["id"], 6 * MIB, b"third")
    third = await backup(cloud, volume["id"], incremental=True)
    assert (await cloud.show(full["id"], kind="backup"))["has_dependent_backups"]
    for id_, newer in ((full["id"], False), (second["id"], True), (third["id"], True)):
        new = await restored(cloud, id_)
        found = await volume_bytes(cloud, new["id"], 5 * MIB, 16)
        assert found == (bytes([3]) * 10 + b"new" + bytes([3]) * 3 if newer else bytes([3]) * 16)
        assert await volume_bytes(cloud, new["id"], 20 * MIB, 4) == (bytes(4) if newer else bytes([11]) * 4)
        third_bytes = b"third" if id_ == third["id"] else bytes([4]) * 5
        assert await volume_bytes(cloud, new["id"], 6 * MIB, 5) == third_bytes


async def test_without_the_parents_snapshot_hashes_tell_what_changed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = await cloud.create()
    await write(cloud, volume["id"], 0, b"a" * 8 * MIB)
    full = await backup(cloud, volume["id"])
    (held,) = await cloud.store.snapshots(f"volume-{volume['id']}")
    assert held.name == f"backup-{full['id']}"
    await cloud.store.delete_snapshot(f"volume-{volume['id']}", held.name)
    await write(cloud, volume["id"], MIB, b"b")
    second = await backup(cloud, volume["id"], incremental=True)
    assert await contents(cloud, second["id"]) == [(MIB, 32 * 1024)]
    new = await restored(cloud, second["id"])
    assert await volume_bytes(cloud, new["id"], MIB, 2) == b"ba"


async def test_the_newest_backup_alone_keeps_a_snapshot(cloud: Cloud) -> None:
    volume = await cloud.create()
    ids = [(await backup(cloud, volume["id"], incremental=number > 0))["id"] for number in range(3)]
    assert [one.name for one in await cloud.store.snapshots(f"volume-{volume['id']}")] == [f"backup-{ids[-1]}"]
    assert (await cloud.ask("DELETE", f"/backups/{ids[0]}")).status == 400
    assert (await cloud.ask("POST", f"/backups/{ids[0]}/action", {"os-force_delete": {}}, "admin@blue")).status == 400
    for id_ in reversed(ids):
        assert (await cloud.ask("DELETE", f"/backups/{id_}")).status == 202
        await cloud.gone(id_, "backup")
    assert await names(cloud) == []
    assert await cloud.store.snapshots(f"volume-{volume['id']}") == []
    assert await cloud.used() == {"volumes": 1, "gigabytes": 1}


async def test_of_a_snapshot_and_of_a_volume_in_use(cloud: Cloud) -> None:
    volume, other = await cloud.create(), await cloud.create()
    await write(cloud, volume["id"], 0, b"before")
    snapshot = await cloud.snapshot(volume["id"])
    await write(cloud, volume["id"], 0, b"behind")
    wrong = {"backup": {"volume_id": other["id"], "snapshot_id": snapshot["id"]}}
    assert (await cloud.ask("POST", "/backups", wrong)).status == 400
    made = await backup(cloud, volume["id"], snapshot_id=snapshot["id"])
    assert (made["snapshot_id"], made["data_timestamp"]) == (snapshot["id"], snapshot["created_at"])
    assert (await cloud.show(snapshot["id"], kind="snapshot"))["status"] == "available"
    new = await restored(cloud, made["id"])
    assert await volume_bytes(cloud, new["id"], 0, 6) == b"before"
    await cloud.act(volume["id"], "os-attach", {"host_name": "h", "mountpoint": "/dev/vdb"})
    assert (await cloud.ask("POST", "/backups", {"backup": {"volume_id": volume["id"]}})).status == 400
    forced = await backup(cloud, volume["id"], force=True)
    assert forced["status"] == "available"
    assert (await cloud.show(volume["id"]))["status"] == "in-use"
    assert await volume_bytes(cloud, (await restored(cloud, forced["id"]))["id"], 0, 6) == b"behind"


async def test_an_object_that_is_not_what_it_was_is_not_restored(cloud: Cloud) -> None:
    volume = await cloud.create()
    await write(cloud, volume["id"], 0, b"data" * 1000)
    made = await backup(cloud, volume["id"])
    await write(cloud, volume["id"], 0, b"mine")
    data, hashes = await stored(cloud, "-00001", made["id"]), await stored(cloud, "_sha256file", made["id"])
    held = await cloud.objects.container("AUTH_blue", "volumebackups")
    (name, _, hashes_name) = await names(cloud)
    for object_, damaged, whole in (
        (name, data[:-1] + bytes([data[-1] ^ 1]), data),
        (hashes_name, hashes.replace(hashes[-70:-4], b"0" * 66), hashes),
        (name, None, data),
    ):
        if damaged is None:
            await cloud.objects.delete(held, object_)
        else:
            await put(cloud, object_, damaged)
        into = await restored(cloud, made["id"], volume_id=volume["id"])
        assert into["status"] == "error_restoring"
        now = await cloud.show(made["id"], kind="backup")
        assert now["status"] == "available"
        assert now["fail_reason"]
        assert await volume_bytes(cloud, volume["id"], 0, 4) == b"mine", "it is what it was"
        assert set(cloud.store.volumes) == {f"volume-{volume['id']}"}
        await cloud.act(volume["id"], "os-reset_status", {"status": "available"}, "admin@blue")
        await put(cloud, object_, whole)
    assert (await restored(cloud, made["id"], volume_id=volume["id"]))["status"] == "available"
    assert (await cloud.show(made["id"], kind="backup"))["fail_reason"] is None


async def test_a_backup_that_cannot_be_made_leaves_nothing(cloud: Cloud) -> None:
    volume = await cloud.create()
    made = await backup(cloud, volume["id"], container="c" * 255 + "")
    assert made["status"] == "available"
    await cloud.ask("DELETE", f"/backups/{made['id']}")
    await cloud.gone(made["id"], "backup")
    full = await backup(cloud, volume["id"])
    held = await cloud.objects.container("AUTH_blue", "volumebackups")
    for name in await names(cloud):
        await cloud.objects.delete(held, name)
    failed = await backup(cloud, volume["id"], incremental=True)
    assert failed["status"] == "error"
    assert "missing" in failed["fail_reason"]
    assert await names(cloud) == []
    assert [one.name for one in await cloud.store.snapshots(f"volume-{volume['id']}")] == [f"backup-{full['id']}"]
    assert (await cloud.show(volume["id"]))["status"] == "available"
    assert (await cloud.ask("DELETE", f"/backups/{failed['id']}")).status == 202
    await cloud.gone(failed["id"], "backup")
    assert (await cloud.used())["backups"] == 1


async def test_who_may(cloud: Cloud) -> None:
    volume = await cloud.create()
    made = await backup(cloud, volume["id"])
    path = f"/backups/{made['id']}"
    asked = {"backup": {"volume_id": volume["id"]}}
    for method, where, body, token, status in (
        ("POST", "/backups", asked, "reader@blue", 403),
        ("POST", "/backups", asked, "member@red", 404),
        ("GET", path, None, "reader@blue", 200),
        ("GET", path, None, "member@red", 404),
        ("PUT", path, {"backup": {"name": "n"}}, "reader@blue", 403),
        ("PUT", path, {"backup": {"name": "n"}}, "member@blue", 200),
        ("POST", f"{path}/restore", {"restore": {}}, "reader@blue", 403),
        ("POST", f"{path}/restore", {"restore": {}}, "member@red", 404),
        ("GET", f"{path}/export_record", None, "member@blue", 403),
        ("POST", "/backups/import_record", {"backup-record": {}}, "member@blue", 403),
        ("POST", f"{path}/action", {"os-reset_status": {"status": "error"}}, "member@blue", 403),
        ("POST", f"{path}/action", {"os-force_delete": {}}, "member@blue", 403),
        ("POST", f"{path}/action", {"os-reset_status": {"status": "creating"}}, "admin@blue", 400),
        ("DELETE", path, None, "reader@blue", 403),
        ("DELETE", path, None, "member@red", 404),
    ):
        assert (await cloud.ask(method, where, body, token)).status == status, (method, where, token)


async def test_bodies_and_fields_by_microversion(cloud: Cloud) -> None:
    volume = await cloud.create()
    made = await backup(cloud, volume["id"])
    path = f"/backups/{made['id']}"
    assert (await cloud.ask("PUT", path, {"backup": {"name": "n"}}, version="3.8")).status == 404
    assert (await cloud.ask("PUT", path, {"backup": {"metadata": {}}}, version="3.42")).status == 400
    for more, version, status in (
        ({"metadata": {"k": "v"}}, "3.42", 400),
        ({"availability_zone": "nova"}, "3.50", 400),
        ({"availability_zone": "other"}, "3.51", 400),
        ({"container": "a/b"}, "3.70", 400),
        ({"incremental": "perhaps"}, "3.70", 400),
        ({"snapshot_id": "none"}, "3.70", 400),
        ({"unknown": 1}, "3.70", 400),
    ):
        asked = {"backup": {"volume_id": volume["id"], **more}}
        assert (await cloud.ask("POST", "/backups", asked, version=version)).status == status, more
    shown = {
        version: (await cloud.ask("GET", path, token="admin@blue", version=version)).json["backup"].keys()
        for version in ("3.17", "3.18", "3.43", "3.56")
    }
    assert shown["3.18"] - shown["3.17"] == {"os-backup-project-attr:project_id"}
    assert shown["3.43"] - shown["3.18"] == {"metadata"}
    assert shown["3.56"] - shown["3.43"] == {"user_id"}
    assert shown["3.17"] == (await cloud.ask("GET", path, version="3.42")).json["backup"].keys()


async def test_lists(cloud: Cloud) -> None:
    first, second = await cloud.create(), await cloud.create()
    ids = [
        (await backup(cloud, first["id"], name="a"))["id"],
        (await backup(cloud, second["id"], name="b"))["id"],
        (await backup(cloud, second["id"], name="c", incremental=True))["id"],
    ]
    for query, found in (
        ("", ids[::-1]),
        ("?sort=name:asc", ids),
        ("?name=a", ids[:1]),
        (f"?volume_id={second['id']}", ids[:0:-1]),
        ("?status=error", []),
        ("?limit=1", ids[2:]),
        (f"?marker={ids[1]}", ids[:1]),
    ):
        answer = await cloud.ask("GET", f"/backups/detail{query}")
        assert [one["id"] for one in answer.json["backups"]] == found, query
    counted = (await cloud.ask("GET", "/backups?with_count=True&limit=1")).json
    assert counted["count"] == 3
    assert counted["backups"][0].keys() == {"id", "name", "links"}
    detailed = (await cloud.ask("GET", "/backups/detail?sort=name:asc")).json["backups"]
    assert [one["has_dependent_backups"] for one in detailed] == [False, True, False]
    assert (await cloud.ask("GET", "/backups?unknown=1")).status == 400
    assert (await cloud.ask("GET", "/backups", token="member@red")).json == {"backups": []}
    everywhere = await cloud.ask("GET", "/backups?all_tenants=1", token="admin@red")
    assert len(everywhere.json["backups"]) == 3


async def test_a_record_is_restored_on_a_cloud_that_has_the_objects(cloud: Cloud) -> None:
    volume = await cloud.create(name="v")
    await write(cloud, volume["id"], 0, b"data")
    full = await backup(cloud, volume["id"])
    await write(cloud, volume["id"], MIB, b"more")
    second = await backup(cloud, volume["id"], incremental=True, name="b")
    records = [
        (await cloud.ask("GET", f"/backups/{one['id']}/export_record", token="admin@blue")).json["backup-record"]
        for one in (full, second)
    ]
    answer = await cloud.ask("POST", "/backups/import_record", {"backup-record": records[0]}, "admin@blue")
    assert answer.status == 400, "it is there"
    async with trio.open_nursery() as nursery:
        other = Cloud(objects=cloud.objects)
        await nursery.start(other.service.run)
        answer = await other.ask("POST", "/backups/import_record", {"backup-record": records[1]}, "admin@blue")
        assert answer.status == 201
        assert answer.json["backup"]["id"] == second["id"]
        assert (await other.used()) == {"backups": 1}
        failed = await restored(other, second["id"])
        assert failed["status"] == "error_restoring", "what it goes on from is missing"
        await other.ask("POST", "/backups/import_record", {"backup-record": records[0]}, "admin@blue")
        assert (await other.show(full["id"], kind="backup"))["has_dependent_backups"]
        new = await restored(other, second["id"])
        assert (new["status"], new["name"]) == ("available", "v")
        assert await volume_bytes(other, new["id"], 0, 4) == b"data"
        assert await volume_bytes(other, new["id"], MIB, 4) == b"more"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "changes",
    [
        {"service_metadata": "volume_"},
        {"service_metadata": ""},
        {"container": "a/b"},
        {"container": None},
        {"size": 0},
        {"size": "large"},
        {"id": "x"},
        {"parent_id": 5},
        {"metadata": {"k": 1}},
        {"data_timestamp": "noon"},
        {"object_count": -1},
    ],
    ids=str,
)
async def test_a_record_that_is_none_is_refused(cloud: Cloud, changes: dict[str, Any]) -> None:
    made = await backup(cloud, (await cloud.create())["id"])
    record = (await cloud.ask("GET", f"/backups/{made['id']}/export_record", token="admin@blue")).json["backup-record"]
    said = json.loads(base64.b64decode(record["backup_url"]))
    new_id = "11111111-2222-4333-8444-555555555555"
    url = base64.b64encode(json.dumps({**said, "id": new_id, **changes}).encode()).decode()
    asked = {"backup-record": {**record, "backup_url": url}}
    assert (await cloud.ask("POST", "/backups/import_record", asked, "admin@blue")).status == 400
    assert (await cloud.used())["backups"] == 1


async def test_a_record_whose_import_is_not_answered_may_be_there(cloud: Cloud) -> None:
    """It is not said to have been there before, and what it counts is counted once."""
    made = await backup(cloud, (await cloud.create())["id"])
    record = (await cloud.ask("GET", f"/backups/{made['id']}/export_record", token="admin@blue")).json["backup-record"]
    async with trio.open_nursery() as nursery:
        other = Cloud(objects=cloud.objects)
        await nursery.start(other.service.run)
        lose_answer(other.registry, puts(b"volumes/backup"))
        answer = await other.ask("POST", "/backups/import_record", {"backup-record": record}, "admin@blue")
        assert answer.status == 503
        assert await other.used() == {"backups": 1}
        answer = await other.ask("POST", "/backups/import_record", {"backup-record": record}, "admin@blue")
        assert answer.status == 400, "it is there"
        assert await other.used() == {"backups": 1}
        nursery.cancel_scope.cancel()


async def test_records_that_cannot_be_read(cloud: Cloud) -> None:
    for service, url in (
        ("cinder.backup.drivers.ceph.CephBackupDriver", "e30="),
        ("cinder.backup.drivers.swift.SwiftBackupDriver", "e30="),
        ("cinder.backup.drivers.swift.SwiftBackupDriver", "W10="),
        ("cinder.backup.drivers.swift.SwiftBackupDriver", "%%%"),
        ("cinder.backup.drivers.swift.SwiftBackupDriver", "bm90IGpzb24="),
    ):
        asked = {"backup-record": {"backup_service": service, "backup_url": url}}
        assert (await cloud.ask("POST", "/backups/import_record", asked, "admin@blue")).status == 400, url


async def test_reset_status(cloud: Cloud) -> None:
    made = await backup(cloud, (await cloud.create())["id"])
    path = f"/backups/{made['id']}/action"
    for status in ("error", "available"):
        assert (await cloud.ask("POST", path, {"os-reset_status": {"status": status}}, "admin@blue")).status == 202
        assert (await cloud.show(made["id"], kind="backup"))["status"] == status


async def test_quota(cloud: Cloud) -> None:
    volume = await cloud.create(size=3)
    await cloud.service.quotas.set_limits("blue", {"backup_gigabytes": 2})
    answer = await cloud.ask("POST", "/backups", {"backup": {"volume_id": volume["id"]}})
    assert answer.status == 413
    assert (await cloud.show(volume["id"]))["status"] == "available"
    assert await names(cloud) == []


async def test_a_volume_that_was_extended_since(cloud: Cloud) -> None:
    volume = await cloud.create()
    await write(cloud, volume["id"], 0, b"old")
    await backup(cloud, volume["id"])
    await cloud.act(volume["id"], "os-extend", {"new_size": 2})
    await cloud.settled(volume["id"])
    await write(cloud, volume["id"], 1024 * MIB + 5, b"new")
    second = await backup(cloud, volume["id"], incremental=True)
    assert second["size"] == 2
    assert await contents(cloud, second["id"]) == [(1024 * MIB, 32 * 1024)]
    new = await restored(cloud, second["id"])
    assert (new["size"], new["status"]) == (2, "available")
    assert await volume_bytes(cloud, new["id"], 1024 * MIB + 5, 3) == b"new"
    assert await volume_bytes(cloud, new["id"], 0, 3) == b"old"


async def test_one_that_is_deleted_while_it_is_made_leaves_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, write_all = trio.Event(), backup_writing.BackupWriter.write

    async def slow(self: backup_writing.BackupWriter, progress: backup_writing.Progress) -> backup_writing.Written:
        await go_on.wait()
        return await write_all(self, progress)

    monkeypatch.setattr(backup_writing.BackupWriter, "write", slow)
    volume = await cloud.create()
    await write(cloud, volume["id"], 0, b"data")
    answer = await cloud.ask("POST", "/backups", {"backup": {"volume_id": volume["id"]}})
    id_ = answer.json["backup"]["id"]
    await trio.testing.wait_all_tasks_blocked()
    assert (await cloud.show(id_, kind="backup"))["status"] == "creating"
    assert (await cloud.show(volume["id"]))["status"] == "backing-up"
    assert (await cloud.ask("DELETE", f"/volumes/{volume['id']}")).status == 400
    assert (await cloud.ask("DELETE", f"/backups/{id_}")).status == 400
    assert (await cloud.ask("POST", f"/backups/{id_}/action", {"os-force_delete": {}}, "admin@blue")).status == 202
    await cloud.gone(id_, "backup")
    go_on.set()
    assert (await cloud.settled(volume["id"]))["status"] == "available"
    with trio.fail_after(60):
        while await names(cloud) or await cloud.store.snapshots(f"volume-{volume['id']}"):
            await trio.testing.wait_all_tasks_blocked()
    assert await cloud.used() == {"volumes": 1, "gigabytes": 1}
