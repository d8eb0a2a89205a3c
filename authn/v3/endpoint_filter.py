"""`/v3/OS-EP-FILTER`: which projects are told of which endpoints, one by one or by groups."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Final

from starlette.responses import Response

from authn import keys
from authn.catalogue import members
from authn.keys import ENDPOINT_GROUP_OF_PROJECT, ENDPOINT_OF_PROJECT, Link
from authn.records import ENDPOINT, ENDPOINT_GROUP, PROJECT, Endpoint, EndpointGroup
from authn.snapshot import IdentitySnapshot
from authn.table import Table
from authn.v3.answers import listed
from authn.v3.call import Call
from authn.v3.projects import project_row
from authn.v3.resource import PostedResource
from authn.v3.services import INTERFACES, endpoint_row
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.listing import Row
from store.core.errors import InvalidError, NotFoundError

FILTERS: Final = ("service_id", "interface", "region_id", "enabled")


class EndpointGroups(PostedResource[EndpointGroup]):
    """Endpoints chosen by what they have in common; without filters all of them."""

    noun: ClassVar[str] = "endpoint_group"
    plural: ClassVar[str] = "endpoint_groups"
    path: ClassVar[str] = "OS-EP-FILTER/endpoint_groups"
    filters: ClassVar[tuple[str, ...]] = ("name",)

    def table(self, snapshot: IdentitySnapshot) -> Table[EndpointGroup]:
        return snapshot.endpoint_groups

    def row(self, call: Call, record: EndpointGroup) -> Row:
        return {
            "id": record.id,
            "name": record.name,
            "description": record.description,
            "filters": json.loads(record.filters),
            "links": {"self": f"{call.base}/OS-EP-FILTER/endpoint_groups/{record.id}"},
        }

    async def made(self, call: Call, asked: Fields) -> EndpointGroup:
        asked.refuse_others({"name", "description", "filters", "links", "id"})
        if not asked.object("filters").names():  # a later change may make it a group of all, as in stock keystone
            raise InvalidError(f"endpoint_group.filters: some of {', '.join(FILTERS)}")
        administration = call.service.administration
        group = EndpointGroup(
            administration.new_id(), asked.named("name"), _filters(asked), asked.text_or("description", "")
        )
        await administration.create(ENDPOINT_GROUP, self.table, group)
        return group

    async def changed(self, call: Call, id_: str, asked: Fields) -> EndpointGroup:
        def edit(before: EndpointGroup) -> EndpointGroup:
            return replace(
                before,
                name=asked.named("name") if "name" in asked else before.name,
                description=asked.text_or("description", "") if "description" in asked else before.description,
                filters=_filters(asked) if "filters" in asked else before.filters,
            )

        return await call.service.administration.update(ENDPOINT_GROUP, self.table, id_, edit)

    def along(self, snapshot: IdentitySnapshot, record: EndpointGroup) -> Iterable[bytes]:
        for project in snapshot.links.ones(ENDPOINT_GROUP_OF_PROJECT, record.id):
            yield keys.link(Link(ENDPOINT_GROUP_OF_PROJECT, project, record.id))

    def routes(self) -> Routes[Call]:
        stem = "/v3/OS-EP-FILTER"
        return {
            **super().routes(),
            f"{stem}/projects/{{project_id}}/endpoints": {"GET": list_endpoints_of_project},
            f"{stem}/projects/{{project_id}}/endpoints/{{endpoint_id}}": {
                "PUT": add_endpoint,
                "GET": check_endpoint,
                "DELETE": remove_endpoint,
            },
            f"{stem}/endpoints/{{endpoint_id}}/projects": {"GET": list_projects_of_endpoint},
            f"{stem}/endpoint_groups/{{id}}/endpoints": {"GET": list_endpoints_of_group},
            f"{stem}/endpoint_groups/{{id}}/projects": {"GET": list_projects_of_group},
            f"{stem}/endpoint_groups/{{id}}/projects/{{project_id}}": {
                "PUT": add_group,
                "GET": show_group_of_project,
                "DELETE": remove_group,
            },
            f"{stem}/projects/{{project_id}}/endpoint_groups": {"GET": self.list_of_project},
        }

    async def list_of_project(self, call: Call) -> Response:
        """The groups of endpoints that a project is told of."""
        await call.allow("identity:list_endpoint_groups_for_project")
        project = call.snapshot.projects.require(call.path("project_id"))
        found = (
            call.snapshot.endpoint_groups.get(id_)
            for id_ in sorted(call.snapshot.links.others(ENDPOINT_GROUP_OF_PROJECT, project.id))
        )
        return listed(call, self.plural, [self.row(call, group) for group in found if group is not None])


async def list_endpoints_of_project(call: Call) -> Response:
    """All endpoints that a project is told of, whichever way."""
    await call.allow("identity:list_endpoints_for_project")
    project = call.snapshot.projects.require(call.path("project_id"))
    snapshot = call.snapshot
    chosen = {
        id_: endpoint
        for id_ in snapshot.links.others(ENDPOINT_OF_PROJECT, project.id)
        if (endpoint := snapshot.endpoints.get(id_)) is not None
    }
    for id_ in snapshot.links.others(ENDPOINT_GROUP_OF_PROJECT, project.id):
        group = snapshot.endpoint_groups.get(id_)
        if group is not None:
            chosen |= {endpoint.id: endpoint for endpoint in members(snapshot, group)}
    return _endpoints(call, chosen.values())


async def list_projects_of_endpoint(call: Call) -> Response:
    """The projects that are told of an endpoint by itself."""
    await call.allow("identity:list_projects_for_endpoint")
    endpoint = call.snapshot.endpoints.require(call.path("endpoint_id"))
    return _projects(call, call.snapshot.links.ones(ENDPOINT_OF_PROJECT, endpoint.id))


async def list_endpoints_of_group(call: Call) -> Response:
    """The endpoints that a group chooses."""
    await call.allow("identity:list_endpoints_associated_with_endpoint_group")
    return _endpoints(call, members(call.snapshot, call.snapshot.endpoint_groups.require(call.path("id"))))


async def list_projects_of_group(call: Call) -> Response:
    """The projects that are told of a group of endpoints."""
    await call.allow("identity:list_projects_associated_with_endpoint_group")
    group = call.snapshot.endpoint_groups.require(call.path("id"))
    return _projects(call, call.snapshot.links.ones(ENDPOINT_GROUP_OF_PROJECT, group.id))


async def add_endpoint(call: Call) -> Response:
    """The project is told of the endpoint."""
    await call.allow("identity:add_endpoint_to_project")
    link = _endpoint_link(call)
    await call.service.administration.link(link, keys.record(PROJECT, link.one), keys.record(ENDPOINT, link.other))
    return nothing()


async def check_endpoint(call: Call) -> Response:
    """204 or 404."""
    await call.allow("identity:check_endpoint_in_project")
    _require(call, _endpoint_link(call))
    return nothing()


async def remove_endpoint(call: Call) -> Response:
    """The project is told of the endpoint no more."""
    await call.allow("identity:remove_endpoint_from_project")
    link = _endpoint_link(call)
    await call.service.administration.unlink(link, _missing(link))
    return nothing()


async def add_group(call: Call) -> Response:
    """The project is told of the group's endpoints."""
    await call.allow("identity:add_endpoint_group_to_project")
    link = _group_link(call)
    await call.service.administration.link(
        link, keys.record(PROJECT, link.one), keys.record(ENDPOINT_GROUP, link.other)
    )
    return nothing()


