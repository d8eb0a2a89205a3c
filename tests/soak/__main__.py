"""`python -m tests.soak --minutes 30`: the mixed load, what it cost, and whether all is as it must be."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from store.engine.segment import LOG_SEGMENT_BYTES, SPARES_MAX
from tests.process.program import Client, Program
from tests.soak.load import CONTAINERS, Worker, check_everything

OPTIONS = ("--devices", "4", "--policy", "standard=3", "--policy", "archive=2+1", "--log-level", "info")
SETTLE_SECONDS = 90.0
SPACE_SLACK_BYTES = 4 * (1 + SPARES_MAX) * LOG_SEGMENT_BYTES
"""On each device one log segment is being filled and two are ready, whatever the store holds."""


def soak(folder: Path, minutes: float, workers: int, seed: int, *, quiet: bool = False) -> list[str]:
    """Run the load; returns what was wrong, one line each."""
    program = Program(folder, *OPTIONS)
    program.start()
    with closing(Client(program)) as client:
        for container, policy in CONTAINERS.items():
            assert client.object("PUT", container, headers={"X-Storage-Policy": policy}).status == 201
    stop = threading.Event()
    crew = [Worker(program, number, random.Random(seed * 1000 + number), stop) for number in range(workers)]
    threads = [threading.Thread(target=worker.run) for worker in crew]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + minutes * 60
    memory: list[int] = []
    while time.monotonic() < deadline and not any(worker.problems for worker in crew):
        time.sleep(min(10.0, max(0.1, deadline - time.monotonic())))
        memory.append(program.memory_bytes() >> 20)
        if not quiet:
            done = sum(worker.operations for worker in crew)
            print(f"{len(memory) * 10:6} s  {done:9} operations  {memory[-1]:4} MiB", flush=True)
    stop.set()
    for thread in threads:
        thread.join()
    problems = [problem for worker in crew for problem in worker.problems]
    if not problems:
        for worker in crew:
            check_everything(worker)
    problems += _check_end(program, folder, crew, memory)
    return problems


def _check_end(program: Program, folder: Path, crew: list[Worker], memory: list[int]) -> list[str]:
    problems = []
    half = memory[len(memory) // 2 :]
    if len(memory) >= 12 and max(half) > 1.3 * max(memory[: len(memory) // 2]) + 16:
        problems.append(f"memory grows: {memory}")
    _come_to_rest(program)
    used = int(subprocess.run(["du", "-sk", folder / "devices"], capture_output=True, check=True).stdout.split()[0])
    status = json.loads(program.command("status", "--json").stdout)
    live = sum(device["live_bytes"] for device in status["devices"])
    if used * 1024 > 1.15 * live + SPACE_SLACK_BYTES:
        problems.append(f"space: {used * 1024} bytes of disk for {live} live")
    expected = 0
    for worker in crew:
        expected += sum(len(held.data) for held in worker.objects.values() if not held.expires)
    print(f"{sum(worker.operations for worker in crew)} operations, {expected >> 20} MiB in objects, "
          f"{live >> 20} MiB live, {used >> 10} MiB on disk, memory {max(memory, default=0)} MiB at most")  # fmt: skip
    if "Traceback" in program.log():
        problems.append("a traceback in the log: " + program.log()[-2000:])
    program.stop()
    checked = program.command("device", "check")
    if checked.returncode != 0:
        problems.append(checked.stdout)
    return problems


def _come_to_rest(program: Program) -> None:
    """Wait until displaced data are dropped and uploads ended."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        loops = {loop["loop"]: loop for loop in json.loads(program.command("status", "--json").stdout)["loops"]}
        if not loops["collect data"]["left"] and not loops["clean up uploads"]["left"]:
            time.sleep(3)
            return
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="drystone-soak-", dir=".") as folder:
        problems = soak(Path(folder) / "data", arguments.minutes, arguments.workers, arguments.seed)
    for problem in problems:
        print(problem)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
