"""Conntrack helpers of routers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from compute_plugin.networks.errors import BadRequestError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import ConntrackHelper
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.below import Below
from compute_plugin.networks.v2.frame.collection import Row, fresh_fields
from compute_plugin.networks.v2.frame.readers import one_of, text, whole
from compute_plugin.networks.v2.frame.sights import bad, touch
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.routing.routers import Routers

HELPERS: Final = {
    "amanda": ("tcp",),
    "ftp": ("tcp",),
    "h323": ("udp", "tcp"),
    "irc": ("tcp",),
    "netbios-ns": ("udp",),
    "pptp": ("tcp",),
    "sane": ("tcp",),
    "sip": ("udp", "tcp"),
    "snmp": ("udp",),
    "tftp": ("udp",),
}
"""Those that there are, and the protocols of each."""
PROTOCOLS: Final = ("dccp", "icmp", "ipv6-icmp", "sctp", "tcp", "udp")


class ConntrackHelpers(Below[ConntrackHelper]):
    """`/routers/<id>/conntrack_helpers`."""

    singular = "conntrack_helper"
    ruled_as = "router_conntrack_helper"
    plural = "conntrack_helpers"
    path = "/routers/{parent_id}/conntrack_helpers"
    above = Routers()
    above_index = "router"
    attributes = (
        *OWNED,
        Attribute("protocol", one_of(PROTOCOLS), default=REQUIRED),
        Attribute("port", whole(1, 65_535), default=REQUIRED),
        Attribute("helper", text(64), default=REQUIRED),
        *shown("id"),
    )

    def table(self, records: Records) -> Table[ConntrackHelper]:
        return records.conntrack_helpers

    def above_id(self, record: ConntrackHelper) -> str:
        return record.router_id

    def show(self, view: View, record: ConntrackHelper) -> Row:
        return {"id": record.id, "protocol": record.protocol, "port": record.port, "helper": record.helper}

    def create(self, change: Change, project: str, asked: Row) -> ConntrackHelper:
        router = change.records.routers.require(change.parent_id)
        fields = fresh_fields(change, router.project_id, asked)
        return _put(change, ConntrackHelper(**fields, router_id=router.id, **asked))

    def update(self, change: Change, record: ConntrackHelper, asked: Row) -> ConntrackHelper:
        return _put(change, replace(record, **asked))

    def delete(self, change: Change, record: ConntrackHelper) -> None:
        super().delete(change, record)
        touch(change, change.records.routers, record.router_id)


def _put(change: Change, helper: ConntrackHelper) -> ConntrackHelper:
    if helper.helper not in HELPERS:
        raise BadRequestError("ConntrackHelperNotAllowed", f"Conntrack Helper {helper.helper} is not allowed.")
    known = HELPERS[helper.helper]
    if helper.protocol not in known:
        raise BadRequestError(
            "InvalidProtocolForHelper",
            f"Conntrack Helper {helper.helper} does not support: {helper.protocol}. Supported protocols are: "
            f"{', '.join(known)}",
        )
    for other in change.records.conntrack_helpers.by("router", helper.router_id):
        same = (other.protocol, other.port, other.helper) == (helper.protocol, helper.port, helper.helper)
        if other.id != helper.id and same:
            raise bad("conntrack_helper", f"A duplicate conntrack helper entry already exists: {other.id}")
    touch(change, change.records.routers, helper.router_id)
    return change.put(change.records.conntrack_helpers, helper)
