"""Services, hypervisors and zones: what is shown of hosts, and what may be said of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import Before, VmState
from tests.compute_api.cloud import SMALL, Cloud

SERVICES = "/os-services"
HYPERVISORS = "/os-hypervisors"


async def services(cloud: Cloud, query: str = "", version: str = "2.96") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await cloud.got(f"{SERVICES}{query}", "admin@blue", version))["services"]
    return found


async def test_each_host_has_a_service(cloud: Cloud) -> None:
    state = await cloud.host("one")
    await cloud.host("two")
    first, second = await services(cloud)
    assert len(first["id"]) == 36
    assert first | {"id": ""} == {
        "id": "", "binary": "nova-compute", "host": "one", "zone": "nova", "status": "enabled", "state": "up",
        "updated_at": first["updated_at"], "disabled_reason": None, "forced_down": False,
    }  # fmt: skip
    assert state.seen_us
    assert [one["host"] for one in await services(cloud, "?host=two")] == ["two"]
    assert len(await services(cloud, "?binary=nova-compute")) == 2
    assert await services(cloud, "?binary=nova-scheduler") == []
    assert [one["id"] for one in await services(cloud, version="2.52")] == [1, 2]
    assert "forced_down" not in (await services(cloud, version="2.10"))[0]
    await cloud.refused(400, "GET", f"{SERVICES}?unknown=1")
    assert second["host"] == "two"


async def test_a_host_that_is_gone_is_down_until_it_is_deleted(cloud: Cloud) -> None:
    await cloud.host("one")
    (before,) = await services(cloud)
    await cloud.host_gone("one")
    (after,) = await services(cloud)
    assert (after["state"], after["status"], after["id"]) == ("down", "enabled", before["id"])
    (hypervisor,) = (await cloud.got(f"{HYPERVISORS}/detail", "admin@blue", "2.87"))["hypervisors"]
    assert (hypervisor["state"], hypervisor["vcpus"]) == ("down", 8)
    assert (await cloud.got(f"{HYPERVISORS}/{hypervisor['id']}", "admin@blue"))["hypervisor"]["uptime"] is None
    answer = await cloud.admin("DELETE", f"{SERVICES}/{before['id']}")
    assert (answer.status, answer.body) == (204, b"")
    assert await services(cloud) == []
    await cloud.refused(404, "DELETE", f"{SERVICES}/{before['id']}")


async def test_a_host_that_takes_no_servers_is_none(cloud: Cloud) -> None:
    await cloud.host("one", vcpus=0)
    assert await services(cloud) == []
    await cloud.host("one")
    assert len(await services(cloud)) == 1


async def test_a_host_with_problems_is_disabled_by_itself(cloud: Cloud) -> None:
    await cloud.host("one")
    await cloud.host("one", problems=("libvirt does not answer",))
    (service,) = await services(cloud)
    assert (service["status"], service["state"]) == ("disabled", "up")
    assert service["disabled_reason"] == "AUTO: libvirt does not answer"


async def test_a_service_is_disabled_and_forced_down_by_its_uuid(cloud: Cloud) -> None:
    await cloud.host("one")
    (service,) = await services(cloud)
    path = f"{SERVICES}/{service['id']}"
    body = {"status": "disabled", "disabled_reason": "a new disk"}
    shown = (await cloud.done("PUT", path, body))["service"]
    assert (shown["status"], shown["disabled_reason"], shown["state"]) == ("disabled", "a new disk", "up")
    assert (await cloud.done("PUT", path, {"forced_down": True}))["service"]["state"] == "down"
    (held,) = await services(cloud)
    assert (held["status"], held["state"], held["forced_down"]) == ("disabled", "down", True)
    shown = (await cloud.done("PUT", path, {"status": "enabled", "forced_down": "false"}))["service"]
    assert (shown["status"], shown["disabled_reason"], shown["state"]) == ("enabled", None, "up")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"status": "gone"}, {"status": "enabled", "disabled_reason": "why"}, {"disabled_reason": ""},
        {"forced_down": "perhaps"}, {"host": "one"}, {"disabled_reason": "x" * 256},
    ],
)  # fmt: skip
async def test_what_cannot_be_said_of_a_service_is_refused(cloud: Cloud, body: dict[str, Any]) -> None:
    await cloud.host("one")
    (service,) = await services(cloud)
    await cloud.refused(400, "PUT", f"{SERVICES}/{service['id']}", body)


async def test_old_clients_say_it_by_host(cloud: Cloud) -> None:
    await cloud.host("one")
    named = {"host": "one", "binary": "nova-compute"}
    answer = await cloud.done("PUT", f"{SERVICES}/disable", named, "2.1")
    assert answer == {"service": {**named, "status": "disabled"}}
    answer = await cloud.done("PUT", f"{SERVICES}/disable-log-reason", {**named, "disabled_reason": "dust"}, "2.1")
    assert answer == {"service": {**named, "status": "disabled", "disabled_reason": "dust"}}
    assert (await services(cloud))[0]["disabled_reason"] == "dust"
    assert (await cloud.done("PUT", f"{SERVICES}/enable", named, "2.1"))["service"]["status"] == "enabled"
    forced = {**named, "forced_down": True}
    assert (await cloud.done("PUT", f"{SERVICES}/force-down", forced, "2.11"))["service"] == forced
    assert (await services(cloud))[0]["state"] == "down"
    await cloud.refused(404, "PUT", f"{SERVICES}/force-down", named, version="2.10")
    await cloud.refused(400, "PUT", f"{SERVICES}/force-down", named, version="2.11")
    await cloud.refused(400, "PUT", f"{SERVICES}/disable-log-reason", named, version="2.1")
    await cloud.refused(404, "PUT", f"{SERVICES}/frob", named, version="2.1")
    await cloud.refused(404, "PUT", f"{SERVICES}/enable", {**named, "host": "none"}, version="2.1")
    await cloud.refused(400, "PUT", f"{SERVICES}/enable", {**named, "binary": "nova-scheduler"}, version="2.1")
    await cloud.refused(400, "PUT", f"{SERVICES}/enable", {"host": "one"}, version="2.1")
    await cloud.refused(400, "PUT", f"{SERVICES}/enable", named)


async def test_a_service_whose_host_is_needed_stays(cloud: Cloud) -> None:
    await cloud.host("one")
    (service,) = await services(cloud)
    path = f"{SERVICES}/{service['id']}"
    server = await cloud.server(host="one")
    assert "hosting instances" in await cloud.refused(409, "DELETE", path)
    await cloud.service.store.change(lambda records: records.servers.delete(server.id))
    await cloud.migration(status="migrating", source="one")
    assert "migrations" in await cloud.refused(409, "DELETE", path)
    await cloud.refused(400, "DELETE", f"{SERVICES}/1")
    await cloud.refused(404, "DELETE", f"{SERVICES}/99", version="2.1")
    await cloud.refused(400, "DELETE", f"{SERVICES}/none", version="2.1")


async def test_a_host_is_not_up_again_before_its_servers_are_settled(cloud: Cloud) -> None:
    await cloud.host("one")
    (service,) = await services(cloud)
    path = f"{SERVICES}/{service['id']}"
    await cloud.done("PUT", path, {"forced_down": True})
    await cloud.migration(type="evacuation", status="done", source="one")
    assert "evacuation" in await cloud.refused(400, "PUT", path, {"forced_down": False})


async def test_hypervisors_are_shown_by_microversion(cloud: Cloud) -> None:
    state = await cloud.host("one", address="192.0.2.1")
    before = Before(Flavor(id="9", name="x", vcpus=2, ram=1024, disk=5), "one", VmState.ACTIVE)
    await cloud.server(host="one", flavor=SMALL)
    await cloud.server(host="two", before=before)
    old = (await cloud.got(f"{HYPERVISORS}/detail", "admin@blue", "2.1"))["hypervisors"][0]
    assert old | {"service": {}} == {
        "id": 1, "hypervisor_hostname": "one", "state": "up", "status": "enabled", "hypervisor_type": "QEMU",
        "hypervisor_version": 8_002_000, "host_ip": "192.0.2.1", "service": {}, "vcpus": 8, "memory_mb": 16_384,
        "local_gb": 100, "vcpus_used": 3, "memory_mb_used": 2048 + 1024 + 512, "local_gb_used": 40,
        "free_ram_mb": 16_384 - 3584, "free_disk_gb": 60, "disk_available_least": 90, "current_workload": 0,
        "running_vms": 1, "cpu_info": json.dumps(state.cpu),
    }  # fmt: skip
    assert old["service"] == {"id": 1, "host": "one", "disabled_reason": None}
    at_28 = (await cloud.got(f"{HYPERVISORS}/1", "admin@blue", "2.28"))["hypervisor"]
    assert at_28["cpu_info"] == state.cpu
    at_53 = (await cloud.got(f"{HYPERVISORS}/{state.uuid}", "admin@blue", "2.53"))["hypervisor"]
    assert (at_53["id"], at_53["service"]["id"]) == (state.uuid, (await services(cloud))[0]["id"])
    at_88 = (await cloud.got(f"{HYPERVISORS}/{state.uuid}", "admin@blue", "2.88"))["hypervisor"]
    assert set(at_88) == set(at_53) - set(old) | {
        "id", "hypervisor_hostname", "state", "status", "hypervisor_type", "hypervisor_version", "host_ip", "service",
        "uptime",
    }  # fmt: skip
    assert " up 0 days" in at_88["uptime"]


async def test_servers_are_shown_with_their_hypervisors(cloud: Cloud) -> None:
    state = await cloud.host("one")
    await cloud.host("two")
    server = await cloud.server(host="one")
    held = [{"name": f"instance-{server.number:08x}", "uuid": server.id}]
    listed = (await cloud.got(f"{HYPERVISORS}?with_servers=true", "admin@blue"))["hypervisors"]
    assert [one["servers"] for one in listed] == [held, []]
    older = (await cloud.got(f"{HYPERVISORS}?with_servers=1", "admin@blue", "2.74"))["hypervisors"]
    assert [one.get("servers") for one in older] == [held, None]
    shown = await cloud.got(f"{HYPERVISORS}/{state.uuid}?with_servers=true", "admin@blue")
    assert shown["hypervisor"]["servers"] == held
    assert "servers" not in (await cloud.got(f"{HYPERVISORS}", "admin@blue"))["hypervisors"][0]
    old = await cloud.got(f"{HYPERVISORS}/one/servers", "admin@blue", "2.52")
    assert [one["servers"] for one in old["hypervisors"]] == [held]


async def test_hypervisors_are_searched_and_paged(cloud: Cloud) -> None:
    states = [await cloud.host(name) for name in ("a1", "a2", "b1")]

    async def listed(query: str, version: str = "2.96") -> list[str]:
        found = await cloud.got(f"{HYPERVISORS}{query}", "admin@blue", version)
        return [one["hypervisor_hostname"] for one in found["hypervisors"]]

    assert await listed("?hypervisor_hostname_pattern=a") == ["a1", "a2"]
    assert await listed("/a/search", "2.52") == ["a1", "a2"]
    assert await listed(f"?limit=1&marker={states[0].uuid}") == ["a2"]
    assert await listed("?limit=2&marker=1", "2.33") == ["a2", "b1"]
    assert await listed("?limit=1", "2.32") == ["a1", "a2", "b1"]
    page = await cloud.got(f"{HYPERVISORS}/detail?limit=1", "admin@blue")
    assert page["hypervisors_links"][0]["href"].endswith(f"/detail?limit=1&marker={states[0].uuid}")
    await cloud.refused(404, "GET", f"{HYPERVISORS}?hypervisor_hostname_pattern=x")
    await cloud.refused(404, "GET", f"{HYPERVISORS}/x/search", version="2.52")
    for query in (
        "hypervisor_hostname_pattern=a&limit=1",
        "unknown=1",
        "marker=x",
        "limit=1&limit=2",
        "with_servers=x",
    ):
        await cloud.refused(400, "GET", f"{HYPERVISORS}?{query}")


async def test_what_hosts_have_in_all_is_said_until_2_87(cloud: Cloud) -> None:
    empty = (await cloud.got(f"{HYPERVISORS}/statistics", "admin@blue", "2.87"))["hypervisor_statistics"]
    assert set(empty.values()) == {0}
    first = await cloud.host("one")
    await cloud.host("two")
    await cloud.host("out", problems=("broken",))
    await cloud.server(host="one")
    found = (await cloud.got(f"{HYPERVISORS}/statistics", "admin@blue", "2.87"))["hypervisor_statistics"]
    assert (found["count"], found["vcpus"], found["vcpus_used"], found["running_vms"]) == (2, 16, 1, 1)
    assert set(found) == set(empty)
    assert "uptime" in (await cloud.got(f"{HYPERVISORS}/{first.uuid}/uptime", "admin@blue", "2.87"))["hypervisor"]
    await cloud.refused(404, "GET", f"{HYPERVISORS}/{first.uuid}/uptime", version="2.88")
    await cloud.refused(404, "GET", f"{HYPERVISORS}/one/search", version="2.53")
    await cloud.host_gone("one")
    await cloud.refused(400, "GET", f"{HYPERVISORS}/{first.uuid}/uptime", version="2.87")


async def test_a_hypervisor_that_is_none(cloud: Cloud) -> None:
    await cloud.refused(400, "GET", f"{HYPERVISORS}/none")
    await cloud.refused(404, "GET", f"{HYPERVISORS}/11111111-2222-4333-8444-555555555555")
    await cloud.refused(404, "GET", f"{HYPERVISORS}/none", version="2.52")
    await cloud.refused(404, "GET", f"{HYPERVISORS}/7", version="2.52")


async def test_zones_are_those_of_hosts(cloud: Cloud) -> None:
    await cloud.host("one")
    await cloud.host("two")
    await cloud.host("out", problems=("broken",))
    for number, (name, zone) in enumerate((("two", "east"), ("out", "west")), 1):
        body = {"aggregate": {"name": zone, "availability_zone": zone}}
        await cloud.done("POST", "/os-aggregates", body)
        await cloud.done("POST", f"/os-aggregates/{number}/action", {"add_host": {"host": name}})
    assert await cloud.got("/os-availability-zone", "stranger@blue") == {
        "availabilityZoneInfo": [
            {"zoneName": "east", "zoneState": {"available": True}, "hosts": None},
            {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None},
            {"zoneName": "west", "zoneState": {"available": False}, "hosts": None},
        ]
    }
    east, _, west = (await cloud.got("/os-availability-zone/detail", "admin@blue"))["availabilityZoneInfo"]
    service = east["hosts"]["two"]["nova-compute"]
    assert (service["available"], service["active"]) == (True, True)
    assert west["hosts"] is None
    await cloud.refused(403, "GET", "/os-availability-zone/detail", token="manager@blue")


async def test_administrators_alone_see_hosts(cloud: Cloud) -> None:
    paths = [SERVICES, HYPERVISORS, f"{HYPERVISORS}/detail", f"{HYPERVISORS}/x", "/os-aggregates", "/os-aggregates/1"]
    for path in paths:
        for token in ("reader@blue", "member@blue", "manager@blue"):
            await cloud.refused(403, "GET", path, token=token)
    for method in ("PUT", "DELETE"):
        await cloud.refused(403, method, f"{SERVICES}/x", {}, token="manager@blue")
    for what in ("statistics", "x/uptime", "x/search", "x/servers"):
        await cloud.refused(403, "GET", f"{HYPERVISORS}/{what}", token="member@blue", version="2.1")
