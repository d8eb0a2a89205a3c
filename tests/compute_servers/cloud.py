"""A whole cloud in memory: identity's twin, images, volumes, networks, the compute API and hosts with hypervisors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import trio
import trio.testing

from authn.service import IdentityService
from compute_plugin.agent.agent import ComputeAgent
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.standing import Standing, hypervisor_uuid
from compute_plugin.agent.watching import LOOK_S
from compute_plugin.clients.callers import COMPUTE
from compute_plugin.clients.clients import Clients
from compute_plugin.clients.image_records import ImageRecords
from compute_plugin.clients.local_disks import LocalDisks
from compute_plugin.clients.networks import Networks
from compute_plugin.clients.volumes import Volumes
from compute_plugin.hypervisors.interface import Hypervisor, Usage
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.v2.app import NetworkApp
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.states import HostState
from compute_plugin.server_use import ServerUse
from compute_plugin.service import ComputeService
from compute_plugin.settings import Settings
from compute_plugin.v2.app import ComputeApp
from drystone.volume_images import VolumeImages
from gateway.rest.inside import Asker
from gateway.rest.policy import Credentials
from gateway.volumes.app import VolumeApp
from gateway.volumes.service import VolumeService
from gateway.volumes.types_store import StoragePolicy
from image_registry.service import ImageService
from image_registry.v2.app import ImageApp
from store.core.entropy import SystemRandom
from store.core.errors import RetryableError
from store.objects.model import Policy
from store.registry import Delete, Registry, memory_registry
from tests.gateway_rest.service import Answer, ask
from tests.gateway_volumes.cloud import Exports, Tokens
from tests.twins.clock import ManualClock
from tests.twins.hypervisor import MemoryHypervisor
from tests.twins.objects import MemoryStore
from tests.twins.volumes import MemoryVolumes

PATIENCE_S = 100_000
GIB = 1 << 30
MIB = 1 << 20
TINY = Flavor(id="1", name="m1.tiny", vcpus=1, ram=512, disk=1)
SMALL = Flavor(id="2", name="m1.small", vcpus=2, ram=1024, disk=2)


class Consoles:
    """Of hosts in this process."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def log(self, server: Server) -> bytes:
        host = self._cloud.hosts[server.host]
        return await host.hypervisor.console_log(host.hands.folder_of(server.id))

    async def usage(self, server: Server) -> Usage:
        return await self._cloud.hosts[server.host].hypervisor.usage(server.id)

    def opened(self, server: Server, type_: str) -> AbstractAsyncContextManager[trio.abc.Stream]:
        raise RetryableError("guests in memory have no consoles")

    def url(self, origin: str, token: str, type_: str) -> str:
        return f"{origin}/console/{type_}?token={token}"

    def place(self, server: Server) -> dict[str, Any]:
        return {"host": server.host, "port": 0, "internal_access_path": None}


class Host:
    """Of a cloud, with an agent that can be ended and begun anew."""

    def __init__(self, cloud: Cloud, name: str, folder: Path, hypervisor: Hypervisor) -> None:
        self.name = name
        self.hypervisor = hypervisor
        service, clients = cloud.compute, cloud.clients
        self.hands = Hands(
            host=name,
            store=service.store,
            states=lambda: service.states.states,
            hypervisor=hypervisor,
            volumes=clients.volumes,
            networks=clients.networks,
            disks=clients.disks,
            images=clients.images,
            image_records=clients.image_records,
            settings=service.settings,
            clock=cloud.clock,
            random=cloud.random,
            new_id=service.new_id,
            folder=str(folder / name),
            socket="/run/nbd.sock",
        )
        self._cloud = cloud
        self._scope = trio.CancelScope()
        self._over = trio.Event()

    async def run(self) -> None:
        """Its agent, until it is ended."""
        await self.run_with(self.hands)

    async def run_with(self, hands: Hands) -> None:
        """An agent that works with these hands."""
        cloud = self._cloud
        uri = f"memory:///{self.name}"
        state = HostState(id=self.name, uuid=hypervisor_uuid("cloud", self.name), migration_uri=uri)
        standing = Standing(cloud.registry, self.hypervisor.inventory, cloud.clock, self.hands.states, _room, state)
        self._scope, self._over = trio.CancelScope(), trio.Event()
        try:
            with self._scope:
                await ComputeAgent(hands, standing).run()
        finally:
            self._over.set()

    def end(self) -> None:
        self._scope.cancel()

    async def ended(self) -> None:
        """End it, and wait until it has."""
        self.end()
        await self._over.wait()


