"""What the exploration of clusters is to come by: kinds of faults, and what is done about them."""

from __future__ import annotations

from store.device.row import Flag
from store.engine.row_table import RowTable
from store.objects.coordinator import Coordinator
from store.objects.late_data import LateData
from store.objects.rows import Rows
from store.replicator.daemon import Retries
from store.replicator.hints import Hints
from store.replicator.move import Mover
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
    "stamp refused: something newer is here": Path(RowTable, "_newer", _always),
    "covers: what is newer stands for it": Path(RowTable, "_newer", lambda result, *_: result.covers),
    "tombstone refused what is older": Path(
        RowTable,
        "_newer",
        lambda _result, _self, _packed, _stamp, here: here is None or bool(here.flags & Flag.TOMBSTONE),
    ),
    "promise barred a write": Path(RowTable, "apply", lambda result, *_, **__: result.barred),
    "promise refused": Path(RowTable, "promise", lambda result, *_: not result),
    "epoch refused": Path(Rows, "newer_ring", _always),
    "plain write: went on above": Path(Coordinator, "_finish", _always),
    "CAS retry: contested": Path(Coordinator, "_made", _always),
    "CAS retry: begun anew": Path(Coordinator, "pause", _always),
    "settle": Path(Coordinator, "_again", _some),
    "settle: above what bars a hint": Path(Rows, "settle", _always),
    "read repair": Path(Rows, "write_back", _always),
    "read in an older layout": Path(Rows, "read", lambda _result, rows, *_, **__: len(rows.ring.live) > 1),
    "read in an older layout: placed in all after all": Path(Rows, "_is_placed_after_all", _some),
    "write in doubt resolved": Path(Rows, "resolve", _some),
    "hint replay: row brought": Path(Hints, "_bring_row", _always),
    "hint replay: data brought": Path(Hints, "_bring_data", _always),
    "settle: when late data are known of": Path(
        LateData, "settle", lambda _result, self, packed, *_: packed in self._expected
    ),
    "handoff drain": Path(
        Mover, "move", lambda result, self, *_: result is not None and len(self._store.rows.ring.live) == 1
    ),
    "resync retry": Path(Retries, "failed", _always),
    "upload given up": Path(UploadJanitor, "_abort", _always),
    "device rejoined": Path(Rejoiner, "rejoin", _always),
    "tombstone released": Path(RowTable, "release", _always),
}
"""Handoff drain: with one layout live, data lie elsewhere than it says only since a device refused them."""


def fleet_events() -> list[str]:
    """Kinds of what happens to a cluster."""
    return [*(f"fault: {name}" for name in FAULTS), *(f"layout: {name}" for name in CHANGES if name not in UNUSED)]


UNUSED = {"remove one that is out"}
"""Here nobody says that a device is lost for good."""
