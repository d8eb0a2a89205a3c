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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Target:
    """An endpoint of the Swift API. `folder` is Drystone's data folder, so that its syncs can be read; `pid` is its
    process."""

    name: str
    account_url: str
    token: str
    folder: str = ""
    pid: int = 0

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
def drystone(
    name: str,
    where: str,
    devices: int | None = None,
    policies: Sequence[str] = (),
    tree: str | None = None,
    processes: int = 1,
) -> Iterator[Target]:
    """A fresh Drystone on a free port, stopped and removed at the end. `tree` is another source tree to run it from;
    without devices and policies it is what the program makes of itself."""
    folder = tempfile.mkdtemp(prefix="drystone-bench-", dir=os.path.abspath(where))
    command = [sys.executable, "-m", "drystone", "--data", folder, "up", "--no-servers", "--listen", "127.0.0.1:0"]
    command += ["--log-level", "warning"]
    if devices is not None:
        command += ["--devices", str(devices)]
    for policy in policies:
        command += ["--policy", policy]
    if processes > 1:  # an older tree does not know the option
        command += ["--processes", str(processes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tree)
    try:
        _wait_until_it_serves(process)
        url, token = sign_in(folder)
        yield Target(name, url, token, folder, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        shutil.rmtree(folder)


def _wait_until_it_serves(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    deadline = time.monotonic() + READY_SECONDS
    for line in process.stdout:
        if "serves" in line or time.monotonic() > deadline:
            break


def sign_in(folder: str) -> tuple[str, str]:
    """The account's URL and a token, as the administrator of the Drystone that serves the data folder."""
    settings = administrator(folder)
    request = urllib.request.Request(
        settings["OS_AUTH_URL"].replace("/identity/v3", "/auth/v1.0"),
        headers={
            "X-Auth-User": f"{settings['OS_PROJECT_NAME']}:{settings['OS_USERNAME']}",
            "X-Auth-Key": settings["OS_PASSWORD"],
        },
    )
    with urllib.request.urlopen(request) as response:
        return response.headers["X-Storage-Url"], response.headers["X-Auth-Token"]


def administrator(folder: str) -> dict[str, str]:
    """What `admin-openrc` exports, by name."""
    settings = {}
    with open(os.path.join(folder, "admin-openrc"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                settings[name] = value
    return settings


def peer(command: str) -> Target:
    """A peer, started (if need be) by a command that prints ACCOUNT_URL=... or ENDPOINT=..., and TOKEN=..."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    words = dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
    name = os.environ.get("PEER_NAME") or os.path.basename(os.path.dirname(os.path.abspath(shlex.split(command)[0])))
    return Target(name, words.get("ACCOUNT_URL") or words["ENDPOINT"], words["TOKEN"])
