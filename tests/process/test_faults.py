"""Damage, loss, full disks, and clients that go away, done to the real program."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.process.program import Client, Program, running

OBJECTS = {f"small-{number}": random.Random(number).randbytes(3000 + number) for number in range(40)}
OBJECTS |= {f"large-{number}": random.Random(number).randbytes(700_000 * (number + 1)) for number in range(4)}


def fill(program: Program, container: str = "c", policy: str = "standard") -> None:
    client = Client(program)
    assert client.object("PUT", container, headers={"X-Storage-Policy": policy}).status == 201
    for name, data in OBJECTS.items():
        assert client.object("PUT", f"{container}/{name}", data).status == 201
    client.close()


def check_all(program: Program, container: str = "c") -> None:
    client = Client(program)
    assert client.listing(container) == sorted(OBJECTS)
    for name, data in OBJECTS.items():
        answer = client.object("GET", f"{container}/{name}")
        assert (answer.status, answer.body == data) == (200, True), (name, answer.status)
    client.close()


def status(program: Program) -> dict[str, Any]:
    done = program.command("status", "--json")
    assert done.returncode == 0, f"{done.stderr}\n{program.log()[-3000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def scrub(program: Program) -> None:
    """One pass over everything, and the repairs that it asks for."""

    def loops() -> dict[str, dict[str, Any]]:
        return {loop["loop"]: loop for loop in status(program)["loops"]}

    before = loops()["scrub"]["rounds"]
    assert program.command("scrub").returncode == 0
    until(lambda: loops()["scrub"]["rounds"] > before and loops()["repair"]["left"] <= 0, "scrubbed")


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for what the program does by itself; a bound, not a measure."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def lose(program: Program, number: int) -> None:
    """A device's folder is lost, and an empty device made in its place."""
    folder = program.folder / "devices" / str(number)
    shutil.rmtree(folder)
    folder.mkdir()
    made = program.command("device", "add", str(folder), "--in-place-of", str(number))
    assert made.returncode == 0, made.stderr


@pytest.mark.process
def test_a_lost_device_folder_is_replaced_and_filled_again(tmp_path: Path) -> None:
    options = ("--devices", "4", "--policy", "standard=3", "--policy", "archive=2+1")
    with running(tmp_path / "data", *options) as program:
        fill(program)
        fill(program, "coded", "archive")
        program.stop()
        lose(program, 1)
        program.start()
        check_all(program)
        check_all(program, "coded")
        until(lambda: all(d["state"] == "ok" for d in status(program)["devices"]), "rejoined")
        program.stop()
        # Now another one: what was repaired must be as good as what was there.
        lose(program, 2)
        program.start()
        check_all(program)
        check_all(program, "coded")
        until(lambda: all(d["state"] == "ok" for d in status(program)["devices"]), "rejoined")
        program.stop()
        checked = program.command("device", "check")
        assert checked.returncode == 0, checked.stdout
        program.start()


def used_sectors(data: bytes | bytearray) -> list[int]:
    """Where a segment has something written, behind its header."""
    return [at for at in range(4096, len(data), 512) if any(data[at : at + 512])]


@pytest.mark.process
@pytest.mark.parametrize("kind", ["log", "bulk"])
def test_flipped_bytes_are_noticed_repaired_and_never_served(tmp_path: Path, kind: str) -> None:
    with running(tmp_path / "data", "--devices", "3", "--replicas", "2") as program:
        fill(program)
        program.stop()
        segments = max(  # of the device that has most: four objects may all be on the two others
            (list((program.folder / "devices" / number / "log").glob(f"*.{kind}")) for number in "012"),
            key=lambda paths: sum(len(used_sectors(path.read_bytes())) for path in paths),
        )
        seed = random.Random(4)
        for path in segments:
            data = bytearray(path.read_bytes())
            used = used_sectors(data)
            for at in seed.sample(used, min(len(used), 200)):
                data[at + seed.randrange(512)] ^= 1 << seed.randrange(8)
            path.write_bytes(data)
        program.start()
        check_all(program)
        scrub(program)
        assert sum(device["damages"] for device in status(program)["devices"]) > 0

        def repaired() -> bool:
            found = status(program)
            loops = [loop for loop in found["loops"] if loop["loop"] in ("repair", "rejoin")]
            return all(d["state"] == "ok" for d in found["devices"]) and all(loop["left"] <= 0 for loop in loops)

        until(repaired, "repaired")
        check_all(program)
        program.stop()
        program.start()
        check_all(program)
        scrub(program)
        assert all(device["damages"] == 0 for device in status(program)["devices"])


