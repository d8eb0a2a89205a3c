"""The registry of a cluster in a real etcd: moved there whole, and closed to nodes that were removed."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from drystone import etcd_node
from drystone.cluster import save_cluster
from drystone.cluster_init import init_cluster
from drystone.device_records import DeviceRecord, load_records, save_records
from drystone.etcd_node import client_url, open_etcd
from drystone.folder import DataFolder
from drystone.founding import SEED
from drystone.layouts import load_ring, save_ring
from drystone.links import Links
from drystone.node_identity import NodeIdentity, credentials_of, find_identity, save_identity
from drystone.node_records import find_authority, load_nodes, put_revoked
from store.core.clock import SystemClock
from store.core.errors import RetryableError
from store.registry import open_embedded
from store.registry.etcd import EtcdRegistry, Tls, open_client
from store.registry.etcd.members import members
from store.registry.single_key import put
from store.ring import Builder, Ring
from store.wire.authority import issue, serial_of
from tests.membership.first_node import CLUSTER
from tests.ports import free_address

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("etcd") is None, reason="not installed: etcd"),
]


async def made(path: Path) -> tuple[DataFolder, Ring]:
    """The folder of a first node, with an embedded registry that is to move."""
    folder = DataFolder(str(path))
    path.mkdir()
    save_cluster(folder, CLUSTER)
    builder = Builder()
    builder.add(1, 1, "m1", 1.0, "devices/0")
    ring = Ring(CLUSTER.key, (builder.rebalance(SEED),))
    clock = SystemClock()
    with open_embedded(folder.registry, clock) as registry:
        await save_ring(registry, ring, 0)
        await save_records(registry, {0: DeviceRecord(b"i" * 16, in_sync=True, label="devices/0")})
        for number in range(300):
            await put(registry, b"user/%d" % number, b"x" * 5000)
        lease = await registry.lease(600)
        await put(registry, b"token/x", b"", lease=lease.id)
    address = free_address(in_a_row=3)
    identity = NodeIdentity("n1", address, 1, 1, "m1", "", "", (client_url(address),))
    await init_cluster(folder, identity, clock)
    return folder, ring


def links_of(folder: DataFolder) -> Links:
    identity = find_identity(folder)
    assert identity is not None
    return Links(folder, CLUSTER, identity)


async def test_the_embedded_registry_moves_there_whole_and_is_opened_there_again(tmp_path: Path) -> None:
    folder, ring = await made(tmp_path / "n1")
    with trio.fail_after(120):
        async with open_etcd(folder, links_of(folder), SystemClock(), worker=False) as registry:
            stored = await load_ring(registry, CLUSTER.key)
            assert stored.ring is not None
            assert stored.ring.live == ring.live
            assert (await load_records(registry))[0].node == "n1"
            assert len([await registry.get(b"user/%d" % number) for number in range(300)]) == 300
            assert await registry.get(b"user/299") is not None
            assert await registry.get(b"token/x") is None, "its lease has ended: nobody would end it there"
            assert await registry.revision() > 1 << 40, "above all that the embedded one has told"
            assert list(await load_nodes(registry)) == ["n1"]
            await put(registry, b"later", b"kept")
        assert not folder.has_registry
        async with open_etcd(folder, links_of(folder), SystemClock(), worker=False) as registry:
            assert await registry.get(b"later") is not None


async def test_a_certificate_that_was_revoked_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_node, "LOOK_SECONDS", 0.2)
    folder, _ = await made(tmp_path / "n1")
    other = DataFolder(str(tmp_path / "n2"))
    (tmp_path / "n2").mkdir()
    links = links_of(folder)
    with trio.fail_after(120):
        async with open_etcd(folder, links, SystemClock(), worker=False) as registry:
            authority = await find_authority(registry)
            assert authority is not None
            now = datetime.datetime.now(datetime.UTC)
            certificate, key = issue(authority, "n2", CLUSTER.id.hex(), now, "127.0.0.1")
            save_identity(other, links.identity, authority.certificate, certificate, key)
            assert await readable(other, links)
            await registry.transact([], [put_revoked(serial_of(certificate))])
            while await readable(other, links):
                await trio.sleep(0.2)
            assert await registry.get(b"authority") is not None, "others go on"
            assert await readable(folder, links)


async def test_a_worker_asks_etcd_and_has_no_member_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_node, "LOOK_SECONDS", 0.2)
    folder, _ = await made(tmp_path / "n1")
    (tmp_path / "n1-p2").mkdir()
    worker = DataFolder(str(tmp_path / "n1-p2"))
    with trio.fail_after(120):
        async with open_etcd(folder, links_of(folder), SystemClock(), worker=False) as registry:
            authority = await find_authority(registry)
            assert authority is not None
            certificate, key = issue(
                authority, "n1-p2", CLUSTER.id.hex(), datetime.datetime.now(datetime.UTC), "127.0.0.1"
            )
            identity = replace(links_of(folder).identity, name="n1-p2", address=free_address(in_a_row=3))
            save_identity(worker, identity, authority.certificate, certificate, key)
            async with open_etcd(worker, links_of(worker), SystemClock(), worker=True) as same:
                assert await same.get(b"user/7") is not None
                files = credentials_of(worker)
                tls = Tls(files.authority, files.certificate, files.key)
                async with open_client(identity.etcd, tls) as client:
                    for _ in range(5):  # while it looks at who there is, again and again
                        await trio.sleep(0.2)
                        assert [member.name for member in await members(client)] == ["n1"]


async def readable(folder: DataFolder, links: Links) -> bool:
    """Whether the registry is, with the certificate in a folder."""
    files = credentials_of(folder)
    async with open_client(links.identity.etcd, Tls(files.authority, files.certificate, files.key)) as client:
        try:
            await EtcdRegistry(client, etcd_node.prefix_of(links.cluster)).revision()
        except RetryableError:
            return False
        return True
