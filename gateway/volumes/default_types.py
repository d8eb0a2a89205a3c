"""The default volume types of projects."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.volumes.call import Call, from_minor, of
from gateway.volumes.reading import text
from store.core.errors import InvalidError, NotFoundError

SINCE: Final = 62
OPERATION: Final = "volume_extension:default_"


async def list_defaults(call: Call) -> Response:
    await call.allow(f"{OPERATION}get_all", of(""))
    rows = await call.service.types.own_defaults()
    return answer({"default_types": [_row(project, type_id) for project, type_id in rows.items()]})


async def show_default(call: Call) -> Response:
    project = call.path("default_project")
    await call.allow(f"{OPERATION}get", of(project))
    type_id = await call.service.types.own_default(project)
    if not type_id:
        raise NotFoundError(f"Default type for project {project} could not be found.")
    return answer({"default_type": _row(project, type_id)})


async def set_default(call: Call) -> Response:
    project = call.path("default_project")
    await call.allow(f"{OPERATION}set_or_update", of(project))
    said = text((await call.body()).object("default_type"), "volume_type")
    try:
        type_ = await call.service.types.named(said)
    except NotFoundError as error:
        raise InvalidError(str(error)) from error
    await call.service.types.set_own_default(project, type_.id)
    return answer({"default_type": _row(project, type_.id)})


async def unset_default(call: Call) -> Response:
    project = call.path("default_project")
    await call.allow(f"{OPERATION}unset", of(project))
    await call.service.types.set_own_default(project, "")
    return nothing()


def _row(project: str, type_id: str) -> dict[str, str]:
    return {"project_id": project, "volume_type_id": type_id}


ROUTES: Final[Routes[Call]] = {
    "/default-types": {"GET": from_minor(SINCE, list_defaults)},
    "/default-types/{default_project}": {
        "GET": from_minor(SINCE, show_default),
        "PUT": from_minor(SINCE, set_default),
        "DELETE": from_minor(SINCE, unset_default),
    },
}
