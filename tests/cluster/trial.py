"""A cluster of five machines in three zones under load and faults of all kinds, and its history judged.

    python -m tests.cluster.trial --operations 200000

Real processes and a real etcd, on machines made of namespaces. Clients work on a few hot names while one fault after
the other comes and goes, each a few seconds after the one before. Then all is well again, and: the history is
linearizable (Porcupine), listings were right, and within five minutes each row and block is on three devices again, by
their logs. Root only. Everything is left in the folder that is named at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tests.cluster import clock, faults, history, listings, porcupine
from tests.cluster.disks import Disk, LoopDisk, MemoryDisk
from tests.cluster.faults import Fault
from tests.cluster.machines import Machine, Process, Site, why_not
from tests.cluster.node import DRYSTONE, OPTIONS, PATIENCE, SERVE, Node
from tests.cluster.redundancy import lacking
from tests.cluster.waiting import until
from tests.cluster.workload import CONTAINER

ZONES = (1, 1, 2, 2, 3)
DISK_BYTES = 1 << 30
DAY = 86400
D = TypeVar("D", bound=Disk)
BRINGING = ("hints", "doubt", "repair", "rejoin", "rebalance")
"""In the names of the loops that bring to devices what they lack. The scrubber is none: nothing may be left to it."""
FAULT_SECONDS = (2.0, 6.0)
PAUSE_SECONDS = (0.5, 2.5)
HEALED_SECONDS = 300.0
SIGN_IN = """
import sys, urllib.request
signed = {"X-Auth-User": "admin:admin", "X-Auth-Key": sys.argv[2]}
request = urllib.request.Request(f"http://{sys.argv[1]}/auth/v1.0", headers=signed)
answer = urllib.request.urlopen(request, timeout=30)
token, path = answer.headers["X-Auth-Token"], "/v1/" + answer.headers["X-Storage-Url"].split("/v1/")[1]
put = urllib.request.Request(f"http://{sys.argv[1]}{path}/{sys.argv[3]}", method="PUT", headers={"X-Auth-Token": token})
urllib.request.urlopen(put, timeout=60)
print(token, path)
"""


class Trial:
    """The cluster, its load, and what happens to it."""

    def __init__(
        self,
        site: Site,
        registry: str,
        seed: int,
        *,
        zones: Sequence[int] = ZONES,
        program: Sequence[str] = DRYSTONE,
        options: Sequence[str] = OPTIONS,
    ) -> None:
        """`zones` are those of the machines; `program` is how Drystone is run on them, with these options of `up`."""
        self._zones = zones
        self._program = program
        self._options = options
        self.site = site
        self.random = random.Random(seed)
        self.client = site.add(zone=9)
        self.nodes: list[Node] = []
        self.disks: dict[str, Disk] = {}
        self.injected: Counter[str] = Counter()
        self.key = self.token = self.path = ""
        """Of the administrator, when the load has begun: the password, a token, and where the account is."""
        self._registry = registry
        self._load: Process | None = None

    # -- making it -----------------------------------------------------------------------------------------------

    def make(self) -> None:
        """All nodes, one of them with three devices, as a cluster begins."""
        for zone in self._zones:
            self.add_node(zone)
        if self._registry == "etcd":
            until(lambda: all(node.voters == 3 for node in self.nodes), PATIENCE)
        for _ in range(3):
            self.nodes[-1].typed("ring", "apply")
            until(self.is_settled, PATIENCE)
        say("the ring is spread")

    def add_node(self, zone: int) -> None:
        """One more, with a device that is not in use yet."""
        number = len(self.nodes) + 1
        node = Node(self.site.add(zone=zone), f"n{number}", self._program, self._options)
        self.nodes.append(node)
        kind = LoopDisk if number in (2, 4) else MemoryDisk
        for disk in range(3 if number == 1 else 1):
            made = kind(node.machine, f"disk{disk}", DISK_BYTES)
            (made.seen / "device").mkdir()
            self.disks[f"{node.name}/{disk}"] = made
        if number == 1:
            paths = [word for disk in range(3) for word in ("--device", self._path(f"n1/{disk}"))]
            where = ("--name", "n1", "--listen", node.listens, "--zone", str(zone))
            node.typed("cluster", "init", *where, *paths, "--replicas", "3", "--registry", self._registry)
        else:
            node.join(self.nodes[0], "--zone", str(zone))
        node.start()
        if number > 1:
            node.typed("device", "add", self._path(f"{node.name}/0"), "--weight", "3")
        say(f"{node.name} is there")

    def _path(self, disk: str) -> str:
        return str(self.disks[disk].path / "device")

    def is_settled(self) -> bool:
        """Whether all nodes see all devices in order, and no change of the ring goes on."""
        for node in self.nodes:
            try:
                status = node.status()
            except (AssertionError, json.JSONDecodeError):
                return False
            states = {device["state"] for device in status["devices"]}
            if len(status["devices"]) != len(self.disks) or states != {"ok"} or len(status["live_layouts"]) > 1:
                return False
        return True

    # -- load ----------------------------------------------------------------------------------------------------

    def begin(self, recorded: Path) -> None:
        key = next(
            line.split("=", 1)[1]
            for line in (self.nodes[0].data / "admin-openrc").read_text().splitlines()
            if line.startswith("export OS_PASSWORD=")
        )
        address = f"{self.nodes[0].machine.address}:{SERVE}"
        self.key = "".join(key)
        self.token, self.path = self.client.run(sys.executable, "-c", SIGN_IN, address, self.key, CONTAINER).split()
        urls = [f"http://{node.machine.address}:{SERVE}{self.path}" for node in self.nodes]
        seed = str(self.random.randrange(1 << 30))
        command = (sys.executable, "-m", "tests.cluster.workload", str(recorded), self.token, *urls)
        self._load = self.client.process(*command, "--seed", seed, "--seconds", "1000000")
        self._load.start()

    def end(self) -> None:
        assert self._load is not None
        self._load.signal(signal.SIGINT)
        self._load.wait()

    @property
    def works(self) -> bool:
        return self._load is not None and self._load.running

    # -- faults --------------------------------------------------------------------------------------------------

    def _kinds(self, node: Node, scratch: Path) -> dict[str, Callable[[], None]]:
        """Each makes one happen and go, and takes its time."""
        machine, others, choice = node.machine, self._others(node), self.random.choice
        return {
            "partition": lambda: self._for_a_while(faults.Partition([machine], others)),
            "one way": lambda: self._for_a_while(faults.Loss(others, [machine])),
            "one way back": lambda: self._for_a_while(faults.Loss([machine], others)),
            "packets lost": lambda: self._for_a_while(faults.Loss(others, [machine], 0.3)),
            "late": lambda: self._for_a_while(faults.Delay(machine, choice([20, 200]), 20, lost=0.01, twice=0.02)),
            "killed": lambda: self._restarted(node, faults.Killed(node.process)),
            "crashed": lambda: self._restarted(node, faults.Crashed(machine, [node.process])),
            "stopped": lambda: self._for_a_while(faults.Stopped(node.process)),
            "clock": lambda: self._for_a_while(faults.ClockJump(machine, choice([-DAY, -30, 30, DAY, 400 * DAY]))),
            "full disk": lambda: self._for_a_while(faults.FullDisk(self._some(MemoryDisk))),
            "slow disk": lambda: self._for_a_while(faults.SlowDisk(self._some(LoopDisk), 30)),
            "hanging disk": lambda: self._for_a_while(faults.HangingDisk(self._some(LoopDisk))),
            "wiped disk": lambda: self._wiped(node),
            "stale disk": lambda: self._stale(node, scratch),
            "weights": lambda: self._weights(node),
        }

    def one_fault(self, scratch: Path) -> None:
        node = self.random.choice(self.nodes)
        kinds = self._kinds(node, scratch)
        if faults.SlowDisk.why_not() is not None:
            del kinds["slow disk"]
        least = min(self.injected[kind] for kind in kinds)
        kind = self.random.choice([kind for kind in kinds if self.injected[kind] <= least + 1])
        say(f"{kind} ({node.name})")
        kinds[kind]()
        self.injected[kind] += 1
        time.sleep(self.random.uniform(*PAUSE_SECONDS))

    def _others(self, node: Node) -> list[Machine]:
        return [other.machine for other in self.nodes if other is not node]

    def _some(self, kind: type[D]) -> D:
        return self.random.choice([disk for disk in self.disks.values() if isinstance(disk, kind)])

    def _for_a_while(self, fault: Fault) -> None:
        with fault:
            time.sleep(self.random.uniform(*FAULT_SECONDS))

    def _restarted(self, node: Node, fault: Fault) -> None:
        before = node.process.output().count("serves http")
        with fault:
            time.sleep(self.random.uniform(*FAULT_SECONDS))
        until(lambda: node.process.output().count("serves http") > before, PATIENCE)

    def _healthy(self) -> None:
        """A disk is lost only when all others have what they should: two at a time are more than three copies bear."""
        until(self.is_settled, HEALED_SECONDS)
        until(self.has_brought_all, HEALED_SECONDS)

    def has_brought_all(self) -> bool:
        with suppress(AssertionError, json.JSONDecodeError):
            return all(
                loop["left"] == 0
                for node in self.nodes
                for loop in node.status()["loops"]
                if any(word in loop["loop"] for word in BRINGING)
            )
        return False

    def _wiped(self, node: Node) -> None:
        self._healthy()
        disk = self.disks[f"{node.name}/0"]
        number = self._number(node)
        node.process.kill()
        faults.WipedDisk(disk).inject()
        (disk.seen / "device").mkdir()
        node.start()
        node.typed("device", "add", self._path(f"{node.name}/0"), "--in-place-of", str(number))

    def _number(self, node: Node) -> int:
        label = self._path(f"{node.name}/0")
        devices = node.status()["devices"]
        return int(next(d["device"] for d in devices if d["node"] == node.name and d["label"] == label))

    def _stale(self, node: Node, scratch: Path) -> None:
        self._healthy()
        copy = scratch / f"stale-{self.injected['stale disk']}"
        stale = faults.StaleDisk(self.disks[f"{node.name}/0"], copy)
        node.process.kill()
        stale.keep()
        node.start()
        time.sleep(self.random.uniform(*FAULT_SECONDS))
        self._healthy()
        node.process.kill()
        stale.inject()
        node.start()
        subprocess.run(["rm", "-rf", str(copy)], check=True)

    def _weights(self, node: Node) -> None:
        """The ring changes, and data move."""
        device = self._number(node)
        asker = self.random.choice(self.nodes)
        with suppress(AssertionError):  # another change goes on
            asker.typed("ring", "weight", str(device), str(self.random.choice([1, 2, 3])))
            asker.typed("ring", "apply")

    # -- what came of it -----------------------------------------------------------------------------------------

    def copies_lacking(self) -> list[str]:
        """By the logs of all devices. All nodes are stopped for that."""
        for node in self.nodes:
            node.process.signal(signal.SIGTERM)
        for node in self.nodes:
            node.process.wait()
        dumps = {
            number: self._node_of(name).machine.run(*DRYSTONE, "device", "dump", self._path(name)).splitlines()
            for number, name in enumerate(self.disks)
        }
        return lacking(dumps, 3)

    def _node_of(self, disk: str) -> Node:
        return next(node for node in self.nodes if disk.startswith(f"{node.name}/"))


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


def answered(recorded: Path) -> int:
    return recorded.read_bytes().count(b'"ok"]') if recorded.exists() else 0


@contextmanager
def folder(given: Path | None) -> Iterator[Path]:
    path = given or Path(tempfile.mkdtemp(prefix="drystone-trial-"))
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        say(f"everything is in {path}")


def run(operations: int, registry: str, seed: int, where: Path) -> bool:
    """Whether all was as it should be."""
    judge = porcupine.build(where)
    if isinstance(judge, str):
        raise SystemExit(f"no judge: {judge}")
    (where / "site").mkdir()
    with ExitStack() as stack:
        site = stack.enter_context(Site(where / "site", clock_library=clock.build(where)))
        trial = Trial(site, registry, seed)
        trial.make()
        recorded = where / "recorded"
        trial.begin(recorded)
        began = time.monotonic()
        while (done := answered(recorded)) < operations:
            say(f"{done} operations, {done / (time.monotonic() - began):.0f} a second")
            trial.one_fault(where)
            assert trial.works, "the load has ended"
        trial.end()
        took = time.monotonic() - began
        say(f"{done} operations in {took:.0f} s; faults: {dict(sorted(trial.injected.items()))}")
        until(trial.is_settled, HEALED_SECONDS)
        until(trial.has_brought_all, HEALED_SECONDS)
        say(f"healed by its own word {time.monotonic() - began - took:.0f} s after the last fault")
        lack = trial.copies_lacking()
    operations_done = history.recorded(recorded)
    history.write(where / "history.jsonl", operations_done)
    outcomes = Counter(one.outcome for one in operations_done)
    listed = listings.check(operations_done)
    verdict = porcupine.judge(judge, where / "history.jsonl", where)
    say(f"outcomes {dict(outcomes)}; {listed.decided} names of listings decided, {len(listed.mistakes)} mistakes")
    say(f"{verdict.status}\n{verdict.said}")
    for line in [*listed.mistakes[:20], *lack[:20]]:
        say(line)
    return not listed.mistakes and not lack and verdict.status == "linearizable"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--registry", choices=["etcd", "embedded"], default="etcd")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    reason = why_not() or clock.why_not()
    if reason is not None:
        raise SystemExit(reason)
    with folder(given.folder) as where:
        if not run(given.operations, given.registry, given.seed, where):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
