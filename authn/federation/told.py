"""What an attribute itself tells as JSON: groups with their domain, projects with their roles."""

from __future__ import annotations

import json
from typing import Any, Final

from authn.errors import UnauthorizedError
from authn.federation.fields import a_text, an_array, an_object
from authn.federation.mapped import DomainReference, MappedGroup, MappedProject
from store.core.errors import InvalidError

_JSON: Final = "JSON:"
"""Begins a group with its domain, as other clouds' Keystone tells them."""
_PROJECTS_MAX: Final = 256
_ROLES_MAX: Final = 64


def told_group(text: str) -> MappedGroup:
    """A group that says its own domain. Raises UnauthorizedError for what is none."""
    if not text.startswith(_JSON):
        raise UnauthorizedError("Both 'groups' and 'domain' keywords must be specified in the mapping.")
    try:
        held = an_object(_parsed(text.removeprefix(_JSON)), "group", required=("name", "domain"))
        return MappedGroup(a_text(held["name"], "group.name"), _domain(held["domain"], "group.domain"))
    except InvalidError as error:
        raise UnauthorizedError(f"A group that the identity provider tells is none: {error}") from error


def told_projects(text: str) -> tuple[MappedProject, ...]:
    """A list of projects, as a mapping itself could write it. Raises UnauthorizedError for what is none."""
    try:
        entries = an_array(_parsed(text), "projects", most=_PROJECTS_MAX)
        return tuple(_project(one, f"projects[{number}]") for number, one in enumerate(entries))
    except InvalidError as error:
        raise UnauthorizedError(f"The projects that the identity provider tells are none: {error}") from error


def _project(value: Any, where: str) -> MappedProject:
    held = an_object(value, where, required=("name", "roles"), allowed=("domain",))
    roles = []
    for number, one in enumerate(an_array(held["roles"], f"{where}.roles", most=_ROLES_MAX)):
        at = f"{where}.roles[{number}]"
        roles.append(a_text(an_object(one, at, required=("name",))["name"], f"{at}.name"))
    domain = _domain(held["domain"], f"{where}.domain") if "domain" in held else None
    return MappedProject(a_text(held["name"], f"{where}.name"), tuple(roles), domain)


def _domain(value: Any, where: str) -> DomainReference:
    held = an_object(value, where, allowed=("id", "name"))
    found = DomainReference(*(a_text(held.get(name, ""), f"{where}.{name}") for name in ("id", "name")))
    if not (found.id or found.name):
        raise InvalidError(f"{where}: has neither 'id' nor 'name'")
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError("no JSON") from error
