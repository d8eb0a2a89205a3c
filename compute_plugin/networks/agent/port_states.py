"""What an agent says of the ports on its host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from compute_plugin.networks.agent.applying import Failure
from compute_plugin.networks.agent.links import is_ready
from compute_plugin.networks.agent.seen import SeenSpace
from compute_plugin.networks.plan.wiring import HOST, Wiring
from compute_plugin.networks.records.states import PORT_STATES, PREFIX, PortState, States
from store.registry import Delete, Put, Registry

AT_ONCE: Final = 100
"""Operations of one transaction."""


def port_states(wiring: Wiring, host: SeenSpace, failures: Iterable[Failure], name: str) -> dict[str, PortState]:
    """Of all ports here, by their ids. `failures`: of steps that could not be done."""
    failed = {getattr(failure.step, "name", ""): failure.why for failure in failures if failure.step.space == HOST}
    states = {}
    for link in wiring.host.links:
        plug = wiring.plugs.get(link.name)
        if plug is None:
            continue
        up = link.up and is_ready(HOST, link, host)
        problem = "" if up else failed.get(link.name, "")
        if not up and not problem and link.up and link.name not in host.links:
            problem = f"there is no link {link.name} yet"
        states[plug.port] = PortState(id=plug.port, host=name, up=up, problem=problem)
    return states


async def tell(registry: Registry, states: States, told: Mapping[str, PortState], host: str) -> None:
    """Write what has changed. Raises RetryableError."""
    operations: list[Put | Delete] = [
        Put(_key(id_), PORT_STATES.codec.encode(state)) for id_, state in told.items() if states.ports.get(id_) != state
    ]
    operations += [Delete(_key(state.id)) for state in states.ports.by("host", host) if state.id not in told]
    for start in range(0, len(operations), AT_ONCE):
        await registry.transact((), operations[start : start + AT_ONCE])


def _key(port: str) -> bytes:
    return PREFIX + f"port/{port}".encode()
