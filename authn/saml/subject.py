"""Whom an assertion is about, and what it says of them: stock Keystone's attributes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple


class Named(NamedTuple):
    """By name, and the name of the domain that it is in."""

    name: str
    domain: str


class Subject(NamedTuple):
    """A user with roles in a project."""

    user: Named
    project: Named
    roles: tuple[str, ...]
    groups: tuple[Named, ...] = ()

    def attributes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Names and values. A group is JSON behind a mark, as mappings of stock Keystone read it."""
        yield "openstack_user", (self.user.name,)
        yield "openstack_roles", self.roles
        yield "openstack_project", (self.project.name,)
        yield "openstack_project_domain", (self.project.domain,)
        yield "openstack_user_domain", (self.user.domain,)
        if self.groups:
            yield "openstack_groups", tuple(_json(group) for group in self.groups)


def _json(group: Named) -> str:
    return "JSON:" + json.dumps({"name": group.name, "domain": {"name": group.domain}})
