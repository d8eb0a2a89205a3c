"""From entries of a directory to users and groups: what stock Keystone reads, and how it judges `enabled`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import ldap
import ldap.dn

from authn.backends.backend import DirectoryGroup, DirectoryUser
from authn.backends.ldap_calls import Entry
from authn.backends.ldap_options import LdapOptions
from authn.backends.public_id import public_id

GUID: Final = "objectguid"
"""Active Directory's own id of an entry: 16 bytes, told as a UUID."""


def user_attributes(options: LdapOptions) -> list[str]:
    """What is asked for."""
    return _asked(
        options.user_id_attribute,
        options.user_name_attribute,
        options.user_mail_attribute,
        options.user_description_attribute,
        options.user_enabled_attribute,
    )


def group_attributes(options: LdapOptions) -> list[str]:
    """What is asked for."""
    return _asked(options.group_id_attribute, options.group_name_attribute, options.group_desc_attribute)


def user_of(entry: Entry, options: LdapOptions, domain_id: str) -> DirectoryUser | None:
    """None for an entry without an id or a name: no such user can be told of."""
    local = _local_id(entry, options.user_id_attribute)
    name = _first(entry, options.user_name_attribute)
    if not local or not name.strip():
        return None
    return DirectoryUser(
        local,
        public_id(domain_id, "user", local),
        name,
        _first(entry, options.user_mail_attribute),
        _first(entry, options.user_description_attribute),
        _is_enabled(_first(entry, options.user_enabled_attribute), options),
    )


def group_of(entry: Entry, options: LdapOptions, domain_id: str) -> DirectoryGroup | None:
    """None for an entry without an id or a name."""
    local = _local_id(entry, options.group_id_attribute)
    name = _first(entry, options.group_name_attribute)
    if not local or not name.strip():
        return None
    return DirectoryGroup(
        local, public_id(domain_id, "group", local), name, _first(entry, options.group_desc_attribute)
    )


def members(entry: Entry, attribute: str) -> tuple[Sequence[bytes], int]:
    """Values of an attribute that has many, and where the next ones begin; 0: these are the last. Active Directory
    tells some 1,500 at a time, under a name like `member;range=0-1499` (at the end: `member;range=1500-*`)."""
    for name, values in entry.values.items():
        plain, _, span = name.partition(";range=")
        last = span.partition("-")[2]
        if plain == attribute.lower() and last:
            return values, int(last) + 1 if last.isascii() and last.isdecimal() else 0
    return entry.values.get(attribute.lower(), ()), 0


def _asked(*names: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]


def _is_enabled(told: str, options: LdapOptions) -> bool:
    """What cannot be understood is disabled."""
    told = told or options.user_enabled_default
    if options.user_enabled_mask:
        if not told.isascii() or not told.isdecimal():
            return False
        return int(told) & options.user_enabled_mask != options.user_enabled_mask
    return (told.lower() == "true") != options.user_enabled_invert


def _local_id(entry: Entry, attribute: str) -> str:
    """Of several values it is the one in the DN: there is but one, and it does not change its place."""
    values = entry.values.get(attribute.lower(), ())
    if len(values) == 1:
        return _text(values[0], attribute)
    if not values:
        return ""
    named: dict[str, str] = {name.lower(): value for name, value, _ in ldap.dn.str2dn(entry.dn)[0]}
    return named.get(attribute.lower(), "")


def _first(entry: Entry, attribute: str) -> str:
    values = entry.values.get(attribute.lower(), ())
    return _text(values[0], attribute) if values else ""


def _text(value: bytes, attribute: str) -> str:
    """Empty where it is no text."""
    if attribute.lower() == GUID and len(value) == 16:
        return str(UUID(bytes_le=value))
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""
