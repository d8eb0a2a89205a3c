"""`/v3/projects`: nested ones, and domains seen as projects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn.keys import USER_ACTOR
from authn.records import DOMAIN, Domain, Project
from authn.rights import Rights
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.domains import Domains
from authn.v3.elsewhere import bring_in
from authn.v3.limits import Limits
from authn.v3.options import IMMUTABLE, changed_options, refuse_immutable
from authn.v3.resource import PostedResource
from authn.v3.tags import TAG_FILTERS, read_tags
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import ForbiddenError
from gateway.rest.fields import Fields, merged
from gateway.rest.listing import Filter, Row, is_true, page, switched_on
from gateway.rest.policy import Target
from store.core.errors import InvalidError

FILTERS: Final = ("name", "enabled", "domain_id", "parent_id", "is_domain")

_KNOWN: Final = frozenset(
    {"id", "name", "domain_id", "description", "enabled", "parent_id", "is_domain", "links", "options", "tags"}
)


def project_row(call: Call, project: Project) -> Row:
    """A project as clients see it."""
    return {
        **json.loads(project.extra),
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.parent_id or project.domain_id,
        "is_domain": False,
        "options": json.loads(project.options),
        "tags": list(project.tags),
        "links": {"self": f"{call.base}/projects/{project.id}"},
    }


def domain_as_project(call: Call, domain: Domain) -> Row:
    """A domain as those see it who look for projects."""
    return {
        **json.loads(domain.extra),
        "id": domain.id,
        "name": domain.name,
        "domain_id": None,
        "description": domain.description,
        "enabled": domain.enabled,
        "parent_id": None,
        "is_domain": True,
        "options": json.loads(domain.options),
        "tags": list(domain.tags),
        "links": {"self": f"{call.base}/projects/{domain.id}"},
    }


class Projects(PostedResource[Project]):
    """What owns things."""

    noun: ClassVar[str] = "project"
    plural: ClassVar[str] = "projects"
    path: ClassVar[str] = "projects"
    filters: ClassVar[tuple[str, ...]] = FILTERS
    special: ClassVar[Mapping[str, Filter]] = TAG_FILTERS

    def table(self, snapshot: IdentitySnapshot) -> Table[Project]:
        return snapshot.projects

    def row(self, call: Call, record: Project) -> Row:
        return project_row(call, record)

    def home(self, record: Project) -> str | None:
        return record.domain_id

    def target(self, call: Call, record: Project) -> Target:
        return {"target.project.id": record.id, "target.project.domain_id": record.domain_id}

    def asked_target(self, call: Call, asked: Fields) -> Target:
        if asked.value("is_domain") is True:
            return {"target.project.domain_id": None}
        return {"target.project.domain_id": _place(call, asked)[0]}

    def routes(self) -> Routes[Call]:
        return {**super().routes(), "/v3/users/{user_id}/projects": {"GET": self.list_of_user}}

    def candidates(self, call: Call) -> Iterable[Project]:
        called = self.called(call)
        return self.behind_marker(call) if called is None else called

    async def list(self, call: Call) -> Response:
        """All projects that the caller may see; domains with `is_domain`, and only then."""
        if not is_true(call.query.get("is_domain", "false")):
            return await super().list(call)
        may_see = await call.chosen("identity:list_projects")
        rows = (
            domain_as_project(call, domain)
            for domain in call.snapshot.domains
            if call.domain in (None, domain.id)
            and may_see({"target.project.id": domain.id, "target.project.domain_id": domain.id})
        )
        return listed(call, self.plural, page(call, rows, self.filters, self.special))

    async def list_of_user(self, call: Call) -> Response:
        """The projects that a user has a role in."""
        await bring_in(call, USER_ACTOR, call.path("user_id"), "identity:list_user_projects")
        user = call.snapshot.users.get(call.path("user_id"))
        known = {"target.user.id": user.id, "target.user.domain_id": user.domain_id} if user else {}
        await call.allow("identity:list_user_projects", known)
        user = call.snapshot.users.require(call.path("user_id"))
        groups = (await call.service.shadows.groups_of(user)).records if user.directory_id else ()
        projects = Rights(call.snapshot).projects(user.id, [group.id for group in groups])
        mine = (await call.caller()).user.id == user.id
        rows = (project_row(call, project) for project in projects if mine or self.visible(call, project))
        return listed(call, self.plural, page(call, rows, self.filters, self.special))

    async def show(self, call: Call) -> Response:
        """One project, with what is above or below it where that is asked for."""
        domain = call.snapshot.domains.get(call.path("id"))
        if domain is not None:
            await call.allow(
                "identity:get_project", {"target.project.id": domain.id, "target.project.domain_id": domain.id}
            )
            return answer({"project": domain_as_project(call, domain) | await self._around(call, domain.id, None)})
        await call.allow("identity:get_project", self._target(call, call.path("id")))
        project = call.snapshot.projects.require(call.path("id"))
        return answer({"project": project_row(call, project) | await self._around(call, project.id, project)})

    async def _shown(self, call: Call) -> Callable[[Project], bool]:
        """Which projects around another are shown whole: those that the caller may see or can have a token for."""
        held, may_see = await call.caller(), await call.chosen("identity:get_project")
        user_id, groups = held.user.id, held.token.groups
        own = set() if held.token.is_lent else {one.id for one in Rights(call.snapshot).projects(user_id, groups)}
        return lambda project: project.id in own or may_see(self.target(call, project))

    async def _around(self, call: Call, id_: str, project: Project | None) -> dict[str, Any]:
        query, rights, found = call.query, Rights(call.snapshot), dict[str, Any]()
        for what in ("parents", "subtree"):
            if f"{what}_as_list" in query and f"{what}_as_ids" in query:
                raise InvalidError(f"{what}_as_list and {what}_as_ids: not both")
        parents = list(rights.parents(project)) if project else []
        shown = await self._shown(call)
        if "parents_as_list" in query:
            found["parents"] = [{"project": _row_around(call, one)} for one in parents if shown(one)]
        if "parents_as_ids" in query:
            above: dict[str, Any] | None = {project.domain_id: None} if project else None
            for one in reversed(parents):
                above = {one.id: above}
            found["parents"] = above
        if "subtree_as_list" in query:
            found["subtree"] = [{"project": _row_around(call, one)} for one in rights.subtree(id_) if shown(one)]
        if "subtree_as_ids" in query:
            below: dict[str, dict[str, Any] | None] = {id_: None}
            nodes = {id_: below}
            for one in rights.subtree(id_):
                parent = one.parent_id or one.domain_id
                within = nodes[parent][parent]
                if within is None:
                    within = nodes[parent][parent] = {}
                within[one.id] = None
                nodes[one.id] = within
            found["subtree"] = below[id_]
        return found

    async def create(self, call: Call) -> Response:
        """A new project, or with `is_domain` a new domain."""
        await call.caller()
        asked = (await call.body()).object("project")
        await call.allow("identity:create_project", self.asked_target(call, asked))
        if asked.flag_or("is_domain", False):
            return answer({"project": domain_as_project(call, await _make_domain(call, asked))}, 201)
        return answer({"project": project_row(call, await self.made(call, asked))}, 201)

    async def update(self, call: Call) -> Response:
        """Other attributes for a project, or for a domain seen as one."""
        domain = call.snapshot.domains.get(call.path("id"))
        if domain is None:
            return await super().update(call)
        await call.allow("identity:update_domain", {"target.domain.id": domain.id})
        asked = (await call.body()).object("project")
        if not asked.flag_or("is_domain", True):
            raise InvalidError("project.is_domain: a domain does not become a project")
        return answer({"project": domain_as_project(call, await Domains().changed(call, domain.id, asked))})

    async def delete(self, call: Call) -> Response:
        """The project is gone, or the domain seen as one."""
        domain = call.snapshot.domains.get(call.path("id"))
        if domain is None:
            return await super().delete(call)
        await call.allow("identity:delete_domain", {"target.domain.id": domain.id})
        await Domains().gone(call, domain.id)
        return nothing()

    async def made(self, call: Call, asked: Fields) -> Project:
        domain_id, parent_id = _place(call, asked)
        call.snapshot.domains.require(domain_id)
        if parent_id:
            parent = call.snapshot.projects.require(parent_id)
            above = [parent, *Rights(call.snapshot).parents(parent)]
            if not all(one.enabled for one in above):
                raise ForbiddenError("cannot create a project below one that is disabled")
            if len(above) >= call.service.limit_model.depth_max:
                raise ForbiddenError(f"a project is at most {call.service.limit_model.depth_max} deep")
        administration = call.service.administration
        return await administration.create_project(
            Project(
                id=administration.new_id(),
                name=asked.text("name"),
                domain_id=domain_id,
                description=asked.text_or("description", ""),
                enabled=asked.flag_or("enabled", True),
                extra=merged("{}", asked.others(_KNOWN)),
                parent_id=parent_id,
                options=changed_options("{}", asked, IMMUTABLE),
                tags=read_tags(asked) if "tags" in asked else (),
            )
        )

    async def changed(self, call: Call, id_: str, asked: Fields) -> Project:
        present = call.snapshot.projects.require(id_)
        if asked.text_or("domain_id", present.domain_id) != present.domain_id:
            raise InvalidError("project.domain_id: a project stays in its domain")
        if asked.text_or("parent_id", present.parent_id or present.domain_id) != (
            present.parent_id or present.domain_id
        ):
            raise ForbiddenError("a project stays where it is: its parent cannot be changed")
        if asked.flag_or("is_domain", False):
            raise InvalidError("project.is_domain: a project does not become a domain")
        if not asked.flag_or("enabled", True) and any(one.enabled for one in Rights(call.snapshot).subtree(id_)):
            raise ForbiddenError("cannot disable a project while one below it is enabled")
        if asked.flag_or("enabled", False) and not all(one.enabled for one in Rights(call.snapshot).parents(present)):
            raise ForbiddenError("cannot enable a project below one that is disabled")

        def edit(before: Project) -> Project:
            refuse_immutable("project", before.options, asked)
            return replace(
                before,
                name=asked.text_or("name", before.name),
                description=asked.text_or("description", "") if "description" in asked else before.description,
                enabled=asked.flag_or("enabled", before.enabled),
                extra=merged(before.extra, asked.others(_KNOWN)),
                options=changed_options(before.options, asked, IMMUTABLE),
                tags=read_tags(asked) if "tags" in asked else before.tags,
            )

        return await call.service.administration.update_project(id_, edit)

    async def gone(self, call: Call, id_: str) -> None:
        """What it owns in other services stays."""
        refuse_immutable("project", call.snapshot.projects.require(id_).options)
        if Rights(call.snapshot).subtree(id_):
            raise ForbiddenError("cannot delete a project while there are others below it")
        await call.service.administration.delete_project(id_)


def _row_around(call: Call, project: Project) -> Row:
    """A project above or below another; with `include_limits` what it may have at most, too."""
    row = project_row(call, project)
    if switched_on(call, "include_limits"):
        row["limits"] = [Limits().row(call, one) for one in call.snapshot.limits if one.project_id == project.id]
    return row


def _place(call: Call, asked: Fields) -> tuple[str, str]:
    """The domain and the parent ("" for the domain itself) of a project that is to be made. Raises InvalidError."""
    parent_id = asked.text_or("parent_id", "")
    parent = call.snapshot.projects.get(parent_id)
    domain_id = asked.text_or("domain_id", "")
    if not domain_id:
        domain_id = parent.domain_id if parent else parent_id or call.default_domain()
    if parent is not None and parent.domain_id != domain_id:
        raise InvalidError("project.domain_id: not the domain of its parent")
    return domain_id, "" if parent_id == domain_id else parent_id


async def _make_domain(call: Call, asked: Fields) -> Domain:
    if asked.value("parent_id") is not None or asked.value("domain_id") is not None:
        raise InvalidError("project.parent_id, project.domain_id: a domain is in no other")
    administration = call.service.administration
    domain = Domain(
        id=administration.new_id(),
        name=asked.named("name", 64),
        description=asked.text_or("description", ""),
        enabled=asked.flag_or("enabled", True),
        options=changed_options("{}", asked, IMMUTABLE),
        tags=read_tags(asked) if "tags" in asked else (),
        extra=merged("{}", asked.others(_KNOWN)),
    )
    await administration.create(DOMAIN, lambda snapshot: snapshot.domains, domain)
    return domain
