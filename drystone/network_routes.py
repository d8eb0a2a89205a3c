"""What the serving process answers `drystone network`, over its control socket: paths below `/networks`, JSON.

    GET /networks/hosts                                hosts, what is plugged in and routed there, and what is wrong
    GET /networks/drops                                packets that were dropped on this machine, by reason
    GET /networks/trace?from=A&to=B&protocol=P&port=N  {"steps", "end", "arrives", "dropped"}: the way of a packet

Errors are 400, 404 and 503, with their reason as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from compute_plugin.networks.agent.drops import drops
from compute_plugin.networks.records.states import States
from compute_plugin.networks.service import NetworkService
from compute_plugin.networks.trace.question import Answers, question
from compute_plugin.networks.trace.walk import Way, walk
from drystone.control import told
from drystone.network_looks import HostLooks
from store.core.errors import InvalidError

PORT_MAX = 65_535


def network_routes(service: NetworkService, looks: HostLooks) -> Sequence[Route]:
    """For `control_app`."""

    async def hosts(_: Request) -> Response:
        await service.store.fresh()
        return JSONResponse([_host_row(service.states.states, one.id) for one in service.states.states.agents])

    async def trace(request: Request) -> Response:
        query = request.query_params
        number = query.get("port", "0")
        if not number.isdecimal() or int(number) > PORT_MAX:
            raise InvalidError(f"port: a number from 0 to {PORT_MAX}")
        records = await service.store.fresh()
        asked = question(
            records, query.get("from", ""), query.get("to", ""), query.get("protocol", "icmp"), int(number)
        )
        addresses = {one.address: one.id for one in service.states.states.hosts if one.address}
        seen = {asked.host: await looks.look(asked.host)}
        while True:
            way = walk(seen, addresses, asked.host, asked.packet, Answers(records))
            if not way.unseen or way.unseen in seen:
                return JSONResponse(_way_row(way, asked.wanted))
            seen[way.unseen] = await looks.look(way.unseen)

    async def dropped(_: Request) -> Response:
        return JSONResponse([asdict(one) for one in await drops()])

    return [
        Route("/networks/drops", told(dropped), methods=["GET"]),
        Route("/networks/hosts", told(hosts), methods=["GET"]),
        Route("/networks/trace", told(trace), methods=["GET"]),
    ]


def _way_row(way: Way, wanted: str) -> dict[str, Any]:
    return {
        "steps": [asdict(step) for step in way.steps],
        "end": way.end,
        "arrives": bool(way.end) and (not wanted or way.end == wanted),
        "dropped": way.dropped,
    }


def _host_row(states: States, host: str) -> dict[str, Any]:
    agent = states.agents.require(host)
    return {
        "host": host,
        "address": agent.address,
        "physical_networks": list(agent.physical_networks),
        "problems": list(agent.problems),
        "warnings": list(agent.warnings),
        "ports": [asdict(one) for one in states.ports.by("host", host)],
        "routers": [one.id for one in states.routers.by("host", host)],
    }
