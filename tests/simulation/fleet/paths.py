"""What the exploration of clusters is to come by: kinds of faults, and what is done about them."""

from __future__ import annotations

from store.device.row import Flag
from store.engine.row_table import RowTable
from store.objects.coordinator import Coordinator
from store.objects.rows import Rows
from store.replicator.daemon import Retries
from store.replicator.hints import Hints
from store.replicator.rejoin import Rejoiner
from store.replicator.upload_janitor import UploadJanitor
from tests.simulation.composed.layouts import CHANGES
from tests.simulation.coverage import Path
from tests.simulation.fleet.faults import FAULTS


def _always(_result: object, *_: object, **__: object) -> bool:
    return True


def _some(result: object, *_: object, **__: object) -> bool:
    return bool(result)


FLEET_PATHS: dict[str, Path] = {
    "replica: newer, and says so": Path(RowTable, "_newer", _always),
    "replica: newer, and covers": Path(RowTable, "_newer", lambda result, *_: result.covers),
    "replica: barred by a promise": Path(RowTable, "apply", lambda result, *_, **__: result.barred),
    "replica: kept out by a tombstone": Path(
        RowTable,
        "_newer",
        lambda _result, _self, _packed, _stamp, here: here is None or bool(here.flags & Flag.TOMBSTONE),
    ),
    "replica: promise refused": Path(RowTable, "promise", lambda result, *_: not result),
    "coordinator: goes on above": Path(Coordinator, "_finish", _always),
    "coordinator: conditional write contested": Path(Coordinator, "_made", _always),
    "coordinator: begun anew": Path(Coordinator, "pause", _always),
    "coordinator: settled": Path(Coordinator, "_again", _some),
    "epoch refused": Path(Rows, "newer_ring", _always),
    "read: written back": Path(Rows, "write_back", _always),
    "read: while several layouts are live": Path(Rows, "read", lambda _result, rows, *_, **__: len(rows.ring.live) > 1),
    "read: placed in all layouts after all": Path(Rows, "_is_placed_after_all", _some),
    "write in doubt resolved": Path(Rows, "resolve", _some),
    "hint: row brought": Path(Hints, "_bring_row", _always),
    "hint: data brought": Path(Hints, "_bring_data", _always),
    "hint: settled above a promise": Path(Rows, "settle", _always),
    "retried: was not brought at once": Path(Retries, "failed", _always),
    "upload: given up": Path(UploadJanitor, "_abort", _always),
    "device rejoined": Path(Rejoiner, "rejoin", _always),
    "tombstone released": Path(RowTable, "release", _always),
}


def fleet_events() -> list[str]:
    """Kinds of what happens to a cluster."""
    return [*(f"fault: {name}" for name in FAULTS), *(f"layout: {name}" for name in CHANGES if name not in UNUSED)]


UNUSED = {"remove one that is out"}
"""Here nobody says that a device is lost for good."""
