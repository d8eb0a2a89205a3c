"""The options of users, projects, domains and roles (keystone's "resource options"), and what is immutable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

IMMUTABLE: Final = {"immutable": bool}

USER_OPTIONS: Final[Mapping[str, type]] = {
    "ignore_change_password_upon_first_use": bool,
    "ignore_password_expiry": bool,
    "ignore_lockout_failure_attempts": bool,
    "ignore_user_inactivity": bool,
    "lock_password": bool,
    "multi_factor_auth_enabled": bool,
    "multi_factor_auth_rules": list,
}


def changed_options(before: str, asked: Fields, known: Mapping[str, type]) -> str:
    """The stored options after what a client asks for; null takes one away. Raises InvalidError."""
    if asked.value("options") is None:
        return before
    options: dict[str, Any] = json.loads(before)
    wanted = asked.object("options")
    for name in wanted.names():
        value = wanted.value(name)
        if name not in known:
            raise InvalidError(f"options.{name}: no such option")
        if value is None:
            options.pop(name, None)
            continue
        if not isinstance(value, known[name]):
            raise InvalidError(f"options.{name}: not of type '{'boolean' if known[name] is bool else 'array'}'")
        if name == "multi_factor_auth_rules" and not _are_rules(value):
            raise InvalidError(f"options.{name}: an array of arrays of methods")
        options[name] = value
    return json.dumps(options)


def _are_rules(value: Any) -> bool:
    return all(isinstance(rule, list) and rule and all(isinstance(method, str) for method in rule) for rule in value)


def refuse_immutable(noun: str, options: str, asked: Fields | None = None) -> None:
    """Raises ForbiddenError for a change, or a deletion, of what is immutable; but its being so may be taken back."""
    if not json.loads(options).get("immutable"):
        return
    wanted = asked.value("options") if asked is not None else None
    if not isinstance(wanted, dict) or wanted.get("immutable", True):
        raise ForbiddenError(f"this {noun} is immutable")
