"""Address groups: prefixes that rules of security groups name together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from compute_plugin.networks.errors import BadRequestError, InUseError, MissingError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.security import AddressGroup
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.v2.frame.attributes import NAMED, OWNED, Attribute, shown, wrong
from compute_plugin.networks.v2.frame.collection import Collection, Row, fresh_fields, standard_row
from compute_plugin.networks.v2.frame.readers import WrongValueError, items, text
from compute_plugin.networks.v2.frame.view import Change, View

DESCRIPTION_MAX: Final = 1024
ADDRESSES_MAX: Final = 1000


def _prefix(value: Any) -> str:
    """An address is a prefix of one; what is behind the prefix is cut off."""
    try:
        if isinstance(value, str) and "%" not in value:
            return str(ipaddress.ip_interface(value).network)
    except ValueError:
        pass  # said below
    raise WrongValueError(f"'{value}' is not a valid IP subnet")


PREFIXES: Final = items(_prefix, ADDRESSES_MAX)


class AddressGroups(Collection[AddressGroup]):
    """`/address-groups`."""

    singular = "address_group"
    plural = "address_groups"
    path = "/address-groups"
    narrowing: ClassVar = {"project_id": "project", "tenant_id": "project"}
    attributes = (
        *NAMED,
        Attribute("description", text(DESCRIPTION_MAX), default=""),
        *OWNED,
        Attribute("addresses", PREFIXES, update=False, default=()),
        *shown("id", "shared", "created_at", "updated_at", "revision_number"),
    )

    def table(self, records: Records) -> Table[AddressGroup]:
        return records.address_groups

    # -- seeing --------------------------------------------------------------------------------------------------

    def target(self, view: View, record: AddressGroup) -> Row:
        return {**super().target(view, record), "shared": view.is_open(record.id)}

    def show(self, view: View, record: AddressGroup) -> Row:
        return {
            **standard_row(record),
            "addresses": list(record.addresses),
            "shared": view.is_open(record.id),
        }

    # -- changing ------------------------------------------------------------------------------------------------

    def create(self, change: Change, project: str, asked: Row) -> AddressGroup:
        fields = fresh_fields(change, project, asked)
        return change.put(change.records.address_groups, AddressGroup(**fields, **asked))

    def delete(self, change: Change, record: AddressGroup) -> None:
        records = change.records
        named = any(one.remote_address_group_id == record.id for one in records.default_rules)
        if named or records.rules.has("addresses", record.id):
            raise InUseError(
                "AddressGroupInUse", f"Address group {record.id} is in use on one or more security group rules."
            )
        for policy in records.rbac_policies.by("object", record.id):
            records.rbac_policies.delete(policy.id)
        records.address_groups.delete(record.id)

    def add_addresses(self, change: Change, record: AddressGroup, body: Row) -> Row:
        """PUT .../add_addresses."""
        new = _said(body)
        held = set(record.addresses)
        twice = [one for one in new if one in held]
        if twice:
            raise BadRequestError(
                "AddressesAlreadyExist", f"Addresses {twice} already exist in the address group {record.id}."
            )
        return self._with(change, record, (*record.addresses, *new))

    def remove_addresses(self, change: Change, record: AddressGroup, body: Row) -> Row:
        """PUT .../remove_addresses."""
        gone, held = set(_said(body)), set(record.addresses)
        if gone - held:
            raise MissingError(
                "AddressesNotFound", f"Addresses {sorted(gone - held)} not found in the address group {record.id}."
            )
        return self._with(change, record, (one for one in record.addresses if one not in gone))

    def _with(self, change: Change, record: AddressGroup, addresses: Iterable[str]) -> Row:
        all_ = tuple(addresses)
        if len(all_) > ADDRESSES_MAX:
            raise wrong("addresses", f"a group has at most {ADDRESSES_MAX}")
        after = change.put(change.records.address_groups, replace(record, addresses=all_))
        return {"address_group": self.show(change, after)}

    actions: ClassVar = {"add_addresses": add_addresses, "remove_addresses": remove_addresses}


def _said(body: Row) -> tuple[str, ...]:
    found = body.get("address_group", body)
    if not isinstance(found, dict) or not isinstance(found.get("addresses"), list):
        raise BadRequestError("HTTPBadRequest", "The body has to say which addresses")
    try:
        said: tuple[str, ...] = PREFIXES(found["addresses"])
    except WrongValueError as error:
        raise wrong("addresses", str(error)) from error
    return said
