"""Explores, seed by seed: `python -m tests.simulation.explore --seeds 1000`.

Each seed is one course of events from beginning to end. A failure is repeated by the command that is printed with it.
At the end a table says how often each fault and each recovery path was entered. `wired` is `composed` with every device
behind a network, and `fleet` is a cluster of several processes that write (`boxes`: with containers that are made and
deleted, too), and `volume` one of a volume; a seed of these takes ten times as long, so they are asked for by name.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import NamedTuple

from tests.simulation.composed.faults import FAULTS
from tests.simulation.composed.layouts import CHANGES
from tests.simulation.composed.run import ENTERED, OTHER_EVENTS, ComposedRun
from tests.simulation.coverage import PATHS, counted
from tests.simulation.engine_workload import EngineRun
from tests.simulation.fleet.paths import FLEET_PATHS, fleet_events
from tests.simulation.fleet.run import ASKED, RUNS, STRUCK, FleetRun
from tests.simulation.fleet.run import ENTERED as ENTERED_BY_FLEETS
from tests.simulation.mutations import MUTATIONS
from tests.simulation.object_workload import ObjectsRun
from tests.simulation.slow_workload import SlowRun
from tests.simulation.volume_workload import VolumeRun
from tests.simulation.wired import WiredRun
from tests.simulation.world import quiet

WORKLOADS: dict[str, Callable[[int], str]] = {
    "composed": lambda seed: ComposedRun(seed).explore(),
    "engine": lambda seed: EngineRun(seed).explore(),
    "promises": lambda seed: EngineRun(seed, promises=True).explore(),
    "fences": lambda seed: EngineRun(seed, fences=True).explore(),
    "objects": lambda seed: ObjectsRun(seed).explore(),
    "fleet": lambda seed: FleetRun(seed).explore(),
    "boxes": lambda seed: FleetRun(seed, boxes=True).explore(),
    "wired": lambda seed: WiredRun(seed).explore(),
    "volume": lambda seed: VolumeRun(seed).explore(),
    "slow": lambda seed: SlowRun(seed).explore(),
}
TWICE_EVERY = 20
"""So many seeds apart, a seed is run twice, and must go the same way."""
CHUNK = 20
"""Seeds that a process takes at a time."""
LEAST = {ASKED: 300, STRUCK: 5}
"""What a run of a cluster must see on average."""
SLOW = {"wired": 4, "fleet": 4, "boxes": 4, "volume": 4}
"""The same of workloads that take ten times as long."""


class NotRepeatableError(AssertionError):
    """A seed did not lead to the same course of events twice."""


class Chunk(NamedTuple):
    """Some seeds of a workload, with a bug planted or none."""

    workload: str
    seeds: range
    mutation: str


class Explored(NamedTuple):
    """What came of a chunk: the seeds that failed and how, and what was entered."""

    chunk: Chunk
    failures: list[tuple[int, str]]
    entered: Counter[str]


def explore_seed(workload: str, seed: int, *, twice: bool = False) -> None:
    """Run one seed. Raises where a promise is broken."""
    digest = WORKLOADS[workload](seed)
    if twice and WORKLOADS[workload](seed) != digest:
        raise NotRepeatableError(f"seed {seed} of {workload} went two ways")


def _explore(chunk: Chunk) -> Explored:
    quiet()
    ENTERED.clear()
    ENTERED_BY_FLEETS.clear()
    failures = []
    with ExitStack() as stack:
        if chunk.mutation:
            stack.enter_context(MUTATIONS[chunk.mutation].plant())
        stack.enter_context(counted(ENTERED))
        stack.enter_context(counted(ENTERED_BY_FLEETS, FLEET_PATHS))
        for seed in chunk.seeds:
            try:
                explore_seed(chunk.workload, seed, twice=seed % TWICE_EVERY == 0)
            except Exception as error:
                failures.append((seed, "".join(traceback.format_exception(error))))
    return Explored(chunk, failures, ENTERED_BY_FLEETS + Counter(ENTERED))


def _chunks(workloads: Iterable[str], start: int, count: int, mutation: str) -> list[Chunk]:
    return [
        Chunk(workload, range(first, min(first + size, start + count)), mutation)
        for workload in workloads
        for size in [SLOW.get(workload, CHUNK)]
        for first in range(start, start + count, size)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.explore", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument(
        "--workload",
        choices=sorted(WORKLOADS),
        action="append",
        help="only this (default: all but slow ones)",
    )
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), default="", help="plant this bug")
    parser.add_argument("--mutations", action="store_true", help="plant each bug in turn: which seed catches it?")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes")
    options = parser.parse_args()
    if options.mutations:
        return _catch_all(options.jobs)
    workloads = options.workload or sorted(WORKLOADS.keys() - SLOW.keys())
    entered: Counter[str] = Counter()
    failures = done = 0
    began = time.perf_counter()
    with multiprocessing.Pool(options.jobs) as pool:
        for found in pool.imap(_explore, _chunks(workloads, options.start, options.seeds, options.mutation)):
            entered += found.entered
            done += len(found.chunk.seeds)
            for seed, how in found.failures:
                failures += 1
                planted = f" --mutation {options.mutation}" if options.mutation else ""
                again = f"python -m tests.simulation.explore --workload {found.chunk.workload} --start {seed} --seeds 1"
                print(f"{how}\nFAILED: {found.chunk.workload} seed {seed}; again: {again}{planted}", flush=True)
            if failures and not options.keep_going:
                return 1
            if done % 100 < CHUNK:
                rate = done / (time.perf_counter() - began)
                print(f"{found.chunk.workload}: {done} seeds, {rate:.1f}/s, {failures} failures", flush=True)
    print(f"{done} seeds in {time.perf_counter() - began:.0f} s, {failures} failures")
    lacking = []
    if "composed" in workloads:
        lacking += _table(entered, _composed_events(), judged=options.seeds >= 1000)
    if not {"fleet", "boxes"}.isdisjoint(workloads):
        lacking += _table(entered, [*fleet_events(), *FLEET_PATHS], judged=options.seeds >= 200)
        lacking += _averages(entered)
    for each in lacking:
        print(each)
    return 1 if failures or lacking else 0


def _composed_events() -> list[str]:
    faults, changes = (f"fault: {name}" for name in FAULTS), (f"layout: {name}" for name in CHANGES)
    return [*faults, *changes, *OTHER_EVENTS, *PATHS]


def _table(entered: Counter[str], known: list[str], *, judged: bool) -> list[str]:
    """Print how often everything was entered; what never was, if there were seeds enough to judge that."""
    width = max(map(len, known))
    for name in known:
        print(f"{name:{width}}  {entered[name]:>10,}")
    return [f"never entered: {name}" for name in known if judged and not entered[name]]


def _averages(entered: Counter[str]) -> list[str]:
    """Print how much a run of a cluster sees; what is too little, if there were runs enough to judge that."""
    runs = entered[RUNS]
    for name in LEAST:
        print(f"{name} a run: {entered[name] / max(runs, 1):.1f}")
    return [
        f"fewer than {least} {name} a run"
        for name, least in LEAST.items()
        if runs >= 100 and entered[name] < least * runs
    ]


def _catch_all(jobs: int) -> int:
    survived = []
    with multiprocessing.Pool(jobs) as pool:
        for name, seed, seconds in pool.imap(_catch, sorted(MUTATIONS)):
            said = f"caught by seed {seed}" if seed is not None else "SURVIVED"
            print(f"{name:30}  {MUTATIONS[name].workload:10}  {said:20}  {seconds:.0f} s", flush=True)
            survived += [name] if seed is None else []
    print(f"{len(MUTATIONS)} planted, {len(survived)} survived")
    return 1 if survived else 0


def _catch(name: str) -> tuple[str, int | None, float]:
    """The first seed that notices a planted bug, within as many as it may take."""
    quiet()
    planted = MUTATIONS[name]
    began = time.perf_counter()
    with planted.plant():
        for seed in range(planted.seeds):
            try:
                explore_seed(planted.workload, seed)
            except Exception:
                return name, seed, time.perf_counter() - began
    return name, None, time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
