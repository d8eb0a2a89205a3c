"""Security groups."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.listing import cut
from compute_plugin.v2.frame.reading import is_uuid, text
from compute_plugin.v2.proxies.askers import ask, called, proxied
from compute_plugin.v2.proxies.networks import networks
from compute_plugin.v2.proxies.security_group_view import Row, shown_group
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.errors import OverLimitError
from store.core.errors import ConflictError, InvalidError

POLICY: Final = "os_compute_api:os-security-groups:"
PATH: Final = "/security-groups"


async def find_group(call: Call, id_: str) -> Row:
    """Raises NotFoundError; InvalidError for what can be no id."""
    if not is_uuid(id_):
        raise InvalidError("Security group id should be uuid")
    with called(f"Security group {id_} not found."):
        found: Row = (await ask(call, networks, "GET", f"{PATH}/{id_}"))["security_group"]
    return found


async def names_of(call: Call) -> dict[str, Row]:
    """Of all groups that the caller sees, by their ids."""
    found = (await ask(call, networks, "GET", PATH))["security_groups"]
    return {one["id"]: {"name": one["name"], "tenant_id": one["project_id"]} for one in found}


async def list_groups(call: Call) -> Response:
    """Of the caller's project; an administrator may ask for those of all."""
    everybody = "all_tenants" in call.query and await call.is_admin()
    query = {} if everybody else {"project_id": await call.project()}
    found = (await ask(call, networks, "GET", PATH, query=query))["security_groups"]
    names = await names_of(call)
    shown = [shown_group(one, names) for one in cut(call, found)]
    return answer({"security_groups": sorted(shown, key=lambda one: (one["tenant_id"], one["name"]))})


async def show_group(call: Call) -> Response:
    group = await find_group(call, call.path("group_id"))
    return answer({"security_group": shown_group(group, await names_of(call))})


async def create_group(call: Call) -> Response:
    body = await _body(call)
    try:
        made = (await ask(call, networks, "POST", PATH, body))["security_group"]
    except ConflictError as error:
        raise OverLimitError(str(error)) from error
    return answer({"security_group": shown_group(made, await names_of(call))})


async def update_group(call: Call) -> Response:
    body = await _body(call)
    group = await find_group(call, call.path("group_id"))
    with called(f"Security group {group['id']} not found."):
        changed = (await ask(call, networks, "PUT", f"{PATH}/{group['id']}", body))["security_group"]
    return answer({"security_group": shown_group(changed, await names_of(call))})


async def delete_group(call: Call) -> Response:
    group = await find_group(call, call.path("group_id"))
    with called(f"Security group {group['id']} not found."):
        await ask(call, networks, "DELETE", f"{PATH}/{group['id']}")
    return accepted()


async def _body(call: Call) -> Row:
    fields = (await call.body()).object("security_group")
    said = {name: text(fields, name, least=0) for name in ("name", "description")}
    return {"security_group": said}


ROUTES: Final[Routes[Call]] = {
    "/os-security-groups": {
        "GET": proxied(f"{POLICY}get", list_groups),
        "POST": proxied(f"{POLICY}create", create_group),
    },
    "/os-security-groups/{group_id}": {
        "GET": proxied(f"{POLICY}show", show_group),
        "PUT": proxied(f"{POLICY}update", update_group),
        "DELETE": proxied(f"{POLICY}delete", delete_group),
    },
}
