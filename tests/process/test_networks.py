"""Networks over the real program, as README's tour has them, in a network namespace that stands for a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="networks are wired by root"),
]


@pytest.fixture
def machine(worker_id: str) -> Iterator[str]:
    name = f"drytour-{worker_id}-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_the_tour(machine: str, tmp_path: Path) -> None:
    own_run = f'mount -t tmpfs tmpfs /run; ip link set lo up; exec {sys.executable} -m tests.process.network_tour "$1"'
    done = subprocess.run(
        ["ip", "netns", "exec", machine, "unshare", "-m", "sh", "-c", own_run, "sh", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    log = tmp_path / "data.log"
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}"
