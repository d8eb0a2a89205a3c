"""A lost registry is made anew from a snapshot, and one in etcd from a member that is left: as typed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from drystone.kept_snapshots import keep_in
from drystone.registry_snapshot import read_snapshot
from tests.cluster.waiting import until
from tests.ports import free_address
from tests.process.program import Client, Program, running
from tests.process.test_cluster import PATIENCE, Node, all_are_ok, put

pytestmark = pytest.mark.process


def signs_in(program: Program, user: str, password: str) -> bool:
    with closing(Client(program)) as client:
        headers = {"X-Auth-User": user, "X-Auth-Key": password}
        return client.ask("GET", "/auth/v1.0", headers=headers).status == 200


def test_users_come_back_with_a_snapshot_on_one_machine(tmp_path: Path) -> None:
    file = str(tmp_path / "snapshot")
    with running(tmp_path / "data", "--devices", "1", "--replicas", "1") as program:
        assert program.command("project", "add", "music").returncode == 0
        added = program.command("user", "add", "alice", "--project", "music", "--password", "a password of hers")
        assert added.returncode == 0, added.stderr
        assert "no snapshot" in program.command("status").stdout
        done = program.command("registry", "backup", file)
        assert done.returncode == 0, done.stderr
        with closing(Client(program)) as client:
            assert client.object("PUT", "c").status == 201
            assert client.object("PUT", "c/kept", b"kept").status == 201
        program.stop()

        def lose() -> None:
            shutil.rmtree(program.folder / "registry")

        lose()
        assert "is made anew" in program.command("registry", "recover", "--without-snapshot").stdout
        lose()
        done = program.command("registry", "recover", "--from-snapshot", file)
        assert done.returncode == 0, done.stderr
        program.start()
        assert signs_in(program, "music:alice", "a password of hers")
        with closing(Client(program)) as client:
            assert client.object("GET", "c/kept").body == b"kept"
        program.stop()

        assert "move" in program.command("registry", "recover", "--from-snapshot", file).stderr
        lose()
        assert (
            "no device that was found here has a snapshot"
            in program.command("registry", "recover", "--from-devices").stderr
        )
        snapshot = read_snapshot(file)
        keep_in(str(program.folder / "devices" / "0"), snapshot.revision, Path(file).read_bytes())
        os.unlink(program.folder / "cluster.json")
        done = program.command("registry", "recover")
        assert done.returncode == 0, done.stderr
        assert "users, projects and passwords are as they were then" in done.stdout
        program.start()
        assert signs_in(program, "music:alice", "a password of hers")
        assert "old" in program.command("status").stdout
        program.stop()


class EtcdNode(Node):
    """One whose etcd has the two ports above its own."""

    def __init__(self, folder: Path, first: Path) -> None:
        super().__init__(folder, first)
        self.address = free_address(in_a_row=3)

    def keep_password(self, folder: Path) -> None:
        """Have it from there: what is lost here has it, too."""
        self._first = folder

    @property
    def voters(self) -> int:
        return len(json.loads((self.folder / "node" / "node.json").read_text())["etcd"])

    def join(self, line: str) -> None:
        name = self.folder.name
        named = () if "--name" in line else ("--name", name)
        self.typed(*shlex.split(line)[1:], *named, "--listen", self.address, "--machine", name)

    def lose_folder(self) -> None:
        """Its device is on another disk, and stays."""
        if self.running:
            self.kill()
        shutil.rmtree(self.folder)


@contextmanager
def three(tmp_path: Path) -> Iterator[list[EtcdNode]]:
    """Each with a device beside its folder, and a member of etcd that votes."""
    nodes = [EtcdNode(tmp_path / f"n{number}", tmp_path / "n1") for number in (1, 2, 3)]
    first = nodes[0]
    try:
        (tmp_path / "n1-disk").mkdir()
        options = ("--machine", "m1", "--device", str(tmp_path / "n1-disk"), "--replicas", "1", "--registry", "etcd")
        first.typed("cluster", "init", "--name", "n1", "--listen", first.address, *options)
        first.start()
        (tmp_path / "admin").mkdir()
        shutil.copy(first.folder / "admin-openrc", tmp_path / "admin")
        for node in nodes:
            node.keep_password(tmp_path / "admin")
        for node in nodes[1:]:
            node.join(first.typed("cluster", "token"))
            node.start()
            node.add_device(f"{node.folder.name}-disk")
        until(lambda: all(node.voters == 3 for node in nodes), PATIENCE)
        first.typed("ring", "apply")
        until(lambda: not first.moving, PATIENCE)
        yield nodes
    finally:
        for node in nodes:
            if node.running:
                node.kill()


def put_at(node: Node, name: str) -> None:
    with closing(Client(node)) as client:
        until(lambda: client.object("PUT", "c").status in (201, 202), PATIENCE)
        put(client, f"c/{name}", name.encode())


def all_have(nodes: list[EtcdNode], *names: str) -> None:
    for node in nodes:
        with closing(Client(node)) as client:
            for name in names:
                until(lambda client=client, name=name: client.object("GET", f"c/{name}").status != 503, PATIENCE)  # type: ignore[misc]
                assert client.object("GET", f"c/{name}").body == name.encode()


@pytest.mark.skipif(shutil.which("etcd") is None, reason="not installed: etcd")
@pytest.mark.timeout(600)
def test_etcd_is_recovered_from_one_survivor_and_then_from_a_snapshot(tmp_path: Path) -> None:
    with three(tmp_path) as nodes:
        first, second, third = nodes
        put_at(first, "before")
        assert "etcd serves" in refused_while_stopped(second, "--from-survivor", "--accept-missing")
        file = str(tmp_path / "snapshot")
        third.typed("registry", "backup", file)

        second.lose_folder()  # what they had of etcd, and who they are
        third.kill()
        assert "is being served" in first.refused("registry", "recover", "--from-survivor")
        first.stop()
        assert "--accept-missing" in first.refused("registry", "recover", "--from-survivor")
        assert "in etcd" in first.refused("registry", "recover")
        first.typed("registry", "recover", "--from-survivor", "--accept-missing")
        first.start()
        third.start()  # with data of an etcd that is no more
        second.join(first.typed("node", "replace", "n2"))
        second.start()
        all_are_ok(nodes)
        assert any(path.name.startswith("etcd.forgotten") for path in third.folder.iterdir())
        put_at(second, "survived")
        all_have(nodes, "before", "survived")

        for node in first, second:  # all that vote lose what they had, and one knows who it is
            node.lose_folder()
        third.stop()
        shutil.rmtree(third.folder / "etcd", ignore_errors=True)
        said = third.typed(
            "registry", "recover", "--from-snapshot", file, "--accept-missing", "--device", str(tmp_path / "n3-disk")
        )
        assert "users, projects and passwords are as they were then" in said
        third.start()
        for node in first, second:
            node.join(third.typed("node", "replace", node.folder.name))
            node.start()
        all_are_ok(nodes)
        put_at(first, "again")
        all_have(nodes, "before", "survived", "again")


def refused_while_stopped(node: EtcdNode, *options: str) -> str:
    node.stop()
    try:
        return node.refused("registry", "recover", *options)
    finally:
        node.start()
