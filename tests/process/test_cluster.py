"""Three processes on ports of loopback that become one cluster by the commands as typed."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cluster.waiting import until
from tests.ports import free_address
from tests.process.program import Client, Program

PATIENCE = 120.0


class Node(Program):
    """One node; its administrator's password is where the cloud was made."""

    def __init__(self, folder: Path, first: Path) -> None:
        super().__init__(folder)
        self._first = first

    def settings(self) -> dict[str, str]:
        here, self.folder = self.folder, self._first
        try:
            return super().settings()
        finally:
            self.folder = here

    def typed(self, *arguments: str) -> str:
        done = self.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        done = self.command(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    @property
    def moving(self) -> bool:
        """Whether a change of the ring goes on, as this one knows."""
        return "A change is open" in self.typed("ring", "show") or "goes on" in self.typed("status")

    def states(self) -> dict[int, str]:
        lines = self.typed("status").splitlines()
        found = (re.match(r"(\d+) +(\w+) .*: ", line) for line in lines)
        return {int(match[1]): match[2] for match in found if match}

    def is_done(self, name: str) -> bool:
        """Whether one of its loops has had a round, and has nothing left to do."""
        loops = json.loads(self.typed("status", "--json"))["loops"]
        return any(loop["rounds"] and not loop["left"] for loop in loops if loop["loop"] == name)

    def add_device(self, name: str) -> None:
        path = self.folder.parent / name
        path.mkdir()
        self.typed("device", "add", str(path))


@contextmanager
def cluster(tmp_path: Path, count: int, replicas: int = 2, devices: str = "ab") -> Iterator[list[Node]]:
    """So many nodes with these devices each, the first with one for each copy, and everything spread among them."""
    nodes = [Node(tmp_path / f"n{number}", tmp_path / "n1") for number in range(1, count + 1)]
    first = nodes[0]
    try:
        options = ("--machine", "m1", "--devices", str(replicas), "--replicas", str(replicas))
        first.typed("cluster", "init", "--name", "n1", "--listen", free_address(), *options)
        first.start()
        for node in nodes[1:]:
            join(first, node)
            node.start()
            for device in devices:
                node.add_device(f"{node.folder.name}-{device}")
        for _ in range(2):  # a partition gives up one copy at a time
            nodes[-1].typed("ring", "apply")
            until(lambda: not first.moving, PATIENCE)
        yield nodes
    finally:
        for node in nodes:
            if node.running:
                node.kill()


def join(first: Node, node: Node, *options: str) -> None:
    line = shlex.split(first.typed("cluster", "token"))
    name = node.folder.name
    node.typed(*line[1:], "--name", name, "--listen", free_address(), "--machine", name, *options)


def all_are_ok(nodes: Sequence[Node]) -> None:
    """Each sees every device."""
    until(lambda: all(set(node.states().values()) == {"ok"} for node in nodes), PATIENCE)


def put(client: Client, name: str, content: bytes) -> None:
    """Where a device goes in the middle of it, of two that it was to be on, the client is told to repeat it."""
    until(lambda: client.object("PUT", name, content).status != 503, PATIENCE)
    assert client.object("HEAD", name).status == 200


def put_and_get(nodes: list[Node], word: str) -> None:
    """What is put at one is there at all others at once."""
    clients = [Client(node) for node in nodes]
    small, large = word.encode(), word.encode() * 100_000
    try:
        assert clients[0].object("PUT", "c").status in (201, 202)
        for number, client in enumerate(clients):
            put(client, f"c/{word}-{number}", small)
            put(client, f"c/{word}-{number}-large", large)
        for client in clients:
            for number in range(len(nodes)):
                assert client.object("GET", f"c/{word}-{number}").body == small
                assert client.object("GET", f"c/{word}-{number}-large").body == large
            listed = client.listing("c")
            assert {f"{word}-{number}" for number in range(len(nodes))} <= set(listed)
    finally:
        for client in clients:
            client.close()


def made_anew(first: Node, lost: Node) -> Node:
    """A machine whose disks are all lost joins under its old name, and its devices are filled from the others."""
    lost.kill()
    os.unlink(lost.folder / "cluster.json")
    assert "is not in this folder" in lost.typed("registry", "recover", "--device", str(lost.folder.parent / "n3-a"))
    name = lost.folder.name
    for disk in "n3-a", "n3-b":
        shutil.rmtree(lost.folder.parent / disk)
    until(lambda: "out" in first.states().values(), PATIENCE)
    numbers = [number for number, state in first.states().items() if state == "out"]
    node = Node(lost.folder.parent / f"{name}-anew", first.folder)
    line = shlex.split(first.typed("node", "replace", name))
    until(lambda: node.command(*line[1:], "--listen", free_address(), "--machine", name).returncode == 0, PATIENCE)
    node.start()
    for number in numbers:
        path = node.folder.parent / f"anew-{number}"
        path.mkdir()
        node.typed("device", "add", str(path), "--in-place-of", str(number))
    assert len(numbers) == 2
    all_are_ok([first, node])
    return node


@pytest.mark.process
def test_three_nodes_are_one_cloud_that_one_of_them_may_leave(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as nodes:
        put_and_get(nodes, "before")
        for lost in nodes[1], nodes[0]:  # the second of these has the registry
            lost.kill()
            others = [node for node in nodes if node is not lost]
            put_and_get(others, f"without-{lost.folder.name}")
            lost.start()
            all_are_ok(nodes)
            put_and_get(nodes, f"with-{lost.folder.name}")
        nodes[2] = made_anew(nodes[0], nodes[2])
        put_and_get(nodes, "made-anew")
        with closing(Client(nodes[0])) as client:
            names = client.listing("c")
            assert len(names) == 2 * (3 + 2 + 3 + 2 + 3 + 3)
            for name in names:
                assert client.object("GET", f"c/{name}").status == 200, name


@pytest.mark.process
def test_an_upload_goes_on_while_another_node_starts(tmp_path: Path) -> None:
    """Who starts ends what nobody will end; this one lives."""
    size = 5_000_000
    with cluster(tmp_path, 3, replicas=3) as nodes:
        first, second, _ = nodes
        with closing(Client(first)) as client:
            assert client.object("PUT", "c").status in (201, 202)
        parts = urlsplit(first.url)
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)) as upload:
            upload.putrequest("PUT", f"{first.account}/c/slow")
            upload.putheader("X-Auth-Token", first.token)
            upload.putheader("Content-Length", str(2 * size))
            upload.endheaders()
            upload.send(b"a" * size)
            second.stop()
            second.start()
            all_are_ok(nodes)
            # Who hears that the second is gone looks, too, and may have to try again when that is back.
            until(lambda: all(node.is_done("clean up uploads") for node in nodes), PATIENCE)
            upload.send(b"b" * size)
            assert upload.getresponse().status == 201
        for node in nodes:
            with closing(Client(node)) as client:
                assert client.object("GET", "c/slow").body == b"a" * size + b"b" * size


