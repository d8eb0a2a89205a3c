"""Servers over the real program, as README's tour has them, in a network namespace that stands for a machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests import conftest as guests
from tests.guests.image import make

MISSING = guests.missing() or make.missing()
pytestmark = [
    pytest.mark.process,
    pytest.mark.guest,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="servers are run by root"),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


@pytest.fixture
def machine(worker_id: str) -> Iterator[str]:
    name = f"dryservers-{worker_id}-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout.split()
    for pid in pids:  # libvirt's daemons, which the program has started there
        os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_the_tour(machine: str, tmp_path: Path) -> None:
    image = make.make_image(tmp_path)
    own_run = (
        f'mount -t tmpfs tmpfs /run; ip link set lo up; exec {sys.executable} -m tests.process.server_tour "$1" "$2"'
    )
    done = subprocess.run(
        [
            "ip",
            "netns",
            "exec",
            machine,
            "unshare",
            "-m",
            "sh",
            "-c",
            own_run,
            "sh",
            str(tmp_path / "data"),
            str(image),
        ],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    log = tmp_path / "data.log"
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{log.read_text()[-20_000:] if log.exists() else ''}"
