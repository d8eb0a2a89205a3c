"""Lists of servers: what is in them, in which order, and page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.compute_servers.cloud import Cloud

ADMIN = "admin@blue"


@pytest.fixture
async def listed(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> AsyncIterator[tuple[Cloud, dict[str, str]]]:
    """A cloud with servers, by their names: three of a project, one of another."""
    async with trio.open_nursery() as nursery:
        cloud = Cloud(tmp_path)
        await nursery.start(cloud.run)
        await cloud.flavors()
        await cloud.host()
        image = await cloud.image(visibility="community")
        network = await cloud.network()
        ids = {}
        for name, said in (
            ("web-1", {"networks": [{"uuid": network, "fixed_ip": "10.0.0.41"}], "metadata": {"role": "web"}}),
            ("web-2", {"flavorRef": "2", "tags": ["a"], "description": "second"}),
            ("db", {"config_drive": True, "hostname": "data"}),
        ):
            ids[name] = await cloud.server(image, name=name, **said)
        ids["other"] = await cloud.server(image, name="other", token="member@green")
        await cloud.act(ids["db"], "os-stop")
        await cloud.settled(ids["db"], "SHUTOFF")
        yield cloud, ids
        nursery.cancel_scope.cancel()


async def names(cloud: Cloud, query: str = "", token: str = "member@blue", **said: Any) -> list[str]:
    return [row["name"] for row in (await cloud.done("GET", f"/servers?{query}", token=token, **said))["servers"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["db", "web-2", "web-1"]),
        ("name=web", ["web-2", "web-1"]), ("name=^web-1$", ["web-1"]), ("name=WEB", ["web-2", "web-1"]),
        ("name=(", []), ("name=%", []), ("status=ACTIVE", ["web-2", "web-1"]), ("status=shutoff", ["db"]),
        ("status=ACTIVE&status=SHUTOFF", ["db", "web-2", "web-1"]), ("status=MARVELLOUS", []),
        ("flavor=2", ["web-2"]), ("ip=10.0.0.41", ["web-1"]), ("ip=10.0.0", ["web-1"]), ("ip=10.9", []),
        ("ip6=fe80", []), ("image=none", []), ("vm_state=stopped", ["db"]), ("power_state=4", ["db"]),
        ("config_drive=true", ["db"]), ("availability_zone=mars", []), ("tags=a", ["web-2"]),
        ("metadata={\"role\": \"web\"}", ["web-1"]), ("locked=false", ["db", "web-2", "web-1"]),
        ("host=one", ["db", "web-2", "web-1"]), ("host=mars", ["db", "web-2", "web-1"]),
        ("unknown=thing", None), ("deleted=true", ["db", "web-2", "web-1"]),
        ("changes-since=2099-01-01T00:00:00Z", []), ("changes-before=2001-01-01T00:00:00Z", []),
        ("sort_key=display_name&sort_dir=asc", ["db", "web-1", "web-2"]),
        ("sort_key=instance_type_id&sort_dir=desc&sort_key=display_name&sort_dir=asc", ["web-2", "db", "web-1"]),
        ("sort_key=created_at&sort_dir=asc", ["web-1", "web-2", "db"]),
        ("project_id=green", ["db", "web-2", "web-1"]),
    ],
)  # fmt: skip
async def test_filters_and_orders(listed: tuple[Cloud, dict[str, str]], query: str, found: list[str] | None) -> None:
    """Of members: what is for administrators is overlooked."""
    cloud, _ = listed
    if found is None:
        assert (await cloud.ask("GET", f"/servers?{query}", version="2.74")).status in (200, 400)
        await cloud.refused(400, "GET", f"/servers?{query}", version="2.96")
        return
    assert await names(cloud, query) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("all_tenants=1", ["other", "db", "web-2", "web-1"]), ("all_tenants", ["other", "db", "web-2", "web-1"]),
        ("all_tenants=0", ["db", "web-2", "web-1"]), ("all_tenants=1&project_id=green", ["other"]),
        ("all_tenants=1&host=one&name=o", ["other"]), ("host=mars", []), ("hostname=data", ["db"]),
        ("instance_name=instance-00000001", ["web-1"]), ("deleted=1", []), ("all_tenants=1&tenant_id=none", []),
    ],
)  # fmt: skip
async def test_filters_of_administrators(listed: tuple[Cloud, dict[str, str]], query: str, found: list[str]) -> None:
    cloud, _ = listed
    assert await names(cloud, query, ADMIN) == found


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "marker=none", "sort_key=password", "sort_dir=up", "sort_key=uuid&sort_dir=up",
        "changes-since=x", "changes-since=2020-01-02T00:00:00Z&changes-before=2020-01-01T00:00:00Z", "all_tenants=x",
        "metadata=x", f"name={'a' * 256}", "locked=perhaps",
    ],
)  # fmt: skip
async def test_what_lists_are_refused_for(cloud: Cloud, query: str) -> None:
    await cloud.refused(400, "GET", f"/servers?{query}")
    await cloud.refused(400, "GET", f"/servers/detail?{query}")


async def test_members_do_not_list_others(cloud: Cloud) -> None:
    await cloud.refused(403, "GET", "/servers?all_tenants=1")


async def test_page_by_page_all_are_seen_once(listed: tuple[Cloud, dict[str, str]]) -> None:
    cloud, _ = listed
    path: str | None = "/servers/detail?limit=1&sort_key=display_name&sort_dir=asc"
    seen = []
    while path is not None:
        page = await cloud.done("GET", path)
        seen += [row["name"] for row in page["servers"]]
        links = [one["href"] for one in page.get("servers_links", []) if one["rel"] == "next"]
        path = links[0].partition("/compute/v2.1")[2] if links else None
    assert seen == ["db", "web-1", "web-2"]
    assert (await cloud.done("GET", "/servers?limit=0"))["servers"] == []


async def test_what_a_member_and_an_administrator_are_shown(listed: tuple[Cloud, dict[str, str]]) -> None:
    cloud, ids = listed
    plain = (await cloud.done("GET", f"/servers/{ids['web-1']}"))["server"]
    whole = (await cloud.done("GET", f"/servers/{ids['web-1']}", token=ADMIN))["server"]
    assert set(whole) - set(plain) == {
        "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name",
        "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index", "OS-EXT-SRV-ATTR:ramdisk_id",
        "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:root_device_name", "OS-EXT-SRV-ATTR:user_data",
        "host_status",
    }  # fmt: skip
    assert plain["hostId"] == whole["hostId"]
    assert "one" not in plain["hostId"]
    old = (await cloud.done("GET", f"/servers/{ids['web-1']}", version="2.1"))["server"]
    assert set(plain) - set(old) == {
        "description", "locked", "locked_reason", "tags", "trusted_image_certificates", "server_groups",
        "pinned_availability_zone", "OS-EXT-SRV-ATTR:hostname",
    }  # fmt: skip
    assert set(old["flavor"]) == {"id", "links"}


async def test_the_second_that_clients_are_told_is_one_that_they_can_ask_with(
    listed: tuple[Cloud, dict[str, str]],
) -> None:
    cloud, _ = listed
    updated = (await cloud.show(listed[1]["web-1"]))["updated"]
    assert "web-1" in await names(cloud, f"changes-before={updated}")
    assert "web-1" in await names(cloud, f"changes-since={updated}")
