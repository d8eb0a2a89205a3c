"""Quotas of projects, their defaults, and limits as everybody sees their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.quota_records import NO_LIMIT, Standing
from gateway.rest.quotas import LIMIT_MAX
from gateway.volumes.amounts import BY_TYPE, DEFAULTS
from gateway.volumes.call import Call, of
from gateway.volumes.reading import flag, whole
from store.core.errors import InvalidError

QUOTAS: Final = "volume_extension:quotas:"
CLASSES: Final = "volume_extension:quota_classes:"
DEFAULT_CLASS: Final = "default"
OF_OTHERS: Final = 39
"""From this microversion on administrators may ask for the limits of other projects."""
PROJECT_MAX: Final = 255

LIMITS: Final = {
    "gigabytes": ("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
    "backup_gigabytes": ("maxTotalBackupGigabytes", "totalBackupGigabytesUsed"),
    "volumes": ("maxTotalVolumes", "totalVolumesUsed"),
    "snapshots": ("maxTotalSnapshots", "totalSnapshotsUsed"),
    "backups": ("maxTotalBackups", "totalBackupsUsed"),
}


async def show_quotas(call: Call) -> Response:
    """Limits; with `usage` what is used of them, too."""
    project = _project(call)
    await call.allow(f"{QUOTAS}show", of(project))
    held = await _named(call, await call.service.quotas.show(project), Standing(NO_LIMIT, 0, 0))
    if flag("usage", call.query.get("usage", "false")):
        shown: dict[str, Any] = {
            name: {"limit": one.limit, "in_use": one.in_use, "reserved": one.reserved} for name, one in held.items()
        }
    else:
        shown = {name: one.limit for name, one in held.items()}
    return answer({"quota_set": shown | {"id": project}})


async def show_defaults(call: Call) -> Response:
    project = _project(call)
    await call.allow(f"{QUOTAS}show", of(project))
    return answer({"quota_set": await _defaults(call) | {"id": project}})


async def set_quotas(call: Call) -> Response:
    """None below what is used."""
    project = _project(call)
    await call.allow(f"{QUOTAS}update", of(project))
    limits = await _limits(call, (await call.body()).object("quota_set"), frozenset({"tenant_id", "id"}))
    held = await call.service.quotas.show(project)
    for name, limit in limits.items():
        used = held[name].in_use + held[name].reserved if name in held else 0
        if limit != NO_LIMIT and limit < used and name != "per_volume_gigabytes":
            raise InvalidError(f"Quota limit must be equal or greater than existing resources: {used} are used.")
    await call.service.quotas.set_limits(project, limits)
    after = await _named(call, await call.service.quotas.show(project), Standing(NO_LIMIT, 0, 0))
    return answer({"quota_set": {name: one.limit for name, one in after.items()}})


async def reset_quotas(call: Call) -> Response:
    """The project has the defaults again."""
    project = _project(call)
    await call.allow(f"{QUOTAS}delete", of(project))
    await call.service.quotas.reset_limits(project)
    return Response(status_code=200)


async def show_class(call: Call) -> Response:
    """There is one class, `default`; projects that are in none have its limits, and all are in none."""
    await call.allow(f"{CLASSES}get", of(""))
    return answer({"quota_class_set": await _defaults(call) | {"id": call.path("quota_class")[:PROJECT_MAX]}})


async def set_class(call: Call) -> Response:
    await call.allow(f"{CLASSES}update", of(""))
    if call.path("quota_class") != DEFAULT_CLASS:
        raise InvalidError(f"There is one quota class: {DEFAULT_CLASS}.")
    limits = await _limits(call, (await call.body()).object("quota_class_set"), frozenset({"class_name", "id"}))
    await call.service.quotas.set_defaults(limits)
    return answer({"quota_class_set": await _defaults(call)})


async def show_limits(call: Call) -> Response:
    """Of the caller's project; of another to administrators."""
    project = await call.project()
    if call.since(OF_OTHERS) and await call.is_admin():
        project = call.query.get("project_id") or call.query.get("tenant_id") or project
    held, absolute = await call.service.quotas.show(project), dict[str, int]()
    for name, (most, used) in LIMITS.items():
        absolute |= {most: held[name].limit, used: held[name].in_use}
    return answer({"limits": {"rate": [], "absolute": absolute}})


def _project(call: Call) -> str:
    project = call.path("quota_project")
    if len(project) > PROJECT_MAX:
        raise InvalidError(f"A project's id has at most {PROJECT_MAX} characters.")
    return project


async def _names(call: Call) -> dict[str, str]:
    """What is counted by type, by the name that clients know."""
    types = await call.service.types.every()
    return {f"{kind}_{one.name}": f"{kind}_{one.id}" for one in types for kind in BY_TYPE}


async def _named(call: Call, held: Mapping[str, Standing], default: Standing) -> dict[str, Standing]:
    by_type = {name: held.get(inside, default) for name, inside in (await _names(call)).items()}
    return {name: held[name] for name in DEFAULTS} | by_type


async def _defaults(call: Call) -> dict[str, Any]:
    held = await call.service.quotas.defaults()
    by_type = {name: held.get(inside, NO_LIMIT) for name, inside in (await _names(call)).items()}
    return {name: held[name] for name in DEFAULTS} | by_type


async def _limits(call: Call, asked: Fields, besides: frozenset[str]) -> dict[str, int]:
    """By the names inside. Raises InvalidError for what is not counted."""
    names = {name: name for name in DEFAULTS} | await _names(call)
    said = asked.others(besides)
    unknown = sorted(said.keys() - names.keys())
    if unknown or not said:
        raise InvalidError(f"Bad key(s) in quota set: {', '.join(unknown)[:255]}")
    return {names[name]: whole(name[:PROJECT_MAX], value, NO_LIMIT, LIMIT_MAX) for name, value in said.items()}


ROUTES: Final[Routes[Call]] = {
    "/os-quota-sets/{quota_project}": {"GET": show_quotas, "PUT": set_quotas, "DELETE": reset_quotas},
    "/os-quota-sets/{quota_project}/defaults": {"GET": show_defaults},
    "/os-quota-class-sets/{quota_class}": {"GET": show_class, "PUT": set_class},
    "/limits": {"GET": show_limits},
}
