"""What is put in: rates of failure and repair, clusters, policies. Sources: docs/durability.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from store.ring import ROWS, Builder, Layout

HOURS_PER_YEAR: Final = 8766.0

SCRUB_HOURS: Final = 14 * 24.0
SCRUB_BYTES_PER_HOUR: Final = 20 * 1024 * 1024 * 3600.0
"""What the scrubber promises, and the rate that it does not pass (store/replicator/scrub.py), for all devices of a
process together: with more than 25 TB on them a pass takes longer than its period."""


@dataclass(frozen=True)
class Assumptions:
    """Rates are per year, for each device, machine or zone; times are hours."""

    device_rate: float = 0.0157
    machine_rate: float = 0.002
    """A machine takes all its devices with it, for good (power supply, controller, operator)."""
    zone_rate: float = 0.001
    """A zone is gone: fire, water."""
    outage_rate: float = 0.2
    """The power of a zone fails; all comes back but `outage_dead` of its devices."""
    outage_dead: float = 0.01
    latent_rate: float = 0.1
    """A range that cannot be read any more, found by the scrub or by a read."""
    latent_bytes: float = 1 << 20
    react_hours: float = 24.0
    """Until somebody has taken the device off the ring or put an empty one in its place."""
    repair_bytes_per_hour: float = 50e6 * 3600
    """What each device that is left reads or writes for repairs."""
    device_bytes: float = 0.6 * 16e12
    """Of the policy that is judged, if all were stored under it."""
    rows_part: float = 0.02
    """Rows and small objects, of those bytes: what the rows' own table is judged with."""

    def scrub_hours(self, devices_per_machine: int) -> float:
        return max(SCRUB_HOURS, devices_per_machine * self.device_bytes / SCRUB_BYTES_PER_HOUR)


@dataclass(frozen=True)
class Policy:
    """`width` copies or fragments, of which `needed` suffice to read. `table`: its key in a layout."""

    name: str
    width: int
    needed: int
    table: int

    @property
    def tolerated(self) -> int:
        """Devices that may be lost at once, whichever they are."""
        return self.width - self.needed


POLICIES: Final = (
    Policy("rows and small objects", 3, 1, ROWS),
    Policy("2 copies", 2, 1, 2),
    Policy("3 copies", 3, 1, 3),
    Policy("2+1", 3, 2, 3),
    Policy("4+2", 6, 4, 6),
    Policy("8+3", 11, 8, 11),
)


@dataclass(frozen=True)
class Shape:
    """A cluster of equal machines, `machines` in each zone."""

    name: str
    zones: int
    machines: int
    devices_per_machine: int

    @property
    def devices(self) -> int:
        return self.zones * self.machines * self.devices_per_machine

    def layout(self, part_power: int | None = None) -> Layout:
        """The first layout that the builder makes for it, with a table for every policy that fits."""
        builder = Builder(part_power=part_power)
        for zone in range(self.zones):
            for machine in range(self.machines):
                for device in range(self.devices_per_machine):
                    builder.add(1, zone, f"{zone}-{machine}", 1.0, f"{zone}-{machine}-{device}")
        for policy in self.policies():
            if policy.table != ROWS:
                builder.add_width(policy.table)
        return builder.rebalance(0)

    def policies(self) -> tuple[Policy, ...]:
        return tuple(policy for policy in POLICIES if policy.width <= self.devices)


SHAPES: Final = (
    Shape("1 machine of 4 devices", 1, 1, 4),
    Shape("3 zones of 1 machine of 4", 3, 1, 4),
    Shape("3 zones of 5 machines of 4", 3, 5, 4),
    Shape("6 zones of 5 machines of 8", 6, 5, 8),
)
