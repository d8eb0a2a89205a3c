"""`up --processes N`: several processes share a folder's devices and its port, and are started again when they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cluster.waiting import until
from tests.process.program import Client, Program

PATIENCE = 120.0
LARGE = os.urandom(3_000_000)
NAMES = [f"o{number}" for number in range(20)]


class Several(Program):
    @property
    def children(self) -> dict[int, int]:
        """Process ids by the numbers of the processes."""
        found = {}
        for pid in map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it was there a moment ago
            if b"--process" in words:  # not one that has ended, or has just begun
                found[int(words[words.index(b"--process") + 1])] = pid
        return found

    def states(self) -> list[str]:
        lines = self.command("status").stdout.splitlines()
        return [line.split()[1] for line in lines if ": devices/" in line]

    def homes(self) -> list[str]:
        """The node of each device."""
        lines = self.command("status").stdout.splitlines()
        return [line.split(": devices/")[0].split()[-1] for line in lines if ": devices/" in line]

    def fill(self) -> None:
        with closing(Client(self)) as client:
            assert client.object("PUT", "c").status == 201
            for name in NAMES:
                assert client.object("PUT", f"c/{name}", name.encode()).status == 201
            assert client.object("PUT", "c/large", LARGE).status == 201

    def check(self) -> None:
        """Everything is there, by a connection for each name: whichever process that is given to."""
        for name in NAMES:
            with closing(Client(self)) as client:
                assert client.object("GET", f"c/{name}").body == name.encode()
        with closing(Client(self)) as client:
            assert client.object("GET", "c/large").body == LARGE
            assert client.listing("c") == sorted([*NAMES, "large"])

    def has_all(self) -> bool:
        """Whether `check` holds: nothing is wrong that is answered."""
        try:
            self.check()
        except (AssertionError, OSError):
            return False
        return True

    def works(self) -> bool:
        """Whether a write and a read by each of a few connections are answered."""
        for _ in range(8):
            with closing(Client(self)) as client:
                try:
                    answers = [client.object("PUT", "c/o0", b"o0").status, client.object("GET", "c/o0").status]
                except OSError:
                    return False
            if answers != [201, 200]:
                return False
        return True


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Several]:
    program = Several(tmp_path / "data", "--devices", "4", "--processes", "2")
    program.start()
    try:
        yield program
    finally:
        if program.running:
            program.stop()


def listens(pid: int, port: int) -> bool:
    sockets = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        target = os.readlink(entry.path)
        if target.startswith("socket:["):
            sockets.add(target[len("socket:[") : -1])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[1].endswith(f":{port:04X}") and line[3] == "0A" and line[9] in sockets for line in lines)


def kill(program: Several, number: int) -> None:
    """Kill one, and wait for the next of that number."""
    before = program.children[number]
    os.kill(before, signal.SIGKILL)
    until(lambda: program.children.get(number) not in (None, before), PATIENCE)


def test_a_process_that_is_killed_is_started_again(two: Several) -> None:
    two.fill()
    two.check()
    port = urlsplit(two.url).port
    assert port is not None
    assert all(listens(pid, port) for pid in two.children.values())
    assert two.homes() == ["n1", "n1", "n1-p2", "n1-p2"]
    for number in (2, 1):
        kill(two, number)
        until(lambda: two.states() == ["ok"] * 4 and two.works(), PATIENCE)
        until(two.has_all, PATIENCE)  # who has just begun may not have reached the other yet


def test_all_end_with_the_one_that_started_them(two: Several) -> None:
    children = list(two.children.values())
    assert len(children) == 2
    two.kill()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in children), PATIENCE)


def test_an_orderly_end_and_another_number_of_processes(two: Several, tmp_path: Path) -> None:
    two.fill()
    children = list(two.children.values())
    assert two.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)

    again = Several(two.folder)  # as many as last time
    again.start()
    assert len(again.children) == 2
    again.check()
    assert again.stop() == 0

    moved = tmp_path / "elsewhere"
    two.folder.rename(moved)
    three = Several(moved, "--processes", "3")
    three.start()
    assert len(three.children) == 3
    assert sorted(map(three.homes().count, {"n1", "n1-p2", "n1-p3"})) == [1, 1, 2]
    three.check()
    assert three.stop() == 0

    one = Several(moved, "--processes", "1")
    one.start()
    until(lambda: one.states() == ["ok"] * 4, PATIENCE)
    assert one.homes() == ["n1"] * 4
    assert "n1-p2" not in one.command("node", "list").stdout
    assert not list((moved / "processes").iterdir())
    one.check()
    assert one.works()
    assert one.stop() == 0


def test_what_cannot_be(tmp_path: Path) -> None:
    program = Several(tmp_path / "data")
    refused = program.command("up", "--processes", "4", "--devices", "3", "--listen", "127.0.0.1:0")
    assert refused.returncode == 1
    assert "4 processes need 4 devices at least" in refused.stderr
    assert not (tmp_path / "data").exists()
