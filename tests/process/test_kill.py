"""Killed with SIGKILL again and again under load: what was acknowledged is there, byte for byte, and is listed."""

from __future__ import annotations

import hashlib
import http.client
import random
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.process.program import Client, Program

KILLS = 50
WRITERS = 6
NAMES = 40
CONTAINER = "c"
VERIFY_ALL_EVERY = 10

Content = bytes | None
"""What an object holds; None: there is none."""


@dataclass
class Known:
    """What a writer knows of its names: acknowledged content, and what a request without an answer may have left."""

    acknowledged: dict[str, Content] = field(default_factory=dict)
    maybe: dict[str, Content] = field(default_factory=dict)


def content(seed: random.Random) -> bytes:
    """Mostly small, sometimes beyond a row, sometimes several blocks."""
    size = seed.choice([0, 17, 4096, 4096, 30_000, 65_536, 65_537, 300_000, 1_048_576, 2_500_000])
    return seed.randbytes(size)


def write(program: Program, number: int, known: Known, seed: random.Random, stop: threading.Event) -> None:
    """Put, overwrite and delete names of one's own until the server dies."""
    client = Client(program)
    while not stop.is_set():
        name = f"w{number}-{seed.randrange(NAMES)}"
        data = None if seed.random() < 0.25 else content(seed)
        known.maybe[name] = data
        try:
            if data is None:
                answer = client.object("DELETE", f"{CONTAINER}/{name}")
                done = answer.status in (204, 404)
            else:
                headers = {"ETag": hashlib.md5(data).hexdigest()}
                answer = client.object("PUT", f"{CONTAINER}/{name}", data, headers)
                done = answer.status == 201
        except (OSError, http.client.HTTPException):
            break
        assert done, (answer, program.log())
        known.acknowledged[name] = data
        del known.maybe[name]
    client.close()


def verify(program: Program, writers: list[Known], *, everything: bool) -> None:
    """Resolve what was in doubt, then compare contents and the listing."""
    client = Client(program)
    expected: set[str] = set()
    for known in writers:
        for name, possible in known.maybe.items():
            found = read(client, name)
            assert found in (possible, known.acknowledged.get(name)), name
            known.acknowledged[name] = found
        names = known.acknowledged if everything else known.maybe
        for name in names:
            assert read(client, name) == known.acknowledged[name], name
        known.maybe.clear()
        expected |= {name for name, data in known.acknowledged.items() if data is not None}
    assert client.listing(CONTAINER) == sorted(expected)
    head = client.object("HEAD", CONTAINER)
    sizes = sum(len(data) for known in writers for data in known.acknowledged.values() if data is not None)
    assert int(head.headers["x-container-object-count"]) == len(expected)
    assert int(head.headers["x-container-bytes-used"]) == sizes
    client.close()


def read(client: Client, name: str) -> Content:
    answer = client.object("GET", f"{CONTAINER}/{name}")
    if answer.status == 404:
        return None
    assert answer.status == 200, answer
    assert answer.headers["etag"] == hashlib.md5(answer.body).hexdigest()
    return answer.body


@pytest.mark.process
@pytest.mark.timeout(600)
def test_fifty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    program = Program(tmp_path / "data", "--devices", "4", "--replicas", "3")
    seed = random.Random(20)
    program.start()
    with closing(Client(program)) as client:
        assert client.object("PUT", CONTAINER).status == 201
    writers = [Known() for _ in range(WRITERS)]
    for kill in range(KILLS):
        stop = threading.Event()
        threads = [
            threading.Thread(target=write, args=(program, number, known, random.Random(seed.random()), stop))
            for number, known in enumerate(writers)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seed.uniform(0.05, 0.6))  # the moment of the kill is what is random here
        program.kill()
        stop.set()
        for thread in threads:
            thread.join()
        program.start()
        verify(program, writers, everything=(kill + 1) % VERIFY_ALL_EVERY == 0)
    assert program.stop() == 0
    checked = program.command("device", "check")
    assert checked.returncode == 0, checked.stdout
