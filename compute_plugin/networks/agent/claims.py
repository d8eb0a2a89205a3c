"""Which routers a host is to claim. Pure.

All hosts come to the same answer from the same records: a router without a place goes to the first of those that are
alive and can have it, in an order that is another for each router.
"""

from __future__ import annotations

import hashlib

from compute_plugin.networks.records.network import VXLAN
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.records.states import AgentState, States


def wanted(records: Records, states: States, host: str) -> list[str]:
    """Ids of routers that this host has, or is to have; sorted."""
    alive = [agent for agent in states.agents if not agent.problems]
    found = []
    for router in records.routers:
        place = states.routers.get(router.id)
        if place is not None:
            if place.host == host:
                found.append(router.id)
        elif _is_used(records, router) and _first(records, router, alive) == host:
            found.append(router.id)
    return sorted(found)


def gone(records: Records, states: States, host: str) -> list[str]:
    """Ids of routers that this host has and that are no more."""
    return [place.id for place in states.routers.by("host", host) if records.routers.get(place.id) is None]


def without(states: States, host: str) -> States:
    """What others say, without routers that this host may have lost."""
    kept = States()
    for address in states.hosts:
        kept.hosts.put(address)
    for place in states.routers:
        if place.host != host:
            kept.routers.put(place)
    return kept


def contested(records: Records, states: States, host: str) -> frozenset[str]:
    """Routers of this host that another could take if its agent died."""
    others = [agent for agent in states.agents if not agent.problems and agent.id != host]
    held = (records.routers.get(place.id) for place in states.routers.by("host", host))
    found = [router for router in held if router is not None]
    return frozenset(one.id for one in found if any(can_have(records, one, other) for other in others))


def _is_used(records: Records, router: Router) -> bool:
    return router.gateway_port_id is not None or records.ports.has("device", router.id)


def _first(records: Records, router: Router, alive: list[AgentState]) -> str | None:
    able = [agent for agent in alive if can_have(records, router, agent)]
    return max((_rank(router.id, agent.id), agent.id) for agent in able)[1] if able else None


def can_have(records: Records, router: Router, agent: AgentState) -> bool:
    """Whether the agent's host is connected to the wire outside."""
    outside = records.networks.get(router.gateway_network_id) if router.gateway_network_id is not None else None
    return outside is None or outside.network_type == VXLAN or outside.physical_network in agent.physical_networks


def _rank(router: str, host: str) -> bytes:
    return hashlib.blake2b(f"{router}\0{host}".encode(), digest_size=8).digest()
