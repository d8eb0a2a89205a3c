"""Explores, seed by seed: `python -m tests.consistency.explore --seeds 10000`. What fails is repeated by its seed."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.consistency.world import BrokenPromiseError, World

CHUNK = 50


def explore_seed(seed: int, entered: Counter[str] | None = None) -> str:
    """Run one seed; a digest of its course. Raises BrokenPromiseError."""
    world = World(seed)
    try:
        return world.run()
    finally:
        if entered is not None:
            entered += world.entered


def _explore(seeds: Iterable[int]) -> tuple[list[tuple[int, str]], Counter[str]]:
    failures, entered = [], Counter[str]()
    for seed in seeds:
        try:
            explore_seed(seed, entered)
        except BrokenPromiseError as broken:
            failures.append((seed, str(broken)))
    return failures, entered


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.consistency.explore", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes")
    options = parser.parse_args()
    began = time.perf_counter()
    end = options.start + options.seeds
    failed = 0
    entered = Counter[str]()
    with multiprocessing.Pool(options.jobs) as pool:
        chunks = [range(first, min(first + CHUNK, end)) for first in range(options.start, end, CHUNK)]
        for failures, counted in pool.imap(_explore, chunks):
            entered += counted
            for seed, how in failures:
                failed += 1
                print(f"{how}\nFAILED: seed {seed}", flush=True)
    for name, times in sorted(entered.items()):
        print(f"{name:26}  {times:>10,}")
    print(f"{options.seeds} seeds in {time.perf_counter() - began:.0f} s, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
