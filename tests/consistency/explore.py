"""Explores, seed by seed: `python -m tests.consistency.explore --seeds 10000`. What fails is repeated by its seed."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.consistency.mistakes import MISTAKES
from tests.consistency.world import BrokenPromiseError, World

CHUNK = 50
MISTAKE_SEEDS = 1000
"""Within so many seeds every planted mistake is to be noticed."""


def explore_seed(seed: int, weather: str = "", entered: Counter[str] | None = None) -> str:
    """Run one seed; a digest of its course. Raises BrokenPromiseError."""
    world = World(seed, weather)
    try:
        return world.run()
    finally:
        if entered is not None:
            entered += world.entered


def _explore(seeds: Iterable[int]) -> tuple[list[tuple[int, str]], Counter[str]]:
    failures, entered = [], Counter[str]()
    for seed in seeds:
        try:
            explore_seed(seed, entered=entered)
        except BrokenPromiseError as broken:
            failures.append((seed, str(broken)))
    return failures, entered


def catch(name: str) -> tuple[str, int | None]:
    """The first seed that notices a planted mistake, if one does."""
    planted = MISTAKES[name]
    with planted.plant():
        for seed in range(MISTAKE_SEEDS):
            try:
                explore_seed(seed, planted.weather)
            except BrokenPromiseError:
                return name, seed
    return name, None


def _catch_all(jobs: int) -> int:
    survived = 0
    with multiprocessing.Pool(jobs) as pool:
        for name, seed in pool.imap(catch, MISTAKES):
            print(f"{name:40}  {'SURVIVED' if seed is None else f'noticed by seed {seed}'}", flush=True)
            survived += seed is None
    print(f"{len(MISTAKES)} planted, {survived} survived")
    return 1 if survived else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.consistency.explore", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes")
    parser.add_argument("--mistakes", action="store_true", help="plant each mistake in turn: which seed notices it?")
    options = parser.parse_args()
    if options.mistakes:
        return _catch_all(options.jobs)
    began = time.perf_counter()
    end = options.start + options.seeds
    failed = done = 0
    entered = Counter[str]()
    with multiprocessing.Pool(options.jobs) as pool:
        chunks = [range(first, min(first + CHUNK, end)) for first in range(options.start, end, CHUNK)]
        for failures, counted in pool.imap(_explore, chunks):
            entered += counted
            done += CHUNK
            if done % 1000 == 0:
                print(f"{done} seeds, {failed} failures", flush=True)
            for seed, how in failures:
                failed += 1
                print(f"{how}\nFAILED: seed {seed}", flush=True)
    for name, times in sorted(entered.items()):
        print(f"{name:26}  {times:>10,}")
    print(f"{options.seeds} seeds in {time.perf_counter() - began:.0f} s, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
