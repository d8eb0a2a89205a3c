"""What stock clients read of Placement: what hosts have, and what servers take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from compute_plugin.placement.app import PlacementApp
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Before, Server, VmState
from tests.compute_api.cloud import Cloud
from tests.gateway_rest.service import ask

SMALL = Flavor(id="1", name="small", vcpus=2, ram=1024, disk=10, swap=1)
LARGE = Flavor(id="2", name="large", vcpus=4, ram=4096, disk=20)


class Placement:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.app = PlacementApp(cloud.service)

    async def ask(self, path: str, token: str = "admin@blue", method: str = "GET", version: str = "1.39") -> Any:
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": f"placement {version}"}
        return await ask(self.app, method, f"/placement{path}", headers)

    async def got(self, path: str) -> Any:
        answer = await self.ask(path)
        assert answer.status == 200, answer.body
        return answer.json


@pytest.fixture
async def placement() -> AsyncIterator[Placement]:
    cloud = Cloud()
    async with trio.open_nursery() as nursery:
        await nursery.start(cloud.service.run)
        await cloud.host("one")
        await cloud.host("two", vcpus=2)
        yield Placement(cloud)
        nursery.cancel_scope.cancel()


async def put(placement: Placement, server: Server) -> None:
    await placement.cloud.service.store.change(lambda records: _put(records, server))


def _put(records: Records, server: Server) -> None:
    records.servers.put(server)


def server(id_: str, **said: Any) -> Server:
    held: dict[str, Any] = {"flavor": SMALL, "host": "one", "state": VmState.ACTIVE}
    return Server(
        id=id_, number=1, project_id="blue", user_id="u", name="web", hostname="web", created_us=1, updated_us=1,
        **{**held, **said},
    )  # fmt: skip


async def test_what_a_host_has_and_what_is_taken_of_it(placement: Placement) -> None:
    await put(placement, server("s"))
    (one,) = (await placement.got("/resource_providers?name=one"))["resource_providers"]
    path = f"/resource_providers/{one['uuid']}"
    assert (await placement.got(path))["name"] == "one"
    inventories = (await placement.got(f"{path}/inventories"))["inventories"]
    assert inventories["VCPU"] == {
        "total": 8, "reserved": 0, "min_unit": 1, "max_unit": 8, "step_size": 1, "allocation_ratio": 4.0,
    }  # fmt: skip
    assert inventories["MEMORY_MB"]["reserved"] == 512
    assert (await placement.got(f"{path}/inventories/DISK_GB"))["total"] == 200, "the store's"
    assert (await placement.got(f"{path}/usages"))["usages"] == {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 11}
    assert list((await placement.got(f"{path}/allocations"))["allocations"]) == ["s"]
    assert (await placement.got("/usages?project_id=blue"))["usages"] == {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 11}
    assert (await placement.got("/usages?project_id=green"))["usages"] == {"VCPU": 0, "MEMORY_MB": 0, "DISK_GB": 0}


async def test_a_server_that_is_resized_takes_of_both_hosts(placement: Placement) -> None:
    await put(placement, server("s", flavor=LARGE, before=Before(SMALL, "two", VmState.ACTIVE)))
    uuids = {row["name"]: row["uuid"] for row in (await placement.got("/resource_providers"))["resource_providers"]}
    held = (await placement.got("/allocations/s"))["allocations"]
    assert {name: held[uuid]["resources"]["VCPU"] for name, uuid in uuids.items()} == {"one": 4, "two": 2}
    assert (await placement.got("/allocations/unknown"))["allocations"] == {}


async def test_who_has_room(placement: Placement) -> None:
    await put(placement, server("s", flavor=Flavor(id="9", name="all", vcpus=7, ram=1, disk=0), host="two"))
    for amount, names in ((1, {"one", "two"}), (2, {"one"}), (32, {"one"}), (33, set())):
        found = await placement.got(f"/resource_providers?resources=VCPU:{amount}")
        assert {row["name"] for row in found["resource_providers"]} == names, amount
        candidates = await placement.got(f"/allocation_candidates?resources=VCPU:{amount}")
        assert len(candidates["allocation_requests"]) == len(names)
    assert (await placement.got("/resource_providers?resources=CUSTOM_GPU:1"))["resource_providers"] == []


async def test_what_is_refused(placement: Placement) -> None:
    for path, token, method, status in (
        ("/resource_providers", "member@blue", "GET", 403),
        ("/resource_providers", "nobody", "GET", 401),
        ("/resource_providers", "admin@blue", "POST", 405),
        ("/resource_providers/unknown", "admin@blue", "GET", 404),
        ("/allocation_candidates", "admin@blue", "GET", 400),
        ("/allocation_candidates?resources=VCPU:none", "admin@blue", "GET", 400),
        ("/usages", "admin@blue", "GET", 400),
        ("/nothing", "admin@blue", "GET", 404),
    ):
        answer = await placement.ask(path, token, method)
        assert answer.status == status, (path, answer.body)
        (error,) = answer.json["errors"]
        assert error["status"] == status
    assert (await placement.ask("/resource_providers", version="1.99")).status == 406
    versions = (await ask(placement.app, "GET", "/placement/", {})).json["versions"]
    assert versions[0]["max_version"] == "1.39"
