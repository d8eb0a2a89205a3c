"""Quotas of projects, and of users in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.amounts import NO_LIMIT, limits_in, usage_of, user_quota
from compute_plugin.records.operating import Quota
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.listing import asked, know
from compute_plugin.v2.frame.projects import require_project
from compute_plugin.v2.frame.reading import body_of, flag_in, whole
from compute_plugin.v2.operating.quota_names import quota_names
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError

POLICY: Final = "os_compute_api:os-quota-sets:"


async def show_quotas(call: Call) -> Response:
    project, user = await _whose(call, "show")
    limits = limits_in(await call.records(), call.service.settings, project, user)
    return _answer(call, limits, project)


async def show_details(call: Call) -> Response:
    """With what is used of each."""
    project, user = await _whose(call, "detail")
    records = await call.records()
    limits, used = limits_in(records, call.service.settings, project, user), usage_of(records, project, user)
    shown = {
        name: {"limit": limits.get(name, NO_LIMIT), "in_use": used.get(name, 0), "reserved": 0}
        for name in quota_names(call)
    }
    return answer({"quota_set": {"id": project, **shown}})


async def show_defaults(call: Call) -> Response:
    project, _ = await _whose(call, "defaults")
    return _answer(call, call.service.settings.defaults(await call.records()), project)


async def update_quotas(call: Call) -> Response:
    """None below what is used, unless `force` says so."""
    project, user = await _whose(call, "update")
    names = quota_names(call)
    fields = await body_of(call, "quota_set", (), (*names, "force"))
    force = flag_in(fields, "force")
    limits = {name: whole(name, fields.value(name), NO_LIMIT) for name in names if name in fields}

    def step(records: Records) -> Records:
        if not force:
            _require_possible(call, records, project, user, limits)
        id_ = user_quota(project, user) if user else project
        held = records.quotas.get(id_)
        own = {**(held.limits if held is not None else {}), **limits}
        if own:
            records.quotas.put(Quota(id=id_, limits=own))
        return records

    records = await call.service.store.change(step)
    return _answer(call, limits_in(records, call.service.settings, project, user))


async def delete_quotas(call: Call) -> Response:
    """They are the defaults again."""
    know(call, "user_id")
    project, user = call.path("project_id"), asked(call, "user_id") or ""
    await call.allow(f"{POLICY}delete", of(project))

    def step(records: Records) -> None:
        if user:
            records.quotas.delete(user_quota(project, user))
            return
        gone = [one.id for one in records.quotas if one.id == project or one.id.startswith(f"{project}/")]
        for id_ in gone:
            records.quotas.delete(id_)

    await call.service.store.change(step)
    return accepted()


async def _whose(call: Call, operation: str) -> tuple[str, str]:
    """The project of the path, and the user of the query or ""."""
    if operation != "defaults":
        know(call, "user_id")
    project = call.path("project_id")
    await call.allow(f"{POLICY}{operation}", of(project))
    await require_project(call, project)
    return project, asked(call, "user_id") or ""


def _require_possible(call: Call, records: Records, project: str, user: str, limits: Mapping[str, int]) -> None:
    used = usage_of(records, project, user)
    most = call.service.settings.limits_of(records, project) if user else {}
    for name, limit in limits.items():
        least = used.get(name, 0)
        if limit != NO_LIMIT and limit < least:
            raise InvalidError(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved {least}."
            )
        above = most.get(name, NO_LIMIT)
        if above != NO_LIMIT and (limit == NO_LIMIT or limit > above):
            raise InvalidError(f"Quota limit {limit} for {name} must be less than or equal to {above}.")


def _answer(call: Call, limits: Mapping[str, int], project: str = "") -> Response:
    shown: dict[str, Any] = {name: limits.get(name, NO_LIMIT) for name in quota_names(call)}
    return answer({"quota_set": {"id": project, **shown} if project else shown})


ROUTES: Final[Routes[Call]] = {
    "/os-quota-sets/{project_id}": {"GET": show_quotas, "PUT": update_quotas, "DELETE": delete_quotas},
    "/os-quota-sets/{project_id}/defaults": {"GET": show_defaults},
    "/os-quota-sets/{project_id}/detail": {"GET": show_details},
}
