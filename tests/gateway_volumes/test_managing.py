"""Volumes and snapshots that are let go and taken in again."""

from __future__ import annotations

from typing import Any

from tests.gateway_rest.service import Answer
from tests.gateway_volumes.cloud import Cloud

ADMIN = "admin@blue"
HOST = "drystone@standard#standard"


async def manage(cloud: Cloud, source: str, **more: Any) -> Answer:
    body = {"volume": {"host": HOST, "ref": {"source-name": source}, **more}}
    return await cloud.ask("POST", "/manageable_volumes", body, ADMIN)


async def test_a_volume_is_let_go_and_taken_in(cloud: Cloud) -> None:
    id_ = (await cloud.create(size=2))["id"]
    await cloud.write(id_, b"bytes")
    assert (await cloud.act(id_, "os-unmanage", {})).status == 403
    assert (await manage(cloud, f"volume-{id_}")).status == 400
    assert (await cloud.act(id_, "os-unmanage", {}, ADMIN)).status == 202
    await cloud.gone(id_)
    assert await cloud.used() == {}
    answer = await manage(cloud, f"volume-{id_}", name="again", metadata={"k": "v"}, bootable=True)
    assert answer.status == 202
    volume = await cloud.settled(answer.json["volume"]["id"])
    assert (volume["name"], volume["size"], volume["status"], volume["bootable"]) == ("again", 2, "available", "true")
    assert await cloud.read(f"volume-{volume['id']}", 5) == b"bytes"
    assert set(cloud.store.volumes) == {f"volume-{volume['id']}"}
    assert await cloud.used() == {"volumes": 1, "gigabytes": 2}


async def test_what_cannot_be_taken_in(cloud: Cloud) -> None:
    for name, policy in (("image-x", "standard"), ("quick", "fast"), ("mine", "standard")):
        await cloud.store.create(name, 4096, policy)
    for source in ("image-x", "quick", "none"):
        assert (await manage(cloud, source)).status == 400, source
    assert (await manage(cloud, "mine", host="moon")).status == 400
    assert (await manage(cloud, "mine", volume_type="fast")).status == 400
    assert (await manage(cloud, "mine", volume_type="none")).status == 404
    assert await cloud.used() == {}
    volume = await cloud.settled((await manage(cloud, "mine")).json["volume"]["id"])
    assert volume["size"] == 1


async def test_lists(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.store.create("mine", 2**31, "standard")
    path = f"/manageable_volumes/detail?host={HOST.replace('#', '%23')}&sort=size:desc"
    rows = (await cloud.ask("GET", path, token=ADMIN)).json["manageable-volumes"]
    assert [(one["reference"]["source-name"], one["safe_to_manage"], one["cinder_id"]) for one in rows] == [
        ("mine", True, None),
        (f"volume-{id_}", False, id_),
    ]
    (brief, _) = (await cloud.ask("GET", path.replace("/detail", ""), token=ADMIN)).json["manageable-volumes"]
    assert brief == {"reference": {"source-name": "mine"}, "size": 2, "safe_to_manage": True}
    assert (await cloud.ask("GET", path)).status == 403
    assert (await cloud.ask("GET", "/manageable_volumes", token=ADMIN)).status == 400
    assert (await cloud.ask("GET", path, token=ADMIN, version="3.7")).status == 404


async def test_a_snapshot_is_let_go_and_taken_in(cloud: Cloud) -> None:
    id_ = (await cloud.create())["id"]
    await cloud.write(id_, b"bytes")
    old = (await cloud.snapshot(id_))["id"]
    unmanage = {"os-unmanage": None}
    assert (await cloud.ask("POST", f"/snapshots/{old}/action", unmanage)).status == 403
    assert (await cloud.ask("POST", f"/snapshots/{old}/action", unmanage, ADMIN)).status == 202
    await cloud.gone(old, "snapshot")
    path = f"/manageable_snapshots?host={HOST.replace('#', '%23')}"
    (row,) = (await cloud.ask("GET", path, token=ADMIN)).json["manageable-snapshots"]
    assert (row["reference"], row["safe_to_manage"]) == ({"source-name": f"snapshot-{old}"}, True)
    asked = {"volume_id": id_, "ref": {"source-name": f"snapshot-{old}"}, "name": "again"}
    answer = await cloud.ask("POST", "/manageable_snapshots", {"snapshot": asked}, ADMIN)
    assert answer.status == 202
    snapshot = await cloud.settled(answer.json["snapshot"]["id"], ADMIN, "snapshot")
    assert (snapshot["name"], snapshot["status"]) == ("again", "available")
    assert (await cloud.ask("POST", "/manageable_snapshots", {"snapshot": asked}, ADMIN)).status == 400
    clone = await cloud.create(snapshot_id=snapshot["id"])
    assert await cloud.read(f"volume-{clone['id']}", 5) == b"bytes"
    await cloud.ask("DELETE", f"/snapshots/{snapshot['id']}")
    await cloud.gone(snapshot["id"], "snapshot")
    assert await cloud.store.snapshots(f"volume-{id_}") == []
