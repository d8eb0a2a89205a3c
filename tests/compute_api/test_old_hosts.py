"""Hosts as old clients ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compute_api.cloud import SMALL, Cloud

PATH = "/os-hosts"


async def test_hosts_are_listed_and_shown(cloud: Cloud) -> None:
    await cloud.host("one")
    await cloud.host("out", problems=("broken",))
    await cloud.server(host="one", flavor=SMALL)
    assert (await cloud.got(PATH, "admin@blue", "2.42"))["hosts"] == [
        {"host_name": "one", "service": "compute", "zone": "nova"}
    ]
    assert (await cloud.got(f"{PATH}?zone=east", "admin@blue", "2.42"))["hosts"] == []
    shown = (await cloud.got(f"{PATH}/one", "admin@blue", "2.42"))["host"]
    assert [one["resource"]["project"] for one in shown] == ["(total)", "(used_now)", "(used_max)", "blue"]
    assert shown[0]["resource"] | {"project": ""} == {
        "host": "one", "project": "", "cpu": 8, "memory_mb": 16_384, "disk_gb": 200,
    }, "disks are in the store, on the devices of both"  # fmt: skip
    assert shown[3]["resource"]["memory_mb"] == 2048
    await cloud.refused(404, "GET", PATH, version="2.43")
    await cloud.refused(404, "GET", f"{PATH}/none", version="2.1")
    await cloud.refused(403, "GET", PATH, token="member@blue", version="2.1")


async def test_a_host_is_taken_out_of_use(cloud: Cloud) -> None:
    await cloud.host("one")
    answer = await cloud.done("PUT", f"{PATH}/one", {"status": "disable"}, "2.1")
    assert answer == {"host": "one", "status": "disabled"}
    (service,) = (await cloud.got("/os-services", "admin@blue"))["services"]
    assert service["status"] == "disabled"
    await cloud.done("PUT", f"{PATH}/one", {"status": "Enable"}, "2.1")
    await cloud.refused(501, "PUT", f"{PATH}/one", {"maintenance_mode": "enable"}, version="2.1")
    wrongs: list[dict[str, Any]] = [{}, {"status": "on"}, {"maintenance_mode": "on"}, {"more": 1}]
    for wrong in wrongs:
        await cloud.refused(400, "PUT", f"{PATH}/one", wrong, version="2.1")
    await cloud.refused(404, "PUT", f"{PATH}/none", {"status": "enable"}, version="2.1")


@pytest.mark.parametrize("action", ["startup", "shutdown", "reboot"])
async def test_no_machine_is_switched_from_here(cloud: Cloud, action: str) -> None:
    await cloud.host("one")
    await cloud.refused(501, "GET", f"{PATH}/one/{action}", version="2.1")
    await cloud.refused(404, "GET", f"{PATH}/none/{action}", version="2.1")
    await cloud.refused(403, "GET", f"{PATH}/one/{action}", token="member@blue", version="2.1")
