"""Keystone's mapping engine: rules that turn a provider's assertion into a user, groups and projects here.

Every rule whose conditions all hold adds what it makes. Of users the first counts, of lists of projects the last,
groups add up. A condition on an attribute that is not in the assertion does not hold, not even `not_any_of`. Numbers in
braces count the conditions that carry values over: those without a list, with `whitelist` and with `blacklist`.

Two things follow Keystone's documentation where its code falls short of it: a group's name that is nothing but a number
in braces names as many groups as there are values. And two are stricter: a text that is a list by accident is not taken
for one, and groups told as JSON, which say their own domain, count only where the rule names no domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from authn.federation.assertion import Assertion, values_by_name
from authn.federation.local import EPHEMERAL, LOCAL, Local, LocalDomain, LocalGroup, LocalProject, LocalUser
from authn.federation.mapped import DomainReference, MappedGroup, MappedIdentity, MappedProject, MappedUser
from authn.federation.rules import DEFAULT_VERSION, VERSION_1, MappingRules, Rule, parse_rules
from authn.federation.template import Carried, Template
from authn.federation.told import told_group, told_projects

_REMOTE_USER: Final = "REMOTE_USER"
"""Who the web server says it is, for mappings that name no user."""

_NOBODY: Final = LocalUser(None, None, None, None, EPHEMERAL)


def validate(rules: Any, schema_version: Any = DEFAULT_VERSION) -> None:
    """Raise InvalidError that names the field where these are no rules of a mapping."""
    parse_rules(rules, schema_version)


def apply(rules: MappingRules, assertion: Assertion, *, in_full: bool = False) -> MappedIdentity | None:
    """Who it is; None where no rule applies, or those that do name nobody; `in_full`: or where what they say of the
    user comes out empty in any part. Raises InvalidError for an assertion that is
    over a limit, UnauthorizedError where groups have no domain or what it tells as JSON is none."""
    values = values_by_name(assertion)
    entries = [(local, carried) for rule in rules.rules for local, carried in _applied(rule, values)]
    if not entries:
        return None
    honours_domain = rules.schema_version != VERSION_1
    remote_user = (values.get(_REMOTE_USER) or ("",))[0]
    user = _user(entries, remote_user, honours_domain)
    if user is None or (in_full and not _says_all(*_first_user(entries))):
        return None
    return MappedIdentity(
        user,
        tuple(dict.fromkeys(one for entry in entries for one in _group_ids(*entry))),
        tuple(dict.fromkeys(one for entry in entries for one in _groups(*entry))),
        _projects(entries, honours_domain),
    )


_Entries = list[tuple[Local, Carried]]


def _applied(rule: Rule, values: dict[str, tuple[str, ...]]) -> Iterator[tuple[Local, Carried]]:
    carried = []
    for condition in rule.remote:
        found = values.get(condition.attribute)
        kept = condition.carry(found) if found else None
        if kept is None:
            return
        if condition.kind.carries:
            carried.append(kept)
    yield from ((local, carried) for local in rule.local)


def _user(entries: _Entries, remote_user: str, honours_domain: bool) -> MappedUser | None:
    named, carried = _first_user(entries)
    domain = _domain(named.domain, carried)
    if domain is None and honours_domain:
        last, of_last = entries[-1]
        domain = _domain(last.domain, of_last)
    user_id, name = _text(named.id, carried), _text(named.name, carried)
    if named.type == LOCAL:
        known = bool(user_id or (name and domain))
    else:
        name = name or remote_user
        known = bool(user_id or name)
    return MappedUser(user_id, name, _text(named.email, carried), domain, named.type) if known else None


def _says_all(named: LocalUser, carried: Carried) -> bool:
    """Whether there is something in all parts of a user that a rule has."""
    domain = named.domain or LocalDomain(None, None)
    parts = (named.id, named.name, named.email, domain.id, domain.name)
    return all(part.text(carried) for part in parts if part is not None)


def _first_user(entries: _Entries) -> tuple[LocalUser, Carried]:
    for local, carried in entries:
        if local.user is not None and local.user != _NOBODY:
            return local.user, carried
    return _NOBODY, ()


def _group_ids(local: Local, carried: Carried) -> Iterator[str]:
    if local.group is not None and local.group.id is not None:
        yield from local.group.id.texts(carried)
    yield from _several(local.group_ids, carried)


def _groups(local: Local, carried: Carried) -> Iterator[MappedGroup]:
    if local.group is not None and local.group.name is not None:
        yield from _named(local.group, local.group.name, carried)
    domain = _domain(local.domain, carried)
    for name in _several(local.groups, carried):
        if domain is not None:
            yield MappedGroup(name, domain)
        elif local.domain is None:
            yield told_group(name)


def _named(group: LocalGroup, name: Template, carried: Carried) -> Iterator[MappedGroup]:
    domain = _domain(group.domain, carried)
    if domain is not None:
        yield from (MappedGroup(one, domain) for one in name.texts(carried))


def _projects(entries: _Entries, honours_domain: bool) -> tuple[MappedProject, ...]:
    for local, carried in reversed(entries):
        if local.projects is not None or local.projects_json is not None:
            default = _domain(local.domain, carried) if honours_domain else None
            written = (_project(project, carried) for project in local.projects or ())
            told = told_projects(local.projects_json.text(carried)) if local.projects_json else ()
            return tuple(replace(project, domain=project.domain or default) for project in (*written, *told))
    return ()


def _project(project: LocalProject, carried: Carried) -> MappedProject:
    roles = tuple(role.text(carried) for role in project.roles)
    return MappedProject(project.name.text(carried), roles, _domain(project.domain, carried))


def _domain(domain: LocalDomain | None, carried: Carried) -> DomainReference | None:
    """None also where what names it came out empty."""
    if domain is None:
        return None
    found = DomainReference(_text(domain.id, carried), _text(domain.name, carried))
    return found if found.id or found.name else None


def _several(template: Template | tuple[str, ...] | None, carried: Carried) -> tuple[str, ...]:
    if template is None or isinstance(template, tuple):
        return template or ()
    return template.texts(carried)


def _text(template: Template | None, carried: Carried) -> str:
    return template.text(carried) if template else ""
