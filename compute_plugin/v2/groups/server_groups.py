"""Server groups: list, show, create and delete."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.amounts import NO_LIMIT, members
from compute_plugin.records.grouping import POLICIES, ServerGroup
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.listing import cut, know
from compute_plugin.v2.frame.reading import body_of, checked, named, one_of, whole, wrong
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import OverLimitError
from gateway.rest.fields import Fields
from store.core.errors import InvalidError

POLICY: Final = "os_compute_api:os-server-groups:"
OWNERS: Final = 13
SOFT: Final = 15
"""From this microversion on there are policies that are kept where they can be."""
RULES: Final = 64
"""From this microversion on a group has one policy, with rules."""
APART: Final = "anti-affinity"
HARD_POLICIES: Final = ("anti-affinity", "affinity")


async def list_groups(call: Call) -> Response:
    """With `all_projects` an administrator sees those of all."""
    know(call, "all_projects", "limit", "offset")
    project = await call.project()
    await call.allow(f"{POLICY}index", of(project))
    records = await call.records()
    if "all_projects" in call.query and await call.is_admin():
        await call.allow(f"{POLICY}index:all_projects", of(project))
        found = list(records.groups)
    else:
        found = records.groups.by("project", project)
    found.sort(key=lambda one: (one.created_us, one.id))
    return answer({"server_groups": [_shown(call, records, one) for one in cut(call, found)]})


async def show_group(call: Call) -> Response:
    records = await call.records()
    group = await _find(call, records, "show")
    return answer({"server_group": _shown(call, records, group)})


async def create_group(call: Call) -> Response:
    project = await call.project()
    await call.allow(f"{POLICY}create", of(project))
    fields = await _body(call)
    policy, most = _policy(call, fields)
    group = ServerGroup(
        id=call.service.new_id(),
        project_id=project,
        user_id=await call.user(),
        name=named(fields),
        policy=policy,
        max_per_host=most,
        created_us=call.service.clock.wall_us(),
    )

    def step(records: Records) -> Records:
        limit = call.service.settings.limits_of(records, project)["server_groups"]
        if limit != NO_LIMIT and len(records.groups.by("project", project)) >= limit:
            raise OverLimitError("Quota exceeded, too many server groups.")
        records.groups.put(group)
        return records

    return answer({"server_group": _shown(call, await call.service.store.change(step), group)})


async def delete_group(call: Call) -> Response:
    """Its servers stay where they are."""
    group = await _find(call, await call.records(), "delete")

    def step(records: Records) -> None:
        records.groups.require(group.id)
        records.groups.delete(group.id)

    await call.service.store.change(step)
    return nothing()


async def _find(call: Call, records: Records, operation: str) -> ServerGroup:
    group = records.groups.require(call.path("group_id"))
    await call.allow(f"{POLICY}{operation}", of(group.project_id))
    return group


async def _body(call: Call) -> Fields:
    if call.since(RULES):
        return await body_of(call, "server_group", ("name", "policy"), ("rules",))
    return await body_of(call, "server_group", ("name", "policies"))


def _policy(call: Call, fields: Fields) -> tuple[str, int]:
    """And how many servers it may have on one host; 0 where that is not said."""
    if not call.since(RULES):
        known = POLICIES if call.since(SOFT) else HARD_POLICIES
        asked = fields.value("policies")
        if not isinstance(asked, list) or len(asked) != 1 or asked[0] not in known:
            raise wrong("policies", f"a list of one of {', '.join(known)}")
        return str(asked[0]), 0
    policy = one_of(fields, "policy", POLICIES)
    rules = checked(fields.object("rules"), (), ("max_server_per_host",)) if "rules" in fields else None
    if rules is None or not rules.names():
        return policy, 0
    if policy != APART:
        raise InvalidError("Only anti-affinity policy supports rules.")
    return policy, whole("max_server_per_host", rules.value("max_server_per_host"), 1)


def _shown(call: Call, records: Records, group: ServerGroup) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": group.id,
        "name": group.name,
        "members": [one.id for one in members(records, group.id)],
    }
    if call.since(RULES):
        rules = {"max_server_per_host": group.max_per_host} if group.max_per_host else {}
        shown |= {"policy": group.policy, "rules": rules}
    else:
        shown |= {"policies": [group.policy], "metadata": {}}
    if call.since(OWNERS):
        shown |= {"project_id": group.project_id, "user_id": group.user_id}
    return shown


ROUTES: Final[Routes[Call]] = {
    "/os-server-groups": {"GET": list_groups, "POST": create_group},
    "/os-server-groups/{group_id}": {"GET": show_group, "DELETE": delete_group},
}
