"""Quotas, limits, services, hosts, pools, messages, QoS specs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway_rest.service import Answer
from tests.gateway_volumes.cloud import Cloud

ADMIN = "admin@ops"


async def admin(cloud: Cloud, method: str, path: str, body: Any = None) -> Answer:
    return await cloud.ask(method, path, body, ADMIN)


async def test_quota_sets(cloud: Cloud) -> None:
    await cloud.create(size=2)
    plain = (await cloud.ask("GET", "/os-quota-sets/blue")).json["quota_set"]
    assert plain == {
        "id": "blue", "volumes": 10, "snapshots": 10, "gigabytes": 1000, "backups": 10, "backup_gigabytes": 1000,
        "per_volume_gigabytes": -1, "groups": 10, "volumes_standard": -1, "snapshots_standard": -1,
        "gigabytes_standard": -1, "volumes_fast": -1, "snapshots_fast": -1, "gigabytes_fast": -1,
    }  # fmt: skip
    used = (await cloud.ask("GET", "/os-quota-sets/blue?usage=True")).json["quota_set"]
    assert used["gigabytes"] == {"limit": 1000, "in_use": 2, "reserved": 0}
    assert used["volumes_standard"] == {"limit": -1, "in_use": 1, "reserved": 0}
    body = {"quota_set": {"volumes": "1", "gigabytes_standard": 3}}
    assert (await cloud.ask("PUT", "/os-quota-sets/blue", body)).status == 403
    answer = await admin(cloud, "PUT", "/os-quota-sets/blue", body)
    assert (answer.json["quota_set"]["volumes"], answer.json["quota_set"]["gigabytes_standard"]) == (1, 3)
    assert (await cloud.ask("POST", "/volumes", {"volume": {"size": 1}})).status == 413
    for wrong in ({"volumes": 0}, {"colours": 1}, {"volumes": -2}, {"volumes": "x"}, {}):
        assert (await admin(cloud, "PUT", "/os-quota-sets/blue", {"quota_set": wrong})).status == 400, wrong
    assert (await admin(cloud, "DELETE", "/os-quota-sets/blue")).status == 200
    assert (await cloud.ask("GET", "/os-quota-sets/blue")).json["quota_set"] == plain
    assert (await cloud.ask("GET", "/os-quota-sets/red")).status == 403


async def test_the_default_class(cloud: Cloud) -> None:
    path = "/os-quota-class-sets/default"
    body = {"quota_class_set": {"volumes": 11, "volumes_fast": 5}}
    assert (await cloud.ask("GET", path)).status == 403
    after = (await admin(cloud, "PUT", path, body)).json["quota_class_set"]
    assert (after["volumes"], after["volumes_fast"], after["snapshots"]) == (11, 5, 10)
    shown = (await admin(cloud, "GET", path)).json["quota_class_set"]
    assert shown == after | {"id": "default"}
    defaults = (await admin(cloud, "GET", "/os-quota-sets/new/defaults")).json["quota_set"]
    assert defaults == after | {"id": "new"}
    assert (await admin(cloud, "PUT", "/os-quota-class-sets/other", body)).status == 400


async def test_limits(cloud: Cloud) -> None:
    await cloud.create(size=2)
    limits = (await cloud.ask("GET", "/limits")).json["limits"]
    assert limits["rate"] == []
    assert limits["absolute"] == {
        "maxTotalVolumeGigabytes": 1000, "totalGigabytesUsed": 2, "maxTotalBackupGigabytes": 1000,
        "totalBackupGigabytesUsed": 0, "maxTotalVolumes": 10, "totalVolumesUsed": 1, "maxTotalSnapshots": 10,
        "totalSnapshotsUsed": 0, "maxTotalBackups": 10, "totalBackupsUsed": 0,
    }  # fmt: skip
    for token, version, used in ((ADMIN, "3.39", 1), (ADMIN, "3.38", 0), ("member@red", "3.39", 0)):
        answer = await cloud.ask("GET", "/limits?project_id=blue", token=token, version=version)
        assert answer.json["limits"]["absolute"]["totalVolumesUsed"] == used, (token, version)


async def test_services(cloud: Cloud) -> None:
    services = (await admin(cloud, "GET", "/os-services")).json["services"]
    assert {(one["binary"], one["host"]) for one in services} == {
        ("cinder-scheduler", "drystone"),
        ("cinder-backup", "drystone"),
        ("cinder-volume", "drystone@standard"),
        ("cinder-volume", "drystone@fast"),
    }
    found = (await admin(cloud, "GET", "/os-services?host=drystone&binary=cinder-volume")).json["services"]
    assert len(found) == 2
    assert (await cloud.ask("GET", "/os-services")).status == 403
    assert (await admin(cloud, "PUT", "/os-services/disable", {"host": "x", "binary": "cinder-volume"})).status == 404


async def test_a_back_end_that_is_disabled_takes_no_new_volumes(cloud: Cloud) -> None:
    body = {"host": "drystone@fast", "binary": "cinder-volume", "disabled_reason": "worn out"}
    told = (await admin(cloud, "PUT", "/os-services/disable-log-reason", body)).json
    assert (told["disabled"], told["disabled_reason"], told["status"]) == (True, "worn out", "disabled")
    found = (await admin(cloud, "GET", "/os-services?host=drystone@fast")).json["services"]
    assert [(one["status"], one["disabled_reason"]) for one in found] == [("disabled", "worn out")]
    assert (await cloud.create(volume_type="fast"))["status"] == "error"
    assert (await cloud.create())["status"] == "available"
    assert (await admin(cloud, "PUT", "/os-services/enable", body)).json["disabled"] is False
    assert (await cloud.create(volume_type="fast"))["status"] == "available"


async def test_hosts_pools_and_capabilities(cloud: Cloud) -> None:
    id_ = (await cloud.create(size=2))["id"]
    await cloud.snapshot(id_)
    hosts = (await admin(cloud, "GET", "/os-hosts")).json["hosts"]
    assert "drystone@standard" in {one["host_name"] for one in hosts}
    total, blue = (await admin(cloud, "GET", "/os-hosts/drystone@standard")).json["host"]
    assert (total["resource"]["project"], blue["resource"]["project"]) == ("(total)", "blue")
    assert (blue["resource"]["volume_count"], blue["resource"]["total_snapshot_gb"]) == ("1", "2")
    assert (await admin(cloud, "GET", "/os-hosts/moon")).status == 404
    pools = (await admin(cloud, "GET", "/scheduler-stats/get_pools")).json["pools"]
    assert pools == [{"name": "drystone@standard#standard"}, {"name": "drystone@fast#fast"}]
    (pool,) = (await admin(cloud, "GET", "/scheduler-stats/get_pools?detail=1&name=drystone@fast%23fast")).json["pools"]
    assert pool["capabilities"]["storage_protocol"] == "nbd"
    shown = (await admin(cloud, "GET", "/capabilities/drystone@fast")).json
    assert (shown["vendor_name"], shown["volume_backend_name"]) == ("Drystone", "fast")
    for path in ("/os-hosts", "/scheduler-stats/get_pools", "/capabilities/drystone@fast"):
        assert (await cloud.ask("GET", path)).status == 403


async def test_a_message_says_why(cloud: Cloud) -> None:
    body = {"volume_type": {"name": "odd", "extra_specs": {"storage_protocol": "pigeon"}}}
    await admin(cloud, "POST", "/types", body)
    volume = await cloud.create(volume_type="odd")
    assert volume["status"] == "error"
    (message,) = (await cloud.ask("GET", f"/messages?resource_uuid={volume['id']}")).json["messages"]
    assert message["user_message"] == "creating: No storage could be found for the volume's type."
    assert (message["resource_type"], message["message_level"]) == ("VOLUME", "ERROR")
    path = f"/messages/{message['id']}"
    assert (await cloud.ask("GET", path)).json == {"message": message}
    assert (await cloud.ask("GET", path, token="member@red")).status == 404
    assert (await cloud.ask("GET", path, version="3.2")).status == 404
    assert (await cloud.ask("DELETE", path, token="reader@blue")).status == 403
    assert (await cloud.ask("DELETE", path)).status == 204
    assert (await cloud.ask("GET", path)).status == 404


async def test_messages_go(cloud: Cloud) -> None:
    answer = await cloud.ask(
        "POST", "/types", {"volume_type": {"name": "x", "extra_specs": {"vendor_name": "y"}}}, ADMIN
    )
    assert answer.status == 200
    await cloud.create(volume_type="x")
    (message,) = (await cloud.ask("GET", "/messages")).json["messages"]
    cloud.clock.advance(30 * 24 * 3600)
    assert (await cloud.ask("GET", "/messages")).json == {"messages": []}
    assert (await cloud.ask("GET", f"/messages/{message['id']}")).status == 404
    assert len(await cloud.service.messages.every()) == 1
    await cloud.service.messages.forget_expired(cloud.clock.wall_us())
    assert await cloud.service.messages.every() == []


async def test_qos_specs(cloud: Cloud) -> None:
    asked = {"qos_specs": {"name": "slow", "consumer": "front-end", "iops": "100"}}
    made = (await admin(cloud, "POST", "/qos-specs", asked)).json
    id_ = made["qos_specs"]["id"]
    assert made["qos_specs"] == {"id": id_, "name": "slow", "consumer": "front-end", "specs": {"iops": "100"}}
    assert made["links"][0]["href"].endswith(f"/qos-specs/{id_}")
    path = f"/qos-specs/{id_}"
    assert (await admin(cloud, "POST", "/qos-specs", asked)).status == 409
    assert (await admin(cloud, "PUT", path, {"qos_specs": {"bytes": "5"}})).json == {"qos_specs": {"bytes": "5"}}
    assert (await admin(cloud, "PUT", f"{path}/delete_keys", {"keys": ["iops"]})).status == 202
    assert (await admin(cloud, "PUT", f"{path}/delete_keys", {"keys": ["iops"]})).status == 404
    assert (await admin(cloud, "GET", path)).json["qos_specs"]["specs"] == {"bytes": "5"}
    assert [one["id"] for one in (await admin(cloud, "GET", "/qos-specs")).json["qos_specs"]] == [id_]
    type_id = cloud.service.types.default_id
    assert (await admin(cloud, "GET", f"{path}/associate")).status == 400
    assert (await admin(cloud, "GET", f"{path}/associate?vol_type_id={type_id}")).status == 202
    (row,) = (await admin(cloud, "GET", f"{path}/associations")).json["qos_associations"]
    assert row == {"association_type": "volume_type", "name": "standard", "id": type_id}
    assert (await admin(cloud, "GET", f"/types/{type_id}")).json["volume_type"]["qos_specs_id"] == id_
    assert (await admin(cloud, "DELETE", path)).status == 400
    assert (await admin(cloud, "GET", f"{path}/disassociate?vol_type_id={type_id}")).status == 202
    assert (await admin(cloud, "GET", f"{path}/associate?vol_type_id={type_id}")).status == 202
    assert (await admin(cloud, "GET", f"{path}/disassociate_all")).status == 202
    assert (await admin(cloud, "GET", f"{path}/associations")).json == {"qos_associations": []}
    assert (await admin(cloud, "DELETE", path)).status == 202
    assert (await admin(cloud, "GET", path)).status == 404
    assert (await cloud.ask("GET", "/qos-specs")).status == 403


@pytest.mark.parametrize("asked", [{}, {"name": " "}, {"name": "x", "consumer": "none"}, {"name": "x", "iops": 5}])
async def test_wrong_qos_specs(cloud: Cloud, asked: dict[str, Any]) -> None:
    assert (await admin(cloud, "POST", "/qos-specs", {"qos_specs": asked})).status == 400
