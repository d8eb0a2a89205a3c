"""What is to be so of a cloud in which nothing is done: of guests, ports, disks, volumes and images, each is what a
server's record says, and there is nothing besides."""

from __future__ import annotations

from typing import Any

from compute_plugin.agent.guest_plan import disks_of, tap_of
from compute_plugin.hypervisors.interface import Power
from compute_plugin.networks.records.port import COMPUTE
from compute_plugin.records.server import Server, VmState
from image_registry.records import Image
from tests.compute_servers.cloud import Cloud
from tests.compute_servers.edges import RUNNING, Edge, Scene


async def check(scene: Scene, *, gone: bool) -> None:
    """After an edge. `gone`: whether the server is to be."""
    cloud, records = scene.cloud, scene.cloud.compute.store.records
    servers = list(records.servers)
    assert all(one.transition is None for one in servers), [one.transition for one in servers]
    if gone:
        assert not servers, [(one.state, one.fault) for one in servers]
    else:
        (server,) = servers
        wanted = scene.edge.ends
        assert server.state is wanted, (server.state, wanted, server.fault)
        _check_what_was_done(scene.edge, cloud, server)
    await check_parts(cloud)


def _check_what_was_done(edge: Edge, cloud: Cloud, server: Server) -> None:
    if edge.what == "attach-volume":
        assert len(server.disks) == 5
    if edge.what == "attach-interface":
        assert len(server.nics) == 3
    if edge.what == "detach-volume":
        assert len(server.disks) == 3
    if edge.what == "detach-interface":
        assert len(server.nics) == 1
    if edge.what == "resize":
        assert server.flavor.id == "2"
        assert server.host == ("two" if edge.elsewhere else "one")
    if edge.what == "revert-resize":
        assert (server.flavor.id, server.host) == ("1", "one")
    if edge.what in ("confirm-resize", "revert-resize"):
        assert server.before is None
        states = [one.status for one in cloud.compute.store.records.migrations]
        assert states == ["confirmed" if edge.what == "confirm-resize" else "reverted"]
    if edge.what in ("migrate", "evacuate"):
        assert server.host == "two"


async def check_nothing(scene: Scene) -> None:
    """When all servers are deleted: what was there before them is there, and nothing else."""
    cloud = scene.cloud
    assert not list(cloud.compute.store.records.servers), [
        (one.state, one.fault, one.transition) for one in cloud.compute.store.records.servers
    ]
    await check_parts(cloud)
    kept = await cloud.volumes.volumes.every()
    if (scene.edge.what, scene.edge.of_volume) == ("create-image", True):  # what has snapshots stays, as in stock nova
        kept = [one for one in kept if not one.image]
    assert {one.id for one in kept} == {scene.data, scene.more}
    assert all(not one.attachments for one in await cloud.volumes.volumes.every())
    ports = [one for one in cloud.networks.store.records.ports if not one.device_owner.startswith("network:")]
    assert [(one.id, one.device_id, one.host) for one in ports] == [(scene.port, "", "")]
    left = [str(one.relative_to(cloud.folder)) for name in cloud.hosts for one in (cloud.folder / name).glob("*")]
    assert not left, left


async def check_parts(cloud: Cloud) -> None:
    """Of all servers."""
    servers = list(cloud.compute.store.records.servers)
    check_guests(cloud, servers)
    check_ports(cloud, servers)
    check_disks(cloud, servers)
    await check_volumes(cloud, servers)
    await check_images(cloud)
    for action in cloud.compute.store.records.actions:
        assert all(event.finished_us for event in action.events), action
    for migration in cloud.compute.store.records.migrations:
        assert migration.status in ("finished", "confirmed", "reverted", "done", "error"), migration


def runs(server: Server) -> bool:
    """Whether its guest is to run."""
    if server.state is VmState.RESIZED:
        assert server.before is not None
        return server.before.state is VmState.ACTIVE
    return server.state in RUNNING


def check_guests(cloud: Cloud, servers: list[Server]) -> None:
    known = {one.id: one for one in servers}
    for name, hypervisor in cloud.hypervisors.items():
        for id_, running in hypervisor.running.items():
            server = known.get(id_)
            assert server is not None, f"guest {id_} of no server runs on {name}"
            assert server.host == name, f"guest {id_} runs on {name}, and is {server.host}'s"
            assert runs(server) or server.state is VmState.ERROR, f"{id_} runs, and is {server.state}"
            exports = {disk.export for disk in running.disks.values() if disk.export}
            assert exports == {one.export for one in disks_of(server, "")}
            networks = cloud.networks.store.records
            taps = {tap_of(nic.port_id) for nic in server.nics if networks.ports.get(nic.port_id) is not None}
            assert {one.tap for one in running.nics.values()} == taps
            if server.state is not VmState.ERROR:
                assert (running.power is Power.PAUSED) is (server.state is VmState.PAUSED)
    for server in servers:
        if runs(server):
            assert server.id in cloud.hypervisors[server.host].running, f"{server.id} is {server.state} without a guest"


def check_ports(cloud: Cloud, servers: list[Server]) -> None:
    wanted = {nic.port_id: server for server in servers for nic in server.nics}
    for port in cloud.networks.store.records.ports:
        if port.device_owner.startswith(COMPUTE) or port.id in wanted:
            server = wanted.pop(port.id, None)
            assert server is not None, f"port {port.id} of {port.device_id} is forgotten"
            assert port.device_id == server.id
            if runs(server):
                assert port.host == server.host
            elif not server.host:
                assert port.host == ""
    assert not wanted


def check_disks(cloud: Cloud, servers: list[Server]) -> None:
    wanted = {disk.store_name for server in servers for disk in server.disks if disk.store_name}
    wanted |= {server.rescue_disk.store_name for server in servers if server.rescue_disk is not None}
    there = {name for name in cloud.store.volumes if name.startswith("server-")}
    assert there == wanted, (there - wanted, wanted - there)
    for server in servers:
        for disk in server.disks:
            if disk.store_name:
                held = len(cloud.store.volumes[disk.store_name].snapshots)
                assert held == (server.state is VmState.RESIZED), (server.state, held)


async def check_volumes(cloud: Cloud, servers: list[Server]) -> None:
    wanted = {disk.attachment_id: server.id for server in servers for disk in server.disks if disk.attachment_id}
    offloaded = {disk.volume_id for server in servers for disk in server.disks if not server.host}
    there: dict[str, Any] = {}
    for volume in await cloud.volumes.volumes.every():
        shown = await cloud.show_volume(volume.id)
        reserved = ("reserved",) if volume.id in offloaded else ()
        assert shown["status"] in ("available", "in-use", *reserved), shown["status"]
        there |= {one.id: one.server_id for one in volume.attachments}
    assert there == wanted, (there, wanted)


async def check_images(cloud: Cloud) -> None:
    images: list[Image] = await cloud.images.images.all()
    assert all(one.copies for one in images), [one for one in images if not one.copies]
