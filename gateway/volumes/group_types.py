"""Group types and their specs: what administrators offer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.volumes.call import Call, Handler, from_minor, of
from gateway.volumes.group_records import RESERVED, GroupType
from gateway.volumes.listing import Filters, Row, page
from gateway.volumes.reading import flag, flag_in, text, text_or_none
from gateway.volumes.table import Found
from gateway.volumes.type_specs import specs_of
from store.core.errors import ConflictError, InvalidError, NotFoundError

TYPES: Final = 11
OPERATION: Final = "group:group_types"
SPECS: Final = "group:group_types_specs"
FILTERS: Final = Filters(
    exact=frozenset({"name"}), sorts=frozenset({"id", "name", "created_at", "updated_at", "is_public", "description"})
)


async def list_group_types(call: Call) -> Response:
    """Those that are public; others, too, to administrators who ask for them."""
    asked: bool | None = True
    if await call.is_admin():
        said = call.query.get("is_public")
        asked = True if said is None else None if said.lower() == "none" else flag("is_public", said)
    with_specs = await _sees_specs(call)
    rows = [
        _shown(one, with_specs) | {"created_at": one.created_us, "updated_at": one.updated_us, "_": one}
        for one in await call.service.group_types.table.every()
        if asked is None or one.is_public is asked
    ]
    found = page(call, rows, FILTERS, lambda name: name == "is_public")
    shown = [_shown(row["_"], with_specs) for row in found.rows]
    return answer(found.document("group_types", shown, "group_type_links"))


async def show_group_type(call: Call) -> Response:
    """There is no default one."""
    if call.path("group_type_id") == "default":
        raise NotFoundError("Default group type can not be found.")
    return await _answer(call, (await _find(call)).record)


async def create_group_type(call: Call) -> Response:
    await _allow(call, f"{OPERATION}:create")
    asked = (await call.body()).object("group_type")
    asked.refuse_others({"name", "description", "is_public", "group_specs"})
    now = call.service.clock.wall_us()
    made = GroupType(
        call.service.new_id(),
        text(asked, "name"),
        text_or_none(asked, "description"),
        flag_in(asked, "is_public", True),
        now,
        now,
        specs_of(asked.value("group_specs")),
    )
    await call.service.group_types.create(made)
    return await _answer(call, made, 202)


async def update_group_type(call: Call) -> Response:
    await _allow(call, f"{OPERATION}:update")
    found = await _find(call)
    asked = (await call.body()).object("group_type")
    asked.refuse_others({"name", "description", "is_public"})
    if all(asked.value(name) is None for name in ("name", "description", "is_public")):
        raise InvalidError("Specify group type name, description or a combination thereof.")
    before = found.record
    after = replace(
        before,
        name=before.name if asked.value("name") is None else text(asked, "name"),
        description=before.description if asked.value("description") is None else text_or_none(asked, "description"),
        is_public=flag_in(asked, "is_public", before.is_public),
    )
    await call.service.group_types.change(found, after)
    return await _answer(call, after)


async def delete_group_type(call: Call) -> Response:
    """It goes, where no group is of it."""
    await _allow(call, f"{OPERATION}:delete")
    found = await _find(call)
    service, id_ = call.service, found.record.id
    used = {one.type_id for one in await service.groups.every()}
    if id_ in used | {one.type_id for one in await service.group_snapshots.every()}:
        raise InvalidError("Target group type is still in use.")
    if found.record.name == RESERVED:
        raise InvalidError("The group type is reserved, and stays.")
    await service.group_types.delete(found)
    return accepted()


async def list_specs(call: Call) -> Response:
    await _allow(call, f"{SPECS}:get_all")
    return answer({"group_specs": (await _find(call)).record.specs})


async def show_spec(call: Call) -> Response:
    await _allow(call, f"{SPECS}:get")
    specs, key = (await _find(call)).record.specs, call.path("key")
    if key not in specs:
        raise _missing(call)
    return answer({key: specs[key]})


async def add_specs(call: Call) -> Response:
    await _allow(call, f"{SPECS}:create")
    body = await call.body()
    body.refuse_others({"group_specs"})
    asked = specs_of(body.object("group_specs").others(frozenset()))
    await _set(call, asked)
    return answer({"group_specs": asked}, 202)


async def set_spec(call: Call) -> Response:
    await _allow(call, f"{SPECS}:update")
    asked = specs_of((await call.body()).others(frozenset()))
    if set(asked) != {call.path("key")}:
        raise InvalidError("Request body and URI mismatch: one key, the same as in the path.")
    await _set(call, asked)
    return answer(asked)


async def delete_spec(call: Call) -> Response:
    await _allow(call, f"{SPECS}:delete")
    found, key = await _find(call), call.path("key")
    if key not in found.record.specs:
        raise _missing(call)
    left = {name: value for name, value in found.record.specs.items() if name != key}
    await call.service.group_types.change(found, replace(found.record, specs=left))
    return accepted()


async def _set(call: Call, specs: dict[str, str]) -> None:
    found = await _find(call)
    try:
        await call.service.group_types.change(found, replace(found.record, specs=found.record.specs | specs))
    except ConflictError as error:
        raise ConflictError("Others keep changing the same; try again.") from error


async def _find(call: Call) -> Found[GroupType]:
    await call.credentials()
    id_ = call.path("group_type_id")
    try:
        found = await call.service.group_types.find(id_)
    except NotFoundError as error:
        raise _missing_type(id_) from error
    if not found.record.is_public and not await call.is_admin():
        raise _missing_type(id_)
    return found


def _missing_type(id_: str) -> NotFoundError:
    return NotFoundError(f"Group type {id_[:64]} could not be found.")


def _missing(call: Call) -> NotFoundError:
    return NotFoundError(
        f"Group Type {call.path('group_type_id')} has no extra spec with key {call.path('key')[:255]}."
    )


async def _allow(call: Call, operation: str) -> None:
    await call.allow(operation, of(str((await call.credentials()).get("project_id") or "")))


async def _sees_specs(call: Call) -> bool:
    credentials = await call.credentials()
    target = of(str(credentials.get("project_id") or ""))
    return bool(call.policy.decide("group:access_group_types_specs", credentials, target))


async def _answer(call: Call, one: GroupType, status: int = 200) -> Response:
    return answer({"group_type": _shown(one, await _sees_specs(call))}, status)


def _shown(one: GroupType, with_specs: bool) -> Row:
    shown: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "is_public": one.is_public,
    }
    return shown | ({"group_specs": one.specs} if with_specs else {})


def _since(handlers: dict[str, Handler]) -> dict[str, Handler]:
    return {method: from_minor(TYPES, handler) for method, handler in handlers.items()}


ROUTES: Final[Routes[Call]] = {
    "/group_types": _since({"GET": list_group_types, "POST": create_group_type}),
    "/group_types/{group_type_id}": _since(
        {"GET": show_group_type, "PUT": update_group_type, "DELETE": delete_group_type}
    ),
    "/group_types/{group_type_id}/group_specs": _since({"GET": list_specs, "POST": add_specs}),
    "/group_types/{group_type_id}/group_specs/{key}": _since(
        {"GET": show_spec, "PUT": set_spec, "DELETE": delete_spec}
    ),
}
