"""Never is more claimed of a host than it has, nor more counted of a project than it may have, nor are two of a group
together that are to be apart: whoever asks for what at the same time, in whatever process."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from compute_plugin.records.amounts import usage_of
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server, VmState
from compute_plugin.service import ComputeService
from compute_plugin.settings import Settings
from compute_plugin.v2.app import ComputeApp
from tests.compute_servers.cloud import Cloud
from tests.gateway_rest.service import Answer, ask

ADMIN: Final = "admin@blue"
HOSTS: Final = {"one": (4, 5120), "two": (2, 8192), "three": (6, 3584)}
"""Processors and MiB of memory."""
SETTINGS: Final = Settings(
    cpu_ratio=2.0,
    ram_reserved_mib=512,
    disk_ratio=0.03,  # 30 GiB of each host
    limits={"instances": 14, "cores": 22, "ram": 10240, "server_group_members": 5},
)
FLAVORS: Final = (
    Flavor(id="1", name="tiny", vcpus=1, ram=256, disk=1),
    Flavor(id="2", name="wide", vcpus=3, ram=512, disk=2, ephemeral=3, swap=1500),
    Flavor(id="3", name="high", vcpus=1, ram=1536, disk=7),
)
TASKS: Final = 4
STEPS: Final = 14


class Trial:
    """Two processes, whose APIs are asked for anything at once."""

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self.cloud = cloud
        self.random = random.Random(seed)
        self.other = ComputeService(
            cloud.registry, cloud.compute.identity, cloud.clock, cloud.random, settings=SETTINGS, clients=cloud.clients
        )
        self.apps = (cloud.app, ComputeApp(self.other))
        self.image = ""
        self.groups: list[str] = []
        self.looked = 0
        self.answers: Counter[tuple[str, int]] = Counter()

    async def ask(self, what: str, method: str, path: str, body: Any = None) -> Answer:
        said = {"X-Auth-Token": ADMIN, "OpenStack-API-Version": "compute 2.90"}
        found = await ask(self.random.choice(self.apps), method, f"/compute/v2.1{path}", said, body)
        assert found.status < 500, (what, found.status, found.body)
        self.answers[what, found.status] += 1
        return found

    async def look(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """At each moment of the records."""
        store = self.cloud.compute.store
        task_status.started()
        while True:
            check(store.records)
            self.looked += 1
            await store.later_than(store.revision)

    async def step(self) -> None:
        """Anything."""
        servers = list(self.cloud.compute.store.records.servers)
        what = self.random.choices(
            ("create", "delete", "resize", "settle", "shelve", "evacuate"), (4, 4, 4, 4, 2, 1)
        )[0]  # fmt: skip
        if what == "create":
            await self.create()
        elif what == "evacuate":
            await self.lose_and_evacuate()
        elif servers:
            idle = [one for one in servers if one.transition is None and one.state is not VmState.ERROR]
            await self.change(what, self.random.choice(idle or servers))

    async def create(self) -> None:
        hints = {"os:scheduler_hints": {"group": self.random.choice(self.groups)}} if self.random.random() < 0.5 else {}
        asked = {
            "name": "s", "imageRef": self.image, "flavorRef": self.random.choice(FLAVORS).id, "networks": "none",
            "min_count": 1, "max_count": self.random.choice((1, 1, 2, 5)),
        }  # fmt: skip
        await self.ask("create", "POST", "/servers", {"server": asked, **hints})

    async def change(self, what: str, server: Server) -> None:
        path = f"/servers/{server.id}/action"
        if what == "delete":
            await self.ask(what, "DELETE", f"/servers/{server.id}")
        elif what == "resize":
            await self.ask(what, "POST", path, {"resize": {"flavorRef": self.random.choice(FLAVORS).id}})
        elif what == "settle":
            action = self.random.choice(("confirmResize", "revertResize"))
            await self.ask(action, "POST", path, {action: None})
        else:
            action = "unshelve" if server.state is VmState.OFFLOADED else "shelve"
            await self.ask(action, "POST", path, {action: None})

    async def lose_and_evacuate(self) -> None:
        name = self.random.choice(list(HOSTS))
        host = self.cloud.hosts[name]
        if host not in self.cloud.hosts.values() or self.cloud.compute.states.states.hosts.get(name) is None:
            return
        await self.cloud.lose(name)
        for server in self.cloud.compute.store.records.servers.by("host", name):
            await self.ask("evacuate", "POST", f"/servers/{server.id}/action", {"evacuate": {}})
        await self.cloud.host(name)


def claimed(records: Records) -> dict[str, Counter[str]]:
    """Counted in the plainest way."""
    found: dict[str, Counter[str]] = {name: Counter() for name in HOSTS}
    for server in records.servers:
        places = [(server.host, server.flavor)]
        places += [(server.before.host, server.before.flavor)] if server.before is not None else []
        for host, flavor in places:
            if host:
                swap = 2 if flavor.swap else 0
                disk = flavor.disk + flavor.ephemeral + swap
                found[host].update(vcpus=flavor.vcpus, ram=flavor.ram, disk=disk)
    return found


def check(records: Records) -> None:
    for name, used in claimed(records).items():
        vcpus, ram = HOSTS[name]
        assert used["vcpus"] <= 2 * vcpus, (name, used)
        assert used["ram"] <= ram - 512, (name, used)
        assert used["disk"] <= 30, (name, used)
    held = usage_of(records, "blue")
    assert (held["instances"] <= 14, held["cores"] <= 22, held["ram"] <= 10240) == (True, True, True), held
    for group in records.groups:
        if group.policy == "anti-affinity":
            members = records.servers.by("group", group.id)
            assert len(members) <= 5
            places = Counter(host for one in members for host in {at for at, _ in one.claims})
            assert all(count <= 1 for count in places.values()), (group.id, places)


@pytest.mark.parametrize("seed", range(6))
async def test_no_host_is_overbooked_and_no_quota_exceeded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    async with trio.open_nursery() as nursery:
        cloud = Cloud(tmp_path, settings=SETTINGS)
        await nursery.start(cloud.run)
        await cloud.flavors(*FLAVORS)
        trial = Trial(cloud, seed)
        await nursery.start(trial.other.run)
        for name, (vcpus, memory) in HOSTS.items():
            await cloud.host(name, vcpus=vcpus, memory_mib=memory)
        trial.image = await cloud.image()
        for number in range(2):
            body = {"server_group": {"name": f"g{number}", "policy": "anti-affinity"}}
            made = await trial.ask("group", "POST", "/os-server-groups", body)
            trial.groups.append(made.json["server_group"]["id"])
        await nursery.start(trial.look)

        async def many() -> None:
            for _ in range(STEPS):
                await trial.step()

        for _ in range(3):
            async with trio.open_nursery() as asking:
                for _ in range(TASKS):
                    asking.start_soon(many)
            await cloud.quiet()
        for server in list(cloud.compute.store.records.servers):
            await trial.ask("delete", "DELETE", f"/servers/{server.id}")
        await cloud.quiet()
        assert not list(cloud.compute.store.records.servers)
        assert all(not one.running for one in cloud.hypervisors.values())
        assert trial.looked > 100
        done = {what for what, status in trial.answers if status < 300}
        assert done >= {"create", "delete"}, trial.answers
        nursery.cancel_scope.cancel()


async def test_fifty_at_once_on_one_host_are_active_or_clearly_refused(cloud: Cloud) -> None:
    """The host of the fixture has 16 processors, four servers each, and 64 GiB."""
    cloud.compute.settings.limits.update(instances=-1, cores=-1, ram=-1)
    await cloud.flavors(Flavor(id="1", name="wide", vcpus=2, ram=512, disk=1))
    await cloud.order(await cloud.image(), min_count=50, max_count=50)
    await cloud.quiet()
    servers = list(cloud.compute.store.records.servers)
    by_state = Counter(one.state for one in servers)
    assert by_state == {VmState.ACTIVE: 32, VmState.ERROR: 18}
    assert len(cloud.hypervisors["one"].running) == 32
    for one in servers:
        if one.state is VmState.ERROR:
            assert one.host == ""
            assert one.fault is not None
            assert one.fault.message == ("No valid host was found. one: VCPUFilter: 0 of 64 VCPUs are free"), (
                one.fault.message
            )
    assert {one.name for one in servers} == {f"web-{number}" for number in range(1, 51)}
    assert len({one.number for one in servers}) == 50


async def test_fifty_small_ones_at_once_are_all_active(cloud: Cloud) -> None:
    cloud.compute.settings.limits.update(instances=-1, cores=-1, ram=-1)
    await cloud.order(await cloud.image(), min_count=50)
    await cloud.quiet()
    assert Counter(one.state for one in cloud.compute.store.records.servers) == {VmState.ACTIVE: 50}


async def test_of_more_than_the_quota_as_many_are_made_as_there_is_room_for(cloud: Cloud) -> None:
    image = await cloud.image()
    await cloud.order(image, min_count=1, max_count=2**31 - 1)
    await cloud.quiet()
    assert len(list(cloud.compute.store.records.servers)) == 10
    body = {"server": {"name": "one more", "imageRef": image, "flavorRef": "1", "networks": "none"}}
    said = await cloud.refused(403, "POST", "/servers", body)
    assert said == "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
