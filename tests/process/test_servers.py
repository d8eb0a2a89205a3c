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
from tests.guests.container import make as container
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
    tour(machine, "tests.process.server_tour", tmp_path, make.make_image(tmp_path))


@pytest.mark.skipif(bool(container.missing()), reason=container.missing())
def test_the_tour_of_containers(machine: str, tmp_path: Path) -> None:
    tour(machine, "tests.process.container_tour", tmp_path, container.make_root(tmp_path))


def tour(machine: str, module: str, folder: Path, image: Path) -> None:
    """As a process of the machine, with a /run of its own. Its /sys is that of its network, with the control groups of
    the whole."""
    script = (
        "mount -t tmpfs tmpfs /run; mkdir /run/groups; mount --rbind /sys/fs/cgroup /run/groups;"
        "mount -t sysfs sysfs /sys; mount --rbind /run/groups /sys/fs/cgroup; umount -l /run/groups;"
        f'ip link set lo up; exec {sys.executable} -m {module} "$1" "$2"'
    )
    inside = ("nsenter", f"--net=/run/netns/{machine}", "unshare", "-m", "sh", "-c", script, "sh")
    command = [*inside, str(folder / "data"), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    log = folder / "data.log"
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{log.read_text()[-20_000:] if log.exists() else ''}"
