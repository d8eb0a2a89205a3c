"""QoS specs of volume types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.volumes.call import Call, of
from gateway.volumes.listing import Filters, page
from gateway.volumes.qos_records import QosSpecs, qos_name_key
from gateway.volumes.reading import flag, metadata, text
from gateway.volumes.table import Found
from gateway.volumes.type_records import SHARED, VolumeType
from gateway.volumes.volume_view import links
from store.core.errors import ConflictError, InvalidError, NotFoundError
from store.registry import Compare

OPERATION: Final = "volume_extension:qos_specs_manage:"
CONSUMERS: Final = ("front-end", "back-end", "both")
FILTERS: Final = Filters(exact=frozenset({"id", "name", "consumer"}), sorts=frozenset({"id", "name", "created_at"}))


async def list_qos(call: Call) -> Response:
    await call.allow(f"{OPERATION}get_all", of(""))
    held = await call.service.qos.of_project(SHARED)
    found = page(call, [_row(one) | {"created_at": one.created_us, "_": one} for one in held], FILTERS)
    return answer(found.document("qos_specs", [_row(row["_"]) for row in found.rows]))


async def show_qos(call: Call) -> Response:
    await call.allow(f"{OPERATION}get", of(""))
    return _shown(call, (await _find(call)).record)


async def create_qos(call: Call) -> Response:
    await call.allow(f"{OPERATION}create", of(""))
    asked = (await call.body()).object("qos_specs")
    consumer = asked.one_of("consumer", CONSUMERS) if "consumer" in asked else "back-end"
    specs = metadata("qos_specs", asked.others(frozenset({"name", "consumer"})))
    made = QosSpecs(call.service.new_id(), text(asked, "name"), consumer, call.service.clock.wall_us(), specs)
    absent = Compare.absent(qos_name_key(made.name))
    if not (await call.service.registry.transact([absent], call.service.qos.puts(made))).succeeded:
        raise ConflictError(f"QoS Specs {made.name} already exists.")
    return _shown(call, made)


async def update_qos(call: Call) -> Response:
    """What is said of keys; the others stay."""
    await call.allow(f"{OPERATION}update", of(""))
    asked = (await call.body()).object("qos_specs")
    consumer = asked.one_of("consumer", CONSUMERS) if "consumer" in asked else ""
    specs = metadata("qos_specs", asked.others(frozenset({"consumer"})))
    id_ = (await _find(call)).record.id
    await call.service.qos.change(
        id_, lambda one: replace(one, consumer=consumer or one.consumer, specs=one.specs | specs)
    )
    return answer({"qos_specs": asked.others(frozenset())})


async def delete_keys(call: Call) -> Response:
    await call.allow(f"{OPERATION}delete", of(""))
    keys = (await call.body()).texts("keys")

    def without(one: QosSpecs) -> QosSpecs:
        for key in keys:
            if key not in one.specs:
                raise NotFoundError(f"QoS specs {one.id} has no spec with key {key[:255]}.")
        return replace(one, specs={key: value for key, value in one.specs.items() if key not in keys})

    await call.service.qos.change((await _find(call)).record.id, without)
    return accepted()


async def delete_qos(call: Call) -> Response:
    """With `force` types that have them have none then."""
    await call.allow(f"{OPERATION}delete", of(""))
    force = flag("force", call.query.get("force", "false"))
    found = await _find(call)
    types = await _associated(call, found.record.id)
    if types and not force:
        raise InvalidError("Qos specs still in use.")
    for one in types:
        await _set(call, one.id, None)
    if not (await call.service.registry.transact([found.same], call.service.qos.deletes(found.record))).succeeded:
        raise ConflictError("The QoS specs have changed meanwhile.")
    return accepted()


# -- types -----------------------------------------------------------------------------------------------------------


async def list_associations(call: Call) -> Response:
    await call.allow(f"{OPERATION}get_all", of(""))
    types = await _associated(call, (await _find(call)).record.id)
    rows = [{"association_type": "volume_type", "name": one.name, "id": one.id} for one in types]
    return answer({"qos_associations": rows})


async def associate(call: Call) -> Response:
    """A type has them. It can have one at a time."""
    await call.allow(f"{OPERATION}update", of(""))
    id_, type_id = (await _find(call)).record.id, _type_id(call)
    held = (await call.service.types.find(type_id)).record.qos_id
    if held not in (None, id_):
        raise InvalidError(f"Invalid volume type: type {type_id} is associated with other QoS specs.")
    await _set(call, type_id, id_)
    return accepted()


async def disassociate(call: Call) -> Response:
    await call.allow(f"{OPERATION}update", of(""))
    await _find(call)
    await _set(call, _type_id(call), None)
    return accepted()


async def disassociate_all(call: Call) -> Response:
    await call.allow(f"{OPERATION}update", of(""))
    for one in await _associated(call, (await _find(call)).record.id):
        await _set(call, one.id, None)
    return accepted()


async def _set(call: Call, type_id: str, qos_id: str | None) -> None:
    await call.service.types.table.change(type_id, lambda one: replace(one, qos_id=qos_id), near=SHARED)


async def _associated(call: Call, id_: str) -> list[VolumeType]:
    return [one for one in await call.service.types.every() if one.qos_id == id_]


def _type_id(call: Call) -> str:
    found = call.query.get("vol_type_id")
    if not found:
        raise InvalidError("Volume Type id must not be None.")
    return found


async def _find(call: Call) -> Found[QosSpecs]:
    return await call.service.qos.find(call.path("qos_id"), SHARED)


def _row(one: QosSpecs) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "consumer": one.consumer, "specs": one.specs}


def _shown(call: Call, one: QosSpecs) -> Response:
    return answer({"qos_specs": _row(one), "links": links(call, "qos-specs", one.id)})


ROUTES: Final[Routes[Call]] = {
    "/qos-specs": {"GET": list_qos, "POST": create_qos},
    "/qos-specs/{qos_id}": {"GET": show_qos, "PUT": update_qos, "DELETE": delete_qos},
    "/qos-specs/{qos_id}/delete_keys": {"PUT": delete_keys},
    "/qos-specs/{qos_id}/associations": {"GET": list_associations},
    "/qos-specs/{qos_id}/associate": {"GET": associate},
    "/qos-specs/{qos_id}/disassociate": {"GET": disassociate},
    "/qos-specs/{qos_id}/disassociate_all": {"GET": disassociate_all},
}
