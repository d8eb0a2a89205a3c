"""A guest goes from node to node while it runs: its volume stands by at the other node, and goes with the first write.

That a guest goes is said by the record of a server, as the agents of servers would write it; nobody here is one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import Server, ServerDisk, Transition, VmState
from compute_plugin.records.store import ComputeStore
from drystone.cluster import read_cluster
from drystone.folder import DataFolder
from drystone.links import Links
from drystone.node_identity import find_identity
from store.core.beside import beside
from store.registry.served.client import ServedRegistry
from tests.cluster.waiting import until
from tests.ports import free_port
from tests.process.program import Client
from tests.process.test_cluster import PATIENCE, Node, cluster
from tests.process.test_volumes_of_a_cluster import PAGE, opened

SECONDS = 120
QEMU = "qemu-system-x86_64"


def moving(at: Node, disk: str) -> Server:
    """A server of n1 whose guest goes to a node. The agent that would have it go is none of these."""
    transition = Transition(
        "live-migrate", "t", "r", "u", "p", (), "nobody", "", "migrating", {"target": at.folder.name}, 1
    )
    return Server(
        id="00000000-0000-4000-8000-000000000001", number=1, project_id="p", user_id="u", name="s", hostname="s",
        created_us=1, updated_us=1, flavor=Flavor(id="1", name="f", vcpus=1, ram=64, disk=1), host="n1",
        state=VmState.ACTIVE, disks=(ServerDisk(source="blank", store_name=disk),), transition=transition,
    )  # fmt: skip


def record(nodes: list[Node], server: Server) -> None:
    """Have a server's record be so, and known to all nodes."""

    async def put() -> None:
        folder = DataFolder(str(nodes[1].folder))
        identity = find_identity(folder)
        assert identity is not None
        client = Links(folder, read_cluster(folder), identity).to_registry()
        async with beside(client.run):
            await client.wait_up()
            store = ComputeStore(ServedRegistry(client))
            async with trio.open_nursery() as nursery:
                await nursery.start(lambda task_status: store.run(task_status=task_status))
                await store.change(lambda records: records.servers.put(server))
                nursery.cancel_scope.cancel()

    trio.run(put)
    for node in nodes:  # what is read there is what was written before
        with closing(Client(node)) as client:
            headers = {"X-Auth-Token": nodes[0].token}
            answer = client.ask("GET", "/compute/v2.1/flavors", headers=headers)
            assert answer.status == 200, answer
            answer = client.ask("GET", f"/compute/v2.1/servers/{server.id}", headers=headers)
            assert answer.status == 200, answer


def holder(node: Node) -> str:
    (line,) = (line for line in node.typed("volume", "list").splitlines() if line.startswith("v "))
    return line


@contextmanager
def two_nodes(tmp_path: Path) -> Iterator[list[Node]]:
    with cluster(tmp_path, 2, replicas=3) as nodes:
        nodes[0].typed("volume", "create", "v", "--size", "1M")
        yield nodes


