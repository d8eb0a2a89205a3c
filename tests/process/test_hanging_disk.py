"""A disk that hangs: its file system is frozen, so that every write to it waits. The rest of the store goes on."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.program import Client, Program, running

DISK_BYTES = 600 * 1024 * 1024
OBJECTS = 60


@contextmanager
def loop_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own in a file, mounted."""
    image, mount = folder / "disk.img", folder / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    if os.geteuid() != 0:
        pytest.skip("file systems are mounted by root")
    made = subprocess.run(["mkfs.ext4", "-q", str(image)], check=False, capture_output=True)
    command = ["mount", "-o", "loop", str(image), str(mount)]
    if made.returncode or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("there are no loop devices here")
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@contextmanager
def frozen(mount: Path) -> Iterator[threading.Timer]:
    subprocess.run(["fsfreeze", "--freeze", str(mount)], check=True)
    # Whatever happens, else nothing that waits for this disk would ever end.
    thaw = threading.Timer(60, subprocess.run, [["fsfreeze", "--unfreeze", str(mount)]])
    thaw.start()
    try:
        yield thaw
    finally:
        thaw.cancel()
        subprocess.run(["fsfreeze", "--unfreeze", str(mount)], check=False, capture_output=True)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[Program, Path]]:
    with loop_disk(tmp_path) as mount:
        (mount / "device").mkdir()
        folders = [tmp_path / f"device-{number}" for number in range(3)]
        for folder in folders:
            folder.mkdir()
        options = [option for folder in (*folders, mount / "device") for option in ("--device", str(folder))]
        with running(tmp_path / "data", *options, "--replicas", "3") as started:
            yield started, mount


def test_a_disk_that_hangs_holds_nobody_up(program: tuple[Program, Path]) -> None:
    started, mount = program
    client = Client(started)
    assert client.object("PUT", "c").status == 201
    for number in range(OBJECTS):
        assert client.object("PUT", f"c/before-{number}", b"before").status == 201
    with frozen(mount) as thaw:
        for number in range(OBJECTS):
            assert client.ask("GET", "/healthcheck").status == 200
            assert client.object("PUT", f"c/o-{number}", b"data").status == 201, started.log()
            for name, data in ((f"before-{number}", b"before"), (f"o-{number}", b"data")):
                answer = client.object("GET", f"c/{name}")
                assert (answer.status, answer.body) == (200, data)
        assert len(client.listing("c")) == 2 * OBJECTS
        assert thaw.is_alive(), "it went on only when the disk did"
    for number in range(OBJECTS):
        assert client.object("GET", f"c/o-{number}").body == b"data"
    client.close()
