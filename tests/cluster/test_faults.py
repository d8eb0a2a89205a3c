"""Each kind of fault does what it says to a small program, and is gone afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.disks import LoopDisk, MemoryDisk
from tests.cluster.echo import Peer
from tests.cluster.faults import (
    ClockJump,
    Crashed,
    Delay,
    FullDisk,
    HangingDisk,
    Killed,
    Loss,
    Partition,
    SlowDisk,
    StaleDisk,
    Stopped,
    WipedDisk,
)
from tests.cluster.machines import Site, why_not
from tests.cluster.waiting import state, until

DISK_BYTES = 1 << 24
HOUR = 3600


def test_a_partition_lets_nothing_through_either_way_and_heals(site: Site) -> None:
    one, other, third = (site.add(zone) for zone in (1, 2, 3))
    peers = {machine: Peer(machine) for machine in (one, other)}
    with Partition([one, third], [other]):
        peers[other].send(one, "lost")
        peers[other].send(third, "lost")
        peers[one].send(other, "lost")
        assert peers[one].ask(third, "within").word == "within"
    for peer, sender in ((peers[one], other), (peers[other], one), (peers[other], third)):
        assert peer.ask(sender, "after").word == "after"
        assert "lost" not in peer.heard()


def test_loss_is_in_one_direction(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    here, there = Peer(one), Peer(other)
    with Loss([one], [other]):
        there.send(one, "lost")
        here.send(other, "passes")
        here.heard_until("passes")
    there.send(one, "after")
    assert there.heard_until("after") == ["serves", "after"]


def test_loss_by_chance_takes_about_its_part(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    words = [str(number) for number in range(400)]
    with Loss([one], [other], part=0.5):
        peer.send(one, *words)
    peer.send(one, "after")
    arrived = len(peer.heard_until("after")) - 2
    assert 120 < arrived < 280  # 200 and eight standard deviations


def test_faults_of_links_compose_and_are_undone_in_any_order(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=2)
    peer = Peer(other)
    loss, partition = Loss([one], [other]), Partition([one], [other])
    loss.inject()
    partition.inject()
    loss.undo()
    peer.send(one, "lost")
    partition.undo()
    assert peer.ask(one, "after").word == "after"
    assert peer.heard() == ["serves", "after"]


def test_what_is_delayed_arrives_later(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    peer.ask(one, "before")
    with Delay(other, milliseconds=150):
        begin = time.monotonic()
        assert peer.ask(one, "late").word == "late"
        assert time.monotonic() - begin >= 0.3
    assert peer.ask(one, "after").word == "after"


def test_jitter_changes_the_order(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    peer.ask(one, "before")
    words = [str(number) for number in range(50)]
    with Delay(other, milliseconds=1, jitter=100):
        peer.send(one, *words)
        until(lambda: len(peer.heard()) == 52)
    arrived = peer.heard()[2:]
    assert sorted(arrived, key=int) == words
    assert arrived != words


def test_frames_come_twice_or_not_at_all(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    peer.ask(one, "before")
    with Delay(other, milliseconds=1, twice=1.0):
        peer.send(one, "twice")
        until(lambda: peer.heard().count("twice") == 2)
    with Delay(other, milliseconds=1, lost=1.0):
        peer.send(one, "lost")
    assert peer.ask(one, "after").word == "after"
    assert "lost" not in peer.heard()


def test_much_data_passes_a_delayed_link_unharmed(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    take = """
import hashlib, socket
server = socket.create_server(("0.0.0.0", 4001))
print("serves", flush=True)
connection, _ = server.accept()
digest = hashlib.sha256()
while data := connection.recv(1 << 16):
    digest.update(data)
connection.sendall(digest.hexdigest().encode())
"""
    give = f"""
