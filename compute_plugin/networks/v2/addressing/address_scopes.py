"""Address scopes."""

from __future__ import annotations

from typing import ClassVar

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import AddressScope
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.addressing.address_readers import ip_version
from compute_plugin.networks.v2.frame.attributes import NAMED, OWNED, REQUIRED, Attribute, shown
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import flag
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.sharing.shares import for_everybody, forget_shares, share

OBJECT = "address_scope"
"""In RBAC policies."""


class AddressScopes(Collection[AddressScope]):
    """`/address-scopes`."""

    singular = "address_scope"
    plural = "address_scopes"
    path = "/address-scopes"
    narrowing: ClassVar = {"project_id": "project", "tenant_id": "project"}
    attributes = (
        *NAMED,
        *OWNED,
        Attribute("ip_version", ip_version, update=False, default=REQUIRED),
        Attribute("shared", flag, default=False),
        *shown("id"),
    )

    def table(self, records: Records) -> Table[AddressScope]:
        return records.address_scopes

    def target(self, view: View, record: AddressScope) -> Row:
        return {**super().target(view, record), "shared": view.is_open(record.id)}

    def show(self, view: View, record: AddressScope) -> Row:
        row = standard_row(record)
        return {
            **{name: row[name] for name in ("id", "name", "project_id", "tenant_id")},
            "ip_version": record.ip_version,
            "shared": view.is_open(record.id),
        }

    def create(self, change: Change, project: str, asked: Row) -> AddressScope:
        shared = asked.pop("shared")
        scope = AddressScope(**fresh_fields(change, project, asked), **asked)
        change.put(change.records.address_scopes, scope)
        if shared:
            share(change, scope, OBJECT)
        return change.records.address_scopes.require(scope.id)

    def update(self, change: Change, record: AddressScope, asked: Row) -> AddressScope:
        shared = asked.pop("shared", None)
        if shared:
            share(change, record, OBJECT)
        elif shared is False and for_everybody(change.records, record.id):
            raise BadRequestError(
                "AddressScopeUpdateError",
                f"Unable to update address scope {record.id} : Shared address scope can't be unshared.",
            )
        return super().update(change, record, asked)

    def delete(self, change: Change, record: AddressScope) -> None:
        if change.records.subnetpools.has("scope", record.id):
            raise InUseError(
                "AddressScopeInUse",
                f"Unable to complete operation on address scope {record.id}. There are one or more subnet pools in use "
                "on the address scope.",
            )
        forget_shares(change, record.id)
        super().delete(change, record)
