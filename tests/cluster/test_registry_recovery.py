"""A cluster whose etcd has lost its majority goes on from one member, and from a snapshot: as typed, on machines."""

from __future__ import annotations

import shlex
import shutil

import pytest

from tests.cluster.machines import Site
from tests.cluster.node import PATIENCE
from tests.cluster.test_membership import Cloud, DeviceNode, make
from tests.cluster.waiting import until

SNAPSHOTS = "disk/registry-snapshots"


def lose(*nodes: DeviceNode) -> None:
    """The disks with their data folders: their etcd, and who they are. What was added as a device is on another."""
    for node in nodes:
        node.machine.crash()
        shutil.rmtree(node.data)


def rebuild(by: DeviceNode, *nodes: DeviceNode) -> None:
    for node in nodes:
        line = shlex.split(by.typed("node", "replace", node.name))
        node.typed(*line[1:], "--listen", node.listens)
        node.start()


def takes_part(node: DeviceNode) -> bool:
    return (node.data / "etcd" / "member").exists()


@pytest.mark.process
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("etcd") is None, reason="not installed: etcd")
def test_two_of_three_and_then_all_that_vote_are_lost(site: Site) -> None:
    cloud = Cloud(site)
    first, second, third = make(cloud, "etcd")
    until(lambda: all(node.voters == 3 for node in (first, second, third)), PATIENCE)
    fourth = cloud.add()
    fourth.join(first)
    fourth.start()
    fourth.add_device()
    cloud.spread(cloud.nodes)
    cloud.put(cloud.nodes, "before")

    lose(second, third)
    first.process.kill()
    with pytest.raises(AssertionError, match="--accept-missing goes on"):
        first.typed("registry", "recover", "--from-survivor")
    recover = ("registry", "recover", "--from-survivor", "--accept-missing")
    with pytest.raises(AssertionError, match="these nodes run: n4"):
        first.typed(*recover)
    fourth.process.kill()
    assert "goes on alone" in first.typed(*recover)
    first.start()
    fourth.start()
    until(lambda: takes_part(fourth), PATIENCE)
    rebuild(first, second)
    until(lambda: takes_part(second), PATIENCE)
    cloud.put([first, second, fourth], "survived")  # with three of the four devices of most rows
    shutil.rmtree(third.machine.folder / SNAPSHOTS, ignore_errors=True)
    rebuild(first, third)
    until(lambda: all(node.settled(4) for node in cloud.nodes), PATIENCE)
    until(lambda: all(node.voters == 3 for node in cloud.nodes), PATIENCE)
    cloud.get(cloud.nodes)
    until(lambda: any((third.machine.folder / SNAPSHOTS).glob("[0-9]*")), PATIENCE)

    lose(*cloud.nodes)  # nobody knows any more who it is
    disk = str(third.machine.folder / "disk")
    again = ("registry", "recover", "--from-devices", "--device", disk, "--name", "n3")
    with pytest.raises(AssertionError, match="--accept-missing goes on"):
        third.typed(*again)
    said = third.typed(*again, "--accept-missing")
    assert "users, projects and passwords are as they were then" in said
    third.start()
    rebuild(third, second, fourth)
    cloud.put([second, third, fourth], "again")
    rebuild(third, first)
    lost = [device["device"] for device in third.status()["devices"] if device["node"] == "n1"]
    for number in lost:
        folder = first.machine.folder / f"disk-{number}"
        folder.mkdir()
        first.typed("device", "add", str(folder), "--in-place-of", str(number))
    until(lambda: all(node.settled(4) for node in cloud.nodes), PATIENCE)
    until(lambda: all(node.voters == 3 for node in cloud.nodes), PATIENCE)
    cloud.get(cloud.nodes)
