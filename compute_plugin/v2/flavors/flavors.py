"""Flavors: list, show, create, describe and delete."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.v2.flavors.finding import find_flavor
from compute_plugin.v2.flavors.listing import PATH, listed
from compute_plugin.v2.flavors.view import DESCRIPTION, brief, shows_specs, whole
from compute_plugin.v2.frame.call import Call, within
from compute_plugin.v2.frame.listing import NEVER
from compute_plugin.v2.frame.reading import body_of, description, flag_in, named, wrong
from compute_plugin.v2.frame.reading import whole as whole_number
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError

MANAGE: Final = "os_compute_api:os-flavor-manage:"
DESCRIPTION_MAX: Final = 65_535
FLOAT_MAX: Final = 3.40282e38

_ID: Final = re.compile(r"(?! )[a-zA-Z0-9. _-]{1,255}(?<! )")
_FACTOR: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


async def list_flavors(call: Call) -> Response:
    page = await listed(call, PATH)
    return answer(page.document("flavors", [brief(call, one) for one in page.rows]))


async def list_details(call: Call) -> Response:
    page = await listed(call, f"{PATH}/detail")
    specs = await shows_specs(call)
    return answer(page.document("flavors", [whole(call, one, specs=specs) for one in page.rows]))


async def show_flavor(call: Call) -> Response:
    flavor = await find_flavor(call, await call.records(), call.path("flavor_id"))
    return answer({"flavor": whole(call, flavor, specs=await shows_specs(call))})


async def create_flavor(call: Call) -> Response:
    """200, as stock nova answers."""
    await call.allow(f"{MANAGE}create")
    flavor = _asked(call, await _body(call))

    def step(records: Records) -> None:
        if records.flavors.has("name", flavor.name):
            raise ConflictError(f"Flavor with name {flavor.name} already exists.")
        if records.flavors.get(flavor.id) is not None:
            raise ConflictError(f"Flavor with ID {flavor.id} already exists.")
        records.flavors.put(flavor)

    await call.service.store.change(step)
    return answer({"flavor": whole(call, flavor, specs=await shows_specs(call))})


async def update_flavor(call: Call) -> Response:
    """Of its description."""
    await call.allow(f"{MANAGE}update")
    said = description(await body_of(call, "flavor", ("description",)), DESCRIPTION_MAX)
    id_ = call.path("flavor_id")

    def step(records: Records) -> Flavor:
        flavor = replace(records.flavors.require(id_), description=said)
        records.flavors.put(flavor)
        return flavor

    flavor = await call.service.store.change(step)
    return answer({"flavor": whole(call, flavor, specs=await shows_specs(call))})


async def delete_flavor(call: Call) -> Response:
    """Servers of it stay as they are: each has the sizes it was made with."""
    await call.allow(f"{MANAGE}delete")
    id_ = call.path("flavor_id")

    def step(records: Records) -> None:
        records.flavors.require(id_)
        records.flavors.delete(id_)

    await call.service.store.change(step)
    return accepted()


async def _body(call: Call) -> Fields:
    optional = ["id", "OS-FLV-EXT-DATA:ephemeral", "swap", "rxtx_factor", "os-flavor-access:is_public"]
    if call.since(DESCRIPTION):
        optional.append("description")
    return await body_of(call, "flavor", ("name", "ram", "vcpus", "disk"), optional)


def _asked(call: Call, fields: Fields) -> Flavor:
    return Flavor(
        id=_id(call, fields.value("id")),
        name=named(fields),
        ram=_amount(fields, "ram", 1),
        vcpus=_amount(fields, "vcpus", 1),
        disk=_amount(fields, "disk", 0),
        ephemeral=_amount(fields, "OS-FLV-EXT-DATA:ephemeral", 0),
        swap=_amount(fields, "swap", 0),
        rxtx_factor=_factor(fields),
        public=flag_in(fields, "os-flavor-access:is_public", True),
        description=description(fields, DESCRIPTION_MAX),
        created_us=call.service.clock.wall_us(),
    )


def _id(call: Call, value: Any) -> str:
    """That was asked for; any where none was."""
    if value is None:
        return call.service.new_id()
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not _ID.fullmatch(str(value)):
        raise wrong("id", "1 to 255 of a-z, A-Z, 0-9, ._- and blanks within")
    return str(value)


def _amount(fields: Fields, name: str, least: int) -> int:
    return whole_number(name, fields.value(name), least) if name in fields else 0


def _factor(fields: Fields) -> float:
    value = fields.value("rxtx_factor") if "rxtx_factor" in fields else 1.0
    if isinstance(value, str) and _FACTOR.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= FLOAT_MAX:
        raise wrong("rxtx_factor", "a number above 0")
    return float(value)


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": list_flavors, "POST": create_flavor},
    f"/{PATH}/detail": {"GET": list_details},
    f"/{PATH}/{{flavor_id}}": {
        "GET": show_flavor,
        "PUT": within(DESCRIPTION, NEVER, update_flavor),
        "DELETE": delete_flavor,
    },
}
