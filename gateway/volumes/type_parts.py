"""What belongs to a volume type: extra specs, the projects that may use it, its encryption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.rest.times import shown_us
from gateway.volumes.call import Call
from gateway.volumes.reading import text, text_or_none, whole
from gateway.volumes.table import Found
from gateway.volumes.type_records import VolumeType
from gateway.volumes.type_specs import specs_of
from gateway.volumes.types import TypeViews, check_specs, find_type, is_used
from store.core.errors import ConflictError, InvalidError, NotFoundError

SPECS: Final = "volume_extension:types_extra_specs"
ACCESS: Final = "volume_extension:volume_type_access"
ENCRYPTION: Final = "volume_extension:volume_type_encryption"
KEY_SIZE_MAX: Final = 2**31 - 1


# -- extra specs -----------------------------------------------------------------------------------------------------


async def list_specs(call: Call) -> Response:
    found = await find_type(call, f"{SPECS}:index")
    return answer({"extra_specs": (await TypeViews.of(call)).specs(found.record)})


async def show_spec(call: Call) -> Response:
    found = await find_type(call, f"{SPECS}:show")
    specs, key = (await TypeViews.of(call)).specs(found.record), call.path("key")
    if key not in specs:
        raise NotFoundError(f"Volume type {found.record.id} has no extra spec {key}.")
    return answer({key: specs[key]})


async def add_specs(call: Call) -> Response:
    found = await find_type(call, f"{SPECS}:create")
    body = await call.body()
    body.refuse_others({"extra_specs"})
    asked = specs_of(body.object("extra_specs").others(frozenset()))
    await _set_specs(call, found, found.record.extra_specs | asked)
    return answer({"extra_specs": asked})


async def set_spec(call: Call) -> Response:
    found = await find_type(call, f"{SPECS}:update")
    asked, key = specs_of((await call.body()).others(frozenset())), call.path("key")
    if set(asked) != {key}:
        raise InvalidError("Request body and URI mismatch: one key, the same as in the path.")
    await _set_specs(call, found, found.record.extra_specs | asked)
    return answer(asked)


async def delete_spec(call: Call) -> Response:
    found = await find_type(call, f"{SPECS}:delete")
    key, held = call.path("key"), found.record.extra_specs
    if key not in held:
        raise NotFoundError(f"Volume type {found.record.id} has no extra spec {key}.")
    await _set_specs(call, found, {name: value for name, value in held.items() if name != key})
    return accepted()


async def _set_specs(call: Call, found: Found[VolumeType], specs: dict[str, str]) -> None:
    check_specs(call.service, specs)
    await _require_unused(call, found.record)
    await _change(call, found, replace(found.record, extra_specs=specs))


# -- access ----------------------------------------------------------------------------------------------------------


async def list_access(call: Call) -> Response:
    found = await find_type(call, f"{ACCESS}:get_all_for_type")
    if found.record.is_public:
        raise NotFoundError("Volume type access not found: public volume types have no list of projects.")
    rows = [{"volume_type_id": found.record.id, "project_id": one} for one in found.record.projects]
    return answer({"volume_type_access": rows})


async def act(call: Call) -> Response:
    """An action of a type."""
    body = await call.body()
    for name, action in (("addProjectAccess", add_access), ("removeProjectAccess", remove_access)):
        if body.names() == [name]:
            return await action(call, body.object(name))
    raise InvalidError("There is no such action.")


async def add_access(call: Call, asked: Fields) -> Response:
    found = await find_type(call, f"{ACCESS}:addProjectAccess")
    project = text(asked, "project")
    _require_private(found.record)
    if project in found.record.projects:
        raise ConflictError(f"Project {project} may use the volume type already.")
    await _change(call, found, replace(found.record, projects=(*found.record.projects, project)))
    return accepted()


async def remove_access(call: Call, asked: Fields) -> Response:
    found = await find_type(call, f"{ACCESS}:removeProjectAccess")
    project = text(asked, "project")
    _require_private(found.record)
    if project not in found.record.projects:
        raise NotFoundError(f"Volume type access not found for project {project}.")
    others = tuple(one for one in found.record.projects if one != project)
    await _change(call, found, replace(found.record, projects=others))
    return accepted()


def _require_private(one: VolumeType) -> None:
    if one.is_public:
        raise InvalidError("Invalid volume type: access to public volume types is everybody's.")


# -- encryption ------------------------------------------------------------------------------------------------------


async def show_encryption(call: Call) -> Response:
    """{} where there is none."""
    return answer((await find_type(call, f"{ENCRYPTION}:get")).record.encryption)


async def show_encryption_key(call: Call) -> Response:
    held, key = (await find_type(call, f"{ENCRYPTION}:get")).record.encryption, call.path("encryption_id")
    if key not in held:
        raise NotFoundError("Volume type encryption could not be found.")
    return answer({key: held[key]})


async def create_encryption(call: Call) -> Response:
    """It is kept; volumes of the type are refused as long as it is there."""
    found = await find_type(call, f"{ENCRYPTION}:create")
    asked = _encryption((await call.body()).object("encryption"), {})
    await _require_unused(call, found.record)
    if found.record.encryption:
        raise InvalidError(f"Volume type encryption for type {found.record.id} already exists.")
    made = asked | {"volume_type_id": found.record.id, "encryption_id": call.service.new_id()}
    now = shown_us(call.service.clock.wall_us())
    held = made | {"created_at": now, "updated_at": None, "deleted_at": None, "deleted": False}
    await _change(call, found, replace(found.record, encryption=held))
    return answer({"encryption": made})


async def update_encryption(call: Call) -> Response:
    found = await find_type(call, f"{ENCRYPTION}:update")
    body = (await call.body()).object("encryption")
    await _require_unused(call, found.record)
    held = _found_encryption(call, found.record)
    after = held | _encryption(body, held) | {"updated_at": shown_us(call.service.clock.wall_us())}
    await _change(call, found, replace(found.record, encryption=after))
    return answer({"encryption": body.others(frozenset())})


async def delete_encryption(call: Call) -> Response:
    found = await find_type(call, f"{ENCRYPTION}:delete")
    _found_encryption(call, found.record)
    await _require_unused(call, found.record)
    await _change(call, found, replace(found.record, encryption={}))
    return accepted()


def _found_encryption(call: Call, one: VolumeType) -> dict[str, Any]:
    if one.encryption.get("encryption_id") != call.path("encryption_id"):
        raise NotFoundError(f"Volume type encryption for type {one.id} could not be found.")
    return one.encryption


def _encryption(asked: Fields, held: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, beside what there is."""
    named = {name for name in ("provider", "control_location", "cipher", "key_size") if name in asked}
    if not held and not named >= {"provider", "control_location"}:
        raise InvalidError("encryption: 'provider' and 'control_location' are required properties")
    found: dict[str, Any] = {} if held else {"cipher": None, "key_size": None}
    if "control_location" in named:
        found["control_location"] = asked.one_of("control_location", ("front-end", "back-end"))
    if "key_size" in named and asked.value("key_size") is not None:
        found["key_size"] = whole("key_size", asked.value("key_size"), 0, KEY_SIZE_MAX)
    for name in named & {"provider", "cipher"}:
        found[name] = text_or_none(asked, name)
    return found


async def _require_unused(call: Call, one: VolumeType) -> None:
    if await is_used(call.service, one.id):
        raise InvalidError("Volume Type is currently in use.")


async def _change(call: Call, found: Found[VolumeType], after: VolumeType) -> None:
    await call.service.types.rename(found, replace(after, updated_us=call.service.clock.wall_us()))


ROUTES: Final[Routes[Call]] = {
    "/types/{type_id}/extra_specs": {"GET": list_specs, "POST": add_specs},
    "/types/{type_id}/extra_specs/{key}": {"GET": show_spec, "PUT": set_spec, "DELETE": delete_spec},
    "/types/{type_id}/os-volume-type-access": {"GET": list_access},
    "/types/{type_id}/action": {"POST": act},
    "/types/{type_id}/encryption": {"GET": show_encryption, "POST": create_encryption},
    "/types/{type_id}/encryption/{encryption_id}": {
        "GET": show_encryption_key,
        "PUT": update_encryption,
        "DELETE": delete_encryption,
    },
}
