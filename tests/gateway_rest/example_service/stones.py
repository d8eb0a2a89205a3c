"""The one resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from gateway.rest.app import Routes
from gateway.rest.listing import here, page
from gateway.rest.microversions import Microversion
from gateway.rest.reserving import reserving
from gateway.rest.times import shown_us
from store.core.codec import Codec
from store.core.errors import ConflictError, NotFoundError
from store.registry import Compare, Delete, Item, Put, Span
from tests.gateway_rest.example_service.service import Call

KILOGRAMS_MAX: Final = 500
ID_CHARACTERS: Final = 32
SHOWS_TIMES: Final = Microversion(1, 1)
"""The first in which a stone says when it was made."""

_PREFIX: Final = b"example/stone/"


@dataclass(frozen=True, slots=True)
class Stone:
    """Of a project."""

    id: str
    project_id: str
    name: str
    kilograms: int
    created_us: int


CODEC: Final = Codec(
    "stone",
    1,
    lambda stone: [stone.id, stone.project_id, stone.name, stone.kilograms, stone.created_us],
    {1: lambda f: Stone(*f)},
)


async def list_stones(call: Call) -> Response:
    """Those of the caller's project; all, to an administrator."""
    may_see = await call.chosen("example:list_stones")
    items = await call.service.registry.range(Span.prefix(_PREFIX))
    stones = [stone for stone in map(_stone, items) if may_see({"project_id": stone.project_id})]
    found = page(call, [_shown(call, stone) for stone in stones], ["name", "kilograms"])
    links = [{"rel": "next", "href": found.follows}] if found.follows else []
    return JSONResponse({"stones": found.rows, "stones_links": links})


async def show_stone(call: Call) -> Response:
    stone, _ = await _permitted(call, "example:show_stone")
    return JSONResponse({"stone": _shown(call, stone)})


async def create_stone(call: Call) -> Response:
    """Within the quota of the caller's project."""
    service, project = call.service, await call.project()
    await call.allow("example:create_stone", {"project_id": project})
    asked = (await call.body()).object("stone")
    asked.refuse_others({"name", "kilograms"})
    name, kilograms = asked.named("name"), asked.number("kilograms", 1, KILOGRAMS_MAX)
    stone = Stone(service.random.bytes(16).hex(), project, name, kilograms, service.clock.wall_us())
    async with reserving(service.quotas, project, {"stones": 1, "kilograms": kilograms}) as reservation:
        # Whatever has to be made elsewhere is made here.
        await service.quotas.commit(reservation, [Put(_key(stone.id), CODEC.encode(stone))])
    response = JSONResponse({"stone": _shown(call, stone)}, 201)
    response.headers["Location"] = f"{here(call)}/{stone.id}"
    return response


async def delete_stone(call: Call) -> Response:
    """Gone, and uncounted, in one moment."""
    stone, item = await _permitted(call, "example:delete_stone")
    amounts = {"stones": 1, "kilograms": stone.kilograms}
    same = Compare.unchanged(item.key, item.mod_revision)
    try:
        await call.service.quotas.free(stone.project_id, amounts, [Delete(item.key)], [same])
    except ConflictError:
        # Another deleted it meanwhile, or there were too many at once.
        await _permitted(call, "example:delete_stone")
        raise
    return Response(status_code=204)


ROUTES: Final[Routes[Call]] = {
    "/v1/stones": {"GET": list_stones, "POST": create_stone},
    "/v1/stones/{stone_id}": {"GET": show_stone, "DELETE": delete_stone},
}


async def _permitted(call: Call, operation: str) -> tuple[Stone, Item]:
    """The stone in the path. Raises NotFoundError, also where the caller may not know of it."""
    id_ = call.path("stone_id")
    missing = NotFoundError(f"Stone {id_} could not be found.")
    credentials = await call.credentials()
    item = await call.service.registry.get(_key(id_)) if len(id_) <= ID_CHARACTERS else None
    if item is None:
        raise missing
    stone = _stone(item)
    target = {"project_id": stone.project_id}
    if not call.policy.decide("example:show_stone", credentials, target):
        raise missing
    await call.allow(operation, target)
    return stone, item


def _key(id_: str) -> bytes:
    return _PREFIX + id_.encode()


def _stone(item: Item) -> Stone:
    return CODEC.decode(item.value)


def _shown(call: Call, stone: Stone) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": stone.id, "name": stone.name, "kilograms": stone.kilograms}
    if call.version is not None and call.version >= SHOWS_TIMES:
        shown["created_at"] = shown_us(stone.created_us)
    return shown
