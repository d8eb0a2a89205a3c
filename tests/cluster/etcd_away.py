"""etcd is away for minutes while a cluster of five machines is under load: nobody who reads or writes notices.

    python -m tests.cluster.etcd_away --seconds 600 --way stopped

All members are stopped (SIGSTOP: they hold their connections and say nothing), or killed and kept from starting again.
Meanwhile the load of the trial goes on, and at every node somebody comes by a new connection, signs in, and writes and
reads with the token of before; what waits for etcd is typed too, and says so. Then etcd is back: a ring change and a
join work, and the history is judged. Root only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.cluster import clock, history, listings, porcupine
from tests.cluster.faults import Fault, processes_of
from tests.cluster.history import Operation
from tests.cluster.machines import Machine, Site, why_not
from tests.cluster.node import DRYSTONE, PATIENCE, SERVE, Node
from tests.cluster.trial import HEALED_SECONDS, Trial, answered, folder, say
from tests.cluster.waiting import until

WAYS = ("stopped", "killed")
PROBE_SECONDS = 5.0
COMMAND_SECONDS = 90.0
ONE_BY_ONE = """
import http.client, json, sys, time
address, key, token, path, name = sys.argv[1:]
def ask(method, path, body=None, **headers):
    began = time.monotonic()
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer, time.monotonic() - began
    finally:
        connection.close()
took = {}
signed, took["sign in"] = ask("GET", "/auth/v1.0", X_Auth_User="admin:admin", X_Auth_Key=key)
said = {"sign in": signed.status}
for word, method, shown, body in (
    ("container", "CREATE", token, None), ("put", "PUT", token, b"x" * 100),
    ("large put", "PUT", token, b"y" * 200_000), ("get", "GET", token, None),
    ("get with a new token", "GET", signed.headers.get("X-Auth-Token", ""), None),
    ("listing", "LIST", token, None), ("delete", "DELETE", token, None),
):
    target = path if method in ("LIST", "CREATE") else f"{path}/{name}"
    method = {"LIST": "GET", "CREATE": "PUT"}.get(method, method)
    answer, took[word] = ask(method, target, body, X_Auth_Token=shown)
    said[word] = answer.status
print(json.dumps([said, took]))
"""
GOOD = {
    "sign in": (200,),
    "container": (201, 202),
    "put": (201,),
    "large put": (201,),
    "get": (200,),
    "get with a new token": (200,),
    "listing": (200,),
    "delete": (204,),
}


class Members:
    """The processes of etcd on machines."""

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines

    def pids(self, machine: Machine) -> list[int]:
        found = []
        for pid in processes_of(machine):
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == "etcd":
                    found.append(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def signal(self, number: int) -> None:
        for machine in self._machines:
            for pid in self.pids(machine):
                os.kill(pid, number)


class EtcdStopped(Fault):
    """All members hold still, and then go on as if no time had passed."""

    def __init__(self, machines: list[Machine]) -> None:
        self._members = Members(machines)

    def inject(self) -> None:
        self._members.signal(signal.SIGSTOP)

    def undo(self) -> None:
        self._members.signal(signal.SIGCONT)


class EtcdKilled(Fault):
    """All members are killed, and whoever starts one again gets a program that ends at once."""

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines
        self._program = ""

    def inject(self) -> None:
        for machine in self._machines:
            self._program = machine.run("sh", "-c", "readlink -f $(command -v etcd)").strip()
            machine.run("mount", "--bind", "/bin/false", self._program)
        Members(self._machines).signal(signal.SIGKILL)

    def undo(self) -> None:
        for machine in self._machines:
            machine.run("umount", self._program)


class Away:
    """What is done meanwhile, and what came of it."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.answers: Counter[str] = Counter()
        self.worst: dict[str, float] = {}
        self.bad: list[str] = []
        self._count = 0

    def probe(self, node: Node) -> None:
        """Everything that is to go on, at one node, each by a connection of its own."""
        trial = self._trial
        self._count += 1
        address, name = f"{node.machine.address}:{SERVE}", f"probe-{self._count}"
        words = (address, trial.key, trial.token, f"{trial.path}/probes", name)
        said, took = json.loads(trial.client.run(sys.executable, "-c", ONE_BY_ONE, *words))
        for word, status in said.items():
            self.answers[f"{word} {status}"] += 1
            self.worst[word] = max(self.worst.get(word, 0.0), took[word])
            if status not in GOOD[word]:
                self.bad.append(f"{word} at {node.name}: {status}")


