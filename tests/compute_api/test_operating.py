"""Limits, quotas, usage, migrations, events, and what the API has."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from compute_plugin.records.amounts import require_members, require_room, usage_of
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import VmState
from compute_plugin.settings import LIMITS, Settings
from gateway.rest.errors import OverLimitError
from gateway.rest.times import shown_us
from tests.compute_api.cloud import SMALL, Cloud

QUOTAS = "/os-quota-sets/blue"
NETWORK = {"fixed_ips": -1, "floating_ips": -1, "security_group_rules": -1, "security_groups": -1}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
HOUR_US = 3_600_000_000


async def quotas(cloud: Cloud, path: str = QUOTAS, version: str = "2.96") -> dict[str, Any]:
    found: dict[str, Any] = (await cloud.got(path, "admin@blue", version))["quota_set"]
    return found


async def test_quotas_are_shown_by_microversion(cloud: Cloud) -> None:
    assert await quotas(cloud, version="2.1") == {"id": "blue", **LIMITS, **NETWORK}
    assert await quotas(cloud, version="2.36") == {"id": "blue", **LIMITS}
    kept = {name: limit for name, limit in LIMITS.items() if name not in FILES}
    assert await quotas(cloud) == {"id": "blue", **kept}
    assert await quotas(cloud, f"{QUOTAS}/defaults") == {"id": "blue", **kept}


async def test_quotas_are_set_and_taken_back(cloud: Cloud) -> None:
    changed = await cloud.done("PUT", QUOTAS, {"quota_set": {"cores": "40", "instances": -1, "force": True}})
    assert (changed["quota_set"]["cores"], changed["quota_set"]["instances"]) == (40, -1)
    assert "id" not in changed["quota_set"]
    assert (await quotas(cloud))["cores"] == 40
    assert (await quotas(cloud, f"{QUOTAS}/defaults"))["cores"] == 20
    assert (await quotas(cloud, "/os-quota-sets/green"))["cores"] == 20
    answer = await cloud.admin("DELETE", QUOTAS)
    assert (answer.status, answer.body) == (202, b"")
    assert (await quotas(cloud))["cores"] == 20


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ({"cores": -2}, "2.96"), ({"cores": "many"}, "2.96"), ({"cores": 2**31}, "2.96"), ({"cores": None}, "2.96"),
        ({"cores": 1.5}, "2.96"), ({"tables": 1}, "2.96"), ({"injected_files": 1}, "2.57"), ({"fixed_ips": 1}, "2.36"),
        ({"force": "perhaps"}, "2.96"),
    ],
)  # fmt: skip
async def test_what_no_quota_can_be_is_refused(cloud: Cloud, asked: dict[str, Any], version: str) -> None:
    await cloud.refused(400, "PUT", QUOTAS, {"quota_set": asked}, version=version)


async def test_old_names_are_kept_though_they_are_of_no_effect(cloud: Cloud) -> None:
    await cloud.done("PUT", QUOTAS, {"quota_set": {"floating_ips": 7}}, "2.35")
    assert (await quotas(cloud, version="2.1"))["floating_ips"] == 7


async def test_a_quota_is_not_below_what_is_used_unless_forced(cloud: Cloud) -> None:
    await cloud.server()
    await cloud.server()
    details = await quotas(cloud, f"{QUOTAS}/detail")
    assert details["instances"] == {"limit": 10, "in_use": 2, "reserved": 0}
    assert (details["ram"]["in_use"], details["key_pairs"]["in_use"]) == (4096, 0)
    assert "already used" in await cloud.refused(400, "PUT", QUOTAS, {"quota_set": {"instances": 1}})
    assert (await quotas(cloud))["instances"] == 10
    await cloud.done("PUT", QUOTAS, {"quota_set": {"instances": 1, "force": True}})
    assert (await quotas(cloud))["instances"] == 1


async def test_a_user_may_have_less_than_the_project(cloud: Cloud) -> None:
    of_user = f"{QUOTAS}?user_id=member-id"
    await cloud.done("PUT", of_user, {"quota_set": {"instances": 1}})
    assert (await quotas(cloud, of_user))["instances"] == 1
    assert (await quotas(cloud))["instances"] == 10
    assert "less than or equal" in await cloud.refused(400, "PUT", of_user, {"quota_set": {"instances": 11}})
    await cloud.server()
    await cloud.server(user_id="other")
    assert (await quotas(cloud, f"{QUOTAS}/detail?user_id=member-id"))["instances"]["in_use"] == 1
    records, settings = cloud.service.store.records, cloud.service.settings
    require_room(records, settings, "blue", {"instances": 1}, "other")
    with pytest.raises(OverLimitError):
        require_room(records, settings, "blue", {"instances": 1}, "member-id")
    await cloud.done("DELETE", of_user)
    assert (await quotas(cloud, of_user))["instances"] == 10


async def test_who_may_with_quotas(cloud: Cloud) -> None:
    assert (await cloud.ask("GET", QUOTAS, token="reader@blue")).status == 200
    assert (await cloud.ask("GET", f"{QUOTAS}/detail", token="reader@blue")).status == 200
    await cloud.refused(403, "GET", "/os-quota-sets/green", token="reader@blue")
    assert (await cloud.ask("GET", "/os-quota-sets/green/defaults", token="reader@blue")).status == 200
    await cloud.refused(403, "PUT", QUOTAS, {"quota_set": {"cores": 1}}, token="manager@blue")
    await cloud.refused(403, "DELETE", QUOTAS, token="manager@blue")
    assert "not a valid project" in await cloud.refused(400, "GET", "/os-quota-sets/nobody")
    await cloud.refused(400, "PUT", "/os-quota-sets/nobody", {"quota_set": {}})
    await cloud.refused(400, "GET", f"{QUOTAS}?unknown=1")


async def test_the_default_class_is_for_projects_without_their_own(cloud: Cloud) -> None:
    path = "/os-quota-class-sets/default"
    before = (await cloud.got(path, "admin@blue"))["quota_class_set"]
    assert before["id"] == "default"
    assert "server_groups" in before
    old = (await cloud.got(path, "admin@blue", "2.49"))["quota_class_set"]
    assert "server_groups" not in old
    assert old["fixed_ips"] == -1
    await cloud.done("PUT", QUOTAS, {"quota_set": {"cores": 5}})
    after = (await cloud.done("PUT", path, {"quota_class_set": {"cores": 30, "ram": "1000"}}))["quota_class_set"]
    assert (after["cores"], after["ram"], "id" in after) == (30, 1000, False)
    assert (await quotas(cloud))["cores"] == 5
    assert (await quotas(cloud))["ram"] == 1000
    assert (await quotas(cloud, f"{QUOTAS}/defaults"))["cores"] == 30
    await cloud.done("PUT", "/os-quota-class-sets/gold", {"quota_class_set": {"cores": 99}})
    assert (await cloud.got("/os-quota-class-sets/gold", "admin@blue"))["quota_class_set"]["cores"] == 99
    assert (await quotas(cloud, f"{QUOTAS}/defaults"))["cores"] == 30
    await cloud.refused(400, "PUT", path, {"quota_class_set": {"tables": 1}})
    await cloud.refused(400, "PUT", path, {"quota_class_set": {"cores": -2}})
    for method in ("GET", "PUT"):
        await cloud.refused(403, method, path, {"quota_class_set": {}}, token="manager@blue")


async def test_limits_are_shown_by_microversion(cloud: Cloud) -> None:
    await cloud.server()
    await cloud.server(state=VmState.SOFT_DELETED)

    async def absolute(version: str, query: str = "", token: str = "reader@blue") -> dict[str, int]:
        said = (await cloud.got(f"/limits{query}", token, version))["limits"]
        assert said["rate"] == []
        found: dict[str, int] = said["absolute"]
        return found

    last = await absolute("2.57")
    assert last == {
        "maxTotalInstances": 10, "totalInstancesUsed": 1, "maxTotalCores": 20, "totalCoresUsed": 1,
        "maxTotalRAMSize": 51_200, "totalRAMUsed": 2048, "maxTotalKeypairs": 100, "maxServerMeta": 128,
        "maxServerGroups": 10, "totalServerGroupsUsed": 0, "maxServerGroupMembers": 10,
    }  # fmt: skip
    at = {minor: set(await absolute(f"2.{minor}")) for minor in (1, 36, 39, 57)}
    assert at[1] - at[36] == {
        "maxTotalFloatingIps", "totalFloatingIpsUsed", "maxSecurityGroups", "totalSecurityGroupsUsed",
        "maxSecurityGroupRules",
    }  # fmt: skip
    assert at[36] - at[39] == {"maxImageMeta"}
    assert at[39] - at[57] == {"maxPersonality", "maxPersonalitySize"}
    assert (await absolute("2.96", "?tenant_id=blue", "admin@green"))["totalInstancesUsed"] == 1
    assert (await absolute("2.96", token="reader@green"))["totalInstancesUsed"] == 0
    await cloud.refused(403, "GET", "/limits?tenant_id=green", token="member@blue")
    await cloud.refused(400, "GET", "/limits?reserved=1")


async def test_there_is_room_until_there_is_none(cloud: Cloud) -> None:
    settings = Settings(limits={"instances": 3, "cores": 3, "ram": -1, "server_group_members": 1})
    for _ in range(3):
        await cloud.server(flavor=SMALL, group_id="group")
    records = cloud.service.store.records
    assert usage_of(records, "blue") == {"instances": 3, "cores": 3, "ram": 6144, "server_groups": 0}
    require_room(records, settings, "blue", {"instances": 0, "cores": 0, "ram": 99})
    require_room(records, settings, "green", {"instances": 3})
    with pytest.raises(OverLimitError) as caught:
        require_room(records, settings, "blue", {"instances": 1, "cores": 2, "ram": 512})
    assert str(caught.value) == (
        "Quota exceeded for cores, instances: Requested 2, 1, but already used 3, 3 of 3, 3 cores, instances"
    )
    with pytest.raises(OverLimitError):
        require_members(records, settings, "blue", "group", "member-id")
    require_members(records, settings, "blue", "group", "other")


async def test_quotas_that_change_at_once_are_all_kept(cloud: Cloud) -> None:
    async with trio.open_nursery() as nursery:
        for name, limit in (("cores", 1), ("instances", 2), ("ram", 3), ("key_pairs", 4)):
            nursery.start_soon(cloud.done, "PUT", QUOTAS, {"quota_set": {name: limit}})
    held = await quotas(cloud)
    assert [held[name] for name in ("cores", "instances", "ram", "key_pairs")] == [1, 2, 3, 4]


# -- usage ----------------------------------------------------------------------------------------------------------


def when(us: int) -> str:
    return shown_us(us)


async def test_usage_is_told_of_the_time_that_is_asked_for(cloud: Cloud) -> None:
    begin = cloud.clock.now_us
    cloud.clock.advance(10 * 3600)
    flavor = Flavor(id="9", name="odd", vcpus=2, ram=512, disk=3, ephemeral=1)
    here = await cloud.server(flavor=flavor, launched_us=begin + HOUR_US)
    ended = await cloud.server(launched_us=begin + HOUR_US, terminated_us=begin + 2 * HOUR_US)
    await cloud.server()  # never launched
    await cloud.server(project="green", launched_us=begin + 3 * HOUR_US)
    query = f"start={when(begin)}&end={when(begin + 4 * HOUR_US)}"
    usage = (await cloud.got(f"/os-simple-tenant-usage/blue?{query}", "reader@blue"))["tenant_usage"]
    assert (usage["tenant_id"], usage["start"], usage["stop"]) == ("blue", when(begin), when(begin + 4 * HOUR_US))
    assert (usage["total_hours"], usage["total_vcpus_usage"]) == (4.0, 3 * 2 + 1.0)
    assert (usage["total_memory_mb_usage"], usage["total_local_gb_usage"]) == (3 * 512 + 2048.0, 3 * 4 + 20.0)
    rows = {one["instance_id"]: one for one in usage["server_usages"]}
    first = rows[here.id]
    assert first | {"uptime": 0} == {
        "instance_id": here.id, "name": here.name, "tenant_id": "blue", "flavor": "odd", "memory_mb": 512,
        "local_gb": 4, "vcpus": 2, "hours": 3.0, "started_at": when(begin + HOUR_US), "ended_at": None,
        "state": "active", "uptime": 0,
    }  # fmt: skip
    assert (rows[ended.id]["state"], rows[ended.id]["uptime"], rows[ended.id]["hours"]) == ("terminated", 3600, 1.0)
    both = (await cloud.got(f"/os-simple-tenant-usage?{query}", "admin@blue"))["tenant_usages"]
    assert {one["tenant_id"]: one["total_hours"] for one in both} == {"blue": 4.0, "green": 1.0}
    assert "server_usages" not in both[0]
    detailed = (await cloud.got(f"/os-simple-tenant-usage?{query}&detailed=1", "admin@blue"))["tenant_usages"]
    assert "server_usages" in detailed[0]


async def test_usage_is_paged_and_refuses_what_cannot_be(cloud: Cloud) -> None:
    path = "/os-simple-tenant-usage/blue"
    begin = cloud.clock.now_us
    servers = [await cloud.server(launched_us=begin) for _ in range(3)]
    cloud.clock.advance(3600)
    ids = sorted(one.id for one in servers)
    query = f"start={when(begin)}&end={when(begin + HOUR_US)}"
    page = await cloud.got(f"{path}?{query}&limit=2")
    assert [one["instance_id"] for one in page["tenant_usage"]["server_usages"]] == ids[:2]
    assert f"marker={ids[1]}" in page["tenant_usage_links"][0]["href"]
    older = await cloud.got(f"{path}?{query}&limit=2", version="2.39")
    assert len(older["tenant_usage"]["server_usages"]) == 3
    assert await cloud.got(f"/os-simple-tenant-usage/green?{query}", "reader@green") == {"tenant_usage": {}}
    for wrong in (f"start={when(begin)}&end={when(begin - 1)}", "start=x", "start=2027-01-01", f"{query}&unknown=1"):
        await cloud.refused(400, "GET", f"{path}?{wrong}")
    await cloud.refused(400, "GET", f"{path}?{query}&marker=none")
    await cloud.refused(403, "GET", "/os-simple-tenant-usage/green", token="member@blue")
    await cloud.refused(403, "GET", "/os-simple-tenant-usage", token="member@blue")
    await cloud.refused(404, "GET", "/os-simple-tenant-usage/")


# -- migrations -----------------------------------------------------------------------------------------------------


async def test_migrations_are_shown_by_microversion(cloud: Cloud) -> None:
    held = await cloud.migration(type="live-migration", status="running")
    (old,) = (await cloud.got("/os-migrations", "admin@blue", "2.1"))["migrations"]
    assert old == {
        "id": 1, "instance_uuid": held.server_id, "status": "running", "source_compute": "one", "source_node": "one",
        "dest_compute": "two", "dest_node": "two", "dest_host": "two", "old_instance_type_id": 1,
        "new_instance_type_id": old["new_instance_type_id"], "created_at": old["created_at"],
        "updated_at": old["updated_at"],
    }  # fmt: skip
    assert old["new_instance_type_id"] > 0
    at = {}
    for minor in (23, 59, 80):
        (at[minor],) = (await cloud.got("/os-migrations", "admin@blue", f"2.{minor}"))["migrations"]
    assert set(at[23]) - set(old) == {"migration_type", "links"}
    assert at[23]["links"][0]["href"].endswith(f"/servers/{held.server_id}/migrations/1")
    assert set(at[59]) - set(at[23]) == {"uuid"}
    assert set(at[80]) - set(at[59]) == {"user_id", "project_id"}


async def test_migrations_are_filtered_and_paged(cloud: Cloud) -> None:
    held = [
        await cloud.migration(),
        await cloud.migration(status="error", source="three", type="resize"),
        await cloud.migration(project_id="green", user_id="other"),
    ]

    async def listed(query: str, version: str = "2.96") -> list[int]:
        found = await cloud.got(f"/os-migrations?{query}", "admin@blue", version)
        return [one["id"] for one in found["migrations"]]

    assert await listed("") == [3, 2, 1]
    assert await listed("", "2.58") == [1, 2, 3]
    assert await listed("host=three") == [2]
    assert await listed("host=two") == [3, 2, 1]
    assert await listed("source_compute=one&status=finished") == [3, 1]
    assert await listed("migration_type=resize") == [2]
    assert await listed(f"instance_uuid={held[0].server_id}") == [1]
    assert await listed("project_id=green") == await listed("user_id=other") == [3]
    assert await listed(f"changes-since={when(held[1].updated_us)}") == [3, 2]
    assert await listed(f"changes-before={when(held[1].updated_us)}") == [2, 1]
    assert await listed(f"limit=1&marker={held[2].id}") == [2]
    page = await cloud.got("/os-migrations?limit=2", "admin@blue")
    assert page["migrations_links"][0]["href"].endswith(f"/os-migrations?limit=2&marker={held[1].id}")
    for wrong in ("limit=x", "marker=none", "changes-since=x", "unknown=1"):
        await cloud.refused(400, "GET", f"/os-migrations?{wrong}")
    late, early = when(held[2].updated_us), when(held[0].updated_us)
    await cloud.refused(400, "GET", f"/os-migrations?changes-since={late}&changes-before={early}")
    await cloud.refused(400, "GET", "/os-migrations?changes-before=x", version="2.65")
    await cloud.refused(400, "GET", "/os-migrations?user_id=x", version="2.79")


async def test_managers_see_migrations_of_their_project_without_hosts(cloud: Cloud) -> None:
    await cloud.migration()
    (shown,) = (await cloud.got("/os-migrations?project_id=blue", "manager@blue"))["migrations"]
    hidden = ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host")
    assert {shown[name] for name in hidden} == {None}
    await cloud.refused(403, "GET", "/os-migrations", token="manager@blue")
    await cloud.refused(403, "GET", "/os-migrations?project_id=green", token="manager@blue")
    await cloud.refused(403, "GET", "/os-migrations?project_id=blue", token="member@blue")


# -- events and the rest --------------------------------------------------------------------------------------------


async def test_events_are_taken_one_by_one(cloud: Cloud) -> None:
    path = "/os-server-external-events"
    here, nowhere = await cloud.server(host="one"), await cloud.server()
    event = {"name": "network-changed", "server_uuid": here.id, "tag": "x", "status": "completed"}
    answer = await cloud.ask("POST", path, {"events": [event]}, "service@blue")
    assert (answer.status, answer.json) == (200, {"events": [event | {"code": 200}]})
    absent = {"name": "network-vif-plugged", "server_uuid": "11111111-2222-4333-8444-555555555555"}
    events = [
        event,
        absent,
        {"name": "network-changed", "server_uuid": nowhere.id},
        {"name": "volume-extended", "server_uuid": here.id},
    ]
    answer = await cloud.admin("POST", path, {"events": events})
    assert answer.status == 207
    assert [one["code"] for one in answer.json["events"]] == [200, 404, 422, 400]
    assert [one["status"] for one in answer.json["events"]] == ["completed", "failed", "failed", "failed"]
    await cloud.refused(403, "POST", path, {"events": [event]}, "manager@blue")


@pytest.mark.parametrize(
    "event",
    [
        {"name": "frob"}, {"name": None}, {"server_uuid": "x"}, {"status": "odd"}, {"tag": "x" * 256}, {"tag": 5},
        {"more": 1}, {"name": "volume-reimaged"},
    ],
)  # fmt: skip
async def test_an_event_that_cannot_be_is_refused(cloud: Cloud, event: dict[str, Any]) -> None:
    known = {"name": "network-changed", "server_uuid": "11111111-2222-4333-8444-555555555555"}
    body = {"events": [known | event]}
    await cloud.refused(400, "POST", "/os-server-external-events", body, version="2.92")
    await cloud.refused(400, "POST", "/os-server-external-events", {"events": []})


async def test_extensions_are_those_that_are_parts_of_the_api(cloud: Cloud) -> None:
    listed = (await cloud.got("/extensions", "stranger@blue"))["extensions"]
    assert len(listed) == 99
    assert await cloud.got("/extensions/os-keypairs") == {
        "extension": next(one for one in listed if one["alias"] == "os-keypairs")
    }
    await cloud.refused(404, "GET", "/extensions/os-frob")


async def test_nobody_counts_usage_for_a_log(cloud: Cloud) -> None:
    path = "/os-instance_usage_audit_log"
    await cloud.host("one")
    log = (await cloud.got(path, "admin@blue"))["instance_usage_audit_logs"]
    assert (log["period_beginning"], log["period_ending"]) == ("2023-10-01 00:00:00", "2023-11-01 00:00:00")
    assert (log["hosts_not_run"], log["overall_status"]) == (["one"], "0 of 1 hosts done. 0 errors.")
    asked = (await cloud.got(f"{path}/2027-01-15 12:00:00.5", "admin@blue"))["instance_usage_audit_log"]
    assert (asked["period_beginning"], asked["period_ending"]) == ("2026-12-01 00:00:00", "2027-01-01 00:00:00")
    await cloud.refused(400, "GET", f"{path}/yesterday")
    await cloud.refused(403, "GET", path, token="member@blue")