@pytest.mark.process
def test_uploads_that_do_not_end_leave_nothing(program: Program) -> None:
    client = Client(program)
    assert client.object("PUT", "aborted").status == 201
    before = sum(device["live_bytes"] for device in status(program)["devices"])
    address = urlsplit(program.url)
    for sent in (0, 1000, 3_000_000):
        with socket.create_connection((address.hostname, address.port)) as raw:
            head = f"PUT {program.account}/aborted/gone HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {program.token}\r\n"
            raw.sendall(head.encode() + b"Content-Length: 5000000\r\n\r\n" + bytes(sent))
    wrong = client.object("PUT", "aborted/wrong", b"x" * 2_000_000, {"ETag": "0" * 32})
    assert wrong.status == 422
    assert client.object("PUT", "aborted/small", b"x", {"ETag": "0" * 32}).status == 422
    assert client.listing("aborted") == []
    assert client.object("GET", "aborted/gone").status == 404

    def space_is_back() -> bool:
        found = status(program)
        # What remains is the row of the container and marks that are yet to be forgotten.
        return sum(device["live_bytes"] for device in found["devices"]) - before < 20_000 and not any(
            loop["left"] for loop in found["loops"] if loop["loop"] == "clean up uploads"
        )

    until(space_is_back, "space back")
    client.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 700 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700m", "drystone-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("file systems cannot be mounted here: run as root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.process
def test_a_full_disk_refuses_writes_serves_reads_and_lets_deletes_give_space_back(small_disk: Path) -> None:
    with running(small_disk / "data", "--devices", "2", "--replicas", "2") as program:
        client = Client(program)
        assert client.object("PUT", "c").status == 201
        data = os.urandom(8_000_000)
        names = []
        for number in range(200):
            answer = client.object("PUT", f"c/{number:03}", data)
            if answer.status == 507:
                break
            assert answer.status == 201, answer
            names.append(f"{number:03}")
        else:
            raise AssertionError("the disk never filled")
        until(lambda: client.object("PUT", "c/tiny", b"x").status == 507, "small writes refused too")
        assert client.listing("c") == names
        for name in names:
            assert client.object("GET", f"c/{name}").body == data
        for name in names[:10]:
            assert client.object("DELETE", f"c/{name}").status == 204
        until(lambda: client.object("PUT", "c/again", data).status == 201, "space came back")
        assert client.listing("c") == [*names[10:], "again"]
        client.close()


@pytest.mark.process
def test_memory_stays_small_while_large_objects_pass(program: Program) -> None:
    client = Client(program)
    assert client.object("PUT", "large").status == 201
    piece = os.urandom(1 << 20)
    address = urlsplit(program.url)
    size = 400 << 20
    with socket.create_connection((address.hostname, address.port)) as raw:
        head = f"PUT {program.account}/large/one HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {program.token}\r\n"
        raw.sendall(head.encode() + f"Content-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 20):
            raw.sendall(piece)
        assert raw.recv(4096).startswith(b"HTTP/1.1 201")
    assert program.memory_bytes() < 300 << 20
    assert client.object("DELETE", "large/one").status == 204
    client.close()


@pytest.mark.process
def test_it_stops_cleanly_and_idles_cheaply(program: Program) -> None:
    program.stop()
    program.start()

    def idles() -> bool:
        """A tenth of a core would already be far too much; the document states what is measured."""
        before = status(program)["cpu_s"]
        time.sleep(3)
        return bool(status(program)["cpu_s"] - before < 0.3)

    until(idles, "it idles", 60)  # after what the tests before have left to be mended
    assert program.stop() == 0
    assert "Traceback" not in program.log()
    program.start()
