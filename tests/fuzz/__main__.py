"""Fuzzes the whole surface, example by example: `python -m tests.fuzz --examples 10000`.

A failure is made small, and printed as the bytes that lead to it. Whoever wants the same examples again gives the seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from random import SystemRandom

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from gateway.swift.protocol.refusals import cause
from tests.fuzz.asking import Conversation
from tests.fuzz.damage import conversations
from tests.fuzz.rounds import Round, over_devices, over_memory
from tests.fuzz.surface import CAST

STORES: dict[str, Round] = {"memory": over_memory, "devices": over_devices}
REPORT_EVERY = 500


class Tally:
    """What has been answered so far, and how fast."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._begun = time.perf_counter()
        self._examples = 0
        self._statuses: Counter[int] = Counter()
        self._slowest = 0.0
        self._failed = False

    def add(self, statuses: list[int], took: float) -> None:
        """One more example."""
        self._examples += 1
        self._statuses.update(statuses)
        self._slowest = max(self._slowest, took)
        if self._examples % REPORT_EVERY == 0:
            self.show()

    def found(self, error: Exception) -> None:
        """The first failure, as it is: to make it small may take long."""
        if not self._failed:
            self._failed = True
            print(f"{self._store}: FAILED, now made smaller: {cause(error)!r}", flush=True)

    def show(self) -> None:
        """Print it."""
        rate = self._examples / (time.perf_counter() - self._begun)
        shown = " ".join(f"{status}:{count}" for status, count in sorted(self._statuses.items()))
        print(
            f"{self._store}: {self._examples} examples, {rate:.0f}/s, slowest {self._slowest:.2f} s; {shown}",
            flush=True,
        )


def fuzz(store: str, examples: int, number: int) -> None:
    """Raises what breaks a promise."""
    tally = Tally(store)

    @seed(number)
    @given(st.lists(conversations(CAST), min_size=1, max_size=3))
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def explore(held: list[Conversation]) -> None:
        begun = time.perf_counter()
        try:
            statuses = STORES[store](held)
        except Exception as error:
            tally.found(error)
            raise
        tally.add(statuses, time.perf_counter() - begun)

    explore()
    tally.show()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="how many over each store")
    parser.add_argument("--seed", type=int, default=None, help="draw the same examples again")
    parser.add_argument("--store", choices=sorted(STORES), action="append", help="only over this (default: all)")
    options = parser.parse_args()
    number = SystemRandom().getrandbits(32) if options.seed is None else options.seed
    print(f"seed {number}", flush=True)
    for store in options.store or sorted(STORES):
        fuzz(store, options.examples, number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
