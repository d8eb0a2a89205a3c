"""Volume types: what administrators offer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from gateway.volumes.call import Call, of
from gateway.volumes.listing import Filters, Row, page
from gateway.volumes.reading import flag, flag_in, text, text_or_none
from gateway.volumes.service import VolumeService
from gateway.volumes.table import Found
from gateway.volumes.type_records import POLICY_SPEC, VISIBLE_SPECS, VolumeType, window_of
from gateway.volumes.type_specs import specs_of
from store.core.errors import InvalidError, NotFoundError

PUBLIC: Final = "os-volume-type-access:is_public"
SPECS_FILTER: Final = 52
FILTERS: Final = Filters(
    exact=frozenset({"name"}),
    dicts=frozenset({"extra_specs"}),
    sorts=frozenset({"id", "name", "created_at", "updated_at", "is_public", "description"}),
)


async def list_types(call: Call) -> Response:
    """Those that are public, and the project's; others, too, to administrators who ask for them."""
    await call.allow("volume_extension:type_get_all", of(await _mine(call)))
    views, mine = await TypeViews.of(call), await _mine(call)
    asked: bool | None = True
    if await call.is_admin() and (said := call.query.get("is_public")) is not None:
        asked = None if said.lower() == "none" else flag("is_public", said)
    rows = [
        views.shown(one) | {"_": one, "created_at": one.created_us, "updated_at": one.updated_us}
        for one in await call.service.types.every()
        if asked is None or (one.is_public is asked) or (asked and mine in one.projects)
    ]
    found = page(call, rows, FILTERS, lambda name: name == "is_public" or not call.since(SPECS_FILTER))
    return answer(found.document("volume_types", [views.shown(row["_"]) for row in found.rows], "volume_type_links"))


async def show_type(call: Call) -> Response:
    """One; `default` is the one of volumes that name none."""
    if call.path("type_id") == "default":
        await call.allow("volume_extension:type_get", of(await _mine(call)))
        return await _shown(call, await call.service.types.of_project(await _mine(call)))
    return await _shown(call, (await find_type(call, "volume_extension:type_get")).record)


async def create_type(call: Call) -> Response:
    await call.allow("volume_extension:type_create", of(await _mine(call)))
    asked = (await call.body()).object("volume_type")
    asked.refuse_others({"name", "description", "extra_specs", PUBLIC})
    service, now = call.service, call.service.clock.wall_us()
    specs = specs_of(asked.value("extra_specs"))
    check_specs(service, specs)
    made = VolumeType(
        service.new_id(), text(asked, "name"), _description(asked), flag_in(asked, PUBLIC, True), now, now, specs
    )
    await service.types.create(made)
    return await _changed(call, made, {PUBLIC: made.is_public})


async def update_type(call: Call) -> Response:
    found = await find_type(call, "volume_extension:type_update")
    asked = (await call.body()).object("volume_type")
    asked.refuse_others({"name", "description", "is_public"})
    if all(asked.value(name) is None for name in ("name", "description", "is_public")):
        raise InvalidError("Specify volume type name, description or is_public.")
    before = found.record
    after = replace(
        before,
        name=before.name if asked.value("name") is None else text(asked, "name"),
        description=before.description if asked.value("description") is None else _description(asked),
        is_public=flag_in(asked, "is_public", before.is_public),
        updated_us=call.service.clock.wall_us(),
    )
    await call.service.types.rename(found, after)
    return await _changed(call, after, {})


async def delete_type(call: Call) -> Response:
    """It goes, where no volume is of it."""
    found = await find_type(call, "volume_extension:type_delete")
    id_, types = found.record.id, call.service.types
    if id_ == types.default_id or id_ in (await types.own_defaults()).values():
        raise InvalidError("The volume type is the default of the service or of a project, and stays.")
    last = await types.last_use(id_)
    if await is_used(call.service, id_):
        raise InvalidError("Target volume type is still in use.")
    await types.delete(found, last)
    return accepted()


async def find_type(call: Call, operation: str) -> Found[VolumeType]:
    """The type in the path. Raises NotFoundError, also to those who may not use it."""
    id_, mine = call.path("type_id"), await _mine(call)
    await call.allow(operation, of(mine))
    found = await call.service.types.find(id_)
    if not found.record.open_to(mine) and not await call.is_admin():
        raise NotFoundError(f"Volume type {id_} could not be found.")
    return found


async def is_used(service: VolumeService, type_id: str) -> bool:
    """Whether there is a volume of the type."""
    return any(one.type_id == type_id for one in await service.volumes.every())


def check_specs(service: VolumeService, specs: dict[str, str]) -> None:
    """Raises InvalidError where a spec of ours is none that volumes can have."""
    policy = specs.get(POLICY_SPEC)
    if policy is not None and policy not in service.types.policies:
        raise InvalidError(f"{POLICY_SPEC}: volumes can be under {', '.join(service.types.policies)}, not {policy!a}")
    window_of(specs)


class TypeViews:
    """Types as the caller of one request may see them."""

    def __init__(self, *, specs: bool, sensitive: bool, qos: bool, access: bool) -> None:
        self._specs = specs
        self._sensitive = sensitive
        self._qos = qos
        self._access = access

    @classmethod
    async def of(cls, call: Call) -> TypeViews:
        credentials, target = await call.credentials(), of(await _mine(call))

        def may(operation: str) -> bool:
            return bool(call.policy.decide(f"volume_extension:{operation}", credentials, target))

        return cls(
            specs=may("access_types_extra_specs"),
            sensitive=may("types_extra_specs:read_sensitive"),
            qos=may("access_types_qos_specs_id"),
            access=may("volume_type_access"),
        )

    def shown(self, one: VolumeType) -> Row:
        """All of it."""
        shown: dict[str, Any] = {
            "id": one.id,
            "name": one.name,
            "is_public": one.is_public,
            "description": one.description,
        }
        if self._specs:
            shown["extra_specs"] = self.specs(one)
        if self._qos:
            shown["qos_specs_id"] = one.qos_id
        if self._access:
            shown[PUBLIC] = one.is_public
        return shown

    def specs(self, one: VolumeType) -> dict[str, str]:
        """Those that the caller may see."""
        held = one.extra_specs
        return dict(held) if self._sensitive else {name: held[name] for name in VISIBLE_SPECS if name in held}


async def _shown(call: Call, one: VolumeType) -> Response:
    return answer({"volume_type": (await TypeViews.of(call)).shown(one)})


async def _changed(call: Call, one: VolumeType, more: Row) -> Response:
    """One that was made or changed: as in stock cinder without its QoS specs."""
    shown = (await TypeViews.of(call)).shown(one)
    hidden = ("qos_specs_id", PUBLIC)
    return answer({"volume_type": {name: value for name, value in shown.items() if name not in hidden} | more})


async def _mine(call: Call) -> str:
    return str((await call.credentials()).get("project_id") or "")


def _description(asked: Fields) -> str | None:
    return text_or_none(asked, "description")


ROUTES: Final[Routes[Call]] = {
    "/types": {"GET": list_types, "POST": create_type},
    "/types/{type_id}": {"GET": show_type, "PUT": update_type, "DELETE": delete_type},
}
