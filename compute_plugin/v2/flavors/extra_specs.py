"""What is said of a flavor besides its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.records import Records
from compute_plugin.v2.flavors.finding import find_flavor
from compute_plugin.v2.flavors.known_specs import require_known
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.reading import metadata
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError, NotFoundError

SPECS: Final = "os_compute_api:os-flavor-extra-specs:"
CHECKED: Final = 86
"""From this microversion on specs that nova knows have to be right."""


async def list_specs(call: Call) -> Response:
    await call.allow(f"{SPECS}index", of(await call.project()))
    flavor = await find_flavor(call, await call.records(), call.path("flavor_id"))
    return answer({"extra_specs": flavor.extra_specs})


async def show_spec(call: Call) -> Response:
    await call.allow(f"{SPECS}show", of(await call.project()))
    flavor = await find_flavor(call, await call.records(), call.path("flavor_id"))
    key = call.path("key")
    if key not in flavor.extra_specs:
        raise _missing(flavor.id, key)
    return answer({key: flavor.extra_specs[key]})


async def create_specs(call: Call) -> Response:
    """Any number of them."""
    await call.allow(f"{SPECS}create")
    body = await call.body()
    body.refuse_others(("extra_specs",))
    asked = body.object("extra_specs").others(frozenset())
    await _put(call, asked)
    return answer({"extra_specs": asked})


async def update_spec(call: Call) -> Response:
    """The one that the path names."""
    await call.allow(f"{SPECS}update")
    asked = (await call.body()).others(frozenset())
    if len(asked) != 1:
        raise InvalidError("Invalid input: the body has the one spec that the path names.")
    if call.path("key") not in asked:
        raise InvalidError("Request body and URI mismatch")
    await _put(call, asked)
    return answer(asked)


async def delete_spec(call: Call) -> Response:
    """200 and nothing, as stock nova answers."""
    await call.allow(f"{SPECS}delete")
    id_, key = call.path("flavor_id"), call.path("key")

    def step(records: Records) -> None:
        flavor = records.flavors.require(id_)
        if key not in flavor.extra_specs:
            raise _missing(id_, key)
        rest = {name: value for name, value in flavor.extra_specs.items() if name != key}
        records.flavors.put(replace(flavor, extra_specs=rest))

    await call.service.store.change(step)
    return Response(status_code=200)


async def _put(call: Call, asked: Mapping[str, Any]) -> None:
    specs = {key: value or "" for key, value in metadata("extra_specs", asked, numbers=True).items()}
    if call.since(CHECKED):
        for key, value in specs.items():
            require_known(key, value)
    id_ = call.path("flavor_id")

    def step(records: Records) -> None:
        flavor = records.flavors.require(id_)
        records.flavors.put(replace(flavor, extra_specs={**flavor.extra_specs, **specs}))

    await call.service.store.change(step)


def _missing(flavor: str, key: str) -> NotFoundError:
    return NotFoundError(f"Flavor {flavor} has no extra specs with key {key[:255]}.")


ROUTES: Final[Routes[Call]] = {
    "/flavors/{flavor_id}/os-extra_specs": {"GET": list_specs, "POST": create_specs},
    "/flavors/{flavor_id}/os-extra_specs/{key}": {"GET": show_spec, "PUT": update_spec, "DELETE": delete_spec},
}