async def show_group_of_project(call: Call) -> Response:
    """The pair, where the project is told of the group."""
    await call.allow("identity:get_endpoint_group_in_project")
    link = _group_link(call)
    _require(call, link)
    pair: dict[str, Any] = {"project_id": link.one, "endpoint_group_id": link.other}
    return answer({"project_endpoint_group": pair})


async def remove_group(call: Call) -> Response:
    """The project is told of the group's endpoints no more."""
    await call.allow("identity:remove_endpoint_group_from_project")
    link = _group_link(call)
    await call.service.administration.unlink(link, _missing(link))
    return nothing()


def _filters(asked: Fields) -> str:
    filters = asked.object("filters")
    filters.refuse_others(FILTERS)
    if "interface" in filters:
        filters.one_of("interface", INTERFACES)
    for name in ("service_id", "region_id"):
        if name in filters:
            filters.named(name)
    filters.flag_or("enabled", True)
    return json.dumps({name: filters.value(name) for name in filters.names()})


def _endpoint_link(call: Call) -> Link:
    snapshot = call.snapshot
    endpoint = snapshot.endpoints.require(call.path("endpoint_id"))
    return Link(ENDPOINT_OF_PROJECT, snapshot.projects.require(call.path("project_id")).id, endpoint.id)


def _group_link(call: Call) -> Link:
    snapshot = call.snapshot
    group = snapshot.endpoint_groups.require(call.path("id"))
    return Link(ENDPOINT_GROUP_OF_PROJECT, snapshot.projects.require(call.path("project_id")).id, group.id)


def _require(call: Call, link: Link) -> None:
    if link not in call.snapshot.links:
        raise NotFoundError(_missing(link))


def _missing(link: Link) -> str:
    return f"Project {link.one} is not told of {link.other}."


def _endpoints(call: Call, found: Iterable[Endpoint]) -> Response:
    return listed(call, "endpoints", [endpoint_row(call, one) for one in sorted(found, key=lambda one: one.id)])


def _projects(call: Call, ids: Iterable[str]) -> Response:
    found = (call.snapshot.projects.get(id_) for id_ in sorted(ids))
    return listed(call, "projects", [project_row(call, project) for project in found if project is not None])
