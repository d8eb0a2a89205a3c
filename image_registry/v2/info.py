"""`/v2/info` and `/v2/schemas`: what there is here, and how it is said."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Handler, Routes
from image_registry.v2.call import Call
from image_registry.v2.import_methods import METHODS
from image_registry.v2.schemas import SCHEMAS, Schema


async def show_import(call: Call) -> Response:
    await call.credentials()
    methods = {"description": "Import methods available.", "type": "array", "value": list(METHODS)}
    return answer({"import-methods": methods})


async def list_stores(call: Call) -> Response:
    """The storage policies; new images are in the first unless a client wants another."""
    await call.credentials()
    return answer({"stores": _stores(call)})


async def list_stores_in_detail(call: Call) -> Response:
    await call.allow("stores_info_detail")
    rows = [{**row, "type": "drystone", "weight": 0, "properties": {}} for row in _stores(call)]
    return answer({"stores": rows})


async def show_usage(call: Call) -> Response:
    """Of the caller's project, of what is limited or not."""
    standing = await call.service.quotas.show(await call.project())
    rows = {name: {"limit": one.limit, "usage": one.in_use + one.reserved} for name, one in standing.items()}
    return answer({"usage": rows})


def _stores(call: Call) -> list[dict[str, str]]:
    bits = call.service.bits
    rows = [{"id": name, "description": bits.described(name)} for name in bits.stores]
    rows[0]["default"] = "true"
    return rows


def schema_handler(schema: Schema) -> Handler[Call]:
    """Tells a schema to whoever has a token."""

    async def show(call: Call) -> Response:
        await call.credentials()
        return answer(schema)

    return show


ROUTES: Final[Routes[Call]] = {
    "/v2/info/import": {"GET": show_import},
    "/v2/info/stores": {"GET": list_stores},
    "/v2/info/stores/detail": {"GET": list_stores_in_detail},
    "/v2/info/usage": {"GET": show_usage},
    **{f"/v2/schemas/{name}": {"GET": schema_handler(schema)} for name, schema in SCHEMAS.items()},
}
