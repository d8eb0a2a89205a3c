"""Where things live: devices and weights in, replicas of a name out. Pure: no I/O, no clock, no threads.

Read `ring_hash` (name to place), `layout` (place to devices, one version), `ring` and `progress` (several versions at
once, and how one takes over from another), `handoff`; then `builder`, which makes layouts, over `shares` (how much
where), `first_table`, `assignment` and `moves` (which copy where); `report` and `plan` tell people about the result.
"""

from store.ring.builder import Builder, default_part_power, grow
from store.ring.device import Device
from store.ring.layout import LAYOUT_CODEC, ROWS, Layout
from store.ring.plan import Flow, Plan, plan
from store.ring.progress import PROGRESS_CODEC, Progress
from store.ring.quorum import quorum
from store.ring.report import DeviceLoad, Report, report
from store.ring.ring import Ring
from store.ring.ring_hash import RING_HASH_BITS, partition_of

__all__ = [
    "LAYOUT_CODEC",
    "PROGRESS_CODEC",
    "RING_HASH_BITS",
    "ROWS",
    "Builder",
    "Device",
    "DeviceLoad",
    "Flow",
    "Layout",
    "Plan",
    "Progress",
    "Report",
    "Ring",
    "default_part_power",
    "grow",
    "partition_of",
    "plan",
    "quorum",
    "report",
]
