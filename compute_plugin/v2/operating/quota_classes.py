"""The limits of projects that have none of their own: the class `default`. Other classes are of no effect."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.records.amounts import NO_LIMIT
from compute_plugin.records.operating import DEFAULT, Quota
from compute_plugin.records.records import Records
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import body_of, text_of, whole
from compute_plugin.v2.operating.quota_names import GROUPS, quota_names
from gateway.rest.answers import answer
from gateway.rest.app import Routes

POLICY: Final = "os_compute_api:os-quota-class-sets:"
WITH_GROUPS: Final = 50
"""From this microversion on server groups are shown, and nothing of networks."""


async def show_class(call: Call) -> Response:
    await call.allow(f"{POLICY}show")
    name = call.path("class_id")
    return answer({"quota_class_set": {"id": name, **_limits(call, await call.records(), name)}})


async def update_class(call: Call) -> Response:
    await call.allow(f"{POLICY}update")
    name = text_of("quota_class_name", call.path("class_id"))
    names = quota_names(call, WITH_GROUPS)
    fields = await body_of(call, "quota_class_set", (), names)
    limits = {one: whole(one, fields.value(one), NO_LIMIT) for one in names if one in fields}

    def step(records: Records) -> Records:
        held = records.quotas.get(_id(name))
        own = {**(held.limits if held is not None else {}), **limits}
        if own:
            records.quotas.put(Quota(id=_id(name), limits=own))
        return records

    return answer({"quota_class_set": _limits(call, await call.service.store.change(step), name)})


def _id(name: str) -> str:
    return DEFAULT if name == DEFAULT else f"class/{name}"


def _limits(call: Call, records: Records, name: str) -> dict[str, int]:
    held = records.quotas.get(_id(name))
    limits = {**call.service.settings.defaults(records), **(held.limits if held is not None else {})}
    hidden = () if call.since(WITH_GROUPS) else GROUPS
    return {one: limits.get(one, NO_LIMIT) for one in quota_names(call, WITH_GROUPS) if one not in hidden}


ROUTES: Final[Routes[Call]] = {"/os-quota-class-sets/{class_id}": {"GET": show_class, "PUT": update_class}}
