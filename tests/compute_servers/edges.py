"""Every edge of the state machine: a server in a state, what is asked for, and where it is to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from compute_plugin.clients.callers import COMPUTE
from compute_plugin.lifecycle.changes import begun
from compute_plugin.lifecycle.table import LINES
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.records.server import VmState
from compute_plugin.records.server import VmState as S
from compute_plugin.settings import Settings
from tests.compute_servers.cloud import Cloud

ADMIN: Final = "admin@blue"
ZERO: Final = Flavor(id="1", name="zero", vcpus=1, ram=512, disk=0, ephemeral=1, swap=64)
LARGE: Final = Flavor(id="2", name="large", vcpus=2, ram=1024, disk=1, ephemeral=1, swap=64)
NO_DOING: Final = frozenset({"live-migrate"})
"""Lines that others prove."""
RUNNING: Final = frozenset({S.ACTIVE, S.PAUSED, S.RESCUED})


@dataclass(frozen=True)
class Edge:
    """A transition from a state."""

    what: str
    begins: VmState
    ends: VmState | None
    """None: it is gone."""
    of_volume: bool = False
    """Whether the server boots from a volume."""
    elsewhere: bool = False
    """Whether there are two hosts, and it goes from one to the other."""

    @property
    def name(self) -> str:
        more = [*(["volume"] if self.of_volume else []), *(["elsewhere"] if self.elsewhere else [])]
        return "-".join([self.what, str(self.begins), *more])

    @property
    def two_hosts(self) -> bool:
        return self.elsewhere

    @property
    def settings(self) -> Settings:
        soft = self.begins is S.SOFT_DELETED or self.what in ("soft-delete", "restore")
        return Settings(reclaim_s=10**9 if soft else 0)


def _ends(what: str, state: VmState) -> VmState | None:
    """Where a server is afterwards that began in a state."""
    if what == "delete" or (what == "soft-delete" and state is S.OFFLOADED):
        return None  # what takes nothing of a host is deleted for good, as in stock nova
    if what == "hard-reboot":
        return S.RESCUED if state is S.RESCUED else S.ACTIVE
    if what in ("confirm-resize", "revert-resize"):
        return S.ACTIVE
    if what in ("evacuate", "rebuild"):
        return S.STOPPED if state is S.STOPPED else S.ACTIVE
    return LINES[what].ends or state


def _edges() -> list[Edge]:
    found = []
    for line in LINES.values():
        if line.what in NO_DOING:
            continue
        for state in sorted(line.begins):
            if state is S.BUILDING and line.what != "build":
                continue  # what is being built is deleted in its midst
            ends = _ends(line.what, state)
            moves = line.what in ("migrate", "evacuate")
            found.append(Edge(line.what, state, ends, elsewhere=moves))
            if line.what in ("resize", "confirm-resize", "revert-resize"):
                found.append(Edge(line.what, state, ends, elsewhere=True))
            if state in (S.ACTIVE, S.BUILDING) and line.what in ("build", "delete", "rebuild", "create-image"):
                found.append(Edge(line.what, state, ends, of_volume=True))
    return found


EDGES: Final = tuple(_edges())


# -- what there is before ----------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A cloud with what an edge needs."""

    cloud: Cloud
    edge: Edge
    image: str = ""
    network: str = ""
    other_network: str = ""
    data: str = ""
    """A volume that the server has."""
    more: str = ""
    """One that it has not."""
    port: str = ""
    """That was there before the server."""
    server: str = ""


async def prepared(cloud: Cloud, edge: Edge) -> Scene:
    """With a server in the state that the edge begins in."""
    scene = Scene(cloud, edge)
    await cloud.flavors(ZERO, LARGE)
    await cloud.host("one")
    scene.image = await cloud.image(hw_qemu_guest_agent="yes")
    scene.network = await cloud.network()
    scene.data, scene.more = await cloud.volume(), await cloud.volume()
    scene.port = await cloud.port(scene.network)
    if edge.what == "attach-interface":
        scene.other_network = await cloud.network(cidr="10.0.1.0/24")
    if edge.what == "build":
        return scene
    scene.server = await cloud.server(**_order(scene))
    await _REACH[edge.begins](scene)
    if edge.elsewhere and edge.begins is not S.RESIZED:
        await cloud.host("two")
    return scene


def _order(scene: Scene) -> dict[str, Any]:
    disks: list[dict[str, Any]] = [{"source_type": "volume", "destination_type": "volume", "uuid": scene.data}]
    image = scene.image
    if scene.edge.of_volume:
        disks.insert(0, {
            "source_type": "image", "destination_type": "volume", "uuid": image, "boot_index": 0, "volume_size": 1,
            "delete_on_termination": True,
        })  # fmt: skip
        image = ""
    return {
        "image": image,
        "token": ADMIN,
        "block_device_mapping_v2": disks,
        "networks": [{"uuid": scene.network}, {"port": scene.port}],
        "config_drive": True,
    }


async def _nothing(_: Scene) -> None:
    """It is there already."""


def _by(action: str, status: str, arguments: Any = None) -> Callable[[Scene], Awaitable[None]]:
    async def reach(scene: Scene) -> None:
        await scene.cloud.act(scene.server, action, arguments, token=ADMIN)
        await scene.cloud.settled(scene.server, status)

    return reach


