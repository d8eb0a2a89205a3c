"""Property protection: which roles may make, read, change and delete which properties of images, as stock Glance's
`property_protection_file` says it. Patterns are RE2's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import re2

from store.core.errors import InvalidError

CREATE: Final = "create"
READ: Final = "read"
UPDATE: Final = "update"
DELETE: Final = "delete"
OPERATIONS: Final = (CREATE, READ, UPDATE, DELETE)
EVERYBODY: Final = "@"
NOBODY: Final = "!"

Allowed = Callable[[str, str], bool]
"""Whether a caller may do something (one of OPERATIONS) with a property of this name."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: Any
    roles: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class PropertyProtection:
    """The rules in their order, of which the first counts that is found in a name; a name in which none is found is
    nobody's. No rules: everybody may everything. Made by `parse_protection`."""

    rules: tuple[_Rule, ...] = ()

    def allowed(self, roles: Iterable[str]) -> Allowed:
        """What a caller with these roles may."""
        held = frozenset(role.casefold() for role in roles)

        def allows(name: str, operation: str) -> bool:
            if not self.rules:
                return True
            found = next((rule for rule in self.rules if rule.pattern.search(name)), None)
            if found is None:
                return False
            roles = found.roles[operation]
            return NOBODY not in roles and (EVERYBODY in roles or not roles.isdisjoint(held))

        return allows


def parse_protection(value: Any) -> PropertyProtection:
    """Of a table of patterns, each with a list of roles for each of OPERATIONS. Raises InvalidError."""
    if not isinstance(value, dict):
        raise InvalidError("image.property_protection: a table of patterns of names of properties")
    return PropertyProtection(tuple(_rule(name, one) for name, one in value.items()))


def _rule(pattern: str, value: Any) -> _Rule:
    where = f"image.property_protection.{pattern}"
    if not isinstance(value, dict) or value.keys() != set(OPERATIONS):
        raise InvalidError(f"{where}: a list of roles for each of {', '.join(OPERATIONS)}, and nothing else")
    roles: dict[str, frozenset[str]] = {}
    for operation, names in value.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidError(f'{where}.{operation}: a list of roles, such as ["admin", "member"]')
        if EVERYBODY in names and NOBODY in names:
            raise InvalidError(f"{where}.{operation}: @ (everybody) and ! (nobody) exclude each other")
        roles[operation] = frozenset(name.casefold() for name in names)
    options = re2.Options()
    options.log_errors = False
    try:
        return _Rule(re2.compile(pattern, options), roles)
    except re2.error as error:
        raise InvalidError(f"{where}: is no regular expression known here (RE2's syntax)") from error
