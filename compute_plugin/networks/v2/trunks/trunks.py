"""Trunks: several networks through one port of a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from compute_plugin.networks.errors import InUseError, MissingError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.records.trunk import Trunk
from compute_plugin.networks.v2.frame.attributes import DESCRIBED, NAMED, OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag, uuid
from compute_plugin.networks.v2.frame.requests import VERSION, Handler
from compute_plugin.networks.v2.frame.sights import seen
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.trunks.sub_ports import SaidSubPort, added, said_sub_ports, shown_sub_ports, sub_ports
from compute_plugin.networks.v2.trunks.trunk_hosts import place_sub_ports, release_sub_ports
from compute_plugin.networks.v2.trunks.trunk_ports import require_parent
from gateway.rest.answers import answer

STATES: Final = ("ACTIVE", "DOWN")


def add_subports(kind: Collection[Any], change: Change, trunk: Trunk, body: Row) -> Row:
    """PUT .../add_subports."""
    _require_enabled(trunk)
    after = replace(trunk, sub_ports=added(change, trunk, said_sub_ports(body)))
    place_sub_ports(change, after)
    return kind.show(change, change.put(change.records.trunks, after))


def remove_subports(kind: Collection[Any], change: Change, trunk: Trunk, body: Row) -> Row:
    """PUT .../remove_subports."""
    _require_enabled(trunk)
    held = {one.port_id for one in trunk.sub_ports}
    gone = {one.port_id for one in said_sub_ports(body)}
    for port_id in gone - held:
        raise MissingError("SubPortNotFound", f"SubPort {port_id} on trunk {trunk.id} could not be found.")
    kept = tuple(one for one in trunk.sub_ports if one.port_id not in gone)
    release_sub_ports(change, sorted(gone))
    return kind.show(change, change.put(change.records.trunks, replace(trunk, sub_ports=kept)))


class Trunks(Collection[Trunk]):
    """`/trunks`."""

    singular = "trunk"
    plural = "trunks"
    path = "/trunks"
    quota = "trunk"
    tagged = True
    narrowing: ClassVar = {"port_id": "port", "project_id": "project", "tenant_id": "project"}
    attributes = (
        *NAMED,
        *DESCRIBED,
        *OWNED,
        Attribute("port_id", uuid, update=False, default=REQUIRED),
        Attribute("admin_state_up", flag, default=True),
        Attribute("sub_ports", sub_ports, update=False, default=()),
        *shown("id", "status", "tags", "created_at", "updated_at", "revision_number"),
    )
    actions: ClassVar = {"add_subports": add_subports, "remove_subports": remove_subports}

    def table(self, records: Records) -> Table[Trunk]:
        return records.trunks

    # -- seeing --------------------------------------------------------------------------------------------------

    def show(self, view: View, record: Trunk) -> Row:
        state = view.states.ports.get(record.port_id)
        return {
            **standard_row(record),
            "port_id": record.port_id,
            "admin_state_up": record.admin_state_up,
            "status": STATES[0] if state is not None and state.up else STATES[1],
            "sub_ports": shown_sub_ports(record),
            "tags": list(record.tags),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> Trunk:
        said: tuple[SaidSubPort, ...] = asked.pop("sub_ports")
        require_parent(change, asked["port_id"])
        trunk = Trunk(**fresh_fields(change, project, asked), **asked)
        trunk = replace(trunk, sub_ports=added(change, trunk, said))
        place_sub_ports(change, trunk)
        return change.put(change.records.trunks, trunk)

    def delete(self, change: Change, record: Trunk) -> None:
        _require_enabled(record)
        port = change.records.ports.get(record.port_id)
        if port is not None and port.host:
            raise InUseError("TrunkInUse", f"Trunk {record.id} is currently in use.")
        release_sub_ports(change, [one.port_id for one in record.sub_ports])
        super().delete(change, record)


def _require_enabled(trunk: Trunk) -> None:
    if not trunk.admin_state_up:
        raise InUseError("TrunkDisabled", f"Trunk {trunk.id} is currently disabled.")


async def _get_subports(call: Call) -> Response:
    view, kind = await call.view(), Trunks()
    trunk = seen(kind, view, call.path("id"))
    return answer({"sub_ports": shown_sub_ports(trunk)})


ROUTES: Final[dict[str, dict[str, Handler]]] = {f"{VERSION}/trunks/{{id}}/get_subports": {"GET": _get_subports}}