import hashlib, random, socket
data = random.Random(1).randbytes(1 << 23)
connection = socket.create_connection(("{other.address}", 4001))
connection.sendall(data)
connection.shutdown(socket.SHUT_WR)
print(connection.recv(100).decode() == hashlib.sha256(data).hexdigest())
"""
    server = other.process(sys.executable, "-S", "-c", take)
    server.start()
    until(lambda: server.output() != "")
    with Delay(other, milliseconds=5, jitter=1):
        assert one.run(sys.executable, "-S", "-c", give) == "True\n"


def test_what_was_killed_is_started_again(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    with Killed(peer.process):
        assert not peer.process.running
    until(lambda: peer.heard().count("serves") == 2)
    assert peer.ask(one, "after").word == "after"


def test_after_a_crash_the_processes_are_started_again(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    with Crashed(other, [peer.process]):
        assert not peer.process.running
    until(lambda: peer.heard().count("serves") == 2)
    assert peer.ask(one, "after").word == "after"


def test_what_is_stopped_answers_when_it_goes_on(site: Site) -> None:
    one, other = site.add(zone=1), site.add(zone=1)
    peer = Peer(other)
    with Stopped(peer.process):
        until(lambda: state(peer.process.pid) == "T")
        peer.send(one, "while")
        assert peer.heard() == ["serves"]
    peer.heard_until("while")


@pytest.mark.parametrize("seconds", [HOUR, -24 * HOUR])
def test_the_wall_clock_jumps_and_the_monotonic_does_not(tmp_path: Path, clock_library: Path, seconds: float) -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Site(tmp_path, clock_library=clock_library) as site:
        one, other = site.add(zone=1), site.add(zone=1)
        here, there = Peer(one), Peer(other)
        with ClockJump(other, seconds):
            before, wall = time.monotonic_ns(), time.time_ns()
            jumped, straight = there.ask(one, "jumped"), here.ask(other, "straight")
            after, wall_after = time.monotonic_ns(), time.time_ns()
        assert wall <= jumped.wall_ns - seconds * 1e9 <= wall_after
        assert before <= jumped.monotonic_ns <= after
        assert wall <= straight.wall_ns <= wall_after
        begin = time.time_ns()
        assert begin <= there.ask(one, "after").wall_ns <= time.time_ns()


def test_a_full_disk_has_not_a_byte_and_then_has_room_again(site: Site) -> None:
    machine = site.add(zone=1)
    disk = MemoryDisk(machine, "disk", DISK_BYTES)
    write = f"with open('{disk.path}/file', 'wb') as file: file.write(b'x')"
    script = (
        f"import errno\ntry:\n    {write}\nexcept OSError as error:\n    print(errno.errorcode[error.errno])\n"
        "else:\n    print('done')\n"
    )
    with FullDisk(disk):
        assert machine.run(sys.executable, "-S", "-c", script) == "ENOSPC\n"
    assert machine.run(sys.executable, "-S", "-c", script) == "done\n"


def test_what_is_no_disk_of_its_own_is_never_filled(site: Site) -> None:
    machine = site.add(zone=1)
    disk = MemoryDisk(machine, "disk", DISK_BYTES)
    machine.run("umount", str(disk.path))
    with pytest.raises(AssertionError, match="disk of its own"), FullDisk(disk):
        pass


def test_a_wiped_disk_is_empty(site: Site) -> None:
    machine = site.add(zone=1)
    disk = MemoryDisk(machine, "disk", DISK_BYTES)
    machine.run("sh", "-c", f"mkdir {disk.path}/folder; echo data > {disk.path}/folder/file; ln -s / {disk.path}/link")
    with WipedDisk(disk):
        assert machine.run("ls", "-A", str(disk.path)) == ""
    assert machine.run("ls", "-A", str(disk.path)) == ""


def test_a_stale_disk_has_what_it_had(site: Site, tmp_path: Path) -> None:
    machine = site.add(zone=1)
    disk = MemoryDisk(machine, "disk", DISK_BYTES)
    stale = StaleDisk(disk, tmp_path / "copy")
    machine.run("sh", "-c", f"cd {disk.path}; mkdir a; echo old > a/changed; echo old > a/removed")
    stale.keep()
    machine.run("sh", "-c", f"cd {disk.path}; echo new > a/changed; echo new > a/added; rm a/removed")
    with stale:
        assert machine.run("sh", "-c", f"cd {disk.path}/a; grep . *") == "changed:old\nremoved:old\n"


def test_a_slow_disk_takes_its_time_for_every_sync(site: Site) -> None:
    reason = SlowDisk.why_not()
    if reason:
        pytest.skip(reason)
    machine = site.add(zone=1)
    disk = LoopDisk(machine, "disk", DISK_BYTES)
    script = f"""
import os, sys
file = os.open("{disk.path}/file", os.O_RDWR | os.O_CREAT)
for number in range(10):
    os.pwrite(file, b"x", number * 4096)
    os.fdatasync(file)
print("done")
"""
    with SlowDisk(disk, operations=20):
        begin = time.monotonic()
        process = machine.process(sys.executable, "-S", "-c", script)
        process.start()
        until(lambda: process.output() == "done\n")
        assert time.monotonic() - begin > 0.3  # ten writes of some twenty operations; a bound from below
    assert machine.cgroups == []


def test_a_hanging_disk_takes_writes_when_it_is_over(site: Site) -> None:
    machine = site.add(zone=1)
    disk = LoopDisk(machine, "disk", DISK_BYTES)
    process = machine.process("sh", "-c", f"echo data > {disk.path}/file; echo done")
    with HangingDisk(disk):
        process.start()
        until(lambda: state(process.pid) == "D")
        assert process.output() == ""
    until(lambda: process.output() == "done\n")
    assert process.wait() == 0


def test_all_at_once_and_all_is_undone(site: Site, tmp_path: Path) -> None:
    machines = [site.add(zone) for zone in (1, 2, 3)]
    peers = [Peer(machine) for machine in machines]
    disk = LoopDisk(machines[0], "disk", DISK_BYTES)
    with ExitStack() as faults:
        faults.enter_context(Delay(machines[0], milliseconds=2, jitter=5))
        faults.enter_context(Partition(machines[:1], machines[1:]))
        faults.enter_context(Stopped(peers[1].process))
        faults.enter_context(Killed(peers[2].process))
        faults.enter_context(FullDisk(disk))
        faults.enter_context(HangingDisk(disk))
    for peer in peers:
        for machine in machines:
            peer.heard_until("serves")
            if machine is not peer.machine:
                assert peer.ask(machine, "after").word == "after"
    machines[0].run("sh", "-c", f"echo data > {disk.path}/file")
    assert "fault" not in machines[0].run("nft", "list", "ruleset")
    assert str(tmp_path) not in subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
