"""One real node on a machine, its clients on another, and what happens to machines happening to it: judged clean."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.cluster import history, listings, porcupine
from tests.cluster.disks import MemoryDisk
from tests.cluster.faults import ClockJump, Crashed, Delay, Fault, FullDisk, Killed, Loss, Partition, Stopped
from tests.cluster.machines import Process, Site, why_not
from tests.cluster.waiting import until
from tests.cluster.workload import CONTAINER

PORT = 8080
DISK_BYTES = 2 << 30
OPERATIONS = 100
"""Between two faults."""
PATIENCE = 120.0
HELD_SECONDS = 0.5
SIGN_IN = """
import http.client, sys, urllib.parse
address, user, key, container = sys.argv[1:]
connection = http.client.HTTPConnection(address, timeout=60)
connection.request("GET", "/auth/v1.0", headers={"X-Auth-User": user, "X-Auth-Key": key})
answer = connection.getresponse()
answer.read()
url, token = answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
connection.request("PUT", urllib.parse.urlsplit(url).path + "/" + container, headers={"X-Auth-Token": token})
assert connection.getresponse().status == 201
print(url, token)
"""


@pytest.mark.process
def test_faults_of_a_machine_break_no_promise(tmp_path: Path, clock_library: Path, judge_program: Path) -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Site(tmp_path, clock_library=clock_library) as site:
        served, other = site.add(zone=1), site.add(zone=2)
        disk = MemoryDisk(served, "disk", DISK_BYTES)
        data, address = disk.path / "data", f"{served.address}:{PORT}"
        options = ("--no-servers", "--listen", address)
        node = served.process(sys.executable, "-m", "drystone", "--data", str(data), "up", *options)
        node.start()
        serves(node, 1)
        settings = dict(
            line.removeprefix("export ").split("=", 1)
            for line in (disk.seen / "data" / "admin-openrc").read_text().splitlines()
            if line.startswith("export ")
        )
        user = f"{settings['OS_PROJECT_NAME']}:{settings['OS_USERNAME']}"
        arguments = (address, user, settings["OS_PASSWORD"], CONTAINER)
        url, token = other.run(sys.executable, "-c", SIGN_IN, *arguments).split()
        recorded = tmp_path / "recorded"
        command = (sys.executable, "-m", "tests.cluster.workload", str(recorded), token, url, "--seconds", "1000")
        clients = other.process(*command)
        clients.start()
        faults: list[Fault] = [
            Delay(served, milliseconds=3, jitter=10, lost=0.01, twice=0.01),
            ClockJump(served, 1800),
            FullDisk(disk),
            Stopped(node),
            Loss([served], [other]),
            Partition([served], [other]),
            Killed(node),
            Crashed(served, [node]),
        ]
        for fault in faults:
            work(recorded)
            with fault:
                if isinstance(fault, Delay | ClockJump | FullDisk):
                    work(recorded)
                else:
                    time.sleep(HELD_SECONDS)  # nobody is answered meanwhile
        work(recorded)
        assert clients.running, clients.output()
        clients.kill()
    operations = history.recorded(recorded)
    assert sum(one.outcome == "unknown" for one in operations) > 0
    assert listings.check(operations).mistakes == []
    history.write(tmp_path / "history.jsonl", operations)
    verdict = porcupine.judge(judge_program, tmp_path / "history.jsonl", tmp_path)
    assert verdict.status == "linearizable", verdict.said


def serves(node: Process, times: int) -> None:
    until(lambda: node.output().count("serves http") >= times, PATIENCE)


def work(recorded: Path) -> None:
    """Until clients have had some more good answers."""

    def count() -> int:
        return recorded.read_bytes().count(b'"ok"]\n') if recorded.exists() else 0

    before = count()
    until(lambda: count() > before + OPERATIONS, PATIENCE)
