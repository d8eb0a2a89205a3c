"""Monte-Carlo over a real layout: devices, machines and zones fail, what is left repairs, partitions are lost or not.

Losses are far too rare to wait for. So not years are simulated but *cycles*: each begins with a failure in a whole
cluster and ends when everything is repaired; the rate of losses is the rate of first failures times the chance of a
loss in a cycle. And within a cycle failures come more often than they do, and rare kinds as often as common ones;
every loss is counted with the likelihood ratio of what happened (importance sampling by balanced failure biasing,
Shahabuddin, Management Science 40(3), 1994), so that the mean is that of the true rates.

Lost copies are rebuilt in the order of risk, after somebody has reacted, by the bandwidth of the devices that are left,
onto other devices of the zone (or, where there are none, anywhere), where they are exposed to the next failure. A range
that cannot be read is not drawn but weighed: whenever a partition has no copy to spare, its chance of one counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.durability.assumptions import HOURS_PER_YEAR, Assumptions, Policy, Shape
from bench.durability.copysets import copies_of
from bench.durability.formula import bytes_on_device, latent_density, rebuild_hours
from store.ring import Layout

KINDS: Final = ("device", "machine", "zone", "outage")
FURTHER: Final = 1.5
"""Failures that follow the first while it is repaired, on average, in what is drawn."""
_TRIES = 8

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Losses:
    """Per year, with the standard error of the first. `any` loses something, `partitions` is how many are lost as a
    whole, `critical` how many come to have no copy to spare."""

    any: float
    error: float
    partitions: float
    critical: float

    def objects_part(self, policy: Policy, shape: Shape, assumed: Assumptions, piece_bytes: float, count: int) -> float:
        """The part of all objects that is lost in a year, where their copies or fragments are of `piece_bytes`."""
        latent = policy.needed * latent_density(shape, assumed) * (piece_bytes + assumed.latent_bytes)
        return (self.partitions + self.critical * latent) / count


class Simulation:
    """One policy on one layout."""

    def __init__(
        self,
        shape: Shape,
        layout: Layout,
        policy: Policy,
        assumed: Assumptions,
        seed: int,
        *,
        kinds: tuple[str, ...] = KINDS,
        biased: bool = True,
    ) -> None:
        """`kinds`: of failures that happen. Without `biased` they happen at their own rates."""
        self._policy = policy
        self._random = np.random.default_rng(seed)
        self._copies = copies_of(layout, policy)
        devices = [layout.devices[number] for number in sorted(layout.devices)]
        self._zone = _numbered([device.domains[1] for device in devices])
        self._machine = _numbered([device.domains[2] for device in devices])
        self._outage_dead = assumed.outage_dead
        self._react = assumed.react_hours
        stored = bytes_on_device(policy, assumed)
        copy_bytes = stored * len(devices) / self._copies.size
        self._copies_per_hour = assumed.repair_bytes_per_hour / (policy.needed + 1) / copy_bytes
        self._latent = policy.needed * latent_density(shape, assumed) * copy_bytes
        counts = {
            "device": len(devices) * assumed.device_rate,
            "machine": (self._machine.max() + 1) * assumed.machine_rate,
            "zone": (self._zone.max() + 1) * assumed.zone_rate,
            "outage": (self._zone.max() + 1) * assumed.outage_rate,
        }
        self._kinds = [kind for kind in kinds if counts[kind]]
        self._rates = np.array([counts[kind] for kind in self._kinds]) / HOURS_PER_YEAR
        window = assumed.react_hours + rebuild_hours(policy, len(devices), assumed)
        wanted = FURTHER / window
        self._drawn = self._rates
        if biased and wanted > self._rates.sum():
            self._drawn = np.maximum(wanted / len(self._kinds), self._rates)
        self._ratios = np.log(self._rates / self._drawn)
        self._saved = self._drawn.sum() - self._rates.sum()

    @property
    def partitions(self) -> int:
        return len(self._copies)

    def run(self, cycles: int) -> Losses:
        """`cycles` for each kind of first failure."""
        rate = error = partitions = critical = 0.0
        for kind, per_hour in zip(self._kinds, self._rates, strict=True):
            results = np.array([self._cycle(kind) for _ in range(cycles)])
            per_year = per_hour * HOURS_PER_YEAR
            rate += per_year * results[:, 0].mean()
            error += (per_year * results[:, 0].std()) ** 2 / cycles
            partitions += per_year * results[:, 1].mean()
            critical += per_year * results[:, 2].mean()
        return Losses(rate, math.sqrt(error), partitions, critical)

    def _cycle(self, kind: str) -> tuple[float, float, float]:
        """(chance that something is lost, partitions lost, partitions that came to the brink), each weighted."""
        state = _Cluster(self._copies, self._zone, self._policy.tolerated, self._random)
        weight = 0.0
        whole, any_lost, partitions, critical = 1.0, 0.0, 0.0, 0.0
        while True:
            lost, brink = state.fail(self._struck(kind), self._react)
            factor = math.exp(weight + self._saved * state.now)
            partitions += factor * lost
            critical += factor * brink
            chance = 1.0 if lost else -math.expm1(-brink * self._latent)
            any_lost += factor * whole * chance
            whole *= 1.0 - chance
            following = state.now + self._random.exponential(1.0 / self._drawn.sum())
            if state.repair(following, self._copies_per_hour):
                return any_lost, partitions, critical
            number = self._random.choice(len(self._kinds), p=self._drawn / self._drawn.sum())
            kind = self._kinds[number]
            weight += self._ratios[number]

    def _struck(self, kind: str) -> Numbers:
        """The devices that one failure of a kind takes."""
        if kind == "device":
            return self._random.integers(0, len(self._zone), 1)
        domains = self._machine if kind == "machine" else self._zone
        struck = np.flatnonzero(domains == self._random.integers(0, domains.max() + 1))
        if kind == "outage":
            struck = struck[self._random.random(len(struck)) < self._outage_dead]
        return struck


class _Cluster:
    """Copies, and which of them are out, in the course of one cycle. Time is in hours since its first failure."""

    def __init__(self, copies: NDArray[np.int16], zone: Numbers, tolerated: int, random: np.random.Generator) -> None:
        self.now = 0.0
        self._holders = copies.copy()
        self._zone = zone
        self._tolerated = tolerated
        self._random = random
        self._missing = np.zeros(len(copies), dtype=np.int64)
        self._lost = np.zeros(len(copies), dtype=bool)
        self._back = np.zeros(len(zone))
        """When there is an empty device in the place of each that was lost."""
        self._rows = self._columns = self._from = np.empty(0, dtype=np.int64)
        self._due = np.empty(0)
        self._part_done = 0.0

    def fail(self, devices: Numbers, react: float) -> tuple[int, int]:
        """Lose what is on `devices`. Returns how many partitions are lost by it, and how many have none to spare."""
        struck = devices[self._back[devices] <= self.now]
        gone = np.zeros(len(self._zone) + 1, dtype=bool)
        gone[struck] = True
        rows, columns = np.nonzero(gone[self._holders])
        if not len(rows):
            return 0, 0
        self._back[struck] = self.now + react
        before = self._missing.copy()
        np.add.at(self._missing, rows, 1)
        self._rows = np.concatenate([self._rows, rows])
        self._columns = np.concatenate([self._columns, columns])
        self._from = np.concatenate([self._from, self._holders[rows, columns]])
        self._due = np.concatenate([self._due, np.full(len(rows), self.now + react)])
        self._holders[rows, columns] = -1
        lost = (self._missing > self._tolerated) & ~self._lost
        brink = (self._missing == self._tolerated) & (before < self._tolerated)
        self._lost |= lost
        self._keep(~self._lost[self._rows])
        return int(lost.sum()), int(brink.sum())

    def repair(self, until: float, copies_per_hour: float) -> bool:
        """Rebuild until then. Returns whether nothing is left to rebuild; else it is `until` now."""
        while len(self._rows):
            ready = np.flatnonzero(self._due <= self.now)
            later = self._due[self._due > self.now]
            horizon = min(until, later.min()) if len(later) else until
            rate = copies_per_hour * np.count_nonzero(self._back <= self.now)
            budget = self._part_done + rate * (horizon - self.now)
            if len(ready) and budget >= len(ready):
                self.now += (len(ready) - self._part_done) / rate
                self._part_done = 0.0
                self._rebuilt(ready)
                continue
            if len(ready):
                self._part_done = budget - int(budget)
                self._rebuilt(self._by_risk(ready)[: int(budget)])
            self.now = horizon
            if horizon == until:
                return False
        return True

    def _by_risk(self, jobs: Numbers) -> Numbers:
        """Copies of the partitions with the fewest left first; a second copy of one ranks as if it had the first."""
        jobs = jobs[np.argsort(self._rows[jobs], kind="stable")]
        rows = self._rows[jobs]
        first = np.searchsorted(rows, rows)
        risk = self._missing[rows] - (np.arange(len(rows)) - first)
        return jobs[np.argsort(-risk, kind="stable")]

    def _rebuilt(self, jobs: Numbers) -> None:
        for column in np.unique(self._columns[jobs]):
            some = jobs[self._columns[jobs] == column]
            self._place(self._rows[some], int(column), self._from[some])
        np.subtract.at(self._missing, self._rows[jobs], 1)
        kept = np.ones(len(self._rows), dtype=bool)
        kept[jobs] = False
        self._keep(kept)

    def _place(self, rows: Numbers, column: int, before: Numbers) -> None:
        """Each copy onto a device that has none of its partition, of the same zone if there is one; else back to where
        it was, where an empty device is by now."""
        live = np.flatnonzero(self._back <= self.now)
        live = live[np.argsort(self._zone[live], kind="stable")]
        zones = self._zone[live]
        low = np.searchsorted(zones, self._zone[before], side="left")
        high = np.searchsorted(zones, self._zone[before], side="right")
        target = np.full(len(rows), -1, dtype=np.int64)
        for attempt in range(2 * _TRIES):
            open_ = np.flatnonzero(target < 0)
            if not len(open_):
                break
            near = attempt < _TRIES
            least = low[open_] if near else np.zeros(len(open_), dtype=np.int64)
            span = high[open_] - low[open_] if near else np.full(len(open_), len(live))
            drawn = live[np.minimum(least + (self._random.random(len(open_)) * span).astype(np.int64), len(live) - 1)]
            free = (span > 0) & (self._holders[rows[open_]] != drawn[:, None]).all(axis=1)
            target[open_[free]] = drawn[free]
        self._holders[rows, column] = np.where(target < 0, before, target)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._rows, self._columns = self._rows[kept], self._columns[kept]
        self._from, self._due = self._from[kept], self._due[kept]


def _numbered(domains: list[tuple[int | str, ...]]) -> Numbers:
    order = {domain: number for number, domain in enumerate(dict.fromkeys(domains))}
    return np.array([order[domain] for domain in domains], dtype=np.int64)
