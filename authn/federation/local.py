"""A rule's `local` part: the user, groups and projects that it makes of what was carried over."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Final

from authn.federation.fields import an_array, an_object
from authn.federation.template import Template, parse_template
from store.core.errors import InvalidError

EPHEMERAL: Final = "ephemeral"
"""A user who is made at the first login."""
LOCAL: Final = "local"
"""A user who is here before."""

_ALLOWED: Final = ("user", "group", "groups", "group_ids", "domain", "projects")
_PROJECTS_MAX: Final = 256
_ROLES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class LocalDomain:
    """By id or by name; where both are given, the id counts."""

    id: Template | None
    name: Template | None


@dataclass(frozen=True, slots=True)
class LocalUser:
    id: Template | None
    name: Template | None
    email: Template | None
    domain: LocalDomain | None
    type: str


@dataclass(frozen=True, slots=True)
class LocalGroup:
    """By id, or by name and domain."""

    id: Template | None
    name: Template | None
    domain: LocalDomain | None


@dataclass(frozen=True, slots=True)
class LocalProject:
    name: Template
    roles: tuple[Template, ...]
    domain: LocalDomain | None


@dataclass(frozen=True, slots=True)
class Local:
    """One entry of `local`. `groups` and `group_ids` are each one template, or the texts of a list written out."""

    user: LocalUser | None
    group: LocalGroup | None
    groups: Template | tuple[str, ...] | None
    group_ids: Template | tuple[str, ...] | None
    domain: LocalDomain | None
    projects: tuple[LocalProject, ...] | None
    projects_json: Template | None


class LocalParser:
    """Reads entries of one rule, whose conditions carry `carried` values. Raises InvalidError that names the field."""

    def __init__(self, carried: int, *, project_domains: bool, told_projects: bool) -> None:
        self._carried = carried
        self._project_domains = project_domains
        self._allowed = (*_ALLOWED, "projects_json") if told_projects else _ALLOWED

    def parse(self, value: Any, where: str) -> Local:
        held = an_object(value, where, allowed=self._allowed)
        groups = self._several(held, "groups", where)
        domain = self._domain(held, where)
        if isinstance(groups, tuple) and domain is None:
            raise InvalidError(f"{where}: both 'groups' and 'domain' keywords must be specified")
        return Local(
            user=self._user(held["user"], f"{where}.user") if "user" in held else None,
            group=self._group(held["group"], f"{where}.group") if "group" in held else None,
            groups=groups,
            group_ids=self._several(held, "group_ids", where),
            domain=domain,
            projects=self._projects(held["projects"], f"{where}.projects") if "projects" in held else None,
            projects_json=self._number(held, "projects_json", where),
        )

    def _user(self, value: Any, where: str) -> LocalUser:
        held = an_object(value, where, allowed=("id", "name", "email", "domain", "type"))
        kind = held.get("type", EPHEMERAL)
        if kind not in (EPHEMERAL, LOCAL):
            raise InvalidError(f"{where}.type: not one of ['{EPHEMERAL}', '{LOCAL}']")
        return LocalUser(
            self._optional(held, "id", where),
            self._optional(held, "name", where),
            self._optional(held, "email", where),
            self._domain(held, where),
            kind,
        )

    def _group(self, value: Any, where: str) -> LocalGroup:
        held = an_object(value, where, allowed=("id", "name", "domain"))
        by_id = held.keys() == {"id"}
        if not by_id and held.keys() != {"name", "domain"}:
            raise InvalidError(f"{where}: has either 'id' alone, or 'name' and 'domain'")
        names = self._optional(held, "id", where), self._optional(held, "name", where)
        return LocalGroup(*names, self._domain(held, where))

    def _projects(self, value: Any, where: str) -> tuple[LocalProject, ...]:
        entries = an_array(value, where, most=_PROJECTS_MAX)
        return tuple(self._project(one, f"{where}[{number}]") for number, one in enumerate(entries))

    def _project(self, value: Any, where: str) -> LocalProject:
        allowed = ("domain",) if self._project_domains else ()
        held = an_object(value, where, required=("name", "roles"), allowed=allowed)
        roles = []
        for number, one in enumerate(an_array(held["roles"], f"{where}.roles", most=_ROLES_MAX)):
            at = f"{where}.roles[{number}]"
            roles.append(self._text(an_object(one, at, required=("name",))["name"], f"{at}.name"))
        return LocalProject(self._text(held["name"], f"{where}.name"), tuple(roles), self._domain(held, where))

    def _domain(self, held: dict[str, Any], where: str) -> LocalDomain | None:
        if "domain" not in held:
            return None
        where = f"{where}.domain"
        domain = an_object(held["domain"], where, allowed=("id", "name"))
        if not domain:
            raise InvalidError(f"{where}: has neither 'id' nor 'name'")
        return LocalDomain(self._optional(domain, "id", where), self._optional(domain, "name", where))

    def _several(self, held: dict[str, Any], name: str, where: str) -> Template | tuple[str, ...] | None:
        template = self._optional(held, name, where)
        if template is None or template.numbers:
            return template
        return _written_list(template.text(()))

    def _number(self, held: dict[str, Any], name: str, where: str) -> Template | None:
        template = self._optional(held, name, where)
        if template is not None and not (len(template.parts) == len(template.numbers) == 1):
            raise InvalidError(f"{where}.{name}: is not one number in braces")
        return template

    def _optional(self, held: dict[str, Any], name: str, where: str) -> Template | None:
        return self._text(held[name], f"{where}.{name}") if name in held else None

    def _text(self, value: Any, where: str) -> Template:
        return parse_template(value, where, self._carried)


def _written_list(text: str) -> tuple[str, ...]:
    """The texts of a list that the administrator wrote out, as in "['a', 'b']"; what is none is one text."""
    try:
        listed = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return (text,)
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        return tuple(listed)
    return (text,)
