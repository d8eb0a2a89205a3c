"""What can be asked of agents, and of what they do. Nothing is put onto one by hand: a host has what its ports need."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.states import AGENTS, HOST_ADDRESSES, PREFIX
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.requests import VERSION, Handler, found, routes_of, visible
from compute_plugin.networks.v2.frame.view import Change, View
from compute_plugin.networks.v2.networks.networks import Networks
from compute_plugin.networks.v2.operating.agents import DHCP_AGENT, L3_AGENT, Agent, Agents
from compute_plugin.networks.v2.routing.routers import Routers
from gateway.rest.answers import answer, nothing
from gateway.rest.errors import ForbiddenError
from store.registry import Compare, Delete

KIND: Final = Agents()
ONE: Final = f"{VERSION}{KIND.path}/{{id}}"


async def _delete(call: Call) -> Response:
    """What the operator said of it is forgotten, and so is its host, where no agent lives there; one that lives is
    there again at once."""
    over = await call.change()

    def step(records: Records) -> Agent:
        change: Change = over(records)
        agent: Agent
        agent, _ = found(KIND, change, call.path("id"))
        change.allow("delete_agent", KIND.target(change, agent))
        records.agent_settings.delete(agent.id)
        return agent

    host = (await call.service.store.change(step)).host
    dead = Compare.absent(PREFIX + f"{AGENTS.name}/{host}".encode())
    await call.service.registry.transact([dead], [Delete(PREFIX + f"{HOST_ADDRESSES.name}/{host}".encode())])
    return nothing()


async def _networks(call: Call) -> Response:
    view = await call.view()
    agent = _agent(view, call, "get_dhcp-networks")
    held = {one.network_id for one in view.records.ports.by("host", agent.host)} if agent.type == DHCP_AGENT else set()
    return answer({"networks": _rows(Networks(), view, held)})


async def _routers(call: Call) -> Response:
    view = await call.view()
    agent = _agent(view, call, "get_l3-routers")
    held = {one.id for one in view.states.routers.by("host", agent.host)} if agent.type == L3_AGENT else set()
    return answer({"routers": _rows(Routers(), view, held)})


def _rows(kind: Collection[Any], view: View, ids: set[str]) -> list[Row]:
    records = [one for id_ in sorted(ids) if (one := kind.table(view.records).get(id_)) is not None]
    return [row for one in records if (row := visible(kind, view, one)) is not None]


def _agent(view: View, call: Call, line: str) -> Agent:
    agent: Agent
    agent, _ = found(KIND, view, call.path("id"))
    if not view.may(line, KIND.target(view, agent)):
        raise ForbiddenError(line)
    return agent


async def _refuse(line: str, call: Call) -> Response:
    agent = _agent(await call.view(), call, line)
    raise InUseError(
        "Conflict",
        f"Nothing is put onto agent {agent.id} of host {agent.host} or taken from it by hand: each host serves the "
        "networks of its ports, and routers move by themselves.",
    )


async def _agents_of_network(call: Call) -> Response:
    view = await call.view()
    network, _ = found(Networks(), view, call.path("id"))
    hosts = {one.host for one in view.records.ports.by("network", network.id)}
    return answer({"agents": _agents_at(view, "get_dhcp-agents", hosts, DHCP_AGENT.name)})


async def _agents_of_router(call: Call) -> Response:
    view = await call.view()
    router, _ = found(Routers(), view, call.path("id"))
    place = view.states.routers.get(router.id)
    return answer({"agents": _agents_at(view, "get_l3-agents", {place.host} if place else set(), L3_AGENT.name)})


def _agents_at(view: View, line: str, hosts: set[str], type_: str) -> list[Row]:
    agents = [one for one in KIND.rows(view) if one.host in hosts and one.type.name == type_]
    return [KIND.show(view, one) for one in agents if view.may(line, KIND.target(view, one))]


def routes() -> dict[str, dict[str, Handler]]:
    """By path, handlers by method."""
    held = routes_of(KIND)
    return {
        f"{VERSION}{KIND.path}": {"GET": held[f"{VERSION}{KIND.path}"]["GET"]},
        ONE: {**held[ONE], "DELETE": _delete},
        f"{ONE}/dhcp-networks": {"GET": _networks, "POST": partial(_refuse, "create_dhcp-network")},
        f"{ONE}/dhcp-networks/{{network_id}}": {"DELETE": partial(_refuse, "delete_dhcp-network")},
        f"{ONE}/l3-routers": {"GET": _routers, "POST": partial(_refuse, "create_l3-router")},
        f"{ONE}/l3-routers/{{router_id}}": {"DELETE": partial(_refuse, "delete_l3-router")},
        f"{VERSION}/networks/{{id}}/dhcp-agents": {"GET": _agents_of_network},
        f"{VERSION}/routers/{{id}}/l3-agents": {"GET": _agents_of_router},
    }
