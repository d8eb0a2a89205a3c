"""How much of all each project may have, and how much it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.errors import BadRequestError, MissingError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import Quota
from compute_plugin.networks.records.table import Table
from compute_plugin.networks.settings import LIMITS
from compute_plugin.networks.v2.frame.attributes import Attribute, asked_of_old
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.readers import NAME_MAX, WrongValueError, flag, text, whole
from compute_plugin.networks.v2.frame.requests import Handler
from compute_plugin.networks.v2.frame.view import NO_LIMIT, Change, View
from gateway.rest.answers import answer, nothing
from gateway.rest.errors import ForbiddenError

PATH: Final = "/v2.0/quotas"
COUNTED: Final[dict[str, Callable[[Records], Table[Any]]]] = {
    "network": lambda records: records.networks,
    "subnet": lambda records: records.subnets,
    "subnetpool": lambda records: records.subnetpools,
    "port": lambda records: records.ports,
    "router": lambda records: records.routers,
    "floatingip": lambda records: records.floating_ips,
    "security_group": lambda records: records.security_groups,
    "security_group_rule": lambda records: records.rules,
    "rbac_policy": lambda records: records.rbac_policies,
    "trunk": lambda records: records.trunks,
}
ATTRIBUTES: Final = (
    *(Attribute(name, whole(NO_LIMIT, 2**31 - 1)) for name in LIMITS),
    Attribute("force", flag),
    Attribute("check_limit", flag),
    Attribute("tenant_id", text(NAME_MAX)),
    Attribute("project_id", text(NAME_MAX)),
)


async def _list(call: Call) -> Response:
    """Of projects that have limits of their own."""
    view = await call.view()
    _require(view, "get_quota", view.project)
    projects = [one.id for one in view.records.quotas if _may(view, "get_quota", one.id)]
    rows = [{**_limits(view, one), "project_id": one, "tenant_id": one} for one in sorted(projects)]
    return answer({"quotas": rows})


async def _show(call: Call) -> Response:
    view = await call.view()
    return answer({"quota": _limits(view, _readable(view, call))})


async def _show_default(call: Call) -> Response:
    view = await call.view()
    _readable(view, call)
    return answer({"quota": {name: view.settings.limits.get(name, limit) for name, limit in LIMITS.items()}})


async def _show_details(call: Call) -> Response:
    view = await call.view()
    project = _readable(view, call)
    limits = _limits(view, project)
    rows = {name: {"limit": limit, "used": _used(view, name, project), "reserved": 0} for name, limit in limits.items()}
    return answer({"quota": rows})


async def _show_project(name: str, call: Call) -> Response:
    view = await call.view()
    if not view.project:
        raise BadRequestError("QuotaMissingTenant", "Tenant-id was missing from quota request.")
    return answer({name: {f"{name}_id": view.project}})


async def _update(call: Call) -> Response:
    body = await call.one("quota")
    project = _project(call)
    over = await call.change()

    def step(records: Records) -> Row:
        change: Change = over(records)
        _require(change, "update_quota", project)
        asked = asked_of_old(ATTRIBUTES, body)
        limits = {name: limit for name, limit in asked.items() if name in LIMITS}
        if not asked.get("force", False):
            _require_room(change, project, limits)
        held = records.quotas.get(project) or Quota(id=project, project_id=project)
        own = {**dict(held.limits), **limits}
        change.put(records.quotas, replace(held, limits=tuple(sorted(own.items()))))
        return _limits(change, project)

    return answer({"quota": await call.service.store.change(step)})


async def _delete(call: Call) -> Response:
    project = _project(call)
    over = await call.change()

    def step(records: Records) -> None:
        _require(over(records), "delete_quota", project)
        if records.quotas.get(project) is None:
            raise MissingError("ProjectQuotaNotFound", f"Quota for project {project} could not be found.")
        records.quotas.delete(project)

    await call.service.store.change(step)
    return nothing()


def _project(call: Call) -> str:
    try:
        return str(text(NAME_MAX)(call.path("id")))
    except WrongValueError as error:
        raise BadRequestError("HTTPBadRequest", f"Invalid input for project_id. Reason: {error}.") from error


def _readable(view: View, call: Call) -> str:
    """The project of the path; everybody may know of their own. Raises ForbiddenError."""
    project = _project(call)
    if project != view.project:
        _require(view, "get_quota", project)
    return project


def _require(view: View, operation: str, project: str) -> None:
    if not _may(view, operation, project):
        raise ForbiddenError(operation)


def _may(view: View, operation: str, project: str) -> bool:
    return view.may(operation, {"project_id": project, "tenant_id": project})


def _limits(view: View, project: str) -> Row:
    return {name: view.settings.limit(view.records, project, name) for name in LIMITS}


def _used(view: View, name: str, project: str) -> int:
    """What is of each router and not of the project counts as nothing, as stock has it."""
    return len(COUNTED[name](view.records).by("project", project)) if name in COUNTED else 0


def _require_room(view: View, project: str, limits: Row) -> None:
    """A limit below what is used is for those who insist. Raises BadRequestError."""
    for name, limit in limits.items():
        used = _used(view, name, project)
        if limit != NO_LIMIT and used > limit:
            raise BadRequestError(
                "HTTPBadRequest",
                f"Quota limit {limit} for {name} must be greater than or equal to already used {used}",
            )


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    PATH: {"GET": _list},
    f"{PATH}/tenant": {"GET": partial(_show_project, "tenant")},
    f"{PATH}/project": {"GET": partial(_show_project, "project")},
    f"{PATH}/{{id}}": {"GET": _show, "PUT": _update, "DELETE": _delete},
    f"{PATH}/{{id}}/default": {"GET": _show_default},
    f"{PATH}/{{id}}/default.json": {"GET": _show_default},
    f"{PATH}/{{id}}/details": {"GET": _show_details},
    f"{PATH}/{{id}}/details.json": {"GET": _show_details},
}