@pytest.mark.process
def test_what_is_typed_at_the_wrong_place_says_what_to_do(tmp_path: Path) -> None:
    first, other = Node(tmp_path / "n1", tmp_path / "n1"), Node(tmp_path / "n2", tmp_path / "n1")
    assert "no Drystone in" in first.refused("cluster", "token")
    init = ("cluster", "init", "--name", "n1", "--listen", free_address(), "--devices", "1", "--replicas", "1")
    assert "a node's name" in first.refused(*init[:3], "N 1", *init[4:])
    assert not first.folder.exists()
    first.typed(*init)
    assert "is node n1 of a cluster already" in first.refused(*init)
    assert "nobody serves" in first.refused("cluster", "token")
    try:
        first.start()
        join(first, other)
        assert "is with node n1" in other.refused("ring", "show")
        assert "is node n2 already" in other.refused(
            "join", "127.0.0.1:1", "--token", f"{'0' * 32}-{'0' * 32}", *init[2:6]
        )
        assert "policies are for all nodes" in run_up(other, "--policy", "more=1")
    finally:
        if first.running:
            first.kill()


def run_up(node: Node, *options: str) -> str:
    command = [sys.executable, "-m", "drystone", "--data", str(node.folder), "up"]
    command += ["--no-servers", "--listen", "127.0.0.1:0", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


@pytest.mark.process
def test_a_cloud_on_one_machine_becomes_the_first_of_several(tmp_path: Path) -> None:
    node = Node(tmp_path / "n1", tmp_path / "n1")
    node.start()
    try:
        with closing(Client(node)) as client:
            assert client.object("PUT", "c").status == 201
            assert client.object("PUT", "c/kept", b"kept").status == 201
        init = ("cluster", "init", "--name", "n1", "--listen", free_address())
        assert "another process" in node.refused(*init)
        assert "a machine alone" in node.refused("cluster", "token")
        node.stop()
        assert "is in use" in node.refused(*init, "--replicas", "3")
        node.typed(*init)
        node.start()
        with closing(Client(node)) as client:
            assert client.object("GET", "c/kept").body == b"kept"
        assert set(node.states().values()) == {"ok"}
        assert "drystone join" in node.typed("cluster", "token")
    finally:
        if node.running:
            node.stop()
