"""What is measured: a Drystone of its own, started for the run, and a peer that somebody else starts."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Target:
    """An endpoint of the Swift API. `folder` is Drystone's data folder, so that its syncs can be read."""

    name: str
    account_url: str
    token: str
    folder: str = ""

    def syncs(self) -> int | None:
        """Syncs since its start, where it tells."""
        if not self.folder:
            return None
        syncs: int = sum(device.get("syncs", 0) for device in drystone_status(self.folder)["devices"])
        return syncs


def drystone_status(folder: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "drystone", "--data", folder, "status", "--json"], capture_output=True, check=True
    )
    status: dict[str, Any] = json.loads(done.stdout)
    return status


@contextmanager
def drystone(name: str, where: str, devices: int, policies: list[str]) -> Iterator[Target]:
    """A fresh Drystone on a free port, stopped and removed at the end."""
    folder = tempfile.mkdtemp(prefix="drystone-bench-", dir=where)
    command = [sys.executable, "-m", "drystone", "--data", folder, "up", "--listen", "127.0.0.1:0"]
    command += ["--devices", str(devices), "--log-level", "warning"]
    for policy in policies:
        command += ["--policy", policy]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url, token = _sign_in(folder, process)
        yield Target(name, url, token, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        if process.stdout:
            process.stdout.close()
        shutil.rmtree(folder)


def _sign_in(folder: str, process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    deadline = time.monotonic() + READY_SECONDS
    for line in process.stdout:
        if "serves" in line or time.monotonic() > deadline:
            break
    settings = {}
    with open(os.path.join(folder, "admin-openrc"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                settings[name] = value
    request = urllib.request.Request(
        settings["OS_AUTH_URL"].replace("/identity/v3", "/auth/v1.0"),
        headers={
            "X-Auth-User": f"{settings['OS_PROJECT_NAME']}:{settings['OS_USERNAME']}",
            "X-Auth-Key": settings["OS_PASSWORD"],
        },
    )
    with urllib.request.urlopen(request) as response:
        return response.headers["X-Storage-Url"], response.headers["X-Auth-Token"]


def peer(command: str) -> Target:
    """A peer, started (if need be) by a command that prints ACCOUNT_URL=... or ENDPOINT=..., and TOKEN=..."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    words = dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
    name = os.environ.get("PEER_NAME") or os.path.basename(os.path.dirname(os.path.abspath(shlex.split(command)[0])))
    return Target(name, words.get("ACCOUNT_URL") or words["ENDPOINT"], words["TOKEN"])
