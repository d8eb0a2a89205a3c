"""Machines become one cluster by the commands as typed, lose one, get another, and remove a dead one."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from tests.cluster.machines import Site
from tests.cluster.node import PATIENCE, SERVE, Node
from tests.cluster.waiting import until

ASK = """
import http.client, json, sys, time
address, user, key, container, *asked = sys.argv[1:]
connection = http.client.HTTPConnection(address, timeout=60)
def ask(method, path, body=None, **headers):
    for _ in range(30):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.headers
        if answer.status != 503:  # try again, it says; on a busy machine a quorum may take longer than one request
            break
        time.sleep(1)
    return found
status, _, headers = ask("GET", "/auth/v1.0", X_Auth_User=user, X_Auth_Key=key)
assert status == 200, status
token, path = headers["X-Auth-Token"], "/v1/" + headers["X-Storage-Url"].split("/v1/")[1] + "/" + container
status, body, _ = ask("PUT", path, X_Auth_Token=token)
assert status in (201, 202), ("PUT", path, status, body)
for word in asked:
    method, name, size = word.split(",")
    content = (name * int(size)).encode()
    status, body, _ = ask(method, path + "/" + name, content if method == "PUT" else None, X_Auth_Token=token)
    assert status == (201 if method == "PUT" else 200), (word, status, body)
    assert method == "PUT" or body == content, word
print(json.dumps(ask("GET", path, X_Auth_Token=token)[1].decode().split()))
"""


class DeviceNode(Node):
    """One that can be given a device, and tells what it has."""

    def add_device(self) -> None:
        """One that counts as much as the three of the first node."""
        disk = self.machine.folder / "disk"
        disk.mkdir()
        self.typed("device", "add", str(disk), "--weight", "3")

    def live_bytes(self) -> int:
        """On its own devices."""
        return sum(device["live_bytes"] for device in self.status()["devices"] if device["node"] == self.name)

    def settled(self, nodes: int) -> bool:
        """Whether it sees the devices of so many nodes, all in order, and no change of the ring under way."""
        status = self.status()
        devices, live = status["devices"], status["live_layouts"]
        return len(devices) == nodes + 2 and {device["state"] for device in devices} == {"ok"} and len(live) == 1


def removed(node: DeviceNode, name: str) -> bool:
    """Whether a node could be removed, which it can when it is empty."""
    try:
        return "is removed" in node.typed("node", "remove", name)
    except AssertionError as error:
        if "is not empty yet" not in str(error):
            raise
        return False


class Cloud:
    """The nodes, and what has been put there."""

    def __init__(self, site: Site) -> None:
        self.client = site.add(zone=9)
        self.nodes: list[DeviceNode] = []
        self.site = site
        self.names: list[tuple[str, int]] = []
        self._key = ""

    def add(self) -> DeviceNode:
        number = len(self.nodes) + 1
        node = DeviceNode(self.site.add(zone=number), f"n{number}")
        self.nodes.append(node)
        return node

    def put(self, nodes: list[DeviceNode], word: str) -> None:
        """At each node a small and a large object."""
        for node in nodes:
            new = [(f"{word}-{node.name}", 3), (f"{word}-{node.name}-large", 50_000)]
            self._ask(node, [f"PUT,{name},{size}" for name, size in new])
            self.names += new

    def get(self, nodes: list[DeviceNode]) -> None:
        """All that was ever put, at each."""
        for node in nodes:
            listed = self._ask(node, [f"GET,{name},{size}" for name, size in self.names])
            assert sorted(listed) == sorted(name for name, _ in self.names)

    @property
    def key(self) -> str:
        """The administrator's password, from where the cloud was made."""
        if not self._key:
            lines = (self.nodes[0].data / "admin-openrc").read_text().splitlines()
            self._key = next(line.split("=", 1)[1] for line in lines if line.startswith("export OS_PASSWORD="))
        return self._key

    def _ask(self, node: DeviceNode, asked: list[str]) -> list[str]:
        address = f"{node.machine.address}:{SERVE}"
        answer = self.client.run(sys.executable, "-c", ASK, address, "admin:admin", self.key, "c", *asked)
        names: list[str] = json.loads(answer)
        return names

    def spread(self, nodes: list[DeviceNode], times: int = 2) -> None:
        """Use all devices. A partition gives up one copy at a time."""
        for _ in range(times):
            nodes[-1].typed("ring", "apply")
            until(lambda: all(node.settled(len(nodes)) for node in nodes), PATIENCE)


def make(cloud: Cloud, registry: str) -> list[DeviceNode]:
    """Three nodes, by three commands."""
    first, second, third = cloud.add(), cloud.add(), cloud.add()
    options = ("--devices", "3", "--replicas", "3", "--registry", registry)
    first.typed("cluster", "init", "--name", "n1", "--listen", first.listens, *options)
    first.start()
    for node in (second, third):
        node.join(first)
        node.start()
        node.add_device()
    cloud.spread(cloud.nodes)
    cloud.put(cloud.nodes, "three")
    cloud.get(cloud.nodes)
    return cloud.nodes


@pytest.mark.process
@pytest.mark.timeout(900)
def test_machines_become_one_cluster_and_any_may_be_lost(site: Site) -> None:
    if shutil.which("etcd") is None:
        pytest.skip("not installed: etcd")
    cloud = Cloud(site)
    first, second, third = make(cloud, "etcd")
    until(lambda: all(node.voters == 3 for node in cloud.nodes), PATIENCE)  # two survive the loss of none
    for lost, others in (third, [first, second]), (first, [second, third]):
        lost.machine.crash()
        cloud.put(others, f"without-{lost.name}")
        cloud.get(others)
        assert "drystone join" in others[0].typed("cluster", "token")
        lost.start()
        until(lambda: all(node.settled(3) for node in cloud.nodes), PATIENCE)
        cloud.get(cloud.nodes)


@pytest.mark.process
@pytest.mark.timeout(900)
def test_a_fourth_machine_comes_a_dead_one_goes_and_one_is_emptied(site: Site) -> None:
    cloud = Cloud(site)
    first, second, third = make(cloud, "embedded")
    fourth = cloud.add()
    fourth.join(third)
    fourth.start()
    fourth.add_device()
    cloud.spread(cloud.nodes, times=1)
    cloud.put(cloud.nodes, "four")
    assert fourth.live_bytes() > 0, "nothing was moved there"

    with pytest.raises(AssertionError, match="n2 runs"):
        first.typed("node", "remove", "--dead", "n2")
    second.machine.crash()
    left = [first, third, fourth]
    cloud.put(left, "three-again")
    until(lambda: "does not run" in first.typed("node", "list"), PATIENCE)
    assert "Node n2 is removed" in third.typed("node", "remove", "--dead", "n2")
    until(lambda: all(node.settled(3) for node in left), PATIENCE)
    assert "n2" not in first.typed("node", "list")
    cloud.get(left)
    second.process.start()  # what it was is nobody any more
    until(lambda: not second.process.running, PATIENCE)
    assert "was removed" in second.process.output()

    with pytest.raises(AssertionError, match="drystone node drain n4"):
        first.typed("node", "remove", "n4")
    assert "being emptied" in third.typed("node", "drain", "n4")
    until(lambda: removed(first, "n4"), PATIENCE)
    until(lambda: not fourth.process.running, PATIENCE)
    until(lambda: all(node.settled(2) for node in (first, third)), PATIENCE)
    cloud.get([first, third])
