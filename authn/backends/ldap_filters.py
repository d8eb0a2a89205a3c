"""Filters (RFC 4515) with nothing in them but what is meant, and where a DN is."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import ldap
import ldap.dn
from ldap.filter import escape_filter_chars

from authn.backends.ldap_entries import GUID

IN_CHAIN: Final = ":1.2.840.113556.1.4.1941:"
"""Active Directory's matching rule that follows groups in groups; it stands behind an attribute."""


def equals(attribute: str, value: str) -> str | None:
    """The filter for entries that have the value; None for a value that no entry can have."""
    if not value or not is_utf8(value):
        return None
    if attribute.lower() == GUID:
        return _equals_guid(attribute, value)
    return f"({attribute}={escape_filter_chars(value)})"


def has(attribute: str) -> str:
    """The filter for entries that have the attribute at all."""
    return f"({attribute}=*)"


def is_utf8(text: str) -> bool:
    """JSON can name halves of surrogate pairs, which no directory can be told."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_under(dn: str, base: str, *, deep: bool) -> bool:
    """Whether a DN is right under the base, or, `deep`, anywhere under it. What is no DN is nowhere."""
    try:
        rest, stem = _parts(dn), _parts(base)
    except ldap.DECODING_ERROR:
        return False
    depth = len(rest) - len(stem)
    return depth > 0 and rest[depth:] == stem and (deep or depth == 1)


def _parts(dn: str) -> list[frozenset[tuple[str, str]]]:
    """Compared as most attributes are: without regard to case and to the number of spaces."""
    return [
        frozenset((name.lower(), " ".join(value.casefold().split())) for name, value, _ in relative)
        for relative in ldap.dn.str2dn(dn)
    ]


def _equals_guid(attribute: str, value: str) -> str | None:
    try:
        guid = UUID(value)
    except ValueError:
        return None
    escaped = "".join(f"\\{byte:02x}" for byte in guid.bytes_le)
    return f"({attribute}={escaped})"