async def _room() -> tuple[int, int]:
    return 1000 * GIB, 900 * GIB


class Cloud:
    """Start `run` first. A token is a role and a project, such as `member@blue`."""

    def __init__(
        self,
        folder: Path,
        *,
        registry: Registry | None = None,
        settings: Settings | None = None,
        before: Cloud | None = None,
    ) -> None:
        """`before`: the one of a process before, whose store and hypervisors these are."""
        self.clock: ManualClock = ManualClock(tick_us=1) if before is None else before.clock
        self.random = SystemRandom()
        self.folder = folder
        self.registry = registry or memory_registry(self.clock)
        self.store: MemoryVolumes = MemoryVolumes(("standard",)) if before is None else before.store
        policies = [Policy(0, "standard", default=True)]
        self.objects: MemoryStore = MemoryStore(self.clock, policies) if before is None else before.objects
        self.hypervisors: dict[str, MemoryHypervisor] = {} if before is None else before.hypervisors
        self.peers: dict[str, MemoryHypervisor] = {} if before is None else before.peers
        limits = SimpleNamespace(
            services=[], registered_limits=[], limits=[], projects=dict.fromkeys(("blue", "green"), 1)
        )
        identity = cast(IdentityService, SimpleNamespace(tokens=Tokens(), snapshot=limits))
        self.images = ImageService(
            self.registry, identity, self.objects, self.store, self.clock, self.random, str(folder)
        )
        self.image_app = ImageApp(self.images)
        facts = VolumeImages(self.images, self.store)
        use = ServerUse()
        self.volumes = VolumeService(
            self.registry, identity, self.store, Exports(), facts, [StoragePolicy("standard", True)], self.clock,
            self.random, objects=self.objects, servers=use,
        )  # fmt: skip
        self.volume_app = VolumeApp(self.volumes)
        self.networks = NetworkService(self.registry, identity, self.clock, self.random)
        self.network_app = NetworkApp(self.networks)
        self.clients = Clients(
            volumes=Volumes(self.volume_app),
            networks=Networks(self.network_app),
            images=facts,
            image_records=ImageRecords(self.image_app),
            disks=LocalDisks(self.store),
            network_records=lambda: self.networks.store.records,
            network_fresh=self.networks.store.fresh,
        )
        self.hosts: dict[str, Host] = {}
        self.compute = ComputeService(
            self.registry, identity, self.clock, self.random, settings=settings, clients=self.clients,
            consoles=Consoles(self),
        )  # fmt: skip
        use.follow(self.compute)
        self.app = ComputeApp(self.compute)
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for service in (self.images, self.volumes, self.networks, self.compute):
                await nursery.start(service.run)
            task_status.started()
            await trio.sleep_forever()

    # -- what there is -------------------------------------------------------------------------------------------

    async def host(self, name: str = "one", hypervisor: Hypervisor | None = None, **has: Any) -> Host:
        """A host whose agent lives."""
        if hypervisor is None:
            if name not in self.hypervisors:
                self.hypervisors[name] = MemoryHypervisor(f"memory:///{name}", self.peers, **has)
            hypervisor = self.hypervisors[name]
        host = Host(self, name, self.folder, hypervisor)
        self.hosts[name] = host
        assert self._nursery is not None
        self._nursery.start_soon(host.run)
        with trio.fail_after(PATIENCE_S):
            while self.compute.states.states.hosts.get(name) is None:
                await self.compute.states.changed()
        return host

    async def lose(self, name: str) -> None:
        """A host is gone with its agent, and all know it; its guests run on."""
        await self.hosts[name].ended()
        await self.registry.transact((), [Delete(f"compute-state/host/{name}".encode())])
        while self.compute.states.states.hosts.get(name) is not None:
            await self.compute.states.changed()

    async def end_hosts(self) -> None:
        """Their agents; what they have is as it is."""
        for host in self.hosts.values():
            await host.ended()

    async def quiet(self) -> None:
        """Wait until nothing is done with any server, whatever process was asked."""
        store = self.compute.store
        await store.fresh()
        while any(one.transition is not None for one in store.records.servers):
            await store.later_than(store.revision)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so of the records."""
        store = self.compute.store
        while not holds():
            await store.later_than(store.revision)

    async def looked(self) -> None:
        """Wait until all agents have looked at what they have."""
        await trio.sleep(LOOK_S + 1)
        await self.quiet()

    async def port(self, network: str, project: str = "blue") -> str:
        """The id of a port that nobody has."""
        token = {"X-Auth-Token": f"member@{project}"}
        made = await ask(self.network_app, "POST", "/network/v2.0/ports", token, {"port": {"network_id": network}})
        assert made.status == 201, made.body
        return str(made.json["port"]["id"])

    async def flavors(self, *flavors: Flavor) -> None:
        """Those that tests use; others are gone."""

        def step(records: Records) -> None:
            for one in list(records.flavors):
                records.flavors.delete(one.id)
            for one in flavors or (TINY, SMALL):
                records.flavors.put(one)

        await self.compute.store.change(step)

    async def image(self, text: bytes = b"a system", size: int = MIB, project: str = "blue", **said: Any) -> str:
        """The id of an image whose bits begin so."""
        asked = {"name": "system", "disk_format": "raw", "container_format": "bare", **said}
        token = {"X-Auth-Token": f"member@{project}"}
        made = await ask(self.image_app, "POST", "/image/v2/images", token, asked)
        assert made.status == 201, made.body
        id_ = str(made.json["id"])
        caller = await Tokens().read(f"member@{project}")
        assert caller is not None
        data = Asker(self.image_app, "/image/v2")
        await data.ask(caller.credentials, "PUT", f"/images/{id_}/file", text.ljust(size, b"\0"))
        return id_

    async def network(self, project: str = "blue", cidr: str = "10.0.0.0/24") -> str:
        """The id of a network with a subnet."""
        token = {"X-Auth-Token": f"member@{project}"}
        made = await ask(self.network_app, "POST", "/network/v2.0/networks", token, {"network": {"name": "private"}})
        assert made.status == 201, made.body
        id_ = str(made.json["network"]["id"])
        subnet = {"subnet": {"network_id": id_, "cidr": cidr, "ip_version": 4}}
        assert (await ask(self.network_app, "POST", "/network/v2.0/subnets", token, subnet)).status == 201
        return id_

    async def volume(self, project: str = "blue", **asked: Any) -> str:
        """The id of a volume, once it is there."""
        token = {"X-Auth-Token": f"member@{project}", "OpenStack-API-Version": "volume 3.70"}
        made = await ask(self.volume_app, "POST", "/volume/v3/volumes", token, {"volume": {"size": 1, **asked}})
        assert made.status == 202, made.body
        id_ = str(made.json["volume"]["id"])
        await self.volume_is(id_, "available")
        return id_

    async def volume_is(self, id_: str, status: str) -> dict[str, Any]:
        """A volume, once it is so."""
        with trio.fail_after(PATIENCE_S):
            while (found := await self.show_volume(id_))["status"] != status:
                await trio.testing.wait_all_tasks_blocked()
        return found

    async def ask_volumes(self, method: str, path: str, body: Any = None, token: str = "admin@blue") -> Answer:
        """Of the volume API."""
        return await ask(
            self.volume_app, method, path, {"X-Auth-Token": token, "OpenStack-API-Version": "volume 3.70"}, body
        )

    async def show_volume(self, id_: str) -> dict[str, Any]:
        answer = await ask(self.volume_app, "GET", f"/volume/v3/volumes/{id_}", {"X-Auth-Token": "admin@blue"})
        if answer.status == 404:
            return {"status": "gone"}
        found: dict[str, Any] = answer.json["volume"]
        return found

    async def snapshot_is(self, id_: str, status: str) -> None:
        """Wait until a snapshot of a volume is so."""
        with trio.fail_after(PATIENCE_S):
            while (await self.clients.volumes.snapshot(COMPUTE, id_))["status"] != status:
                await trio.testing.wait_all_tasks_blocked()

    async def volume_limits(self, project: str, **limits: int) -> None:
        """Of the volume service."""
        body = {"quota_set": limits}
        path = f"/volume/v3/os-quota-sets/{project}"
        answer = await ask(self.volume_app, "PUT", path, {"X-Auth-Token": "admin@blue"}, body)
        assert answer.status == 200, answer.body

    def member(self, project: str = "blue") -> Credentials:
        """A caller who is a member of a project."""
        roles = frozenset({"member", "reader"})
        return {**COMPUTE, "user_id": "member-id", "project_id": project, "tenant_id": project, "roles": roles}

    async def show_image(self, id_: str) -> dict[str, Any]:
        answer = await ask(self.image_app, "GET", f"/image/v2/images/{id_}", {"X-Auth-Token": "admin@blue"})
        found: dict[str, Any] = answer.json if answer.status == 200 else {"status": "gone"}
        return found

    async def delete_image(self, id_: str) -> None:
        answer = await ask(self.image_app, "DELETE", f"/image/v2/images/{id_}", {"X-Auth-Token": "admin@blue"})
        assert answer.status == 204, answer.body

    # -- asking --------------------------------------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "member@blue",
        version: str = "2.96",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is behind `/compute/v2.1`."""
        said = {"X-Auth-Token": token, "OpenStack-API-Version": f"compute {version}", **(headers or {})}
        return await ask(self.app, method, f"/compute/v2.1{path}", said, body)

    async def done(self, method: str, path: str, body: Any = None, **said: Any) -> Any:
        """What a request answers that works."""
        answer = await self.ask(method, path, body, **said)
        assert 200 <= answer.status < 300, (answer.status, answer.body)
        return answer.json if answer.body else None

    async def refused(self, status: int, method: str, path: str, body: Any = None, **said: Any) -> str:
        """The message of a refusal."""
        answer = await self.ask(method, path, body, **said)
        assert answer.status == status, (answer.status, answer.body)
        (error,) = answer.json.values()
        return str(error["message"])

    async def order(self, image: str, *, token: str = "member@blue", version: str = "2.96", **asked: Any) -> str:
        """The id of a server that is asked for."""
        body = {"name": "web", "flavorRef": "1", "imageRef": image, "networks": "none", **asked}
        if not image:
            del body["imageRef"]
        made = await self.done("POST", "/servers", {"server": body}, token=token, version=version)
        return str(made["server"]["id"])

    async def server(self, image: str, *, status: str = "ACTIVE", token: str = "member@blue", **asked: Any) -> str:
        """The id of a server, once it is there."""
        id_ = await self.order(image, token=token, **asked)
        await self.settled(id_, status)
        return id_

    async def show(self, id_: str) -> dict[str, Any]:
        """As administrators see it; `status` "gone" where it is."""
        answer = await self.ask("GET", f"/servers/{id_}", token="admin@blue")
        if answer.status == 404:
            return {"status": "gone"}
        found: dict[str, Any] = answer.json["server"]
        return found

    async def settled(self, id_: str, status: str) -> dict[str, Any]:
        """A server once nothing is done with it; it is to be so."""
        with trio.fail_after(PATIENCE_S):
            while True:
                server = self.compute.store.records.servers.get(id_)
                if server is None or server.transition is None:
                    break
                await self.compute.store.later_than(self.compute.store.revision)
        found = await self.show(id_)
        assert found["status"] == status, found
        return found

    async def act(self, id_: str, action: str, arguments: Any = None, **said: Any) -> Any:
        """An action that is taken."""
        return await self.done("POST", f"/servers/{id_}/action", {action: arguments}, **said)
