"""Segments: every network has one, which is where it is wired. What administrators call it is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.segment import SegmentNote
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, standard_row
from compute_plugin.networks.v2.frame.readers import or_none, text, uuid, whole
from compute_plugin.networks.v2.frame.view import Change, View


class Segments(Collection[SegmentNote]):
    """`/segments`. The id of a segment is its network's."""

    singular = "segment"
    plural = "segments"
    path = "/segments"
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("network_id", uuid, update=False, default=REQUIRED),
        Attribute("physical_network", or_none(text(64)), update=False, default=None),
        Attribute("network_type", text(32), update=False, default=REQUIRED),
        Attribute("segmentation_id", or_none(whole(0, (1 << 24) - 1)), update=False, default=None),
        *shown("id", "created_at", "updated_at", "revision_number"),
    )
    narrowing: ClassVar = {}

    def table(self, records: Records) -> Table[SegmentNote]:
        return records.segment_notes

    # -- seeing --------------------------------------------------------------------------------------------------

    def rows(self, view: View) -> Iterable[SegmentNote]:
        return (_note_of(view.records, network) for network in view.records.networks)

    def find(self, view: View, id_: str) -> SegmentNote:
        network = view.records.networks.get(id_)
        if network is None:
            raise view.records.segment_notes.missing(id_)
        return _note_of(view.records, network)

    def show(self, view: View, record: SegmentNote) -> Row:
        network = view.records.networks.require(record.id)
        row = standard_row(record)
        return {
            **{name: row[name] for name in row if name not in ("project_id", "tenant_id")},
            "network_id": network.id,
            "network_type": network.network_type,
            "physical_network": network.physical_network,
            "segmentation_id": network.segmentation_id,
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> SegmentNote:
        network = change.records.networks.require(asked["network_id"])
        raise InUseError(
            "SegmentInUse", f"Network {network.id} has a segment, {network.id}: a network has one segment here."
        )

    def update(self, change: Change, record: SegmentNote, asked: Row) -> SegmentNote:
        return change.put(change.records.segment_notes, replace(record, **asked))

    def delete(self, change: Change, record: SegmentNote) -> None:
        raise InUseError(
            "SegmentInUse", f"Segment '{record.id}' cannot be deleted: It is the one segment of its network."
        )


def _note_of(records: Records, network: Network) -> SegmentNote:
    held = records.segment_notes.get(network.id)
    if held is not None:
        return held
    return SegmentNote(id=network.id, project_id="", created_us=network.created_us, updated_us=network.created_us)
