"""A real etcd, for tests: one member on free loopback ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

START_SECONDS = 120
"""How long a busy machine may take."""


_PORTS = count(20_000 + os.getpid() % 120 * 100)
"""Below those that the system gives to outgoing connections, which could take one while its server is down; and other
ones than another process of tests has."""


def free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=START_SECONDS) as response:
        answer: dict[str, Any] = json.loads(response.read())
        return answer


def serves(url: str) -> bool:
    try:
        post(url, "/v3/kv/range", {"key": "YQ=="})
    except OSError:
        return False
    return True


@contextmanager
def etcd_server(folder: Path, *options: str) -> Iterator[str]:
    """The URL of a member that serves. It is killed at the end."""
    while True:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        command = ["etcd", "--name", "only", "--data-dir", str(folder / "etcd"), "--initial-cluster", f"only={peer}"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, *options]
        with (folder / "etcd.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_SECONDS
            while process.poll() is None and not serves(client):
                assert time.monotonic() < deadline, (folder / "etcd.log").read_text()[-2000:]
                time.sleep(0.05)
            if process.returncode is None:
                yield client
                return
            # Somebody took the port in between: once more.
            assert "address already in use" in (folder / "etcd.log").read_text(), (folder / "etcd.log").read_text()
        finally:
            process.kill()
            process.wait()
