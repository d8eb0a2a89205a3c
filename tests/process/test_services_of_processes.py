"""Images, volumes and backups where each request is answered by whichever of two processes it comes to."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.waiting import until
from tests.process.program import Client
from tests.process.test_processes import PATIENCE, Several, kill

CONTENT = os.urandom(3 << 20)


class Cloud(Several):
    """Its services, by a connection for each request."""

    def ask(self, method: str, path: str, body: Any = None, content: bytes | None = None, **headers: str) -> Any:
        """The answer's JSON, or its bytes where it has none."""
        data = content if content is not None else b"" if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if content is not None else "application/json"
        said = {"X-Auth-Token": self.token, "Content-Type": kind, **headers}
        with closing(Client(self)) as client:
            answer = client.ask(method, path, data, headers=said)
        assert answer.status < 300, (method, path, answer)
        held = answer.headers.get("content-type", "")
        return json.loads(answer.body) if held.startswith("application/json") else answer.body

    def image(self, name: str) -> str:
        wanted = {"name": name, "disk_format": "raw", "container_format": "bare"}
        id_ = str(self.ask("POST", "/image/v2/images", wanted)["id"])
        self.ask("PUT", f"/image/v2/images/{id_}/file", content=CONTENT)
        return id_

    def made(self, kind: str, path: str, body: Any) -> str:
        """Of a volume, snapshot or backup that is there when this returns: its id."""
        id_ = str(self.ask("POST", f"/volume/v3{path}", {kind: body})[kind]["id"])
        self.until_is(kind, f"{path}/{id_}")
        return id_

    def until_is(self, kind: str, path: str, status: str = "available") -> None:
        def there() -> bool:
            row = self.ask("GET", f"/volume/v3{path}")[kind]
            assert "error" not in row["status"], row
            return bool(row["status"] == status)

        until(there, PATIENCE)

    def works_all(self) -> bool:
        """Whether each of a few connections is answered."""
        try:
            for _ in range(8):
                self.ask("GET", "/volume/v3/volumes")
        except (AssertionError, OSError):
            return False
        return True

    def bits(self, volume: str) -> bytes:
        """The beginning of a volume, by way of an image that is made of it."""
        action = {"os-volume_upload_image": {"image_name": "of-volume", "disk_format": "raw"}}
        image = self.ask("POST", f"/volume/v3/volumes/{volume}/action", action)["os-volume_upload_image"]["image_id"]
        until(lambda: self.ask("GET", f"/image/v2/images/{image}")["status"] == "active", PATIENCE)
        held: bytes = self.ask("GET", f"/image/v2/images/{image}/file", Range=f"bytes=0-{len(CONTENT) - 1}")
        return held


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Cloud]:
    program = Cloud(tmp_path / "data", "--devices", "4", "--processes", "2")
    program.start()
    try:
        yield program
    finally:
        if program.running:
            program.stop(signal.SIGTERM)


def test_whichever_process_is_asked(two: Cloud) -> None:
    images = [two.image(f"i{number}") for number in range(4)]
    for image in images:
        assert two.ask("GET", f"/image/v2/images/{image}/file") == CONTENT
    assert {row["id"] for row in two.ask("GET", "/image/v2/images")["images"]} == set(images)
    volumes = [two.made("volume", "/volumes", {"size": 1, "imageRef": image}) for image in images]
    snapshot = two.made("snapshot", "/snapshots", {"volume_id": volumes[0]})
    clone = two.made("volume", "/volumes", {"snapshot_id": snapshot, "size": 1})
    two.ask("POST", f"/volume/v3/volumes/{clone}/action", {"os-extend": {"new_size": 2}})
    two.until_is("volume", f"/volumes/{clone}")
    assert two.ask("GET", f"/volume/v3/volumes/{clone}")["volume"]["size"] == 2
    backup = two.made("backup", "/backups", {"volume_id": clone})
    restored = two.ask("POST", f"/volume/v3/backups/{backup}/restore", {"restore": {}})["restore"]["volume_id"]
    two.until_is("volume", f"/volumes/{restored}")
    assert two.bits(restored) == CONTENT


@pytest.mark.parametrize("number", [1, 2])
def test_what_was_begun_is_ended_when_a_process_is_killed(two: Cloud, number: int) -> None:
    image = two.image("i")
    ids = [
        str(two.ask("POST", "/volume/v3/volumes", {"volume": {"size": 1, "imageRef": image}})["volume"]["id"])
        for _ in range(6)
    ]
    kill(two, number)
    until(two.works_all, PATIENCE)
    for id_ in ids:
        two.until_is("volume", f"/volumes/{id_}")
    assert two.bits(ids[-1]) == CONTENT
