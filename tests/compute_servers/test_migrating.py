"""Servers go from host to host while they run."""

from __future__ import annotations

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from tests.compute_servers.cloud import Cloud


async def test_a_server_goes_to_another_host_while_it_runs(cloud: Cloud) -> None:
    await cloud.host("two")
    id_ = await cloud.server(await cloud.image(), networks=[{"uuid": await cloud.network()}])
    source = (await cloud.show(id_))["OS-EXT-SRV-ATTR:host"]
    target = "two" if source == "one" else "one"
    body = {"host": None, "block_migration": "auto"}
    await cloud.act(id_, "os-migrateLive", body, token="admin@blue")
    shown = await cloud.settled(id_, "ACTIVE")
    assert shown["OS-EXT-SRV-ATTR:host"] == target
    assert id_ not in cloud.hypervisors[source].running
    running = cloud.hypervisors[target].running[id_]
    assert running.renewed == 1, "its disks outlive a restart of their server again"
    (port,) = cloud.networks.store.records.ports.by("device", id_)
    assert port.host == target
    (migration,) = (await cloud.done("GET", "/os-migrations", token="admin@blue"))["migrations"]
    assert (migration["status"], migration["dest_compute"]) == ("completed", target)
    assert len(_claims(cloud, id_)) == 1


async def test_a_server_that_cannot_go_stays(cloud: Cloud) -> None:
    await cloud.host("two")
    id_ = await cloud.server(await cloud.image())
    source = (await cloud.show(id_))["OS-EXT-SRV-ATTR:host"]
    target = "two" if source == "one" else "one"
    cloud.hypervisors[target].is_gone = True
    await cloud.act(id_, "os-migrateLive", {"host": target, "block_migration": False}, token="admin@blue")
    shown = await cloud.settled(id_, "ACTIVE")
    assert shown["OS-EXT-SRV-ATTR:host"] == source
    assert id_ in cloud.hypervisors[source].running
    (migration,) = (await cloud.done("GET", "/os-migrations", token="admin@blue"))["migrations"]
    assert migration["status"] == "error"
    assert len(_claims(cloud, id_)) == 1


def _claims(cloud: Cloud, id_: str) -> tuple[object, ...]:
    records: Records = cloud.compute.store.records
    server: Server = records.servers.require(id_)
    return server.claims