@pytest.mark.process
@pytest.mark.timeout(600)
def test_a_volume_goes_with_the_first_write(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        first, second = nodes
        record(nodes, moving(second, "v"))
        with opened(first) as source:
            source.write(0, b"a" * PAGE)
            with opened(second) as target:
                assert target.size == 1 << 20
                assert target.read(0, PAGE) == b"a" * PAGE
                target.flush()
            with opened(second) as target:
                source.write(0, b"b" * PAGE)  # it has it still
                assert target.read(0, PAGE) == b"b" * PAGE
                source.write(PAGE, b"c" * PAGE, durable=True)
                source.write(2 * PAGE, b"d" * PAGE)  # answered, and not flushed
                assert " n1, since" in holder(second)
                target.write(0, b"t" * PAGE)
                with pytest.raises((OSError, EOFError)):
                    source.write(PAGE, b"x" * PAGE)
                assert "here, 1 connection" in holder(second)
                assert [target.read(page * PAGE, 1) for page in range(3)] == [b"t", b"c", b"d"]
                target.flush()
        record(nodes, replace(moving(second, "v"), host="n2", transition=None))
        with opened(second) as disk:
            assert disk.read(0, PAGE) == b"t" * PAGE
            with opened(first) as other:  # no guest goes: who asks last has it
                assert [other.read(page * PAGE, 1) for page in range(3)] == [b"t", b"c", b"d"]
                with pytest.raises((OSError, EOFError)):
                    disk.write(0, b"x" * PAGE)


class Qemu:
    """A machine without an operating system, with a volume as its disk, by its monitor."""

    def __init__(self, node: Node, tmp_path: Path, *options: str) -> None:
        path, self._said = tmp_path / f"{node.folder.name}.qmp", tmp_path / f"{node.folder.name}.said"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(SECONDS)
            disk = {
                "driver": "raw", "node-name": "disk", "cache": {"direct": True},
                "file": {
                    "driver": "nbd", "export": "v", "reconnect-delay": 20,
                    "server": {"type": "unix", "path": str(node.folder / "nbd.sock")},
                },
            }  # fmt: skip
            command = [
                "stdbuf", "-oL", QEMU, "-nodefaults", "-display", "none", "-accel", "tcg", "-m", "64",
                "-blockdev", json.dumps(disk),
                "-device", "virtio-blk-pci,drive=disk,share-rw=on,werror=stop,rerror=stop",
                "-chardev", f"socket,id=qmp,path={path}", "-mon", "chardev=qmp,mode=control", *options,
            ]  # fmt: skip
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(command, stdout=said)
            self._socket, _ = listener.accept()
        self._socket.settimeout(SECONDS)
        self._file = self._socket.makefile("rw")
        assert "QMP" in json.loads(self._file.readline())
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        self._file.write(json.dumps({"execute": command, "arguments": arguments}))
        self._file.flush()
        while True:
            said = json.loads(self._file.readline())
            if "error" in said:
                raise AssertionError(said)
            if "return" in said:
                return said["return"]

    def io(self, command: str) -> str:
        """What `qemu-io` says to a command for the disk: it says it at QEMU's standard output."""
        before = self._said.stat().st_size
        answer = self.ask("human-monitor-command", **{"command-line": f'qemu-io disk "{command}"'})
        return str(answer) + self._said.read_bytes()[before:].decode()

    def status(self) -> str:
        return str(self.ask("query-status")["status"])

    def quit(self) -> None:
        with suppress(OSError, ValueError):
            self._file.write(json.dumps({"execute": "quit"}))
            self._file.flush()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._file.close()
        self._socket.close()


@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which(QEMU) is None, reason="there is no QEMU")
def test_qemu_goes_from_node_to_node(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        first, second = nodes
        record(nodes, moving(second, "v"))
        port = free_port()
        source = Qemu(first, tmp_path)
        try:
            assert "wrote" in source.io("write -P 1 0 64k")
            target = Qemu(second, tmp_path, "-incoming", f"tcp:127.0.0.1:{port}")
            try:
                assert "wrote" in source.io("write -P 2 64k 64k")  # it has it still
                assert target.status() == "inmigrate"
                assert " n1, since" in holder(second)
                source.ask("migrate", uri=f"tcp:127.0.0.1:{port}")
                until(lambda: source.ask("query-migrate")["status"] in ("completed", "failed"), PATIENCE)
                assert source.ask("query-migrate")["status"] == "completed"
                until(lambda: target.status() == "running", PATIENCE)
                assert " n1, since" in holder(second)
                assert "read" in target.io("read -P 2 64k 64k")
                assert "verification failed" not in target.io("read -P 1 0 64k")
                assert "wrote" in target.io("write -P 3 0 64k")
                assert "here, 1 connection" in holder(second)
                source.quit()  # which flushes, and connects again for that
                assert "here, 1 connection" in holder(second)  # the end of the other has taken nothing back
                assert "wrote" in target.io("write -P 4 128k 64k")
                assert target.status() == "running"
                for pattern, offset in (3, 0), (2, 64), (4, 128):
                    assert "verification failed" not in target.io(f"read -P {pattern} {offset}k 64k")
            finally:
                target.quit()
        finally:
            source.quit()
        with opened(first) as disk:
            assert [disk.read(offset << 16, 1) for offset in range(3)] == [b"\3", b"\2", b"\4"]