async def _resized(scene: Scene) -> None:
    if scene.edge.elsewhere:
        await scene.cloud.host("two")
    await _by("resize", "VERIFY_RESIZE", {"flavorRef": "2"})(scene)
    server = scene.cloud.compute.store.records.servers.require(scene.server)
    assert server.host == ("two" if scene.edge.elsewhere else "one")


async def _shelved(scene: Scene) -> None:
    """Such as it was on its way to be offloaded: it has a host yet."""
    await _by("os-stop", "SHUTOFF")(scene)

    def step(records: Records) -> None:
        records.servers.put(replace(records.servers.require(scene.server), state=S.SHELVED))

    await scene.cloud.compute.store.change(step)


async def _soft_deleted(scene: Scene) -> None:
    await scene.cloud.done("DELETE", f"/servers/{scene.server}", token=ADMIN)
    await scene.cloud.settled(scene.server, "SOFT_DELETED")


_REACH: Final[Mapping[VmState, Callable[[Scene], Awaitable[None]]]] = MappingProxyType(
    {
        S.ACTIVE: _nothing,
        S.STOPPED: _by("os-stop", "SHUTOFF"),
        S.PAUSED: _by("pause", "PAUSED"),
        S.SUSPENDED: _by("suspend", "SUSPENDED"),
        S.RESIZED: _resized,
        S.RESCUED: _by("rescue", "RESCUE"),
        S.SHELVED: _shelved,
        S.OFFLOADED: _by("shelve", "SHELVED_OFFLOADED"),
        S.ERROR: _by("os-resetState", "ERROR", {"state": "error"}),
        S.SOFT_DELETED: _soft_deleted,
    }
)


# -- what is asked for -------------------------------------------------------------------------------------------


Ask = Callable[[Scene], Awaitable[None]]


def _action(name: str, arguments: Any = None, version: str = "2.93") -> Ask:
    async def ask(scene: Scene) -> None:
        await scene.cloud.act(scene.server, name, arguments, token=ADMIN, version=version)

    return ask


async def _build(scene: Scene) -> None:
    scene.server = await scene.cloud.order(**_order(scene))


async def delete(scene: Scene) -> None:
    """For good, whatever the cloud keeps."""
    await scene.cloud.act(scene.server, "forceDelete", token=ADMIN)


async def _soft_delete(scene: Scene) -> None:
    await scene.cloud.done("DELETE", f"/servers/{scene.server}", token=ADMIN)


async def _rebuild(scene: Scene) -> None:
    await _action("rebuild", {"imageRef": scene.image})(scene)


async def _evacuate(scene: Scene) -> None:
    def step(records: Records) -> None:
        note = records.host_notes.get("one") or HostNote(id="one", service_id="s")
        records.host_notes.put(replace(note, forced_down=True))

    await scene.cloud.compute.store.change(step)
    await _action("evacuate", {})(scene)


async def _attach_volume(scene: Scene) -> None:
    body = {"volumeAttachment": {"volumeId": scene.more}}
    await scene.cloud.done("POST", f"/servers/{scene.server}/os-volume_attachments", body, token=ADMIN)


async def _detach_volume(scene: Scene) -> None:
    path = f"/servers/{scene.server}/os-volume_attachments/{scene.data}"
    await scene.cloud.done("DELETE", path, token=ADMIN)


async def _extend_volume(scene: Scene) -> None:
    cloud = scene.cloud

    def step(records: Records) -> None:
        server = records.servers.require(scene.server)
        begun(
            records, server, "extend-volume", COMPUTE, id_=cloud.compute.new_id(), request_id="req-1",
            now_us=cloud.clock.wall_us(), arguments={"volume": scene.data}, host=None if server.host else "",
        )  # fmt: skip

    await cloud.compute.store.change(step)


async def _attach_interface(scene: Scene) -> None:
    body = {"interfaceAttachment": {"net_id": scene.other_network}}
    await scene.cloud.done("POST", f"/servers/{scene.server}/os-interface", body, token=ADMIN)


async def _detach_interface(scene: Scene) -> None:
    await scene.cloud.done("DELETE", f"/servers/{scene.server}/os-interface/{scene.port}", token=ADMIN)


ASK: Final[Mapping[str, Ask]] = MappingProxyType(
    {
        "build": _build,
        "delete": delete,
        "soft-delete": _soft_delete,
        "restore": _action("restore"),
        "start": _action("os-start"),
        "stop": _action("os-stop"),
        "reboot": _action("reboot", {"type": "SOFT"}),
        "hard-reboot": _action("reboot", {"type": "HARD"}),
        "pause": _action("pause"),
        "unpause": _action("unpause"),
        "suspend": _action("suspend"),
        "resume": _action("resume"),
        "rescue": _action("rescue"),
        "unrescue": _action("unrescue"),
        "resize": _action("resize", {"flavorRef": "2"}),
        "confirm-resize": _action("confirmResize"),
        "revert-resize": _action("revertResize"),
        "migrate": _action("migrate"),
        "evacuate": _evacuate,
        "rebuild": _rebuild,
        "shelve": _action("shelve"),
        "offload": _action("shelveOffload"),
        "unshelve": _action("unshelve"),
        "create-image": _action("createImage", {"name": "copy"}),
        "set-password": _action("changePassword", {"adminPass": "secret"}),
        "attach-volume": _attach_volume,
        "detach-volume": _detach_volume,
        "extend-volume": _extend_volume,
        "attach-interface": _attach_interface,
        "detach-interface": _detach_interface,
        "interrupt": _action("trigger_crash_dump"),
    }
)
