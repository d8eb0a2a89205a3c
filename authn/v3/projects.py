"""`/v3/projects`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from authn.records import DEFAULT_DOMAIN, Project
from authn.v3.answers import answer, nothing
from authn.v3.call import Call
from authn.v3.fields import Fields, merged
from authn.v3.listing import page
from store.core.errors import InvalidError

FILTERS: Final = ("name", "enabled", "domain_id", "parent_id", "is_domain")

_KNOWN: Final = frozenset(
    {"id", "name", "domain_id", "description", "enabled", "parent_id", "is_domain", "links", "options"}
)


def project_row(call: Call, project: Project) -> dict[str, Any]:
    """A project as clients see it."""
    return {
        "tags": [],
        **json.loads(project.extra),
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "description": project.description,
        "enabled": project.enabled,
        "parent_id": project.domain_id,
        "is_domain": False,
        "options": {},
        "links": {"self": f"{call.base}/projects/{project.id}"},
    }


async def list_projects(call: Call) -> Response:
    """All projects, for administrators."""
    await call.allow("list_projects")
    return page(call, "projects", (project_row(call, project) for project in call.snapshot.projects), FILTERS)


async def list_projects_of(call: Call) -> Response:
    """The projects that a user has a role in."""
    user_id = call.path("user_id")
    await call.allow("list_user_projects", user_id=user_id)
    call.snapshot.users.require(user_id)
    rows = (project_row(call, project) for project in call.snapshot.projects_of(user_id))
    return page(call, "projects", rows, FILTERS)


async def show_project(call: Call) -> Response:
    """One project, also for those whose token is for it."""
    project_id = call.path("project_id")
    await call.allow("get_project", project_id=project_id)
    return answer({"project": project_row(call, call.snapshot.projects.require(project_id))})


async def create_project(call: Call) -> Response:
    """A new project."""
    await call.allow("create_project")
    asked = (await call.body()).object("project")
    domain_id = asked.text_or("domain_id", DEFAULT_DOMAIN)
    _check_place(asked, domain_id)
    administration = call.service.administration
    project = await administration.create_project(
        Project(
            id=administration.new_id(),
            name=asked.text("name"),
            domain_id=domain_id,
            description=asked.text_or("description", ""),
            enabled=asked.flag_or("enabled", True),
            extra=merged("{}", _extra(asked)),
        )
    )
    return answer({"project": project_row(call, project)}, 201)


async def update_project(call: Call) -> Response:
    """Other attributes for a project."""
    await call.allow("update_project")
    asked = (await call.body()).object("project")
    project_id = call.path("project_id")
    _check_place(asked, call.snapshot.projects.require(project_id).domain_id)

    def edit(before: Project) -> Project:
        return replace(
            before,
            name=asked.text_or("name", before.name),
            description=asked.text_or("description", "") if "description" in asked else before.description,
            enabled=asked.flag_or("enabled", before.enabled),
            extra=merged(before.extra, _extra(asked)),
        )

    project = await call.service.administration.update_project(project_id, edit)
    return answer({"project": project_row(call, project)})


async def delete_project(call: Call) -> Response:
    """The project is gone, and with it the roles held in it. What it owns in other services stays."""
    await call.allow("delete_project")
    await call.service.administration.delete_project(call.path("project_id"))
    return nothing()


def _extra(asked: Fields) -> dict[str, Any]:
    if "tags" in asked:
        asked.texts("tags")
    return asked.others(_KNOWN)


def _check_place(asked: Fields, domain_id: str) -> None:
    if asked.text_or("domain_id", domain_id) != domain_id or asked.text_or("parent_id", domain_id) != domain_id:
        raise InvalidError("project: a project is directly in its domain, and stays there")
    if asked.flag_or("is_domain", False):
        raise InvalidError("project.is_domain: a project is no domain here")
    if asked.value("options"):
        raise InvalidError("project.options: none are known here")
