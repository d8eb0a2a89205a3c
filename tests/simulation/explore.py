"""Explores crashes, seed by seed: `python -m tests.simulation.explore --seeds 1000`.

Each seed is one course of events from beginning to end. A failure is repeated by the command that is printed with it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext

from tests.simulation.composed.run import ComposedRun
from tests.simulation.engine_workload import EngineRun
from tests.simulation.mutations import MUTATIONS
from tests.simulation.object_workload import ObjectsRun
from tests.simulation.slow_workload import SlowRun
from tests.simulation.world import quiet

WORKLOADS: dict[str, Callable[[int], str]] = {
    "composed": lambda seed: ComposedRun(seed).explore(),
    "engine": lambda seed: EngineRun(seed).explore(),
    "objects": lambda seed: ObjectsRun(seed).explore(),
    "slow": lambda seed: SlowRun(seed).explore(),
}
TWICE_EVERY = 20
"""So many seeds apart, a seed is run twice, and must go the same way."""


class NotRepeatableError(AssertionError):
    """A seed did not lead to the same course of events twice."""


def explore_seed(workload: str, seed: int, *, twice: bool = False) -> None:
    """Run one seed. Raises where a promise is broken."""
    digest = WORKLOADS[workload](seed)
    if twice and WORKLOADS[workload](seed) != digest:
        raise NotRepeatableError(f"seed {seed} of {workload} went two ways")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.explore", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), action="append", help="only this (default: all)")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), help="plant this bug")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    options = parser.parse_args()
    quiet()
    with MUTATIONS[options.mutation].plant() if options.mutation else nullcontext():
        return _explore(options)


def _explore(options: argparse.Namespace) -> int:
    failures = 0
    for workload in options.workload or sorted(WORKLOADS):
        begun = time.perf_counter()
        for count, seed in enumerate(range(options.start, options.start + options.seeds), 1):
            try:
                explore_seed(workload, seed, twice=seed % TWICE_EVERY == 0)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                failures += 1
                traceback.print_exception(error)
                planted = f" --mutation {options.mutation}" if options.mutation else ""
                command = f"python -m tests.simulation.explore --workload {workload} --start {seed} --seeds 1{planted}"
                print(f"FAILED: {workload} seed {seed}; again: {command}", flush=True)
                if not options.keep_going:
                    return 1
            if count % 100 == 0 or count == options.seeds:
                rate = count / (time.perf_counter() - begun)
                print(f"{workload}: {count} seeds, {rate:.1f}/s, {failures} failures", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
