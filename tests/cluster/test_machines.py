"""Machines see each other, and are gone when they should be, whatever becomes of the test."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.disks import LoopDisk, MemoryDisk
from tests.cluster.echo import Peer
from tests.cluster.machines import Machine, Site
from tests.cluster.waiting import state, until

SLEEP = (sys.executable, "-S", "-c", "import time; print('up'); time.sleep(1000)")


def alive(pid: int) -> bool:
    """Orphans of a machine are reaped when it ends."""
    return state(pid) not in ("", "Z")


def test_machines_of_all_zones_reach_each_other_and_nothing_else(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=2)
    assert (one.address, other.address) == ("10.1.0.1", "10.2.0.2")
    assert Peer(other).ask(one, "hello").word == "hello"
    assert "lo" in (links := one.run("ip", "-brief", "link"))
    assert len(links.splitlines()) == 2
    assert one.run("ip", "route").split() == [
        "10.0.0.0/8",
        "dev",
        "eth0",
        "proto",
        "kernel",
        "scope",
        "link",
        "src",
        one.address,
    ]
    assert one.run("hostname").strip() == "m1"


def test_a_process_is_known_by_its_own_number_and_can_be_started_again(site: Site) -> None:
    process = site.add(zone=1).process(*SLEEP)
    process.start()
    first = process.pid
    until(lambda: process.output() == "up\n")
    assert Path(f"/proc/{first}/cmdline").read_bytes().startswith(sys.executable.encode())
    process.kill()
    assert not alive(first)
    process.start()
    assert process.pid != first
    assert alive(process.pid)
    process.signal(signal.SIGTERM)
    process.wait()
    assert not process.running


def test_a_crash_takes_all_processes_and_leaves_what_is_mounted(site: Site) -> None:
    machine, other = site.add(zone=1), site.add(zone=1)
    disk = MemoryDisk(machine, "disk", 1 << 20)
    parent = machine.process("sh", "-c", f"echo kept > {disk.path}/file; sleep 1000 & echo $!; wait")
    witness = other.process(*SLEEP)
    parent.start()
    witness.start()
    until(lambda: parent.output() != "")
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    machine.crash()
    assert not parent.running
    assert children
    until(lambda: not any(alive(int(child)) for child in children))
    assert witness.running
    assert (disk.seen / "file").read_text() == "kept\n"
    assert Peer(machine).ask(other, "again").word == "again"


def test_nothing_is_left_after_a_test_that_failed(tmp_path: Path, site: Site) -> None:
    held: list[int] = []
    folder = tmp_path / "other"
    folder.mkdir()

    def fail(machine: Machine) -> None:
        process = machine.process(*SLEEP)
        process.start()
        held.extend([process.pid, machine.holder, inner.switch.pid])
        LoopDisk(machine, "disk", 1 << 24)
        raise RuntimeError("as planned")

    with pytest.raises(RuntimeError, match="as planned"), Site(folder) as inner:
        fail(inner.add(zone=1))
    assert not any(alive(pid) for pid in held)
    until(lambda: str(folder) not in subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout)
    assert str(folder) not in Path("/proc/self/mounts").read_text()


def test_nothing_is_left_when_the_tester_is_killed(tmp_path: Path, site: Site) -> None:
    script = f"""
import pathlib, sys, time
from tests.cluster.machines import Site
site = Site(pathlib.Path({str(tmp_path)!r}) / "inner")
process = site.add(1).process("sleep", "1000")
process.start()
print(process.pid, process.machine.holder, site.switch.pid, flush=True)
time.sleep(1000)
"""
    (tmp_path / "inner").mkdir()
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as tester:
        assert tester.stdout is not None
        pids = [int(word) for word in tester.stdout.readline().split()]
        assert len(pids) == 3
        tester.kill()
    until(lambda: not any(alive(pid) for pid in pids))