def typed(node: Node, *arguments: str) -> tuple[int, str, float]:
    """A command that may wait: how it ended, what it said last, and how long it took."""
    began = time.monotonic()
    command = node.machine.entering([*DRYSTONE, "--data", str(node.data), *arguments])
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    said = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode, said[-1] if said else "", time.monotonic() - began


def run(seconds: float, way: str, seed: int, where: Path) -> bool:
    """Whether all was as it should be."""
    judge = porcupine.build(where)
    if isinstance(judge, str):
        raise SystemExit(f"no judge: {judge}")
    (where / "site").mkdir()
    good = True
    with ExitStack() as stack:
        site = stack.enter_context(Site(where / "site", clock_library=clock.build(where)))
        trial = Trial(site, "etcd", seed)
        trial.make()
        recorded = where / "recorded"
        trial.begin(recorded)
        away = Away(trial)
        until(lambda: answered(recorded) > 500, PATIENCE)
        for node in trial.nodes:
            away.probe(node)
        before = answered(recorded)
        machines = [node.machine for node in trial.nodes]
        fault = EtcdStopped(machines) if way == "stopped" else EtcdKilled(machines)
        began = time.monotonic_ns()
        with fault:
            say(f"etcd is away: {way}")
            deadline = time.monotonic() + seconds
            turn = 0
            while time.monotonic() < deadline:
                away.probe(trial.nodes[turn % len(trial.nodes)])
                turn += 1
                assert trial.works, "the load has ended"
                if turn in (2, 20, 80):
                    for arguments in (("ring", "apply"), ("cluster", "token"), ("node", "list"), ("status",)):
                        code, said, took = typed(trial.nodes[turn % 5], *arguments)
                        say(f"'drystone {' '.join(arguments)}' ends with {code} after {took:.0f} s: {said[:200]}")
                        good = good and (code == 0) == (arguments == ("status",))
                time.sleep(PROBE_SECONDS)
            done = answered(recorded) - before
        ended = time.monotonic_ns()
        say(f"etcd is back; meanwhile {done} operations of the load, {done / seconds:.0f} a second")
        say(f"probes: {dict(sorted(away.answers.items()))}")
        say(f"the slowest in s: { {word: round(took, 2) for word, took in sorted(away.worst.items())} }")
        back = time.monotonic()
        code = 1
        while code and time.monotonic() - back < PATIENCE:
            code, said, _ = typed(trial.nodes[0], "cluster", "token")
            if code:
                time.sleep(1)
        say(f"a token after {time.monotonic() - back:.0f} s")
        until(lambda: "does not run" not in trial.nodes[1].typed("node", "list"), PATIENCE)
        trial.add_node(zone=3)
        say(f"a sixth node has joined {time.monotonic() - back:.0f} s after etcd was back")
        trial.nodes[-1].typed("ring", "apply")
        until(trial.is_settled, HEALED_SECONDS)
        say(f"the ring has changed, {time.monotonic() - back:.0f} s after etcd was back")
        for node in trial.nodes:
            away.probe(node)
        assert all(node.process.running for node in trial.nodes), "a process has ended"
        trial.end()
        until(trial.has_brought_all, HEALED_SECONDS)
        lack = trial.copies_lacking()
    operations = history.recorded(recorded)
    meanwhile = Counter(one.outcome for one in operations if within(one, began, ended))
    say(f"operations that began while etcd was away: {dict(meanwhile)}")
    history.write(where / "history.jsonl", operations)
    listed = listings.check(operations)
    verdict = porcupine.judge(judge, where / "history.jsonl", where)
    say(f"{len(operations)} operations; {listed.decided} names of listings decided; {verdict.status}\n{verdict.said}")
    for line in [*away.bad[:20], *listed.mistakes[:20], *lack[:20]]:
        say(line)
    clean = not away.bad and not listed.mistakes and not lack and verdict.status == "linearizable"
    return good and clean


def within(operation: Operation, began: int, ended: int) -> bool:
    return began <= operation.start_ns <= ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--way", choices=WAYS, default="stopped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    reason = why_not() or clock.why_not()
    if reason is not None:
        raise SystemExit(reason)
    with folder(given.folder) as where:
        if not run(given.seconds, given.way, given.seed, where):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
